// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/peer.h"
#include "peer/home.h"
#include "peer/named.h"
#include "peer/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peers {
	unsigned int refs;
	struct conf *conf;
	const struct conf_realm **homes; /* for each of conf->peers */
	struct peer_load **loads;	 /* the same */
	struct source *entries; /* the memory of `sources` */
	struct source *sources; /* hash */
	struct named *named;	/* hosts by name; NULL: peers_resolve() was not called */
};

/* Where a name leads is not known before it is looked up: the realm of the default route. An
 * address of documentation (RFC 5737), to which nothing is sent. */
static const struct addr anywhere = {.family = AF_INET, .port = 5060, .v4 = {0x010200c0}};

/* A realm is written, the only one, or the kernel knows; a phone's may be any. */
static const struct conf_realm *find_home(const struct conf *conf, const struct conf_peer *peer)
{
	if (peer->realm)
		return peer->realm;
	if (conf->n_realms == 1)
		return &conf->realms[0];
	if (peer->dynamic)
		return NULL;
	return peer_home_find(conf, peer->host_name ? &anywhere : &peer->host);
}

static int resolve_homes(struct peers *peers, char *why, size_t why_size)
{
	const struct conf *conf = peers->conf;
	char text[ADDR_TEXT];

	peers->homes = calloc(conf->n_peers + 1, sizeof(*peers->homes));
	if (!peers->homes) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < conf->n_peers; i++) {
		const struct conf_peer *peer = &conf->peers[i];

		peers->homes[i] = find_home(conf, peer);
		if (peer->dynamic ||
		    (peers->homes[i] && conf_transport_fits(peer, peers->homes[i])))
			continue;
		if (peers->homes[i]) {
			snprintf(why, why_size,
				 "%s:%d: peer '%s': realm '%s' binds none of its "
				 "transports",
				 peer->file, peer->line, peer->name, peers->homes[i]->name);
			return -EPROTONOSUPPORT;
		}
		snprintf(why, why_size,
			 "%s:%d: peer '%s': no realm's interface leads to %s: say which "
			 "with 'realm = NAME'",
			 peer->file, peer->line, peer->name, peer->host_name ? peer->host_name
					 : addr_print_ip(text, &peer->host));
		return -EHOSTUNREACH;
	}
	return 0;
}

static int make_loads(struct peers *peers)
{
	size_t n = peers->conf->n_peers;

	peers->loads = calloc(n + 1, sizeof(*peers->loads));
	for (size_t i = 0; peers->loads && i < n; i++) {
		peers->loads[i] = peer_load_new();
		if (!peers->loads[i])
			return -ENOMEM;
	}
	return peers->loads ? 0 : -ENOMEM;
}

static int add_source(struct peers *peers, struct source *entry, const struct conf_peer *peer,
		      uint16_t port)
{
	struct source_key key;

	if (peer->dynamic || peer->host_name)
		return 0;
	key = source_key(peer_realm(peers, peer), &peer->host, port);
	return source_add(&peers->sources, entry, &key, peer);
}

/* A port that was written counts before one that was assumed. */
static int fill_sources(struct peers *peers)
{
	const struct conf *conf = peers->conf;
	struct source *entry;
	int rc = 0;

	peers->entries = calloc(2 * conf->n_peers + 1, sizeof(*peers->entries));
	if (!peers->entries)
		return -ENOMEM;
	entry = peers->entries;
	for (size_t i = 0; !rc && i < conf->n_peers; i++)
		if (conf->peers[i].port_written)
			rc = add_source(peers, entry++, &conf->peers[i], conf->peers[i].host.port);
	for (size_t i = 0; !rc && i < conf->n_peers; i++)
		if (!conf->peers[i].port_written)
			rc = add_source(peers, entry++, &conf->peers[i], conf->peers[i].host.port);
	for (size_t i = 0; !rc && i < conf->n_peers; i++)
		rc = add_source(peers, entry++, &conf->peers[i], 0);
	return rc;
}

