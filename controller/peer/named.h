/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside peer/ only: the peers of a snapshot whose hosts are names. */
#ifndef RTPFWD_PEER_NAMED_H
#define RTPFWD_PEER_NAMED_H

#include "peer/peer.h"

struct named;

/* 0 or -ENOMEM. */
int named_new(struct named **out, const struct peers *peers, struct resolver *resolver);
void named_free(struct named *named, size_t n_peers); /* NULL-safe */
/* NULL: that peer is not known by a name. */
struct host *named_host(const struct named *named, size_t index);
/* Whose server this is, as far as is known now. */
const struct conf_peer *named_by_source(struct named *named, const struct peers *peers,
					const struct conf_realm *realm, const struct addr *source);

#endif
