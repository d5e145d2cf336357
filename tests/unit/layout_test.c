// SPDX-License-Identifier: GPL-2.0-or-later
/* Relay addresses and ports of several realms are found again, and nothing else is. */
#include "datapath/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { REALMS = 3, EACH = 20 };

/* Every realm has the same addresses of both families, and ports of its own. */
static void build(struct layout *l, struct addr media[EACH])
{
	struct conf_realm realms[REALMS] = { { 0 } };
	struct conf conf = { .realms = realms, .n_realms = REALMS };
	char text[ADDR_TEXT], why[256];

	for (int i = 0; i < EACH; i++) {
		snprintf(text, sizeof(text), i % 2 ? "10.0.0.%d" : "2001:db8::%d", EACH - i);
		assert_int_equal(addr_parse(&media[i], text), 0);
	}
	for (unsigned int i = 0; i < REALMS; i++) {
		realms[i].index = i;
		realms[i].media = media;
		realms[i].n_media = EACH;
		realms[i].port_lo = (uint16_t)(10000 + 1000 * i);
		realms[i].port_hi = (uint16_t)(10499 + 1000 * i);
	}
	assert_int_equal(layout_build(l, &conf, why, sizeof(why)), 0);
}

static void every_port_is_found(void **state)
{
	static struct layout l;
	struct addr media[EACH];

	(void)state;
	build(&l, media);
	assert_int_equal(l.slots, EACH * 2500);
	for (uint16_t port = 9999; port < 12600; port++) {
		struct addr local = addr_with_port(&media[port % EACH], port), back;
		bool ours = port >= 10000 && port < 12500 && port % 1000 < 500;
		unsigned int realm;
		uint32_t slot;

		assert_int_equal(layout_find(&l, &local, &slot, &realm), ours ? 0 : -EINVAL);
		if (!ours)
			continue;
		assert_int_equal(realm, (port - 10000) / 1000);
		back = layout_addr(&l, slot);
		assert_true(addr_equal(&back, &local));
	}
}

/* What nearly all packets touch lies together, and no two ports are one slot. */
static void slots_of_rtp_are_neighbours(void **state)
{
	static struct layout l;
	static bool taken[EACH * 2500];
	struct addr media[EACH];

	(void)state;
	build(&l, media);
	for (size_t i = 0; i < EACH; i++) {
		struct addr local = addr_with_port(&media[i], 10000);
		uint32_t first, slot;

		assert_int_equal(layout_find(&l, &local, &first, NULL), 0);
		for (uint16_t n = 0; n < 2500; n++) {
			local.port = (uint16_t)(10000 + n);
			if (layout_find(&l, &local, &slot, NULL)) /* between two realms */
				continue;
			assert_int_equal(slot, first + n / 2 + n % 2 * 1250);
			assert_false(taken[slot]);
			taken[slot] = true;
		}
	}
}

static void ports_are_walked_in_order(void **state)
{
	static struct layout l;
	struct addr media[EACH];

	(void)state;
	build(&l, media);
	for (uint32_t n = 0; n < l.slots; n++) {
		struct addr a = layout_addr(&l, layout_nth(&l, n));

		assert_int_equal(a.port, 10000 + n % 2500);
		assert_true(addr_same_ip(&a, &l.addresses[n / 2500].ip));
	}
}

static void other_addresses_are_not(void **state)
{
	static struct layout l;
	struct addr media[EACH], other = { .port = 10000 };
	char text[ADDR_TEXT];
	uint32_t slot;

	(void)state;
	build(&l, media);
	assert_int_equal(layout_find(&l, &other, &slot, NULL), -EINVAL);
	for (int i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), i % 2 ? "10.1.%d.%d:10000" : "[2001:db9:%d::%d]:10000",
			 i / 100, i % 100);
		assert_int_equal(addr_parse(&other, text), 0);
		assert_int_equal(layout_find(&l, &other, &slot, NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_port_is_found),
		cmocka_unit_test(slots_of_rtp_are_neighbours),
		cmocka_unit_test(ports_are_walked_in_order),
		cmocka_unit_test(other_addresses_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
