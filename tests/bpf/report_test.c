// SPDX-License-Identifier: GPL-2.0-or-later
/* RTCP reports that pass by: what the far end lost, and the time to it and back. */
#include "relay.h"

#include <bpf/bpf.h>
#include <string.h>

#define NTP "\x12\x34\x56\x78" /* middle of the time of a sender report */

struct way {
	const char *in, *out; /* relay ports of RTCP: here, and on the other side */
	const char *phone, *far;
};

static const struct way ways[] = {
	{ "10.77.1.1:20001", "10.77.2.1:20011", "10.77.1.2:5005", "10.77.2.2:6001" },
	{ "[2001:db8:1::1]:20001", "[2001:db8:2::1]:20011", "[2001:db8:1::2]:5005",
	  "[2001:db8:2::2]:6001" },
	{ "10.77.1.1:20001", "[2001:db8:2::1]:20011", "10.77.1.2:5005", "[2001:db8:2::2]:6001" },
	{ "[2001:db8:1::1]:20001", "10.77.2.1:20011", "[2001:db8:1::2]:5005", "10.77.2.2:6001" },
};

static void apply(const char *local, const char *expect, const char *from, const char *to,
		  unsigned int realm)
{
	const struct flow_want want = { .local = lab_addr(local),
					.owner = 7,
					.kind = FLOW_RTCP,
					.mode = FLOW_FORWARD,
					.expect = lab_addr(expect),
					.from = lab_addr(from),
					.to = lab_addr(to),
					.egress_realm = realm };

	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

static void begin(const struct way *way)
{
	apply(way->in, way->phone, way->out, way->far, 1);
	/* The way back leads to a neighbour that is known: its address matters to nobody. */
	apply(way->out, way->far, way->in,
	      lab_addr(way->in).family == AF_INET ? "10.77.1.3:5005" : "[2001:db8:1::3]:5005", 0);
}

static void end(const struct way *way)
{
	struct addr in = lab_addr(way->in), out = lab_addr(way->out);

	datapath_remove(lab.dp, &out, NULL);
	datapath_remove(lab.dp, &in, NULL);
	relay_remove(NULL);
}

static struct flow_counters counters(const char *local)
{
	struct addr at = lab_addr(local);
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &at, &c), 0);
	return c;
}

static void pass(const char *from, const char *to, const uint8_t *report, uint32_t length)
{
	struct frame_spec spec = { .from = from, .to = to, .payload = report, .length = length };
	struct frame f;

	frame_make(&f, &spec);
	assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
}

/* The far end's sender report goes to the phone, whose report speaks of it. */
static void speak(const struct way *way, uint8_t kind, const char *last, uint32_t lost)
{
	uint8_t sr[28] = { 0x80, 200, 0, 6 }, report[52] = { 0x81, kind, 0, 7 };
	uint8_t *block = report + (kind == 200 ? 28 : 8);

	memcpy(sr + 10, NTP, 4);
	block[4] = 64; /* a quarter lately */
	block[5] = (uint8_t)(lost >> 16);
	block[6] = (uint8_t)(lost >> 8);
	block[7] = (uint8_t)lost;
	memcpy(block + 16, last, 4);
	pass(way->far, way->out, sr, sizeof(sr));
	pass(way->phone, way->in, report, kind == 200 ? 52 : 32);
}

static void round_trip_and_loss_in_every_family(void **state)
{
	(void)state;
	NEED_ROOT;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct flow_counters c;

		begin(&ways[i]);
		speak(&ways[i], i % 2 ? 200 : 201, NTP, 1234);
		c = counters(ways[i].in);
		assert_true(c.round_trip_ms > 0 && c.round_trip_ms < 10000);
		assert_int_equal(c.far_lost, 1234);
		assert_true(c.far_fraction == 0.25);
		c = counters(ways[i].out);
		assert_true(c.round_trip_ms < 0);
		assert_int_equal(c.far_lost, 0);
		end(&ways[i]);
	}
}

static void reports_of_others_say_no_time(void **state)
{
	struct flow_counters c;

	(void)state;
	NEED_ROOT;
	begin(&ways[0]);
	speak(&ways[0], 201, "\x12\x34\x56\x79", 0xffffff); /* of a packet that never passed; -1 */
	c = counters(ways[0].in);
	assert_true(c.round_trip_ms < 0);
	assert_int_equal(c.far_lost, 0);
	end(&ways[0]);
}

/* Blocks announced that are not there, and other kinds: nothing is read that is not RTCP's. */
static void short_and_other_reports_say_nothing(void **state)
{
	static const uint8_t kinds[] = { 200, 201, 202, 205, 207 };
	uint8_t report[60];
	struct flow_counters c;

	(void)state;
	NEED_ROOT;
	begin(&ways[0]);
	memset(report, 0xff, sizeof(report));
	report[0] = 0x9f;
	for (size_t i = 0; i < sizeof(kinds); i++) {
		report[1] = kinds[i];
		for (uint32_t length = 8; length < (kinds[i] == 200 ? 52U : 32U); length++)
			pass(ways[0].phone, ways[0].in, report, length);
	}
	c = counters(ways[0].in);
	assert_true(c.round_trip_ms < 0);
	assert_int_equal(c.far_lost, 0);
	assert_true(c.far_fraction == 0);
	end(&ways[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_and_loss_in_every_family),
		cmocka_unit_test(reports_of_others_say_no_time),
		cmocka_unit_test(short_and_other_reports_say_nothing),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
