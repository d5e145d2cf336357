// SPDX-License-Identifier: GPL-2.0-or-later
/* Ourselves registered with others (RFC 3261 10.2): `register` of the configuration. */
#include "reach/reach_priv.h"

#include "sip/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

/* After a failure the wait doubles up to RETRY_MAX_S; who refuses us is not asked often. */
enum {
	RETRY_S = 20,
	RETRY_MAX_S = 300,
	REJECTED_S = 300,
	RETRY_AFTER_MAX_S = 3600,
	LEAVE_MS = 2000,
	GAP_MS = 20,
	EXPIRY_MAX_S = 86400
};
/* More numbers than one question uses up with its challenges. */
enum { ASK_CSEQS = 8 };

struct trunk {
	struct trunks *all;
	const struct conf_register *conf;
	struct timer timer;
	struct sip_ask *ask; /* under way; NULL: none */
	enum reach_state state;
	unsigned int failures; /* in a row */
	unsigned int expiry_s; /* to ask for */
	uint64_t until_ms;     /* registered so long; 0: not */
	bool leaving;
	char call_id[64]; /* the same for every REGISTER of ours there (10.2.4) */
	uint32_t cseq;
};

struct trunks {
	struct reach *reach;
	struct peers *peers;
	struct trunk *list;
	size_t n;
	struct trunks *prev, *next; /* of reach->leaving */
	bool retired;
	struct timer leave;
	void (*done)(void *owner); /* while leaving */
	void *owner;
};

static void on_timer(void *owner);
static void on_leave_over(void *owner);

struct trunks *trunks_new(struct reach *reach, struct peers *peers)
{
	const struct conf *conf = peers_conf(peers);
	struct trunks *trunks = calloc(1, sizeof(*trunks));

	if (!trunks)
		return NULL;
	trunks->list = calloc(conf->n_registers + 1, sizeof(*trunks->list));
	if (!trunks->list) {
		free(trunks);
		return NULL;
	}
	trunks->reach = reach;
	trunks->peers = peers_ref(peers);
	timer_init(&trunks->leave, reach->loop, on_leave_over, trunks);
	for (size_t i = 0; i < conf->n_registers; i++) {
		struct trunk *t = &trunks->list[trunks->n++];

		t->all = trunks;
		t->conf = &conf->registers[i];
		t->expiry_s = t->conf->expiry_s ? t->conf->expiry_s : conf->defaultexpiry_s;
		timer_init(&t->timer, reach->loop, on_timer, t);
	}
	return trunks;
}

void trunks_free(struct trunks *trunks)
{
	if (!trunks)
		return;
	for (size_t i = 0; i < trunks->n; i++) {
		timer_stop(&trunks->list[i].timer);
		sip_ask_drop(trunks->list[i].ask);
	}
	timer_stop(&trunks->leave);
	if (trunks->retired)
		DL_DELETE(trunks->reach->leaving, trunks);
	peers_unref(trunks->peers);
	free(trunks->list);
	free(trunks);
}

static uint64_t now_ms(const struct trunk *t)
{
	return loop_now_ms(t->all->reach->loop);
}

static void set_state(struct trunk *t, enum reach_state state, const char *why)
{
	if (state == t->state)
		return;
	if (state != REACH_REGISTERING)
		log_notice("registration %s@%s: %s (%s)", t->conf->user, t->conf->peer->name,
			   reach_state_text(state), why);
	t->state = state;
}

static void left(struct trunks *trunks)
{
	void (*done)(void *owner) = trunks->done;

	for (size_t i = 0; i < trunks->n; i++)
		if (trunks->list[i].ask)
			return;
	timer_stop(&trunks->leave);
	trunks->done = NULL;
	if (done)
		done(trunks->owner);
}

static void on_leave_over(void *owner)
{
	struct trunks *trunks = owner;

	for (size_t i = 0; i < trunks->n; i++) {
		sip_ask_drop(trunks->list[i].ask);
		trunks->list[i].ask = NULL;
	}
	left(trunks);
}

