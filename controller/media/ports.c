// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pool for each relay address of each realm. A pair is named by its place in the port range. Free
 * ones lie in an array without order, of which a random one is taken and the hole filled with the
 * last; resting ones lie in a ring, oldest first. A pair is in the array, in the ring, or with
 * somebody: leased to a call of ours, or held by flows of a former controller.
 */
#include "media/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REST_MS 10000
#define REST_SHORT_MS 1000

enum pair_state { PAIR_FREE, PAIR_LEASED, PAIR_RESTING, PAIR_HELD };
enum { HELD_RTP = 1, HELD_RTCP = 2 };

struct pool {
	unsigned int realm;
	struct addr addr;	/* no port */
	uint16_t lo, hi;
	uint16_t pairs;		/* 32768 at most */
	uint16_t n_free;
	uint16_t rest_head, n_rest;	/* ring of `pairs` places */
	uint16_t *free;
	uint16_t *at;		/* place in `free` of a free pair */
	uint16_t *rest;
	uint64_t *since_ms;	/* by place in `rest` */
	uint8_t *state;		/* enum pair_state in the low bits, HELD_* << 4 */
	uint64_t reused_early;
};

struct ports {
	struct pool *pools;	/* in the order of realms and their addresses */
	size_t n_pools;
	uint32_t random[64];	/* from the kernel, each used once */
	size_t n_random;
};

static enum pair_state state_of(const struct pool *p, uint16_t pair)
{
	return (enum pair_state)(p->state[pair] & 0xf);
}

static unsigned int held_by(const struct pool *p, uint16_t pair)
{
	return p->state[pair] >> 4;
}

static void set_state(struct pool *p, uint16_t pair, enum pair_state state, unsigned int held)
{
	p->state[pair] = (uint8_t)(state | held << 4);
}

static void put_free(struct pool *p, uint16_t pair)
{
	set_state(p, pair, PAIR_FREE, 0);
	p->at[pair] = p->n_free;
	p->free[p->n_free++] = pair;
}

static void take_free(struct pool *p, uint16_t pair)
{
	uint16_t last = p->free[--p->n_free];

	p->free[p->at[pair]] = last;
	p->at[last] = p->at[pair];
}

static void put_rest(struct pool *p, uint16_t pair, uint64_t now_ms)
{
	size_t place = ((size_t)p->rest_head + p->n_rest++) % p->pairs;

	set_state(p, pair, PAIR_RESTING, 0);
	p->rest[place] = pair;
	p->since_ms[place] = now_ms;
}

static uint16_t take_rest(struct pool *p)
{
	uint16_t pair = p->rest[p->rest_head];

	p->rest_head = (uint16_t)((p->rest_head + 1u) % p->pairs);
	p->n_rest--;
	return pair;
}

static bool rested(const struct pool *p, uint64_t now_ms, uint64_t ms)
{
	return p->n_rest && now_ms - p->since_ms[p->rest_head] >= ms;
}

/* Each release is undone here once: O(1) a lease in the long run. */
static void end_rest(struct pool *p, uint64_t now_ms)
{
	while (rested(p, now_ms, REST_MS)) {
		uint16_t pair = take_rest(p);
		unsigned int held = held_by(p, pair);

		if (held)
			set_state(p, pair, PAIR_HELD, held);
		else
			put_free(p, pair);
	}
}

static void pool_free(struct pool *p)
{
	free(p->free);
	free(p->at);
	free(p->rest);
	free(p->since_ms);
	free(p->state);
}

static int pool_init(struct pool *p, const struct conf_realm *realm, const struct addr *addr)
{
	size_t n = ((size_t)realm->port_hi - realm->port_lo + 1) / 2;

	p->realm = realm->index;
	p->addr = addr_with_port(addr, 0);
	p->lo = realm->port_lo;
	p->hi = realm->port_hi;
	p->pairs = (uint16_t)n;
	p->free = calloc(n, sizeof(*p->free));
	p->at = calloc(n, sizeof(*p->at));
	p->rest = calloc(n, sizeof(*p->rest));
	p->since_ms = calloc(n, sizeof(*p->since_ms));
	p->state = calloc(n, sizeof(*p->state));
	if (!p->free || !p->at || !p->rest || !p->since_ms || !p->state)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		put_free(p, (uint16_t)i);
	return 0;
}

