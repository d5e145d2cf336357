// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static struct addr read_seen(const struct datapath *dp, uint32_t slot)
{
	uint64_t seen = LOAD(dp->slots[slot].counters.seen);
	struct addr addr = { .port = ntohs((__be16)(seen >> 32)) };

	if (!seen)
		return addr;
	addr.family = seen & RTPFWD_SEEN_IPV6 ? AF_INET6 : AF_INET;
	if (addr.family == AF_INET6)
		memcpy(&addr.v6, dp->rests[slot].refused.seen_ip, sizeof(addr.v6));
	else
		addr.v4.s_addr = (__be32)seen;
	return addr;
}

/* An end bit may be lost, three packets with it in a row (RFC 4733 2.5.1.4) hardly. */
#define EVENT_S 0.5

static void read_heard(const struct datapath *dp, uint32_t slot, struct flow_counters *out)
{
	const struct rtpfwd_heard *h = &dp->rests[slot].heard;
	uint32_t round_trip = LOAD(h->round_trip), far = LOAD(h->far_lost);
	uint64_t event = LOAD(h->event);

	if (round_trip)
		out->round_trip_ms = round_trip * 1000.0 / 65536;
	out->far_lost = far & 0x800000 ? 0 : far & 0x7fffff; /* signed: below 0 after duplicates */
	out->far_fraction = (far >> 24) / 256.0;
	out->reordered = LOAD(h->reordered);
	out->duplicates = LOAD(h->duplicates);
	out->ssrc_changes = LOAD(h->ssrc_changes);
	out->gap_ms = LOAD(dp->slots[slot].counters.gap) * 1000 / dp->clock.hz;
	out->event = event && (double)datapath_jiffies(dp) < (double)event + EVENT_S * dp->clock.hz;
}

/* The interface that says on which rung its realm is: one with XDP, if any has it. */
static const struct link *link_of(const struct datapath *dp, unsigned int index)
{
	const struct conf_realm *realm = &dp->conf->realms[index];
	const struct link *found = NULL;

	for (size_t i = 0; i < realm->n_interfaces; i++) {
		const struct link *link = link_by_name(dp, realm->interfaces[i]);

		if (link && (!found || found->fd < 0))
			found = link;
	}
	return found;
}

/* The flow whose packets go on as this one's, within the node; NULL: they come in by a wire. It
 * leaves from the port at which the opposite one arrives. */
static const struct flow *flow_before(const struct datapath *dp, const struct flow *flow)
{
	const struct flow *opposite = datapath_flow_at(dp, &flow->want.expect), *before;

	before = opposite ? datapath_flow_at(dp, &opposite->want.from) : NULL;
	return before && before->local && before->next == flow->slot ? before : NULL;
}

static const struct flow *flow_first(const struct datapath *dp, const struct flow *flow)
{
	const struct flow *before;

	for (int i = 0; i < RTPFWD_PASSES && (before = flow_before(dp, flow)); i++)
		flow = before;
	return flow;
}

/* Of it and those as which its packets go on here, the one whose keys the relay has; NULL: none. */
static const struct flow *relays_flow(const struct datapath *dp, const struct flow *flow)
{
	for (int i = 0; flow && i <= RTPFWD_PASSES; i++) {
		if (keys_need_relay(dp, flow))
			return flow;
		flow = flow->local ? dp->flows[flow->next] : NULL;
	}
	return NULL;
}

/* A packet stays on the plane that it came in by, through however many flows it goes. */
enum datapath_plane report_plane(const struct datapath *dp, const struct flow *flow)
{
	const struct flow *first = flow_first(dp, flow);
	const struct link *link = link_of(dp, first->realm);

	if ((link && link->fd < 0) || relays_flow(dp, first))
		return PLANE_USER;
	return keys_used(flow) ? PLANE_KMOD : PLANE_XDP;
}

static const char *reason_of(const struct datapath *dp, const struct flow *flow)
{
	const struct flow *first = flow_first(dp, flow), *relays = relays_flow(dp, first);
	const struct link *link = link_of(dp, first->realm);

	if (relays && !keys_need_relay(dp, flow))
		return keys_reason(dp, relays);
	if (keys_used(flow) && report_plane(dp, flow) == PLANE_USER)
		return keys_reason(dp, flow);
	return link ? link->reason : "";
}