int peers_new(struct peers **out, struct conf *conf, char *why, size_t why_size)
{
	struct peers *peers = calloc(1, sizeof(*peers));
	int rc;

	if (!peers) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	peers->refs = 1;
	peers->conf = conf_ref(conf);
	rc = resolve_homes(peers, why, why_size);
	if (!rc) {
		rc = make_loads(peers);
		if (!rc)
			rc = fill_sources(peers);
		if (rc)
			snprintf(why, why_size, "out of memory");
	}
	if (rc)
		peers_unref(peers);
	else
		*out = peers;
	return rc;
}

struct peers *peers_ref(struct peers *peers)
{
	peers->refs++;
	return peers;
}

void peers_unref(struct peers *peers)
{
	if (!peers || --peers->refs)
		return;
	HASH_CLEAR(hh, peers->sources);
	for (size_t i = 0; peers->loads && i < peers->conf->n_peers; i++)
		peer_load_unref(peers->loads[i]);
	free(peers->loads);
	named_free(peers->named, peers->conf->n_peers);
	free(peers->entries);
	free(peers->homes);
	conf_unref(peers->conf);
	free(peers);
}

struct conf *peers_conf(const struct peers *peers)
{
	return peers->conf;
}

const struct conf_realm *peer_realm(const struct peers *peers, const struct conf_peer *peer)
{
	return peers->homes[peer - peers->conf->peers];
}

struct peer_load *peer_load_of(const struct peers *peers, const struct conf_peer *peer)
{
	return peers->loads[peer - peers->conf->peers];
}

/* Names are unique in a configuration. One that cannot be looked up begins anew. */
void peers_inherit(struct peers *next, const struct peers *before)
{
	struct named {
		size_t index;
		UT_hash_handle hh;
	} *names = NULL, *entry, *memory;
	const struct conf *old = before->conf, *conf = next->conf;

	memory = calloc(old->n_peers + 1, sizeof(*memory));
	for (size_t i = 0; memory && i < old->n_peers; i++) {
		memory[i].index = i;
		HASH_ADD_KEYPTR(hh, names, old->peers[i].name, strlen(old->peers[i].name),
				&memory[i]);
	}
	for (size_t i = 0; i < conf->n_peers; i++) {
		HASH_FIND(hh, names, conf->peers[i].name, strlen(conf->peers[i].name), entry);
		if (!entry)
			continue;
		peer_load_unref(next->loads[i]);
		next->loads[i] = peer_load_ref(before->loads[entry->index]);
	}
	HASH_CLEAR(hh, names);
	free(memory);
}

int peers_resolve(struct peers *peers, struct resolver *resolver)
{
	return named_new(&peers->named, peers, resolver);
}

static struct host *host_of(const struct peers *peers, const struct conf_peer *peer)
{
	return named_host(peers->named, (size_t)(peer - peers->conf->peers));
}

size_t peer_servers(const struct peers *peers, const struct conf_peer *peer, struct addr *out,
		    size_t max)
{
	struct host *host = host_of(peers, peer);
	struct addr all[HOST_SERVERS_MAX];
	size_t n = host ? host_order(host, all) : 0;

	n = n < max ? n : max;
	memcpy(out, all, n * sizeof(*out));
	return n;
}

bool peer_server_nth(const struct peers *peers, const struct conf_peer *peer, size_t nth,
		     struct addr *out)
{
	const struct host *host = host_of(peers, peer);

	return host && host_nth(host, nth, out);
}

void peer_server_failed(const struct peers *peers, const struct conf_peer *peer,
			const struct addr *server)
{
	struct host *host = host_of(peers, peer);

	if (host)
		host_failed(host, server);
}

const struct conf_peer *peer_by_source(const struct peers *peers, const struct conf_realm *realm,
				       const struct addr *source)
{
	const struct conf_peer *peer = source_find(peers->sources, realm, source);

	if (!peer)
		peer = named_by_source(peers->named, peers, realm, source);
	return peer && conf_acl_permits(&peer->acl, source) ? peer : NULL;
}
