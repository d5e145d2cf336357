/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of controller/reach/ share. */
#ifndef RTPFWD_REACH_REACH_PRIV_H
#define RTPFWD_REACH_REACH_PRIV_H

#include "lib/log.h"
#include "peer/registrar.h"
#include "reach/reach.h"
#include "reach/suspects.h"

struct probes;
struct trunks;

struct reach {
	struct loop *loop;
	struct peers *peers;
	struct sip *sip;
	struct registrar *registrar;
	struct probes *probes;
	struct trunks *trunks;
	struct trunks *leaving; /* of configurations before: taking their registrations back */
	struct suspects *suspects;
	struct log_limit refusals;
};

/* Where a peer is that does not register. */
void reach_static(const struct peers *peers, const struct conf_peer *peer,
		  struct reach_target *out);

/* probe.c: OPTIONS to peers with `qualify`, blank datagrams to phones behind a NAT */
struct probes *probes_new(struct reach *reach, struct peers *peers);
void probes_free(struct probes *probes); /* NULL-safe */
/* What `old` knows of the peers that are in both; then they begin. */
void probes_start(struct probes *probes, const struct probes *old);
/* A phone registered: it is asked soon. */
void probes_kick(struct probes *probes, const struct conf_peer *peer);
/* 1, 0, or -1: not asked. */
int probes_state(const struct probes *probes, const struct conf_peer *peer, unsigned int *rtt_ms);
void probes_count(const struct probes *probes, struct reach_report *out);

/* trunk.c: our registrations with others */
struct trunks *trunks_new(struct reach *reach, struct peers *peers);
void trunks_free(struct trunks *trunks); /* without a word to anybody; NULL-safe */
/* Takes over what goes on from `old` (NULL: nothing), and begins with the rest. */
void trunks_start(struct trunks *trunks, struct trunks *old);
/* Takes back what nobody took over; frees itself when that is over. */
void trunks_retire(struct trunks *trunks);
void trunks_leave(struct trunks *trunks, void (*done)(void *owner), void *owner);
/* The state of our registration with a peer; false: there is none. */
bool trunks_state(const struct trunks *trunks, const struct conf_peer *peer,
		  enum reach_state *state);
void trunks_count(const struct trunks *trunks, struct reach_report *out);

#endif
