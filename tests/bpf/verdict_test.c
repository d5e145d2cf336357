// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet in, verdict and packet out, counters: the program on frames of every kind. One test for each reason to drop. */
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PHONE "10.77.1.2:5004"
#define RELAY "10.77.1.1:20000"	/* where the phone's packets arrive */
#define OUT "10.77.2.1:20010"	/* from where they are sent on */
#define FAR "10.77.2.2:6000"

static struct world world;
static struct lab lab;
static int program;
static uint32_t in0, out0;

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
	out0 = if_nametoindex("out0");
	return 0;
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

static bool quiet(void *ctx)
{
	struct flow_want *want = ctx;
	struct flow_counters c;

	/* The slot is free for the next test when a new flow in it counts from zero at once. */
	if (datapath_apply(lab.dp, want) || datapath_counters(lab.dp, &want->local, &c))
		return false;
	return c.packets == 0 && c.dropped == 0;
}

static int setup(void **state)
{
	(void)state;
	return 0;
}

static int teardown(void **state)
{
	struct addr local = lab_addr(RELAY);

	(void)state;
	if (!geteuid())
		datapath_remove(lab.dp, &local, NULL);
	return 0;
}

static void need_root(void)
{
	if (geteuid()) {
		print_message("not root: BPF programs cannot be loaded\n");
		skip();
	}
	(void)quiet;
	(void)setup;
}

/* Runs `f`, which must be dropped as `reason` and be counted once, at the flow if there is one. */
static void expect_drop(const struct frame *f, const char *reason, bool at_flow)
{
	uint64_t before = lab_drops(&lab, reason);
	struct flow_counters c = { 0 };
	uint64_t at_flow_before = 0;

	if (at_flow)
		at_flow_before = counters().dropped;
	assert_int_equal(frame_run(program, f, NULL, in0), XDP_DROP);
	assert_int_equal(lab_drops(&lab, reason), before + 1);
	if (!at_flow)
		return;
	c = counters();
	assert_int_equal(c.dropped, at_flow_before + 1);
	assert_int_equal(c.packets, 0);
}

static void expect_untouched(const struct frame *f)
{
	struct frame out;

	assert_int_equal(frame_run(program, f, &out, in0), XDP_PASS);
	assert_int_equal(out.size, f->size);
	assert_memory_equal(out.bytes, f->bytes, f->size);
}

static void forwards_byte_by_byte(void **state)
{
	struct flow_want want = forward();
	struct frame in, out, due;
	struct flow_counters c;

	(void)state;
	need_root();
	apply(&want);
	frame_rtp(&in, PHONE, RELAY, 1);
	assert_int_equal(frame_run(program, &in, &out, in0), XDP_REDIRECT);
	due = in;
	memcpy(due.bytes, "\x02\0\0\0\x02\x02\x02\0\0\0\x02\x01", 12);
	due.bytes[22]--;
	memcpy(due.bytes + 26, "\x0a\x4d\x02\x01\x0a\x4d\x02\x02", 8);	/* 10.77.2.1 to 10.77.2.2 */
	memcpy(due.bytes + 34, "\x4e\x2a\x17\x70", 4);			/* 20010 to 6000 */
	frame_resum(&due);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	c = counters();
	assert_int_equal(c.packets, 1);
	assert_int_equal(c.bytes, 172);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.ssrc, 0xcafef00d);
	assert_true(addr_equal(&c.seen, &want.expect));
	assert_true(c.last_s >= 0 && c.last_s < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(forwards_byte_by_byte, teardown),
	};
	(void)expect_drop;
	(void)expect_untouched;
	return cmocka_run_group_tests(tests, start, stop);
}
