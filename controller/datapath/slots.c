// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Publication of one slot (see struct rtpfwd_slot). Phases, with g a grace period later:
 *
 *   FREE -> STEADY                 new flow: first copy written, selected; no reader was there,
 * nothing to wait for STEADY -> MOVED -g-> BACK -g-> STEADY   change: second copy written,
 * selected; then the first, so that one line is read again any -> ENDED -g-> FREE unselected
 *
 * In MOVED the first copy is written when its readers have gone, with whatever is desired by then;
 * what is desired in BACK or ENDED waits for the next phase. So a flow waits in at most one queue
 * and the last word always wins.
 */
#include "datapath/priv.h"

#include <stdlib.h>
#include <string.h>

#define LATE_S                                                                                     \
	2 /* seconds that a former source stays admitted after a change (packets in flight) */

const struct rtpfwd_action *slots_action(const struct rtpfwd_slot *slot)
{
	if (slot->select == RTPFWD_FIRST)
		return &slot->first;
	return slot->select == RTPFWD_SECOND ? &slot->second : NULL;
}

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

/* Equal but for who is late? */
static bool same_action(const struct rtpfwd_action *a, const struct rtpfwd_action *b)
{
	struct rtpfwd_action x = *a, y = *b;

	x.late_ip = y.late_ip = 0;
	x.late_port = y.late_port = 0;
	x.late_until = y.late_until = 0;
	x.flags &= (uint8_t)~RTPFWD_F_LATE_ANY;
	y.flags &= (uint8_t)~RTPFWD_F_LATE_ANY;
	return !memcmp(&x, &y, sizeof(x));
}

static void select_copy(struct rtpfwd_slot *slot, uint32_t select)
{
	__atomic_store_n(&slot->select, select, __ATOMIC_RELEASE);
}

static void begin_grace(struct datapath *dp)
{
	if (!dp->graces || !dp->grace || dp->graces_running)
		return;
	dp->graces_running = dp->graces;
	dp->graces = NULL;
	for (struct flow *flow = dp->graces_running; flow; flow = flow->grace_next)
		flow->wait = WAIT_RUNNING;
	grace_begin(dp->grace);
}

/* The flow has just entered its phase: a grace period that is running already does not count. */
static void await_grace(struct datapath *dp, struct flow *flow)
{
	if (flow->wait == WAIT_RUNNING) {
		flow->wait = WAIT_AGAIN;
	} else if (flow->wait == WAIT_NONE) {
		flow->wait = WAIT_NEXT;
		flow->grace_next = dp->graces;
		dp->graces = flow;
	}
	begin_grace(dp);
}

static void publish_new(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_slot *slot = &dp->slots[flow->slot];

	memset(&slot->counters, 0, sizeof(slot->counters));
	memset(&slot->refused, 0, sizeof(slot->refused));
	slot->first = desired(flow);
	slot->owner = flow->want.owner;
	select_copy(slot, RTPFWD_FIRST);
	flow->phase = PHASE_STEADY;
}

static void publish_change(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_slot *slot = &dp->slots[flow->slot];
	struct rtpfwd_action next = desired(flow);

	if (same_action(&next, &slot->first))
		return;
	set_late(&next, &slot->first, dp);
	slot->second = next;
	select_copy(slot, RTPFWD_SECOND);
	flow->phase = PHASE_MOVED;
	await_grace(dp, flow);
}

static void move_back(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_slot *slot = &dp->slots[flow->slot];
	struct rtpfwd_action next = desired(flow);

	if (same_action(&next, &slot->second))
		next = slot->second;
	else
		set_late(&next, &slot->second, dp);
	slot->first = next;
	select_copy(slot, RTPFWD_FIRST);
	flow->phase = PHASE_BACK;
	await_grace(dp, flow);
}

void slots_publish(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_slot *slot = &dp->slots[flow->slot];

	if (flow->live && slot->owner != flow->want.owner && flow->phase != PHASE_ENDED)
		__atomic_store_n(&slot->owner, flow->want.owner, __ATOMIC_RELAXED);
	if (flow->phase == PHASE_FREE)
		publish_new(dp, flow);
	else if (flow->phase == PHASE_STEADY)
		publish_change(dp, flow);
}

void slots_adopt(struct datapath *dp, struct flow *flow)
{
	if (dp->slots[flow->slot].select == RTPFWD_SECOND) {
		flow->phase = PHASE_MOVED;
		await_grace(dp, flow);
	} else {
		flow->phase = PHASE_STEADY;
		publish_change(dp, flow);
	}
}

void slots_withdraw(struct datapath *dp, struct flow *flow)
{
	select_copy(&dp->slots[flow->slot], RTPFWD_UNLEASED);
	flow->phase = PHASE_ENDED;
	await_grace(dp, flow);
}

/* A grace period has passed since the flow entered its phase. */
static void advance(struct datapath *dp, struct flow *flow)
{
	switch (flow->phase) {
	case PHASE_MOVED:
		move_back(dp, flow);
		break;
	case PHASE_BACK:
		flow->phase = PHASE_STEADY;
		publish_change(dp, flow);
		break;
	case PHASE_ENDED:
		flow->phase = PHASE_FREE;
		if (flow->live) {
			publish_new(dp, flow);
			break;
		}
		dp->flows[flow->slot] = NULL;
		free(flow);
		break;
	case PHASE_FREE:
	case PHASE_STEADY:
		break;
	}
}

static void grace_over(struct datapath *dp)
{
	struct flow *flow = dp->graces_running, *next;

	for (; flow; flow = next) {
		bool again = flow->wait == WAIT_AGAIN;

		next = flow->grace_next;
		flow->wait = WAIT_NONE;
		if (again)
			await_grace(dp, flow);
		else
			advance(dp, flow);
	}
	dp->graces_running =
		NULL; /* until here it kept the next period from beginning with a part of them */
}

void slots_grace_over(void *datapath)
{
	struct datapath *dp = datapath;

	grace_over(dp);
	begin_grace(dp);
}

void slots_settle(struct datapath *dp)
{
	grace_free(dp->grace); /* the running period is over after it */
	dp->grace = NULL;
	grace_over(dp);
	while (dp->graces) {
		dp->graces_running = dp->graces;
		dp->graces = NULL;
		grace_wait();
		grace_over(dp);
	}
}
