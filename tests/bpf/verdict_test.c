// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet in; verdict, packet out and counters: the program on what it forwards and passes on. */
#include "relay.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forwards_byte_by_byte(void **state)
{
	struct flow_want want = relay_want();
	struct flow_counters c;
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	relay_expect_forwarded(&in, &want);
	c = relay_counters();
	assert_int_equal(c.packets, 1);
	assert_int_equal(c.bytes, 172);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.wrong_source, 0);
	assert_int_equal(c.ssrc, 0xcafef00d);
	assert_true(addr_equal(&c.seen, &want.expect));
	assert_true(c.last_s >= 0 && c.last_s < 10);
}

static void goes_back_where_it_came_in(void **state)
{
	struct flow_want want = relay_want();
	struct rtpfwd_slot *slots;
	struct frame in, out, due;

	(void)state;
	NEED_ROOT;
	want.from = lab_addr("10.77.1.1:20002");
	want.to = lab_addr("10.77.1.3:7000");
	want.egress_realm = 0;
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	/* A veth is always redirected to. */
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	relay_due(&due, &in, &want, IN_MACS);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	slots = lab_slots(&lab);
	slots[0].first.flags |= RTPFWD_F_TX;
	lab_unmap(NULL, slots);
	assert_int_equal(relay_run(&in, &out), XDP_TX);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	assert_int_equal(relay_counters().packets, 2);
}

static void rtcp_is_forwarded_at_an_rtcp_port(void **state)
{
	static const uint8_t report[] = { 0x81, 201, 0,	 7,  1,	 2,  3,	 4,  5,	 6,  7,
					  8,	9,   10, 11, 12, 13, 14, 15, 16, 17, 18,
					  19,	20,  21, 22, 23, 24, 25, 26, 27, 28 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = report, .length = sizeof(report)
	};
	struct flow_want want = relay_want();
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	frame_make(&in, &spec);
	relay_expect_forwarded(&in, &want);
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(relay_counters().bytes, sizeof(report));
	assert_int_equal(relay_counters().ssrc, 0);
}

static bool is_muxed(void *slots)
{
	const struct rtpfwd_slot *slot = slots;

	return slot->select == RTPFWD_FIRST && slot->first.flags & RTPFWD_F_MUX;
}

/* RFC 5761: RTCP at the port of RTP is the next flow's, with its source, way and counters. */
static void muxed_rtcp_is_the_next_flows(void **state)
{
	static const uint8_t report[] = { 0x80, 200, 0, 1, 1, 2, 3, 4 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = report, .length = sizeof(report)
	};
	struct flow_want want = relay_want(), beside = relay_want();
	struct flow_counters c;
	struct rtpfwd_slot *slots;
	struct frame in, out, due;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_make(&in, &spec);
	relay_expect_drop(&in, "not_rtp", true);
	want.mux = true;
	relay_apply(&want);
	slots = lab_slots(&lab);
	assert_true(lab_until(&lab, is_muxed, slots));
	lab_unmap(NULL, slots);
	relay_expect_drop(&in, "unleased", false);
	beside.local = lab_addr("10.77.1.1:20001");
	beside.kind = FLOW_RTCP;
	beside.to = lab_addr("10.77.2.2:6001");
	assert_int_equal(datapath_apply(lab.dp, &beside), 0);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	relay_due(&due, &in, &beside, OUT_MACS);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	assert_int_equal(datapath_counters(lab.dp, &beside.local, &c), 0);
	assert_int_equal(c.packets, 1);
	assert_int_equal(relay_counters().packets, 0);
	spec.from = STRANGER;
	frame_make(&in, &spec);
	assert_int_equal(relay_run(&in, NULL), XDP_DROP);
	assert_int_equal(datapath_counters(lab.dp, &beside.local, &c), 0);
	assert_int_equal(c.wrong_source, 1);
	frame_rtp(&in, PHONE, RELAY, 1);
	relay_expect_forwarded(&in, &want);
	assert_int_equal(relay_counters().packets, 1);
	datapath_remove(lab.dp, &beside.local, NULL);
}

static void zero_checksum_stays_zero(void **state)
{
	static const uint8_t payload[40] = { 0x80 };
	struct flow_want want = relay_want();
	struct frame out;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	relay_expect_no_sum(payload, sizeof(payload), &out);
}

/* A sum that comes out as zero is sent as all ones (RFC 768). The last two bytes of the payload are
 * chosen to make it so. */
