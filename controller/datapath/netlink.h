/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink as four questions and a stream of news (libmnl). A question is answered within the
 * call: the kernel does not wait. */
#ifndef RTPFWD_DATAPATH_NETLINK_H
#define RTPFWD_DATAPATH_NETLINK_H

#include "lib/addr.h"
#include "lib/loop.h"

#include <linux/types.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct netlink;

struct nl_link {
	char name[IF_NAMESIZE];
	uint32_t ifindex; /* 0: no such interface */
	uint8_t mac[6];
	bool ethernet; /* can carry our frames; loopback counts as such */
	bool loopback;
	bool running; /* up, with a carrier */
	bool veth;
	uint32_t mtu;
	uint16_t vlan;	 /* of 802.1Q that it carries of another interface; 0: it is none such */
	uint32_t lower;	 /* that other one */
	bool stacked;	 /* a VLAN's, or the like: what it receives came in by `lower` */
	uint32_t master; /* bridge, bond or VRF that it belongs to; 0: none */
};

struct nl_route {
	uint32_t ifindex;
	struct addr gateway; /* or the destination itself when it is on the link */
	bool local;	     /* to this host itself */
	uint32_t mtu; /* what the route, or ICMP, says of the way; 0: nothing */
};

struct nl_neighbour {
	uint32_t ifindex;
	struct addr ip;
	uint8_t mac[6];
	uint16_t state; /* NUD_*; 0: there is no such entry */
};

/* What changed. Called in the loop. */
struct nl_events {
	void *ctx;
	void (*link)(void *ctx, const struct nl_link *link, bool gone);
	/* Routes, rules or addresses: ask again, for destinations in `only` or, NULL, for all. */
	void (*routes)(void *ctx, const struct addr_prefix *only);
	void (*neighbour)(void *ctx, const struct nl_neighbour *neighbour);
	void (*lost)(void *ctx); /* news were lost (ENOBUFS): ask for everything again */
};

int nl_open(struct netlink **out, struct loop *loop, const struct nl_events *events);
void nl_close(struct netlink *nl); /* NULL-safe */

int nl_link_get(struct netlink *nl, const char *name, struct nl_link *out); /* -ENODEV */
/* All there are. -errno: not all were told. */
int nl_links(struct netlink *nl, void (*each)(void *ctx, const struct nl_link *link), void *ctx);
int nl_link_get_index(struct netlink *nl, uint32_t ifindex, struct nl_link *out);
/* As for a packet of ours: the rules of policy routing see `from` (NULL: any), `ifindex` as the
 * interface that it must leave by (0: any), no mark. -ENETUNREACH and the like: no route. */
int nl_route_get(struct netlink *nl, const struct addr *to, const struct addr *from,
		 uint32_t ifindex, struct nl_route *out);
int nl_neighbour_get(struct netlink *nl, uint32_t ifindex, const struct addr *ip,
		     struct nl_neighbour *out); /* -ENOENT */
/* Resolve it, or see whether it still answers. */
void nl_neighbour_use(struct netlink *nl, uint32_t ifindex, const struct addr *ip);

#endif
