// SPDX-License-Identifier: GPL-2.0-or-later
/* Whose request is this? A stranger learns nothing of who exists: on a realm where somebody is
 * known by his name, everybody is asked for credentials, and all wrong ones are refused alike. */
#include "reach/reach_priv.h"

#include <string.h>

/* One stable line for each request refused; a flood of them is no flood of lines. */
static void log_refusal(struct reach *r, const struct sip_request *q, const char *why)
{
	char source[ADDR_TEXT];
	unsigned long missed;

	if (!log_allowed(&r->refusals, &missed))
		return;
	if (missed)
		log_warn("%lu refusals were not logged", missed);
	log_warn("refused %s from %s realm=%s: %s", q->method, addr_print(source, &q->source),
		 q->realm->name, why);
}

static bool is(const struct sip_request *q, const char *method)
{
	return strcmp(q->method, method) == 0;
}

/* A peer that is known by its source need not prove anything where it has no secret, and never to
 * ask whether we are there. */
static bool trusted(const struct conf_peer *peer, const struct sip_request *q)
{
	return !peer->secret || is(q, "OPTIONS") ||
	       (is(q, "INVITE") && (peer->insecure & INSECURE_INVITE));
}

/* A phone registers who is in To (RFC 3261 10.3, step 3); all else is from whom From says. */
static const struct conf_peer *by_name(const struct reach *r, const struct sip_request *q)
{
	const char *name = is(q, "REGISTER") ? q->to_user : q->from_user;
	const struct conf_peer *peer = registrar_user(r->registrar, q->realm, name);

	return peer && conf_acl_permits(&peer->acl, &q->source) ? peer : NULL;
}

/* A phone that is registered at that very address and port: whoever else fails behind the same NAT,
 * it goes on; and who guesses from there can guess at his own secret only. */
static bool registered_there(const struct reach *r, const struct conf_peer *peer,
			     const struct addr *source)
{
	const struct binding *b;

	for (size_t i = 0; peer && (b = registrar_nth(r->registrar, peer, i)) != NULL; i++)
		if (addr_equal(&b->to, source))
			return true;
	return false;
}

static void failed(struct reach *r, const struct sip_request *q, const char *why)
{
	unsigned int limit = peers_conf(r->peers)->authlimit;

	log_refusal(r, q, why);
	if (suspects_failed(r->suspects, &q->source, limit, loop_now_ms(r->loop)))
		log_refusal(r, q, "failed too often, not listened to for a minute");
}

/* A name that nobody has, without credentials: a scanner of names does not come back with any. Of a
 * datagram that says nothing of who sent it: a source that somebody else writes into his would be
 * shut out by him. */
static void stranger(struct reach *r, const struct sip_request *q)
{
	if (q->transport == CONF_UDP)
		log_refusal(r, q, "unknown user");
	else
		failed(r, q, "unknown user");
}

static bool shunned(struct reach *r, const struct sip_request *q, struct sip_verdict *v)
{
	if (!suspects_shunned(r->suspects, &q->source, loop_now_ms(r->loop)))
		return false;
	v->code = 403;
	v->silent = true;
	v->label = "auth_flood";
	return true;
}

/* `there`: the peer is known to be where the request came from. */
static const struct conf_peer *demand(struct reach *r, const struct sip_request *q,
				      const struct conf_peer *peer, bool there,
				      struct sip_verdict *v)
{
	unsigned int digest = peers_conf(r->peers)->digest;
	enum sip_auth auth;

	if (!there && shunned(r, q, v))
		return NULL;
	auth = sip_authenticate(q, peer ? peer->name : q->from_user, peer ? peer->secret : NULL,
				digest);
	if (auth == SIP_AUTH_OK)
		return peer;
	if (auth == SIP_AUTH_WRONG) {
		v->code = 403;
		v->label = "wrong_secret";
		failed(r, q, peer ? "wrong secret" : "unknown user");
		return NULL;
	}
	v->code = 401;
	v->challenge = true;
	v->digest = digest;
	v->stale = auth == SIP_AUTH_STALE;
	if (!peer && !v->stale)
		stranger(r, q);
	return NULL;
}

const struct conf_peer *reach_admit(struct reach *r, const struct sip_request *q,
				    struct sip_verdict *v)
{
	const struct conf_peer *peer =
		is(q, "REGISTER") ? NULL : peer_by_source(r->peers, q->realm, &q->asker);
	bool there = peer != NULL;

	if (!peer || !trusted(peer, q)) {
		if (!peer)
			peer = by_name(r, q);
		v->force_rport = peer && (peer->nat & NAT_FORCE_RPORT);
		if (!peer && !registrar_has_users(r->registrar, q->realm)) {
			v->code = 403;
			v->label = "unknown_peer";
			log_refusal(r, q, "unknown peer");
			return NULL;
		}
		peer = demand(r, q, peer, there || registered_there(r, peer, &q->source), v);
	}
	if (peer)
		v->force_rport = (peer->nat & NAT_FORCE_RPORT) != 0;
	v->caller = peer;
	return peer;
}
