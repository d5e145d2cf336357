// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * membarrier(MEMBARRIER_CMD_GLOBAL) is synchronize_rcu(), and XDP programs run in RCU read-side
 * sections. It takes some ten milliseconds, hence the thread; the two sides share nothing but two
 * eventfds.
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

#define STOP (1ULL << 32)

struct grace {
	int start_fd, over_fd;
	pthread_t thread;
	bool running;
	struct watch watch;
	void (*over)(void *owner);
	void *owner;
};

void grace_wait(void)
{
	struct timespec long_enough = { .tv_nsec = 250000000 };

	/* Refused on nohz_full kernels. A program runs with softirqs off and cannot sleep: it ends
	 * within microseconds. */
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&long_enough, NULL);
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
		grace_wait();
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

int grace_new(struct grace **out, struct loop *loop, void (*over)(void *owner), void *owner)
{
	struct grace *grace = calloc(1, sizeof(*grace));
	int err;

	if (!grace)
		return -ENOMEM;
	grace->over = over;
	grace->owner = owner;
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
