// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet in; verdict, packet out and counters: the program on frames of every kind. Each reason to drop has a test of its name. */
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHONE "10.77.1.2:5004"
#define STRANGER "10.77.1.66:5004"
#define RELAY "10.77.1.1:20000"	/* where the phone's packets arrive */
#define OUT "10.77.2.1:20010"	/* from where they are sent on */
#define FAR "10.77.2.2:6000"

#define IP_AT 14
#define UDP_AT 34
#define RTP_AT 42

static struct world world;
static struct lab lab;
static int program;
static uint32_t in0;

#define CLOCK "10.77.2.1:20098"
#define CLOCK_SLOT (LAB_SLOTS - 2)

static int start(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	lab_world(&world, false);
	lab_sh("ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
	       "ip neigh replace 10.77.1.3 lladdr 02:00:00:00:01:03 dev in0 nud permanent");
	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	program = lab_program(&lab, "in0");
	in0 = if_nametoindex("in0");
	return datapath_apply(lab.dp, &(struct flow_want){ .local = lab_addr(CLOCK), .owner = 1 });
}

static int stop(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	close(program);
	lab_close(&lab);
	lab_detach(&lab);
	lab_world_end(&world);
	return 0;
}

static struct flow_want forward(void)
{
	return (struct flow_want){
		.local = lab_addr(RELAY), .owner = 7, .kind = FLOW_RTP, .mode = FLOW_FORWARD, .expect = lab_addr(PHONE),
		.from = lab_addr(OUT), .to = lab_addr(FAR), .egress_realm = 1, .clock_rate = 8000,
	};
}

static void apply(const struct flow_want *want)
{
	assert_int_equal(datapath_apply(lab.dp, want), 0);
}

static struct flow_counters counters(void)
{
	struct addr local = lab_addr(RELAY);
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &local, &c), 0);
	return c;
}

struct grace_clock {
	struct rtpfwd_slot *slots;
	uint32_t rate;
};

static bool has_struck(void *ctx)
{
	const struct grace_clock *clock = ctx;

	return clock->slots[CLOCK_SLOT].first.clock_rate == clock->rate;
}

/*
 * The next test starts with a slot that no reader is left in. Another flow tells when: a change of it reaches the first copy
 * after a grace period that began no earlier than the removed flow's.
 */
static int remove_flow(void **state)
{
	struct flow_want want = { .local = lab_addr(CLOCK), .owner = 1, .mode = FLOW_MUTED };
	struct addr local = lab_addr(RELAY);
	static struct grace_clock clock;
	bool struck;

	(void)state;
	if (geteuid())
		return 0;
	datapath_remove(lab.dp, &local, NULL);
	clock.slots = lab_slots(&lab);
	want.clock_rate = ++clock.rate;
	apply(&want);
	struck = lab_until(&lab, has_struck, &clock);
	lab_unmap(NULL, clock.slots);
	return struck ? 0 : -1;
}

static uint32_t run(const struct frame *f, struct frame *out)
{
	return frame_run(program, f, out, in0);
}

/* Runs `f`, which must be dropped as `reason` and counted once, also at the flow if there is one. */
static void expect_drop(const struct frame *f, const char *reason, bool at_flow)
{
	uint64_t before = lab_drops(&lab, reason), flow_before = at_flow ? counters().dropped : 0;
	struct flow_counters c;

	assert_int_equal(run(f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, reason), before + 1);
	if (!at_flow)
		return;
	c = counters();
	assert_int_equal(c.dropped, flow_before + 1);
	assert_int_equal(c.packets, 0);
}

static uint64_t sum_of_drops;

static void add_drop(void *ctx, const char *reason, const char *help, bool up, uint64_t packets)
{
	(void)ctx;
	(void)reason;
	(void)help;
	(void)up;
	sum_of_drops += packets;
}

static uint64_t all_drops(void)
{
	sum_of_drops = 0;
	datapath_drops(lab.dp, add_drop, NULL);
	return sum_of_drops;
}

/* Not ours: passed on as it came, counted nowhere. */
static void expect_untouched(const struct frame *f)
{
	uint64_t before = all_drops();
	struct frame out;

	assert_int_equal(run(f, &out), XDP_PASS);
	assert_int_equal(out.size, f->size);
	assert_memory_equal(out.bytes, f->bytes, f->size);
	assert_int_equal(all_drops(), before);
}

