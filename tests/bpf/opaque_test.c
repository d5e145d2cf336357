// SPDX-License-Identifier: GPL-2.0-or-later
/* What only the far ends understand: a fax, or media whose keys are theirs, with the STUN, DTLS and
 * ZRTP beside it. Passed unread here, refused where plain RTP is due. */
#include "relay.h"

#include <string.h>

#define BEHIND "10.77.1.50" /* where it signals from */

static struct flow_want opaque_want(void)
{
	struct flow_want want = relay_want();

	want.opaque = true;
	want.clock_rate = 0;
	return want;
}

static void make(struct frame *f, const char *from, uint8_t first, uint32_t length)
{
	uint8_t payload[64] = { first, 0x00, 0x12, 0x34 };
	struct frame_spec spec = {
		.from = from, .to = RELAY, .payload = payload, .length = length
	};

	frame_make(f, &spec);
}

/* RFC 7983 7: what a first byte announces: STUN 0-3, ZRTP 16-19, DTLS 20-63, TURN channels 64-79,
 * RTP and RTCP 128-191; a fax may begin with any. */
static void every_first_byte_passes(void **state)
{
	struct flow_want want = opaque_want();
	struct flow_counters c;
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (int first = 0; first < 256; first++) {
		make(&in, PHONE, (uint8_t)first, 20);
		relay_expect_forwarded(&in, &want);
	}
	c = relay_counters();
	assert_int_equal(c.packets, 256);
	assert_int_equal(c.bytes, 256 * 20);
	assert_int_equal(c.dropped, 0);
}

static void only_rtp_passes_where_it_is_due(void **state)
{
	struct flow_want want = relay_want();
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (int first = 0; first < 256; first++) {
		make(&in, PHONE, (uint8_t)first, 64);
		if (first < 0x80 || first > 0xbf)
			relay_expect_drop(&in, "not_rtp", true);
	}
	/* Up to 13 sources are still within 64 bytes. */
	for (int first = 0x80; first <= 0x8d; first++) {
		make(&in, PHONE, (uint8_t)first, 64);
		relay_expect_forwarded(&in, &want);
	}
	assert_int_equal(relay_counters().packets, 14);
	assert_int_equal(relay_counters().dropped, 128 + 64);
}

/* UDPTL may be shorter than any header of RTP, and a keepalive empty. */
static void any_length_passes(void **state)
{
	struct flow_want want = opaque_want();
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (uint32_t length = 0; length <= 12; length++) {
		make(&in, PHONE, 0, length);
		relay_expect_forwarded(&in, &want);
	}
	assert_int_equal(relay_counters().packets, 13);
}

/* Numbers of what is not read would be noise. */
static void nothing_is_read_into_counters(void **state)
{
	struct flow_want want = opaque_want();
	struct flow_counters c;
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.clock_rate = 8000;
	relay_apply(&want);
	for (uint16_t seq = 1; seq < 60; seq += 3) {
		frame_rtp(&in, PHONE, RELAY, seq);
		relay_expect_forwarded(&in, &want);
	}
	c = relay_counters();
	assert_int_equal(c.packets, 20);
	assert_int_equal(c.lost, 0);
	assert_int_equal(c.ssrc, 0);
	assert_int_equal(c.ssrc_changes, 0);
	assert_true(c.jitter_ms == 0);
}

static void reports_of_such_media_pass_unread(void **state)
{
	struct flow_want want = opaque_want();
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	make(&in, PHONE, 0x81, 40);
	relay_expect_forwarded(&in, &want);
	make(&in, PHONE, 22, 40); /* its DTLS */
	relay_expect_forwarded(&in, &want);
	assert_int_equal(relay_counters().packets, 2);
	assert_int_equal(relay_counters().far_lost, 0);
	assert_true(relay_counters().round_trip_ms < 0);
}

static void all_else_is_judged(void **state)
{
	struct flow_want want = opaque_want();
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	make(&in, STRANGER, 0, 20);
	relay_expect_drop(&in, "wrong_source", true);
	make(&in, PHONE, 0, 20);
	in.bytes[IP_AT + 8] = 1;
	frame_resum(&in);
	relay_expect_drop(&in, "ttl", true);
	assert_int_equal(relay_counters().packets, 0);
}

static struct {
	int times;
	struct addr source;
} told;

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	(void)ctx;
	(void)owner;
	(void)local;
	told.times++;
	told.source = *source;
}

static bool is_told(void *ctx)
{
	(void)ctx;
	return told.times > 0;
}

/* No sender is named in it: five in a row of one port of the address looked for. */
static void learned_by_their_number(void **state)
{
	struct flow_want want = opaque_want();
	struct addr source = lab_addr(BEHIND ":40002");
	struct frame in;

	(void)state;
	NEED_ROOT;
	told.times = 0;
	want.learning = true;
	want.learn = lab_addr(BEHIND);
	relay_apply(&want);
	for (int i = 0; i < 4; i++) {
		make(&in, BEHIND ":40001", 20, 30);
		relay_expect_drop(&in, "learning", true);
	}
	for (int i = 0; i < 4; i++) {
		make(&in, BEHIND ":40002", (uint8_t)(20 + i), 30);
		relay_expect_drop(&in, "learning", true);
	}
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told.times, 0);
	make(&in, BEHIND ":40002", 0, 1);
	relay_expect_drop(&in, "learning", true);
	assert_true(lab_until(&lab, is_told, NULL));
	assert_int_equal(told.times, 1);
	assert_true(addr_equal(&told.source, &source));
	make(&in, STRANGER, 20, 30);
	relay_expect_drop(&in, "wrong_source", true);
	assert_int_equal(relay_counters().packets, 0);
}

static int start(void **state)
{
	(void)state;
	lab.events.learned = on_learned;
	return relay_start_as(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_first_byte_passes),
		T(only_rtp_passes_where_it_is_due),
		T(any_length_passes),
		T(nothing_is_read_into_counters),
		T(reports_of_such_media_pass_unread),
		T(all_else_is_judged),
		T(learned_by_their_number),
	};

	return relay_run_tests(tests, start, relay_stop);
}
