/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. The part of the host that rtpfwd.ko does better, without it: no SRTP, and sums by
 * a loop. */
#ifndef RTPFWD_HOST_PLAIN_H
#define RTPFWD_HOST_PLAIN_H

#include <linux/errno.h>

#include "host.h"

#define SUM_MAX		1500 /* bytes of a datagram that is summed whole */
#define SUM_OFFSET_MASK 127  /* where in the frame it begins */

/*
 * Of `length` bytes of the frame from `offset` on, not folded. A function of its own to the
 * verifier, which follows the loop once and not once for each way to it.
 */
__attribute__((noinline)) __u32 rtpfwd_sum(struct xdp_md *ctx, __u32 offset, __u32 length)
{
	const __u8 *data = (void *)(long)ctx->data + (offset & SUM_OFFSET_MASK);
	const void *end = (void *)(long)ctx->data_end;
	__u32 sum = 0; /* of at most 750 half-words */
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
	return sum;
}

/* The Internet checksum's sum of the frame's `length` bytes from `offset` on; false: too many. */
static __always_inline bool frame_sum(const struct host *h, __u32 offset, __u32 length, __u64 *sum)
{
	if (length > SUM_MAX)
		return false;
	*sum += rtpfwd_sum(h->ctx, offset, length);
	return true;
}

/* Has this plane the keys of flows that are encrypted? */
static __always_inline bool has_crypt(const struct host *h)
{
	return false;
}

static __always_inline int srtp_protect(const struct host *h, __u32 index, __u32 id, __u32 offset,
					__u32 length)
{
	return -EOPNOTSUPP;
}

static __always_inline int srtp_unprotect(const struct host *h, __u32 index, __u32 id, __u32 offset,
					  __u32 length)
{
	return -EOPNOTSUPP;
}

static __always_inline bool frame_fit(struct host *h, __u32 size)
{
	return false;
}

#endif
