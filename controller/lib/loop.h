/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: libevent, with embedded timers and a clock that is read once per turn. One loop,
 * one thread. */
#ifndef RTPFWD_LIB_LOOP_H
#define RTPFWD_LIB_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void); /* NULL: no memory */
void loop_free(struct loop *loop);
int loop_run(struct loop *loop); /* until loop_stop(); 0 or -EIO */
void loop_stop(struct loop *loop);
struct event_base *
loop_base(struct loop *loop); /* for libevent's own users (evhttp, bufferevent) */

/* Timers that run and descriptors that are watched: what is left behind shows here. */
unsigned int loop_events(const struct loop *loop);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_us(const struct loop *loop);

/* One-shot timer, embedded in its owner. timer_init() once before anything else; timer_stop()
 * before the owner is freed. Both timer_set() on a running timer and timer_stop() on a stopped one
 * are fine. O(log n). Of our own: a libevent timer has 128 bytes, and a call has eight. */
struct timer {
	struct loop *loop;
	uint64_t due_us;
	size_t place; /* among those that run (lib/heap.h); 0: it does not */
	void (*fire)(void *owner);
	void *owner;
};

void timer_init(struct timer *t, struct loop *loop, void (*fire)(void *owner), void *owner);
void timer_set(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);
bool timer_running(const struct timer *t);

/* Calls `ready(owner)` whenever `fd` can be read. loop_unwatch() before the descriptor is closed.
 */
struct watch {
	struct event ev;
	void (*ready)(void *owner);
	void *owner;
};

int loop_watch(struct watch *w, struct loop *loop, int fd, void (*ready)(void *owner), void *owner);
void loop_unwatch(struct watch *w);

/* Calls `fire(owner)` in the loop when the process gets `signo`. */
int loop_signal(struct watch *w, struct loop *loop, int signo, void (*fire)(void *owner),
		void *owner);

#endif
