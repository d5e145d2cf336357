/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. The Internet checksum (RFC 1071), in whatever byte order the words lie. */
#ifndef RTPFWD_SUM_H
#define RTPFWD_SUM_H

#include "parse.h"

/* Of less than 2^47: a hundred thousand words of 32 bits. */
static __always_inline __u16 fold(__u64 sum)
{
	__u32 halves = (sum & 0xffff) + (sum >> 16);

	/* Twice the sum of the halves is in it, the lower one carrying into the upper. */
	return halves * 0x100010001ULL >> 32;
}

/* RFC 1624 equation 3: HC' = ~(~HC + ~m + m'), `difference` being the sum of all ~m + m'. */
static __always_inline __u16 checksum_apply(__u16 check, __u64 difference)
{
	return ~fold((__u16)~check + difference);
}

static __always_inline __u64 sum6(const __be32 ip[4])
{
	return (__u64)ip[0] + ip[1] + ip[2] + ip[3];
}

/* Of the ones' complements. */
static __always_inline __u64 sum_not(__be32 a, __be32 b)
{
	return 2ULL * 0xffffffff - a - b;
}

static __always_inline __u64 sum_not6(const __be32 ip[4])
{
	return 4ULL * 0xffffffff - sum6(ip);
}

static __always_inline __u64 sum_ip(const struct iphdr *ip)
{
	const word *words = (const void *)ip;

	return (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
}

/* Sets the checksum that the sender over IPv4 left out. False: too long. */
static __always_inline bool sum_missing(const struct host *h, const struct packet *p)
{
	__u32 length = bpf_ntohs(p->udp->len);
	__u64 sum = (__u64)p->ip->saddr + p->ip->daddr + bpf_htons(IPPROTO_UDP) + p->udp->len;

	if (!frame_sum(h, (void *)p->udp - (void *)p->eth, length, &sum))
		return false;
	p->udp->check = checksum_apply(0xffff, sum);
	if (!p->udp->check)
		p->udp->check = 0xffff;
	return true;
}

#endif
