// SPDX-License-Identifier: GPL-2.0-or-later
/* Flows whose destination is a relay port of this node: both are passed by one frame. */
#include "relay.h"
#include "datapath/priv.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 1 + RTPFWD_PASSES, PAYLOAD = 172 };

#define SECOND	 "10.77.2.1:20020" /* where the first flow's packets go */
#define SECOND6	 "[2001:db8:2::1]:20020"
#define BACK	 "10.77.2.1:20030" /* from where the second one's leave */
#define BACK6	 "[2001:db8:2::1]:20030"
#define ANY_MACS "\0\0\0\0\0\0\0\0\0\0\0\0"

static struct addr there[MOST + 1]; /* flows beside relay_apply()'s */
static size_t n_there;

static void apply(const struct flow_want *want)
{
	assert_int_equal(datapath_apply(lab.dp, want), 0);
	there[n_there++] = want->local;
}

static int remove_all(void **state)
{
	while (n_there)
		datapath_remove(lab.dp, &there[--n_there], NULL);
	return relay_remove(state);
}

static struct flow_counters counters_at(const char *local)
{
	struct addr at = lab_addr(local);
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &at, &c), 0);
	return c;
}

static void flag(const char *local, uint32_t flags)
{
	struct addr at = lab_addr(local);
	uint32_t slot;

	assert_int_equal(layout_find(&lab.dp->layout, &at, &slot, NULL), 0);
	lab.dp->slots[slot].first.flags |= flags;
}

/* From PHONE by way of SECOND. */
static struct flow_want want_first(void)
{
	struct flow_want want = relay_want();

	want.to = lab_addr(SECOND);
	return want;
}

/* From there to FAR. */
static struct flow_want want_second(void)
{
	struct flow_want want = relay_want();

	want.local = lab_addr(SECOND);
	want.owner = 8;
	want.expect = lab_addr(OUT);
	want.from = lab_addr(BACK);
	return want;
}

static void apply_both(struct flow_want *first, struct flow_want *second)
{
	*first = want_first();
	*second = want_second();
	apply(second);
	relay_apply(first);
}

/* What must leave: rewritten as by two nodes, one behind the other. */
static void expect_through(const struct frame *in, const struct flow_want *first,
			   const struct flow_want *second)
{
	struct frame out, between, due;

	assert_int_equal(relay_run(in, &out), XDP_REDIRECT);
	relay_due(&between, in, first, ANY_MACS);
	relay_due(&due, &between, second, OUT_MACS);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

static void one_frame_is_counted_by_both(void **state)
{
	struct flow_want first, second;
	struct flow_counters a, b;
	struct addr out;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply_both(&first, &second);
	for (uint16_t seq = 1; seq <= 5; seq++) {
		frame_rtp(&f, PHONE, RELAY, seq == 4 ? 9 : seq); /* a gap */
		expect_through(&f, &first, &second);
	}
	a = relay_counters();
	b = counters_at(SECOND);
	out = lab_addr(OUT);
	assert_true(addr_equal(&b.seen, &out));
	assert_int_equal(a.packets, 5);
	assert_int_equal(a.bytes, 5 * PAYLOAD);
	assert_int_equal(a.dropped + b.dropped, 0);
	assert_int_equal(a.ssrc, 0xcafef00d);
	b.seen = a.seen; /* and times, between whose readings the clock may tick */
	b.jitter_ms = a.jitter_ms;
	b.last_s = a.last_s;
	b.gap_ms = a.gap_ms;
	assert_memory_equal(&a, &b, sizeof(a));
}

/* IPv4 outside, IPv6 within, and the other way round. */
static void another_family_within(void **state)
{
	struct flow_want first = want_first(), second = want_second();
	struct frame f;

	(void)state;
	NEED_ROOT;
	first.from = lab_addr(OUT6);
	first.to = second.local = lab_addr(SECOND6);
	second.expect = first.from;
	apply(&second);
	relay_apply(&first);
	frame_rtp(&f, PHONE, RELAY, 1);
	memset(f.bytes + 18, 0, 2); /* no id: IPv6 has none */
	frame_resum(&f);
	expect_through(&f, &first, &second);
	assert_int_equal(counters_at(SECOND6).packets, 1);
	remove_all(NULL);

	first = want_first();
	second = want_second();
	first.local = lab_addr(RELAY6);
	first.expect = lab_addr(PHONE6);
	second.from = lab_addr(BACK6);
	second.to = lab_addr(FAR6);
	apply(&second);
	relay_apply(&first);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	expect_through(&f, &first, &second);
	assert_int_equal(counters_at(SECOND).packets, 1);
}

/* The second flow judges as if the frame had come in: each refusal is its own. */
static void refused_at_the_second(void **state)
{
	struct flow_want first, second;
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply_both(&first, &second);
	second.expect = lab_addr(STRANGER);
	remove_all(NULL);
	apply(&second);
	relay_apply(&first);
	before = lab_drops(&lab, "wrong_source");
	frame_rtp(&f, PHONE, RELAY, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "wrong_source"), before + 1);
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(relay_counters().dropped, 0);
	assert_int_equal(counters_at(SECOND).packets, 0);
	assert_int_equal(counters_at(SECOND).wrong_source, 1);
	datapath_remove(lab.dp, &second.local, NULL);
	before = lab_drops(&lab, "unleased");
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "unleased"), before + 1);
	assert_int_equal(relay_counters().packets, 2);
}

