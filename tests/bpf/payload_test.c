// SPDX-License-Identifier: GPL-2.0-or-later
/* Payload numbers and what becomes of them; G.711 from one law to the other. */
#include "relay.h"

#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "g711.h"

enum { PCMU = 0, PCMA = 8, MARKER = 0x80, HEADER = 12 };

static struct flow_want want_numbers(size_t n, const struct flow_payload *pairs)
{
	struct flow_want want = relay_want();

	want.payloads.n = (uint8_t)n;
	memcpy(want.payloads.pair, pairs, n * sizeof(*pairs));
	return want;
}

static struct frame numbered(uint8_t second)
{
	struct frame f;

	frame_rtp(&f, PHONE, RELAY, 1);
	f.bytes[RTP_AT + 1] = second;
	frame_resum(&f);
	return f;
}

/* Leaves byte by byte as `payload` (the frame as it came in, but for that) would. */
static void expect_becomes(const struct frame *in, const struct frame *payload,
			   const struct flow_want *want)
{
	struct frame out, due;

	assert_int_equal(relay_run(in, &out), XDP_REDIRECT);
	relay_due(&due, payload, want, OUT_MACS);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

static void expect_number(uint8_t second, uint8_t becomes, const struct flow_want *want)
{
	struct frame in = numbered(second), due = in;

	due.bytes[RTP_AT + 1] = becomes;
	expect_becomes(&in, &due, want);
}

/* Each of the 128, with the marker and without. */
static void numbers_agreed_upon_pass_and_no_others(void **state)
{
	static const struct flow_payload pairs[] = { { 8, 8, 0 }, { 101, 101, 0 }, { 13, 13, 0 } };
	struct flow_want want = want_numbers(3, pairs);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (unsigned int number = 0; number < 128; number++) {
		if (number == 8 || number == 101 || number == 13)
			continue;
		f = numbered((uint8_t)number);
		relay_expect_drop(&f, "bad_payload", true);
	}
	for (int i = 0; i < 3; i++) {
		expect_number(pairs[i].in, pairs[i].in, &want);
		expect_number(MARKER | pairs[i].in, MARKER | pairs[i].in, &want);
	}
	assert_int_equal(relay_counters().packets, 6);
	assert_int_equal(relay_counters().dropped, 125);
	assert_int_equal(relay_counters().wrong_source, 0);
}

static void bad_payload(void **state)
{
	static const struct flow_payload pair = { 0, 0, 0 };
	struct flow_want want = want_numbers(1, &pair);
	struct frame f = numbered(PCMA);

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	relay_expect_drop(&f, "bad_payload", true);
	frame_rtp(&f, STRANGER, RELAY, 1); /* who he is is asked first */
	f.bytes[RTP_AT + 1] = PCMA;
	relay_expect_drop(&f, "wrong_source", true);
}

static void as_many_as_an_entry_holds(void **state)
{
	struct flow_payload pairs[FLOW_PAYLOADS];
	struct flow_want want;
	struct frame f = numbered(50);

	(void)state;
	NEED_ROOT;
	for (uint8_t i = 0; i < FLOW_PAYLOADS; i++)
		pairs[i] = (struct flow_payload){ (uint8_t)(96 + i), (uint8_t)(127 - i), 0 };
	want = want_numbers(FLOW_PAYLOADS, pairs);
	relay_apply(&want);
	for (uint8_t i = 0; i < FLOW_PAYLOADS; i++)
		expect_number((uint8_t)(96 + i), (uint8_t)(127 - i), &want);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
}

/* Where the legs know a codec by different numbers. */
static void pitfall_10_a_number_is_rewritten_in_flight(void **state)
{
	static const struct flow_payload pairs[] = { { 111, 96, 0 }, { 96, 101, 0 } };
	struct flow_want want = want_numbers(2, pairs);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	expect_number(111, 96, &want);
	expect_number(MARKER | 111, MARKER | 96, &want);
	expect_number(96, 101, &want);
	f = numbered(101);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "bad_payload") > 0, true);
}

static void a_rewritten_packet_without_sum_stays_without(void **state)
{
	static const struct flow_payload pair = { 111, 96, 0 };
	static const uint8_t payload[40] = { 0x80, 111 };
	struct flow_want want = want_numbers(1, &pair);
	struct frame out;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	relay_expect_no_sum(payload, sizeof(payload), &out);
	assert_int_equal(out.bytes[RTP_AT + 1], 96);
}

/* The event's number is told by that with which it leaves. */
static void a_rewritten_event_is_an_event(void **state)
{
	static const struct flow_payload pairs[] = { { 0, 0, 0 }, { 101, 96, 0 } };
	struct flow_want want = want_numbers(2, pairs);
	struct frame f = numbered(101);

	(void)state;
	NEED_ROOT;
	want.event = 96;
	relay_apply(&want);
	assert_false(relay_counters().event);
	f.bytes[RTP_AT + HEADER + 1] = 10; /* no end bit */
	frame_resum(&f);
	assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
	assert_true(relay_counters().event);
}

