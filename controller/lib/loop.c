// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct loop {
	struct event_base *base;
};

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

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->fire(t->owner);
}

void timer_init(struct timer *t, struct loop *loop, void (*fire)(void *owner), void *owner)
{
	t->fire = fire;
	t->owner = owner;
	evtimer_assign(&t->ev, loop->base, on_timer, t);
}

void timer_set(struct timer *t, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(&t->ev, &tv);
}

void timer_stop(struct timer *t)
{
	evtimer_del(&t->ev);
}

bool timer_running(const struct timer *t)
{
	return evtimer_pending(&t->ev, NULL) != 0;
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
