// SPDX-License-Identifier: GPL-2.0-or-later
/* What a slot is told to do: from the desired flow and its next hop. */
#include "datapath/priv.h"

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <string.h>

/* Seconds that a former source stays admitted after a change: packets in flight. */
#define LATE_S 2

static void put_ip6(__be32 out[4], const struct addr *a)
{
	if (a->family == AF_INET6)
		memcpy(out, &a->v6, sizeof(a->v6));
}

static void set_addresses(const struct datapath *dp, struct action *out,
			  const struct flow_want *want)
{
	struct rtpfwd_action *act = &out->act;

	act->from_port = htons(want->from.port);
	act->to_port = htons(want->to.port);
	put_ip6(out->wide.to_ip, &want->to);
	if (want->from.family == AF_INET6) {
		act->flags |= RTPFWD_F_IPV6;
		act->from_ip = layout_bucket6(&dp->layout, &want->from);
		return;
	}
	act->from_ip = want->from.family == AF_INET ? want->from.v4.s_addr : 0;
	act->to_ip = want->to.family == AF_INET ? want->to.v4.s_addr : 0;
}

static uint8_t drop_of(const struct flow *flow)
{
	if (flow->want.mode == FLOW_MUTED)
		return RTPFWD_R_not_signalled;
	if (flow->want.mode == FLOW_STRAY)
		return RTPFWD_R_direct_stray;
	if (flow->local)
		return RTPFWD_R_NONE;
	return flow->hop ? flow->hop->drop : RTPFWD_R_no_route;
}

/* How the outgoing network wants its packets. */
static void set_marks(struct rtpfwd_action *act, const struct conf_realm *realm)
{
	if (realm->marks) {
		act->flags |= RTPFWD_F_TOS;
		act->tos = (uint8_t)(realm->dscp << 2);
	}
	if (realm->vlan == CONF_VLAN_KEEP) {
		act->flags |= RTPFWD_F_KEEP_TAG;
	} else if (realm->vlan) {
		act->flags |= RTPFWD_F_TAG;
		act->vlan = htons(realm->vlan);
	}
}

static bool is_of_realm(const struct link *link, const struct conf_realm *realm)
{
	for (size_t i = 0; i < realm->n_interfaces; i++)
		if (strcmp(link->name, realm->interfaces[i]) == 0)
			return true;
	return false;
}

/* Bytes of IP that come in at most. By whichever link: it may have come through another flow. */
static uint32_t longest(const struct datapath *dp)
{
	uint32_t mtu = 0;

	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].now.mtu > mtu)
			mtu = dp->links[i].now.mtu;
	return mtu;
}

/* What it adds: IPv4 becomes IPv6, RTP becomes SRTP. */
static uint32_t growth(const struct flow *flow, const struct rtpfwd_action *act)
{
	uint32_t grow = act->flags & RTPFWD_F_PROTECT ? act->grow : 0;

	if (flow->want.local.family == AF_INET && act->flags & RTPFWD_F_IPV6)
		grow += sizeof(struct ipv6hdr) - sizeof(struct iphdr);
	return grow;
}

/* Lengths are asked only of flows of which some packet may be too long. */
static void set_path(const struct datapath *dp, struct action *out, const struct flow *flow)
{
	const struct nexthop *hop = flow->hop;
	struct rtpfwd_action *act = &out->act;

	if (!hop || !hop->link || act->drop)
		return;
	out->path = (struct rtpfwd_path){ hop->mtu, hop->ifindex };
	act->sure = hop->mtu / 8 < UINT8_MAX ? (uint8_t)(hop->mtu / 8) : UINT8_MAX;
	if (longest(dp) + growth(flow, act) > hop->mtu)
		act->flags |= RTPFWD_F_FIT;
}

/* `arrives`: the realm whose interfaces the packets come in by. */
static void set_hop(struct rtpfwd_action *act, const struct nexthop *hop,
		    const struct conf_realm *arrives)
{
	if (!hop || !hop->link || act->drop)
		return;
	act->link = (uint8_t)hop->link->key;
	/* A veth whose other end has no XDP program is never told of what XDP_TX put into its ring
	 * (kernels up to 6.18 at least): after 256 frames the link is dead. */
	if (is_of_realm(hop->link, arrives) && !hop->link->now.veth)
		act->flags |= RTPFWD_F_TX;
	if (hop->unresolved)
		act->flags |= RTPFWD_F_UNRESOLVED;
	else if (hop->neighbour)
		memcpy(act->to_mac, hop->neighbour->mac, sizeof(act->to_mac));
}

/* The data path gives its packets to that slot itself. */
static void set_next(struct rtpfwd_action *act, const struct flow *flow)
{
	if (act->drop || !flow->local)
		return;
	act->flags |= RTPFWD_F_LOCAL;
	memcpy(act->to_mac, &flow->next, sizeof(flow->next));
}

