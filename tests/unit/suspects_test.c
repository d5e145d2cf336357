// SPDX-License-Identifier: GPL-2.0-or-later
/* Sources that fail too often: when they are shunned, for how long, and that others are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "reach/suspects.h"

enum { LIMIT = 3, MANY = 200000 };

static struct addr from(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static int set_up(void **state)
{
	*state = suspects_new();
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	suspects_free(*state);
	return 0;
}

/* Lets `text` fail until it is shunned. */
static void exhaust(struct suspects *s, const char *text, uint64_t now_ms)
{
	struct addr a = from(text);

	for (int i = 1; i < LIMIT; i++) {
		assert_false(suspects_failed(s, &a, LIMIT, now_ms));
		assert_false(suspects_shunned(s, &a, now_ms));
	}
	assert_true(suspects_failed(s, &a, LIMIT, now_ms));
	assert_true(suspects_shunned(s, &a, now_ms));
}

static void shunned_from_the_limit_on(void **state)
{
	struct addr same = from("192.0.2.1:9"), other = from("192.0.2.2");

	exhaust(*state, "192.0.2.1:5060", 1000);
	assert_true(suspects_shunned(*state, &same, 1000));
	assert_false(suspects_shunned(*state, &other, 1000));
	/* Told once. */
	assert_false(suspects_failed(*state, &same, LIMIT, 1000));
}

static void for_a_minute(void **state)
{
	struct addr a = from("192.0.2.1");

	exhaust(*state, "192.0.2.1", 1000);
	/* More failures make it no longer. */
	assert_false(suspects_failed(*state, &a, LIMIT, 50000));
	assert_true(suspects_shunned(*state, &a, 1000 + SUSPECTS_MINUTE_MS - 1));
	assert_false(suspects_shunned(*state, &a, 1000 + SUSPECTS_MINUTE_MS));
	exhaust(*state, "192.0.2.1", 1000 + SUSPECTS_MINUTE_MS);
}

static void failures_of_another_minute_do_not_count(void **state)
{
	struct addr a = from("192.0.2.1");

	for (uint64_t minute = 1; minute < 10; minute++)
		for (int i = 1; i < LIMIT; i++)
			assert_false(suspects_failed(*state, &a, LIMIT,
						     minute * SUSPECTS_MINUTE_MS));
	assert_false(suspects_shunned(*state, &a, 10 * SUSPECTS_MINUTE_MS));
}

static void no_limit(void **state)
{
	struct addr a = from("192.0.2.1");

	for (int i = 0; i < MANY; i++)
		assert_false(suspects_failed(*state, &a, 0, 1000));
	assert_false(suspects_shunned(*state, &a, 1000));
}

static void ipv6_by_64(void **state)
{
	struct addr near = from("2001:db8::99"), far = from("2001:db8:0:1::1");
	/* The same bytes as 32.1.13.184. */
	struct addr like = from("32.1.13.184");

	exhaust(*state, "2001:db8::1", 1000);
	assert_true(suspects_shunned(*state, &near, 1000));
	assert_false(suspects_shunned(*state, &far, 1000));
	assert_false(suspects_shunned(*state, &like, 1000));
}

/* As many sources as one likes, with one failure each, do not wash out who failed more. */
static void full(void **state)
{
	struct addr a = from("192.0.2.1"), b;
	char text[32];

	exhaust(*state, "192.0.2.1", 1000);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		b = from(text);
		assert_false(suspects_failed(*state, &b, LIMIT, 1000));
	}
	assert_true(suspects_shunned(*state, &a, 1000));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shunned_from_the_limit_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(for_a_minute, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failures_of_another_minute_do_not_count, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(no_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ipv6_by_64, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("suspects", tests, NULL, NULL);
}
