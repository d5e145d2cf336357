// SPDX-License-Identifier: GPL-2.0-or-later
/* What the fast path refuses with the module: forged, replayed, damaged; and what it does not learn
 * from. */
#include "way.h"

#include <event2/event.h>
#include <linux/bpf.h>

static int told;

/* Opens the way, and its first packet arrives. */
static void begin(struct way *w, const struct sort *s, struct frame *f)
{
	uint8_t packet[LAB_MAX];

	way_open(w, s);
	way_arrive(w, f, packet, way_make(w, packet, 160));
}

static bool is_told(void *ctx)
{
	(void)ctx;
	return told;
}

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	(void)ctx, (void)owner, (void)local, (void)source;
	told++;
}

static void damage_is_not_mended(void **state)
{
	struct sort s = { .out = CM };
	struct frame in, out;
	struct way w;

	(void)state;
	begin(&w, &s, &in);
	in.bytes[RTP_AT + 30] ^= 4;
	assert_false(frame_sums_right(&in));
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_false(frame_sums_right(&out));
	way_close(&w);
}

/* Every bit that is changed on the way is noticed; nothing was learned from such a packet. */
static void srtp_auth(void **state)
{
	struct sort s = { .in = CM };
	uint8_t packet[LAB_MAX];
	struct flow_counters c;
	struct frame good, bad;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	length = way_make(&w, packet, 20);
	way_arrive(&w, &good, packet, length);
	for (uint32_t at = 2; at < (uint32_t)length + 10; at += 3) {
		bad = good;
		bad.bytes[RTP_AT + at] ^= 0x10;
		frame_resum(&bad);
		relay_expect_drop(&bad, "srtp_auth", true);
	}
	c = relay_counters();
	assert_int_equal(c.packets, 0);
	assert_int_equal(c.ssrc, 0);
	assert_int_equal(c.lost, 0);
	assert_int_equal(relay_run(&good, &bad), XDP_REDIRECT);
	assert_memory_equal(bad.bytes + RTP_AT, packet, length);
	way_close(&w);
}

static void srtp_auth_of_rtcp_in_the_clear(void **state)
{
	struct sort s = { .in = CM, .rtcp = true };
	uint8_t packet[LAB_MAX];
	struct frame f;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	length = way_make(&w, packet, 1);
	way_put(&f, &s, packet, length); /* its last bytes count as index and tag */
	relay_expect_drop(&f, "srtp_auth", true);
	way_close(&w);
}

static void srtp_replay(void **state)
{
	struct sort s = { .in = CM };
	struct frame f, out;
	struct way w;

	(void)state;
	begin(&w, &s, &f);
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	for (int i = 0; i < 3; i++) {
		uint64_t before = lab_drops(&lab, "srtp_replay");

		assert_int_equal(relay_run(&f, NULL), XDP_DROP);
		assert_int_equal(lab_drops(&lab, "srtp_replay"), before + 1);
	}
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(relay_counters().dropped, 3);
	assert_int_equal(relay_counters().duplicates, 0);
	way_close(&w);
}

/* What is sent twice cannot be encrypted twice: it would be the same key stream. */
static void srtp_replay_of_a_sender(void **state)
{
	struct sort s = { .out = CM };
	uint64_t before = lab_drops(&lab, "srtp_replay");
	struct frame f, out;
	struct way w;

	(void)state;
	begin(&w, &s, &f);
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "srtp_replay"), before + 1);
	way_close(&w);
}

static void only_authentic_packets_are_learned_from(void **state)
{
	struct sort s = { .in = CM };
	struct way w = way_of(&s);
	uint8_t packet[LAB_MAX];
	struct frame f;

	(void)state;
	told = 0;
	w.want.learning = true;
	w.want.learn = w.want.expect;
	w.want.expect.port = 9;
	relay_apply(&w.want);
	for (int i = 0; i < 20; i++) {
		way_arrive(&w, &f, packet, way_make(&w, packet, 160));
		f.bytes[f.size - 1] ^= 1;
		frame_resum(&f);
		relay_expect_drop(&f, "srtp_auth", true);
	}
	assert_int_equal(relay_counters().packets, 0);
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told, 0);
	for (int i = 0; i < 5; i++) {
		way_arrive(&w, &f, packet, way_make(&w, packet, 160));
		relay_expect_drop(&f, "learning", true);
	}
	assert_true(lab_until(&lab, is_told, NULL));
	assert_int_equal(told, 1);
	way_close(&w);
}

static void srtp_replay_on_the_other_plane(void **state)
{
	const struct sort legs[] = { { .in = CM }, { .out = CM } };
	uint8_t packet[LAB_MAX];
	struct frame f;
	struct way w;

	(void)state;
	for (int leg = 0; leg < 2; leg++) {
		way_open(&w, &legs[leg]);
		for (int i = 0; i < 4; i++) {
			way_arrive(&w, &f, packet, way_make(&w, packet, 160));
			relay_go_up(i & 1);
			assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
			relay_go_up(!(i & 1));
			assert_int_equal(relay_run(&f, NULL), XDP_DROP);
		}
		assert_int_equal(relay_counters().packets, 4);
		assert_int_equal(relay_counters().dropped, 4);
		way_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(damage_is_not_mended),
		T(srtp_auth),
		T(srtp_auth_of_rtcp_in_the_clear),
		T(srtp_replay),
		T(srtp_replay_of_a_sender),
		T(only_authentic_packets_are_learned_from),
		T_XDP(srtp_replay_on_the_other_plane),
	};

	lab.events.learned = on_learned;
	return relay_run_tests(tests, way_start, way_stop);
}