static void set_learn(struct action *out, const struct flow_want *want)
{
	out->act.flags |= RTPFWD_F_LEARN;
	if (want->learn.family != want->local.family)
		return;
	put_ip6(out->wide.learn_ip, &want->learn);
	if (want->learn.family == AF_INET)
		out->wide.learn_ip[0] = want->learn.v4.s_addr;
}

static struct action desired(const struct datapath *dp, const struct flow *flow)
{
	const struct flow_want *want = &flow->want;
	struct action out = { .act = { .clock_rate = want->clock_rate,
				       .event = want->event } };

	payloads_desire(&out, &want->payloads);
	if (want->kind == FLOW_RTCP)
		out.act.flags |= RTPFWD_F_RTCP;
	if (want->mux)
		out.act.flags |= RTPFWD_F_MUX;
	if (want->opaque)
		out.act.flags |= RTPFWD_F_OPAQUE;
	if (want->any_port)
		out.act.flags |= RTPFWD_F_ANY_PORT;
	if (want->expect.family == want->local.family) {
		out.act.flags |= RTPFWD_F_EXPECT;
		out.act.expect_port = htons(want->expect.port);
		put_ip6(out.wide.expect_ip, &want->expect);
		if (want->expect.family == AF_INET)
			out.act.expect_ip = want->expect.v4.s_addr;
	}
	if (want->learning)
		set_learn(&out, want);
	out.act.drop = drop_of(flow);
	if (!out.act.drop)
		set_marks(&out.act, &dp->conf->realms[want->egress_realm]);
	set_addresses(dp, &out, want);
	set_hop(&out.act, flow->hop, &dp->conf->realms[flow->realm]);
	set_next(&out.act, flow);
	keys_desire(dp, &out, flow);
	set_path(dp, &out, flow);
	return out;
}

static bool same_source(const struct action *a, const struct action *b)
{
	const uint32_t flags = RTPFWD_F_EXPECT | RTPFWD_F_ANY_PORT;

	return a->act.expect_ip == b->act.expect_ip && a->act.expect_port == b->act.expect_port &&
	       (a->act.flags & flags) == (b->act.flags & flags) &&
	       !memcmp(a->wide.expect_ip, b->wide.expect_ip, sizeof(a->wide.expect_ip));
}

static void set_late_source(struct action *next, const struct action *now)
{
	next->act.late_ip = now->act.expect_ip;
	next->act.late_port = now->act.expect_port;
	memcpy(next->wide.late_ip, now->wide.expect_ip, sizeof(next->wide.late_ip));
	if (now->act.flags & RTPFWD_F_ANY_PORT)
		next->act.flags |= RTPFWD_F_LATE_ANY;
}

static void keep_late_source(struct action *next, const struct action *now)
{
	next->act.late_ip = now->act.late_ip;
	next->act.late_port = now->act.late_port;
	next->act.flags |= now->act.flags & RTPFWD_F_LATE_ANY;
	memcpy(next->wide.late_ip, now->wide.late_ip, sizeof(next->wide.late_ip));
}

/* Who and what is late for `next` when `now` was in force: its source and its payload numbers if
 * those changed, else who was late already. */
static void set_late(struct action *next, const struct action *now, const struct datapath *dp)
{
	uint64_t jiffies = datapath_jiffies(dp);
	bool source = !same_source(next, now), late = now->act.late_until > jiffies;

	if (source && !(now->act.flags & RTPFWD_F_EXPECT))
		return;
	if (source || !payloads_same(next, now))
		next->act.late_until = jiffies + (uint64_t)(LATE_S * dp->clock.hz);
	else if (late)
		next->act.late_until = now->act.late_until;
	else
		return;
	if (source || !late)
		set_late_source(next, now);
	else
		keep_late_source(next, now);
	payloads_keep(next, now, late);
}

static struct action without_late(const struct action *a)
{
	struct action out = *a;

	out.act.late_ip = 0;
	out.act.late_port = 0;
	out.act.late_until = 0;
	out.act.flags &= ~(uint32_t)RTPFWD_F_LATE_ANY;
	memset(out.wide.late_ip, 0, sizeof(out.wide.late_ip));
	payloads_forget_late(&out);
	return out;
}

bool action_same(const struct action *a, const struct action *b)
{
	struct action x = without_late(a), y = without_late(b);

	return !memcmp(&x, &y, sizeof(x));
}

struct action action_desired(const struct datapath *dp, const struct flow *flow,
			     const struct action *now)
{
	struct action next = desired(dp, flow);

	if (now && action_same(&next, now))
		return *now;
	if (now)
		set_late(&next, now, dp);
	return next;
}
