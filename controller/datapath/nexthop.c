// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where packets go next, precomputed for each (destination, relay address) and kept true. The
 * kernel is asked, never imitated: when there are news (news.c), and in turn. What routers tell of
 * the longest packet (RFC 1191, RFC 8201) is never news, nor is that the kernel forgets it.
 */
#include "datapath/priv.h"
#include "lib/log.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_S	   60	/* in which all are asked in turn, up to ROUND_S * LOOKS of them */
#define LOOKS	   128	/* at most in one second */
#define KICKS	   512	/* unresolved neighbours asked for in one second */
#define ASKING_MS  1000 /* the kernel takes longer than this to give up on a neighbour */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

static void publish_flows(struct datapath *dp, struct nexthop *hop)
{
	struct flow *flow;

	DL_FOREACH2(hop->flows, flow, hop_next)
		slots_publish(dp, flow);
}

/* Where packets need a tag, the kernel gives them one by the interface of the VLAN alone. */
static bool kernel_can_send(const struct datapath *dp, const struct nexthop *hop)
{
	return !dp->conf->realms[hop->key.realm].vlan || hop->ifindex != hop->link->now.ifindex;
}

/* While the kernel asks for it first, packets wait there: the userspace relay brings them to it. */
static bool is_unresolved(const struct datapath *dp, const struct nexthop *hop)
{
	const struct neighbour *neighbour = hop->neighbour;

	return dp->user.program && hop->link && neighbour && !neighbour->valid &&
	       !neighbour->failed && kernel_can_send(dp, hop);
}

static void judge(const struct datapath *dp, struct nexthop *hop)
{
	hop->unresolved = is_unresolved(dp, hop);
	if (!hop->link)
		hop->drop = RTPFWD_R_no_route;
	else if (hop->neighbour && !hop->neighbour->valid && !hop->unresolved)
		hop->drop = RTPFWD_R_no_neighbour;
	else
		hop->drop = RTPFWD_R_NONE;
}

static void publish_hops(struct datapath *dp, struct neighbour *neighbour)
{
	struct nexthop *hop;

	DL_FOREACH2(neighbour->hops, hop, peer_next) {
		judge(dp, hop);
		publish_flows(dp, hop);
	}
}

/* Asked for again, and the kernel has given up: three probes, a second apart. A failure that is
 * told sooner is the end of the former entry (a flushed table), not the answer. */
static bool asking_failed(const struct datapath *dp, const struct neighbour *neighbour,
			  const struct nl_neighbour *told)
{
	return told->state & NUD_FAILED && neighbour->unsure &&
	       loop_now_ms(dp->loop) - neighbour->unsure_ms >= ASKING_MS;
}

/*
 * What the kernel says of a neighbour. One that is stale is usable, but somebody must use it for
 * the kernel to check it: our packets pass it by. One that vanished or failed stays in use until
 * asking for it again has failed: a flushed table costs no packet.
 */
static void neighbour_told(struct datapath *dp, struct neighbour *neighbour,
			   const struct nl_neighbour *told)
{
	bool valid = told->state & NUD_USABLE;
	bool moved = valid && memcmp(neighbour->mac, told->mac, sizeof(told->mac));
	bool failed = asking_failed(dp, neighbour, told);

	if (!valid && !neighbour->unsure)
		neighbour->unsure_ms = loop_now_ms(dp->loop);
	neighbour->unsure = !valid;
	if (!told->state || told->state & (NUD_STALE | NUD_FAILED))
		nl_neighbour_use(dp->netlink, neighbour->key.ifindex, &neighbour->key.ip);
	if (!valid && !failed && neighbour->valid)
		return;
	if (valid == neighbour->valid && !moved && failed <= neighbour->failed)
		return;
	if (valid)
		memcpy(neighbour->mac, told->mac, sizeof(told->mac));
	neighbour->valid = valid;
	neighbour->failed = !valid && (neighbour->failed || failed);
	publish_hops(dp, neighbour);
}

static void neighbour_ask(struct datapath *dp, struct neighbour *neighbour)
{
	struct nl_neighbour told;

	if (nl_neighbour_get(dp->netlink, neighbour->key.ifindex, &neighbour->key.ip, &told))
		told.state = NUD_NONE;
	neighbour_told(dp, neighbour, &told);
}

/* As the tables compare it: no port, no byte behind an IPv4 address. */
static struct addr key_ip(const struct addr *a)
{
	struct addr key = { .family = a->family };

	if (a->family == AF_INET)
		key.v4 = a->v4;
	else
		key.v6 = a->v6;
	return key;
}

