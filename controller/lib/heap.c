// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/heap.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM_LEAST = 64 };

/* Places count from 1, so that 0 is none and the parent of `i` is i / 2. */
static struct timer *at(const struct heap *h, size_t place)
{
	return h->timers[place - 1];
}

static void put(struct heap *h, size_t place, struct timer *t)
{
	h->timers[place - 1] = t;
	t->place = place;
}

static void rise(struct heap *h, struct timer *t)
{
	size_t place = t->place;

	for (; place > 1 && at(h, place / 2)->due_us > t->due_us; place /= 2)
		put(h, place, at(h, place / 2));
	put(h, place, t);
}

static void sink(struct heap *h, struct timer *t)
{
	size_t place = t->place, child;

	while ((child = 2 * place) <= h->n) {
		if (child < h->n && at(h, child + 1)->due_us < at(h, child)->due_us)
			child++;
		if (at(h, child)->due_us >= t->due_us)
			break;
		put(h, place, at(h, child));
		place = child;
	}
	put(h, place, t);
}

static bool make_room(struct heap *h)
{
	size_t room = h->room ? 2 * h->room : ROOM_LEAST;
	struct timer **timers;

	if (h->n < h->room)
		return true;
	timers = realloc(h->timers, room * sizeof(*timers));
	if (!timers)
		return false;
	h->timers = timers;
	h->room = room;
	return true;
}

int heap_add(struct heap *h, struct timer *t)
{
	if (!make_room(h))
		return -ENOMEM;
	put(h, ++h->n, t);
	rise(h, t);
	return 0;
}

void heap_moved(struct heap *h, struct timer *t)
{
	rise(h, t);
	sink(h, t);
}

void heap_remove(struct heap *h, struct timer *t)
{
	struct timer *last = at(h, h->n--);

	if (last != t) {
		put(h, t->place, last);
		heap_moved(h, last);
	}
	t->place = 0;
}

struct timer *heap_first(const struct heap *h)
{
	return h->n ? at(h, 1) : NULL;
}

void heap_free(struct heap *h)
{
	free(h->timers);
	*h = (struct heap){0};
}