static void strangers_do_not_reach_the_second(void **state)
{
	struct flow_want first, second;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply_both(&first, &second);
	frame_rtp(&f, STRANGER, RELAY, 1);
	relay_expect_drop(&f, "wrong_source", true);
	frame_rtp(&f, PHONE, SECOND, 1); /* nor does the phone itself */
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(counters_at(SECOND).wrong_source, 1);
	assert_int_equal(counters_at(SECOND).packets, 0);
}

static void ttl_counts_both(void **state)
{
	static const uint8_t payload[PAYLOAD] = { 0x80 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload), .ttl = 3
	};
	struct flow_want first, second;
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply_both(&first, &second);
	frame_make(&f, &spec);
	expect_through(&f, &first, &second);
	spec.ttl = 2;
	frame_make(&f, &spec);
	before = lab_drops(&lab, "ttl");
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "ttl"), before + 1);
	assert_int_equal(relay_counters().packets, 2);
	assert_int_equal(relay_counters().dropped, 0);
	assert_int_equal(counters_at(SECOND).packets, 1);
	assert_int_equal(counters_at(SECOND).dropped, 1);
}

static void name_port(char text[32], unsigned int port)
{
	snprintf(text, 32, "10.77.2.1:%u", 20000 + port);
}

/* `n` flows in a row, each by way of the next; the last one leads to FAR, or to `to`. */
static void apply_row(unsigned int n, const char *to)
{
	struct flow_want want = relay_want();
	char text[32];

	for (unsigned int i = n; i-- > 0;) {
		want.owner = i + 1;
		name_port(text, 40 + 2 * i);
		want.from = lab_addr(text);
		name_port(text, 4 * i);
		want.local = lab_addr(i ? text : RELAY);
		name_port(text, 40 + 2 * (i - 1));
		want.expect = lab_addr(i ? text : PHONE);
		name_port(text, 4 * (i + 1));
		want.to = lab_addr(i + 1 < n ? text : to);
		if (i)
			apply(&want);
		else
			relay_apply(&want);
	}
}

static void as_many_as_there_may_be(void **state)
{
	struct frame f, out;
	char text[32];

	(void)state;
	NEED_ROOT;
	apply_row(MOST, FAR);
	frame_rtp(&f, PHONE, RELAY, 1);
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	assert_true(frame_sums_right(&out));
	assert_int_equal(out.bytes[IP_AT + 8], 64 - MOST);
	for (unsigned int i = 1; i < MOST; i++) {
		name_port(text, 4 * i);
		assert_int_equal(counters_at(text).packets, 1);
	}
	assert_int_equal(relay_counters().packets, 1);
}

/* A way that is longer, or that has no end, is not begun. */
static void pitfall_21_ttl_ends_what_goes_in_circles(void **state)
{
	char text[32];
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply_row(MOST + 1, FAR);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "ttl", true);
	remove_all(NULL);
	apply_row(2, RELAY); /* whose second one leads to the first */
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "ttl", true);
	name_port(text, 4);
	assert_int_equal(counters_at(text).packets, 0);
}

static void rtcp_within_rtp_finds_its_flow(void **state)
{
	static const uint8_t report[8] = { 0x80, 201, 0, 1, 0xca, 0xfe, 0xf0, 0x0d };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = report, .length = sizeof(report)
	};
	struct flow_want first = want_first(), second = want_second(), beside = want_second();
	struct frame f;

	(void)state;
	NEED_ROOT;
	first.kind = beside.kind = FLOW_RTCP; /* one leg has two ports, the other one */
	second.mux = true;
	beside.local.port++;
	apply(&second);
	apply(&beside);
	relay_apply(&first);
	frame_make(&f, &spec);
	expect_through(&f, &first, &beside);
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(counters_at(SECOND).packets, 0);
	assert_int_equal(counters_at("10.77.2.1:20021").packets, 1);
	assert_int_equal(counters_at("10.77.2.1:20021").bytes, sizeof(report));
}

