// SPDX-License-Identifier: GPL-2.0-or-later
/* The flows that follow from what the legs say. The datapath here is a table of them. */
#include "stream_lab.h"

#include "../../kmod/rtpfwd_nl.h"

static void new_has_ports_alone(void **state)
{
	struct fixture *f = *state;
	struct stream_report report;

	begin(f, legs);
	assert_int_equal(f->dp.n, 0);
	assert_true(addr_same_ip(&f->a, &f->media[0]));
	assert_in_range(f->a.port, 10000, 10002);
	expect_address(&f->b, "192.0.2.1:20000");
	expect_used(f, 0, 2);
	expect_used(f, 1, 2);
	stream_report(f->s, SIDE_A, &report);
	assert_true(addr_equal(&report.relay, &f->a));
	assert_int_equal(report.signalled.family, AF_UNSPEC);
	assert_int_equal(report.rtp.packets, 0);
	assert_true(report.rtp.last_s == -1);
}

/* One side known: who may send is known, but not where to; and the other way round. */
static void described_step_by_step(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.51:5001", 8000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_MUTED, "10.0.0.50:4000", "", 8000);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_MUTED, "10.0.0.51:5001", "", 0);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_MUTED, "", "", 0);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_MUTED, "", "", 0);
	assert_int_equal(f->dp.n, 4);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 16000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_FORWARD, "10.0.0.51:5001", "192.0.2.50:6001", 0);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:4000", 16000);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_FORWARD, "192.0.2.50:6001", "10.0.0.51:5001", 0);
	assert_int_equal(f->dp.n, 4);
}

static void moved_by_reinvite(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	describe(f, SIDE_A, "10.0.0.60:7000", "10.0.0.60:7001", 48000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.60:7000", "192.0.2.50:6000", 48000);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_FORWARD, "10.0.0.60:7001", "192.0.2.50:6001", 0);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.60:7000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_FORWARD, "192.0.2.50:6001", "10.0.0.60:7001", 0);
	assert_int_equal(f->dp.n, 4);
}

/* RFC 3264 8.4: nothing goes to a null address; what comes from the holder still may. */
static void multiplex(struct fixture *f, bool a, bool b)
{
	stream_multiplex(f->s, SIDE_A, a);
	stream_multiplex(f->s, SIDE_B, b);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
}

static void expect_rtcp(struct fixture *f, enum side side, const char *expect, const char *to,
			const struct addr *relay, int above)
{
	const struct flow_want *rtcp = flow(f, side, FLOW_RTCP);
	struct addr from = addr_with_port(relay, (uint16_t)(relay->port + above));

	assert_int_equal(rtcp->mode, FLOW_FORWARD);
	assert_false(rtcp->mux);
	expect_address(&rtcp->expect, expect);
	expect_address(&rtcp->to, to);
	assert_true(addr_equal(&rtcp->from, &from));
}

/* Each side has RTCP with its RTP or beside it, whatever the other one does. */
static void multiplexed_by_side(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	for (int sides = 0; sides < 4; sides++) {
		bool a = sides & 1, b = sides & 2;
		const char *at_a = a ? "10.0.0.50:4000" : "10.0.0.50:4001";
		const char *at_b = b ? "192.0.2.50:6000" : "192.0.2.50:6001";

		multiplex(f, a, b);
		assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->mux, a);
		assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->mux, b);
		expect_rtcp(f, SIDE_A, at_a, at_b, &f->b, !b);
		expect_rtcp(f, SIDE_B, at_b, at_a, &f->a, !a);
		expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000",
			    8000);
	}
}

static const struct flow_payloads numbers = { 2, { { 9, 9, 0 }, { 101, 96, 0 } }, 16000 };

/* Of RTP that is forwarded, and of nothing else; their clock is that of the jitter. */
static void payload_numbers_of_what_a_side_sends(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	stream_admit(f->s, SIDE_A, &numbers);
	assert_int_equal(f->dp.n, 0);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->payloads.n, 0);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	assert_memory_equal(&flow(f, SIDE_A, FLOW_RTP)->payloads, &numbers, sizeof(numbers));
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->clock_rate, 16000);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTCP)->payloads.n, 0);
	assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->payloads.n, 0);
	assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->clock_rate, 8000);
	stream_admit(f->s, SIDE_A, &(struct flow_payloads){ 0 });
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->payloads.n, 0);
	stream_admit(f->s, SIDE_A, &numbers);
	stream_set_direct(f->s, true);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->payloads.n, 0);
}