/* 80 to 90 % of what was granted, not all of us at the same moment. */
static void refresh_later(struct trunk *t, uint64_t granted_s)
{
	uint64_t share = 800 + loop_now_us(t->all->reach->loop) % 100;

	timer_set(&t->timer, granted_s * share);
}

static void retry_later(struct trunk *t, const struct sip_answer *answer)
{
	uint64_t s = RETRY_S;

	for (unsigned int i = 1; i < t->failures && s < RETRY_MAX_S; i++)
		s *= 2;
	if (s > RETRY_MAX_S)
		s = RETRY_MAX_S;
	if (t->state == REACH_REJECTED)
		s = REJECTED_S;
	if (answer->retry_after_s)
		s = answer->retry_after_s < RETRY_AFTER_MAX_S ? answer->retry_after_s
							      : RETRY_AFTER_MAX_S;
	timer_set(&t->timer, s * 1000);
}

static void on_registered(struct trunk *t, const struct sip_answer *answer)
{
	uint64_t granted = answer->expires_s > 0 ? (uint64_t)answer->expires_s : t->expiry_s;

	if (granted > EXPIRY_MAX_S)
		granted = EXPIRY_MAX_S;
	t->failures = 0;
	t->until_ms = now_ms(t) + granted * 1000;
	set_state(t, REACH_REGISTERED, "accepted");
	refresh_later(t, granted);
}

static bool is_final_no(int code)
{
	return code == 401 || code == 403 || code == 404 || code == 407;
}

static void on_refused(struct trunk *t, const struct sip_answer *answer)
{
	char why[64];

	snprintf(why, sizeof(why), "%d %.50s", answer->code, answer->reason);
	t->failures++;
	if (answer->code == 423 && answer->min_expires_s > t->expiry_s &&
	    answer->min_expires_s <= EXPIRY_MAX_S) {
		t->expiry_s = answer->min_expires_s;
		timer_set(&t->timer, 1);
		return;
	}
	if (is_final_no(answer->code)) {
		t->until_ms = 0;
		set_state(t, REACH_REJECTED, why);
	} else if (t->until_ms <= now_ms(t)) {
		set_state(t, REACH_UNREGISTERED, why);
	}
	if (t->failures == 1)
		log_warn("registration %s@%s failed: %s", t->conf->user, t->conf->peer->name, why);
	retry_later(t, answer);
}

static void on_answer(void *owner, const struct sip_answer *answer)
{
	struct trunk *t = owner;

	t->ask = NULL;
	t->cseq = answer->cseq;
	if (t->leaving) {
		t->until_ms = 0;
		set_state(t, REACH_UNREGISTERED, "taken back");
		left(t->all);
	} else if (answer->code < 300) {
		on_registered(t, answer);
	} else {
		on_refused(t, answer);
	}
}

/* The domain of the address of record: the peer's, as a phone would write it. */
static void name_domain(const struct conf_peer *peer, char out[192])
{
	char text[ADDR_TEXT];
	struct addr at = peer->host;

	if (at.port == 5060)
		at.port = 0;
	addr_print(text, &at);
	if (peer->host_name && !peer->fromdomain)
		snprintf(out, 192, "%.190s", peer->host_text);
	else if (peer->fromdomain)
		snprintf(out, 192, "%.190s", peer->fromdomain);
	else
		snprintf(out, 192, at.family == AF_INET6 && !at.port ? "[%s]" : "%s", text);
}

static void make_call_id(struct trunk *t)
{
	uint64_t random[2] = {loop_now_us(t->all->reach->loop), (uint64_t)(uintptr_t)t};

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		log_debug("no random numbers: a Call-ID of the time");
	snprintf(t->call_id, sizeof(t->call_id), "%016llx%016llx", (unsigned long long)random[0],
		 (unsigned long long)random[1]);
}

static struct reach_target where(const struct trunk *t)
{
	struct reach_target at;

	reach_static(t->all->peers, t->conf->peer, &at);
	return at;
}