static struct neighbour *neighbour_find(struct datapath *dp, uint32_t ifindex,
					const struct addr *ip)
{
	struct neighbour_key key = { ifindex, key_ip(ip) };
	struct neighbour *neighbour;

	HASH_FIND(hh, dp->neighbours, &key, sizeof(key), neighbour);
	return neighbour;
}

static struct neighbour *neighbour_get(struct datapath *dp, uint32_t ifindex, const struct addr *ip)
{
	struct neighbour *neighbour = neighbour_find(dp, ifindex, ip);

	if (neighbour)
		return neighbour;
	neighbour = calloc(1, sizeof(*neighbour));
	if (!neighbour)
		return NULL;
	neighbour->key = (struct neighbour_key){ ifindex, key_ip(ip) };
	HASH_ADD(hh, dp->neighbours, key, sizeof(neighbour->key), neighbour);
	if (!neighbour->hh.tbl) {
		free(neighbour);
		return NULL;
	}
	neighbour_ask(dp, neighbour);
	return neighbour;
}

size_t datapath_neighbours(const struct datapath *dp, sa_family_t family)
{
	const struct neighbour *neighbour, *next;
	size_t n = 0;

	HASH_ITER(hh, dp->neighbours, neighbour, next)
		n += neighbour->key.ip.family == family;
	return n;
}

static void set_neighbour(struct datapath *dp, struct nexthop *hop, struct neighbour *neighbour)
{
	struct neighbour *former = hop->neighbour;

	if (former == neighbour)
		return;
	if (neighbour)
		DL_APPEND2(neighbour->hops, hop, peer_prev, peer_next);
	hop->neighbour = neighbour;
	if (!former)
		return;
	DL_DELETE2(former->hops, hop, peer_prev, peer_next);
	if (!former->hops) {
		HASH_DEL(dp->neighbours, former);
		free(former);
	}
}

/* Media leaves by its realm's interfaces alone: no description of one network's phone can aim the
 * relay at another network's hosts. */
static bool link_of_realm(const struct datapath *dp, const struct link *link, unsigned int index)
{
	const struct conf_realm *realm = &dp->conf->realms[index];

	for (size_t i = 0; i < realm->n_interfaces; i++)
		if (!strcmp(realm->interfaces[i], link->name))
			return true;
	return false;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return b && b < a ? b : a;
}

/* The kernel did not come to answer: nothing is known of a route. */
static bool is_unanswered(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EAGAIN || err == -EINTR;
}

/* The link of a route, or the one that a VLAN's interface stands on, or NULL; `mtu` is what it
 * takes. -errno: the kernel did not answer. */
static int link_under(struct link **out, struct datapath *dp, uint32_t ifindex, uint16_t vlan,
		      uint32_t *mtu)
{
	struct nl_link above;
	int err;

	*out = link_by_ifindex(dp, ifindex);
	if (*out)
		*mtu = (*out)->now.mtu;
	if (*out || !vlan)
		return 0;
	err = nl_link_get_index(dp->netlink, ifindex, &above);
	if (err)
		return is_unanswered(err) ? err : 0;
	if (!above.vlan || (vlan != CONF_VLAN_KEEP && above.vlan != vlan))
		return 0;
	*mtu = above.mtu;
	*out = link_by_ifindex(dp, above.lower);
	return 0;
}

static int route_get(struct datapath *dp, const struct nexthop *hop, uint32_t ifindex,
		     struct nl_route *route)
{
	int err = nl_route_get(dp->netlink, &hop->key.to, &hop->key.from, ifindex, route);

	/* The relay address is not one of the host's at the moment. */
	if (err == -EINVAL || err == -EADDRNOTAVAIL)
		err = nl_route_get(dp->netlink, &hop->key.to, NULL, ifindex, route);
	return err;
}

/* The link towards the destination where it is one of the realm's, else NULL. -errno: the kernel
 * did not answer. */
static int route_by(struct link **out, struct datapath *dp, const struct nexthop *hop,
		    uint32_t ifindex, struct nl_route *route)
{
	uint32_t mtu = 0;
	struct link *link;
	int err = route_get(dp, hop, ifindex, route);

	*out = NULL;
	if (err)
		return is_unanswered(err) ? err : 0;
	err = link_under(&link, dp, route->ifindex, dp->conf->realms[hop->key.realm].vlan, &mtu);
	if (err)
		return err;
	route->mtu = least(mtu, route->mtu);
	if (link && link_of_realm(dp, link, hop->key.realm) &&
	    (!route->local || link->now.loopback))
		*out = link;
	return 0;
}