static int fill_pools(struct ports *ports, const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_realms; i++) {
		const struct conf_realm *realm = &conf->realms[i];

		for (size_t j = 0; j < realm->n_media; j++) {
			struct pool *p = &ports->pools[ports->n_pools++];

			if (pool_init(p, realm, &realm->media[j]))
				return -ENOMEM;
		}
	}
	return 0;
}

int ports_new(struct ports **out, const struct conf *conf)
{
	struct ports *ports = calloc(1, sizeof(*ports));
	size_t n = 0;

	for (size_t i = 0; i < conf->n_realms; i++)
		n += conf->realms[i].n_media;
	if (ports)
		ports->pools = calloc(n ? n : 1, sizeof(*ports->pools));
	if (!ports || !ports->pools || fill_pools(ports, conf)) {
		ports_free(ports);
		return -ENOMEM;
	}
	*out = ports;
	return 0;
}

void ports_free(struct ports *ports)
{
	if (!ports)
		return;
	for (size_t i = 0; i < ports->n_pools; i++)
		pool_free(&ports->pools[i]);
	free(ports->pools);
	free(ports);
}

/* Uniform below `n` (not 0), without the bias of a remainder: D. Lemire, "Fast Random Integer
 * Generation in an Interval". -errno: the kernel has no random numbers. */
static int random_below(struct ports *ports, uint32_t n, uint32_t *out)
{
	uint64_t wide;

	do {
		if (!ports->n_random) {
			ssize_t got = getrandom(ports->random, sizeof(ports->random), 0);

			if (got != sizeof(ports->random))
				return got < 0 ? -errno : -EAGAIN;
			ports->n_random = sizeof(ports->random) / sizeof(*ports->random);
		}
		wide = (uint64_t)ports->random[--ports->n_random] * n;
	} while ((uint32_t)wide < -n % n);
	*out = (uint32_t)(wide >> 32);
	return 0;
}

static bool serves(const struct pool *p, unsigned int realm, sa_family_t family)
{
	return p->realm == realm && p->addr.family == family;
}

/* A pool of those that serve, each as likely as it has free pairs; NULL: none has. */
static struct pool *random_pool(struct ports *ports, unsigned int realm, sa_family_t family,
				uint32_t *nth)
{
	uint32_t total = 0;
	size_t i;

	for (i = 0; i < ports->n_pools; i++)
		if (serves(&ports->pools[i], realm, family))
			total += ports->pools[i].n_free;
	if (!total || random_below(ports, total, nth))
		return NULL;
	for (i = 0;; i++) {
		struct pool *p = &ports->pools[i];

		if (!serves(p, realm, family))
			continue;
		if (*nth < p->n_free)
			return p;
		*nth -= p->n_free;
	}
}

/* The pool whose oldest resting pair has rested longest, and long enough where nothing is free. */
static struct pool *oldest_pool(struct ports *ports, unsigned int realm, sa_family_t family,
				uint64_t now_ms)
{
	struct pool *oldest = NULL;

	for (size_t i = 0; i < ports->n_pools; i++) {
		struct pool *p = &ports->pools[i];

		if (!serves(p, realm, family) || !rested(p, now_ms, REST_SHORT_MS))
			continue;
		if (!oldest || p->since_ms[p->rest_head] < oldest->since_ms[oldest->rest_head])
			oldest = p;
	}
	return oldest;
}

static int lease_early(struct ports *ports, unsigned int realm, sa_family_t family, uint64_t now_ms,
		       struct pool **pool, uint16_t *pair)
{
	struct pool *p;