/* PCMU by way of PCMA: what is loudest comes out as such. */
static void g711_there_and_back(void **state)
{
	struct flow_want first = want_first(), second = want_second();
	struct frame f;

	(void)state;
	NEED_ROOT;
	first.payloads = (struct flow_payloads){ 1, { { 0, 8, FLOW_TO_ALAW } }, 8000 };
	second.payloads = (struct flow_payloads){ 1, { { 8, 0, FLOW_TO_ULAW } }, 8000 };
	apply(&second);
	relay_apply(&first);
	frame_rtp(&f, PHONE, RELAY, 1);
	memset(f.bytes + RTP_AT + 12, 0x80, 160);
	frame_resum(&f);
	expect_through(&f, &first, &second);
	assert_int_equal(counters_at(SECOND).packets, 1);
}

/* Both flows, the second one flagged so, and a packet for the first. */
static struct frame make_ahead(struct flow_want *first, struct flow_want *second, uint32_t flags)
{
	struct frame f;

	apply_both(first, second);
	flag(SECOND, flags);
	frame_rtp(&f, PHONE, RELAY, 1);
	return f;
}

/* What a later flow leaves to the relay goes up as it came. */
static void the_relays_flow_ahead(void **state)
{
	struct flow_want first, second;
	struct frame f;

	(void)state;
	NEED_ROOT;
	f = make_ahead(&first, &second, RTPFWD_F_USER);
	relay_expect_untouched(&f);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(counters_at(SECOND).packets, 0);
}

/* And there it is counted in full by both, although XDP is on the link. */
static void the_relay_takes_both(void **state)
{
	struct flow_want first, second;
	struct frame f;

	(void)state;
	NEED_ROOT;
	lab.dp->control->user_links = 0;
	f = make_ahead(&first, &second, RTPFWD_F_USER);
	expect_through(&f, &first, &second);
	assert_int_equal(relay_counters().ssrc, 0xcafef00d);
	assert_int_equal(counters_at(SECOND).ssrc, 0xcafef00d);
}

static void up_unresolved_ahead(void **state)
{
	struct flow_want first, second;
	struct frame f;

	(void)state;
	NEED_ROOT;
	f = make_ahead(&first, &second, RTPFWD_F_UNRESOLVED);
	relay_expect_left_to_kernel(&f, &first, "up_unresolved", "out0");
	assert_int_equal(relay_counters().packets, 0);
}

/* What the second flow makes longer than its way takes: XDP passes it up as it came. */
static void up_mtu_ahead(bool user)
{
	static const uint8_t payload[1453] = { 0x80 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload };
	struct flow_want first = want_first(), second = want_second();
	uint64_t before;
	struct frame f;

	second.from = lab_addr(BACK6);
	second.to = lab_addr(FAR6);
	apply(&second);
	relay_apply(&first);
	before = lab_drops(&lab, "up_mtu");
	spec.length = 1500 - 40 - 8;
	frame_make(&f, &spec);
	assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
	assert_int_equal(relay_by_kernel(), 0);
	spec.length++;
	frame_make(&f, &spec);
	if (user) {
		assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
		assert_int_equal(relay_by_kernel(), if_nametoindex("out0"));
	} else {
		relay_expect_left_to_kernel(&f, &first, "up_mtu", "out0");
	}
	assert_int_equal(lab_drops(&lab, "up_mtu"), before + !user);
	assert_int_equal(counters_at(SECOND).packets, 1 + user);
}

static void xdp_passes_up_what_is_too_long_ahead(void **state)
{
	(void)state;
	NEED_ROOT;
	up_mtu_ahead(false);
}

static void the_relay_takes_what_is_too_long_ahead(void **state)
{
	(void)state;
	NEED_ROOT;
	up_mtu_ahead(true);
}

int main(void)
{
#define BOTH(test) cmocka_unit_test_teardown(test, remove_all)
#define ONE(test, plane)                                                                           \
	{                                                                                          \
#test, test, NULL, remove_all, (void *)plane                                       \
	}
	const struct CMUnitTest tests[] = {
		BOTH(one_frame_is_counted_by_both),
		BOTH(another_family_within),
		BOTH(refused_at_the_second),
		BOTH(strangers_do_not_reach_the_second),
		BOTH(ttl_counts_both),
		BOTH(as_many_as_there_may_be),
		BOTH(pitfall_21_ttl_ends_what_goes_in_circles),
		BOTH(rtcp_within_rtp_finds_its_flow),
		BOTH(g711_there_and_back),
		ONE(the_relays_flow_ahead, "xdp"),
		ONE(the_relay_takes_both, "user"),
		ONE(up_unresolved_ahead, "xdp"),
		ONE(xdp_passes_up_what_is_too_long_ahead, "xdp"),
		ONE(the_relay_takes_what_is_too_long_ahead, "user"),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
