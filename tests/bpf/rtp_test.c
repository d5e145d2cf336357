// SPDX-License-Identifier: GPL-2.0-or-later
/* RTP and RTCP arithmetic, in userspace: what RFC 3550's own algorithms say of the same packets. */
#include "lab.h"
#include "rtpfwd_rtp.h"

#include <stdlib.h>
#include <string.h>

static int rtp(const uint8_t *p, uint32_t n)
{
	return rtpfwd_is_rtp(p, p + n, n);
}

static void headers_are_told_apart(void **state)
{
	uint8_t p[76] = { 0x80 };

	(void)state;
	assert_true(rtp(p, 12));
	assert_false(rtp(p, 11));
	assert_false(rtpfwd_is_rtp(p, p + 11, 12)); /* the frame ends before the datagram says */
	for (int second = 0; second < 256; second++) {
		p[1] = (uint8_t)second;
		assert_int_equal(rtp(p, 12), second < 192 || second > 223);
		assert_int_equal(rtpfwd_is_rtcp(p, p + 8, 8), second >= 192 && second <= 223);
	}
	p[1] = 0;
	for (int version = 0; version < 4; version++) {
		p[0] = (uint8_t)(version << 6);
		assert_int_equal(rtp(p, 12), version == 2);
	}
	for (uint32_t sources = 0; sources < 16; sources++) {
		p[0] = (uint8_t)(0x80 | sources);
		assert_true(rtp(p, 12 + 4 * sources));
		assert_int_equal(rtp(p, 11 + 4 * sources), 0);
	}
}

static void extensions_are_measured(void **state)
{
	uint8_t p[400] = { 0x90 };

	(void)state;
	for (uint32_t words = 0; words < 90; words++) {
		p[14] = 0;
		p[15] = (uint8_t)words;
		assert_true(rtp(p, 16 + 4 * words));
		assert_false(rtp(p, 15 + 4 * words));
	}
	p[14] = 0xff; /* 65,280 words */
	assert_false(rtp(p, sizeof(p)));
	assert_false(rtp(p, 15));
	p[0] = 0x9f; /* behind fifteen sources */
	p[72 + 3] = 2;
	assert_true(rtp(p, 84));
	assert_false(rtp(p, 83));
}

static void rtcp_needs_a_header(void **state)
{
	const uint8_t p[8] = { 0x81, 200 };

	(void)state;
	assert_true(rtpfwd_is_rtcp(p, p + 8, 8));
	assert_false(rtpfwd_is_rtcp(p, p + 8, 7));
	assert_false(rtpfwd_is_rtcp(p, p + 7, 8));
	assert_false(rtpfwd_is_rtcp((const uint8_t[8]){ 0x41, 200 }, p + 8, 8));
}

static struct rtpfwd_heard heard;

static void receive(struct rtpfwd_counters *c, uint32_t ssrc, uint16_t seq)
{
	rtpfwd_count_sequence(c, &heard, ssrc, seq);
	c->packets++;
}

/* Loss after these packets of one source. */
static int32_t lost_after(const uint16_t *seq, size_t n)
{
	struct rtpfwd_counters c = { 0 };

	memset(&heard, 0, sizeof(heard));
	for (size_t i = 0; i < n; i++)
		receive(&c, 1, seq[i]);
	return c.lost;
}

#define LOST_AFTER(...)                                                                            \
	lost_after((const uint16_t[]){ __VA_ARGS__ }, sizeof((const uint16_t[]){ __VA_ARGS__ }) / 2)

