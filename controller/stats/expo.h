/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prometheus' text format 0.0.4: a family's head, then its samples, values escaped. */
#ifndef RTPFWD_STATS_EXPO_H
#define RTPFWD_STATS_EXPO_H

#include "lib/buf.h"

#include <stdint.h>

#define EXPO_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct expo_label {
	const char *key, *value;
};

/* For the functions below: EXPO_LABELS({ "realm", name }, { "plane", "xdp" }); NULL: none. */
#define EXPO_LABELS(...) ((const struct expo_label[]){__VA_ARGS__, {NULL, NULL}})

/* `type`: "counter", "gauge" or "histogram". All samples of a family follow its head at once. */
void expo_family(struct buf *out, const char *name, const char *type, const char *help);
void expo_count(struct buf *out, const char *name, const struct expo_label *labels, uint64_t value);
void expo_real(struct buf *out, const char *name, const struct expo_label *labels, double value);

/* A family of one sample without labels. */
void expo_counter(struct buf *out, const char *name, const char *help, uint64_t value);
void expo_gauge(struct buf *out, const char *name, const char *help, double value);

/* `count` is per bucket, n + 1 of them (the last is +Inf), not cumulated; `bounds` are n. */
struct expo_histogram {
	const double *bounds;
	const uint64_t *count;
	size_t n;
	double sum;
};

void expo_histogram(struct buf *out, const char *name, const char *help,
		    const struct expo_histogram *h);

#endif
