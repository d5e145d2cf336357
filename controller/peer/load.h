/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer carries: its live calls, how fast new ones come, and how long it asked to be left
 * alone. It goes by the peer's name, and a reload hands it on (peers_inherit()). Counted, because a
 * call outlives the configuration that it was set up under. */
#ifndef RTPFWD_PEER_LOAD_H
#define RTPFWD_PEER_LOAD_H

#include "conf/conf.h"

struct peer_load {
	unsigned int refs;
	unsigned int calls;	/* legs of live calls, as caller and as callee */
	/* A bucket of calls in thousandths, which holds what comes in a second; full when new. */
	uint64_t bucket, bucket_ms;
	bool bucket_used;
	uint64_t rests_until_ms; /* RFC 3261 21.5.4: it said Retry-After; 0: it did not */
};

/* A peer that asked for more is believed so long. */
enum { PEER_REST_MAX_S = 60 };

struct peer_load *peer_load_new(void); /* NULL: no memory */
struct peer_load *peer_load_ref(struct peer_load *load);
void peer_load_unref(struct peer_load *load); /* NULL-safe; the last one frees */

/* May it have one more call? Takes that call off its rate if so. 0, -EUSERS (max_calls) or -EAGAIN
 * (callrate). */
int peer_load_ask(struct peer_load *load, const struct conf_peer *peer, uint64_t now_ms);
/* A call begins and ends; between them it is counted, and the load is held. */
void peer_load_begin(struct peer_load *load);
void peer_load_end(struct peer_load *load);

/* It refused with Retry-After: others are asked first for so long. */
void peer_load_rest(struct peer_load *load, uint64_t now_ms, unsigned int seconds);
/* For how many seconds more, rounded up; 0: it does not rest. */
unsigned int peer_load_rests(const struct peer_load *load, uint64_t now_ms);

#endif
