// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/peer.h"
#include "peer/home.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Hashed as bytes: zero all of it before it is filled. `port` 0: any. */
struct source_key {
	uint32_t realm;
	uint16_t family;
	uint16_t port;
	uint8_t ip[16];
};

struct source {
	struct source_key key;
	const struct conf_peer *peer;
	UT_hash_handle hh;
};

struct peers {
	unsigned int refs;
	struct conf *conf;
	const struct conf_realm **homes; /* for each of conf->peers */
	struct peer_load **loads;	 /* the same */
	struct source *entries; /* the memory of `sources` */
	struct source *sources; /* hash */
};

static struct source_key source_key(const struct conf_realm *realm, const struct addr *a,
				    uint16_t port)
{
	struct source_key key;

	memset(&key, 0, sizeof(key));
	key.realm = realm->index;
	key.family = a->family;
	key.port = port;
	if (a->family == AF_INET)
		memcpy(key.ip, &a->v4, sizeof(a->v4));
	else
		memcpy(key.ip, &a->v6, sizeof(a->v6));
	return key;
}

/* A realm is written, the only one, or the kernel knows; a phone's may be any. */
static const struct conf_realm *find_home(const struct conf *conf, const struct conf_peer *peer)
{
	if (peer->realm)
		return peer->realm;
	if (conf->n_realms == 1)
		return &conf->realms[0];
	if (peer->dynamic)
		return NULL;
	return peer_home_find(conf, &peer->host);
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
			 peer->file, peer->line, peer->name, addr_print_ip(text, &peer->host));
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

/* The first that claims a source keeps it. */
static int source_add(struct peers *peers, struct source *entry, const struct conf_peer *peer,
		      uint16_t port)
{
	struct source *other;

	if (peer->dynamic)
		return 0;
	entry->key = source_key(peer_realm(peers, peer), &peer->host, port);
	entry->peer = peer;
	HASH_FIND(hh, peers->sources, &entry->key, sizeof(entry->key), other);
	if (other)
		return 0;
	HASH_ADD(hh, peers->sources, key, sizeof(entry->key), entry);
	return entry->hh.tbl ? 0 : -ENOMEM;
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
			rc = source_add(peers, entry++, &conf->peers[i], conf->peers[i].host.port);
	for (size_t i = 0; !rc && i < conf->n_peers; i++)
		if (!conf->peers[i].port_written)
			rc = source_add(peers, entry++, &conf->peers[i], conf->peers[i].host.port);
	for (size_t i = 0; !rc && i < conf->n_peers; i++)
		rc = source_add(peers, entry++, &conf->peers[i], 0);
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

static const struct conf_peer *lookup(const struct peers *peers, const struct conf_realm *realm,
				      const struct addr *source, uint16_t port)
{
	struct source_key key = source_key(realm, source, port);
	struct source *found;

	HASH_FIND(hh, peers->sources, &key, sizeof(key), found);
	return found ? found->peer : NULL;
}

const struct conf_peer *peer_by_source(const struct peers *peers, const struct conf_realm *realm,
				       const struct addr *source)
{
	const struct conf_peer *peer = lookup(peers, realm, source, source->port);

	if (!peer)
		peer = lookup(peers, realm, source, 0);
	return peer && conf_acl_permits(&peer->acl, source) ? peer : NULL;
}
