// SPDX-License-Identifier: GPL-2.0-or-later
/* Sources that no description names: who may be learned, how, and that nobody else is. */
#include "relay.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#define BEHIND	"10.77.1.50" /* where it signals from */
#define BEHIND6 "2001:db8:1::50"

static struct {
	int times;
	struct addr local, source;
} told;

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	(void)ctx;
	assert_int_equal(owner, 7);
	told.times++;
	told.local = *local;
	told.source = *source;
}

static int start(void **state)
{
	(void)state;
	lab.events.learned = on_learned;
	return relay_start_as(NULL);
}

static bool is_told(void *times)
{
	return told.times >= *(int *)times;
}

static struct flow_want want_of(bool six)
{
	struct flow_want want = relay_want();

	memset(&told, 0, sizeof(told));
	want.learning = true;
	want.learn = lab_addr(six ? BEHIND6 : BEHIND);
	if (six) {
		want.local = lab_addr(RELAY6);
		want.expect = lab_addr(PHONE6);
	}
	return want;
}

static void hear(const char *from, const char *to, uint16_t seq, const char *reason)
{
	struct frame f;

	frame_rtp(&f, from, to, seq);
	relay_expect_drop(&f, reason, true);
}

/* Nothing of a candidate is forwarded, and nothing changes: the controller is told, once. */
static void expect_learned(bool six, const char *from)
{
	struct flow_want want = want_of(six);
	struct addr source = lab_addr(from);
	int once = 1;

	relay_apply(&want);
	for (uint16_t seq = 1; seq <= 4; seq++)
		hear(from, six ? RELAY6 : RELAY, seq, "learning");
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told.times, 0);
	hear(from, six ? RELAY6 : RELAY, 5, "learning");
	assert_true(lab_until(&lab, is_told, &once));
	assert_int_equal(told.times, 1);
	assert_true(addr_equal(&told.local, &want.local));
	assert_true(addr_equal(&told.source, &source));
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(relay_counters().wrong_source, 0);
	hear(from, six ? RELAY6 : RELAY, 6, "learning");
}

static void learning(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_learned(false, BEHIND ":31000");
}

static void another_port_of_the_signalled_address_is_learned(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_learned(false, "10.77.1.2:31000");
}

static void a_source_of_ipv6_is_learned(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_learned(true, "[" BEHIND6 "]:31000");
	relay_remove(NULL);
	expect_learned(true, "[2001:db8:1::2]:31000");
}

/* What matches the description is admitted at once, and told once. */
static void the_signalled_source_needs_no_learning(void **state)
{
	struct flow_want want;
	struct frame f;
	int once = 1;

	(void)state;
	NEED_ROOT;
	want = want_of(false);
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_forwarded(&f, &want);
	relay_expect_forwarded(&f, &want);
	assert_true(lab_until(&lab, is_told, &once));
	assert_int_equal(told.times, 1);
	assert_true(addr_equal(&told.source, &want.expect));
}

static void strangers_are_never_learned(void **state)
{
	struct flow_want want;

	(void)state;
	NEED_ROOT;
	want = want_of(false);
	relay_apply(&want);
	for (uint16_t seq = 1; seq <= 20; seq++)
		hear(STRANGER, RELAY, seq, "wrong_source");
	want = want_of(false);
	want.learning = false; /* found: the search is over */
	relay_apply(&want);
	for (uint16_t seq = 1; seq <= 20; seq++)
		hear(BEHIND ":31000", RELAY, seq, "wrong_source");
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told.times, 0);
}

/* Keepalives, STUN, DTLS, RTCP and half a header at an RTP port (pitfalls 15 and 22). */
static void pitfall_22_what_is_no_rtp_teaches_nothing(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t length;
	} strange[] = {
		{ "\r\n\r\n", 4 },
		{ "", 0 },
		{ "\0", 1 },
		{ "\0\1\0\0\x21\x12\xa4\x42\0\0\0\0\0\0\0\0\0\0\0\0", 20 },
		{ "\x16\xfe\xff\0\0\0\0\0\0\0\0\0\1\0", 14 },
		{ "\x80\xc8\0\6\0\0\0\0\0\0\0\0", 12 },
		{ "\x80\0\0\1\0\0\0\0\0\0\0", 11 },
	};
	struct flow_want want;
	struct frame f;

	(void)state;
	NEED_ROOT;
	want = want_of(false);
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		struct frame_spec spec = { .from = BEHIND ":31000",
					   .to = RELAY,
					   .payload = strange[i].bytes,
					   .length = strange[i].length };

		frame_make(&f, &spec);
		for (int n = 0; n < 8; n++)
			relay_expect_drop(&f, "wrong_source", true);
	}
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told.times, 0);
}

/* Two that send by turns, or one that jumps, are not plausible. */
static void a_mixture_teaches_nothing(void **state)
{
	struct flow_want want;

	(void)state;
	NEED_ROOT;
	want = want_of(false);
	relay_apply(&want);
	for (uint16_t seq = 1; seq <= 20; seq++)
		hear(seq % 2 ? BEHIND ":31000" : BEHIND ":31002", RELAY, seq, "learning");
	for (uint16_t seq = 100; seq <= 140; seq += 2)
		hear(BEHIND ":31000", RELAY, seq, "learning");
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told.times, 0);
}

static void rtcp_is_learned_from_one_report(void **state)
{
	static const uint8_t report[] = { 0x80, 200, 0, 1, 1, 2, 3, 4 };
	struct frame_spec spec = {
		.from = BEHIND ":31009", .to = RELAY, .payload = report, .length = sizeof(report)
	};
	struct flow_want want;
	struct frame f;
	int once = 1;

	(void)state;
	NEED_ROOT;
	want = want_of(false);
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	hear(BEHIND ":31009", RELAY, 1, "wrong_source"); /* RTP */
	frame_make(&f, &spec);
	relay_expect_drop(&f, "learning", true);
	assert_true(lab_until(&lab, is_told, &once));
	assert_int_equal(told.source.port, 31009);
}

/* RTCP of ever other ports: each packet is an event. They are worked off bit by bit. */
static void a_flood_of_events_does_not_hold_the_loop(void **state)
{
	const uint8_t report[8] = { 0x80, 201, 0, 1, 0, 0, 0, 1 };
	struct frame_spec spec = { .to = RELAY, .payload = report, .length = sizeof(report) };
	struct flow_want want = want_of(false);
	int flood = 500, before = 0;
	char from[32];
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	spec.from = from;
	for (int i = 0; i < flood; i++) {
		snprintf(from, sizeof(from), BEHIND ":%d", 10000 + i);
		frame_make(&f, &spec);
		assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	}
	for (int turn = 0; turn < 60 && told.times < flood; turn++) {
		before = told.times;
		assert_int_equal(event_base_loop(loop_base(lab.loop), EVLOOP_ONCE), 0);
		assert_in_range(told.times - before, 0, 64);
	}
	assert_int_equal(told.times, flood);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(learning),
		T(another_port_of_the_signalled_address_is_learned),
		T(a_source_of_ipv6_is_learned),
		T(the_signalled_source_needs_no_learning),
		T(strangers_are_never_learned),
		T(pitfall_22_what_is_no_rtp_teaches_nothing),
		T(a_mixture_teaches_nothing),
		T(rtcp_is_learned_from_one_report),
		T_XDP(a_flood_of_events_does_not_hold_the_loop),
	};

	return relay_run_tests(tests, start, relay_stop);
}
