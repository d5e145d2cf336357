// SPDX-License-Identifier: GPL-2.0-or-later
/* Who has sent under a key, in memory that a process shares with the one after it. */
#include "datapath/senders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 300

static void keep(struct senders *s, uint32_t ssrc, uint64_t next)
{
	struct index_window window = { .next = next };

	senders_keep(s, ssrc, &window);
}

static bool is_kept(const struct senders *s, uint32_t ssrc, uint64_t next)
{
	const struct index_window *window = senders_find(s, ssrc);

	return window && window->next == next;
}

static void the_latest_are_kept(void **state)
{
	struct senders s = { 0 };

	(void)state;
	for (uint32_t ssrc = 0; ssrc < 4; ssrc++) /* 0 is one, too */
		keep(&s, ssrc, 10 + ssrc);
	keep(&s, 0, 20);
	keep(&s, 7, 17);
	keep(&s, 8, 18);
	assert_true(is_kept(&s, 0, 20));
	assert_true(is_kept(&s, 3, 13));
	assert_true(is_kept(&s, 7, 17));
	assert_true(is_kept(&s, 8, 18));
	assert_null(senders_find(&s, 1));
	assert_null(senders_find(&s, 2));
	assert_int_equal(s.n, 6);
}

static void who_was_there_is_not_admitted_as_new(void **state)
{
	struct senders s = { 0 };

	(void)state;
	for (uint32_t ssrc = 0; ssrc < SENDERS_MAX; ssrc++) {
		assert_int_equal(senders_admit(&s, ssrc), 0);
		keep(&s, ssrc, 1);
		if (ssrc >= SENDERS_KEPT)
			assert_int_equal(senders_admit(&s, ssrc - SENDERS_KEPT), -EMFILE);
	}
	assert_int_equal(senders_admit(&s, SENDERS_MAX), -EMFILE); /* there were enough */
}

/* All of them in turn. */
static void whoever_comes_back_is_kept_again(void **state)
{
	struct senders s = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 10 * SENDERS_MAX; i++) {
		keep(&s, i % SENDERS_MAX, i + 1);
		assert_true(is_kept(&s, i % SENDERS_MAX, i + 1));
	}
	assert_int_equal(s.n, SENDERS_MAX);
	for (uint32_t ssrc = 0; ssrc < SENDERS_MAX; ssrc++)
		assert_true(senders_find(&s, ssrc) || senders_admit(&s, ssrc) == -EMFILE);
}

struct shared {
	struct senders senders;
	volatile uint32_t begun; /* those below have been kept once */
};

/* Until it is killed. */
static void go_on(struct shared *shared, unsigned int seed)
{
	srand(seed);
	for (uint64_t next = 1;; next++) {
		uint32_t ssrc = shared->begun < SENDERS_MAX
					? shared->begun
					: (uint32_t)rand() % SENDERS_MAX;

		keep(&shared->senders, ssrc, next);
		if (ssrc == shared->begun)
			shared->begun++;
	}
}

static void kill_amid(struct shared *shared, unsigned int seed)
{
	struct timespec pause = { .tv_nsec = rand() % 300000 };
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		go_on(shared, seed);
	nanosleep(&pause, NULL);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void none_is_forgotten_by_who_is_killed(void **state)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(shared != MAP_FAILED);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		if (round % 3 == 0)
			memset(shared, 0, sizeof(*shared));
		kill_amid(shared, round);
		for (uint32_t ssrc = 0; ssrc < shared->begun; ssrc++)
			assert_true(senders_find(&shared->senders, ssrc) ||
				    senders_admit(&shared->senders, ssrc) == -EMFILE);
		assert_true(shared->senders.n <= SENDERS_MAX);
	}
	munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_are_kept),
		cmocka_unit_test(who_was_there_is_not_admitted_as_new),
		cmocka_unit_test(whoever_comes_back_is_kept_again),
		cmocka_unit_test(none_is_forgotten_by_who_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
