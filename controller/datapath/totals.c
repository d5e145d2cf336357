// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The realms' totals. Each flow's figures are added as they grow, a slice of the flows in a turn of
 * the loop: to read the counters of 100,000 flows takes some ten milliseconds of cache misses, and
 * nobody may wait for that.
 */
#include "datapath/priv.h"

#include <string.h>

#define SLICE	 2048 /* flows summed in one turn */
#define SLICE_MS 20

static void grow(uint64_t *total, uint64_t *summed, uint64_t now)
{
	if (now <= *summed)
		return;
	*total += now - *summed;
	*summed = now;
}

static void set_plane(struct datapath *dp, struct flow *flow, uint8_t plane)
{
	if (flow->plane < PLANES)
		dp->n_plane[flow->plane]--;
	if (plane < PLANES)
		dp->n_plane[plane]++;
	flow->plane = plane;
}

void totals_replane(struct datapath *dp, struct flow *flow)
{
	bool stray = flow->want.mode == FLOW_STRAY;

	set_plane(dp, flow, stray ? PLANES : (uint8_t)report_plane(dp, flow));
}

/* RTP alone. A loss that turns out to be a late packet stays counted: totals never fall. */
static void sum_flow(struct datapath *dp, struct flow *flow)
{
	struct datapath_realm_report *total = &dp->totals[flow->realm];
	struct flow_counters now;

	totals_replane(dp, flow);
	if (flow->want.kind != FLOW_RTP)
		return;
	report_flow(dp, flow, &now);
	grow(&total->packets[now.plane], &flow->summed.packets, now.packets);
	grow(&total->bytes[now.plane], &flow->summed.bytes, now.bytes);
	grow(&total->lost, &flow->summed.lost, now.lost);
}

static void sum_slice(struct datapath *dp)
{
	struct flow *flow = dp->sum_next ? dp->sum_next : dp->live;

	for (int i = 0; i < SLICE && flow; i++, flow = flow->live_next)
		sum_flow(dp, flow);
	dp->sum_next = flow;
}

static void on_sum(void *owner)
{
	struct datapath *dp = owner;

	sum_slice(dp);
	timer_set(&dp->sum, dp->sum_next ? SLICE_MS : 1000);
}

void totals_start(struct datapath *dp)
{
	timer_init(&dp->sum, dp->loop, on_sum, dp);
	timer_set(&dp->sum, 1000);
}

void totals_stop(struct datapath *dp)
{
	if (dp->sum.owner)
		timer_stop(&dp->sum);
}

void totals_add(struct datapath *dp, struct flow *flow)
{
	memset(&flow->summed, 0, sizeof(flow->summed));
	flow->plane = PLANES;
	DL_PREPEND2(dp->live, flow, live_prev, live_next);
}

void totals_remove(struct datapath *dp, struct flow *flow)
{
	sum_flow(dp, flow);
	set_plane(dp, flow, PLANES);
	if (dp->sum_next == flow)
		dp->sum_next = flow->live_next;
	DL_DELETE2(dp->live, flow, live_prev, live_next);
}

void datapath_realm(struct datapath *dp, unsigned int realm, struct datapath_realm_report *out)
{
	if (dp->n_flows <= SLICE) {
		dp->sum_next = NULL;
		sum_slice(dp);
	}
	*out = dp->totals[realm];
}
