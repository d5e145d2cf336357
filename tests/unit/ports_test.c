// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool of relay ports: each pair once, at random, rested, reserved. Time is what we say. */
#include "media/ports.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* "one": 4 pairs on one address; "two": 2 pairs on each of two IPv4 addresses, and IPv6; "wide". */
struct fixture {
	struct addr media[3][3];
	struct conf_realm realms[3];
	struct conf conf;
	struct ports *ports;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->media[0][0] = address("10.0.0.1");
	f->media[1][0] = address("192.0.2.1");
	f->media[1][1] = address("192.0.2.2");
	f->media[1][2] = address("2001:db8::1");
	f->media[2][0] = address("10.0.0.9");
	f->realms[0] = (struct conf_realm){ .name = "one", .index = 0, .media = f->media[0],
					    .n_media = 1, .port_lo = 10000, .port_hi = 10007 };
	f->realms[1] = (struct conf_realm){ .name = "two", .index = 1, .media = f->media[1],
					    .n_media = 3, .port_lo = 20000, .port_hi = 20003 };
	f->realms[2] = (struct conf_realm){ .name = "wide", .index = 2, .media = f->media[2],
					    .n_media = 1, .port_lo = 0, .port_hi = 65535 };
	f->conf = (struct conf){ .realms = f->realms, .n_realms = 3 };
	*state = f;
	return ports_new(&f->ports, &f->conf);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ports_free(f->ports);
	free(f);
	return 0;
}

static struct addr lease(struct fixture *f, unsigned int realm, sa_family_t family, uint64_t now_ms)
{
	struct addr a = { 0 };

	assert_int_equal(ports_lease(f->ports, realm, family, now_ms, &a), 0);
	return a;
}

static void expect_report(struct fixture *f, unsigned int realm, uint64_t now_ms, uint64_t used,
			  uint64_t free, uint64_t quarantine, uint64_t early)
{
	struct ports_report report;

	ports_report(f->ports, realm, now_ms, &report);
	assert_int_equal(report.used, used);
	assert_int_equal(report.free, free);
	assert_int_equal(report.quarantine, quarantine);
	assert_int_equal(report.reused_early, early);
}

static void every_pair_once(void **state)
{
	struct fixture *f = *state;
	bool seen[4] = { false };
	struct addr a;

	expect_report(f, 0, 0, 0, 8, 0, 0);
	for (int i = 0; i < 4; i++) {
		a = lease(f, 0, AF_INET, 0);
		assert_true(addr_same_ip(&a, &f->media[0][0]));
		assert_in_range(a.port, 10000, 10006);
		assert_int_equal(a.port % 2, 0);
		assert_false(seen[(a.port - 10000) / 2]);
		seen[(a.port - 10000) / 2] = true;
	}
	a = address("9.9.9.9:9");
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 0, &a), -ENOSPC);
	assert_int_equal(a.port, 9);
	expect_report(f, 0, 0, 8, 0, 0, 0);
	expect_report(f, 1, 0, 0, 12, 0, 0);
}

static void no_such_family(void **state)
{
	struct fixture *f = *state;
	struct addr a;

	assert_int_equal(ports_lease(f->ports, 0, AF_INET6, 0, &a), -EAFNOSUPPORT);
	assert_int_equal(ports_lease(f->ports, 7, AF_INET, 0, &a), -EAFNOSUPPORT);
}

static void several_addresses(void **state)
{
	struct fixture *f = *state;
	unsigned int of[2] = { 0 };
	struct addr a;

	for (int i = 0; i < 4; i++) {
		a = lease(f, 1, AF_INET, 0);
		of[addr_same_ip(&a, &f->media[1][1])]++;
		assert_int_equal(a.family, AF_INET);
	}
	assert_int_equal(of[0], 2);
	assert_int_equal(of[1], 2);
	assert_int_equal(ports_lease(f->ports, 1, AF_INET, 0, &a), -ENOSPC);
	a = lease(f, 1, AF_INET6, 0);
	assert_true(addr_same_ip(&a, &f->media[1][2]));
	expect_report(f, 1, 0, 10, 2, 0, 0);
}

