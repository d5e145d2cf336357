/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A growing text buffer. A failed allocation is remembered, so that a whole text is built first and
 * checked once. */
#ifndef RTPFWD_LIB_BUF_H
#define RTPFWD_LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>

/* `data` is NUL-terminated whenever it is not NULL; `len` does not count the NUL. Zero-initialise.
 */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
	bool secret; /* what is freed is wiped first; buf_take() hands that duty over, too */
};

void buf_add(struct buf *b, const char *bytes, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_reset(struct buf *b); /* empty it, keep the memory */
void buf_free(struct buf *b);
/* Hands the text over (free() it); the buffer is empty after. NULL if anything failed. */
char *buf_take(struct buf *b);

/* Text that lies in somebody else's memory; copied only when it must outlive it. */
struct slice {
	const char *p;
	size_t len;
};

#define SLICE_FMT    "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).p

bool slice_is(struct slice s, const char *text); /* equal, case ignored */

#endif