static void changes_that_belong_together(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	stream_defer(f->s);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	assert_int_equal(f->dp.n, 0);
	stream_admit(f->s, SIDE_B, &numbers);
	assert_int_equal(f->dp.n, 0);
	stream_enforce(f->s);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000", 8000);
	assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->payloads.n, 2);
	f->dp.applies_left = 0; /* nothing has changed: nothing is applied */
	stream_defer(f->s);
	stream_enforce(f->s);
	f->dp.applies_left = -1;
	stream_defer(f->s);
	describe(f, SIDE_A, "10.0.0.60:4000", "10.0.0.60:4001", 8000);
	stream_stop(f->s); /* meanwhile */
	stream_enforce(f->s);
	assert_int_equal(f->dp.n, 0);
}

static void held_by_null_address(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	describe(f, SIDE_A, "0.0.0.0:4000", "10.0.0.50:4001", 8000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_MUTED, "192.0.2.50:6000", "", 8000);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_FORWARD, "192.0.2.50:6001", "10.0.0.50:4001", 0);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:4000", 8000);
}

static void what_cannot_be_reached(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "[2001:db8::50]:4000", "[2001:db8::50]:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:65535", "192.0.2.50", 8000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_MUTED, "[2001:db8::50]:4000", "", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_MUTED, "192.0.2.50:65535", "", 8000);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:65535", 8000);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_MUTED, "10.0.0.50:4001", "", 0);
	expect_flow(f, SIDE_B, FLOW_RTCP, FLOW_MUTED, "", "", 0);
}

static void both_in_one_realm(void **state)
{
	static const struct stream_leg same[2] = {
		{ .realm = 0, .family = AF_INET }, { .realm = 0, .family = AF_INET },
	};
	struct fixture *f = *state;
	struct addr low, high;

	begin(f, same);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "10.0.0.51:6000", "10.0.0.51:6001", 8000);
	assert_int_equal(f->dp.n, 4);
	low = f->a.port < f->b.port ? f->a : f->b;
	high = f->a.port < f->b.port ? f->b : f->a;
	expect_address(&low, "10.0.0.1:10000");
	expect_address(&high, "10.0.0.1:10002");
	assert_true(addr_equal(&flow(f, SIDE_A, FLOW_RTP)->from, &f->b));
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->egress_realm, 0);
}

static void families_differ(void **state)
{
	static const struct stream_leg mixed[2] = {
		{ .realm = 0, .family = AF_INET6 }, { .realm = 1, .family = AF_INET },
	};
	struct fixture *f = *state;
	const struct flow_want *want;

	begin(f, mixed);
	describe(f, SIDE_A, "[2001:db8::50]:4000", "[2001:db8::50]:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	want = flow(f, SIDE_A, FLOW_RTP);
	assert_int_equal(want->mode, FLOW_FORWARD);
	expect_address(&want->expect, "[2001:db8::50]:4000");
	expect_address(&want->from, "192.0.2.1:20000");
	expect_address(&want->to, "192.0.2.50:6000");
}

static void stopped_keeps_counters(void **state)
{
	struct fixture *f = *state;
	struct stream_report report;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	f->dp.packets[place_of(&f->dp, &f->a)] = 100;
	f->dp.packets[place_of(&f->dp, &f->b)] = 200;
	stream_report(f->s, SIDE_A, &report);
	assert_true(addr_equal(&report.relay, &f->a));
	expect_address(&report.signalled, "10.0.0.50:4000");
	assert_int_equal(report.rtp.packets, 100);
	assert_int_equal(report.rtcp.packets, 0);
	stream_stop(f->s);
	assert_int_equal(f->dp.n, 0);
	assert_int_equal(f->dp.resting, 0);
	expect_used(f, 0, 0);
	expect_used(f, 1, 0);
	stream_stop(f->s);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	assert_int_equal(f->dp.n, 0);
	assert_int_equal(stream_new_b(f->s, &legs[SIDE_B]), -ESHUTDOWN);
	stream_report(f->s, SIDE_A, &report);
	assert_int_equal(report.rtp.packets, 100);
	assert_true(addr_equal(&report.relay, &f->a));
	stream_report(f->s, SIDE_B, &report);
	assert_int_equal(report.rtp.packets, 200);
	assert_int_equal(report.signalled.family, AF_UNSPEC);
}

static void left_as_it_is(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	stream_leave(f->s);
	f->s = NULL;
	assert_int_equal(f->dp.n, 4);
	expect_used(f, 0, 2);
	expect_used(f, 1, 2);
	f->dp.n = 0;
}

static void next_target(void **state)
{
	static const struct stream_leg next = { .realm = 0, .family = AF_INET };
	struct fixture *f = *state;
	struct stream_report report;
	struct addr a;

	begin(f, legs);
	a = f->a;
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	f->dp.packets[place_of(&f->dp, &f->a)] = 100;
	assert_int_equal(stream_new_b(f->s, &next), 0);
	assert_int_equal(f->dp.resting, 0);
	f->b = stream_relay(f->s, SIDE_B);
	assert_int_equal(f->dp.n, 4);
	assert_true(addr_same_ip(&f->b, &f->media[0]));
	f->a = stream_relay(f->s, SIDE_A);
	assert_true(addr_equal(&f->a, &a));
	stream_report(f->s, SIDE_A, &report);
	assert_int_equal(report.rtp.packets, 100);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->mode, FLOW_MUTED);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->egress_realm, 0);
	assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->expect.family, AF_UNSPEC);
	assert_int_equal(flow(f, SIDE_B, FLOW_RTP)->mode, FLOW_MUTED);
	describe(f, SIDE_B, "10.0.0.51:6000", "10.0.0.51:6001", 8000);
	assert_int_equal(flow(f, SIDE_A, FLOW_RTP)->mode, FLOW_FORWARD);
	assert_true(addr_equal(&flow(f, SIDE_A, FLOW_RTP)->from, &f->b));
	expect_address(&flow(f, SIDE_A, FLOW_RTP)->to, "10.0.0.51:6000");
	expect_address(&flow(f, SIDE_B, FLOW_RTP)->to, "10.0.0.50:4000");
	expect_used(f, 0, 4);
	expect_used(f, 1, 0);
	/* Realm 0 has no third pair: all is as before. */
	assert_int_equal(stream_new_b(f->s, &next), -ENOSPC);
	assert_int_equal(f->dp.n, 4);
	a = stream_relay(f->s, SIDE_B);
	assert_true(addr_equal(&a, &f->b));
}

