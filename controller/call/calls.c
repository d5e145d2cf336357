// SPDX-License-Identifier: GPL-2.0-or-later
/* All calls of the node: who may ask for one, finding them, counting them. */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>

/* What new callers are asked to wait while the node drains or is full. */
#define FULL_RETRY_AFTER_S 30
/* The same of a caller who has as many calls as he may. */
#define PEER_RETRY_AFTER_S 10

int calls_new(struct calls **out, const struct calls_setup *setup)
{
	static const double setup_bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01,
					       0.025,  0.05,  0.1,    0.25,  1 };
	static const double call_bounds[] = { 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600 };
	static const double move_bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1,
					      0.25,  0.5,  1,	  2.5,	5 };
	struct calls *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->setup = *setup;
	all->peers = setup->peers;
	histogram_init(&all->counts.setup_seconds, setup_bounds,
		       sizeof(setup_bounds) / sizeof(double));
	histogram_init(&all->counts.call_seconds, call_bounds,
		       sizeof(call_bounds) / sizeof(double));
	histogram_init(&all->counts.transition_seconds, move_bounds,
		       sizeof(move_bounds) / sizeof(double));
	*out = all;
	return 0;
}

/* The legs are gone with the SIP stack; media flows on under its lease. */
static void leave(struct call *c)
{
	c->side[SIDE_A].leg = NULL;
	c->side[SIDE_B].leg = NULL;
	call_hold_stop(c);
	call_lines_leave(c);
}

void calls_free(struct calls *calls)
{
	struct call *c, *next;

	if (!calls)
		return;
	DL_FOREACH_SAFE(calls->list, c, next) {
		leave(c);
		call_free(c);
	}
	peers_unref(calls->peers);
	free(calls);
}

/* 503 and not 480 or 486, which would speak for the callee: another way to him may be free
 * (RFC 3261 21.5.4). */
static void admit_by_load(struct calls *all, const struct conf_peer *peer,
			  struct sip_verdict *verdict)
{
	int err = peer_load_ask(peer_load_of(all->peers, peer), peer,
				loop_now_ms(all->setup.loop));

	if (!err)
		return;
	*verdict = (struct sip_verdict){
		.code = 503,
		.label = err == -EUSERS ? "peer_limit" : "peer_rate",
		.retry_after_s = err == -EUSERS ? PEER_RETRY_AFTER_S : 1,
		.force_rport = verdict->force_rport,
		.grows = verdict->grows,
	};
}

static void admit(void *ctx, const struct sip_request *request, struct sip_verdict *verdict)
{
	struct calls *all = ctx;
	const struct conf_peer *peer = reach_admit(all->setup.reach, request, verdict);
	size_t live = HASH_COUNT(all->by_owner);

	if (!peer)
		return;
	if (!conf_transport_allowed(peer, request->transport)) {
		*verdict = (struct sip_verdict){.code = 403, .label = "transport"};
		return;
	}
	verdict->grows = conf_transport_grows(peer, request->realm);
	verdict->session = peer->session;
	if (strcmp(request->method, "INVITE") != 0)
		return;
	if (all->draining)
		verdict->label = "draining";
	else if (live >= peers_conf(all->peers)->max_calls)
		verdict->label = "max_calls";
	if (!verdict->label) {
		admit_by_load(all, peer, verdict);
		return;
	}
	verdict->code = 503;
	verdict->retry_after_s = FULL_RETRY_AFTER_S;
}

static void on_invite(void *ctx, struct leg *leg, const struct sip_request *request)
{
	struct calls *all = ctx;

	call_begin(all, leg, request, request->caller);
}

static void on_registration(void *ctx, const struct sip_registration *registration,
			    struct sip_registered *out)
{
	struct calls *all = ctx;

	/* Looked at before, while what was bound is there. */
	bool begins = reach_begins(all->setup.reach, registration);

	reach_registration(all->setup.reach, registration, out);
	if (begins && out->code == 200)
		quirks_registered(all->setup.quirks,
				  ((const struct conf_peer *)registration->request->caller)->name,
				  registration->request->user_agent, time(NULL));
}

static void on_request(void *ctx, struct relay *relay, const struct sip_request *request)
{
	calls_requested(ctx, relay, request);
}

struct sip_handlers calls_handlers(struct calls *calls)
{
	return (struct sip_handlers){.admit = admit,
				     .invite = on_invite,
				     .request = on_request,
				     .registration = on_registration,
				     .ctx = calls};
}

void calls_attach(struct calls *calls, struct sip *sip)
{
	calls->sip = sip;
}

void calls_reload(struct calls *calls, struct peers *peers)
{
	peers_inherit(peers, calls->peers);
	peers_unref(calls->peers);
	calls->peers = peers;
}

const struct peers *calls_peers(const struct calls *calls)
{
	return calls->peers;
}

void calls_drain(struct calls *calls, bool drain)
{
	calls->draining = drain;
}

bool calls_draining(const struct calls *calls)
{
	return calls->draining;
}

void calls_each(const struct calls *calls, uint64_t *at,
		bool (*each)(void *ctx, const struct call_report *report), void *ctx)
{
	struct call_report report;
	const struct call *c;

	DL_FOREACH(calls->list, c) {
		if (c->number <= *at)
			continue;
		*at = c->number;
		call_fill_report(c, &report);
		if (!each(ctx, &report))
			return;
	}
}

void calls_each_path(const struct calls *calls,
		     void (*each)(void *ctx, const char *path, const char *reason), void *ctx)
{
	char reason[POLICY_REASON_TEXT];
	const struct call *c;

	DL_FOREACH(calls->list, c)
		each(ctx, call_path(c), call_reason(c, reason));
}

void calls_each_decision(const struct calls *calls,
			 void (*each)(void *ctx, const char *reason, uint64_t n), void *ctx)
{
	char text[POLICY_REASON_TEXT];
	struct policy_verdict v = { .row = POLICY_ROW_PEER_REFUSED };

	for (unsigned int i = 0; i < POLICY_ROW_COUNT; i++)
		if (i != POLICY_ROW_PEER_REFUSED)
			each(ctx, policy_row_reason(text, &v, (enum policy_row)i),
			     calls->decisions[i]);
	for (unsigned int i = 0; i < CALLS_REFUSALS; i++) {
		v.code = CALLS_REFUSALS_LO + i;
		if (calls->refusals[i])
			each(ctx, policy_reason(text, &v), calls->refusals[i]);
	}
}

int calls_seek(const struct calls *calls, const char *id, struct call **out)
{
	size_t len = strlen(id);
	struct call *c, *found = NULL;

	DL_FOREACH(calls->list, c) {
		if (len == 0 || strncmp(c->id, id, len) != 0)
			continue;
		if (found)
			return -EEXIST;
		found = c;
	}
	*out = found;
	return found ? 0 : -ENOENT;
}

int calls_find(const struct calls *calls, const char *id, struct call_report *out)
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (!err)
		call_fill_report(c, out);
	return err;
}

int calls_explain(const struct calls *calls, const char *id, struct policy_verdict *out)
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (!err)
		call_decide(c, out);
	return err;
}

int calls_hangup(struct calls *calls, const char *id)
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (!err)
		call_end(c, "hangup", 480, NULL, 0);
	return err;
}

const char *calls_owner_id(const struct calls *calls, uint64_t owner)
{
	struct call *c;

	HASH_FIND(hh, calls->by_owner, &owner, sizeof(owner), c);
	return c ? c->id : NULL;
}

void calls_report(const struct calls *calls, struct calls_report *out)
{
	*out = calls->counts;
}

