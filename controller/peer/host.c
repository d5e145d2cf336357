// SPDX-License-Identifier: GPL-2.0-or-later
/* Hosts by name: what is known of them, when to ask again, and whom to try first. */
#include "peer/host.h"

#include "lib/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_again(void *owner)
{
	resolver_ask(owner);
}

static char *key_of(const struct host_query *q)
{
	char *key;

	if (asprintf(&key, "%s %s:%u", q->service ? q->service : "", q->name, q->port) < 0)
		return NULL;
	return key;
}

static void host_free(struct host *host)
{
	timer_stop(&host->again);
	resolver_forget(host);
	free(host->key);
	free(host->name);
	free(host->service);
	free(host);
}

static struct host *host_new(struct resolver *r, const struct host_query *q, char *key)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host) {
		free(key);
		return NULL;
	}
	host->resolver = r;
	host->refs = 1;
	host->key = key;
	host->name = strdup(q->name);
	host->service = q->service ? strdup(q->service) : NULL;
	host->port = q->port;
	timer_init(&host->again, r->loop, on_again, host);
	if (host->name && (host->service || !q->service))
		HASH_ADD_KEYPTR(hh, r->hosts, host->key, strlen(host->key), host);
	if (host->hh.tbl)
		return host;
	host_free(host);
	return NULL;
}

struct host *host_get(struct resolver *r, const struct host_query *query)
{
	char *key = key_of(query);
	struct host *host;

	if (!key)
		return NULL;
	HASH_FIND(hh, r->hosts, key, strlen(key), host);
	if (host) {
		free(key);
		host->refs++;
		return host;
	}
	host = host_new(r, query, key);
	if (host)
		resolver_ask(host);
	return host;
}

void host_put(struct host *host)
{
	if (!host || --host->refs)
		return;
	HASH_DEL(host->resolver->hosts, host);
	host_free(host);
}

void host_refresh(struct host *host)
{
	if (!host->asks)
		resolver_ask(host);
}

static struct host_server *find(struct host_list *list, const struct addr *a)
{
	for (size_t i = 0; i < list->n; i++)
		if (addr_equal(&list->servers[i].addr, a))
			return &list->servers[i];
	return NULL;
}

/* An address may stand behind several names: its first place counts. */
void host_found(struct host *host, const struct host_server *server)
{
	struct host_list *found = &host->found;

	if (found->n < HOST_SERVERS_MAX && !find(found, &server->addr))
		found->servers[found->n++] = *server;
}

static bool same_addresses(struct host_list *a, const struct host_list *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (!find(a, &b->servers[i].addr))
			return false;
	return a->n == b->n;
}

static void take_over(struct host *host)
{
	struct host_server *before;

	for (size_t i = 0; i < host->found.n; i++) {
		before = find(&host->now, &host->found.servers[i].addr);
		if (before)
			host->found.servers[i].bad_until_ms = before->bad_until_ms;
	}
	if (!same_addresses(&host->now, &host->found)) {
		host->resolver->generation++;
		log_notice("host %s: %zu addresses", host->name, host->found.n);
	}
	host->now = host->found;
}

/* Within nine tenths of the time to live, so that nothing ever expires that is still there. */
static uint64_t next_ms(const struct host *host)
{
	const struct resolver_timing *t = &host->resolver->timing;
	uint64_t ms = host->found.n ? host->ttl_s * 900ull : t->retry_most;

	return ms < t->soonest ? t->soonest : ms > t->latest ? t->latest : ms;
}

void host_settle(struct host *host)
{
	const struct resolver_timing *t = &host->resolver->timing;

	/* Part of an answer is better than none, but not than a whole one of before. */
	if (!host->failed || (host->found.n && !host->now.n))
		take_over(host);
	if (!host->failed) {
		host->retry_ms = 0;
		timer_set(&host->again, next_ms(host));
		return;
	}
	if (!host->retry_ms)
		log_warn("host %s: the DNS does not answer: %zu addresses stay", host->name,
			 host->now.n);
	host->retry_ms = host->retry_ms ? host->retry_ms * 2 : t->retry;
	if (host->retry_ms > t->retry_most)
		host->retry_ms = t->retry_most;
	timer_set(&host->again, host->retry_ms);
}

bool host_nth(const struct host *host, size_t nth, struct addr *out)
{
	if (nth >= host->now.n)
		return false;
	*out = host->now.servers[nth].addr;
	return true;
}

void host_failed(struct host *host, const struct addr *server)
{
	struct host_server *s = find(&host->now, server);

	if (s)
		s->bad_until_ms = loop_now_ms(host->resolver->loop) + host->resolver->timing.bad;
}

/* xorshift: whom to ask first is no secret. */
static uint32_t random_below(struct resolver *r, uint32_t limit)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 17;
	r->seed ^= r->seed << 5;
	return r->seed % limit;
}

static bool comes_before(const struct host_server *a, const struct host_server *b, uint64_t now)
{
	bool bad_a = a->bad_until_ms > now, bad_b = b->bad_until_ms > now;

	if (bad_a != bad_b)
		return bad_b;
	return a->priority < b->priority;
}

/* RFC 2782: of those of one priority each comes first as often as its weight says; one without
 * weight hardly ever. Takes it out of the list. */
static struct addr take_one(struct resolver *r, struct host_list *left, uint64_t now)
{
	const struct host_server *best = &left->servers[0];
	uint32_t sum = 0, dice;
	struct addr addr;
	size_t i;

	for (i = 1; i < left->n; i++)
		if (comes_before(&left->servers[i], best, now))
			best = &left->servers[i];
	for (i = 0; i < left->n; i++)
		if (!comes_before(best, &left->servers[i], now))
			sum += left->servers[i].weight * 100u + 1;
	dice = random_below(r, sum);
	for (i = 0; i < left->n; i++) {
		uint32_t weight = left->servers[i].weight * 100u + 1;

		if (comes_before(best, &left->servers[i], now))
			continue;
		if (dice < weight)
			break;
		dice -= weight;
	}
	addr = left->servers[i].addr;
	left->servers[i] = left->servers[--left->n];
	return addr;
}

size_t host_order(struct host *host, struct addr out[HOST_SERVERS_MAX])
{
	uint64_t now = loop_now_ms(host->resolver->loop);
	struct host_list left = host->now;
	size_t n = 0;

	while (left.n)
		out[n++] = take_one(host->resolver, &left, now);
	return n;
}
