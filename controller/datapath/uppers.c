// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interfaces above those of the realms: of a VLAN, a macvlan, a bridge or a VRF. What XDP passes up
 * on a card reaches the sockets as theirs, and is steered to the userspace relay all the same.
 */
#include "datapath/priv.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH 4 /* a VLAN on a bond below a bridge in a VRF */

struct edge {
	uint32_t under, above;
};

struct edges {
	struct edge *list;
	size_t n, size;
	bool no_memory;
};

static void add(struct edges *edges, uint32_t under, uint32_t above)
{
	if (edges->n == edges->size) {
		size_t size = edges->size ? edges->size * 2 : 64;
		struct edge *list = realloc(edges->list, size * sizeof(*list));

		edges->no_memory |= !list;
		if (!list)
			return;
		edges->list = list;
		edges->size = size;
	}
	edges->list[edges->n++] = (struct edge){ under, above };
}

static void on_link(void *ctx, const struct nl_link *link)
{
	if (link->stacked)
		add(ctx, link->lower, link->ifindex);
	if (link->master)
		add(ctx, link->ifindex, link->master);
}

/* The key of the realm's interface that this is or stands on, else RTPFWD_MAX_LINKS. */
static uint32_t key_of(struct datapath *dp, const struct rtpfwd_uppers *uppers, uint32_t ifindex)
{
	const struct link *link = link_by_ifindex(dp, ifindex);

	return link ? link->key : rtpfwd_upper_link(uppers, ifindex);
}

/* False: no place is left for it. */
static bool place(struct rtpfwd_uppers *uppers, uint32_t ifindex, uint32_t link)
{
	for (uint32_t i = 0; i < RTPFWD_UPPER_PLACES; i++) {
		struct rtpfwd_upper *at = &uppers->at[(ifindex + i) % RTPFWD_MAX_UPPERS];

		if (at->ifindex)
			continue;
		*at = (struct rtpfwd_upper){ ifindex, link };
		return true;
	}
	return false;
}

/* One that stands on two of them (a bridge) counts as standing on the one found first. */
static void climb(struct datapath *dp, struct rtpfwd_uppers *uppers, const struct edges *edges)
{
	for (size_t i = 0; i < edges->n; i++) {
		const struct edge *edge = &edges->list[i];
		uint32_t key = key_of(dp, uppers, edge->under);

		if (key == RTPFWD_MAX_LINKS || key_of(dp, uppers, edge->above) != RTPFWD_MAX_LINKS)
			continue;
		if (!place(uppers, edge->above, key))
			log_warn("interface number %u: too many stand on those of the realms: what "
				 "XDP passes up there is lost",
				 edge->above);
	}
}

/* Who stays is not gone for a moment. */
static void publish(struct rtpfwd_uppers *now, const struct rtpfwd_uppers *next)
{
	for (size_t i = 0; i < RTPFWD_MAX_UPPERS; i++) {
		if (!memcmp(&now->at[i], &next->at[i], sizeof(now->at[i])))
			continue;
		__atomic_store_n(&now->at[i].ifindex, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&now->at[i].link, next->at[i].link, __ATOMIC_RELEASE);
		__atomic_store_n(&now->at[i].ifindex, next->at[i].ifindex, __ATOMIC_RELEASE);
	}
}

void uppers_tick(struct datapath *dp)
{
	struct rtpfwd_uppers *next;
	struct edges edges = { 0 };

	if (!dp->uppers_stale)
		return;
	next = calloc(1, sizeof(*next));
	dp->uppers_stale = !next || nl_links(dp->netlink, on_link, &edges) || edges.no_memory;
	if (!dp->uppers_stale) {
		for (int i = 0; i < DEPTH; i++)
			climb(dp, next, &edges);
		publish(dp->uppers, next);
	}
	free(edges.list);
	free(next);
}
