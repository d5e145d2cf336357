// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_range(struct layout *l, const struct conf_realm *realm, const struct addr *media,
		     char *why, size_t why_size)
{
	struct layout_range *range = &l->ranges[l->n_ranges];
	char text[ADDR_TEXT];

	addr_print_ip(text, media);
	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct layout_range *other = &l->ranges[i];

		if (!addr_same_ip(&other->ip, media) || other->lo > realm->port_hi ||
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
	*range = (struct layout_range){ addr_with_port(media, 0), realm->port_lo, realm->port_hi,
					realm->index };
	l->n_ranges++;
	return 0;
}

/* The hull of all ranges on one address; `base` follows when all are known. */
static int add_hull(struct layout *l, const struct layout_range *range)
{
	struct layout_address *a = l->addresses;
	uint32_t lo, hi;

	while (a < l->addresses + l->n_addresses && !addr_same_ip(&a->ip, &range->ip))
		a++;
	if (a == l->addresses + RTPFWD_MAX_ADDRESSES)
		return -EINVAL;
	if (a == l->addresses + l->n_addresses) {
		l->n_addresses++;
		*a = (struct layout_address){ .ip = range->ip,
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

/* IPv4 first. */
static int order(const struct addr *x, const struct addr *y)
{
	if (x->family != y->family)
		return x->family == AF_INET ? -1 : 1;
	return memcmp(&x->v4, &y->v4, x->family == AF_INET ? sizeof(x->v4) : sizeof(x->v6));
}

static int by_address(const void *a, const void *b)
{
	return order(&((const struct layout_address *)a)->ip,
		     &((const struct layout_address *)b)->ip);
}

static int by_range(const void *a, const void *b)
{
	return order(&((const struct layout_range *)a)->ip, &((const struct layout_range *)b)->ip);
}

static uint32_t bucket_of(const struct addr *ip, uint32_t seed)
{
	return ip->family == AF_INET ? rtpfwd_bucket(ip->v4.s_addr, seed)
				     : rtpfwd_bucket6(ip->v6.s6_addr32, seed);
}

/* Each family has its own buckets. */
static bool seed_collides(const struct layout *l, uint32_t seed)
{
	bool taken[2][1 << RTPFWD_HASH_BITS] = { { false } };

	for (size_t i = 0; i < l->n_addresses; i++) {
		const struct addr *ip = &l->addresses[i].ip;
		bool *bucket = &taken[ip->family == AF_INET6][bucket_of(ip, seed)];

		if (*bucket)
			return true;
		*bucket = true;
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

/* Addresses and ranges are in the same order. */
static void number(struct layout *l)
{
	uint16_t range = 0;

	for (size_t i = 0; i < l->n_addresses; i++) {
		struct layout_address *a = &l->addresses[i];

		l->numbers[a->ip.family == AF_INET6][bucket_of(&a->ip, l->seed)] = (uint8_t)(i + 1);
		a->first = range;
		while (range < l->n_ranges && addr_same_ip(&l->ranges[range].ip, &a->ip))
			range++;
		a->n_ranges = (uint16_t)(range - a->first);
	}
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
	qsort(l->ranges, l->n_ranges, sizeof(l->ranges[0]), by_range);
	for (size_t i = 0; i < l->n_addresses; i++) {
		l->addresses[i].base = l->slots;
		l->slots += l->addresses[i].count;
	}
	if (!l->n_addresses || find_seed(l)) {
		snprintf(why, why_size,
			 "no relay address, or no way to tell them apart: `media =` of a realm");
		return -EINVAL;
	}
	number(l);
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

static const struct layout_address *address_of(const struct layout *l, const struct addr *ip)
{
	uint8_t number = l->numbers[ip->family == AF_INET6][bucket_of(ip, l->seed)];
	const struct layout_address *a = number ? &l->addresses[number - 1] : NULL;

	return a && addr_same_ip(&a->ip, ip) ? a : NULL;
}

int layout_find(const struct layout *l, const struct addr *local, uint32_t *slot,
		unsigned int *realm)
{
	const struct layout_address *a = address_of(l, local);

	for (size_t i = 0; a && i < a->n_ranges; i++) {
		const struct layout_range *range = &l->ranges[a->first + i];

		if (local->port < range->lo || local->port > range->hi)
			continue;
		*slot = rtpfwd_slot_of(a->base, a->count, (uint32_t)local->port - a->lo);
		if (realm)
			*realm = range->realm;
		return 0;
	}
	return -EINVAL;
}

/* Whose slot it is. */
static const struct layout_address *owner_of(const struct layout *l, uint32_t slot)
{
	const struct layout_address *a = l->addresses;

	while (a < l->addresses + l->n_addresses && slot - a->base >= a->count)
		a++;
	return a < l->addresses + l->n_addresses ? a : NULL;
}

struct addr layout_addr(const struct layout *l, uint32_t slot)
{
	const struct layout_address *a = owner_of(l, slot);

	if (!a)
		return (struct addr){ 0 };
	return addr_with_port(&a->ip,
			      (uint16_t)(a->lo + rtpfwd_offset_of(a->count, slot - a->base)));
}

uint32_t layout_nth(const struct layout *l, uint32_t n)
{
	const struct layout_address *a = owner_of(l, n);

	return a ? rtpfwd_slot_of(a->base, a->count, n - a->base) : n;
}

bool layout_has_ipv6(const struct layout *l)
{
	return l->n_addresses && l->addresses[l->n_addresses - 1].ip.family == AF_INET6;
}

uint32_t layout_bucket6(const struct layout *l, const struct addr *ip)
{
	return bucket_of(ip, l->seed);
}

struct addr layout_addr6(const struct layout *l, uint32_t bucket)
{
	for (size_t i = 0; i < l->n_addresses; i++) {
		const struct addr *ip = &l->addresses[i].ip;

		if (ip->family == AF_INET6 && bucket_of(ip, l->seed) == bucket)
			return *ip;
	}
	return (struct addr){ 0 };
}

static void write_address(const struct layout_address *a, uint32_t seed,
			  struct rtpfwd_control *control)
{
	uint32_t bucket = bucket_of(&a->ip, seed);
	struct rtpfwd_address6 *six = &control->addresses6[bucket];

	if (a->ip.family == AF_INET) {
		control->addresses[bucket] =
			(struct rtpfwd_address){ a->ip.v4.s_addr, a->base, a->count, a->lo, 0 };
		return;
	}
	*six = (struct rtpfwd_address6){ .base = a->base, .count = a->count, .lo = a->lo };
	memcpy(six->ip, &a->ip.v6, sizeof(six->ip));
}

void layout_write(const struct layout *l, struct rtpfwd_control *control)
{
	memset(control->addresses, 0, sizeof(control->addresses));
	memset(control->addresses6, 0, sizeof(control->addresses6));
	for (size_t i = 0; i < l->n_addresses; i++)
		write_address(&l->addresses[i], l->seed, control);
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
	       !memcmp(control->addresses, ours->addresses, sizeof(ours->addresses)) &&
	       !memcmp(control->addresses6, ours->addresses6, sizeof(ours->addresses6));
	free(ours);
	return same;
}