/* What must become of `in` on its way from RELAY through `want`, sums made anew from the whole packet. */
static void make_due(struct frame *due, const struct frame *in, const struct flow_want *want, const char *macs)
{
	uint16_t from = htons(want->from.port), to = htons(want->to.port);

	*due = *in;
	memcpy(due->bytes, macs, 12);
	due->bytes[IP_AT + 8]--;
	memcpy(due->bytes + IP_AT + 12, &want->from.v4, 4);
	memcpy(due->bytes + IP_AT + 16, &want->to.v4, 4);
	memcpy(due->bytes + UDP_AT, &from, 2);
	memcpy(due->bytes + UDP_AT + 2, &to, 2);
	frame_resum(due);
}

#define OUT_MACS "\x02\0\0\0\x02\x02\x02\0\0\0\x02\x01"	/* phone behind out0, out0 itself */
#define IN_MACS "\x02\0\0\0\x01\x03\x02\0\0\0\x01\x01"	/* 10.77.1.3, in0 itself */

static void expect_forwarded(const struct frame *in, const struct flow_want *want)
{
	struct frame out, due;

	assert_int_equal(run(in, &out), XDP_REDIRECT);
	make_due(&due, in, want, OUT_MACS);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

static void forwards_byte_by_byte(void **state)
{
	struct flow_want want = forward();
	struct flow_counters c;
	struct frame in;

	(void)state;
	NEED_ROOT;
	apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	expect_forwarded(&in, &want);
	c = counters();
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
	struct flow_want want = forward();
	struct frame in, out, due;

	(void)state;
	NEED_ROOT;
	want.from = lab_addr("10.77.1.1:20002");
	want.to = lab_addr("10.77.1.3:7000");
	want.egress_realm = 0;
	apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	assert_int_equal(run(&in, &out), XDP_TX);
	make_due(&due, &in, &want, IN_MACS);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	assert_int_equal(counters().packets, 1);
}

static void rtcp_is_forwarded_at_an_rtcp_port(void **state)
{
	static const uint8_t report[] = { 0x81, 201, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
					  13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = report, .length = sizeof(report) };
	struct flow_want want = forward();
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	apply(&want);
	frame_make(&in, &spec);
	expect_forwarded(&in, &want);
	assert_int_equal(counters().packets, 1);
	assert_int_equal(counters().bytes, sizeof(report));
	assert_int_equal(counters().ssrc, 0);
}

static void zero_checksum_stays_zero(void **state)
{
	struct flow_want want = forward();
	uint8_t payload[40] = { 0x80 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload), .no_sum = true };
	struct frame in, out;

	(void)state;
	NEED_ROOT;
	apply(&want);
	frame_make(&in, &spec);
	assert_int_equal(run(&in, &out), XDP_REDIRECT);
	assert_int_equal(out.bytes[UDP_AT + 6], 0);
	assert_int_equal(out.bytes[UDP_AT + 7], 0);
	assert_true(frame_sums_right(&out));
}

/* A sum that comes out as zero is sent as all ones (RFC 768). The last two bytes of the payload are chosen to make it so. */
static void computed_zero_is_all_ones(void **state)
{
	struct flow_want want = forward();
	struct frame in, out, due;
	int hits = 0;

	(void)state;
	NEED_ROOT;
	apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	in.bytes[in.size - 2] = in.bytes[in.size - 1] = 0;
	frame_resum(&in);
	make_due(&due, &in, &want, OUT_MACS);
	/* The due sum is S; a payload that adds S leaves nothing. */
	in.bytes[in.size - 2] = due.bytes[UDP_AT + 6];
	in.bytes[in.size - 1] = due.bytes[UDP_AT + 7];
	frame_resum(&in);
	assert_int_equal(run(&in, &out), XDP_REDIRECT);
	hits = out.bytes[UDP_AT + 6] == 0xff && out.bytes[UDP_AT + 7] == 0xff;
	assert_int_equal(hits, 1);
	make_due(&due, &in, &want, OUT_MACS);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

static void checksums_hold_for_any_payload(void **state)
{
	struct flow_want want = forward();
	uint8_t payload[1458];
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload };
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.clock_rate = 0;
	apply(&want);
	srand(20240229);
	for (int i = 0; i < 2000; i++) {
		spec.length = 12 + (uint32_t)rand() % (sizeof(payload) - 11);
		spec.ttl = (uint8_t)(2 + rand() % 254);
		for (uint32_t n = 0; n < spec.length; n++)
			payload[n] = (uint8_t)rand();
		payload[0] = 0x80;
		payload[1] &= 0x7f;
		frame_make(&in, &spec);
		expect_forwarded(&in, &want);
	}
	assert_int_equal(counters().packets, 2000);
}

