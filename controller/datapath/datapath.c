// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/priv.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 1000

uint64_t datapath_jiffies(const struct datapath *dp)
{
	uint64_t ns = loop_now_us(dp->loop) * 1000;

	if (ns <= dp->clock.ns)
		return dp->clock.jiffies;
	return dp->clock.jiffies + (uint64_t)((double)(ns - dp->clock.ns) / 1e9 * dp->clock.hz);
}

static void on_tick(void *owner)
{
	struct datapath *dp = owner;
	int err = xdp_beat(dp, true);

	if (err)
		log_error("cannot renew the lease of the media: %s", strerror(-err));
	uppers_tick(dp);
	rung_tick(dp);
	nexthop_kick(dp);
	nexthop_look(dp);
	adopt_sweep(dp);
	guard_tick(dp);
	timer_set(&dp->tick, TICK_MS);
}

static struct datapath *allocate(const struct conf *conf, struct loop *loop,
				 const struct datapath_events *events)
{
	struct datapath *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return NULL;
	dp->conf = conf;
	dp->loop = loop;
	if (events)
		dp->events = *events;
	dp->lock = -1;
	dp->fd.crypts = -1;
	user_init(dp);
	for (int i = 0; i < TRACES; i++)
		dp->traces[i] = -1;
	timer_init(&dp->tick, loop, on_tick, dp);
	dp->totals = calloc(conf->n_realms ? conf->n_realms : 1, sizeof(*dp->totals));
	if (!dp->totals) {
		free(dp);
		return NULL;
	}
	return dp;
}

/* Maps and programs, then interfaces, then what forwards already, then attachment: adopted flows
 * never meet a half-made node. */
static int start(struct datapath *dp, char *why, size_t why_size)
{
	int err;

	err = pins_open(dp, why, why_size);
	if (!err)
		err = xdp_open(dp, why, why_size);
	if (err)
		return err;
	dp->flows = calloc(dp->layout.slots, sizeof(struct flow *));
	err = dp->flows ? crypts_open(dp, dp->conf) : -ENOMEM;
	if (!err)
		err = seals_open(dp, dp->conf);
	if (!err)
		err = adopt_find(dp);
	if (!err) {
		contexts_adopt(dp);
		crypts_adopt(dp);
	}
	if (!err)
		err = grace_new(&dp->grace, dp->loop, dp->relay, slots_grace_over, dp);
	if (!err)
		err = learn_open(dp);
	if (!err)
		err = nexthop_open(dp);
	if (!err)
		err = xdp_beat(dp, true);
	if (err) {
		snprintf(why, why_size, "cannot start the data path: %s", strerror(-err));
		return err;
	}
	err = link_open_all(dp, why, why_size);
	if (!err)
		err = trace_attach(dp, why, why_size);
	if (!err)
		err = user_open(dp, why, why_size);
	if (!err)
		err = rung_attach_all(dp, dp->adopted != NULL, why, why_size);
	if (!err)
		err = guard_open(dp, why, why_size);
	return err;
}

int datapath_open(struct datapath **out, const struct conf *conf, struct loop *loop,
		  const struct datapath_events *events,
		  void (*adopted)(void *ctx, const struct addr *local), void *ctx, char *why,
		  size_t why_size)
{
	struct datapath *dp;
	int err;

	snprintf(why, why_size, "no memory");
	dp = allocate(conf, loop, events);
	if (!dp)
		return -ENOMEM;
	err = layout_build(&dp->layout, conf, why, why_size);
	if (!err)
		err = start(dp, why, why_size);
	if (err) {
		if (dp->made)
			pins_clear(dp->folder);
		datapath_close(dp);
		return err;
	}
	adopt_resolve(dp);
	if (adopted)
		adopt_each(dp, adopted, ctx);
	timer_set(&dp->tick, TICK_MS);
	totals_start(dp);
	*out = dp;
	return 0;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	timer_stop(&dp->tick);
	totals_stop(dp);
	learn_close(dp);
	slots_settle(dp);
	nexthop_close(dp);
	user_close(dp);
	crypts_close(dp);
	seals_close(dp);
	rung_close_all(dp);
	trace_close(dp);
	adopt_free(dp);
	for (uint32_t slot = 0; dp->flows && slot < dp->layout.slots; slot++) {
		if (dp->flows[slot])
			flow_forget_keys(&dp->flows[slot]->want);
		free(dp->flows[slot]);
	}
	free(dp->flows);
	xdp_close(dp);
	guard_close(dp);
	if (dp->lock >= 0)
		close(dp->lock);
	free(dp->totals);
	free(dp);
}

