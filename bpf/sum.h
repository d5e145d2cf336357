/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. The Internet checksum (RFC 1071), in whatever byte order the words lie. */
#ifndef RTPFWD_SUM_H
#define RTPFWD_SUM_H

#include "parse.h"

#define SUM_MAX		1500 /* bytes of a datagram that is summed whole */
#define SUM_OFFSET_MASK 127  /* where in the frame it begins */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16); /* at most 0x2ffff */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
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
static __always_inline __u64 sum_not6(const __be32 ip[4])
{
	return 4ULL * 0xffffffff - sum6(ip);
}

static __always_inline __u64 sum_ip(const struct iphdr *ip)
{
	const __u32 *word = (const void *)ip;

	return (__u64)word[0] + word[1] + word[2] + word[3] + word[4];
}

/*
 * Of `length` bytes of the frame from `offset` on, folded. A function of its own to
 * the verifier, which follows the loop once and not once for each way to it.
 */
__attribute__((noinline)) __u32 rtpfwd_sum(struct xdp_md *ctx, __u32 offset, __u32 length)
{
	const __u8 *data = (void *)(long)ctx->data + (offset & SUM_OFFSET_MASK);
	const void *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;
	__u8 last[2];
	__u16 word;
	__u32 i;

	for (i = 0; i < SUM_MAX / 2; i++) {
		if (i * 2 + 2 > length || (const void *)(data + i * 2 + 2) > end)
			break;
		sum += *(const __u16 *)(data + i * 2);
	}
	if (length & 1 && i * 2 < SUM_MAX && (const void *)(data + i * 2 + 1) <= end) {
		last[0] = data[i * 2];
		last[1] = 0;
		__builtin_memcpy(&word, last, sizeof(word));
		sum += word;
	}
	return fold(sum);
}

/* Sets the checksum that the sender over IPv4 left out. False: too long. */
static __always_inline bool sum_missing(struct xdp_md *ctx, const struct packet *p)
{
	__u32 length = bpf_ntohs(p->udp->len);
	__u64 sum = (__u64)p->ip->saddr + p->ip->daddr + bpf_htons(IPPROTO_UDP) + p->udp->len;

	if (length > SUM_MAX)
		return false;
	sum += rtpfwd_sum(ctx, (void *)p->udp - (void *)p->eth, length);
	p->udp->check = checksum_apply(0xffff, sum);
	if (!p->udp->check)
		p->udp->check = 0xffff;
	return true;
}

#endif