static void loss_is_expected_minus_received(void **state)
{
	(void)state;
	assert_int_equal(LOST_AFTER(7), 0);
	assert_int_equal(LOST_AFTER(7, 8, 9, 10), 0);
	assert_int_equal(LOST_AFTER(7, 9), 1);
	assert_int_equal(LOST_AFTER(7, 9, 8), 0);  /* late is not lost */
	assert_int_equal(LOST_AFTER(7, 8, 8), -1); /* twice */
	assert_int_equal(LOST_AFTER(65534, 65535, 0, 1), 0);
	assert_int_equal(LOST_AFTER(65534, 2), 3);
	assert_int_equal(LOST_AFTER(1, 65535),
			 -1); /* earlier than the first: received, not expected */
	assert_int_equal(LOST_AFTER(100, 3099), 2998);
	assert_int_equal(LOST_AFTER(100, 3100), 0);		   /* too far to be loss */
	assert_int_equal(LOST_AFTER(100, 30000, 30001, 30002), 0); /* restarted */
	assert_int_equal(LOST_AFTER(100, 30000, 101, 102), 0);	   /* one stray packet */
	assert_int_equal(LOST_AFTER(100, 30000, 101, 103), 1);
	assert_int_equal(LOST_AFTER(30000, 100, 101, 103), 1);
}

/* RFC 3550 A.1 and A.3, after its own code, for packets without restarts. */
static int32_t reference_loss(const uint16_t *seq, size_t n)
{
	uint32_t cycles = 0, base = seq[0];
	uint16_t max_seq = seq[0];

	for (size_t i = 1; i < n; i++) {
		uint16_t delta = (uint16_t)(seq[i] - max_seq);

		if (delta < RTPFWD_MAX_DROPOUT) {
			if (seq[i] < max_seq)
				cycles += 1 << 16;
			max_seq = seq[i];
		}
	}
	return (int32_t)(cycles + max_seq - base + 1 - n);
}

static void loss_agrees_with_the_rfc(void **state)
{
	uint16_t seq[2000];

	(void)state;
	srand(3550);
	for (int run = 0; run < 200; run++) {
		uint32_t next = (uint32_t)rand() & 0xffff;

		for (size_t i = 0; i < 2000; i++) {
			int dice = rand() % 100;

			next += dice < 90   ? 1
				: dice < 98 ? 1 + (uint32_t)rand() % 40
					    : 0; /* loss, repetition */
			seq[i] = (uint16_t)next;
			if (dice == 99 && i) { /* out of order */
				seq[i] = seq[i - 1];
				seq[i - 1] = (uint16_t)(next + 1);
				next++;
			}
		}
		assert_int_equal(lost_after(seq, 2000), reference_loss(seq, 2000));
	}
}

static void what_is_no_progress_is_told_apart(void **state)
{
	struct rtpfwd_counters c = { 0 };

	(void)state;
	memset(&heard, 0, sizeof(heard));
	receive(&c, 1, 10);
	receive(&c, 1, 10);
	receive(&c, 1, 13);
	receive(&c, 1, 11);
	receive(&c, 1, 12);
	assert_int_equal(heard.duplicates, 1);
	assert_int_equal(heard.reordered, 2);
	assert_int_equal(heard.ssrc_changes, 0);
	receive(&c, 2, 500);
	receive(&c, 1, 14);
	assert_int_equal(heard.ssrc_changes, 2);
	receive(&c, 1, 40000); /* a stray one, and one after it: no sender but this goes on */
	assert_int_equal(c.max_seq, 14);
	receive(&c, 1, 40001);
	assert_int_equal(c.max_seq, 40001);
	assert_int_equal(heard.reordered, 2);
}

static int teach(struct rtpfwd_heard *h, uint64_t source, uint32_t ssrc, uint16_t seq)
{
	return rtpfwd_learn(h, source, ssrc, seq, RTPFWD_LEARN_RTP);
}

