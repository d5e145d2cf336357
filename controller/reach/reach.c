// SPDX-License-Identifier: GPL-2.0-or-later
#include "reach/reach_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int reach_new(struct reach **out, struct loop *loop, struct peers *peers)
{
	struct reach *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->peers = peers_ref(peers);
	r->refusals = (struct log_limit){.per_s = 10, .burst = 50};
	r->suspects = suspects_new();
	r->registrar = registrar_new(loop, peers);
	r->probes = probes_new(r, peers);
	r->trunks = trunks_new(r, peers);
	if (r->suspects && r->registrar && r->probes && r->trunks) {
		*out = r;
		return 0;
	}
	reach_free(r);
	return -ENOMEM;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	trunks_free(r->trunks);
	while (r->leaving)
		trunks_free(r->leaving);
	probes_free(r->probes);
	registrar_free(r->registrar);
	suspects_free(r->suspects);
	peers_unref(r->peers);
	free(r);
}

void reach_attach(struct reach *r, struct sip *sip)
{
	r->sip = sip;
	probes_start(r->probes, NULL);
	trunks_start(r->trunks, NULL);
}

int reach_reload(struct reach *r, struct peers *peers)
{
	struct probes *probes = probes_new(r, peers), *old_probes = r->probes;
	struct trunks *trunks = trunks_new(r, peers), *old_trunks = r->trunks;

	if (!probes || !trunks || registrar_reload(r->registrar, peers)) {
		probes_free(probes);
		trunks_free(trunks);
		return -ENOMEM;
	}
	r->probes = probes;
	r->trunks = trunks;
	probes_start(probes, old_probes);
	trunks_start(trunks, old_trunks);
	probes_free(old_probes);
	trunks_retire(old_trunks);
	peers_unref(r->peers);
	r->peers = peers_ref(peers);
	return 0;
}

void reach_leave(struct reach *r, void (*done)(void *owner), void *owner)
{
	trunks_leave(r->trunks, done, owner);
}

void reach_static(const struct peers *peers, const struct conf_peer *peer, struct reach_target *out)
{
	const struct conf_realm *realm = peer_realm(peers, peer);

	*out = (struct reach_target){.to = peer->host,
				     .realm = realm,
				     .host = peer->host_text,
				     .transport = conf_transport_to(peer, realm)};
	if (peer->host_name)
		peer_servers(peers, peer, &out->to, 1);
}

static int phone_target(const struct reach *r, const struct conf_peer *peer, size_t nth,
			struct reach_target *out)
{
	const struct binding *b = registrar_nth(r->registrar, peer, nth);

	if (!b)
		return -ENOENT;
	*out = (struct reach_target){
		.to = b->to, .realm = b->realm, .uri = b->uri, .bind = b->bind + 1};
	return 0;
}

int reach_target(const struct reach *r, const struct peers *peers, const struct conf_peer *peer,
		 size_t nth, struct reach_target *out)
{
	unsigned int rtt_ms;

	if (probes_state(r->probes, peer, &rtt_ms) == 0)
		return -EHOSTUNREACH;
	if (peer->dynamic)
		return phone_target(r, peer, nth, out);
	if (nth)
		return -ENOENT;
	reach_static(peers, peer, out);
	return out->to.family == AF_UNSPEC ? -EHOSTUNREACH : 0;
}

const struct conf_peer *reach_phone(const struct reach *r, const struct peers *peers,
				    const char *user)
{
	const struct conf *conf = peers_conf(r->peers), *older = peers_conf(peers);
	const struct conf_peer *peer = NULL;

	for (size_t i = 0; !peer && i < conf->n_realms; i++)
		peer = registrar_user(r->registrar, &conf->realms[i], user);
	if (!peer || !peer->dynamic)
		return NULL;
	if (peers == r->peers)
		return peer;
	for (size_t i = 0; i < older->n_peers; i++)
		if (older->peers[i].dynamic && strcmp(older->peers[i].name, user) == 0)
			return &older->peers[i];
	return NULL;
}

const char *reach_state_text(enum reach_state state)
{
	static const char *const texts[REACH_STATES] = {
		[REACH_UNREGISTERED] = "unregistered",
		[REACH_REGISTERING] = "registering",
		[REACH_REGISTERED] = "registered",
		[REACH_REJECTED] = "rejected",
	};

	return texts[state];
}

static void report_contacts(const struct reach *r, const struct conf_peer *peer,
			    struct reach_peer_report *out)
{
	uint64_t now = loop_now_ms(r->loop);
	const struct binding *b;

	while (out->n_contacts < SIP_CONTACTS_MAX &&
	       (b = registrar_nth(r->registrar, peer, out->n_contacts)) != NULL) {
		out->contacts[out->n_contacts++] = (struct reach_contact){
			.uri = b->uri,
			.agent = b->agent,
			.to = b->to,
			.expires_s = b->expires_ms > now ? (b->expires_ms - now + 999) / 1000 : 0,
		};
		if (out->n_contacts == 1)
			out->realm = b->realm;
	}
}

void reach_peer(const struct reach *r, const struct conf_peer *peer, struct reach_peer_report *out)
{
	enum reach_state state;

	*out = (struct reach_peer_report){.realm = peer_realm(r->peers, peer)};
	report_contacts(r, peer, out);
	while (out->n_addresses < HOST_SERVERS_MAX &&
	       peer_server_nth(r->peers, peer, out->n_addresses,
			       &out->addresses[out->n_addresses]))
		out->n_addresses++;
	out->reachable = probes_state(r->probes, peer, &out->rtt_ms);
	out->registered = out->n_contacts > 0;
	if (!trunks_state(r->trunks, peer, &state))
		return;
	out->registration = reach_state_text(state);
	out->registered = out->registered || state == REACH_REGISTERED;
}

void reach_report(const struct reach *r, struct reach_report *out)
{
	*out = (struct reach_report){.registrations = registrar_count(r->registrar)};
	probes_count(r->probes, out);
	trunks_count(r->trunks, out);
}
