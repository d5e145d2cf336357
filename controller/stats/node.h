/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom the control socket and the metrics ask for their reports: main.c fills it once, before
 * ctl_new() and metrics_new(). */
#ifndef RTPFWD_STATS_NODE_H
#define RTPFWD_STATS_NODE_H

#include "call/call.h"
#include "datapath/datapath.h"
#include "media/ports.h"
#include "peer/peer.h"
#include "peer/quirk.h"
#include "reach/reach.h"
#include "service/music.h"
#include "sip/sip.h"
#include "stats/cdr.h"

/* All borrowed; what is named here outlives ctl and metrics. */
struct node {
	struct loop *loop;
	struct calls *calls;
	struct reach *reach;
	struct quirks *quirks;
	struct sip *sip;
	struct datapath *dp;
	struct music *music;
	struct ports *ports;
	struct cdr *cdr;
	uint64_t started_ms; /* loop_now_ms() at start */
	/* The peers in force now (their conf by peers_conf()): asked for each report, as a reload
	 * exchanges them. */
	const struct peers *(*peers)(void *ctx);
	/* What SIGHUP does. 0, or -errno and `why` in one line; then the old configuration stays.
	 */
	int (*reload)(void *ctx, char *why, size_t why_size);
	void *ctx;
};

#endif
