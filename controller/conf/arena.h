/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that is given back all at once: everything a snapshot points to lies in one of these. */
#ifndef RTPFWD_CONF_ARENA_H
#define RTPFWD_CONF_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;	/* the newest first */
};

/* Zeroed and aligned for anything; NULL: no memory. */
void *arena_alloc(struct arena *a, size_t size);
/* A NUL-terminated copy; NULL: no memory. */
char *arena_copy(struct arena *a, const char *bytes, size_t len);
void arena_free(struct arena *a);

#endif
