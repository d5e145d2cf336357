// SPDX-License-Identifier: GPL-2.0-or-later
/* VLAN tags and traffic classes by realm: packet in, packet out. */
#include "relay.h"

#include <bpf/bpf.h>
#include <string.h>

#define PRIORITY 0xa000 /* 5 */

static void make_tagged(struct lab *l)
{
	l->realms[1].vlan = 100;
}

static int start(void **state)
{
	(void)state;
	return relay_start_as(make_tagged);
}

/* The realms as the next flow finds them. */
static void realms(uint16_t vlan, int dscp)
{
	lab.realms[1].vlan = vlan;
	lab.realms[1].marks = dscp >= 0;
	lab.realms[1].dscp = dscp >= 0 ? (uint8_t)dscp : 0;
}

static void set_class(struct frame *f, uint8_t class)
{
	uint8_t *ip = f->bytes + frame_ip_at(f);

	if (frame_is_ipv6(f)) {
		ip[0] = 0x60 | class >> 4;
		ip[1] = (uint8_t)(class << 4) | (ip[1] & 0x0f);
	} else {
		ip[1] = class;
	}
	frame_resum(f);
}

/* `in_tag`, `out_tag` below 0: none. */
static void expect(bool in6, bool out6, int in_tag, int out_tag, uint8_t class)
{
	struct flow_want want = relay_want_of(in6, out6);
	struct frame in, out, due;

	relay_apply(&want);
	frame_rtp(&in, in6 ? PHONE6 : PHONE, in6 ? RELAY6 : RELAY, 7);
	relay_due(&due, &in, &want, OUT_MACS);
	set_class(&due, class);
	if (in_tag >= 0)
		frame_tag(&in, (uint16_t)in_tag);
	if (out_tag >= 0)
		frame_tag(&due, (uint16_t)out_tag);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_true(frame_sums_right(&out));
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	assert_int_equal(relay_counters().packets, 1);
	relay_remove(NULL); /* a change would wait for its turn */
}

static void expect_all(int in_tag, int out_tag, uint8_t class)
{
	for (int families = 0; families < 4; families++)
		expect(families & 1, families & 2, in_tag, out_tag, class);
}

static void a_tag_is_set(void **state)
{
	(void)state;
	NEED_ROOT;
	realms(100, -1);
	expect_all(-1, 100, 0xb8);
	expect_all(5 | PRIORITY, 100 | PRIORITY, 0xb8);
}

static void a_tag_is_taken_off(void **state)
{
	(void)state;
	NEED_ROOT;
	realms(0, -1);
	expect_all(5 | PRIORITY, -1, 0xb8);
	expect_all(0 | PRIORITY, -1, 0xb8); /* priority alone */
}

static void a_tag_is_kept(void **state)
{
	(void)state;
	NEED_ROOT;
	realms(CONF_VLAN_KEEP, -1);
	expect_all(5 | PRIORITY, 5 | PRIORITY, 0xb8);
	expect_all(4094, 4094, 0xb8);
	expect_all(-1, -1, 0xb8);
}

static void a_class_is_set_and_congestion_bits_stay(void **state)
{
	struct flow_want want = relay_want();
	struct frame in, out, due;

	(void)state;
	NEED_ROOT;
	realms(0, 10);
	expect_all(-1, -1, 10 << 2);
	realms(100, 0);
	expect_all(9, 100, 0);
	realms(0, 46);
	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		set_class(&in, 0x20 | ecn);
		relay_due(&due, &in, &want, OUT_MACS);
		set_class(&due, 46 << 2 | ecn);
		assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
		assert_memory_equal(out.bytes, due.bytes, due.size);
	}
}

/* The header is made anew where a tag comes or goes: damage must not look whole then. */
static void a_damaged_header_is_refused(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	realms(0, -1);
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	f.bytes[IP_AT + 1] ^= 4;
	frame_tag(&f, 5);
	relay_expect_drop(&f, "bad_checksum", true);
}

static void two_tags_and_strange_ones_pass_untouched(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	realms(100, -1);
	relay_apply(&want);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_tag(&f, 5);
	frame_tag(&f, 6);
	relay_expect_untouched(&f);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_tag(&f, 5);
	f.bytes[12] = 0x88; /* 802.1ad */
	f.bytes[13] = 0xa8;
	relay_expect_untouched(&f);
	frame_rtp(&f, PHONE, RELAY, 1);
	frame_tag(&f, 5);
	for (f.size = 14; f.size < 46; f.size++)
		relay_expect_untouched(&f);
	assert_int_equal(relay_counters().packets, 0);
}

static void tagged_strangers_are_refused(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	realms(100, -1);
	relay_apply(&want);
	frame_rtp(&f, STRANGER, RELAY, 1);
	frame_tag(&f, 100);
	relay_expect_drop(&f, "wrong_source", true);
	frame_rtp(&f, PHONE, "10.77.1.1:20044", 1);
	frame_tag(&f, 100);
	relay_expect_drop(&f, "unleased", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_tag_is_set),
		T(a_tag_is_taken_off),
		T(a_tag_is_kept),
		T(a_class_is_set_and_congestion_bits_stay),
		T(a_damaged_header_is_refused),
		T(two_tags_and_strange_ones_pass_untouched),
		T(tagged_strangers_are_refused),
	};

	return relay_run_tests(tests, start, relay_stop);
}
