// SPDX-License-Identifier: GPL-2.0-or-later
/* IPv6, and both families joined: packet in; verdict, packet out and counters. */
#include "relay.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP6_AT	14
#define UDP6_AT 54

static const char *phone(bool in6)
{
	return in6 ? PHONE6 : PHONE;
}

static const char *relay(bool in6)
{
	return in6 ? RELAY6 : RELAY;
}

static void expect_forwarded(bool in6, bool out6)
{
	struct flow_want want = relay_want_of(in6, out6);
	struct flow_counters c;
	struct frame in, out;

	relay_apply(&want);
	frame_rtp(&in, phone(in6), relay(in6), 1);
	relay_expect_forwarded(&in, &want);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_int_equal(frame_is_ipv6(&out), out6);
	assert_int_equal(out.size, in.size + 20 * out6 - 20 * in6);
	c = relay_counters();
	assert_int_equal(c.packets, 2);
	assert_int_equal(c.bytes, 2 * 172);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.ssrc, 0xcafef00d);
	assert_true(addr_equal(&c.seen, &want.expect));
}

static void ipv6_byte_by_byte(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_forwarded(true, true);
}

static void ipv4_to_ipv6_byte_by_byte(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_forwarded(false, true);
}

static void ipv6_to_ipv4_byte_by_byte(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_forwarded(true, false);
}

/* Any lengths, payloads, hops and traffic classes: the sums and lengths are right, for they are
 * those made anew from the whole packet. */
static void expect_any_packet(bool in6, bool out6)
{
	struct flow_want want = relay_want_of(in6, out6);
	uint8_t payload[1424];
	struct frame_spec spec = { .from = phone(in6), .to = relay(in6), .payload = payload };
	struct frame in, out;

	want.clock_rate = 0;
	relay_apply(&want);
	srand(20261122);
	for (int i = 0; i < 2000; i++) {
		spec.length = 12 + (uint32_t)rand() % (sizeof(payload) - 11);
		spec.ttl = (uint8_t)(2 + rand() % 254);
		spec.tos = (uint8_t)(1 + rand() % 255);
		for (uint32_t n = 0; n < spec.length; n++)
			payload[n] = (uint8_t)rand();
		payload[0] = 0x80;
		payload[1] &= 0x7f;
		frame_make(&in, &spec);
		assert_true(frame_sums_right(&in));
		relay_expect_forwarded(&in, &want);
	}
	assert_int_equal(relay_counters().packets, 2000);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_true(frame_sums_right(&out));
}

static void ipv6_holds_for_any_packet(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_any_packet(true, true);
}

static void ipv4_to_ipv6_holds_for_any_packet(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_any_packet(false, true);
}

static void ipv6_to_ipv4_holds_for_any_packet(void **state)
{
	(void)state;
	NEED_ROOT;
	expect_any_packet(true, false);
}

/* What IPv4 may leave out, IPv6 asks for: the whole datagram is summed, of every length. */
static void zero_checksum_of_ipv4_is_made_for_ipv6(void **state)
{
	struct flow_want want = relay_want_of(false, true);
	uint8_t payload[1424];
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = payload, .no_sum = true };
	struct frame in;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (uint32_t n = 0; n < sizeof(payload); n++)
		payload[n] = (uint8_t)(n * 31 + 7);
	payload[0] = 0x80;
	payload[1] = 0;
	for (spec.length = 12; spec.length <= sizeof(payload); spec.length += 1 + spec.length / 9) {
		frame_make(&in, &spec);
		relay_expect_forwarded(&in, &want);
	}
	spec.length = 12; /* padding behind the datagram is not summed */
	frame_make(&in, &spec);
	in.size = 60;
	memset(in.bytes + 54, 0xa5, 6);
	relay_expect_forwarded(&in, &want);
}

#define INSN(c, d, s, o, i)                                                                        \
	(struct bpf_insn)                                                                          \
	{                                                                                          \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                \
	}
#define TAKEN 208 /* bytes before the frame, of 256 of which the kernel keeps some 40 */

/* A program that moves the frame of `size` bytes to the front of the page, so that nothing may be
 * put before it any more, and goes on with the one in `programs`. */
