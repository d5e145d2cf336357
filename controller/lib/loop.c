// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/heap.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct loop {
	struct event_base *base;
	struct heap timers;
	/* Rings when the first of them is due, or before: one that was stopped since. */
	struct event alarm;
	uint64_t alarm_us; /* 0: it does not run */
};

static void set_alarm(struct loop *loop, uint64_t now_us)
{
	const struct timer *first = heap_first(&loop->timers);
	uint64_t wait_us;
	struct timeval wait;

	if (!first || (loop->alarm_us && loop->alarm_us <= first->due_us))
		return;
	wait_us = first->due_us > now_us ? first->due_us - now_us : 0;
	wait = (struct timeval){.tv_sec = (time_t)(wait_us / 1000000),
				.tv_usec = (suseconds_t)(wait_us % 1000000)};
	loop->alarm_us = first->due_us;
	evtimer_add(&loop->alarm, &wait);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	uint64_t now_us = loop_now_us(loop);
	struct timer *t;

	(void)fd;
	(void)what;
	loop->alarm_us = 0;
	while ((t = heap_first(&loop->timers)) != NULL && t->due_us <= now_us &&
	       !event_base_got_break(loop->base)) {
		heap_remove(&loop->timers, t);
		t->fire(t->owner);
	}
	set_alarm(loop, loop_now_us(loop));
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	if (!loop || !config)
		goto fail;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
	loop->base = event_base_new_with_config(config);
	if (!loop->base)
		goto fail;
	event_config_free(config);
	evtimer_assign(&loop->alarm, loop->base, on_alarm, loop);
	return loop;
fail:
	if (config)
		event_config_free(config);
	free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	event_base_free(loop->base);
	heap_free(&loop->timers);
	free(loop);
}

int loop_run(struct loop *loop)
{
	return event_base_dispatch(loop->base) < 0 ? -EIO : 0;
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

unsigned int loop_events(const struct loop *loop)
{
	int others = event_base_get_num_events(loop->base, EVENT_BASE_COUNT_ADDED);

	return (unsigned int)others + (unsigned int)loop->timers.n;
}

uint64_t loop_now_us(const struct loop *loop)
{
	struct timespec ts;

	(void)loop;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop_now_us(loop) / 1000;
}

void timer_init(struct timer *t, struct loop *loop, void (*fire)(void *owner), void *owner)
{
	*t = (struct timer){.loop = loop, .fire = fire, .owner = owner};
}

void timer_set(struct timer *t, uint64_t ms)
{
	uint64_t now_us = loop_now_us(t->loop);

	t->due_us = now_us + 1000 * ms;
	if (t->place)
		heap_moved(&t->loop->timers, t);
	else if (heap_add(&t->loop->timers, t))
		log_error("no memory for a timer");
	set_alarm(t->loop, now_us);
}

void timer_stop(struct timer *t)
{
	if (t->place)
		heap_remove(&t->loop->timers, t);
}

bool timer_running(const struct timer *t)
{
	return t->place != 0;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	w->ready(w->owner);
}

int loop_watch(struct watch *w, struct loop *loop, int fd, void (*ready)(void *owner), void *owner)
{
	w->ready = ready;
	w->owner = owner;
	if (event_assign(&w->ev, loop->base, fd, EV_READ | EV_PERSIST, on_ready, w) ||
	    event_add(&w->ev, NULL))
		return -ENOMEM;
	return 0;
}

int loop_signal(struct watch *w, struct loop *loop, int signo, void (*fire)(void *owner),
		void *owner)
{
	w->ready = fire;
	w->owner = owner;
	if (evsignal_assign(&w->ev, loop->base, signo, on_ready, w) || evsignal_add(&w->ev, NULL))
		return -ENOMEM;
	return 0;
}

void loop_unwatch(struct watch *w)
{
	if (event_initialized(&w->ev))
		event_del(&w->ev);
}
