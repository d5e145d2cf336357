// SPDX-License-Identifier: GPL-2.0-or-later
/* The fast path's verdict with the module: frame in, frame out, beside libsrtp2. */
#include "way.h"

#include <linux/bpf.h>

#define KEY_NEXT 3

static void all_sizes(const struct sort *s)
{
	static const int sizes[] = { 0, 1, 15, 20, 33, 160, 161, 1200, 1400 };
	struct flow_counters c;
	uint8_t packet[LAB_MAX];
	uint64_t bytes = 0;
	struct way w;

	way_open(&w, s);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int length = way_make(&w, packet, sizes[i]);

		bytes += (uint64_t)length;
		way_expect_passed(&w, packet, length);
	}
	c = relay_counters();
	assert_int_equal(c.packets, sizeof(sizes) / sizeof(*sizes));
	assert_int_equal(c.bytes, bytes);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.lost, 0);
	way_close(&w);
}

/* RTP and RTCP, with and without a tag; the families are others for each suite. */
static void all_frames(uint8_t in, uint8_t out)
{
	for (int i = 0; i < 4; i++) {
		struct sort s = {
			.six_in = (in | out) & 1,
			.six_out = (in | out) & 2,
			.rtcp = i & 1,
			.tag_out = i & 2,
			.in = in,
			.out = out,
		};

		all_sizes(&s);
	}
}

static void clear_to_encrypted(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		all_frames(0, suite);
}

static void encrypted_to_clear(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		all_frames(suite, 0);
}

static void other_keys_and_suites_on_both_legs(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++) {
		struct sort s = { .in = (uint8_t)(i / 4 + 1), .out = (uint8_t)(i % 4 + 1) };

		s.rtcp = i & 1;
		s.six_in = i & 2;
		all_sizes(&s);
	}
}

/* A datagram without a sum leaves without, but not over IPv6. */
static void a_missing_sum_is_made_where_it_must_be(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sort s = { .no_sum = true, .six_out = i & 1 };

		s.in = i & 2 ? CM : 0;
		s.out = i & 2 ? 0 : CM;
		all_sizes(&s);
	}
}

static bool look(void *ctx, const struct flow_report *flow)
{
	struct flow_report *out = ctx;

	if (flow->want.owner == 7)
		*out = *flow;
	return true;
}

static void the_plane_is_told_without_keys(void **state)
{
	static const uint8_t none[sizeof(((struct flow_crypt *)0)->key)];
	struct sort s = { .in = CM };
	struct flow_report report = { 0 };
	struct way w;

	(void)state;
	way_open(&w, &s);
	datapath_each(lab.dp, &(uint64_t){ 0 }, look, &report);
	assert_int_equal(report.counters.plane, PLANE_KMOD);
	assert_int_equal(report.want.in.suite, CM);
	assert_memory_equal(report.want.in.key, none, sizeof(none));
	way_close(&w);
}

/* RTCP that shares the port of its RTP is the flow's beside it, with contexts of its own. */
static void rtcp_on_the_port_of_rtp(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	struct addr beside = lab_addr("10.77.1.1:20001");
	uint8_t packet[LAB_MAX];
	struct flow_counters c;
	struct way w, rtcp;

	(void)state;
	way_open(&w, &s);
	w.want.mux = true;
	relay_apply(&w.want);
	rtcp = w;
	rtcp.sort.rtcp = true;
	rtcp.want.kind = FLOW_RTCP;
	rtcp.want.local = beside;
	rtcp.want.from.port++;
	rtcp.want.to.port++;
	assert_int_equal(datapath_apply(lab.dp, &rtcp.want), 0);
	for (int i = 0; i < 3; i++) {
		way_expect_passed(&w, packet, way_make(&w, packet, 160));
		way_expect_passed(&rtcp, packet, way_make(&rtcp, packet, i));
	}
	assert_int_equal(datapath_counters(lab.dp, &beside, &c), 0);
	assert_int_equal(c.packets, 3);
	assert_int_equal(relay_counters().packets, 3);
	datapath_remove(lab.dp, &beside, NULL);
	way_close(&w);
}

/* Digits and reports are read where they are in the clear, on either side. */
static void what_is_encrypted_is_measured_too(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_256_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;
	int length;

	(void)state;
	for (int leg = 0; leg < 2; leg++) {
		s.in = leg ? CM : 0;
		s.out = leg ? 0 : CM;
		way_open(&w, &s);
		w.want.event = 101;
		relay_apply(&w.want);
		length = way_make(&w, packet, 4);
		packet[1] = 101;
		packet[13] = 0;
		way_expect_passed(&w, packet, length);
		assert_true(relay_counters().event);
		w.seq += 10;
		length = way_make(&w, packet, 4);
		packet[1] = 101;
		packet[13] = 0x80; /* the end */
		way_expect_passed(&w, packet, length);
		assert_false(relay_counters().event);
		assert_int_equal(relay_counters().lost, 10);
		way_close(&w);
	}
}

/* Keys change; what is under way under the former ones still arrives. */
static void new_keys_lose_nothing(void **state)
{
	struct sort s = { .in = CM, .out = CM };
	uint8_t packet[LAB_MAX], late[LAB_MAX];
	struct frame f, out;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	way_expect_passed(&w, packet, way_make(&w, packet, 160));
	length = way_make(&w, late, 160);
	way_arrive(&w, &f, late, length);
	srtp_dealloc(w.sender);
	srtp_dealloc(w.receiver);
	w.sender = oracle(CM, KEY_NEXT, true);
	w.receiver = oracle(CM, KEY_NEXT, false);
	w.want.in = w.want.out = fast_crypt(CM, KEY_NEXT);
	relay_apply(&w.want);
	way_expect_passed(&w, packet, way_make(&w, packet, 160));
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	way_read(&w, &out, packet, &length);
	assert_memory_equal(packet, late, length);
	assert_int_equal(relay_counters().dropped, 0);
	way_close(&w);
}

static void sequence_numbers_roll_over(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;

	(void)state;
	way_open(&w, &s);
	for (int round = 0; round < 3; round++) {
		for (w.seq = 65530; w.seq != 6;)
			way_expect_passed(&w, packet, way_make(&w, packet, 160));
		for (w.seq = 6; w.seq < 65500; w.seq += 15000)
			way_expect_passed(&w, packet, way_make(&w, packet, 160));
	}
	way_close(&w);
}

/* What XDP passes up the relay asks the module for: each packet has the next index, whoever sends
 * it on, and no index passes twice. */
static void planes_share_what_was_sent_and_heard(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;

	(void)state;
	for (int rtcp = 0; rtcp < 2; rtcp++) {
		s.rtcp = rtcp;
		way_open(&w, &s);
		w.seq = 65500; /* rolls over */
		for (int i = 0; i < 200; i++) {
			relay_go_up(i % 3 == 1);
			way_expect_passed(&w, packet, way_make(&w, packet, 160));
		}
		assert_int_equal(relay_counters().packets, 200);
		assert_int_equal(relay_counters().lost, 0);
		way_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(clear_to_encrypted),
		T(encrypted_to_clear),
		T(other_keys_and_suites_on_both_legs),
		T(a_missing_sum_is_made_where_it_must_be),
		T(the_plane_is_told_without_keys),
		T(rtcp_on_the_port_of_rtp),
		T(what_is_encrypted_is_measured_too),
		T(new_keys_lose_nothing),
		T(sequence_numbers_roll_over),
		T_XDP(planes_share_what_was_sent_and_heard),
	};

	return relay_run_tests(tests, way_start, way_stop);
}