/* Five in a row from one place by one sender, told once. */
static void a_source_is_learned_in_five_packets(void **state)
{
	struct rtpfwd_heard h = { 0 };

	(void)state;
	for (uint16_t seq = 65533; seq != 1; seq++)
		assert_false(teach(&h, 7, 1, seq));
	assert_true(teach(&h, 7, 1, 1));
	assert_false(teach(&h, 7, 1, 2)); /* begins anew */
	for (uint16_t seq = 3; seq < 6; seq++)
		assert_false(teach(&h, 7, 1, seq));
	assert_false(teach(&h, 7, 1, 7)); /* one is missing */
	assert_false(teach(&h, 8, 1, 8)); /* from elsewhere */
	assert_false(teach(&h, 8, 2, 9)); /* another sender */
	for (uint16_t seq = 10; seq < 13; seq++)
		assert_false(teach(&h, 8, 2, seq));
	assert_true(teach(&h, 8, 2, 13));
	for (uint16_t seq = 0; seq < 40; seq++) /* two that talk at once: neither */
		assert_false(teach(&h, seq % 2 ? 8 : 9, 3, seq / 2));
}

static void a_rate_is_kept_in_the_long_run(void **state)
{
	static const uint32_t hzs[] = { 100, 250, 1000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rtpfwd_counters c = { 0 };
		uint32_t hz = hzs[i], passed = 0;
		uint64_t last = 0;

		for (uint64_t now = 100 * hz; now < 200 * hz; now++) {
			for (int n = 0; n < 3; n++) { /* far too many */
				if (!rtpfwd_is_within(&c.credit, &c, 50, hz, now - last))
					continue;
				last = now;
				passed++;
			}
		}
		assert_in_range(passed, 100 * 50, 101 * 50);
	}
}

/* What is refused for another reason is not kept: neither less nor more passes for it. */
static void who_does_not_pass_leaves_the_credit_alone(void **state)
{
	struct rtpfwd_counters c = { .credit = 100 };
	uint32_t left = 7;

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_true(rtpfwd_is_within(&left, &c, 50, 250, 4)); /* 100 + 4 * 50 - 250 */
		assert_int_equal(left, 50);
		assert_int_equal(c.credit, 100);
	}
	assert_false(rtpfwd_is_within(&left, &c, 50, 250, 2));
	assert_int_equal(left, 50);
}

static void another_source_starts_anew(void **state)
{
	struct rtpfwd_counters c = { 0 };

	(void)state;
	receive(&c, 1, 10);
	receive(&c, 1, 12);
	c.jitter = 99;
	c.pair_at = 5;
	receive(&c, 2, 40000);
	receive(&c, 2, 40001);
	assert_int_equal(c.lost, 1);
	assert_int_equal(c.ssrc, 2);
	assert_int_equal(c.jitter, 0);
	assert_int_equal(c.pair_at, 0);
}

#define MS    1000000ULL
#define START (1000 * MS)

/* A pair at 32 and 33 that arrives `ms` apart and was sampled `units` apart. */
static void pair(struct rtpfwd_counters *c, double ms, uint32_t units)
{
	rtpfwd_count_jitter(c, 8000, 32, 5000, START);
	rtpfwd_count_jitter(c, 8000, 33, 5000 + units, START + (uint64_t)(ms * (double)MS));
}

static void jitter_is_the_rfcs(void **state)
{
	struct rtpfwd_counters c = { 0 };

	(void)state;
	pair(&c, 20, 160);
	assert_int_equal(c.jitter, 0);
	pair(&c, 22, 160); /* |D| = 16: J += 16 - ((J + 8) >> 4) */
	assert_int_equal(c.jitter, 16);
	pair(&c, 18, 160); /* early counts as much as late */
	assert_int_equal(c.jitter, 16 + 16 - 1);
	for (int i = 0; i < 500; i++)
		pair(&c, 22, 160);
	assert_in_range(c.jitter, 16 * 16 - 8, 16 * 16); /* settles at |D|, times 16 */
	for (int i = 0; i < 500; i++)
		pair(&c, 20, 160);
	assert_in_range(c.jitter, 0, 8);
}

