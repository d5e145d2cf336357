// SPDX-License-Identifier: GPL-2.0-or-later
/* Phones that register with us (RFC 3261 10.3). */
#include "reach/reach_priv.h"

#include <errno.h>
#include <string.h>

/* Packets go where they came from when a NAT is said or seen to be in between, or the Contact names
 * no address; never to an address of somebody else. */
static void place(struct binding_wish *wish, const struct sip_contact *c,
		  const struct sip_request *request)
{
	const struct conf_peer *peer = request->caller;
	const struct addr *source = &request->source;
	bool same = addr_same_ip(&c->addr, source);

	wish->to = *source;
	if (request->transport != CONF_UDP)
		return; /* over the connection that it opened */
	if (same && !(peer->nat & NAT_FORCE_RPORT))
		wish->to = c->addr;
	wish->natted = !addr_equal(&wish->to, &c->addr);
}

/* How long a binding lives: 0 it goes; -1: less than we grant. */
static int64_t lifetime(const struct conf *conf, int64_t asked)
{
	if (asked < 0)
		asked = conf->defaultexpiry_s;
	if (asked > conf->maxexpiry_s)
		asked = conf->maxexpiry_s;
	return asked && asked < conf->minexpiry_s ? -1 : asked;
}

static bool too_brief(const struct reach *r, const struct sip_registration *reg,
		      struct binding_wish *wishes)
{
	for (size_t i = 0; i < reg->n; i++) {
		int64_t s = lifetime(peers_conf(r->peers), reg->contacts[i].expires_s);

		if (s < 0)
			return true;
		wishes[i] = (struct binding_wish){.uri = reg->contacts[i].uri,
						  .expires_s = (unsigned int)s};
		place(&wishes[i], &reg->contacts[i], reg->request);
	}
	return false;
}

static void list(const struct reach *r, const struct conf_peer *peer, struct sip_registered *out)
{
	uint64_t now = loop_now_ms(r->loop);
	const struct binding *b;

	out->code = 200;
	while (out->n < SIP_CONTACTS_MAX && (b = registrar_nth(r->registrar, peer, out->n)) != NULL)
		out->contacts[out->n++] = (struct sip_contact){
			.uri = b->uri,
			.expires_s = b->expires_ms > now
					     ? (int64_t)(b->expires_ms - now + 999) / 1000
					     : 0};
}

void reach_registration(struct reach *r, const struct sip_registration *reg,
			struct sip_registered *out)
{
	const struct conf_peer *peer = reg->request->caller;
	struct binding_wish wishes[SIP_CONTACTS_MAX];
	struct binding_request q = {.peer = peer,
				    .realm = reg->request->realm,
				    .bind = reg->bind,
				    .call_id = reg->request->call_id,
				    .agent = reg->request->user_agent,
				    .cseq = reg->cseq,
				    .all = reg->all,
				    .wishes = wishes,
				    .n = reg->n};
	int err;

	*out = (struct sip_registered){.code = 403};
	if (!peer || !peer->dynamic)
		return;
	if (reg->n > peer->maxcontacts) {
		out->reason = "Too Many Contacts";
		return;
	}
	if (too_brief(r, reg, wishes)) {
		out->code = 423;
		out->min_expires_s = peers_conf(r->peers)->minexpiry_s;
		return;
	}
	err = registrar_update(r->registrar, &q);
	if (err == -ESTALE) {
		out->code = 400;
		out->reason = "CSeq Out Of Order";
	} else if (err) {
		out->code = err == -ENOMEM ? 503 : 403;
	} else {
		list(r, peer, out);
		probes_kick(r->probes, peer);
	}
}

bool reach_begins(const struct reach *r, const struct sip_registration *reg)
{
	const struct conf_peer *peer = reg->request->caller;
	bool binds = false;
	const struct binding *b;

	for (size_t i = 0; i < reg->n; i++)
		binds |= reg->contacts[i].expires_s != 0;
	if (!peer || !peer->dynamic || !binds)
		return false;
	for (size_t i = 0; (b = registrar_nth(r->registrar, peer, i)) != NULL; i++)
		if (strcmp(b->call_id, reg->request->call_id) == 0)
			return false;
	return true;
}

bool reach_natted(const struct reach *r, const struct conf_peer *peer, const struct addr *source)
{
	const struct binding *b;

	for (size_t i = 0; (b = registrar_nth(r->registrar, peer, i)) != NULL; i++)
		if (b->natted && addr_equal(&b->to, source))
			return true;
	return false;
}
