/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sources that failed to prove who they are: guessers of names and secrets. Each address (of IPv6:
 * each /64) may fail so often a minute; what it asks for a minute after that is not looked at. The
 * table never grows: where it is full, who failed least is forgotten.
 */
#ifndef RTPFWD_REACH_SUSPECTS_H
#define RTPFWD_REACH_SUSPECTS_H

#include "lib/addr.h"

struct suspects;

enum { SUSPECTS_MINUTE_MS = 60000 };

struct suspects *suspects_new(void);	/* NULL: no memory, or no random number */
void suspects_free(struct suspects *s); /* NULL-safe */

/* One more failure of this source; true: its last, it is not listened to from now on. `limit`: so
 * many a minute, 0: no limit. */
bool suspects_failed(struct suspects *s, const struct addr *source, unsigned int limit,
		     uint64_t now_ms);
/* Is it one that is not listened to? */
bool suspects_shunned(struct suspects *s, const struct addr *source, uint64_t now_ms);

#endif
