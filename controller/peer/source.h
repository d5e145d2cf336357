/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside peer/ only: tables of who a source address is. */
#ifndef RTPFWD_PEER_SOURCE_H
#define RTPFWD_PEER_SOURCE_H

#include "conf/conf.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Hashed as bytes: all of it is zeroed before it is filled. `port` 0: any. */
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

struct source_key source_key(const struct conf_realm *realm, const struct addr *a, uint16_t port);
/* The first that claims a source keeps it. 0 or -ENOMEM. */
int source_add(struct source **table, struct source *entry, const struct source_key *key,
	       const struct conf_peer *peer);
/* By address and port, else by address; NULL: nobody. */
const struct conf_peer *source_find(struct source *table, const struct conf_realm *realm,
				    const struct addr *a);

#endif
