/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports as JSON: pure, one function per kind of report. Each returns a new object, or NULL
 * without memory. */
#ifndef RTPFWD_STATS_RENDER_H
#define RTPFWD_STATS_RENDER_H

#include "call/call.h"
#include "datapath/datapath.h"
#include "doctor/doctor.h"
#include "media/ports.h"
#include "peer/quirk.h"
#include "reach/reach.h"

#include <jansson.h>

/* Dumping flags of every document: one line, and 0.1 is not 0.10000000000000001. */
#define RENDER_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* A string; bytes that are not UTF-8 (RFC 3261 texts come as they are sent) become '?'. NULL: null.
 */
json_t *render_text(const char *text);
json_t *render_addr(const struct addr *a); /* null where there is none */
json_t *
render_time(const struct timespec *wall); /* RFC 3339, UTC, milliseconds; null where tv_sec is 0 */

json_t *render_call(const struct call_report *call);
json_t *render_verdict(const struct policy_verdict *verdict); /* each row of the table */
json_t *render_flow(const struct flow_report *flow,
		    const char *call_id); /* NULL: its call is unknown */
json_t *render_peer(const struct conf_peer *peer, const struct reach_peer_report *reach,
		    const struct peer_load *load, unsigned int rests_s, bool quirk);
json_t *render_quirk(const struct quirk_report *quirk);
json_t *render_quirks(const struct conf_peer *peer, json_t *learned); /* takes `learned` */
json_t *render_finding(const struct doctor_finding *finding);
json_t *render_cdr(const struct call_report *call, const struct timespec *ended);

struct render_status {
	uint64_t uptime_s, calls, flows;
	uint64_t events, heap_bytes; /* what a quiet node has of them, it had before */
	bool draining, survives;
	bool kmod;	   /* rtpfwd.ko is in use */
	const char *guard; /* "on", "off", "absent": the kernel cannot */
};

json_t *render_status(const struct render_status *status, json_t *realms); /* takes `realms` */
/* `interfaces`: those of every realm; the realm's own are picked. */
json_t *render_realm(const struct conf_realm *realm, const struct ports_report *ports,
		     const struct datapath_interface_report *interfaces, size_t n);

#endif