/* First in, first out; ten seconds, and one at least where nothing else is free. */
static void quarantine(void **state)
{
	struct fixture *f = *state;
	struct addr a[4], b;

	for (int i = 0; i < 4; i++)
		a[i] = lease(f, 0, AF_INET, 0);
	ports_release(f->ports, 0, &a[2], 1000);
	ports_release(f->ports, 0, &a[0], 1500);
	expect_report(f, 0, 1500, 4, 0, 4, 0);
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 1999, &b), -ENOSPC);
	b = lease(f, 0, AF_INET, 2000);
	assert_true(addr_equal(&b, &a[2]));
	expect_report(f, 0, 2000, 6, 0, 2, 1);
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 2499, &b), -ENOSPC);
	expect_report(f, 0, 11499, 6, 0, 2, 1);
	expect_report(f, 0, 11500, 6, 2, 0, 1);
	b = lease(f, 0, AF_INET, 11500);
	assert_true(addr_equal(&b, &a[0]));
	expect_report(f, 0, 11500, 8, 0, 0, 1);
}

/* A rested pair waits its ten seconds while another is free. */
static void free_before_resting(void **state)
{
	struct fixture *f = *state;
	struct addr a = lease(f, 0, AF_INET, 0), b;

	ports_release(f->ports, 0, &a, 0);
	for (int i = 0; i < 3; i++) {
		b = lease(f, 0, AF_INET, 9999);
		assert_false(addr_equal(&b, &a));
	}
	expect_report(f, 0, 9999, 6, 0, 2, 0);
}

static void oldest_of_two_addresses(void **state)
{
	struct fixture *f = *state;
	struct addr a[4], b;

	for (int i = 0; i < 4; i++)
		a[i] = lease(f, 1, AF_INET, 0);
	for (uint64_t i = 0; i < 4; i++)
		ports_release(f->ports, 1, &a[i], i);
	for (int i = 0; i < 4; i++) {
		b = lease(f, 1, AF_INET, 5000);
		assert_true(addr_equal(&b, &a[i]));
	}
	expect_report(f, 1, 5000, 8, 4, 0, 4);
}

static void release_of_what_is_not_leased(void **state)
{
	struct fixture *f = *state;
	struct addr a = lease(f, 0, AF_INET, 0), stranger = address("10.0.0.2:10000");

	ports_release(f->ports, 1, &a, 0);
	ports_release(f->ports, 0, &stranger, 0);
	expect_report(f, 0, 0, 2, 6, 0, 0);
	ports_release(f->ports, 0, &a, 0);
	ports_release(f->ports, 0, &a, 0);
	expect_report(f, 0, 0, 0, 6, 2, 0);
}

static void reservation(void **state)
{
	struct fixture *f = *state;
	struct addr rtp = address("10.0.0.1:10002"), rtcp = address("10.0.0.1:10003"), a;
	struct addr below = address("10.0.0.1:9999"), above = address("10.0.0.1:10008");

	f->realms[2].n_media = 0;
	ports_free(f->ports);
	assert_int_equal(ports_new(&f->ports, &f->conf), 0);
	assert_int_equal(ports_reserve(f->ports, &below), -ENOENT);
	assert_int_equal(ports_reserve(f->ports, &above), -ENOENT);
	assert_int_equal(ports_reserve(f->ports, &rtcp), 0);
	assert_int_equal(ports_reserve(f->ports, &rtp), 0);
	assert_int_equal(ports_reserve(f->ports, &rtp), 0);
	expect_report(f, 0, 0, 2, 6, 0, 0);
	for (int i = 0; i < 3; i++) {
		a = lease(f, 0, AF_INET, 0);
		assert_int_not_equal(a.port, 10002);
	}
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 99999, &a), -ENOSPC);
	ports_release(f->ports, 0, &rtp, 0);
	ports_unreserve(f->ports, &rtp, 100000);
	ports_unreserve(f->ports, &rtp, 100000);
	expect_report(f, 0, 100000, 8, 0, 0, 0);
	ports_unreserve(f->ports, &rtcp, 100000);
	expect_report(f, 0, 100000, 6, 0, 2, 0);
	ports_unreserve(f->ports, &rtcp, 100000);
	expect_report(f, 0, 100000, 6, 0, 2, 0);
	a = lease(f, 0, AF_INET, 110000);
	assert_int_equal(a.port, 10002);
	expect_report(f, 0, 110000, 8, 0, 0, 0);
}