static void padding_behind_the_datagram_is_kept(void **state)
{
	struct flow_want want = forward();
	uint8_t payload[12] = { 0x80 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload) };
	struct frame in;

	(void)state;
	NEED_ROOT;
	apply(&want);
	frame_make(&in, &spec);
	in.size = 60;	/* Ethernet's least, 54 are used */
	expect_forwarded(&in, &want);
}

static void what_is_not_ours_passes_untouched(void **state)
{
	static const char *const elsewhere[] = { "10.77.1.1:19999", "10.77.1.1:20100", "10.77.1.1:5060", "10.77.1.9:20000", "0.0.0.0:20000" };
	struct flow_want want = forward();
	struct frame f, g;

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		frame_rtp(&f, PHONE, elsewhere[i], 1);
		expect_untouched(&f);
	}
	frame_rtp(&f, PHONE, RELAY, 1);
	g = f;
	g.bytes[IP_AT + 9] = 6;	/* TCP */
	expect_untouched(&g);
	g = f;
	memcpy(g.bytes + 12, "\x86\xdd", 2);	/* IPv6 */
	expect_untouched(&g);
	g = f;
	memmove(g.bytes + 16, g.bytes + 12, g.size - 12);	/* VLAN 5 */
	memcpy(g.bytes + 12, "\x81\x00\x00\x05", 4);
	g.size += 4;
	expect_untouched(&g);
	for (g = f; --g.size >= 14;)	/* down to a bare Ethernet header */
		if (g.size < RTP_AT)
			expect_untouched(&g);
	assert_int_equal(counters().packets, 0);
	assert_int_equal(counters().dropped, 0);
}

static void up_fragment(void **state)
{
	uint64_t before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	before = lab_drops(&lab, "up_fragment");
	frame_rtp(&f, PHONE, RELAY, 1);
	f.bytes[IP_AT + 6] = 0x20;	/* more fragments */
	assert_int_equal(run(&f, NULL), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_fragment"), before + 1);
	f.bytes[IP_AT + 7] = 185;	/* a later one: payload where the ports were */
	expect_untouched(&f);
	frame_rtp(&f, PHONE, "10.77.1.1:5060", 1);
	f.bytes[IP_AT + 6] = 0x20;
	expect_untouched(&f);
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
	memcpy(f.bytes + UDP_AT, "\x94\x04\0\0", 4);	/* router alert */
	f.size += 4;
	f.bytes[IP_AT] = 0x46;
	assert_int_equal(run(&f, NULL), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_options"), before + 1);
	f.bytes[UDP_AT + 4 + 2] = 0x13;	/* port 5000: not ours */
	f.bytes[UDP_AT + 4 + 3] = 0x88;
	expect_untouched(&f);
	f.bytes[IP_AT] = 0x44;	/* a header shorter than a header */
	expect_untouched(&f);
	f.bytes[IP_AT] = 0x65;
	expect_untouched(&f);
}

/* There is no slower rung yet that could resolve it: the count is listed, at zero. */
static void up_unresolved(void **state)
{
	(void)state;
	NEED_ROOT;
	assert_int_equal(lab_drops(&lab, "up_unresolved"), 0);
}

static void unleased(void **state)
{
	struct frame f;

	(void)state;
	NEED_ROOT;
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "unleased", false);
	frame_rtp(&f, PHONE, "10.77.2.1:20099", 1);
	expect_drop(&f, "unleased", false);
}

static void expired(void **state)
{
	struct flow_want want = forward();
	struct rtpfwd_control *control;
	uint64_t until;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	control = lab_control(&lab);
	until = control->lease_until;
	control->lease_until = 1;
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "expired", true);
	control->lease_until = until;
	expect_forwarded(&f, &want);
	lab_unmap(control, NULL);
}

