/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. The frame as Ethernet, IPv4 or IPv6, and UDP. Nothing here judges: it says where
 * things are and what is unusual. */
#ifndef RTPFWD_PARSE_H
#define RTPFWD_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "rtpfwd_rtp.h"

#define IP_MORE_FRAGMENTS  0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_PLAIN	   0x45	  /* version 4, five words: no options */
#define IP6_OFFSET	   0xfff8 /* of a fragment header's second half-word (RFC 8200 4.5) */

/* Of headers, whatever their fields are. */
typedef __u16 __attribute__((may_alias)) half;
typedef __u32 __attribute__((may_alias)) word;
typedef __u64 __attribute__((may_alias)) two_words;

struct packet {
	struct ethhdr *eth;
	union { /* no NULL: the verifier knows a bool better than a pointer */
		struct iphdr *ip;
		struct ipv6hdr *ip6;
	};
	bool six;
	struct udphdr *udp;
	__u8 *payload;
	void *end;
	bool tagged;
	__be16 tag; /* priority and VLAN, as 802.1Q has them */
	__u32 up;   /* enum rtpfwd_reason: why the fast path leaves it alone, if it is ours */
};

struct vlan_tag {
	__be16 tag;
	__be16 proto;
};

/* The eight bytes before UDP where one extension header stands between (RFC 8200 4). */
struct ip6_extension {
	__u8 next;
	__u8 length; /* in eight bytes, without the first; of a fragment header always 0 */
	__be16 offset;
	__be32 id;
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

/* True: UDP whose ports can be read. False: something that is not ours. */
static __always_inline bool parse_ip(struct packet *p)
{
	__u16 fragment;

	p->six = false;
	p->udp = (void *)(p->ip + 1);
	if ((void *)(p->udp + 1) > p->end || p->ip->protocol != IPPROTO_UDP)
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

/* Nearly all packets: no tag, options or fragment, and UDP as long as RTP. What stands where is a
 * constant then. */
static __always_inline bool parse_plain(struct packet *p)
{
	struct iphdr *ip = (void *)(p->eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 *payload = (void *)(udp + 1);

	if (p->tagged || (void *)(payload + RTPFWD_RTP_HEADER) > p->end ||
	    *(__u8 *)ip != IP_PLAIN || ip->protocol != IPPROTO_UDP ||
	    ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return false;
	p->six = false;
	p->ip = ip;
	p->udp = udp;
	p->payload = payload;
	return true;
}

/* UDP behind one extension header of the usual kinds. Behind more of them nobody sends media. */
static __always_inline struct udphdr *udp_after_extension(struct packet *p)
{
	const struct ip6_extension *extension = (void *)(p->ip6 + 1);
	__u8 kind = p->ip6->nexthdr;
	struct udphdr *udp;

	if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
	    kind != IPPROTO_FRAGMENT)
		return NULL;
	if ((void *)(extension + 1) > p->end || extension->next != IPPROTO_UDP)
		return NULL;
	p->up = RTPFWD_R_up_options;
	if (kind == IPPROTO_FRAGMENT) {
		if (extension->offset & bpf_htons(IP6_OFFSET))
			return NULL;
		p->up = RTPFWD_R_up_fragment;
	}
	udp = (void *)(extension + 1) + (kind == IPPROTO_FRAGMENT ? 0 : extension->length * 8);
	return (void *)(udp + 1) > p->end ? NULL : udp;
}

/* The same of IPv6. */
static __always_inline bool parse_ip6(struct packet *p)
{
	p->six = true;
	p->udp = (void *)(p->ip6 + 1);
	if ((void *)(p->udp + 1) > p->end || p->ip6->version != 6)
		return false;
	if (p->ip6->nexthdr != IPPROTO_UDP)
		p->udp = udp_after_extension(p);
	if (!p->udp)
		return false;
	p->payload = (void *)(p->udp + 1);
	return true;
}

/* What is in the frame, behind one tag if there is one; 0: too short. */
static __always_inline __be16 parse_eth(struct packet *p, const struct host *h)
{
	const struct vlan_tag *vlan;
	__be16 proto;

	p->eth = frame_begin(h);
	p->end = frame_end(h);
	p->up = 0;
	vlan = (void *)(p->eth + 1);
	p->ip = (void *)(p->eth + 1);
	p->tagged = false;
	p->tag = 0;
	if ((void *)(p->eth + 1) > p->end)
		return 0;
	proto = *(const __be16 *)((void *)p->eth + __builtin_offsetof(struct ethhdr, h_proto));
	if (proto != bpf_htons(ETH_P_8021Q) || !rtpfwd_vlan)
		return proto;
	if ((void *)(vlan + 1) > p->end)
		return 0;
	p->ip = (void *)(vlan + 1);
	/* Of whatever VLAN, as it may be of whatever interface: the ways there and back may differ,
	 * and whether it may pass is asked of its source. */
	p->tagged = true;
	p->tag = vlan->tag;
	return vlan->proto;
}

/* Payload length, or -1 when UDP, IP and frame contradict each other. Ethernet padding behind the
 * datagram is fine. */
static __always_inline int payload_length(const struct packet *p)
{
	__u32 datagram = bpf_ntohs(p->udp->len), total;

	total = p->six ? bpf_ntohs(p->ip6->payload_len)
		       : bpf_ntohs(p->ip->tot_len) - (__u32)sizeof(struct iphdr);
	if (datagram < sizeof(struct udphdr) || datagram != total)
		return -1;
	if (total > (__u64)(p->end - (void *)p->udp))
		return -1;
	return datagram - sizeof(struct udphdr);
}

static __always_inline __u8 hops_left(const struct packet *p)
{
	return p->six ? p->ip6->hop_limit : p->ip->ttl;
}

#endif