static void send_register(struct trunk *t, unsigned int expires_s)
{
	const struct conf_register *c = t->conf;
	const struct conf_peer *peer = c->peer;
	char domain[192], uri[200], record[384];
	struct reach_target at = where(t);
	struct sip_question q = {.method = "REGISTER",
				 .realm = at.realm,
				 .transport = at.transport,
				 .to = at.to,
				 .uri = uri,
				 .from_uri = record,
				 .to_uri = record,
				 .contact_user = c->extension,
				 .expires_s = expires_s,
				 .call_id = t->call_id,
				 .cseq = t->cseq,
				 .user = c->authuser,
				 .secret = c->secret};
	struct sip_answer lost = {
		.code = 503, .reason = "cannot be sent", .lost = true, .cseq = t->cseq};

	name_domain(peer, domain);
	snprintf(uri, sizeof(uri), "sip:%s", domain);
	snprintf(record, sizeof(record), "sip:%.160s@%s", c->user, domain);
	if (!*t->call_id)
		make_call_id(t);
	if (!t->until_ms && !t->leaving)
		set_state(t, REACH_REGISTERING, "");
	if (sip_ask(&t->ask, t->all->reach->sip, &q, on_answer, t)) {
		t->ask = NULL;
		on_answer(t, &lost);
	}
}

static void on_timer(void *owner)
{
	struct trunk *t = owner;

	send_register(t, t->expiry_s);
}

static struct trunk *find(const struct trunks *trunks, const char *text)
{
	for (size_t i = 0; trunks && i < trunks->n; i++)
		if (strcmp(trunks->list[i].conf->text, text) == 0)
			return &trunks->list[i];
	return NULL;
}

/* Where the same registration goes on, nobody notices the reload. */
static void go_on(struct trunk *t, struct trunk *before)
{
	t->state = before->state;
	t->failures = before->failures;
	t->until_ms = before->until_ms;
	t->cseq = before->cseq + (before->ask ? ASK_CSEQS : 0);
	memcpy(t->call_id, before->call_id, sizeof(t->call_id));
	before->until_ms = 0;
	if (t->until_ms > now_ms(t))
		refresh_later(t, (t->until_ms - now_ms(t)) / 1000 + 1);
	else
		timer_set(&t->timer, GAP_MS);
}

void trunks_start(struct trunks *trunks, struct trunks *old)
{
	unsigned int delay = 0;

	for (size_t i = 0; i < trunks->n; i++) {
		struct trunk *t = &trunks->list[i], *before = find(old, t->conf->text);

		delay += GAP_MS;
		if (before && addr_equal(&before->conf->peer->host, &t->conf->peer->host))
			go_on(t, before);
		else
			timer_set(&t->timer, delay);
	}
}

void trunks_leave(struct trunks *trunks, void (*done)(void *owner), void *owner)
{
	trunks->done = done;
	trunks->owner = owner;
	timer_set(&trunks->leave, LEAVE_MS);
	for (size_t i = 0; i < trunks->n; i++) {
		struct trunk *t = &trunks->list[i];

		timer_stop(&t->timer);
		sip_ask_drop(t->ask);
		t->cseq += t->ask ? ASK_CSEQS : 0;
		t->ask = NULL;
		t->leaving = true;
	}
	for (size_t i = 0; i < trunks->n; i++)
		if (trunks->list[i].until_ms)
			send_register(&trunks->list[i], 0);
	left(trunks);
}

static void on_retired(void *owner)
{
	trunks_free(owner);
}

void trunks_retire(struct trunks *trunks)
{
	trunks->retired = true;
	DL_APPEND(trunks->reach->leaving, trunks);
	trunks_leave(trunks, on_retired, trunks);
}

bool trunks_state(const struct trunks *trunks, const struct conf_peer *peer,
		  enum reach_state *state)
{
	bool found = false;

	for (size_t i = 0; i < trunks->n; i++) {
		if (strcmp(trunks->list[i].conf->peer->name, peer->name) != 0)
			continue;
		if (!found || trunks->list[i].state == REACH_REGISTERED)
			*state = trunks->list[i].state;
		found = true;
	}
	return found;
}

void trunks_count(const struct trunks *trunks, struct reach_report *out)
{
	for (size_t i = 0; i < trunks->n; i++)
		out->ours[trunks->list[i].state]++;
}
