// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet in, drop and counters: each reason has a test of its name. */
#include "relay.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void up_fragment(void **state)
{
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	before = lab_drops(&lab, "up_fragment");
	frame_rtp(&f, PHONE, RELAY, 1);
	f.bytes[IP_AT + 6] = 0x20; /* more fragments */
	assert_int_equal(relay_run(&f, NULL), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_fragment"), before + 1);
	f.bytes[IP_AT + 7] = 185; /* a later one: payload where the ports were */
	relay_expect_untouched(&f);
	frame_rtp(&f, PHONE, "10.77.1.1:5060", 1);
	f.bytes[IP_AT + 6] = 0x20;
	relay_expect_untouched(&f);
}

static void up_options(void **state)
{
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	before = lab_drops(&lab, "up_options");
	frame_rtp(&f, PHONE, RELAY, 1);
	memmove(f.bytes + UDP_AT + 4, f.bytes + UDP_AT, f.size - UDP_AT);
	memcpy(f.bytes + UDP_AT, "\x94\x04\0\0", 4); /* router alert */
	f.size += 4;
	f.bytes[IP_AT] = 0x46;
	assert_int_equal(relay_run(&f, NULL), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_options"), before + 1);
	f.bytes[UDP_AT + 4 + 2] = 0x13; /* port 5000: not ours */
	f.bytes[UDP_AT + 4 + 3] = 0x88;
	relay_expect_untouched(&f);
	f.bytes[IP_AT] = 0x44; /* a header shorter than a header */
	relay_expect_untouched(&f);
	f.bytes[IP_AT] = 0x65;
	relay_expect_untouched(&f);
}

/* This lab runs no relay that could resolve it: listed, at zero. With one: passed_up_test. */
static void up_unresolved(void **state)
{
	(void)state;
	NEED_ROOT;
	assert_int_equal(lab_drops(&lab, "up_unresolved"), 0);
}

/* Where links are alike nothing is too long, whatever came in. With others: fit_test. */
static void up_mtu(void **state)
{
	static const uint8_t payload[1472] = { 0x80 };
	const struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload)
	};
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
	assert_int_equal(lab_drops(&lab, "up_mtu"), 0);
}

static void unleased(void **state)
{
	struct frame f;

	(void)state;
	NEED_ROOT;
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "unleased", false);
	frame_rtp(&f, PHONE, "10.77.2.1:20099", 1);
	relay_expect_drop(&f, "unleased", false);
}

static void expired(void **state)
{
	struct flow_want want = relay_want();
	struct rtpfwd_control *control;
	uint64_t until;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	control = lab_control(&lab);
	until = control->lease_until;
	control->lease_until = 1;
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "expired", true);
	control->lease_until = until;
	relay_expect_forwarded(&f, &want);
	lab_unmap(control, NULL);
}

/* Neither leaves in the clear what is to be encrypted. */
static void srtp_failed(void **state)
{
	const uint32_t flags[] = { RTPFWD_F_UNPROTECT, RTPFWD_F_PROTECT };
	struct flow_want want = relay_want();
	struct rtpfwd_slot *slots;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	slots = lab_slots(&lab);
	frame_rtp(&f, PHONE, RELAY, 1);
	for (int i = 0; i < 2; i++) {
		slots[0].first.flags |= flags[i];
		relay_expect_drop(&f, "srtp_failed", true);
		slots[0].first.flags &= ~flags[i];
	}
	relay_expect_forwarded(&f, &want);
	lab_unmap(NULL, slots);
}

static void not_signalled(void **state)
{
	struct flow_want want = relay_want();
	struct frame f, g;

	(void)state;
	NEED_ROOT;
	want.mode = FLOW_MUTED;
	want.expect = (struct addr){ 0 };
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_rtp(&g, STRANGER, RELAY, 1);
	relay_expect_drop(&f, "not_signalled", true);
	relay_expect_drop(&g, "not_signalled", true);
	assert_int_equal(relay_counters().wrong_source, 0);
	/* On hold: who may talk is known, where to is not. */
	want.expect = lab_addr(PHONE);
	relay_apply(&want);
	relay_expect_drop(&f, "not_signalled", true);
	relay_expect_drop(&g, "wrong_source", true);
	assert_int_equal(relay_counters().wrong_source, 1);
}