static int cramped_program(int programs, uint32_t size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_XDP);
	struct bpf_insn insns[160];
	size_t n = 0;

	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, -TAKEN);
	insns[n++] = INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_adjust_head);
	insns[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 6, 0, 0);
	insns[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 6, 4, 0);
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0);
	insns[n++] = INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, TAKEN + (int)size);
	insns[n++] = INSN(BPF_JMP | BPF_JGT | BPF_X, 4, 3, (int16_t)(size + 5), 0);
	for (int16_t at = 0; at < (int16_t)size; at += 2) {
		insns[n++] = INSN(BPF_LDX | BPF_MEM | BPF_H, 0, 2, (int16_t)(at + TAKEN), 0);
		insns[n++] = INSN(BPF_STX | BPF_MEM | BPF_H, 2, 0, at, 0);
	}
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
	insns[n++] = INSN(BPF_LD | BPF_DW | BPF_IMM, 2, BPF_PSEUDO_MAP_FD, 0, programs);
	insns[n++] = INSN(0, 0, 0, 0, 0);
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0);
	insns[n++] = INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_ABORTED);
	insns[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "cramped", "GPL", insns, n, &opts);
}

static void headroom(void **state)
{
	int programs, program, target;
	struct flow_want want = relay_want_of(false, true);
	struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = "\x80\0\0\0\0\0\0\0\0\0\0", .length = 12
	};
	uint64_t before = geteuid() ? 0 : lab_drops(&lab, "headroom");
	uint32_t zero = 0;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_make(&f, &spec);
	target = lab_program(&lab, "in0");
	programs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "programs", 4, 4, 1, NULL);
	assert_true(programs >= 0);
	assert_int_equal(bpf_map_update_elem(programs, &zero, &target, BPF_ANY), 0);
	program = cramped_program(programs, f.size);
	assert_true(program >= 0);
	assert_int_equal(frame_run(program, &f, NULL, 1), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "headroom"), before + 1);
	assert_int_equal(relay_counters().dropped, 1);
	assert_int_equal(relay_counters().packets, 0);
	want = relay_want_of(false, false); /* no larger header: no matter */
	relay_apply(&want);
	assert_int_equal(frame_run(program, &f, NULL, 1), XDP_REDIRECT);
	close(program);
	close(programs);
	close(target);
}

static void bad_checksum(void **state)
{
	struct flow_want want = relay_want_of(true, true);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	memset(f.bytes + UDP6_AT + 6, 0, 2);
	relay_expect_drop(&f, "bad_checksum", true);
	want.from = lab_addr(OUT);
	want.to = lab_addr(FAR);
	relay_apply(&want);
	relay_expect_drop(&f, "bad_checksum", true);
}

/* Where the header of IPv4 is made anew its sum is looked at; else damage goes on, to be seen. */
static void bad_checksum_of_an_ipv4_header(void **state)
{
	struct flow_want want = relay_want_of(false, true);
	struct frame in, out, due;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	in.bytes[IP_AT + 5] ^= 1; /* its id */
	relay_expect_drop(&in, "bad_checksum", true);
	want = relay_want_of(false, false);
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	relay_due(&due, &in, &want, OUT_MACS);
	in.bytes[IP_AT + 5] ^= 1;
	due.bytes[IP_AT + 5] ^= 1;
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	assert_false(frame_sums_right(&out));
}

static void wrong_source_of_ipv6(void **state)
{
	static const char *const strangers[] = { STRANGER6, "[2001:db8:1::2]:5006",
						 "[2001:db8:2::2]:5004" };
	struct flow_want want = relay_want_of(true, true);
	struct flow_counters c;
	struct addr stranger;
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		frame_rtp(&f, strangers[i], RELAY6, 1);
		relay_expect_drop(&f, "wrong_source", true);
		c = relay_counters();
		stranger = lab_addr(strangers[i]);
		assert_int_equal(c.wrong_source, i + 1);
		assert_true(addr_equal(&c.seen, &stranger));
	}
	frame_rtp(&f, PHONE6, RELAY6, 1);
	relay_expect_forwarded(&f, &want);
	c = relay_counters();
	assert_true(addr_equal(&c.seen, &want.expect));
	want.any_port = true;
	relay_apply(&want);
	frame_rtp(&f, "[2001:db8:1::2]:5006", RELAY6, 1);
	relay_expect_forwarded(&f, &want);
}

