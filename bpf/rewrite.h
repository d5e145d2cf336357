/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. New addresses, ports, TTL and Ethernet header; checksums by difference (RFC 1624),
 * payload unread. */
#ifndef RTPFWD_REWRITE_H
#define RTPFWD_REWRITE_H

#include "parse.h"

#define TTL_STEP bpf_htons(0xfeff) /* ones' complement of the 0x0100 that the TTL word loses */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16); /* at most 0x20000 */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* RFC 1624 equation 3: HC' = ~(~HC + ~m + m'), `difference` being the sum of all ~m + m'. */
static __always_inline __u16 checksum_apply(__u16 check, __u64 difference)
{
	return ~fold((__u16)~check + difference);
}

static __always_inline void rewrite(const struct packet *p, const struct rtpfwd_action *act)
{
	const __u32 *macs = (const void *)act->to_mac;
	__u32 *frame = (void *)p->eth;
	__u64 difference;

	difference = (__u64)(__u32)~p->ip->saddr + act->from_ip;
	difference += (__u64)(__u32)~p->ip->daddr + act->to_ip;
	p->ip->check = checksum_apply(p->ip->check, difference + TTL_STEP);
	if (p->udp->check) { /* 0: the sender did not sum (RFC 768), nor do we */
		difference += (__u16)~p->udp->source + act->from_port;
		difference += (__u16)~p->udp->dest + act->to_port;
		p->udp->check = checksum_apply(p->udp->check, difference);
		if (!p->udp->check)
			p->udp->check = 0xffff;
	}
	p->ip->saddr = act->from_ip;
	p->ip->daddr = act->to_ip;
	p->ip->ttl--;
	p->udp->source = act->from_port;
	p->udp->dest = act->to_port;
	frame[0] = macs[0];
	frame[1] = macs[1];
	frame[2] = macs[2];
}

#endif
