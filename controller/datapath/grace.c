// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * membarrier(MEMBARRIER_CMD_GLOBAL) is synchronize_rcu(), and XDP programs run in RCU read-side
 * sections. It takes some ten milliseconds, hence the thread; the two sides share nothing but two
 * eventfds. The userspace relay reads outside of the kernel and says itself when it does.
 */
#include "datapath/grace.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STOP	(1ULL << 32)
#define DEAD_MS 1000

struct grace {
	int start_fd, over_fd;
	pthread_t thread;
	bool running;
	struct rtpfwd_relay *relay;
	struct watch watch;
	void (*over)(void *owner);
	void *owner;
};

/*
 * The userspace relay's batch ends within a millisecond; only one that was killed amid of it is
 * odd for a second.
 */
static void await_reader(uint32_t *reading)
{
	uint32_t was = __atomic_load_n(reading, __ATOMIC_ACQUIRE);
	struct timespec pause = { .tv_nsec = 1000000 };

	for (int ms = 0; ms < DEAD_MS && was & 1; ms++) {
		nanosleep(&pause, NULL);
		if (__atomic_load_n(reading, __ATOMIC_ACQUIRE) != was)
			return;
	}
	if (was & 1)
		__atomic_compare_exchange_n(reading, &was, was + 1, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

void grace_wait(struct rtpfwd_relay *relay)
{
	struct timespec long_enough = { .tv_nsec = 250000000 };

	/* Refused on nohz_full kernels. A program runs with softirqs off and cannot sleep: it ends
	 * within microseconds. */
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&long_enough, NULL);
	for (int i = 0; i < RTPFWD_RELAYS; i++)
		await_reader(&relay->reading[i]);
}

static void *run(void *arg)
{
	struct grace *grace = arg;
	uint64_t n;

	for (;;) {
		if (read(grace->start_fd, &n, sizeof(n)) != sizeof(n)) {
			if (errno == EINTR)
				continue;
			return NULL;
		}
		if (n >= STOP)
			return NULL;
		grace_wait(grace->relay);
		n = 1;
		if (write(grace->over_fd, &n, sizeof(n)) != sizeof(n))
			return NULL;
	}
}

static void on_over(void *owner)
{
	struct grace *grace = owner;
	uint64_t n;

	if (read(grace->over_fd, &n, sizeof(n)) != sizeof(n))
		return;
	grace->running = false;
	grace->over(grace->owner);
}

/* The process's signals are the loop's: none is for this thread. */
static int start_thread(struct grace *grace)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&grace->thread, NULL, run, grace);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int grace_new(struct grace **out, struct loop *loop, struct rtpfwd_relay *relay,
	      void (*over)(void *owner), void *owner)
{
	struct grace *grace = calloc(1, sizeof(*grace));
	int err;

	if (!grace)
		return -ENOMEM;
	grace->over = over;
	grace->owner = owner;
	grace->relay = relay;
	grace->start_fd = eventfd(0, EFD_CLOEXEC);
	grace->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = grace->start_fd < 0 || grace->over_fd < 0 ? -errno : 0;
	if (err)
		goto fail;
	err = loop_watch(&grace->watch, loop, grace->over_fd, on_over, grace);
	if (err)
		goto fail;
	err = start_thread(grace);
	if (err)
		goto unwatch;
	*out = grace;
	return 0;
unwatch:
	loop_unwatch(&grace->watch);
fail:
	if (grace->start_fd >= 0)
		close(grace->start_fd);
	if (grace->over_fd >= 0)
		close(grace->over_fd);
	free(grace);
	return err;
}

void grace_free(struct grace *grace)
{
	uint64_t stop = STOP;

	if (!grace)
		return;
	if (write(grace->start_fd, &stop, sizeof(stop)) == sizeof(stop))
		pthread_join(grace->thread, NULL);
	loop_unwatch(&grace->watch);
	close(grace->start_fd);
	close(grace->over_fd);
	free(grace);
}

void grace_begin(struct grace *grace)
{
	uint64_t one = 1;

	grace->running = true;
	if (write(grace->start_fd, &one, sizeof(one)) != sizeof(one))
		grace->running = false;
}

bool grace_running(const struct grace *grace)
{
	return grace->running;
}
