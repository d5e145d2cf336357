// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Publication of one slot (see struct rtpfwd_slot). A change is written into a copy in which no
 * reader can be, selected, and the copy left waits for a grace period until it may be written
 * again. When no copy is free, what is desired waits for that, and the last word wins. In the end
 * the first copy is in force again, so that the steady state reads one line.
 */
#include "datapath/priv.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t selects[COPIES] = { RTPFWD_FIRST, RTPFWD_SECOND, RTPFWD_THIRD };

static struct rtpfwd_action *copy_of(const struct datapath *dp, uint32_t slot, unsigned int copy)
{
	struct rtpfwd_rest *rest = &dp->rests[slot];

	return copy == 0 ? &dp->slots[slot].first : copy == 1 ? &rest->second : &rest->third;
}

static struct action read_copy(const struct datapath *dp, uint32_t slot, unsigned int copy)
{
	const struct rtpfwd_rest *rest = &dp->rests[slot];

	return (struct action){ *copy_of(dp, slot, copy), rest->wide[copy], rest->extra[copy],
				rest->path[copy] };
}

static void write_copy(struct datapath *dp, uint32_t slot, unsigned int copy,
		       const struct action *action)
{
	*copy_of(dp, slot, copy) = action->act;
	dp->rests[slot].wide[copy] = action->wide;
	dp->rests[slot].extra[copy] = action->extra;
	dp->rests[slot].path[copy] = action->path;
}

static unsigned int selected(const struct rtpfwd_slot *slot)
{
	for (unsigned int copy = 0; copy < COPIES; copy++)
		if (slot->select == selects[copy])
			return copy;
	return NO_COPY;
}

bool slots_leased(const struct rtpfwd_slot *slot)
{
	return selected(slot) != NO_COPY;
}

bool slots_action(const struct datapath *dp, uint32_t slot, struct action *out)
{
	unsigned int copy = selected(&dp->slots[slot]);

	if (copy != NO_COPY)
		*out = read_copy(dp, slot, copy);
	return copy != NO_COPY;
}

static void select_copy(struct rtpfwd_slot *slot, uint32_t select)
{
	__atomic_store_n(&slot->select, select, __ATOMIC_RELEASE);
}

/* Copies left from here on wait for the next grace period: this one began too early for them. */
static void enter_grace(struct datapath *dp)
{
	dp->graces_running = dp->graces;
	dp->graces = NULL;
	for (struct flow *flow = dp->graces_running; flow; flow = flow->grace_next) {
		flow->leaving = flow->left;
		flow->left = 0;
	}
}

static void begin_grace(struct datapath *dp)
{
	if (!dp->graces || !dp->grace || dp->graces_running)
		return;
	enter_grace(dp);
	grace_begin(dp->grace);
}

static void await_grace(struct datapath *dp, struct flow *flow)
{
	if (!flow->queued) {
		flow->queued = true;
		flow->grace_next = dp->graces;
		dp->graces = flow;
	}
	begin_grace(dp);
}

static void leave_copy(struct datapath *dp, struct flow *flow)
{
	flow->left |= (uint8_t)(1u << flow->copy);
	await_grace(dp, flow);
}

/* The lowest in which no reader can be, so that the first is taken as soon as it is free. */
static unsigned int free_copy(const struct flow *flow)
{
	unsigned int busy = flow->left | flow->leaving;

	for (unsigned int copy = 0; copy < COPIES; copy++)
		if (copy != flow->copy && !(busy & 1u << copy))
			return copy;
	return NO_COPY;
}

/* The data path writes the counters of a slot whose last readers have not ended: it is not begun
 * anew before. */
static void publish_new(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_slot *slot = &dp->slots[flow->slot];
	struct rtpfwd_rest *rest = &dp->rests[flow->slot];
	struct action action;

	if (flow->left | flow->leaving)
		return;
	action = action_desired(dp, flow, NULL);
	memset(&slot->counters, 0, sizeof(slot->counters));
	memset(&rest->refused, 0, sizeof(rest->refused));
	memset(&rest->heard, 0, sizeof(rest->heard));
	write_copy(dp, flow->slot, 0, &action);
	rest->owner = flow->want.owner;
	flow->copy = 0;
	select_copy(slot, RTPFWD_FIRST);
}

static void publish_change(struct datapath *dp, struct flow *flow)
{
	struct rtpfwd_rest *rest = &dp->rests[flow->slot];
	struct action now = read_copy(dp, flow->slot, flow->copy);
	struct action next = action_desired(dp, flow, &now);
	unsigned int copy = free_copy(flow);

	if (rest->owner != flow->want.owner)
		__atomic_store_n(&rest->owner, flow->want.owner, __ATOMIC_RELAXED);
	if (copy == NO_COPY || (action_same(&next, &now) && copy > flow->copy))
		return;
	write_copy(dp, flow->slot, copy, &next);
	select_copy(&dp->slots[flow->slot], selects[copy]);
	leave_copy(dp, flow);
	flow->copy = (uint8_t)copy;
}

void slots_publish(struct datapath *dp, struct flow *flow)
{
	uint32_t *rate = &dp->slots[flow->slot].rate;

	if (*rate != flow->want.rate)
		__atomic_store_n(rate, flow->want.rate, __ATOMIC_RELAXED);
	if (flow->copy == NO_COPY)
		publish_new(dp, flow);
	else
		publish_change(dp, flow);
}

void slots_adopt(struct datapath *dp, struct flow *flow)
{
	flow->copy = (uint8_t)selected(&dp->slots[flow->slot]);
	publish_change(dp, flow);
}

void slots_withdraw(struct datapath *dp, struct flow *flow)
{
	select_copy(&dp->slots[flow->slot], RTPFWD_UNLEASED);
	if (flow->copy != NO_COPY)
		leave_copy(dp, flow);
	else
		await_grace(dp, flow);
	flow->copy = NO_COPY;
}

/* The readers that were in `leaving` have ended. */
static void readers_gone(struct datapath *dp, struct flow *flow)
{
	flow->leaving = 0;
	flow->queued = false;
	if (flow->left)
		await_grace(dp, flow);
	if (flow->live) {
		slots_publish(dp, flow);
		if (!flow->queued)
			contexts_prune(dp, flow);
	} else if (!flow->queued) {
		dp->flows[flow->slot] = NULL;
		free(flow);
	}
}

static void grace_over(struct datapath *dp)
{
	struct flow *flow = dp->graces_running, *next;

	for (; flow; flow = next) {
		next = flow->grace_next;
		readers_gone(dp, flow);
	}
	dp->graces_running =
		NULL; /* until here it kept the next period from beginning with a part */
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
		enter_grace(dp);
		grace_wait(dp->relay);
		grace_over(dp);
	}
}
