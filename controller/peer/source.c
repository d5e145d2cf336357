// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/source.h"

#include <errno.h>
#include <string.h>

struct source_key source_key(const struct conf_realm *realm, const struct addr *a, uint16_t port)
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

int source_add(struct source **table, struct source *entry, const struct source_key *key,
	       const struct conf_peer *peer)
{
	struct source *other;

	entry->key = *key;
	entry->peer = peer;
	HASH_FIND(hh, *table, &entry->key, sizeof(entry->key), other);
	if (other)
		return 0;
	HASH_ADD(hh, *table, key, sizeof(entry->key), entry);
	return entry->hh.tbl ? 0 : -ENOMEM;
}

const struct conf_peer *source_find(struct source *table, const struct conf_realm *realm,
				    const struct addr *a)
{
	struct source_key key = source_key(realm, a, a->port);
	struct source *found;

	HASH_FIND(hh, table, &key, sizeof(key), found);
	if (!found) {
		key = source_key(realm, a, 0);
		HASH_FIND(hh, table, &key, sizeof(key), found);
	}
	return found ? found->peer : NULL;
}