static void next_target_fails(void **state)
{
	static const struct stream_leg next = { .realm = 0, .family = AF_INET };
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.50:4000", "10.0.0.50:4001", 8000);
	describe(f, SIDE_B, "192.0.2.50:6000", "192.0.2.50:6001", 8000);
	f->dp.applies_left = 1;
	assert_int_equal(stream_new_b(f->s, &next), -EINVAL);
	assert_int_equal(f->dp.resting, 0);
	assert_int_equal(f->dp.n, 4);
	expect_used(f, 0, 2);
	expect_used(f, 1, 2);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.50:4000", "192.0.2.50:6000", 8000);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.50:6000", "10.0.0.50:4000", 8000);
}

static void fresh_ports(struct fixture *f)
{
	media_free(f->all);
	ports_free(f->ports);
	assert_int_equal(ports_new(&f->ports, &f->conf), 0);
	assert_int_equal(media_new(&f->all, &f->conf, f->loop, &f->dp, f->ports), 0);
	f->dp.ports = f->ports;
}

static void nothing_left_of_a_failure(void **state)
{
	static const struct stream_leg no_family[2] = {
		{ .realm = 0, .family = AF_INET }, { .realm = 1, .family = AF_INET6 },
	};
	struct fixture *f = *state;
	struct addr taken;

	assert_int_equal(stream_new(&f->s, f->all, 77, no_family), -EAFNOSUPPORT);
	expect_used(f, 0, 0);
	fresh_ports(f);
	assert_int_equal(ports_lease(f->ports, 1, AF_INET, loop_now_ms(f->loop), &taken), 0);
	assert_int_equal(stream_new(&f->s, f->all, 77, legs), -ENOSPC);
	assert_null(f->s);
	assert_int_equal(f->dp.n, 0);
	expect_used(f, 0, 0);
}

#define with_media(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* What one side hears is made here: the other's packets stop, nothing else does. */
static void replaced(void **state)
{
	struct fixture *f = *state;

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.9:4000", "10.0.0.9:4001", 8000);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	stream_replace(f->s, SIDE_B, true);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_MUTED, "10.0.0.9:4000", "", 8000);
	expect_flow(f, SIDE_A, FLOW_RTCP, FLOW_MUTED, "10.0.0.9:4001", "", 0);
	expect_flow(f, SIDE_B, FLOW_RTP, FLOW_FORWARD, "192.0.2.9:5000", "10.0.0.9:4000", 8000);
	stream_replace(f->s, SIDE_B, false);
	expect_flow(f, SIDE_A, FLOW_RTP, FLOW_FORWARD, "10.0.0.9:4000", "192.0.2.9:5000", 8000);
	stream_stop(f->s);
	stream_replace(f->s, SIDE_A, true);
	assert_int_equal(f->dp.n, 0);
}

