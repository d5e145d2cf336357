/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. The frame as Ethernet, IPv4 and UDP. Nothing here judges: it says where things are
 * and what is unusual. */
#ifndef RTPFWD_PARSE_H
#define RTPFWD_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "rtpfwd_abi.h"

#define IP_MORE_FRAGMENTS  0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_PLAIN	   0x45 /* version 4, five words: no options */

struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
	__u8 *payload;
	void *end;
	__u32 up; /* enum rtpfwd_reason: why the fast path leaves it alone, if it is ours */
};

static __always_inline struct udphdr *udp_after_options(struct packet *p)
{
	__u32 size = p->ip->ihl * 4;
	struct udphdr *udp = (void *)p->ip + size;

	if (p->ip->version != 4 || size < sizeof(struct iphdr) || (void *)(udp + 1) > p->end)
		return NULL;
	p->up = RTPFWD_R_up_options;
	return udp;
}

/* True: UDP over IPv4 whose ports can be read. False: something that is not ours. */
static __always_inline bool parse(struct packet *p, const struct xdp_md *ctx)
{
	__u16 fragment;

	p->eth = (void *)(long)ctx->data;
	p->end = (void *)(long)ctx->data_end;
	p->ip = (void *)(p->eth + 1);
	p->udp = (void *)(p->ip + 1);
	p->up = 0;
	if ((void *)(p->udp + 1) > p->end)
		return false;
	if (p->eth->h_proto != bpf_htons(ETH_P_IP) || p->ip->protocol != IPPROTO_UDP)
		return false;
	if (*(__u8 *)p->ip != IP_PLAIN && !(p->udp = udp_after_options(p)))
		return false;
	fragment = p->ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET);
	if (fragment) {
		p->up = RTPFWD_R_up_fragment;
		/* A later one is without ports: the first one was counted. */
		if (fragment & bpf_htons(IP_FRAGMENT_OFFSET))
			return false;
	}
	p->payload = (void *)(p->udp + 1);
	return true;
}

/* Payload length, or -1 when UDP, IP and frame contradict each other. Ethernet padding behind the
 * datagram is fine. */
static __always_inline int payload_length(const struct packet *p)
{
	__u32 total = bpf_ntohs(p->ip->tot_len);
	__u32 datagram = bpf_ntohs(p->udp->len);

	if (datagram < sizeof(struct udphdr) || datagram + sizeof(struct iphdr) != total)
		return -1;
	if (total > (__u64)(p->end - (void *)p->ip))
		return -1;
	return datagram - sizeof(struct udphdr);
}

#endif