static bool is_steady(void *slot)
{
	return ((const struct rtpfwd_slot *)slot)->select == RTPFWD_FIRST;
}

static void former_source_of_ipv6_is_late_in_every_copy(void **state)
{
	struct flow_want want = relay_want_of(true, true);
	struct frame before, after, stranger;
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	slots = lab_slots(&lab); /* the first of IPv6 lies behind all of IPv4 */
	frame_rtp(&before, PHONE6, RELAY6, 1);
	frame_rtp(&after, "[2001:db8:1::3]:9000", RELAY6, 2);
	frame_rtp(&stranger, STRANGER6, RELAY6, 2);
	assert_int_equal(relay_run(&after, NULL), XDP_DROP);
	want.expect = lab_addr("[2001:db8:1::3]:9000");
	relay_apply(&want);
	for (int copy = 0; copy < 2; copy++) {
		relay_expect_forwarded(&before, &want);
		relay_expect_forwarded(&after, &want);
		assert_int_equal(relay_run(&stranger, NULL), XDP_DROP);
		assert_true(lab_until(&lab, is_steady, &slots[LAB_SLOTS]));
	}
	lab_unmap(NULL, slots);
}

static void hops_of_ipv6_used_up(void **state)
{
	struct flow_want want = relay_want_of(true, false);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	f.bytes[IP6_AT + 7] = 1;
	relay_expect_drop(&f, "ttl", true);
	f.bytes[IP6_AT + 7] = 2;
	relay_expect_forwarded(&f, &want);
}

static void bad_length_of_ipv6(void **state)
{
	static const struct {
		int at;
		uint8_t value;
	} lies[] = {
		{ UDP6_AT + 5, 179 }, { UDP6_AT + 5, 181 }, { IP6_AT + 5, 179 },
		{ IP6_AT + 5, 181 },  { IP6_AT + 5, 0 },    { UDP6_AT + 5, 7 },
	};
	struct flow_want want = relay_want_of(true, true);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		frame_rtp(&f, PHONE6, RELAY6, 1);
		f.bytes[lies[i].at] = lies[i].value;
		relay_expect_drop(&f, "bad_length", true);
	}
	frame_rtp(&f, PHONE6, RELAY6, 1);
	f.size--;
	relay_expect_drop(&f, "bad_length", true);
}

/* An extension header of eight bytes, or of 8 * (1 + `more`), before UDP. */
static void insert(struct frame *f, uint8_t kind, uint8_t more)
{
	uint32_t size = 8 * (1U + more);

	memmove(f->bytes + UDP6_AT + size, f->bytes + UDP6_AT, f->size - UDP6_AT);
	memset(f->bytes + UDP6_AT, 0, size);
	f->bytes[IP6_AT + 6] = kind;
	f->bytes[UDP6_AT] = 17;
	f->bytes[UDP6_AT + 1] = kind == 44 ? 0 : more;
	f->size += size;
}

static void expect_up(const struct frame *f, const char *reason)
{
	uint64_t before = lab_drops(&lab, reason);
	struct frame out;

	assert_int_equal(relay_run(f, &out), XDP_PASS);
	assert_memory_equal(out.bytes, f->bytes, f->size);
	assert_int_equal(lab_drops(&lab, reason), before + 1);
}

static void up_fragment_of_ipv6(void **state)
{
	struct flow_want want = relay_want_of(true, true);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	insert(&f, 44, 0);
	f.bytes[UDP6_AT + 3] = 1; /* more to come */
	expect_up(&f, "up_fragment");
	f.bytes[UDP6_AT + 3] = 8; /* a later one: no ports to be read */
	relay_expect_untouched(&f);
	assert_int_equal(relay_counters().packets, 0);
}

