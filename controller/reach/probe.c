// SPDX-License-Identifier: GPL-2.0-or-later
/* Is a peer there? OPTIONS now and then (Asterisk's qualify); and for phones behind a NAT that are
 * not asked, a blank datagram that keeps the way to them open. */
#include "reach/reach_priv.h"

#include "sip/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A peer that did not answer is asked again so much sooner. NATs forget UDP after 30 s at the
 * least (RFC 5626 4.4.2). Peers are asked one after the other at the start. */
enum { RETRY_S = 10, KEEPALIVE_MS = 25000, GAP_MS = 20, KICK_MS = 500 };

struct probe {
	const struct conf_peer *peer;
	struct probes *all;
	struct timer timer;  /* the next question, or the end of the wait for an answer */
	struct sip_ask *ask; /* under way; NULL: none */
	uint64_t asked_us;
	int state; /* as probes_state() */
	unsigned int rtt_ms;
	UT_hash_handle hh;
};

struct probes {
	struct reach *reach;
	struct peers *peers;
	struct probe *list; /* by the peer's name */
};

static void on_timer(void *owner);

static int add(struct probes *probes, const struct conf_peer *peer)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	p->peer = peer;
	p->all = probes;
	p->state = -1;
	timer_init(&p->timer, probes->reach->loop, on_timer, p);
	HASH_ADD_KEYPTR(hh, probes->list, peer->name, strlen(peer->name), p);
	if (p->hh.tbl)
		return 0;
	free(p);
	return -1;
}

struct probes *probes_new(struct reach *reach, struct peers *peers)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	const struct conf *conf = peers_conf(peers);

	if (!probes)
		return NULL;
	probes->reach = reach;
	probes->peers = peers_ref(peers);
	for (size_t i = 0; i < conf->n_peers; i++) {
		const struct conf_peer *peer = &conf->peers[i];

		if ((peer->qualify_ms || peer->dynamic) && add(probes, peer)) {
			probes_free(probes);
			return NULL;
		}
	}
	return probes;
}

void probes_free(struct probes *probes)
{
	struct probe *p, *next;

	if (!probes)
		return;
	HASH_ITER (hh, probes->list, p, next) {
		timer_stop(&p->timer);
		sip_ask_drop(p->ask);
		HASH_DEL(probes->list, p);
		free(p);
	}
	peers_unref(probes->peers);
	free(probes);
}

static struct probe *find(const struct probes *probes, const struct conf_peer *peer)
{
	struct probe *p;

	HASH_FIND(hh, probes->list, peer->name, strlen(peer->name), p);
	return p;
}

void probes_start(struct probes *probes, const struct probes *old)
{
	unsigned int delay = 0;

	for (struct probe *p = probes->list; p; p = p->hh.next) {
		const struct probe *before = old ? find(old, p->peer) : NULL;

		if (before && p->peer->qualify_ms) {
			p->state = before->state;
			p->rtt_ms = before->rtt_ms;
		}
		delay += GAP_MS;
		timer_set(&p->timer, delay % (p->peer->qualifyfreq_s * 1000));
	}
}

static void set_state(struct probe *p, int state, unsigned int rtt_ms)
{
	if (state != p->state && (state == 0 || p->state == 0))
		log_notice("peer %s: %s", p->peer->name, state ? "reachable" : "unreachable");
	p->state = state;
	p->rtt_ms = rtt_ms;
}

/* The next question, sooner where there was no answer. */
static void wait_for_next(struct probe *p)
{
	unsigned int s = p->peer->qualifyfreq_s;

	if (p->state == 0 && s > RETRY_S)
		s = RETRY_S;
	timer_set(&p->timer, s * 1000ull);
}

static void on_answer(void *owner, const struct sip_answer *answer)
{
	struct probe *p = owner;
	uint64_t ms = (loop_now_us(p->all->reach->loop) - p->asked_us) / 1000;

	p->ask = NULL;
	/* Whatever it says, it is there. */
	set_state(p, !answer->lost && ms <= p->peer->qualify_ms, (unsigned int)ms);
	wait_for_next(p);
}

static void ask(struct probe *p, const struct reach_target *t)
{
	const struct conf_peer *peer = p->peer;
	char uri[ADDR_TEXT + 8], at[ADDR_TEXT];
	struct sip_question q = {.method = "OPTIONS",
				 .realm = t->realm,
				 .transport = t->transport,
				 .bind = t->bind,
				 .to = t->to,
				 .uri = uri,
				 .to_uri = uri,
				 .contact_user = "rtpfwd",
				 .expires_s = -1};

	snprintf(uri, sizeof(uri), "sip:%s", addr_print(at, &t->to));
	if (t->uri)
		q.uri = q.to_uri = t->uri;
	p->asked_us = loop_now_us(p->all->reach->loop);
	if (sip_ask(&p->ask, p->all->reach->sip, &q, on_answer, p)) {
		p->ask = NULL;
		set_state(p, 0, 0);
		wait_for_next(p);
		return;
	}
	timer_set(&p->timer, peer->qualify_ms);
}

static void keep_alive(struct probe *p)
{
	const struct reach *r = p->all->reach;
	const struct binding *b;

	for (size_t i = 0; (b = registrar_nth(r->registrar, p->peer, i)) != NULL; i++)
		if (b->natted)
			sip_keepalive(r->sip, b->bind, &b->to);
	timer_set(&p->timer, KEEPALIVE_MS);
}

/* Where the question goes; false: a phone that is not there. */
static bool find_target(const struct probe *p, struct reach_target *t)
{
	const struct reach *r = p->all->reach;
	const struct binding *b;

	if (!p->peer->dynamic) {
		reach_static(p->all->peers, p->peer, t);
		return true;
	}
	b = registrar_nth(r->registrar, p->peer, 0);
	if (b)
		*t = (struct reach_target){
			.to = b->to, .realm = b->realm, .uri = b->uri, .bind = b->bind + 1};
	return b != NULL;
}

static void on_timer(void *owner)
{
	struct probe *p = owner;
	struct reach_target t;

	if (p->ask) {
		sip_ask_drop(p->ask);
		p->ask = NULL;
		set_state(p, 0, 0);
		wait_for_next(p);
	} else if (!find_target(p, &t)) {
		set_state(p, -1, 0); /* until it registers */
	} else if (p->peer->qualify_ms) {
		ask(p, &t);
	} else {
		keep_alive(p);
	}
}

void probes_kick(struct probes *probes, const struct conf_peer *peer)
{
	struct probe *p = find(probes, peer);

	if (p && !p->ask && (p->state <= 0 || !timer_running(&p->timer)))
		timer_set(&p->timer, KICK_MS);
}

int probes_state(const struct probes *probes, const struct conf_peer *peer, unsigned int *rtt_ms)
{
	const struct probe *p = find(probes, peer);

	*rtt_ms = p ? p->rtt_ms : 0;
	return p ? p->state : -1;
}

void probes_count(const struct probes *probes, struct reach_report *out)
{
	for (const struct probe *p = probes->list; p; p = p->hh.next) {
		out->reachable += p->state == 1;
		out->unreachable += p->state == 0;
	}
}