static void direct_stray(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.mode = FLOW_STRAY;
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "direct_stray", true);
	frame_rtp(&f, STRANGER, RELAY, 1);
	relay_expect_drop(&f, "wrong_source", true);
}

static void wrong_source(void **state)
{
	static const char *const strangers[] = { STRANGER, "10.77.1.2:5005", "10.77.1.2:0" };
	struct flow_want want = relay_want();
	struct addr seen;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		frame_rtp(&f, strangers[i], RELAY, 1);
		relay_expect_drop(&f, "wrong_source", true);
		assert_int_equal(relay_counters().wrong_source, i + 1);
		seen = relay_counters().seen;
		assert_int_equal(seen.port, lab_addr(strangers[i]).port);
		assert_true(addr_same_ip(&seen, &(struct addr){ .family = AF_INET,
								.v4 = lab_addr(strangers[i]).v4 }));
	}
	/* Nobody at all may send: everybody is a stranger. */
	want.expect = (struct addr){ 0 };
	relay_apply(&want);
	frame_rtp(&f, "0.0.0.0:0", RELAY, 1);
	relay_expect_drop(&f, "wrong_source", true);
}

static void pitfall_6_any_port_admits_the_address_alone(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.any_port = true;
	relay_apply(&want);
	frame_rtp(&f, STRANGER, RELAY, 1);
	relay_expect_drop(&f, "wrong_source", true);
	frame_rtp(&f, "10.77.1.2:61234", RELAY, 1);
	relay_expect_forwarded(&f, &want);
}

static void not_rtp(void **state)
{
	/* version 1; RTCP; too short; contributing sources, an extension, that are not there; STUN;
	 * DTLS */
	static const struct {
		uint8_t bytes[20];
		uint32_t length;
	} bad[] = {
		{ { 0x40 }, 20 },
		{ { 0x80, 200 }, 20 },
		{ { 0x80, 0 }, 11 },
		{ { 0x80 }, 1 },
		{ { 0 }, 0 },
		{ { 0x83 }, 20 },
		{ { 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 2 }, 20 },
		{ { 0x90 }, 12 },
		{ { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 }, 20 },
		{ { 0x16, 0xfe, 0xff }, 20 },
	};
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame_spec spec = {
			.from = PHONE, .to = RELAY, .payload = bad[i].bytes, .length = bad[i].length
		};

		frame_make(&f, &spec);
		relay_expect_drop(&f, "not_rtp", true);
	}
}

static void not_rtp_at_an_rtcp_port(void **state)
{
	static const uint8_t short_report[8] = { 0x80, 203, 0, 1 };
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = short_report, .length = 7
	};
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "not_rtp", true);
	frame_make(&f, &spec);
	relay_expect_drop(&f, "not_rtp", true);
	spec.length = 8;
	frame_make(&f, &spec);
	relay_expect_forwarded(&f, &want);
}

static void bad_length(void **state)
{
	/* Offset and value of a 16-bit field that contradicts the rest (14 + 20 + 8 + 172). */
	static const struct {
		int at;
		uint16_t value;
	} lies[] = {
		{ UDP_AT + 4, 181 },	{ UDP_AT + 4, 179 }, { UDP_AT + 4, 7 },	 { UDP_AT + 4, 0 },
		{ UDP_AT + 4, 0xffff }, { IP_AT + 2, 199 },  { IP_AT + 2, 201 }, { IP_AT + 2, 0 },
	};
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		frame_rtp(&f, PHONE, RELAY, 1);
		f.bytes[lies[i].at] = (uint8_t)(lies[i].value >> 8);
		f.bytes[lies[i].at + 1] = (uint8_t)lies[i].value;
		relay_expect_drop(&f, "bad_length", true);
	}
	frame_rtp(&f, PHONE, RELAY, 1);
	f.size--; /* cut off on the way */
	relay_expect_drop(&f, "bad_length", true);
}

static void ttl(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	for (uint8_t left = 0; left < 2; left++) {
		f.bytes[IP_AT + 8] = left;
		frame_resum(&f);
		relay_expect_drop(&f, "ttl", true);
	}
	f.bytes[IP_AT + 8] = 2;
	frame_resum(&f);
	relay_expect_forwarded(&f, &want);
}

