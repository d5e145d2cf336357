/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/lib: the timers of a loop that run, the earliest first. Each knows its
 * place, so that none is looked for. */
#ifndef RTPFWD_LIB_HEAP_H
#define RTPFWD_LIB_HEAP_H

#include "lib/loop.h"

#include <stddef.h>

/* Zero-initialise; heap_free() forgets the timers. */
struct heap {
	struct timer **timers;
	size_t n, room;
};

/* A timer that is not in it. 0 or -ENOMEM. */
int heap_add(struct heap *h, struct timer *t);
/* Its `due_us` was changed. */
void heap_moved(struct heap *h, struct timer *t);
void heap_remove(struct heap *h, struct timer *t);
struct timer *heap_first(const struct heap *h); /* NULL: none */
void heap_free(struct heap *h);

#endif
