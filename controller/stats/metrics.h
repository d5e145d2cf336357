/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The HTTP side of the metrics: GET /metrics, /healthz, /readyz. What is told comes from the
 * callbacks. */
#ifndef RTPFWD_STATS_METRICS_H
#define RTPFWD_STATS_METRICS_H

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/loop.h"

struct metrics;
struct node;

/* Serves `addr` about `node`. AF_UNSPEC: off; `*out` is then NULL. `why` names the address that
 * cannot be bound. */
int metrics_new(struct metrics **out, struct node *node, const struct addr *addr, char *why,
		size_t why_size);
void metrics_free(struct metrics *metrics); /* NULL-safe */

/* What metrics_new() is made of. */
struct metrics_setup {
	struct loop *loop;
	struct addr addr; /* port 0: any, metrics_port() tells */
	void (*text)(void *ctx, struct buf *out);
	bool (*ready)(void *ctx);
	void *ctx;
};

int metrics_open(struct metrics **out, const struct metrics_setup *setup, char *why,
		 size_t why_size);
uint16_t metrics_port(const struct metrics *metrics);

#endif