static void not_signalled(void **state)
{
	struct flow_want want = forward();
	struct frame f, g;

	(void)state;
	NEED_ROOT;
	want.mode = FLOW_MUTED;
	want.expect = (struct addr){ 0 };
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_rtp(&g, STRANGER, RELAY, 1);
	expect_drop(&f, "not_signalled", true);
	expect_drop(&g, "not_signalled", true);
	assert_int_equal(counters().wrong_source, 0);
	/* On hold: who may talk is known, where to is not. */
	want.expect = lab_addr(PHONE);
	apply(&want);
	expect_drop(&f, "not_signalled", true);
	expect_drop(&g, "wrong_source", true);
	assert_int_equal(counters().wrong_source, 1);
}

static void direct_stray(void **state)
{
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.mode = FLOW_STRAY;
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "direct_stray", true);
	frame_rtp(&f, STRANGER, RELAY, 1);
	expect_drop(&f, "wrong_source", true);
}

static void wrong_source(void **state)
{
	static const char *const strangers[] = { STRANGER, "10.77.1.2:5005", "10.77.1.2:0" };
	struct flow_want want = forward();
	struct addr seen;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		frame_rtp(&f, strangers[i], RELAY, 1);
		expect_drop(&f, "wrong_source", true);
		assert_int_equal(counters().wrong_source, i + 1);
		seen = counters().seen;
		assert_int_equal(seen.port, lab_addr(strangers[i]).port);
		assert_true(addr_same_ip(&seen, &(struct addr){ .family = AF_INET, .v4 = lab_addr(strangers[i]).v4 }));
	}
	/* Nobody at all may send: everybody is a stranger. */
	want.expect = (struct addr){ 0 };
	apply(&want);
	frame_rtp(&f, "0.0.0.0:0", RELAY, 1);
	expect_drop(&f, "wrong_source", true);
}

static void any_port_admits_the_address_alone(void **state)
{
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.any_port = true;
	apply(&want);
	frame_rtp(&f, STRANGER, RELAY, 1);
	expect_drop(&f, "wrong_source", true);
	frame_rtp(&f, "10.77.1.2:61234", RELAY, 1);
	expect_forwarded(&f, &want);
}

static void not_rtp(void **state)
{
	/* version 1; RTCP; too short; contributing sources, an extension, that are not there; STUN; DTLS */
	static const struct {
		uint8_t bytes[20];
		uint32_t length;
	} bad[] = {
		{ { 0x40 }, 20 },	    { { 0x80, 200 }, 20 },	    { { 0x80, 0 }, 11 },
		{ { 0x80 }, 1 },	    { { 0 }, 0 },		    { { 0x83 }, 20 },
		{ { 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 2 }, 20 }, { { 0x90 }, 12 },
		{ { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 }, 20 }, { { 0x16, 0xfe, 0xff }, 20 },
	};
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = bad[i].bytes, .length = bad[i].length };

		frame_make(&f, &spec);
		expect_drop(&f, "not_rtp", true);
	}
}

static void not_rtp_at_an_rtcp_port(void **state)
{
	static const uint8_t short_report[8] = { 0x80, 203, 0, 1 };
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = short_report, .length = 7 };
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "not_rtp", true);
	frame_make(&f, &spec);
	expect_drop(&f, "not_rtp", true);
	spec.length = 8;
	frame_make(&f, &spec);
	expect_forwarded(&f, &want);
}

static void headers_with_sources_and_extension_are_rtp(void **state)
{
	uint8_t payload[32] = { 0x92, 0 };	/* two contributing sources, an extension of one word */
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .length = 28 };
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	payload[23] = 1;
	apply(&want);
	frame_make(&f, &spec);
	expect_forwarded(&f, &want);
}