static void no_neighbour(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.to = lab_addr("10.77.2.99:6000"); /* nobody there */
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "no_neighbour", true);
}

static void no_route(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.to = lab_addr("198.51.100.1:6000");
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "no_route", true);
	want.to = lab_addr("10.77.2.1:6000"); /* ourselves: not through an interface of a realm */
	relay_apply(&want);
	relay_expect_drop(&f, "no_route", true);
	want.to = lab_addr("[2001:db8::1]:6000");
	relay_apply(&want);
	relay_expect_drop(&f, "no_route", true);
}

/* The interface has left the map of outgoing ones. What a driver refuses is tx_failed, too: see
 * forward_test. */
static void tx_failed(void **state)
{
	struct flow_want want = relay_want();
	uint32_t ifindex = 0, key = 0;
	char path[128];
	struct frame f;
	int fd;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	snprintf(path, sizeof(path), "%s/%s", lab.folder, RTPFWD_MAP_TX);
	fd = bpf_obj_get(path);
	while (bpf_map_lookup_elem(fd, &key, &ifindex) || ifindex != if_nametoindex("out0"))
		assert_true(++key < RTPFWD_MAX_LINKS);
	assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "tx_failed", true);
	assert_int_equal(bpf_map_update_elem(fd, &key, &ifindex, BPF_ANY), 0);
	close(fd);
	relay_expect_forwarded(&f, &want);
}

static void tx_failed_of_user(void **state)
{
	struct flow_want want = relay_want();
	uint32_t key = 0, ifindex = if_nametoindex("out0");
	struct rtpfwd_control *control;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	control = lab_control(&lab);
	while (control->ifindex[key] != ifindex)
		assert_true(++key < RTPFWD_MAX_LINKS);
	control->ifindex[key] = 0;
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_drop(&f, "tx_failed", true);
	control->ifindex[key] = ifindex;
	relay_expect_forwarded(&f, &want);
	lab_unmap(control, NULL);
}

/* Two at once and two a second: never more, none counted twice or not at all. */
static void rate(void **state)
{
	uint64_t before = geteuid() ? 0 : lab_drops(&lab, "rate"), passed = 0, began, most;
	struct flow_want want = relay_want();
	struct rtpfwd_slot *slots;
	struct flow_counters c;
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.rate = 2;
	relay_apply(&want);
	began = loop_now_ms(lab.loop);
	for (uint16_t seq = 1; seq <= 50; seq++) {
		frame_rtp(&f, PHONE, RELAY, seq);
		passed += relay_run(&f, NULL) == XDP_REDIRECT;
	}
	c = relay_counters();
	most = 2 + (loop_now_ms(lab.loop) - began) * 2 / 1000 + 1;
	assert_in_range(passed, 2, most);
	assert_int_equal(c.packets, passed);
	assert_int_equal(c.dropped, 50 - passed);
	assert_int_equal(lab_drops(&lab, "rate"), before + 50 - passed);
	slots = lab_slots(&lab);
	slots[0].counters.last -= 10000; /* ten seconds at least */
	slots[0].rate = 3;
	for (uint16_t seq = 60; seq < 62; seq++) {
		frame_rtp(&f, PHONE, RELAY, seq);
		assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
	}
	lab_unmap(NULL, slots);
	want.rate = 0; /* as many as come */
	relay_apply(&want);
	for (uint16_t seq = 100; seq < 200; seq++) {
		frame_rtp(&f, PHONE, RELAY, seq);
		assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(up_fragment),
		T(up_options),
		T(up_unresolved),
		T(up_mtu),
		T(unleased),
		T(expired),
		T(srtp_failed),
		T(not_signalled),
		T(direct_stray),
		T(wrong_source),
		T(pitfall_6_any_port_admits_the_address_alone),
		T(not_rtp),
		T(not_rtp_at_an_rtcp_port),
		T(bad_length),
		T(ttl),
		T(no_neighbour),
		T(no_route),
		T_XDP(tx_failed),
		T_USER(tx_failed_of_user),
		T(rate),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
