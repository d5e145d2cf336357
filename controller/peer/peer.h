/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who we talk SIP to and where a call goes: lookups over a configuration snapshot, hashed. Pure: no
 * I/O after peers_new(). */
#ifndef RTPFWD_PEER_PEER_H
#define RTPFWD_PEER_PEER_H

#include "conf/conf.h"
#include "lib/buf.h"
#include "peer/load.h"
#include "peer/resolve.h"

struct peers;

/* Resolves each peer's realm (written, or by the kernel's route to `host`) and builds the tables.
 * Takes a reference on `conf`. 0, or -errno and `why` ("FILE:LINE: ...": a peer whose realm cannot
 * be found). Two peers that no request could tell apart are no error: the first is found. */
int peers_new(struct peers **out, struct conf *conf, char *why, size_t why_size);
/* Counted: a call keeps the snapshot under which it was set up. */
struct peers *peers_ref(struct peers *peers);
void peers_unref(struct peers *peers);	/* NULL-safe; the last one frees */
struct conf *peers_conf(const struct peers *peers);
/* What is known of the peers of a snapshot that gives way holds for those of the same name. */
void peers_inherit(struct peers *next, const struct peers *before);
/* Borrowed. Never NULL for a peer of this snapshot. */
struct peer_load *peer_load_of(const struct peers *peers, const struct conf_peer *peer);

/* Begins to look up the hosts by name; those of the snapshot that gives way are known already. The
 * resolver outlives every snapshot. 0 or -ENOMEM. */
int peers_resolve(struct peers *peers, struct resolver *resolver);
/* A host by name: up to `max` of its addresses in the order to try them; their number, 0: not known
 * (yet). */
size_t peer_servers(const struct peers *peers, const struct conf_peer *peer, struct addr *out,
		    size_t max);
/* The same in no order, for reports. */
bool peer_server_nth(const struct peers *peers, const struct conf_peer *peer, size_t nth,
		     struct addr *out);
/* That address did not answer: for a while it is tried behind the others. */
void peer_server_failed(const struct peers *peers, const struct conf_peer *peer,
			const struct addr *server);

/* The realm on which a peer of this snapshot lives. NULL: a phone that may register on any. */
const struct conf_realm *peer_realm(const struct peers *peers, const struct conf_peer *peer);

/* The peer a request came from: (realm, address and port), else (realm, address), of several the
 * first in file order; the peer's permit/deny must let it. NULL: nobody (403). Realms are told
 * apart by their index, which a reload keeps: `realm` may be of an older snapshot. A peer with
 * host = dynamic has no source: the registrar knows it. */
const struct conf_peer *peer_by_source(const struct peers *peers, const struct conf_realm *realm,
				       const struct addr *source);

/* The first route in file order for a call of `from` (which came in on `realm`) to `number`. NULL:
 * none (404). `dialled` receives the number after strip and prepend. A route that would strip more
 * than there is, leave nothing to dial, or need more than `dialled_size` does not match. */
const struct conf_route *route_find(const struct peers *peers, const struct conf_realm *realm,
				    const struct conf_peer *from, const char *number, char *dialled,
				    size_t dialled_size);

/* Asterisk's pattern language: `_` begins a pattern (X Z N [1-5] . !), else the text is a plain
 * number or the beginning of one. */
bool route_pattern_matches(const char *pattern, const char *number);

#endif