void report_flow(const struct datapath *dp, const struct flow *flow, struct flow_counters *out)
{
	const struct rtpfwd_counters *c = &dp->slots[flow->slot].counters;
	const struct rtpfwd_refused *refused = &dp->rests[flow->slot].refused;
	uint64_t last, now = datapath_jiffies(dp);
	int64_t lost;

	*out = (struct flow_counters){ .plane = report_plane(dp, flow),
				       .last_s = -1,
				       .round_trip_ms = -1 };
	if (flow->copy ==
	    NO_COPY) /* leased anew, not in force: what stands there is the former flow's */
		return;
	out->packets = LOAD(c->packets) + LOAD(refused->up_packets);
	out->bytes = LOAD(c->bytes) + LOAD(refused->up_bytes);
	out->dropped = LOAD(refused->dropped);
	out->wrong_source = LOAD(refused->wrong_source);
	lost = LOAD(c->lost) - (int64_t)LOAD(refused->up_rtp);
	out->lost = lost > 0 ? (uint64_t)lost : 0;
	out->ssrc = LOAD(c->ssrc);
	read_heard(dp, flow->slot, out);
	out->seen = read_seen(dp, flow->slot);
	if (flow->want.clock_rate)
		out->jitter_ms = LOAD(c->jitter) / 16.0 * 1000 / flow->want.clock_rate;
	last = LOAD(c->last);
	if (last)
		out->last_s = now > last ? (double)(now - last) / dp->clock.hz : 0;
}

void datapath_each(const struct datapath *dp, uint64_t *at,
		   bool (*each)(void *ctx, const struct flow_report *flow), void *ctx)
{
	while (*at < dp->layout.slots) {
		const struct flow *flow = dp->flows[layout_nth(&dp->layout, (uint32_t)(*at)++)];
		struct flow_report report;

		if (!flow || !flow->live || flow->want.mode == FLOW_STRAY)
			continue;
		report = (struct flow_report){ .want = flow->want,
					       .adopted = flow->adopted,
					       .reason = reason_of(dp, flow) };
		flow_forget_keys(&report.want);
		report_flow(dp, flow, &report.counters);
		if (!each(ctx, &report))
			return;
	}
}

static const char *mode_of(const struct link *link)
{
	if (link->fd < 0)
		return "off";
	return link->native ? "native" : "generic";
}

size_t datapath_interfaces(const struct datapath *dp, struct datapath_interface_report *out,
			   size_t max)
{
	size_t n = 0;

	for (size_t r = 0; r < dp->conf->n_realms; r++) {
		const struct conf_realm *realm = &dp->conf->realms[r];

		for (size_t i = 0; i < realm->n_interfaces; i++, n++) {
			const struct link *link = link_by_name(dp, realm->interfaces[i]);

			if (n < max && link)
				out[n] = (struct datapath_interface_report){
					(unsigned int)r, link->name, mode_of(link), link->reason
				};
		}
	}
	return n;
}

size_t datapath_plane_count(const struct datapath *dp, enum datapath_plane plane)
{
	return dp->n_plane[plane];
}

size_t datapath_flow_count(const struct datapath *dp)
{
	return dp->n_flows - dp->n_strays;
}

bool datapath_survives(const struct datapath *dp)
{
	return dp->survives;
}

static void read_drops(const struct datapath *dp, uint64_t packets[RTPFWD_MAX_REASONS])
{
	int cpus = libbpf_num_possible_cpus();
	struct rtpfwd_drops *each;
	uint32_t zero = 0;

	for (int reason = 0; reason < RTPFWD_MAX_REASONS; reason++)
		packets[reason] = LOAD(dp->relay->drops.packets[reason]);
	each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;
	if (each && !bpf_map_lookup_elem(dp->fd.drops, &zero, each))
		for (int cpu = 0; cpu < cpus; cpu++)
			for (int reason = 0; reason < RTPFWD_MAX_REASONS; reason++)
				packets[reason] += each[cpu].packets[reason];
	free(each);
}

unsigned int datapath_hz(const struct datapath *dp)
{
	return dp->control->hz;
}

void datapath_drops(const struct datapath *dp,
		    void (*each)(void *ctx, const char *reason, const char *help, bool up,
				 uint64_t packets),
		    void *ctx)
{
	uint64_t packets[RTPFWD_MAX_REASONS];

	read_drops(dp, packets);
#define DROP(name, help) each(ctx, #name, help, false, packets[RTPFWD_R_##name]);
	RTPFWD_DROP_REASONS(DROP)
#undef DROP
	each(ctx, "unserved", "to a relay port, where neither XDP nor the userspace relay took it",
	     false, guard_unserved(dp));
#define UP(name, help) each(ctx, #name, help, true, packets[RTPFWD_R_##name]);
	RTPFWD_UP_REASONS(UP)
#undef UP
}
