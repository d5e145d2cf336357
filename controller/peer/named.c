// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/named.h"
#include "peer/source.h"

#include <errno.h>
#include <stdlib.h>

struct named {
	struct resolver *resolver;
	struct host **hosts; /* for each peer of the snapshot */
	bool filled;
	uint64_t generation; /* of the resolver, when the table was filled */
	struct source *entries; /* the memory of `sources` */
	struct source *sources; /* hash */
};

/* RFC 3263 4: a port that is written is no service's to name; a transport that is written needs no
 * NAPTR. */
static const char *service_of(const struct conf_peer *peer, const struct conf_realm *realm)
{
	static const char *const services[CONF_TRANSPORTS] = {
		[CONF_UDP] = "_sip._udp", [CONF_TCP] = "_sip._tcp", [CONF_TLS] = "_sips._tcp"};

	return peer->port_written ? NULL : services[conf_transport_to(peer, realm)];
}

int named_new(struct named **out, const struct peers *peers, struct resolver *resolver)
{
	const struct conf *conf = peers_conf(peers);
	struct named *named = calloc(1, sizeof(*named));

	if (!named)
		return -ENOMEM;
	named->resolver = resolver;
	named->hosts = calloc(conf->n_peers + 1, sizeof(*named->hosts));
	for (size_t i = 0; named->hosts && i < conf->n_peers; i++) {
		const struct conf_peer *peer = &conf->peers[i];
		struct host_query query = {.name = peer->host_name, .port = peer->host.port};

		if (!peer->host_name)
			continue;
		query.service = service_of(peer, peer_realm(peers, peer));
		named->hosts[i] = host_get(resolver, &query);
		if (!named->hosts[i]) {
			named_free(named, conf->n_peers);
			return -ENOMEM;
		}
		/* A reload looks everything up anew. */
		host_refresh(named->hosts[i]);
	}
	if (!named->hosts) {
		free(named);
		return -ENOMEM;
	}
	*out = named;
	return 0;
}

static void empty(struct named *named)
{
	HASH_CLEAR(hh, named->sources);
	free(named->entries);
	named->entries = NULL;
	named->filled = false;
}

void named_free(struct named *named, size_t n_peers)
{
	if (!named)
		return;
	empty(named);
	for (size_t i = 0; i < n_peers; i++)
		host_put(named->hosts[i]);
	free(named->hosts);
	free(named);
}

struct host *named_host(const struct named *named, size_t index)
{
	return named ? named->hosts[index] : NULL;
}

static size_t count(const struct named *named, size_t n_peers)
{
	struct addr a;
	size_t n = 0;

	for (size_t i = 0; i < n_peers; i++)
		for (size_t k = 0; named->hosts[i] && host_nth(named->hosts[i], k, &a); k++)
			n++;
	return n;
}

static int fill(struct named *named, const struct peers *peers)
{
	const struct conf *conf = peers_conf(peers);
	struct source *entry;
	struct addr a;
	int err = 0;

	empty(named);
	entry = named->entries = calloc(2 * count(named, conf->n_peers) + 1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	for (size_t i = 0; !err && i < conf->n_peers; i++) {
		const struct conf_peer *peer = &conf->peers[i];

		for (size_t k = 0;
		     !err && named->hosts[i] && host_nth(named->hosts[i], k, &a); k++) {
			const struct conf_realm *realm = peer_realm(peers, peer);
			struct source_key exact = source_key(realm, &a, a.port);
			struct source_key any = source_key(realm, &a, 0);

			err = source_add(&named->sources, entry++, &exact, peer);
			if (!err)
				err = source_add(&named->sources, entry++, &any, peer);
		}
	}
	named->filled = !err;
	named->generation = resolver_generation(named->resolver);
	return err;
}

/* What changed since the last time is seen here, not when it changes: nobody need be told. */
const struct conf_peer *named_by_source(struct named *named, const struct peers *peers,
					const struct conf_realm *realm, const struct addr *source)
{
	if (!named)
		return NULL;
	if ((!named->filled || named->generation != resolver_generation(named->resolver)) &&
	    fill(named, peers))
		return NULL;
	return source_find(named->sources, realm, source);
}
