// SPDX-License-Identifier: GPL-2.0-or-later
/* What a slot is told to do: from the desired flow and its next hop. */
#include "datapath/priv.h"

#include <string.h>

/* Seconds that a former source stays admitted after a change: packets in flight. */
#define LATE_S 2

static void set_destination(struct rtpfwd_action *act, const struct flow *flow)
{
	const struct flow_want *want = &flow->want;
	const struct nexthop *hop = flow->hop;

	act->from_ip = want->from.family == AF_INET ? want->from.v4.s_addr : 0;
	act->from_port = htons(want->from.port);
	act->to_ip = want->to.family == AF_INET ? want->to.v4.s_addr : 0;
	act->to_port = htons(want->to.port);
	if (want->mode == FLOW_MUTED)
		act->drop = RTPFWD_R_not_signalled;
	else if (want->mode == FLOW_STRAY)
		act->drop = RTPFWD_R_direct_stray;
	else
		act->drop = hop ? hop->drop : RTPFWD_R_no_route;
	if (!hop || !hop->link || act->drop)
		return;
	act->link = (uint16_t)hop->link->key;
	act->ifindex = hop->link->now.ifindex;
	/* A veth whose other end has no XDP program is never told of what XDP_TX put into its ring
	 * (kernels up to 6.18 at least): after 256 frames the link is dead. */
	if (hop->link->now.veth)
		act->flags |= RTPFWD_F_REDIRECT;
	memcpy(act->from_mac, hop->link->now.mac, sizeof(act->from_mac));
	if (hop->neighbour)
		memcpy(act->to_mac, hop->neighbour->mac, sizeof(act->to_mac));
}

static struct rtpfwd_action desired(const struct flow *flow)
{
	const struct flow_want *want = &flow->want;
	struct rtpfwd_action act = { .clock_rate = want->clock_rate };

	if (want->kind == FLOW_RTCP)
		act.flags |= RTPFWD_F_RTCP;
	if (want->any_port)
		act.flags |= RTPFWD_F_ANY_PORT;
	if (want->expect.family == AF_INET) {
		act.flags |= RTPFWD_F_EXPECT;
		act.expect_ip = want->expect.v4.s_addr;
		act.expect_port = htons(want->expect.port);
	}
	set_destination(&act, flow);
	return act;
}

static bool same_source(const struct rtpfwd_action *a, const struct rtpfwd_action *b)
{
	const uint8_t flags = RTPFWD_F_EXPECT | RTPFWD_F_ANY_PORT;

	return a->expect_ip == b->expect_ip && a->expect_port == b->expect_port &&
	       (a->flags & flags) == (b->flags & flags);
}

/* Who is late for `next` when `now` was in force: its source if that changed, else who was late
 * already. */
static void set_late(struct rtpfwd_action *next, const struct rtpfwd_action *now,
		     const struct datapath *dp)
{
	uint64_t jiffies = datapath_jiffies(dp);

	if (!same_source(next, now)) {
		if (!(now->flags & RTPFWD_F_EXPECT))
			return;
		next->late_ip = now->expect_ip;
		next->late_port = now->expect_port;
		next->late_until = jiffies + (uint64_t)(LATE_S * dp->clock.hz);
		if (now->flags & RTPFWD_F_ANY_PORT)
			next->flags |= RTPFWD_F_LATE_ANY;
	} else if (now->late_until > jiffies) {
		next->late_ip = now->late_ip;
		next->late_port = now->late_port;
		next->late_until = now->late_until;
		next->flags |= now->flags & RTPFWD_F_LATE_ANY;
	}
}

bool action_same(const struct rtpfwd_action *a, const struct rtpfwd_action *b)
{
	struct rtpfwd_action x = *a, y = *b;

	x.late_ip = y.late_ip = 0;
	x.late_port = y.late_port = 0;
	x.late_until = y.late_until = 0;
	x.flags &= (uint8_t)~RTPFWD_F_LATE_ANY;
	y.flags &= (uint8_t)~RTPFWD_F_LATE_ANY;
	return !memcmp(&x, &y, sizeof(x));
}

struct rtpfwd_action action_desired(const struct datapath *dp, const struct flow *flow,
				    const struct rtpfwd_action *now)
{
	struct rtpfwd_action next = desired(flow);

	if (now && action_same(&next, now))
		return *now;
	if (now)
		set_late(&next, now, dp);
	return next;
}