static void rtcp_has_no_payload_number(void **state)
{
	static const struct flow_payload pair = { 0, 8, 0 };
	struct flow_want want = want_numbers(1, &pair);
	uint8_t payload[28] = { 0x80, 200, 0, 6 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload)
	};
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	want.payloads.n = 0;
	relay_apply(&want);
	frame_make(&in, &spec);
	expect_becomes(&in, &in, &want);
}

static bool is_steady(void *slots)
{
	const struct rtpfwd_slot *slot = slots;

	return slot->select == RTPFWD_FIRST;
}

static void former_numbers_are_late_for_two_seconds(void **state)
{
	static const struct flow_payload before[] = { { 0, 0, 0 }, { 101, 96, 0 } };
	static const struct flow_payload after[] = { { 8, 8, 0 }, { 101, 97, 0 } };
	struct flow_want want = want_numbers(2, before), next = want_numbers(2, after);
	struct rtpfwd_slot *slots;
	struct frame f = numbered(0);

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	relay_apply(&next);
	slots = lab_slots(&lab);
	for (int copy = 0; copy < 2; copy++) {
		expect_number(0, 0, &next);
		expect_number(8, 8, &next);
		expect_number(101, 97, &next);
		assert_true(lab_until(&lab, is_steady, slots));
	}
	assert_int_equal(slots[0].first.late_payloads, 1);
	slots[0].first.late_until = 1; /* two seconds later */
	expect_number(8, 8, &next);
	expect_number(101, 97, &next);
	assert_int_equal(relay_counters().dropped, 0);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(relay_counters().dropped, 1);
	lab_unmap(NULL, slots);
}

/* Source and numbers change at once; then once more, before the first change is over. */
static void a_source_and_its_numbers_are_late_together(void **state)
{
	static const struct flow_payload one = { 0, 0, 0 }, two = { 8, 8, 0 }, three = { 9, 9, 0 };
	struct flow_want first = want_numbers(1, &one), second = want_numbers(1, &two),
			 third = want_numbers(1, &three);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&first);
	second.expect = third.expect = lab_addr("10.77.1.3:9000");
	relay_apply(&second);
	expect_number(0, 0, &second);
	relay_apply(&third);
	expect_number(0, 0, &third);
	expect_number(8, 8, &third);
	frame_rtp(&f, "10.77.1.3:9000", RELAY, 1);
	f.bytes[RTP_AT + 1] = 9;
	frame_resum(&f);
	expect_becomes(&f, &f, &third);
	frame_rtp(&f, "10.77.1.2:9000", RELAY, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
}

static void a_wrong_number_teaches_no_source(void **state)
{
	static const struct flow_payload pair = { 0, 0, 0 };
	struct flow_want want = want_numbers(1, &pair);
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.learning = true;
	want.learn = lab_addr("10.77.1.66");
	relay_apply(&want);
	for (uint16_t seq = 1; seq <= 2 * RTPFWD_LEARN_RTP; seq++) {
		frame_rtp(&f, STRANGER, RELAY, seq);
		f.bytes[RTP_AT + 1] = PCMA;
		frame_resum(&f);
		relay_expect_drop(&f, "wrong_source", true);
	}
	frame_rtp(&f, STRANGER, RELAY, 11);
	relay_expect_drop(&f, "learning", true);
}

static const struct flow_payload to_alaw[] = { { PCMU, PCMA, FLOW_TO_ALAW }, { 101, 101, 0 } };
static const struct flow_payload to_ulaw[] = { { PCMA, PCMU, FLOW_TO_ULAW }, { 101, 101, 0 } };

struct g711_spec {
	const char *from, *to;
	uint32_t length; /* of samples */
	uint8_t first;	 /* of the header: version, padding, extension, sources */
	bool no_sum;
};

static uint32_t header_of(uint8_t first)
{
	return HEADER + (first & 15U) * 4 + (first & 0x10 ? 4 + 8 : 0);
}

/* What `way` makes of a packet of any samples; those of the header stay. */
static void expect_translated(const struct g711_spec *s, const struct flow_want *want, bool alaw)
{
	uint32_t header = header_of(s->first), padding = s->first & 0x20 ? 4 : 0;
	uint8_t payload[1500] = { s->first, MARKER | (alaw ? PCMU : PCMA) };
	struct frame_spec spec = { .from = s->from,
				   .to = s->to,
				   .payload = payload,
				   .length = header + s->length + padding,
				   .no_sum = s->no_sum };
	struct frame in, due;

	for (uint32_t i = 2; i < spec.length; i++)
		payload[i] = (uint8_t)(i * 31 + s->length + (i >> 3));
	if (s->first & 0x10)
		memcpy(payload + header - 12, "\xbe\xde\0\2", 4);
	if (padding)
		payload[spec.length - 1] = (uint8_t)padding;
	frame_make(&in, &spec);
	payload[1] = MARKER | (alaw ? PCMA : PCMU);
	for (uint32_t i = header; i < header + s->length; i++)
		payload[i] = g711_table[alaw ? G711_TO_ALAW : G711_TO_ULAW][payload[i]];
	frame_make(&due, &spec);
	expect_becomes(&in, &due, want);
}

