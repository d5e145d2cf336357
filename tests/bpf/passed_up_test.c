// SPDX-License-Identifier: GPL-2.0-or-later
/* What XDP passes up the userspace relay forwards: which counters each of them writes. */
#include "relay.h"

#include <linux/bpf.h>
#include <string.h>

/* Links that XDP counts on; the flow's counters are its own. */
static void shared(void)
{
	struct rtpfwd_control *control = lab_control(&lab);

	control->user_links = 0;
	lab_unmap(control, NULL);
}

static void flag(uint32_t flags)
{
	struct rtpfwd_slot *slots = lab_slots(&lab);

	slots[0].first.flags |= flags;
	lab_unmap(NULL, slots);
}

static uint64_t drops_of_all(void)
{
	static const char *const reasons[] = { "unleased", "wrong_source", "not_rtp", "ttl" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		sum += lab_drops(&lab, reasons[i]);
	return sum;
}

static void forwarded_on_top_of_what_xdp_counts(void **state)
{
	struct flow_want want = relay_want();
	struct rtpfwd_counters before;
	struct rtpfwd_slot *slots;
	struct frame f;

	(void)state;
	NEED_ROOT;
	shared();
	relay_apply(&want);
	slots = lab_slots(&lab);
	slots[0].counters.packets = 10; /* XDP's */
	slots[0].counters.bytes = 1720;
	slots[0].counters.ssrc = 0xcafef00d;
	slots[0].counters.max_seq = 13;
	slots[0].counters.lost = 3;
	before = slots[0].counters;
	for (uint16_t seq = 11; seq < 13; seq++) {
		frame_rtp(&f, PHONE, RELAY, seq);
		relay_expect_forwarded(&f, &want);
	}
	assert_int_equal(relay_counters().packets, 12);
	assert_int_equal(relay_counters().bytes, 1720 + 2 * 172);
	assert_int_equal(relay_counters().lost, 1); /* two of the three were only passed up */
	assert_true(relay_counters().last_s >= 0);
	slots[0].counters.last = before.last;
	slots[0].counters.seen = before.seen;
	assert_memory_equal(&slots[0].counters, &before, sizeof(before));
	lab_unmap(NULL, slots);
}

/* XDP has counted it as up_*: the flow alone tells of it. */
static void refused_at_the_flow_alone(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;
	uint64_t before;

	(void)state;
	NEED_ROOT;
	shared();
	before = drops_of_all();
	frame_rtp(&f, PHONE, RELAY, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP); /* unleased */
	relay_apply(&want);
	frame_rtp(&f, STRANGER, RELAY, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	frame_rtp(&f, PHONE, RELAY, 1);
	f.bytes[RTP_AT] = 0;
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(relay_counters().dropped, 2);
	assert_int_equal(relay_counters().wrong_source, 1);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(drops_of_all(), before);
}

static void flows_of_the_relay_are_counted_in_full(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;
	uint64_t before;

	(void)state;
	NEED_ROOT;
	shared();
	relay_apply(&want);
	flag(RTPFWD_F_USER);
	before = lab_drops(&lab, "wrong_source");
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_forwarded(&f, &want);
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(relay_counters().ssrc, 0xcafef00d);
	frame_rtp(&f, STRANGER, RELAY, 2);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "wrong_source"), before + 1);
	assert_int_equal(relay_counters().wrong_source, 1);
}

/* The relay's flow: up, counted nowhere, nobody judged. */
static void xdp_leaves_a_flow_of_the_relay_alone(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	flag(RTPFWD_F_USER);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_untouched(&f);
	frame_rtp(&f, STRANGER, RELAY, 1);
	relay_expect_untouched(&f);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(relay_counters().dropped, 0);
	assert_int_equal(relay_counters().seen.family, AF_UNSPEC);
}

/* The wrong ones are refused where they are, the right ones are left to who can resolve. */
static void xdp_passes_up_what_is_unresolved(void **state)
{
	struct flow_want want = relay_want();
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	flag(RTPFWD_F_UNRESOLVED);
	before = lab_drops(&lab, "up_unresolved");
	frame_rtp(&f, STRANGER, RELAY, 1);
	relay_expect_drop(&f, "wrong_source", true);
	frame_rtp(&f, PHONE, RELAY, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_unresolved"), before + 1);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(relay_counters().dropped, 1);
}

static void the_relay_forwards_what_is_unresolved(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	shared();
	relay_apply(&want);
	flag(RTPFWD_F_UNRESOLVED);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_left_to_kernel(&f, &want, "up_unresolved", "out0");
	assert_int_equal(relay_counters().packets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_USER(forwarded_on_top_of_what_xdp_counts),
		T_USER(refused_at_the_flow_alone),
		T_USER(flows_of_the_relay_are_counted_in_full),
		T_XDP(xdp_leaves_a_flow_of_the_relay_alone),
		T_XDP(xdp_passes_up_what_is_unresolved),
		T_USER(the_relay_forwards_what_is_unresolved),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
