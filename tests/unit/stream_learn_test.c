// SPDX-License-Identifier: GPL-2.0-or-later
/* The flows of a leg whose media comes from elsewhere than it says. */
#include "stream_lab.h"

static const struct stream_leg nat_legs[2] = {
	{ .realm = 0,
	  .family = AF_INET,
	  .any_port = true,
	  .comedia = true,
	  .signals_from = { .family = AF_INET, .port = 5060, .v4 = { 0x3200000a } } },
	{ .realm = 1, .family = AF_INET },
};

static void learn(struct fixture *f, enum flow_kind kind, const char *source)
{
	struct addr local = addr_with_port(&f->a, (uint16_t)(f->a.port + (kind == FLOW_RTCP)));
	struct addr from = address(source);

	media_learned(f->all, 77, &local, &from);
}

static void expect_search(struct fixture *f, enum flow_kind kind, bool on, const char *where)
{
	const struct flow_want *want = flow(f, SIDE_A, kind);

	assert_int_equal(want->learning, on);
	expect_address(&want->learn, where);
	assert_false(flow(f, SIDE_B, kind)->learning);
}

/* A phone behind a translator: nothing goes to what it names, all to where it is found. */
static void a_source_is_looked_for_and_kept(void **state)
{
	struct fixture *f = *state;

	begin(f, nat_legs);
	describe(f, SIDE_A, "192.168.1.5:4000", "192.168.1.5:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	expect_search(f, FLOW_RTP, true, "10.0.0.50");
	expect_search(f, FLOW_RTCP, true, "10.0.0.50");
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "192.168.1.5:4000", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_MUTED, "192.0.2.50:6000", "", 8000);
	learn(f, FLOW_RTP, "10.0.0.50:31000");
	expect_search(f, FLOW_RTP, false, "");
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:31000", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:31000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_MUTED, "192.0.2.50:6001", "", 0);
	learn(f, FLOW_RTP, "10.0.0.50:32000"); /* late news: it was found */
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:31000", "192.0.2.50:6000", 8000);
	learn(f, FLOW_RTCP, "10.0.0.50:31001");
	expect_search(f, FLOW_RTCP, false, "");
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_FORWARD, "192.0.2.50:6001", "10.0.0.50:31001", 0);
}

/* Pitfall 7: the same description again begins no search, another one does; until its end media
 * goes where it went. */
static void another_description_begins_another_search(void **state)
{
	struct fixture *f = *state;

	begin(f, nat_legs);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	describe(f, SIDE_A, "192.168.1.5:4000", "192.168.1.5:4001", 8000);
	learn(f, FLOW_RTP, "10.0.0.50:31000");
	describe(f, SIDE_A, "192.168.1.5:4000", "192.168.1.5:4001", 8000);
	expect_search(f, FLOW_RTP, false, "");
	describe(f, SIDE_A, "0.0.0.0:4000", "0.0.0.0:4001", 8000); /* hold, and its end */
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_MUTED, "192.0.2.50:6000", "", 8000);
	describe(f, SIDE_A, "192.168.1.5:4000", "192.168.1.5:4001", 8000);
	expect_search(f, FLOW_RTP, false, "");
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:31000", 8000);
	describe(f, SIDE_A, "192.168.1.5:4002", "192.168.1.5:4003", 8000);
	expect_search(f, FLOW_RTP, true, "10.0.0.50");
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "192.168.1.5:4002", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:31000", 8000);
	learn(f, FLOW_RTP, "10.0.0.50:31002");
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:31002", 8000);
}

/* One that signals from where it wants its media needs not speak first. */
static void who_says_where_it_is_is_sent_to_at_once(void **state)
{
	struct fixture *f = *state;

	begin(f, nat_legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	expect_search(f, FLOW_RTP, true, "10.0.0.50");
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:4000", 8000);
}

static void news_of_unknown_flows_are_nobodys(void **state)
{
	struct fixture *f = *state;
	struct addr local = address("10.0.0.1:10000"), from = address("10.0.0.50:1");

	media_learned(f->all, 77, &local, &from);
	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	learn(f, FLOW_RTP, "10.0.0.50:31000"); /* not looked for */
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_MUTED, "10.0.0.50:4000", "", 8000);
	media_learned(f->all, 78, &f->a, &from);
	stream_stop(f->s);
	learn(f, FLOW_RTP, "10.0.0.50:31000");
}

#define with_media(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_media(a_source_is_looked_for_and_kept),
		with_media(another_description_begins_another_search),
		with_media(who_says_where_it_is_is_sent_to_at_once),
		with_media(news_of_unknown_flows_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
