// SPDX-License-Identifier: GPL-2.0-or-later
/* Timers: who fires, in which order, and who does not. */
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 1000 };

struct lab {
	struct loop *loop;
	struct timer timers[MANY];
	int fired[MANY];
	int n_fired;
	int wanted; /* ends the loop */
};

/* One of the timers of a lab. */
struct owner {
	struct lab *lab;
	int number;
	struct timer *stops; /* when it fires */
};

static void on_timer(void *arg)
{
	struct owner *o = arg;

	o->lab->fired[o->lab->n_fired++] = o->number;
	if (o->stops)
		timer_stop(o->stops);
	if (o->lab->n_fired == o->lab->wanted)
		loop_stop(o->lab->loop);
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->loop = loop_new();
	assert_non_null(lab->loop);
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	loop_free(lab->loop);
	free(lab);
	return 0;
}

/* The heap's own promise, after every change. */
static void check_heap(const struct heap *h)
{
	for (size_t i = 1; i <= h->n; i++) {
		assert_int_equal(h->timers[i - 1]->place, i);
		if (i > 1)
			assert_true(h->timers[i / 2 - 1]->due_us <= h->timers[i - 1]->due_us);
	}
}

static void test_heap(void **state)
{
	struct lab *lab = *state;
	struct heap h = {0};
	uint64_t last = 0;

	assert_null(heap_first(&h));
	srand(1);
	for (int i = 0; i < MANY; i++) {
		lab->timers[i].due_us = (uint64_t)(rand() % 500);
		assert_int_equal(heap_add(&h, &lab->timers[i]), 0);
	}
	check_heap(&h);
	for (int i = 0; i < MANY; i += 3) {
		lab->timers[i].due_us = (uint64_t)(rand() % 500);
		heap_moved(&h, &lab->timers[i]);
		check_heap(&h);
	}
	for (int i = 1; i < MANY; i += 3) {
		heap_remove(&h, &lab->timers[i]);
		assert_int_equal(lab->timers[i].place, 0);
		check_heap(&h);
	}
	while (h.n) {
		struct timer *t = heap_first(&h);

		assert_true(t->due_us >= last);
		last = t->due_us;
		heap_remove(&h, t);
	}
	heap_free(&h);
}

static void test_order(void **state)
{
	struct lab *lab = *state;
	struct owner owners[3];

	for (int i = 0; i < 3; i++) {
		owners[i] = (struct owner){lab, i, NULL};
		timer_init(&lab->timers[i], lab->loop, on_timer, &owners[i]);
		assert_false(timer_running(&lab->timers[i]));
		timer_set(&lab->timers[i], 30 - 10 * (unsigned int)i);
		assert_true(timer_running(&lab->timers[i]));
	}
	lab->wanted = 3;
	assert_int_equal(loop_run(lab->loop), 0);
	assert_int_equal(lab->fired[0], 2);
	assert_int_equal(lab->fired[1], 1);
	assert_int_equal(lab->fired[2], 0);
	assert_false(timer_running(&lab->timers[0]));
}

/* Set again it fires once, at its new time; stopped it does not, also by one that is due with it.
 */
static void test_set_again_and_stop(void **state)
{
	struct lab *lab = *state;
	struct owner owners[4];

	for (int i = 0; i < 4; i++) {
		owners[i] = (struct owner){lab, i, NULL};
		timer_init(&lab->timers[i], lab->loop, on_timer, &owners[i]);
	}
	timer_set(&lab->timers[0], 1);
	timer_set(&lab->timers[0], 40);
	timer_set(&lab->timers[1], 1);
	timer_stop(&lab->timers[1]);
	timer_stop(&lab->timers[1]);
	timer_set(&lab->timers[2], 10);
	timer_set(&lab->timers[3], 10);
	lab->timers[3].due_us = lab->timers[2].due_us;
	owners[2].stops = &lab->timers[3];
	owners[3].stops = &lab->timers[2];
	lab->wanted = 2;
	assert_int_equal(loop_run(lab->loop), 0);
	assert_in_range(lab->fired[0], 2, 3);
	assert_int_equal(lab->fired[1], 0);
	for (int i = 0; i < 4; i++)
		assert_false(timer_running(&lab->timers[i]));
}

/* The loop stops at once; who is due, too, fires when it goes on. */
static void test_stop_in_between(void **state)
{
	struct lab *lab = *state;
	struct owner owners[2];

	for (int i = 0; i < 2; i++) {
		owners[i] = (struct owner){lab, i, NULL};
		timer_init(&lab->timers[i], lab->loop, on_timer, &owners[i]);
		timer_set(&lab->timers[i], 0);
	}
	lab->wanted = 1;
	assert_int_equal(loop_run(lab->loop), 0);
	assert_int_equal(lab->n_fired, 1);
	lab->wanted = 2;
	assert_int_equal(loop_run(lab->loop), 0);
	assert_int_equal(lab->n_fired, 2);
	assert_int_equal(lab->fired[0] + lab->fired[1], 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_heap),
		T(test_order),
		T(test_set_again_and_stop),
		T(test_stop_in_between),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