static void bad_length(void **state)
{
	/* Offset and value of a 16-bit field that contradicts the rest (frame: 14 + 20 + 8 + 172). */
	static const struct {
		int at;
		uint16_t value;
	} lies[] = {
		{ UDP_AT + 4, 181 }, { UDP_AT + 4, 179 }, { UDP_AT + 4, 7 }, { UDP_AT + 4, 0 }, { UDP_AT + 4, 0xffff },
		{ IP_AT + 2, 199 },  { IP_AT + 2, 201 },  { IP_AT + 2, 0 },
	};
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		frame_rtp(&f, PHONE, RELAY, 1);
		f.bytes[lies[i].at] = (uint8_t)(lies[i].value >> 8);
		f.bytes[lies[i].at + 1] = (uint8_t)lies[i].value;
		expect_drop(&f, "bad_length", true);
	}
	frame_rtp(&f, PHONE, RELAY, 1);
	f.size--;	/* cut off on the way */
	expect_drop(&f, "bad_length", true);
}

static void ttl(void **state)
{
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	for (uint8_t left = 0; left < 2; left++) {
		f.bytes[IP_AT + 8] = left;
		frame_resum(&f);
		expect_drop(&f, "ttl", true);
	}
	f.bytes[IP_AT + 8] = 2;
	frame_resum(&f);
	expect_forwarded(&f, &want);
}

static void no_neighbour(void **state)
{
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.to = lab_addr("10.77.2.99:6000");	/* nobody there */
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "no_neighbour", true);
}

static void no_route(void **state)
{
	struct flow_want want = forward();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.to = lab_addr("198.51.100.1:6000");
	apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "no_route", true);
	want.to = lab_addr("10.77.2.1:6000");	/* ourselves: not through an interface of a realm */
	apply(&want);
	expect_drop(&f, "no_route", true);
	want.to = lab_addr("[2001:db8::1]:6000");
	apply(&want);
	expect_drop(&f, "no_route", true);
}

/* The interface has left the map of outgoing ones. What a driver refuses is tx_failed, too: see forward_test. */
static void tx_failed(void **state)
{
	struct flow_want want = forward();
	uint32_t ifindex = 0, key = 0;
	char path[128];
	struct frame f;
	int fd;

	(void)state;
	NEED_ROOT;
	apply(&want);
	snprintf(path, sizeof(path), "%s/%s", lab.folder, RTPFWD_MAP_TX);
	fd = bpf_obj_get(path);
	while (bpf_map_lookup_elem(fd, &key, &ifindex) || ifindex != if_nametoindex("out0"))
		assert_true(++key < RTPFWD_MAX_LINKS);
	assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_drop(&f, "tx_failed", true);
	assert_int_equal(bpf_map_update_elem(fd, &key, &ifindex, BPF_ANY), 0);
	close(fd);
	expect_forwarded(&f, &want);
}

/* Reasons of what later versions do: listed, at zero. */
static void bad_payload_rate_headroom(void **state)
{
	(void)state;
	NEED_ROOT;
	assert_int_equal(lab_drops(&lab, "bad_payload"), 0);
	assert_int_equal(lab_drops(&lab, "rate"), 0);
	assert_int_equal(lab_drops(&lab, "headroom"), 0);
}

static bool is_steady(void *slots)
{
	const struct rtpfwd_slot *slot = slots;

	return slot->select == RTPFWD_FIRST;
}

static void former_source_is_late_for_two_seconds(void **state)
{
	struct flow_want want = forward();
	struct frame before, after, stranger;
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	apply(&want);
	slots = lab_slots(&lab);
	frame_rtp(&before, PHONE, RELAY, 1);
	frame_rtp(&after, "10.77.1.3:9000", RELAY, 2);
	frame_rtp(&stranger, "10.77.1.2:9000", RELAY, 2);
	assert_int_equal(run(&after, NULL), XDP_DROP);
	want.expect = lab_addr("10.77.1.3:9000");
	apply(&want);
	for (int copy = 0; copy < 2; copy++) {	/* in both copies that are in force one after the other */
		expect_forwarded(&before, &want);
		expect_forwarded(&after, &want);
		assert_int_equal(run(&stranger, NULL), XDP_DROP);
		assert_true(lab_until(&lab, is_steady, slots));
	}
	assert_int_equal(counters().packets, 4);
	slots[0].first.late_until = 1;	/* two seconds later */
	assert_int_equal(run(&before, NULL), XDP_DROP);
	expect_forwarded(&after, &want);
	assert_int_equal(counters().wrong_source, 4);
	lab_unmap(NULL, slots);
}