/* What is leased or rests when it is reserved stays out of the pool after. */
static void reservation_of_what_is_not_free(void **state)
{
	struct fixture *f = *state;
	struct addr a = lease(f, 0, AF_INET, 0), b = lease(f, 0, AF_INET, 0), c;

	ports_release(f->ports, 0, &b, 0);
	assert_int_equal(ports_reserve(f->ports, &a), 0);
	assert_int_equal(ports_reserve(f->ports, &b), 0);
	ports_release(f->ports, 0, &a, 0);
	expect_report(f, 0, 0, 2, 4, 2, 0);
	expect_report(f, 0, 10000, 4, 4, 0, 0);
	for (int i = 0; i < 2; i++)
		lease(f, 0, AF_INET, 10000);
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 99999, &c), -ENOSPC);
	ports_unreserve(f->ports, &a, 100000);
	ports_unreserve(f->ports, &b, 100001);
	expect_report(f, 0, 100001, 4, 0, 4, 0);
	c = lease(f, 0, AF_INET, 101000);
	assert_true(addr_equal(&c, &a));
	ports_reserve(f->ports, &b);
	assert_int_equal(ports_lease(f->ports, 0, AF_INET, 101001, &c), -ENOSPC);
	expect_report(f, 0, 101001, 8, 0, 0, 1);
}

/* Not in order, and two pools not in the same. */
static void random_order(void **state)
{
	struct fixture *f = *state;
	struct ports *other;
	unsigned int rises = 0, alike = 0;
	uint16_t last = 0;
	struct addr a, b;

	assert_int_equal(ports_new(&other, &f->conf), 0);
	expect_report(f, 2, 0, 0, 65536, 0, 0);
	for (int i = 0; i < 1000; i++) {
		a = lease(f, 2, AF_INET, 0);
		assert_int_equal(ports_lease(other, 2, AF_INET, 0, &b), 0);
		rises += a.port > last;
		alike += a.port == b.port;
		last = a.port;
	}
	/* Of 1000 in random order about half rise (standard deviation 9), and almost none agree. */
	assert_in_range(rises, 400, 600);
	assert_in_range(alike, 0, 10);
	ports_free(other);
}

/* Of 3,000 leases each of three addresses has about a third (standard deviation 26). */
static void addresses_are_used_evenly(void **state)
{
	struct fixture *f = *state;
	struct addr media[3] = { address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3") };
	struct conf_realm realm = { .name = "three", .media = media, .n_media = 3,
				    .port_lo = 10000, .port_hi = 49999 };
	struct conf conf = { .realms = &realm, .n_realms = 1 };

	ports_free(f->ports);
	assert_int_equal(ports_new(&f->ports, &conf), 0);
	for (int held = 0; held < 2; held++) {
		unsigned int of[3] = { 0 };

		for (int i = 0; i < 3000; i++) {
			struct addr a = lease(f, 0, AF_INET, 0);

			for (int j = 0; j < 3; j++)
				of[j] += addr_same_ip(&a, &media[j]);
			if (!held)
				ports_release(f->ports, 0, &a, 0);
		}
		for (int j = 0; j < 3; j++)
			assert_in_range(of[j], 850, 1150);
	}
}

/* The whole range, again and again: no pair is lost or doubled. */
static void long_run(void **state)
{
	struct fixture *f = *state;
	bool *out = calloc(32768, sizeof(*out));
	struct addr *held = calloc(32768, sizeof(*held));
	uint64_t now_ms = 0;

	for (int turn = 0; turn < 4; turn++) {
		for (int i = 0; i < 32768; i++) {
			held[i] = lease(f, 2, AF_INET, now_ms);
			assert_false(out[held[i].port / 2]);
			out[held[i].port / 2] = true;
		}
		assert_int_equal(ports_lease(f->ports, 2, AF_INET, now_ms, &held[0]), -ENOSPC);
		for (int i = 0; i < 32768; i++) {
			ports_release(f->ports, 2, &held[i], now_ms);
			out[held[i].port / 2] = false;
		}
		now_ms += turn % 2 ? 10000 : 1000;
	}
	expect_report(f, 2, now_ms - 1, 0, 0, 65536, 2 * 32768);
	expect_report(f, 2, now_ms, 0, 65536, 0, 2 * 32768);
	free(held);
	free(out);
}

#define with_pool(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_pool(every_pair_once),
		with_pool(no_such_family),
		with_pool(several_addresses),
		with_pool(quarantine),
		with_pool(free_before_resting),
		with_pool(oldest_of_two_addresses),
		with_pool(release_of_what_is_not_leased),
		with_pool(reservation),
		with_pool(reservation_of_what_is_not_free),
		with_pool(random_order),
		with_pool(addresses_are_used_evenly),
		with_pool(long_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
