// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flows that a former controller left. They forward as they did; what is known of them stands in
 * their slots. The flows of one owner end together, when none of them has seen a packet for as long
 * as the lease.
 */
#include "datapath/priv.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct addr v4(__be32 ip, __be16 port)
{
	return (struct addr){ .family = ip ? AF_INET : AF_UNSPEC,
			      .port = ntohs(port),
			      .v4.s_addr = ip };
}

static struct addr v6(const __be32 ip[4], __be16 port)
{
	struct addr a = { .family = AF_INET6, .port = ntohs(port) };

	memcpy(&a.v6, ip, sizeof(a.v6));
	return addr_is_any(&a) ? (struct addr){ 0 } : a;
}

static void read_destination(const struct datapath *dp, struct flow_want *want,
			     const struct action *action)
{
	const struct rtpfwd_action *act = &action->act;
	struct addr from;

	if (!(act->flags & RTPFWD_F_IPV6)) {
		want->from = v4(act->from_ip, act->from_port);
		want->to = v4(act->to_ip, act->to_port);
		return;
	}
	from = layout_addr6(&dp->layout, act->from_ip);
	want->from = addr_with_port(&from, ntohs(act->from_port));
	want->to = v6(action->wide.to_ip, act->to_port);
}

static enum flow_mode mode_of(const struct rtpfwd_action *act)
{
	if (act->drop == RTPFWD_R_not_signalled)
		return FLOW_MUTED;
	return act->drop == RTPFWD_R_direct_stray ? FLOW_STRAY : FLOW_FORWARD;
}

/* What the former controller must have wanted. */
static void read_want(const struct datapath *dp, struct flow_want *want, uint32_t slot)
{
	const struct rtpfwd_action *act;
	struct action action;
	uint32_t from;

	slots_action(dp, slot, &action);
	act = &action.act;
	want->owner = dp->rests[slot].owner;
	want->kind = act->flags & RTPFWD_F_RTCP ? FLOW_RTCP : FLOW_RTP;
	want->mode = mode_of(act);
	want->any_port = act->flags & RTPFWD_F_ANY_PORT;
	if (act->flags & RTPFWD_F_EXPECT)
		want->expect = want->local.family == AF_INET
				       ? v4(act->expect_ip, act->expect_port)
				       : v6(action.wide.expect_ip, act->expect_port);
	want->learning = act->flags & RTPFWD_F_LEARN;
	if (want->learning)
		want->learn = want->local.family == AF_INET ? v4(action.wide.learn_ip[0], 0)
							    : v6(action.wide.learn_ip, 0);
	read_destination(dp, want, &action);
	want->clock_rate = act->clock_rate;
	want->mux = act->flags & RTPFWD_F_MUX;
	want->opaque = act->flags & RTPFWD_F_OPAQUE;
	want->event = act->event;
	payloads_read(&want->payloads, &action);
	want->rate = dp->slots[slot].rate;
	if (layout_find(&dp->layout, &want->from, &from, &want->egress_realm))
		want->egress_realm = 0;
}

static int join_group(struct datapath *dp, struct flow *flow)
{
	struct adopted_group *group;

	HASH_FIND(hh, dp->adopted, &flow->want.owner, sizeof(flow->want.owner), group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->owner = flow->want.owner;
		HASH_ADD(hh, dp->adopted, owner, sizeof(group->owner), group);
		if (!group->hh.tbl) {
			free(group);
			return -ENOMEM;
		}
	}
	DL_APPEND2(group->flows, flow, group_prev, group_next);
	flow->adopted = true;
	return 0;
}