/* The best way, and where that one is another realm's, the best by an interface of this realm: two
 * networks may have a default route each. */
static int route_ask(struct link **out, struct datapath *dp, const struct nexthop *hop,
		     struct nl_route *route)
{
	const struct conf_realm *realm = &dp->conf->realms[hop->key.realm];
	int err = route_by(out, dp, hop, 0, route);

	for (size_t i = 0; !err && !*out && i < realm->n_interfaces; i++) {
		const struct link *link = link_by_name(dp, realm->interfaces[i]);

		if (link && link->now.ifindex)
			err = route_by(out, dp, hop, link->now.ifindex, route);
	}
	return err;
}

/* To an address of this host the kernel goes by itself. One that is not here at the moment is
 * another host's: of that the realm says nothing. */
static int egress_home(struct datapath *dp, const struct nexthop *hop)
{
	struct nl_route route;
	int err = route_get(dp, hop, 0, &route);

	if (is_unanswered(err))
		return -EAGAIN;
	return !err && route.local ? 0 : -ENETUNREACH;
}

int datapath_egress(unsigned int *ifindex, struct datapath *dp, unsigned int realm,
		    const struct addr *from, const struct addr *to)
{
	struct nexthop hop = { .key = { .to = addr_with_port(to, 0),
					.from = addr_with_port(from, 0),
					.realm = realm } };
	struct nl_route route;
	struct link *link;
	uint32_t slot;

	*ifindex = 0;
	if (!layout_find(&dp->layout, to, &slot, NULL))
		return egress_home(dp, &hop);
	if (route_ask(&link, dp, &hop, &route))
		return -EAGAIN;
	*ifindex = link ? route.ifindex : 0;
	return link ? 0 : -ENETUNREACH;
}

/* -errno: the way there could not be found out. It stays what it was, and is asked for again. */
static int resolve(struct datapath *dp, struct nexthop *hop)
{
	struct neighbour *neighbour = NULL;
	struct nl_route route;
	struct link *link;
	int err = route_ask(&link, dp, hop, &route);

	if (!err && link && !link->now.loopback) {
		neighbour = neighbour_get(dp, route.ifindex, &route.gateway);
		err = neighbour ? 0 : -ENOMEM;
	}
	if (err) {
		news_concern(dp, hop);
	} else {
		hop->link = link;
		hop->ifindex = link ? route.ifindex : 0;
		hop->mtu = link ? route.mtu : 0;
		set_neighbour(dp, hop, neighbour);
	}
	judge(dp, hop);
	return err;
}

int nexthop_ask(struct datapath *dp, struct nexthop *hop)
{
	int err = resolve(dp, hop);

	publish_flows(dp, hop);
	return err;
}

static int resolve_or_retry(struct datapath *dp, struct nexthop *hop)
{
	int err = resolve(dp, hop);

	if (err)
		news_retry(dp);
	return err;
}

static bool same_way(const struct nexthop *a, const struct nexthop *b)
{
	return a->link == b->link && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       a->neighbour == b->neighbour && a->drop == b->drop &&
	       a->unresolved == b->unresolved;
}

/* A gateway may have the flows of ten thousand calls: none is looked at where it is as it was. */
static int look(struct datapath *dp, struct nexthop *hop)
{
	const struct nexthop before = *hop;
	int err = resolve_or_retry(dp, hop);

	if (!same_way(&before, hop))
		publish_flows(dp, hop);
	return err;
}

void nexthop_look(struct datapath *dp)
{
	unsigned int n = HASH_COUNT(dp->hops) / ROUND_S + 1;
	int err = 0;

	for (unsigned int i = 0; i < n && i < LOOKS && dp->hops && !err; i++) {
		struct nexthop *hop = dp->next_look ? dp->next_look : dp->hops;

		dp->next_look = hop->hh.next;
		err = look(dp, hop);
	}
}

static struct nexthop *nexthop_get(struct datapath *dp, struct nexthop_key key)
{
	struct nexthop *hop;

	HASH_FIND(hh, dp->hops, &key, sizeof(key), hop);
	if (hop)
		return hop;
	hop = calloc(1, sizeof(*hop));
	if (!hop)
		return NULL;
	hop->key = key;
	HASH_ADD(hh, dp->hops, key, sizeof(hop->key), hop);
	if (!hop->hh.tbl) {
		free(hop);
		return NULL;
	}
	resolve_or_retry(dp, hop);
	return hop;
}

