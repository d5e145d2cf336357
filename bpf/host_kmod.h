/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. The part of the host that is rtpfwd.ko's: a program with these calls loads only
 * where the module is, and holds it. */
#ifndef RTPFWD_HOST_KMOD_H
#define RTPFWD_HOST_KMOD_H

#include <linux/if_ether.h>

#include "../kmod/rtpfwd_kfunc.h"
#include "host.h"

/* The Internet checksum's sum of the frame's `length` bytes from `offset` on; false: there are not
 * so many. */
static __always_inline bool frame_sum(const struct host *h, __u32 offset, __u32 length, __u64 *sum)
{
	int part = rtpfwd_frame_sum(h->ctx, offset, length);

	if (part < 0)
		return false;
	*sum += part;
	return true;
}

/* Has this plane the keys of flows that are encrypted? */
static __always_inline bool has_crypt(const struct host *h)
{
	return true;
}

/* SRTP from RTP in place, SRTCP from RTCP: under context `id`, of the slot `index`. The new length,
 * or a negative errno. */
static __always_inline int srtp_protect(const struct host *h, __u32 index, __u32 id, __u32 offset,
					__u32 length)
{
	return rtpfwd_srtp_protect(h->ctx, id, offset, length);
}

/* The reverse. */
static __always_inline int srtp_unprotect(const struct host *h, __u32 index, __u32 id, __u32 offset,
					  __u32 length)
{
	return rtpfwd_srtp_unprotect(h->ctx, id, offset, length);
}

/*
 * Makes the frame `size` bytes long, as far as Ethernet allows. It grows at its tail or, where the
 * driver leaves no room there (veth of 6.12), at its head, and moves. False: no room at all.
 */
static __always_inline bool frame_fit(struct host *h, __u32 size)
{
	int by = (int)size - (int)(frame_end(h) - frame_begin(h));

	if (by == 0 || (by < 0 && size < ETH_ZLEN) || !bpf_xdp_adjust_tail(h->ctx, by))
		return true;
	return by > 0 && !bpf_xdp_adjust_head(h->ctx, -by) && !rtpfwd_frame_shift(h->ctx, by);
}

#endif
