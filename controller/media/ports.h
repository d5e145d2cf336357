/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay ports: pairs (RTP even, RTCP odd) on the relay addresses of each realm, handed out at
 * random, rested before reuse. All memory is allocated at start: 15 bytes a pair. */
#ifndef RTPFWD_MEDIA_PORTS_H
#define RTPFWD_MEDIA_PORTS_H

#include "conf/conf.h"

struct ports;

int ports_new(struct ports **out, const struct conf *conf);
void ports_free(struct ports *ports);	/* NULL-safe */

/* Leases a pair in `realm` at an address of `family` (AF_INET, AF_INET6). `now_ms` is the loop's
 * clock. `rtp` receives the relay address and the even port. 0; -ENOSPC: none is free (503);
 * -EAFNOSUPPORT: the realm has no such address. O(1). */
int ports_lease(struct ports *ports, unsigned int realm, sa_family_t family, uint64_t now_ms,
		struct addr *rtp);

/* Gives the pair back into quarantine: 10 s, or at least 1 s where none else is free (counted). */
void ports_release(struct ports *ports, unsigned int realm, const struct addr *rtp,
		   uint64_t now_ms);

/* A flow of a former controller lives at `local` (either port of the pair): keep the pair out of
 * the pool. -ENOENT: not our port. ports_unreserve() gives back one of the two; when both are, the
 * pair goes into quarantine. */
int ports_reserve(struct ports *ports, const struct addr *local);
void ports_unreserve(struct ports *ports, const struct addr *local, uint64_t now_ms);

struct ports_report {
	uint64_t used, free, quarantine;	/* in ports, two a pair */
	uint64_t reused_early;			/* leases out of quarantine since start */
};

void ports_report(struct ports *ports, unsigned int realm, uint64_t now_ms,
		  struct ports_report *out);

#endif