static void computed_zero_is_all_ones(void **state)
{
	struct flow_want want = relay_want();
	struct frame in, out, due;
	int hits = 0;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	in.bytes[in.size - 2] = in.bytes[in.size - 1] = 0;
	frame_resum(&in);
	relay_due(&due, &in, &want, OUT_MACS);
	/* The due sum is S; a payload that adds S leaves nothing. */
	in.bytes[in.size - 2] = due.bytes[UDP_AT + 6];
	in.bytes[in.size - 1] = due.bytes[UDP_AT + 7];
	frame_resum(&in);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	hits = out.bytes[UDP_AT + 6] == 0xff && out.bytes[UDP_AT + 7] == 0xff;
	assert_int_equal(hits, 1);
	relay_due(&due, &in, &want, OUT_MACS);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

static void checksums_hold_for_any_payload(void **state)
{
	struct flow_want want = relay_want();
	uint8_t payload[1458];
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload };
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.clock_rate = 0;
	relay_apply(&want);
	srand(20240229);
	for (int i = 0; i < 2000; i++) {
		spec.length = 12 + (uint32_t)rand() % (sizeof(payload) - 11);
		spec.ttl = (uint8_t)(2 + rand() % 254);
		for (uint32_t n = 0; n < spec.length; n++)
			payload[n] = (uint8_t)rand();
		payload[0] = 0x80;
		payload[1] &= 0x7f;
		frame_make(&in, &spec);
		relay_expect_forwarded(&in, &want);
	}
	assert_int_equal(relay_counters().packets, 2000);
}

static void padding_behind_the_datagram_is_kept(void **state)
{
	struct flow_want want = relay_want();
	uint8_t payload[12] = { 0x80 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload)
	};
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_make(&in, &spec);
	in.size = 60; /* Ethernet's least, 54 are used */
	relay_expect_forwarded(&in, &want);
}

static void what_is_not_ours_passes_untouched(void **state)
{
	static const char *const elsewhere[] = { "10.77.1.1:19999", "10.77.1.1:20100",
						 "10.77.1.1:5060", "10.77.1.9:20000",
						 "0.0.0.0:20000" };
	struct flow_want want = relay_want();
	struct frame f, g;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		frame_rtp(&f, PHONE, elsewhere[i], 1);
		relay_expect_untouched(&f);
	}
	frame_rtp(&f, PHONE, RELAY, 1);
	g = f;
	g.bytes[IP_AT + 9] = 6; /* TCP */
	relay_expect_untouched(&g);
	g = f;
	memcpy(g.bytes + 12, "\x86\xdd", 2); /* IPv6 */
	relay_expect_untouched(&g);
	for (g = f; --g.size >= 14;) /* down to a bare Ethernet header */
		if (g.size < RTP_AT)
			relay_expect_untouched(&g);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(relay_counters().dropped, 0);
}

/* No realm has VLANs, hence the program does not look behind a tag. */
static void tagged_passes_untouched(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_tag(&f, 5);
	relay_expect_untouched(&f);
}

static void headers_with_sources_and_extension_are_rtp(void **state)
{
	uint8_t payload[32] = { 0x92, 0 }; /* two contributing sources, an extension of one word */
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .length = 28 };
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	payload[23] = 1;
	relay_apply(&want);
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
}

static bool is_steady(void *slots)
{
	const struct rtpfwd_slot *slot = slots;

	return slot->select == RTPFWD_FIRST;
}

static void former_source_is_late_for_two_seconds(void **state)
{
	struct flow_want want = relay_want();
	struct frame before, after, stranger;
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	slots = lab_slots(&lab);
	frame_rtp(&before, PHONE, RELAY, 1);
	frame_rtp(&after, "10.77.1.3:9000", RELAY, 2);
	frame_rtp(&stranger, "10.77.1.2:9000", RELAY, 2);
	assert_int_equal(relay_run(&after, NULL), XDP_DROP);
	want.expect = lab_addr("10.77.1.3:9000");
	relay_apply(&want);
	for (int copy = 0; copy < 2;
	     copy++) { /* in both copies that are in force one after the other */
		relay_expect_forwarded(&before, &want);
		relay_expect_forwarded(&after, &want);
		assert_int_equal(relay_run(&stranger, NULL), XDP_DROP);
		assert_true(lab_until(&lab, is_steady, slots));
	}
	assert_int_equal(relay_counters().packets, 4);
	slots[0].first.late_until = 1; /* two seconds later */
	assert_int_equal(relay_run(&before, NULL), XDP_DROP);
	relay_expect_forwarded(&after, &want);
	assert_int_equal(relay_counters().wrong_source, 4);
	lab_unmap(NULL, slots);
}

static void the_same_again_changes_nothing(void **state)
{
	struct flow_want want = relay_want();
	struct rtpfwd_slot *slots, before;
	struct rtpfwd_rest *rests, rest;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	slots = lab_slots(&lab);
	rests = lab_rests(&lab);
	before = slots[0];
	rest = rests[0];
	assert_int_equal(before.select, RTPFWD_FIRST);
	assert_int_equal(rest.owner, 7);
	for (int i = 0; i < 3; i++)
		relay_apply(&want);
	assert_memory_equal(&slots[0], &before, sizeof(before));
	assert_memory_equal(&rests[0], &rest, sizeof(rest));
	lab_unmap(NULL, slots);
	lab_unmap_rests(rests);
}

