/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The node's reports as Prometheus families. Pure: reports in, text out; node_metrics() collects
 * them. */
#ifndef RTPFWD_STATS_FAMILIES_H
#define RTPFWD_STATS_FAMILIES_H

#include "call/call.h"
#include "datapath/datapath.h"
#include "lib/buf.h"
#include "media/ports.h"
#include "reach/reach.h"
#include "service/music.h"
#include "sip/sip.h"
#include "stats/cdr.h"

/* How often each of a few names was seen; the last place is "other", so that labels stay bounded.
 * Zero-initialise. */
struct tally {
	struct tally_entry {
		char name[48];
		uint64_t n;
	} entries[64];
	size_t n;
};

void tally_add(struct tally *t, const char *name, uint64_t n);

void families_build(struct buf *out);
/* `paths`, `reasons`: of the live calls. */
void families_calls(struct buf *out, const struct calls_report *report, const struct tally *paths,
		    const struct tally *reasons);

/* Reasons: of the live streams whose media is here, and how often each came to decide. */
void families_offers_begin(struct buf *out);
/* For calls_each_offer(). */
void families_offer(void *out, const char *direction, const char *purpose, int code, uint64_t n);
void families_policy(struct buf *out, const struct tally *relayed, const struct tally *decisions);

/* A realm with what its modules say of it. */
struct families_realm {
	const char *name;
	struct datapath_realm_report media;
	struct ports_report ports;
};

void families_realms(struct buf *out, const struct families_realm *realms, size_t n);
void families_interfaces(struct buf *out, const struct datapath_interface_report *interfaces,
			 size_t n);
/* `dropped`: by reason; `up`: passed on to the slower rung, by reason. */
void families_drops(struct buf *out, const struct tally *dropped, const struct tally *up);
void families_flows(struct buf *out, const size_t flows[PLANES], uint64_t keys_refused);
void families_music(struct buf *out, const struct music_report *report);
void families_reach(struct buf *out, const struct reach_report *report);
void families_quirks(struct buf *out, uint64_t devices);
void families_cdr(struct buf *out, const struct cdr_report *report);

/* SIP counters as sip_report() tells them, in any order. Zero-initialise. */
struct families_sip {
	struct families_series {
		enum sip_counter counter;
		const char *
			method; /* a literal of ours: methods that are not SIP's are one, "other" */
		int code;
		char label[32]; /* direction or reason */
		uint64_t value;
	} * series;
	size_t n, cap;
};

/* To give to sip_report(), with the struct families_sip as `ctx`. */
void families_sip_add(void *ctx, enum sip_counter counter, const char *method, int code,
		      const char *label, uint64_t value);
void families_sip(struct buf *out, const struct families_sip *in);
void families_sip_free(struct families_sip *in);

#endif