static void only_pairs_count_for_jitter(void **state)
{
	struct rtpfwd_counters c = { 0 };

	(void)state;
	rtpfwd_count_jitter(&c, 8000, 33, 160, START); /* no first */
	rtpfwd_count_jitter(&c, 8000, 32, 0, START);
	rtpfwd_count_jitter(&c, 8000, 65, 160, START + 90 * MS); /* another pair's second */
	rtpfwd_count_jitter(&c, 8000, 33, 160, START + 20 * MS);
	rtpfwd_count_jitter(&c, 8000, 33, 160, START + 95 * MS); /* the second twice */
	assert_int_equal(c.jitter, 0);
	rtpfwd_count_jitter(&c, 8000, 32, 0, START);
	rtpfwd_count_jitter(&c, 8000, 33, 160,
			    START + ((uint64_t)RTPFWD_PAIR_MAX
				     << RTPFWD_PAIR_SHIFT)); /* after seventeen seconds */
	assert_int_equal(c.jitter, 0);
	for (uint32_t seq = 0; seq < 65536; seq++)
		assert_int_equal(rtpfwd_is_sampled((uint16_t)seq), seq % 32 < 2);
}

static void jitter_never_overflows(void **state)
{
	struct rtpfwd_counters c = { 0 };

	(void)state;
	srand(1889);
	for (int i = 0; i < 100000; i++) {
		uint32_t rate = (uint32_t)rand() * 2U + 1;

		rtpfwd_count_jitter(&c, rate, 16, (uint32_t)rand() * 2U, START);
		rtpfwd_count_jitter(&c, rate, 17, (uint32_t)rand() * 2U,
				    START + ((uint64_t)rand() << 4));
		assert_true(c.jitter < 16 * (RTPFWD_MAX_TRANSIT + 16));
	}
}

/* 30 ms there and back, 100 ms at the far end. */
static void a_round_trip_is_what_was_not_delay(void **state)
{
	const uint32_t delay = 65536 / 10;
	struct rtpfwd_heard sender = { 0 }, reporter = { 0 };
	uint64_t ns = 5ULL << 45; /* near 49 hours: the clock has wrapped */

	(void)state;
	rtpfwd_count_sent(&sender, 0xabcd1234, ns);
	rtpfwd_count_round_trip(&reporter, &sender, 0xabcd1234, delay, ns + 130 * MS);
	assert_in_range(reporter.round_trip, 1965, 1968);
	rtpfwd_count_round_trip(&reporter, &sender, 0xabcd1235, 0, ns + 900 * MS); /* another */
	rtpfwd_count_round_trip(&reporter, &sender, 0, 0, ns + 900 * MS);	   /* none */
	rtpfwd_count_round_trip(&reporter, &sender, 0xabcd1234, 2 * delay, ns + 130 * MS);
	rtpfwd_count_round_trip(&reporter, &sender, 0xabcd1234, 0, ns + 10001 * MS);
	assert_in_range(reporter.round_trip, 1965, 1968);
	rtpfwd_count_round_trip(&reporter, &sender, 0xabcd1234, 0, ns);
	assert_int_equal(reporter.round_trip, 1); /* known, if only just */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_told_apart),
		cmocka_unit_test(extensions_are_measured),
		cmocka_unit_test(rtcp_needs_a_header),
		cmocka_unit_test(loss_is_expected_minus_received),
		cmocka_unit_test(loss_agrees_with_the_rfc),
		cmocka_unit_test(what_is_no_progress_is_told_apart),
		cmocka_unit_test(a_source_is_learned_in_five_packets),
		cmocka_unit_test(a_rate_is_kept_in_the_long_run),
		cmocka_unit_test(who_does_not_pass_leaves_the_credit_alone),
		cmocka_unit_test(another_source_starts_anew),
		cmocka_unit_test(jitter_is_the_rfcs),
		cmocka_unit_test(only_pairs_count_for_jitter),
		cmocka_unit_test(jitter_never_overflows),
		cmocka_unit_test(a_round_trip_is_what_was_not_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
