// SPDX-License-Identifier: GPL-2.0-or-later
/* What happened to a call's media is kept in little room, and the last of it however long. */
#include "call/call_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void take(struct call *c, int first, int end)
{
	for (int code = first; code < end; code++)
		direct_step(c, "step", SIDE_B, code);
}

/* The steps kept are the last ones, in their order. */
static void expect(const struct call *c, size_t n, size_t room)
{
	const struct media_trail *trail = c->media.trail;

	assert_int_equal(trail->n, n);
	assert_int_equal(trail->room, room);
	for (size_t i = n > room ? n - room : 0; i < n; i++) {
		const struct media_step *step = &trail->steps[i % room];

		assert_int_equal(step->code, i);
		assert_string_equal(step->event, "step");
		assert_string_equal(step->state, "relay");
		assert_int_equal(step->side, SIDE_B);
	}
}

static void room_grows_with_the_steps(void **state)
{
	struct call c = { .media.state = MEDIA_RELAY };

	(void)state;
	take(&c, 0, 1);
	expect(&c, 1, MEDIA_STEPS_FIRST);
	take(&c, 1, MEDIA_STEPS_FIRST);
	expect(&c, MEDIA_STEPS_FIRST, MEDIA_STEPS_FIRST);
	take(&c, MEDIA_STEPS_FIRST, MEDIA_STEPS_FIRST + 1);
	expect(&c, MEDIA_STEPS_FIRST + 1, 2 * MEDIA_STEPS_FIRST);
	take(&c, MEDIA_STEPS_FIRST + 1, MEDIA_STEPS);
	expect(&c, MEDIA_STEPS, MEDIA_STEPS);
	free(c.media.trail);
}

static void the_last_steps_are_kept(void **state)
{
	struct call c = { .media.state = MEDIA_RELAY };

	(void)state;
	take(&c, 0, MEDIA_STEPS + 1);
	expect(&c, MEDIA_STEPS + 1, MEDIA_STEPS);
	take(&c, MEDIA_STEPS + 1, 100);
	expect(&c, 100, MEDIA_STEPS);
	free(c.media.trail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_grows_with_the_steps),
		cmocka_unit_test(the_last_steps_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
