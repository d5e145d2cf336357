/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: one JSON line in, {"command": ["show", "calls"]}, one JSON line out, {"ok":
 * true, "result": ...} or
 * {"ok": false, "code": 1 or 4, "error": "..."} (the tool's exit status and text); as often as the
 * client likes. It knows no command: `answer` does. Clients are few and bounded, and one that does
 * not read is closed, never waited for.
 */
#ifndef RTPFWD_CTL_CTL_H
#define RTPFWD_CTL_CTL_H

#include "lib/loop.h"

#include <jansson.h>
#include <stdint.h>

enum { CTL_REFUSED = 1, CTL_NO_OBJECT = 4 };

struct ctl;
struct node;

/* Serves `path` with the commands of grammar.h, about `node`. Makes the folder where it is missing,
 * takes the place of a socket where nobody answers; mode 0600. -EADDRINUSE: a daemon answers there,
 * or it is no socket. `why`: one line. */
int ctl_new(struct ctl **out, struct node *node, const char *path, char *why, size_t why_size);
void ctl_free(struct ctl *ctl); /* removes its socket; NULL-safe */

/* Somebody listens at `path`: a daemon of this configuration runs. */
bool ctl_running(const char *path);

/* The next elements of a list (an array) from `*at` on, which is 0 at first and the function's own;
 * without one: that was all. NULL: no memory. */
typedef json_t *ctl_slice(void *ctx, uint64_t *at);

/* What ctl_new() is made of. */
struct ctl_setup {
	struct loop *loop;
	const char *path;
	/* A new response, by ctl_ok() or ctl_error(); NULL: no memory. `words` live only during the
	 * call. */
	json_t *(*answer)(void *ctx, const char *const *words, size_t n);
	/* What makes the rest of a list that is too long for one turn of the loop, while others are
	 * served: it is asked whenever the client has taken what there is. NULL: the answer is the
	 * whole. May be NULL itself. */
	ctl_slice *(*slice)(void *ctx, const char *const *words, size_t n);
	void *ctx;
};

int ctl_open(struct ctl **out, const struct ctl_setup *setup, char *why, size_t why_size);

json_t *ctl_ok(json_t *result); /* takes `result`; NULL gives NULL */
json_t *ctl_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
