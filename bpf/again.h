/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Both planes. A flow whose destination is a relay port of this very node: a call that goes through
 * it twice. Its packets are rewritten as if they left, and judged again as if they came in; the
 * frame stays where it is.
 *
 * What a later flow leaves to the userspace relay must go up as it came: the host takes no packet
 * that bears an address of its own as source. Hence the first flow looks at those ahead.
 */
#ifndef RTPFWD_AGAIN_H
#define RTPFWD_AGAIN_H

#include "fit.h"

#define AHEAD_FLAGS (RTPFWD_F_USER | RTPFWD_F_UNRESOLVED)

/*
 * Of the flows on a packet's way through this node, from the slot `index` on: what they have of
 * AHEAD_FLAGS, and RTPFWD_F_LOCAL where they are too many: a loop. Above these 32 bits, how many
 * bytes of payload the last one's way takes of what is due to the first.
 */
static __always_inline __u64 flow_ahead(struct host *h, __u32 index)
{
	struct flow f = { .host = h, .index = index };
	__u32 flags = 0, grown = 0, room = ANY_LENGTH, select;

	for (int i = 0; i < RTPFWD_PASSES; i++) {
		f.slot = slot_at(h, f.index);
		if (!f.slot)
			break;
		select = *(volatile __u32 *)&f.slot->select;
		if (select == RTPFWD_UNLEASED || select == RTPFWD_FOREIGN ||
		    !flow_choose(&f, select))
			break;
		flags |= f.flags & AHEAD_FLAGS;
		if (f.flags & RTPFWD_F_FIT)
			room = room_of(&f) > grown ? room_of(&f) - grown : 0;
		if (!(f.flags & RTPFWD_F_LOCAL))
			break;
		grown += f.flags & RTPFWD_F_PROTECT ? f.act->grow : 0;
		f.index = rtpfwd_next(f.act);
		if (i == RTPFWD_PASSES - 1)
			flags |= RTPFWD_F_LOCAL;
	}
	return (__u64)room << 32 | flags;
}

/* A loop is refused at once, and counted as what would end it: its time to live. */
static __always_inline void flow_look_ahead(struct flow *f)
{
	__u64 ahead = look_ahead(f->host, rtpfwd_next(f->act));
	__u32 grown = f->flags & RTPFWD_F_PROTECT ? f->act->grow : 0;

	f->flags |= (__u32)ahead & AHEAD_FLAGS;
	f->endless = ahead & RTPFWD_F_LOCAL;
	f->room = ahead >> 32;
	if (f->room != ANY_LENGTH)
		f->room = f->room > grown ? f->room - grown : 0;
}

#endif