static void g711_of_any_length(void **state)
{
	static const uint32_t lengths[] = { 0,	1,   2,	  3,   15,  16,	 17,
					    18, 159, 160, 161, 240, 480, 1440 };
	struct flow_want up = want_numbers(2, to_alaw), down = want_numbers(2, to_ulaw);
	struct g711_spec spec = { PHONE, RELAY, 0, 0x80, false };

	(void)state;
	NEED_ROOT;
	relay_apply(&up);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		spec.length = lengths[i];
		expect_translated(&spec, &up, true);
	}
	expect_number(101, 101, &up);
	relay_apply(&down);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		spec.length = lengths[i];
		expect_translated(&spec, &down, false);
	}
	expect_number(MARKER | 101, MARKER | 101, &down);
}

static void g711_behind_any_header(void **state)
{
	static const uint8_t firsts[] = { 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf };
	struct flow_want want = want_numbers(2, to_alaw);

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(firsts); i++)
		for (uint32_t length = 159; length <= 161; length++) {
			struct g711_spec spec = { PHONE, RELAY, length, firsts[i], false };

			expect_translated(&spec, &want, true);
		}
}

/* Its count is more than there is, or nothing (RFC 3550 5.1). */
static void padding_that_cannot_be_is_refused(void **state)
{
	struct flow_want want = want_numbers(2, to_alaw);
	struct frame f = numbered(PCMU);

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	f.bytes[RTP_AT] = 0xa0;
	f.bytes[f.size - 1] = 0;
	frame_resum(&f);
	relay_expect_drop(&f, "bad_length", true);
	f.bytes[f.size - 1] = 161;
	frame_resum(&f);
	relay_expect_drop(&f, "bad_length", true);
}

/* One that is refused behind the rate, as forged SRTP is: the next good one finds its credit. */
static void what_does_not_pass_costs_no_credit(void **state)
{
	struct flow_want want = want_numbers(2, to_alaw);
	struct frame good, bad;

	(void)state;
	NEED_ROOT;
	want.rate = 2;
	relay_apply(&want);
	good = numbered(PCMU);
	bad = good;
	bad.bytes[RTP_AT] |= 0x20;
	bad.bytes[bad.size - 1] = 0;
	frame_resum(&bad);
	assert_int_equal(relay_run(&good, NULL), XDP_REDIRECT);
	for (int i = 0; i < 5; i++) {
		uint64_t before = lab_drops(&lab, "bad_length");

		assert_int_equal(relay_run(&bad, NULL), XDP_DROP);
		assert_int_equal(lab_drops(&lab, "bad_length"), before + 1);
	}
	assert_int_equal(relay_run(&good, NULL), XDP_REDIRECT);
	assert_int_equal(relay_counters().packets, 2);
}

static void g711_without_a_sum(void **state)
{
	struct flow_want want = want_numbers(2, to_alaw);
	uint8_t payload[HEADER + 160] = { 0x80 };
	struct frame out;

	(void)state;
	NEED_ROOT;
	memset(payload + HEADER, 0xff, 160);
	relay_apply(&want);
	relay_expect_no_sum(payload, sizeof(payload), &out);
	assert_int_equal(out.bytes[RTP_AT + 1], PCMA);
	for (uint32_t i = 0; i < 160; i++)
		assert_int_equal(out.bytes[RTP_AT + HEADER + i], 0xd5); /* silence */
}

static void g711_between_families(void **state)
{
	struct flow_want six = want_numbers(2, to_alaw), four = six;

	(void)state;
	NEED_ROOT;
	six.local = lab_addr(RELAY6);
	six.expect = lab_addr(PHONE6);
	six.from = lab_addr(OUT6);
	six.to = lab_addr(FAR6);
	relay_apply(&six);
	expect_translated(&(struct g711_spec){ PHONE6, RELAY6, 161, 0x80, false }, &six, true);
	datapath_remove(lab.dp, &six.local, NULL);
	four.to = lab_addr(FAR6);
	four.from = lab_addr(OUT6);
	relay_apply(&four);
	expect_translated(&(struct g711_spec){ PHONE, RELAY, 160, 0x80, false }, &four, true);
	expect_translated(&(struct g711_spec){ PHONE, RELAY, 161, 0x80, true }, &four, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numbers_agreed_upon_pass_and_no_others),
		T(bad_payload),
		T(as_many_as_an_entry_holds),
		T(pitfall_10_a_number_is_rewritten_in_flight),
		T(a_rewritten_packet_without_sum_stays_without),
		T(a_rewritten_event_is_an_event),
		T(rtcp_has_no_payload_number),
		T(former_numbers_are_late_for_two_seconds),
		T(a_source_and_its_numbers_are_late_together),
		T(a_wrong_number_teaches_no_source),
		T(g711_of_any_length),
		T(g711_behind_any_header),
		T(padding_that_cannot_be_is_refused),
		T(what_does_not_pass_costs_no_credit),
		T(g711_without_a_sum),
		T(g711_between_families),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