int datapath_reload(struct datapath *dp, const struct conf *next, char *why, size_t why_size)
{
	char again[256];
	int err = guard_set(dp, next->guard, why, why_size);

	if (!err) {
		err = seals_open(dp, next);
		if (err)
			snprintf(why, why_size, "libsrtp2 does not work here");
	}
	if (!err) {
		err = crypts_reload(dp, next);
		if (err)
			snprintf(why, why_size, "encryption: no map for the keys: %s",
				 strerror(-err));
	}
	if (err)
		guard_set(dp, dp->conf->guard, again, sizeof(again));
	else
		dp->conf = next;
	return err;
}

int datapath_detach(const struct conf *conf, char *why, size_t why_size)
{
	int lock = -1, err = 0, unguarded;

	if (pins_exist(conf->bpffs)) {
		err = pins_lock(&lock, conf->bpffs, why, why_size);
		if (err)
			return err;
		contexts_detach(conf->bpffs);
		user_dismiss(conf->bpffs);
		err = pins_clear(conf->bpffs);
	}
	if (err)
		snprintf(why, why_size, "bpffs = %s: cannot remove what is pinned there: %s",
			 conf->bpffs, strerror(-err));
	unguarded = guard_remove(conf->bpffs);
	if (unguarded && !err)
		snprintf(why, why_size, "cannot remove the nftables table of bpffs = %s: %s",
			 conf->bpffs, strerror(-unguarded));
	if (lock >= 0)
		close(lock);
	return err ? err : unguarded;
}

struct flow *datapath_new_flow(struct datapath *dp, uint32_t slot, unsigned int realm)
{
	struct flow *flow = dp->flows[slot];

	if (!flow) {
		flow = calloc(1, sizeof(*flow));
		if (!flow)
			return NULL;
		flow->slot = slot;
		flow->realm = realm;
		flow->copy = NO_COPY;
		dp->flows[slot] = flow;
	}
	flow->want = (struct flow_want){ .local = layout_addr(&dp->layout, slot) };
	flow->live = true;
	flow->refused = 0;
	dp->n_flows++;
	totals_add(dp, flow);
	return flow;
}

static bool is_stray(const struct flow *flow)
{
	return flow->want.mode == FLOW_STRAY;
}

void datapath_end_flow(struct datapath *dp, struct flow *flow)
{
	totals_remove(dp, flow);
	if (flow->adopted)
		adopt_take_over(dp, flow);
	flow->live = false;
	dp->n_flows--;
	dp->n_strays -= is_stray(flow);
	flow_forget_keys(&flow->want);
	nexthop_leave(dp, flow);
	slots_withdraw(dp, flow);
	/* Nobody who comes now finds the flow. Who found it before may still use its keys, or meet
	 * with none: his packets are the flow's own, and each index is remembered. */
	crypts_end(dp, flow);
	contexts_end(dp, flow);
}

bool datapath_encrypts(const struct datapath *dp)
{
	return dp->kmod || (dp->crypts && dp->user.program);
}

int datapath_apply(struct datapath *dp, const struct flow_want *want)
{
	unsigned int realm;
	struct flow *flow;
	uint32_t slot;
	bool fresh;
	int err;

	if ((want->in.suite || want->out.suite) && !datapath_encrypts(dp))
		return -EOPNOTSUPP;
	if (layout_find(&dp->layout, &want->local, &slot, &realm))
		return -EINVAL;
	flow = dp->flows[slot];
	fresh = !flow || !flow->live;
	if (fresh)
		flow = datapath_new_flow(dp, slot, realm);
	if (!flow)
		return -ENOMEM;
	err = keys_apply(dp, flow, want);
	if (err && fresh)
		datapath_end_flow(dp, flow);
	if (err)
		return err;
	if (flow->adopted)
		adopt_take_over(dp, flow);
	dp->n_strays -= is_stray(flow);
	flow->want = *want;
	dp->n_strays += is_stray(flow);
	nexthop_join(dp, flow);
	slots_publish(dp, flow);
	totals_replane(dp, flow);
	return 0;
}

struct flow *datapath_flow_at(const struct datapath *dp, const struct addr *local)
{
	uint32_t slot;

	if (layout_find(&dp->layout, local, &slot, NULL))
		return NULL;
	return dp->flows[slot] && dp->flows[slot]->live ? dp->flows[slot] : NULL;
}

void datapath_remove(struct datapath *dp, const struct addr *local, struct flow_counters *last)
{
	struct flow *flow = datapath_flow_at(dp, local);

	if (last)
		*last = (struct flow_counters){ .last_s = -1, .round_trip_ms = -1 };
	if (!flow)
		return;
	if (last)
		report_flow(dp, flow, last);
	datapath_end_flow(dp, flow);
}

int datapath_counters(const struct datapath *dp, const struct addr *local,
		      struct flow_counters *out)
{
	struct flow *flow = datapath_flow_at(dp, local);

	if (!flow)
		return -ENOENT;
	report_flow(dp, flow, out);
	return 0;
}