static void up_options_of_ipv6(void **state)
{
	static const uint8_t kinds[] = { 0, 43, 60 };
	struct flow_want want = relay_want_of(true, true);
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		for (uint8_t more = 0; more < 3; more++) {
			frame_rtp(&f, PHONE6, RELAY6, 1);
			insert(&f, kinds[i], more);
			expect_up(&f, "up_options");
		}
	}
	frame_rtp(&f, PHONE6, RELAY6, 1);
	insert(&f, 60, 0);
	f.bytes[UDP6_AT + 1] = 255; /* longer than the frame */
	relay_expect_untouched(&f);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	insert(&f, 50, 0); /* encrypted */
	relay_expect_untouched(&f);
	assert_int_equal(relay_counters().packets, 0);
}

static void other_ipv6_passes_untouched(void **state)
{
	static const char *const elsewhere[] = { "[2001:db8:1::1]:19999",
						 "[2001:db8:1::1]:20100",
						 "[2001:db8:1::2]:20000",
						 "[fe80::1]:20000",
						 "[::]:20000",
						 "[ff02::1]:20000",
						 "[::ffff:10.77.1.1]:20000" };
	struct flow_want want = relay_want_of(true, true);
	struct frame f, g;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		frame_rtp(&f, PHONE6, elsewhere[i], 1);
		relay_expect_untouched(&f);
	}
	frame_rtp(&f, PHONE6, RELAY6, 1);
	g = f;
	g.bytes[IP6_AT + 6] = 58; /* ICMPv6: neighbour discovery must reach the kernel */
	relay_expect_untouched(&g);
	g = f;
	g.bytes[IP6_AT] = 0x45; /* a version that contradicts Ethernet */
	relay_expect_untouched(&g);
	for (g = f; --g.size >= 14;)
		if (g.size < UDP6_AT + 8)
			relay_expect_untouched(&g);
	assert_int_equal(relay_counters().packets, 0);
	assert_int_equal(relay_counters().dropped, 0);
}

static void unleased_of_ipv6(void **state)
{
	struct frame f;

	(void)state;
	NEED_ROOT;
	frame_rtp(&f, PHONE6, "[2001:db8:2::1]:20050", 1);
	relay_expect_drop(&f, "unleased", false);
}

/* Media and signalled address of different families: nothing can be admitted. */
static void a_source_of_the_other_family_is_none(void **state)
{
	struct flow_want want = relay_want_of(true, true);
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.expect = lab_addr(PHONE);
	relay_apply(&want);
	frame_rtp(&f, PHONE6, RELAY6, 1);
	relay_expect_drop(&f, "wrong_source", true);
	want = relay_want_of(true, true);
	want.to = lab_addr(FAR);
	relay_apply(&want);
	relay_expect_drop(&f, "no_route", true);
}

static void rtcp_over_ipv6(void **state)
{
	static const uint8_t report[] = { 0x80, 200, 0, 1, 1, 2, 3, 4 };
	struct frame_spec spec = {
		.from = PHONE6, .to = RELAY6, .payload = report, .length = sizeof(report)
	};
	struct flow_want want = relay_want_of(true, false);
	struct frame in;

	(void)state;
	NEED_ROOT;
	want.kind = FLOW_RTCP;
	relay_apply(&want);
	frame_make(&in, &spec);
	relay_expect_forwarded(&in, &want);
	assert_int_equal(relay_counters().packets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ipv6_byte_by_byte),
		T(ipv4_to_ipv6_byte_by_byte),
		T(ipv6_to_ipv4_byte_by_byte),
		T(ipv6_holds_for_any_packet),
		T(ipv4_to_ipv6_holds_for_any_packet),
		T(ipv6_to_ipv4_holds_for_any_packet),
		T(zero_checksum_of_ipv4_is_made_for_ipv6),
		T_XDP(headroom),
		T(bad_checksum),
		T(bad_checksum_of_an_ipv4_header),
		T(wrong_source_of_ipv6),
		T(former_source_of_ipv6_is_late_in_every_copy),
		T(hops_of_ipv6_used_up),
		T(bad_length_of_ipv6),
		T(up_fragment_of_ipv6),
		T(up_options_of_ipv6),
		T(other_ipv6_passes_untouched),
		T(unleased_of_ipv6),
		T(a_source_of_the_other_family_is_none),
		T(rtcp_over_ipv6),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