static void expect_keys(struct fixture *f, enum side side, const struct flow_crypt *in,
			const struct flow_crypt *out)
{
	for (int kind = FLOW_RTP; kind <= FLOW_RTCP; kind++) {
		const struct flow_want *want = flow(f, side, (enum flow_kind)kind);

		assert_memory_equal(&want->in, in, sizeof(*in));
		assert_memory_equal(&want->out, out, sizeof(*out));
	}
}

/* What a side sends arrives under its key and leaves under the one that the other hears. */
static void keys_of_both_ways(void **state)
{
	static const struct flow_crypt none, a = { RTPFWD_AES_CM_128_HMAC_SHA1_80, "a sends" };
	static const struct flow_crypt to_a = { RTPFWD_AES_CM_128_HMAC_SHA1_80, "a hears" };
	static const struct flow_crypt b = { RTPFWD_AEAD_AES_256_GCM, "b sends" },
				       to_b = { RTPFWD_AEAD_AES_256_GCM, "b hears" };
	struct fixture *f = *state;

	begin(f, legs);
	stream_encrypt(f->s, SIDE_A, &a, &to_a);
	describe(f, SIDE_A, "10.0.0.9:4000", "10.0.0.9:4001", 8000);
	expect_keys(f, SIDE_A, &a, &none);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	expect_keys(f, SIDE_A, &a, &none);
	expect_keys(f, SIDE_B, &none, &to_a);
	stream_encrypt(f->s, SIDE_B, &b, &to_b);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	expect_keys(f, SIDE_A, &a, &to_b);
	expect_keys(f, SIDE_B, &b, &to_a);
	describe(f, SIDE_B, "0.0.0.0:5000", "0.0.0.0:5001", 8000);
	expect_keys(f, SIDE_A, &a, &to_b); /* muted, and its index goes on */
	expect_keys(f, SIDE_B, &b, &to_a);
}

/* The next target has nothing of the keys of the one before. */
static void keys_of_the_next_target(void **state)
{
	static const struct flow_crypt none, b = { RTPFWD_AEAD_AES_128_GCM, "b sends" },
						to_b = { RTPFWD_AEAD_AES_128_GCM, "b hears" };
	struct stream_leg next = legs[SIDE_A];
	struct fixture *f = *state;

	begin(f, legs);
	stream_encrypt(f->s, SIDE_B, &b, &to_b);
	describe(f, SIDE_A, "10.0.0.9:4000", "10.0.0.9:4001", 8000);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	expect_keys(f, SIDE_A, &none, &to_b);
	assert_int_equal(stream_new_b(f->s, &next), 0);
	f->b = stream_relay(f->s, SIDE_B);
	expect_keys(f, SIDE_A, &none, &none);
	expect_keys(f, SIDE_B, &none, &none);
}

/* What the seal of the lab put behind four bytes, of that key and that source. */
static void expect_sealed(struct fixture *f, const char *key, uint32_t ssrc, bool rtcp)
{
	uint32_t words[8] = { 0 };
	uint8_t *packet = (uint8_t *)words;

	assert_int_equal(stream_seal(f->s, SIDE_B, packet, 4, rtcp), 9);
	assert_int_equal(packet[4], key[0] + rtcp);
	assert_memory_equal(packet + 5, &ssrc, sizeof(ssrc));
}

/* Each source is another, and none that comes from the other leg; each has a seal of its own, and
 * with another key another one. */
static void sources_of_what_is_made_here(void **state)
{
	static const struct flow_crypt none, b = { RTPFWD_AEAD_AES_128_GCM, "b sends" };
	static const struct flow_crypt to_b[] = { { RTPFWD_AEAD_AES_128_GCM, "first" },
						  { RTPFWD_AEAD_AES_128_GCM, "second" } };
	struct fixture *f = *state;
	uint32_t first, next, words[8] = { 0 };

	begin(f, legs);
	describe(f, SIDE_A, "10.0.0.9:4000", "10.0.0.9:4001", 8000);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	first = stream_source(f->s, SIDE_B, 0);
	next = first + 0x9e3779b1; /* what would come next is what the other leg sends as */
	f->dp.ssrc = next;
	next = stream_source(f->s, SIDE_B, 0);
	assert_int_equal(next, first + 2 * 0x9e3779b1);
	assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, false), 4);
	stream_encrypt(f->s, SIDE_B, &b, &to_b[0]);
	expect_sealed(f, "first", next, false);
	expect_sealed(f, "first", next, true);
	stream_encrypt(f->s, SIDE_B, &b, &to_b[1]);
	expect_sealed(f, "second", next, false);
	next = stream_source(f->s, SIDE_B, 0);
	expect_sealed(f, "second", next, false);
	stream_encrypt(f->s, SIDE_B, &none, &none);
	assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, false), 4);
}

