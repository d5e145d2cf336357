// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <string.h>

static struct world world;
struct lab lab;
static int program;
static uint32_t in0;

#define CLOCK	   "10.77.2.1:20098"
#define CLOCK_SLOT (LAB_SLOTS - 2)

int relay_start(void **state)
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

int relay_stop(void **state)
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

struct flow_want relay_want(void)
{
	return (struct flow_want){
		.local = lab_addr(RELAY),
		.owner = 7,
		.kind = FLOW_RTP,
		.mode = FLOW_FORWARD,
		.expect = lab_addr(PHONE),
		.from = lab_addr(OUT),
		.to = lab_addr(FAR),
		.egress_realm = 1,
		.clock_rate = 8000,
	};
}

void relay_apply(const struct flow_want *want)
{
	assert_int_equal(datapath_apply(lab.dp, want), 0);
}

struct flow_counters relay_counters(void)
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
 * The next test starts with a slot that no reader is left in. Another flow tells when: a change of
 * it reaches the first copy after a grace period that began no earlier than the removed flow's.
 */
int relay_remove(void **state)
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
	relay_apply(&want);
	struck = lab_until(&lab, has_struck, &clock);
	lab_unmap(NULL, clock.slots);
	return struck ? 0 : -1;
}

uint32_t relay_run(const struct frame *f, struct frame *out)
{
	return frame_run(program, f, out, in0);
}

void relay_expect_drop(const struct frame *f, const char *reason, bool at_flow)
{
	uint64_t before = lab_drops(&lab, reason),
		 flow_before = at_flow ? relay_counters().dropped : 0;
	struct flow_counters c;

	assert_int_equal(relay_run(f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, reason), before + 1);
	if (!at_flow)
		return;
	c = relay_counters();
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

void relay_expect_untouched(const struct frame *f)
{
	uint64_t before = all_drops();
	struct frame out;

	assert_int_equal(relay_run(f, &out), XDP_PASS);
	assert_int_equal(out.size, f->size);
	assert_memory_equal(out.bytes, f->bytes, f->size);
	assert_int_equal(all_drops(), before);
}

void relay_due(struct frame *due, const struct frame *in, const struct flow_want *want,
	       const char *macs)
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

void relay_expect_forwarded(const struct frame *in, const struct flow_want *want)
{
	struct frame out, due;

	assert_int_equal(relay_run(in, &out), XDP_REDIRECT);
	relay_due(&due, in, want, OUT_MACS);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}