	while ((p = oldest_pool(ports, realm, family, now_ms))) {
		unsigned int held;

		*pair = take_rest(p);
		held = held_by(p, *pair);
		if (held) {
			set_state(p, *pair, PAIR_HELD, held);
			continue;
		}
		p->reused_early++;
		*pool = p;
		return 0;
	}
	return -ENOSPC;
}

int ports_lease(struct ports *ports, unsigned int realm, sa_family_t family, uint64_t now_ms,
		struct addr *rtp)
{
	struct pool *p;
	bool known = false;
	uint16_t pair;
	uint32_t nth = 0;

	for (size_t i = 0; i < ports->n_pools; i++) {
		if (!serves(&ports->pools[i], realm, family))
			continue;
		end_rest(&ports->pools[i], now_ms);
		known = true;
	}
	if (!known)
		return -EAFNOSUPPORT;
	p = random_pool(ports, realm, family, &nth);
	if (p) {
		pair = p->free[nth];
		take_free(p, pair);
	} else if (lease_early(ports, realm, family, now_ms, &p, &pair)) {
		return -ENOSPC;
	}
	set_state(p, pair, PAIR_LEASED, 0);
	*rtp = addr_with_port(&p->addr, (uint16_t)(p->lo + 2 * pair));
	return 0;
}

static struct pool *pool_of(struct ports *ports, const struct addr *local)
{
	for (size_t i = 0; i < ports->n_pools; i++) {
		struct pool *p = &ports->pools[i];

		if (addr_same_ip(&p->addr, local) && local->port >= p->lo && local->port <= p->hi)
			return p;
	}
	return NULL;
}

static uint16_t pair_of(const struct pool *p, const struct addr *local)
{
	return (uint16_t)((local->port - p->lo) / 2);
}

void ports_release(struct ports *ports, unsigned int realm, const struct addr *rtp, uint64_t now_ms)
{
	struct pool *p = pool_of(ports, rtp);
	unsigned int held;
	uint16_t pair;

	if (!p || p->realm != realm)
		return;
	pair = pair_of(p, rtp);
	if (state_of(p, pair) != PAIR_LEASED)
		return;
	held = held_by(p, pair);
	if (held)
		set_state(p, pair, PAIR_HELD, held);
	else
		put_rest(p, pair, now_ms);
}

static unsigned int held_bit(const struct pool *p, const struct addr *local)
{
	return (local->port - p->lo) % 2 ? HELD_RTCP : HELD_RTP;
}

/* A pair that is leased or resting is held from when that ends. */
int ports_reserve(struct ports *ports, const struct addr *local)
{
	struct pool *p = pool_of(ports, local);
	enum pair_state state;
	uint16_t pair;

	if (!p)
		return -ENOENT;
	pair = pair_of(p, local);
	state = state_of(p, pair);
	if (state == PAIR_FREE) {
		take_free(p, pair);
		state = PAIR_HELD;
	}
	set_state(p, pair, state, held_by(p, pair) | held_bit(p, local));
	return 0;
}

void ports_unreserve(struct ports *ports, const struct addr *local, uint64_t now_ms)
{
	struct pool *p = pool_of(ports, local);
	unsigned int held;
	uint16_t pair;

	if (!p)
		return;
	pair = pair_of(p, local);
	held = held_by(p, pair) & ~held_bit(p, local);
	if (!held && state_of(p, pair) == PAIR_HELD)
		put_rest(p, pair, now_ms);
	else
		set_state(p, pair, state_of(p, pair), held);
}

void ports_report(struct ports *ports, unsigned int realm, uint64_t now_ms,
		  struct ports_report *out)
{
	*out = (struct ports_report){ 0 };
	for (size_t i = 0; i < ports->n_pools; i++) {
		struct pool *p = &ports->pools[i];

		if (p->realm != realm)
			continue;
		end_rest(p, now_ms);
		out->free += 2u * p->n_free;
		out->quarantine += 2u * p->n_rest;
		out->used += 2u * ((unsigned int)p->pairs - p->n_free - p->n_rest);
		out->reused_early += p->reused_early;
	}
}