/* Its seal is the one that it had: what that has sent is remembered nowhere else. */
static void a_source_that_goes_on(void **state)
{
	static const struct flow_crypt keys = { RTPFWD_AEAD_AES_128_GCM, "key" };
	struct fixture *f = *state;
	uint32_t now, words[8] = { 0 };
	int sealed;

	begin(f, legs);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	stream_encrypt(f->s, SIDE_B, &keys, &keys);
	now = stream_source(f->s, SIDE_B, 0);
	expect_sealed(f, "key", now, false);
	sealed = seals_made;
	for (int hold = 0; hold < 40; hold++) {
		assert_int_equal(stream_source(f->s, SIDE_B, now), now);
		expect_sealed(f, "key", now, false);
	}
	assert_int_equal(seals_made, sealed);
	assert_int_not_equal(stream_source(f->s, SIDE_B, now + 1), now); /* none of this side's */
	now = stream_source(f->s, SIDE_B, 0);
	f->dp.ssrc = now; /* the other leg sends as that */
	assert_int_not_equal(stream_source(f->s, SIDE_B, now), now);
	assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, false), 9);
	assert_int_equal(seals_made, sealed + 1);
}

/* Whoever plays longer than its keys are there is not heard: what it has would leave as it is. */
static void nothing_leaves_when_keys_are_forgotten(void **state)
{
	static const struct flow_crypt keys = { RTPFWD_AEAD_AES_128_GCM, "key" };
	struct fixture *f = *state;
	uint32_t words[8] = { 0 };
	struct stream_leg next = legs[SIDE_A];

	begin(f, legs);
	assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, false), -ENOTCONN);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	stream_encrypt(f->s, SIDE_B, &keys, &keys);
	expect_sealed(f, "key", 0, false);
	assert_int_equal(stream_new_b(f->s, &next), 0);
	for (int rtcp = 0; rtcp < 2; rtcp++)
		assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, rtcp), -ENOTCONN);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	stream_encrypt(f->s, SIDE_B, &keys, &keys);
	expect_sealed(f, "key", 0, false);
	stream_stop(f->s);
	for (int rtcp = 0; rtcp < 2; rtcp++)
		assert_int_equal(stream_seal(f->s, SIDE_B, (uint8_t *)words, 4, rtcp), -ENOTCONN);
	assert_memory_equal(words, (uint32_t[8]){ 0 }, sizeof(words));
}

static void way_of_what_is_made_here(void **state)
{
	struct fixture *f = *state;
	struct stream_way way;

	begin(f, legs);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), -ENOTCONN);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9:5001", 8000);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), 0);
	assert_true(addr_equal(&way.from, &f->b));
	expect_address(&way.to, "192.0.2.9:5000");
	expect_address(&way.rtcp_to, "192.0.2.9:5001");
	assert_int_equal(way.ifindex, 7);
	describe(f, SIDE_B, "192.0.2.9:5000", "192.0.2.9", 8000);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), 0);
	assert_int_equal(way.rtcp_to.port, 0);
	describe(f, SIDE_B, "192.0.2.99:5000", "192.0.2.99:5001", 8000);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), -ENETUNREACH);
	describe(f, SIDE_B, "192.0.2.98:5000", "192.0.2.98:5001", 8000);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), -EAGAIN);
	describe(f, SIDE_B, "0.0.0.0:5000", "0.0.0.0:5001", 8000);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), -ENOTCONN);
	stream_stop(f->s);
	assert_int_equal(stream_way(f->s, SIDE_B, &way), -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_media(new_has_ports_alone),
		with_media(described_step_by_step),
		with_media(moved_by_reinvite),
		with_media(multiplexed_by_side),
		with_media(payload_numbers_of_what_a_side_sends),
		with_media(changes_that_belong_together),
		with_media(held_by_null_address),
		with_media(what_cannot_be_reached),
		with_media(both_in_one_realm),
		with_media(families_differ),
		with_media(stopped_keeps_counters),
		with_media(left_as_it_is),
		with_media(next_target),
		with_media(next_target_fails),
		with_media(nothing_left_of_a_failure),
		with_media(keys_of_both_ways),
		with_media(keys_of_the_next_target),
		with_media(replaced),
		with_media(way_of_what_is_made_here),
		with_media(sources_of_what_is_made_here),
		with_media(a_source_that_goes_on),
		with_media(nothing_leaves_when_keys_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