static int adopt(struct datapath *dp, uint32_t slot)
{
	struct addr local = layout_addr(&dp->layout, slot);
	struct action action;
	unsigned int realm;
	struct flow *flow;
	uint32_t same;

	if (layout_find(&dp->layout, &local, &same, &realm))
		return 0;
	flow = datapath_new_flow(dp, slot, realm);
	if (!flow)
		return -ENOMEM;
	read_want(dp, &flow->want, slot);
	if (slots_action(dp, slot, &action))
		contexts_read(flow, &action);
	crypts_read(dp, flow);
	dp->n_strays += flow->want.mode == FLOW_STRAY;
	return join_group(dp, flow);
}

int adopt_find(struct datapath *dp)
{
	bool expired = dp->clock.ns >= dp->control->lease_until_ns;
	uint32_t found = 0;
	int err = 0;

	if (!dp->reused)
		return 0;
	for (uint32_t slot = 0; slot < dp->layout.slots && !err; slot++) {
		if (!slots_leased(&dp->slots[slot]))
			continue;
		found++;
		if (expired)
			__atomic_store_n(&dp->slots[slot].select, RTPFWD_UNLEASED,
					 __ATOMIC_RELEASE);
		else
			err = adopt(dp, slot);
	}
	if (found) /* the former controller's readers, of copies that it was about to change */
		grace_wait(dp->relay);
	if (found)
		log_notice("%u flows of a former controller: %s", found,
			   expired ? "their lease has ended" : "kept");
	dp->opened_jiffies = dp->clock.jiffies;
	return err;
}

void adopt_resolve(struct datapath *dp)
{
	struct adopted_group *group, *next;
	struct flow *flow;

	HASH_ITER(hh, dp->adopted, group, next) {
		DL_FOREACH2(group->flows, flow, group_next) {
			struct action action;

			nexthop_join(dp, flow);
			if (slots_action(dp, flow->slot, &action))
				nexthop_assume(dp, flow, &action.act);
			slots_adopt(dp, flow);
			totals_replane(dp, flow);
		}
	}
}

void adopt_each(struct datapath *dp, void (*adopted)(void *ctx, const struct addr *local),
		void *ctx)
{
	struct adopted_group *group, *next;
	struct flow *flow;

	HASH_ITER(hh, dp->adopted, group, next)
		DL_FOREACH2(group->flows, flow, group_next)
			adopted(ctx, &flow->want.local);
}

void adopt_take_over(struct datapath *dp, struct flow *flow)
{
	struct adopted_group *group;

	HASH_FIND(hh, dp->adopted, &flow->want.owner, sizeof(flow->want.owner), group);
	flow->adopted = false;
	DL_DELETE2(group->flows, flow, group_prev, group_next);
	if (group->flows)
		return;
	HASH_DEL(dp->adopted, group);
	free(group);
}

static bool is_idle(const struct datapath *dp, const struct adopted_group *group)
{
	uint64_t last = dp->opened_jiffies;
	struct flow *flow;

	DL_FOREACH2(group->flows, flow, group_next)
		if (dp->slots[flow->slot].counters.last > last)
			last = dp->slots[flow->slot].counters.last;
	return datapath_jiffies(dp) >= last + (uint64_t)(dp->conf->lease_s * dp->clock.hz);
}

static void end_group(struct datapath *dp, struct adopted_group *group)
{
	struct flow *flow, *next;
	bool last = false;

	for (flow = group->flows; !last; flow = next) {
		struct addr local = flow->want.local;

		next = flow->group_next;
		last = !next;
		datapath_end_flow(dp, flow); /* the last one takes the group with it */
		if (dp->events.adopted_gone)
			dp->events.adopted_gone(dp->events.ctx, &local);
	}
}

void adopt_sweep(struct datapath *dp)
{
	struct adopted_group *group, *next;

	HASH_ITER(hh, dp->adopted, group, next)
		if (is_idle(dp, group))
			end_group(dp, group);
}

void adopt_free(struct datapath *dp)
{
	struct adopted_group *group, *next;

	HASH_ITER(hh, dp->adopted, group, next) {
		HASH_DEL(dp->adopted, group);
		free(group);
	}
}
