// SPDX-License-Identifier: GPL-2.0-or-later
/* Rollover and replay window of the module, beside a model that remembers everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../kmod/index.h"

#define MODEL 20000

static struct index_window at(uint64_t newest)
{
	struct index_window w;

	index_resume(&w, newest);
	return w;
}

static void first_packet_is_of_rollover_zero(void **state)
{
	struct index_window w = { 0 };

	(void)state;
	assert_int_equal(index_guess(&w, 0), 0);
	assert_int_equal(index_guess(&w, 65535), 65535);
	assert_int_equal(index_check(&w, 0), 0);
	assert_int_equal(index_check(&w, 65535), 0);
}

/* RFC 3711 3.3.1: half of the space ahead, half behind; the one in the middle is of this rollover.
 */
static void nearest_index_is_guessed(void **state)
{
	struct index_window w = at(0x20064);

	(void)state;
	assert_int_equal(index_guess(&w, 0x64), 0x20064);
	assert_int_equal(index_guess(&w, 0x65), 0x20065);
	assert_int_equal(index_guess(&w, 0x8064), 0x28064);
	assert_int_equal(index_guess(&w, 0x8065), 0x18065);
	assert_int_equal(index_guess(&w, 0xffff), 0x1ffff);
	w = at(0x2ff00);
	assert_int_equal(index_guess(&w, 0xff00), 0x2ff00);
	assert_int_equal(index_guess(&w, 0x7f00), 0x27f00);
	assert_int_equal(index_guess(&w, 0x7eff), 0x37eff);
	assert_int_equal(index_guess(&w, 0), 0x30000);
}

static void before_the_first_is_negative(void **state)
{
	struct index_window w = at(5);

	(void)state;
	assert_true(index_guess(&w, 65535) < 0);
	assert_true(index_guess(&w, 32774) < 0);
	assert_int_equal(index_guess(&w, 32773), 32773);
}

static void last_rollover_of_all(void **state)
{
	struct index_window w = at(INDEX_RTP_END - 1);

	(void)state;
	assert_true(index_guess(&w, 65535) == (int64_t)INDEX_RTP_END - 1);
	assert_true(index_guess(&w, 0) == (int64_t)INDEX_RTP_END);
}

static void window_is_192_wide(void **state)
{
	struct index_window w = { 0 };

	(void)state;
	assert_true(INDEX_WINDOW >= 128);
	index_accept(&w, 1000);
	assert_int_equal(index_check(&w, 1000), -EEXIST);
	assert_int_equal(index_check(&w, 1000 - INDEX_WINDOW + 1), 0);
	assert_int_equal(index_check(&w, 1000 - INDEX_WINDOW), -ESTALE);
}

static void resumed_window_takes_only_what_is_newer(void **state)
{
	struct index_window w = at(1000);

	(void)state;
	assert_int_equal(index_check(&w, 1000), -EEXIST);
	assert_int_equal(index_check(&w, 900), -EEXIST);
	assert_int_equal(index_check(&w, 700), -ESTALE);
	assert_int_equal(index_check(&w, 1001), 0);
	index_accept(&w, 1001);
	assert_int_equal(index_check(&w, 1001), -EEXIST);
	assert_int_equal(index_check(&w, 1002), 0);
}

/* What overtook the packets behind the last one that was known must not make them replays. */
static void resumed_window_takes_them_out_of_order(void **state)
{
	(void)state;
	for (uint64_t newest = 1000; newest < 1000 + 130; newest++) {
		struct index_window w = at(newest);

		for (uint64_t ahead = 70; ahead; ahead--) {
			assert_int_equal(index_check(&w, newest + ahead), 0);
			index_accept(&w, newest + ahead);
			assert_int_equal(index_check(&w, newest + ahead), -EEXIST);
		}
		assert_int_equal(index_check(&w, newest), -EEXIST);
	}
}

/* Random walks of steps small and large; each index is taken once, and as the model says. */
static void agrees_with_a_model(void **state)
{
	static const int steps[] = { 1, 3, 70, 200, 1000 };
	static uint8_t seen[MODEL];

	(void)state;
	srand(3);
	for (int round = 0; round < 200; round++) {
		struct index_window w = { 0 };
		int newest = -1, step = steps[round % 5];

		memset(seen, 0, sizeof(seen));
		for (int n = 0; n < 1000; n++) {
			int index = newest + step - rand() % (2 * step + INDEX_WINDOW / 2);
			int want;

			if (index < 0 || index >= MODEL)
				continue;
			want = index + INDEX_WINDOW <= newest ? -ESTALE : seen[index] ? -EEXIST : 0;
			assert_int_equal(index_check(&w, (uint64_t)index), want);
			if (want)
				continue;
			index_accept(&w, (uint64_t)index);
			seen[index] = 1;
			newest = index > newest ? index : newest;
		}
		assert_true(newest > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packet_is_of_rollover_zero),
		cmocka_unit_test(nearest_index_is_guessed),
		cmocka_unit_test(before_the_first_is_negative),
		cmocka_unit_test(last_rollover_of_all),
		cmocka_unit_test(window_is_192_wide),
		cmocka_unit_test(resumed_window_takes_only_what_is_newer),
		cmocka_unit_test(resumed_window_takes_them_out_of_order),
		cmocka_unit_test(agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
