/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. Which flow a packet belongs to, and whether it may be there. */
#ifndef RTPFWD_FLOW_H
#define RTPFWD_FLOW_H

#include "maps.h"
#include "parse.h"
#include "rtpfwd_rtp.h"

/* The slot of a relay port; NULL: not an address and port of ours. */
static __always_inline struct rtpfwd_slot *flow_find(const struct rtpfwd_control *control,
						     const struct packet *p)
{
	const struct rtpfwd_address *address;
	__u32 offset, index;

	address = &control->addresses[rtpfwd_bucket(p->ip->daddr, rtpfwd_seed)];
	offset = (__u32)bpf_ntohs(p->udp->dest) - address->lo;
	if (address->ip != p->ip->daddr || offset >= address->count)
		return NULL;
	index = address->base + offset;
	return bpf_map_lookup_elem(&rtpfwd_slots, &index);
}

/* The copy in force. Its address depends on the value of `select`, which orders the loads on every
 * architecture. NULL: no value that the controller writes. */
static __always_inline const struct rtpfwd_action *flow_action(const struct rtpfwd_slot *slot,
							       __u32 select)
{
	__u32 offset = RTPFWD_COPY_OFFSET(select);

	asm volatile("" : "+r"(offset)); /* the verifier follows the comparison below */
	if (offset > RTPFWD_COPY_OFFSET(RTPFWD_THIRD))
		return NULL;
	return (const void *)&slot->first + offset;
}

static __always_inline bool source_admitted(const struct rtpfwd_action *act, const struct packet *p,
					    __u64 now)
{
	if (act->expect_ip == p->ip->saddr && act->flags & RTPFWD_F_EXPECT &&
	    (act->expect_port == p->udp->source || act->flags & RTPFWD_F_ANY_PORT))
		return true;
	if (now >= act->late_until || act->late_ip != p->ip->saddr)
		return false;
	return act->late_port == p->udp->source || act->flags & RTPFWD_F_LATE_ANY;
}

static __always_inline bool content_admitted(const struct rtpfwd_action *act,
					     const struct packet *p, __u32 length)
{
	if (act->flags & RTPFWD_F_RTCP)
		return rtpfwd_is_rtcp(p->payload, p->end, length);
	return rtpfwd_is_rtp(p->payload, p->end, length);
}

/*
 * 0, or why the packet is refused. Who is asked before what: a stranger learns nothing from how his
 * bytes are judged, and a leg's mute or stray media is counted as such whatever it holds. Before
 * its leg is described a port knows no strangers.
 */
static __always_inline __u32 flow_admit(const struct rtpfwd_action *act, const struct packet *p,
					int length, __u64 now)
{
	if (act->drop == RTPFWD_R_not_signalled && !(act->flags & RTPFWD_F_EXPECT))
		return RTPFWD_R_not_signalled;
	if (!source_admitted(act, p, now))
		return RTPFWD_R_wrong_source;
	if (act->drop)
		return act->drop;
	if (length < 0)
		return RTPFWD_R_bad_length;
	if (!content_admitted(act, p, length))
		return RTPFWD_R_not_rtp;
	if (p->ip->ttl <= 1)
		return RTPFWD_R_ttl;
	return 0;
}

#endif