static void nexthop_put(struct datapath *dp, struct nexthop *hop)
{
	if (hop->flows)
		return;
	news_forget(dp, hop);
	set_neighbour(dp, hop, NULL);
	if (dp->next_look == hop)
		dp->next_look = hop->hh.next;
	HASH_DEL(dp->hops, hop);
	free(hop);
}

void nexthop_join(struct datapath *dp, struct flow *flow)
{
	const struct flow_want *want = &flow->want;
	struct nexthop *former = flow->hop, *hop = NULL;
	/* A stray's is kept true, for when it forwards again. */
	bool described = want->mode != FLOW_MUTED && want->to.family == want->from.family &&
			 want->to.family != AF_UNSPEC;

	/* Of whichever realm: the flow there says from where it is to be reached. */
	flow->local = described && !layout_find(&dp->layout, &want->to, &flow->next, NULL);
	if (described && !flow->local)
		hop = nexthop_get(dp, (struct nexthop_key){ key_ip(&want->to), key_ip(&want->from),
							    want->egress_realm });
	if (hop == former)
		return;
	if (former)
		nexthop_leave(dp, flow);
	flow->hop = hop;
	if (hop)
		DL_APPEND2(hop->flows, flow, hop_prev, hop_next);
}

void nexthop_leave(struct datapath *dp, struct flow *flow)
{
	struct nexthop *hop = flow->hop;

	if (!hop)
		return;
	flow->hop = NULL;
	DL_DELETE2(hop->flows, flow, hop_prev, hop_next);
	nexthop_put(dp, hop);
}

void nexthop_assume(const struct datapath *dp, struct flow *flow, const struct rtpfwd_action *act)
{
	struct neighbour *neighbour = flow->hop ? flow->hop->neighbour : NULL;

	if (!neighbour || neighbour->valid || act->drop ||
	    dp->control->ifindex[act->link] != neighbour->key.ifindex)
		return;
	memcpy(neighbour->mac, act->to_mac, sizeof(neighbour->mac));
	neighbour->valid = true;
	neighbour->unsure = true;
	neighbour->unsure_ms = loop_now_ms(dp->loop);
	judge(dp, flow->hop);
}

/* Where more of them do not answer than are asked in one second they take turns. */
void nexthop_kick(struct datapath *dp)
{
	struct neighbour *neighbour, *next;
	size_t place = 0, end = dp->kicked + KICKS;

	HASH_ITER(hh, dp->neighbours, neighbour, next) {
		if (neighbour->valid && !neighbour->unsure)
			continue;
		if (place >= dp->kicked)
			nl_neighbour_use(dp->netlink, neighbour->key.ifindex, &neighbour->key.ip);
		if (++place == end)
			break;
	}
	dp->kicked = place == end ? end : 0;
}

/* A VLAN's interface on one of ours is no link of its own, but routes lie over it; IPv4's go with
 * it without a word. */
static void on_link(void *ctx, const struct nl_link *link, bool gone)
{
	struct datapath *dp = ctx;

	link_changed(dp, link, gone);
	dp->uppers_stale = true;
	if (link->vlan && link_by_ifindex(dp, link->lower))
		news_route(dp, NULL);
}

static void on_routes(void *ctx, const struct addr_prefix *only)
{
	news_route(ctx, only);
}

static void on_neighbour(void *ctx, const struct nl_neighbour *told)
{
	struct neighbour *neighbour = neighbour_find(ctx, told->ifindex, &told->ip);

	if (neighbour)
		neighbour_told(ctx, neighbour, told);
}

static void on_lost(void *ctx)
{
	struct datapath *dp = ctx;
	struct neighbour *neighbour, *next;

	log_warn("netlink: news of routes and neighbours were lost, asking for all of them again");
	link_resync(dp);
	dp->uppers_stale = true;
	HASH_ITER(hh, dp->neighbours, neighbour, next)
		neighbour_ask(dp, neighbour);
	news_route(dp, NULL);
}

int nexthop_open(struct datapath *dp)
{
	const struct nl_events events = {
		.ctx = dp,
		.link = on_link,
		.routes = on_routes,
		.neighbour = on_neighbour,
		.lost = on_lost,
	};

	news_open(dp);
	return nl_open(&dp->netlink, dp->loop, &events);
}

void nexthop_close(struct datapath *dp)
{
	struct nexthop *hop, *next;

	if (!dp->netlink)
		return;
	news_close(dp);
	HASH_ITER(hh, dp->hops, hop, next) {
		hop->flows = NULL;
		nexthop_put(dp, hop);
	}
	nl_close(dp->netlink);
	dp->netlink = NULL;
}