static void the_same_again_changes_nothing(void **state)
{
	struct flow_want want = forward();
	struct rtpfwd_slot *slots, before;

	(void)state;
	NEED_ROOT;
	apply(&want);
	slots = lab_slots(&lab);
	before = slots[0];
	assert_int_equal(before.select, RTPFWD_FIRST);
	assert_int_equal(before.owner, 7);
	for (int i = 0; i < 3; i++)
		apply(&want);
	assert_memory_equal(&slots[0], &before, sizeof(before));
	lab_unmap(NULL, slots);
}

static void loss_and_jitter_reach_the_report(void **state)
{
	static const uint16_t sequence[] = { 16, 17, 18, 22, 20, 22, 23 };	/* 19 and 21 lost, 20 late, 22 twice: one is left */
	struct flow_want want = forward();
	struct flow_counters c;
	struct frame f;

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++) {
		/* The second packet of the pair pretends to be a minute younger: 480,000 units of transit, a sixteenth counts. */
		frame_rtp_at(&f, PHONE, RELAY, sequence[i], sequence[i] == 17 ? 480160 : sequence[i] * 160U);
		assert_int_equal(run(&f, NULL), XDP_REDIRECT);
	}
	c = counters();
	assert_int_equal(c.packets, 7);
	assert_int_equal(c.lost, 1);
	/* 3 s and more between 480160 - 2560 units and (nearly) none: 477,600 / 16 / 8 ms, less what the test took. */
	assert_true(c.jitter_ms > 3000 && c.jitter_ms < 3731.3);
}

static void last_counters_are_handed_over(void **state)
{
	struct flow_want want = forward();
	struct datapath_realm_report before, after;
	struct flow_counters last;
	struct frame f;
	size_t flows;

	(void)state;
	NEED_ROOT;
	flows = datapath_flow_count(lab.dp);
	datapath_realm(lab.dp, 0, &before);
	apply(&want);
	assert_int_equal(datapath_flow_count(lab.dp), flows + 1);
	frame_rtp(&f, PHONE, RELAY, 1);
	expect_forwarded(&f, &want);
	datapath_remove(lab.dp, &want.local, &last);
	assert_int_equal(last.packets, 1);
	assert_int_equal(last.bytes, 172);
	assert_int_equal(datapath_flow_count(lab.dp), flows);
	assert_int_equal(datapath_counters(lab.dp, &want.local, &last), -ENOENT);
	datapath_realm(lab.dp, 0, &after);
	assert_int_equal(after.packets, before.packets + 1);
	assert_int_equal(after.bytes, before.bytes + 172);
	expect_drop(&f, "unleased", false);
	/* At once again: counted from zero, whatever the former flow had. */
	apply(&want);
	assert_int_equal(counters().packets, 0);
}

static void foreign_ports_are_refused(void **state)
{
	struct flow_want want = forward();

	(void)state;
	NEED_ROOT;
	want.local = lab_addr("10.77.1.1:19999");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
	want.local = lab_addr("10.77.9.1:20000");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
	want.local = lab_addr("[2001:db8::1]:20000");
	assert_int_equal(datapath_apply(lab.dp, &want), -EINVAL);
}

#define T(name) cmocka_unit_test_teardown(name, remove_flow)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(forwards_byte_by_byte), T(goes_back_where_it_came_in), T(rtcp_is_forwarded_at_an_rtcp_port),
		T(zero_checksum_stays_zero), T(computed_zero_is_all_ones), T(checksums_hold_for_any_payload),
		T(padding_behind_the_datagram_is_kept), T(what_is_not_ours_passes_untouched),
		T(up_fragment), T(up_options), T(up_unresolved),
		T(unleased), T(expired), T(not_signalled), T(direct_stray), T(wrong_source), T(any_port_admits_the_address_alone),
		T(not_rtp), T(not_rtp_at_an_rtcp_port), T(headers_with_sources_and_extension_are_rtp), T(bad_length), T(ttl),
		T(no_neighbour), T(no_route), T(tx_failed), T(bad_payload_rate_headroom),
		T(former_source_is_late_for_two_seconds), T(the_same_again_changes_nothing), T(loss_and_jitter_reach_the_report),
		T(last_counters_are_handed_over), T(foreign_ports_are_refused),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
