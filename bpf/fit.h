/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Both planes. What cannot leave as one frame at once: its next hop is being asked for, or it is
 * longer than its way takes. The kernel knows how to ask, and how to fragment.
 *
 * A relay is an endpoint towards either side, no router: what leaves is a datagram of its own,
 * which it may fragment whatever the other one's header said of that (RFC 791 2.3; of IPv6 the
 * source alone may, RFC 8200 4.5). Hence nobody is told "fragmentation needed" (RFC 7915 4 and 5
 * are for translators), and what leaves in fragments does not forbid more of them.
 */
#ifndef RTPFWD_FIT_H
#define RTPFWD_FIT_H

#include "flow.h"

#define ANY_LENGTH 0xffffffff

/* What a packet has beside its payload as it leaves, without a tag: links take that on top. What
 * SRTP takes away is known only when it has been decrypted: some go up that would have fitted. */
static __always_inline __u32 size_beside(const struct flow *f)
{
	__u32 size = sizeof(struct udphdr);

	size += f->flags & RTPFWD_F_IPV6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	return f->flags & RTPFWD_F_PROTECT ? size + f->act->grow : size;
}

/* Bytes of payload that the way of the flow takes. */
static __always_inline __u32 room_of(const struct flow *f)
{
	const struct rtpfwd_path *path = flow_path(f);
	__u32 beside = size_beside(f);

	if (!path || !path->mtu)
		return ANY_LENGTH;
	return path->mtu > beside ? path->mtu - beside : 0;
}

static __always_inline bool fits(const struct flow *f, __u32 length)
{
	return length + size_beside(f) <= f->act->sure * 8 || length <= room_of(f);
}

/* 0, or why the kernel must send it. */
static __always_inline __u32 left_to_kernel(const struct flow *f, __u32 length)
{
	if (f->flags & RTPFWD_F_UNRESOLVED)
		return RTPFWD_R_up_unresolved;
	if (f->flags & RTPFWD_F_LOCAL)
		return length > f->room ? RTPFWD_R_up_mtu : 0;
	if ((f->flags & RTPFWD_F_FIT || asks_every_length(f->host)) && !fits(f, length))
		return RTPFWD_R_up_mtu;
	return 0;
}

#endif
