// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_range(struct layout *l, const struct conf_realm *realm, const struct addr *media,
		     char *why, size_t why_size)
{
	struct layout_range *range = &l->ranges[l->n_ranges];
	char text[ADDR_TEXT];

	addr_print_ip(text, media);
	if (media->family != AF_INET) {
		snprintf(why, why_size,
			 "realm '%s': media = %s: IPv6 relay addresses are not supported by this "
			 "version, use IPv4",
			 realm->name, text);
		return -EINVAL;
	}
	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct layout_range *other = &l->ranges[i];

		if (other->ip != media->v4.s_addr || other->lo > realm->port_hi ||
		    realm->port_lo > other->hi)
			continue;
		snprintf(why, why_size,
			 "realm '%s': media = %s, ports = %u-%u: overlaps %u-%u of another realm",
			 realm->name, text, realm->port_lo, realm->port_hi, other->lo, other->hi);
		return -EINVAL;
	}
	if (l->n_ranges == LAYOUT_MAX_RANGES) {
		snprintf(why, why_size, "realm '%s': media: more than %d relay addresses",
			 realm->name, LAYOUT_MAX_RANGES);
		return -EINVAL;
	}
	*range = (struct layout_range){ media->v4.s_addr, realm->port_lo, realm->port_hi,
					realm->index };
	l->n_ranges++;
	return 0;
}

/* The hull of all ranges on one address; `base` follows when all are known. */
static int add_hull(struct layout *l, const struct layout_range *range)
{
	struct rtpfwd_address *a = l->addresses;
	uint32_t lo, hi;

	while (a < l->addresses + l->n_addresses && a->ip != range->ip)
		a++;
	if (a == l->addresses + RTPFWD_MAX_ADDRESSES)
		return -EINVAL;
	if (a == l->addresses + l->n_addresses) {
		l->n_addresses++;
		*a = (struct rtpfwd_address){ .ip = range->ip,
					      .lo = range->lo,
					      .count = range->hi - range->lo + 1U };
		return 0;
	}
	lo = a->lo < range->lo ? a->lo : range->lo;
	hi = a->lo + a->count - 1;
	hi = hi > range->hi ? hi : range->hi;
	a->lo = (uint16_t)lo;
	a->count = hi - lo + 1;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	uint32_t x = ntohl(((const struct rtpfwd_address *)a)->ip),
		 y = ntohl(((const struct rtpfwd_address *)b)->ip);

	return x < y ? -1 : x > y;
}

static bool seed_collides(const struct layout *l, uint32_t seed)
{
	bool taken[1 << RTPFWD_HASH_BITS] = { false };

	for (size_t i = 0; i < l->n_addresses; i++) {
		uint32_t bucket = rtpfwd_bucket(l->addresses[i].ip, seed);

		if (taken[bucket])
			return true;
		taken[bucket] = true;
	}
	return false;
}

/* Odd multipliers in a fixed order, so that the same addresses always give the same layout. */
static int find_seed(struct layout *l)
{
	uint32_t seed = 0x9e3779b1;

	for (int tries = 0; tries < 1000000; tries++) {
		if (!seed_collides(l, seed)) {
			l->seed = seed;
			return 0;
		}
		seed = (seed * 1664525 + 1013904223) | 1;
	}
	return -EINVAL;
}

static int place(struct layout *l, char *why, size_t why_size)
{
	for (size_t i = 0; i < l->n_ranges; i++) {
		if (add_hull(l, &l->ranges[i])) {
			snprintf(why, why_size, "more than %d relay addresses",
				 RTPFWD_MAX_ADDRESSES);
			return -EINVAL;
		}
	}
	qsort(l->addresses, l->n_addresses, sizeof(l->addresses[0]), by_address);
	for (size_t i = 0; i < l->n_addresses; i++) {
		l->addresses[i].base = l->slots;
		l->slots += l->addresses[i].count;
	}
	if (!l->n_addresses || find_seed(l)) {
		snprintf(why, why_size,
			 "no relay address, or no way to tell them apart: `media =` of a realm");
		return -EINVAL;
	}
	return 0;
}

int layout_build(struct layout *out, const struct conf *conf, char *why, size_t why_size)
{
	memset(out, 0, sizeof(*out));
	for (size_t r = 0; r < conf->n_realms; r++) {
		const struct conf_realm *realm = &conf->realms[r];

		for (size_t m = 0; m < realm->n_media; m++) {
			int err = add_range(out, realm, &realm->media[m], why, why_size);

			if (err)
				return err;
		}
	}
	return place(out, why, why_size);
}

static const struct rtpfwd_address *address_of(const struct layout *l, __be32 ip)
{
	for (size_t i = 0; i < l->n_addresses; i++)
		if (l->addresses[i].ip == ip)
			return &l->addresses[i];
	return NULL;
}

int layout_find(const struct layout *l, const struct addr *local, uint32_t *slot,
		unsigned int *realm)
{
	const struct rtpfwd_address *a;

	if (local->family != AF_INET)
		return -EINVAL;
	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct layout_range *range = &l->ranges[i];

		if (range->ip != local->v4.s_addr || local->port < range->lo ||
		    local->port > range->hi)
			continue;
		a = address_of(l, range->ip);
		*slot = a->base + local->port - a->lo;
		if (realm)
			*realm = range->realm;
		return 0;
	}
	return -EINVAL;
}

struct addr layout_addr(const struct layout *l, uint32_t slot)
{
	struct addr addr = { .family = AF_INET };

	for (size_t i = 0; i < l->n_addresses; i++) {
		const struct rtpfwd_address *a = &l->addresses[i];

		if (slot - a->base >= a->count)
			continue;
		addr.v4.s_addr = a->ip;
		addr.port = (uint16_t)(a->lo + (slot - a->base));
	}
	return addr;
}

void layout_write(const struct layout *l, struct rtpfwd_control *control)
{
	memset(control->addresses, 0, sizeof(control->addresses));
	for (size_t i = 0; i < l->n_addresses; i++)
		control->addresses[rtpfwd_bucket(l->addresses[i].ip, l->seed)] = l->addresses[i];
	control->seed = l->seed;
	control->slots = l->slots;
}

bool layout_is(const struct layout *l, const struct rtpfwd_control *control)
{
	struct rtpfwd_control *ours = calloc(1, sizeof(*ours));
	bool same;

	if (!ours)
		return false;
	layout_write(l, ours);
	same = control->seed == l->seed && control->slots == l->slots &&
	       !memcmp(control->addresses, ours->addresses, sizeof(ours->addresses));
	free(ours);
	return same;
}
