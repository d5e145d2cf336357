// SPDX-License-Identifier: GPL-2.0-or-later
/* Several streams of one call, and such that are passed unread. */
#include "stream_lab.h"

static const struct stream_leg near[2] = {
	{ .realm = 0, .family = AF_INET },
	{ .realm = 0, .family = AF_INET },
};
static const struct stream_leg near6[2] = {
	{ .realm = 0, .family = AF_INET6, .comedia = true },
	{ .realm = 0, .family = AF_INET6, .comedia = true },
};

static void one_more_has_ports_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct stream *more = NULL;

	begin(f, legs);
	assert_int_equal(stream_add(&more, f->s), -ENOSPC);
	assert_null(more);
	expect_used(f, 0, 2);
	expect_used(f, 1, 2);
}

static struct stream *second(struct fixture *f)
{
	static const char *const at[2] = { "[2001:db8::50]:4000", "[2001:db8::60]:6000" };
	struct stream_leg six[2] = { near6[0], near6[1] };
	struct stream *s;

	begin(f, near);
	for (int i = 0; i < 2; i++)
		six[i].signals_from = address(at[i]);
	assert_int_equal(stream_new(&s, f->all, 77, six), 0);
	for (int i = 0; i < 2; i++) {
		struct addr rtp = address(at[i]), rtcp = addr_with_port(&rtp, rtp.port + 1);

		stream_describe(s, (enum side)i, &rtp, &rtcp, 90000);
	}
	return s;
}

static const struct flow_want *of_relay(struct fixture *f, const struct addr *relay)
{
	size_t i = place_of(&f->dp, relay);

	assert_true(i < f->dp.n);
	return &f->dp.flows[i];
}

/* What is learned goes to the stream at whose port it was heard, first or not. */
static void learned_by_its_port(void **state)
{
	struct fixture *f = *state;
	struct stream *s = second(f);
	struct addr relay = stream_relay(s, SIDE_A), found = address("[2001:db8::50]:4444");

	assert_true(of_relay(f, &relay)->learning);
	media_learned(f->all, 77, &relay, &found);
	assert_false(of_relay(f, &relay)->learning);
	assert_true(addr_equal(&of_relay(f, &relay)->expect, &found));
	stream_free(s);
}

/* The first may end before the others. */
static void they_end_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct stream *s = second(f);
	struct addr relay = stream_relay(s, SIDE_A), found = address("[2001:db8::50]:4444");

	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	assert_int_equal(f->dp.n, 8);
	stream_free(f->s);
	f->s = NULL;
	assert_int_equal(f->dp.n, 4);
	media_learned(f->all, 77, &relay, &found);
	assert_false(of_relay(f, &relay)->learning);
	stream_free(s);
	assert_int_equal(f->dp.n, 0);
	media_learned(f->all, 77, &relay, &found);
	expect_used(f, 0, 0);
}

static void both_described(struct fixture *f)
{
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
}

/* Its numbers are not read, and RTCP cannot be told from RTP in it. */
static void unread_is_never_split(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	stream_carry(f->s, true, true);
	stream_multiplex(f->s, SIDE_A, true);
	stream_multiplex(f->s, SIDE_B, true);
	both_described(f);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000", 0);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_FORWARD, "10.0.0.50:4001", "192.0.2.50:6001", 0);
	for (int kind = 0; kind < 2; kind++) {
		assert_true(flow(f, SIDE_A, (enum flow_kind)kind)->opaque);
		assert_false(flow(f, SIDE_A, (enum flow_kind)kind)->mux);
	}
	stream_carry(f->s, false, true);
	both_described(f);
	assert_false(flow(f, SIDE_A, FLOW_RTP)->opaque);
	assert_true(flow(f, SIDE_A, FLOW_RTP)->mux);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->clock_rate, 8000);
}

/* The port above it is the stream's all the while. */
static void fax_has_no_rtcp(void **state)
{
	struct fixture *f = *state;
	struct stream_report report;

	begin(f, legs);
	both_described(f);
	assert_int_equal(f->dp.n, 4);
	stream_carry(f->s, true, false);
	both_described(f);
	assert_int_equal(f->dp.n, 2);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:4000", 0);
	expect_used(f, 0, 2);
	expect_used(f, 1, 2);
	stream_report(f->s, SIDE_A, &report);
	assert_true(report.opaque);
	assert_true(report.rtcp.last_s < 0);
	stream_carry(f->s, false, true);
	both_described(f);
	assert_int_equal(f->dp.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_more_has_ports_or_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(learned_by_its_port, set_up, tear_down),
		cmocka_unit_test_setup_teardown(they_end_in_any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unread_is_never_split, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fax_has_no_rtcp, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