static void loss_and_jitter_reach_the_report(void **state)
{
	static const uint16_t sequence[] = {
		32, 33, 34, 38, 36, 38, 39
	}; /* 35 and 37 lost, 36 late, 38 twice: one is left */
	struct flow_want want = relay_want();
	struct flow_counters c;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++) {
		/* The second packet of the pair pretends to be a minute younger: 480,000 units of
		 * transit, a sixteenth counts. */
		frame_rtp_at(&f, PHONE, RELAY, sequence[i],
			     sequence[i] == 33 ? 480160 : sequence[i] * 160U);
		assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
	}
	c = relay_counters();
	assert_int_equal(c.packets, 7);
	assert_int_equal(c.lost, 1);
	/* 3 s and more between 480160 - 5120 units and (nearly) none: 475,040 / 16 / 8 ms, less
	 * what the test took. */
	assert_true(c.jitter_ms > 3000 && c.jitter_ms < 3711.3);
}

static void faults_of_a_stream_reach_the_report(void **state)
{
	static const uint16_t sequence[] = { 20, 21, 21, 24, 22 };
	struct flow_want want = relay_want();
	struct rtpfwd_slot *slots;
	struct flow_counters c;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++) {
		frame_rtp(&f, PHONE, RELAY, sequence[i]);
		relay_expect_forwarded(&f, &want);
	}
	c = relay_counters();
	assert_int_equal(c.duplicates, 1);
	assert_int_equal(c.reordered, 1);
	assert_int_equal(c.ssrc_changes, 0);
	slots = lab_slots(&lab);
	slots[0].counters.last -= 3;
	lab_unmap(NULL, slots);
	f.bytes[RTP_AT + 8] ^= 1;
	frame_resum(&f);
	relay_expect_forwarded(&f, &want);
	c = relay_counters();
	assert_int_equal(c.ssrc_changes, 1);
	assert_true(c.gap_ms >= 3);
}

/* A key held down, then let go; and one whose end is lost. */
static void an_event_under_way_is_reported(void **state)
{
	uint8_t payload[16] = { 0x80, 101, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 5, 10, 0, 160 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .length = 16 };
	struct flow_want want = relay_want();
	struct rtpfwd_rest *rests;
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.event = 101;
	relay_apply(&want);
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
	assert_true(relay_counters().event);
	frame_rtp(&f, PHONE, RELAY, 2); /* audio between changes nothing */
	relay_expect_forwarded(&f, &want);
	assert_true(relay_counters().event);
	payload[13] |= 0x80; /* the end bit */
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
	assert_false(relay_counters().event);
	payload[13] = 10;
	payload[1] |= 0x80; /* a marked first packet */
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
	assert_true(relay_counters().event);
	rests = lab_rests(&lab);
	rests[0].heard.event -= 1000; /* a second ago at least */
	assert_false(relay_counters().event);
	lab_unmap_rests(rests);
	want.event = 0; /* nobody said that 101 is one */
	relay_apply(&want);
	relay_expect_forwarded(&f, &want);
	assert_false(relay_counters().event);
}

static void last_counters_are_handed_over(void **state)
{
	struct flow_want want = relay_want();
	struct datapath_realm_report before, after;
	struct flow_counters last;
	struct frame f;
	size_t flows;

	(void)state;
	NEED_ROOT;
	flows = datapath_flow_count(lab.dp);
	datapath_realm(lab.dp, 0, &before);
	relay_apply(&want);
	assert_int_equal(datapath_flow_count(lab.dp), flows + 1);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_forwarded(&f, &want);
	datapath_remove(lab.dp, &want.local, &last);
	assert_int_equal(last.packets, 1);
	assert_int_equal(last.bytes, 172);
	assert_int_equal(datapath_flow_count(lab.dp), flows);
	assert_int_equal(datapath_counters(lab.dp, &want.local, &last), -ENOENT);
	datapath_realm(lab.dp, 0, &after);
	assert_int_equal(after.packets[PLANE_XDP], before.packets[PLANE_XDP] + 1);
	assert_int_equal(after.bytes[PLANE_XDP], before.bytes[PLANE_XDP] + 172);
	relay_expect_drop(&f, "unleased", false);
	/* At once again: counted from zero, whatever the former flow had. */
	relay_apply(&want);
	assert_int_equal(relay_counters().packets, 0);
}

static void foreign_ports_are_refused(void **state)
{
	struct flow_want want = relay_want();

	(void)state;
	NEED_ROOT;
	want.local = lab_addr("10.77.1.1:19999");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
	want.local = lab_addr("10.77.9.1:20000");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
	want.local = lab_addr("[2001:db8:9::1]:20000");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(forwards_byte_by_byte),
		T_XDP(goes_back_where_it_came_in),
		T(rtcp_is_forwarded_at_an_rtcp_port),
		T(muxed_rtcp_is_the_next_flows),
		T(zero_checksum_stays_zero),
		T(computed_zero_is_all_ones),
		T(checksums_hold_for_any_payload),
		T(padding_behind_the_datagram_is_kept),
		T(what_is_not_ours_passes_untouched),
		T_XDP(tagged_passes_untouched),
		T(headers_with_sources_and_extension_are_rtp),
		T(former_source_is_late_for_two_seconds),
		T(the_same_again_changes_nothing),
		T(loss_and_jitter_reach_the_report),
		T(faults_of_a_stream_reach_the_report),
		T(an_event_under_way_is_reported),
		T(last_counters_are_handed_over),
		T(foreign_ports_are_refused),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
