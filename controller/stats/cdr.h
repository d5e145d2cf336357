/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Call detail records: one JSON object a line for each call that has ended (rtpfwd(8) names the
 * fields). A record that cannot be written is counted and lost: signalling never waits for a disk
 * that is full, or for a pipe that nobody reads.
 */
#ifndef RTPFWD_STATS_CDR_H
#define RTPFWD_STATS_CDR_H

#include <stdint.h>

struct call_report;
struct cdr;

/* `path` NULL: off. Only -ENOMEM: a file that cannot be opened is logged, and tried again with each
 * record. */
int cdr_new(struct cdr **out, const char *path);
void cdr_free(struct cdr *cdr); /* NULL-safe */
/* After a reload or a rotation: the file of that name is opened anew. */
void cdr_reopen(struct cdr *cdr, const char *path);
/* For calls_setup.ended, with the struct cdr as `ctx`. */
void cdr_ended(void *ctx, const struct call_report *report);

struct cdr_report {
	uint64_t written, lost;
};

void cdr_report(const struct cdr *cdr, struct cdr_report *out);

#endif
