/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has sent under a key: for a relay after this one, hence in the map, and so that a relay may
 * be killed amid any of it. Of the latest ones all is kept, of others that they were there: of
 * those a later relay cannot know which indices they have used.
 */
#ifndef RTPFWD_DATAPATH_SENDERS_H
#define RTPFWD_DATAPATH_SENDERS_H

#include "../kmod/index.h"

#include <stdint.h>

#define SENDERS_KEPT 4
#define SENDERS_MAX  32 /* under one key, as in rtpfwd.ko */

struct senders {
	uint32_t n;
	uint32_t all[SENDERS_MAX]; /* never taken out again */
	uint32_t turn;
	uint32_t ssrc[SENDERS_KEPT];
	uint32_t used[SENDERS_KEPT]; /* its last `turn`; 0: nobody */
	struct index_window state[SENDERS_KEPT];
};

/* The compiler keeps the order: a process that is killed has written what came before. */
static inline void senders_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Of `ssrc`; NULL: nothing is kept. */
const struct index_window *senders_find(const struct senders *s, uint32_t ssrc);

/* May one begin of whom nothing is kept? -EMFILE: it has been there, or too many have. */
int senders_admit(const struct senders *s, uint32_t ssrc);

/* So is `ssrc` now; who has not sent for longest makes room. Only of those admitted once. */
void senders_keep(struct senders *s, uint32_t ssrc, const struct index_window *state);

#endif
