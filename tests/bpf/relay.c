// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay.h"
#include "datapath/kmod.h"
#include "datapath/priv.h"
#include "datapath/user_verdict.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct world world;
struct lab lab;
static int program;
static uint32_t in0;

static struct user_maps maps;
static bool user; /* the plane under test */

static uint32_t by_kernel;  /* how it wants its last frame sent */
static struct addr applied; /* where the flow under test is */

#define CLOCK	   "10.77.2.1:20098" /* the second address */
#define CLOCK_SLOT rtpfwd_slot_of(LAB_SLOTS / 2, LAB_SLOTS / 2, 20098 - LAB_LO)

int relay_start(void **state)
{
	(void)state;
	return relay_start_as(NULL);
}

int relay_start_as(void (*change)(struct lab *lab))
{
	if (geteuid())
		return 0;
	relay_world(NULL);
	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	lab_conf_ipv6(&lab);
	if (change)
		change(&lab);
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	program = lab_program(&lab, "in0");
	in0 = if_nametoindex("in0");
	maps = (struct user_maps){ lab.dp->control, lab.dp->slots, lab.dp->rests,
				   lab.dp->relay, lab.dp->uppers, NULL, NULL };
	if (lab.dp->kmod) /* by a socket as the relay is given it */
		assert_int_equal(kmod_open_given(&maps.kmod, kmod_socket()), 0);
	return datapath_apply(lab.dp, &(struct flow_want){ .local = lab_addr(CLOCK), .owner = 1 });
}

int relay_stop(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	close(program);
	kmod_close(maps.kmod);
	lab_close(&lab);
	lab_detach(&lab);
	lab_world_end(&world);
	return 0;
}

int relay_world(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	lab_world(&world, false);
	lab_neighbours();
	return 0;
}

int relay_world_end(void **state)
{
	(void)state;
	if (!geteuid())
		lab_world_end(&world);
	return 0;
}

void relay_enter(bool far)
{
	lab_enter(far ? world.far : world.node);
}

int relay_fresh(void **state)
{
	(void)state;
	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	return 0;
}

int relay_clean(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	lab_close(&lab);
	lab_detach(&lab);
	return 0;
}

bool relay_has_turn(void *ctx)
{
	const struct datapath *dp = lab.dp;
	uint32_t generation = dp->user.generation;

	(void)ctx;
	return dp->control->relay == generation &&
	       __atomic_load_n(&dp->relay->running[generation % RTPFWD_RELAYS], __ATOMIC_ACQUIRE) ==
		       generation;
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

struct flow_want relay_want_of(bool in6, bool out6)
{
	struct flow_want want = relay_want();

	if (in6) {
		want.local = lab_addr(RELAY6);
		want.expect = lab_addr(PHONE6);
	}
	if (out6) {
		want.from = lab_addr(OUT6);
		want.to = lab_addr(FAR6);
	}
	return want;
}

void relay_apply(const struct flow_want *want)
{
	assert_int_equal(datapath_apply(lab.dp, want), 0);
	applied = want->local;
}

struct flow_counters relay_counters(void)
{
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &applied, &c), 0);
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
	static struct grace_clock clock;
	bool struck;

	(void)state;
	if (geteuid())
		return 0;
	datapath_remove(lab.dp, &applied, NULL);
	clock.slots = lab_slots(&lab);
	want.clock_rate = ++clock.rate;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	struck = lab_until(&lab, has_struck, &clock);
	lab_unmap(NULL, clock.slots);
	return struck ? 0 : -1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The frame in memory of its own, so that a look beyond it is noticed. */
static uint32_t run_user(const struct frame *f, struct frame *out)
{
	uint8_t *buffer = malloc(USER_HEADROOM + 2 + f->size + USER_TAILROOM);
	struct user_frame frame = { .maps = &maps, .ingress = in0, .ns = now_ns() };
	int verdict;

	assert_non_null(buffer);
	frame.begin = buffer + USER_HEADROOM + 2;
	frame.end = frame.begin + f->size;
	memcpy(frame.begin, f->bytes, f->size);
	verdict = user_verdict(&frame);
	by_kernel = frame.by_kernel;
	for (unsigned int i = 0; i < frame.n_learned; i++)
		learn_found(lab.dp, frame.learned[i]);
	if (out) {
		out->size = (uint32_t)(frame.end - frame.begin);
		memcpy(out->bytes, frame.begin, out->size);
	}
	free(buffer);
	return (uint32_t)verdict;
}

uint32_t relay_run(const struct frame *f, struct frame *out)
{
	return user ? run_user(f, out) : frame_run(program, f, out, in0);
}

void relay_go_up(bool up)
{
	user = up;
	maps.control->user_links = 0;
}

struct planed {
	const struct CMUnitTest *test;
	bool user;
};

/* Its links have no XDP program as far as it can see: it counts in full. */
static int set_plane(void **state)
{
	const struct planed *planed = *state;

	user = planed->user;
	if (!geteuid())
		maps.control->user_links = user ? ~0u : 0;
	return planed->test->setup_func ? planed->test->setup_func(state) : 0;
}

static void run_planed(void **state)
{
	const struct planed *planed = *state;
	void *none = NULL;

	planed->test->test_func(&none);
}

static int end_planed(void **state)
{
	const struct planed *planed = *state;

	return planed->test->teardown_func ? planed->test->teardown_func(state) : 0;
}

static bool is_for(const struct CMUnitTest *test, bool plane)
{
	return !test->initial_state || !strcmp(test->initial_state, plane ? "user" : "xdp");
}

int relay_run_table(const struct CMUnitTest *tests, size_t n, CMFixtureFunction start,
		    CMFixtureFunction stop)
{
	struct CMUnitTest *table = calloc(2 * n, sizeof(*table));
	struct planed *planed = calloc(2 * n, sizeof(*planed));
	char(*names)[96] = calloc(2 * n, sizeof(*names));
	size_t used = 0;
	int failed;

	if (!table || !planed || !names)
		return 1;
	for (size_t i = 0; i < 2 * n; i++) {
		const struct CMUnitTest *test = &tests[i % n];

		if (!is_for(test, i >= n))
			continue;
		planed[used] = (struct planed){ test, i >= n };
		snprintf(names[used], sizeof(names[used]), "%s%s", i < n ? "" : "user/",
			 test->name);
		table[used] = (struct CMUnitTest){ names[used], run_planed, set_plane, end_planed,
						   &planed[used] };
		used++;
	}
	failed = _cmocka_run_group_tests("tests", table, used, start, stop);
	free(names);
	free(planed);
	free(table);
	return failed;
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

/* The header of `want`'s family in the place of that of `in`: traffic class and hops go over. */
static void due_header(struct frame *due, const struct frame *in, bool six)
{
	const uint8_t *was = in->bytes + frame_ip_at(in);
	uint32_t udp_at = frame_udp_at(in), size = in->size - udp_at;
	uint8_t class = frame_is_ipv6(in) ? (uint8_t)(was[0] << 4 | was[1] >> 4) : was[1];
	uint8_t hops = frame_is_ipv6(in) ? was[7] : was[8];
	uint8_t *ip = due->bytes + 14;

	memset(due, 0, sizeof(*due));
	memcpy(due->bytes + 12, six ? "\x86\xdd" : "\x08\x00", 2);
	memcpy(due->bytes + frame_udp_at(due), in->bytes + udp_at, size);
	due->size = frame_udp_at(due) + size;
	if (six) {
		ip[0] = 0x60 | class >> 4;
		ip[1] = (uint8_t)(class << 4);
		memcpy(ip + 4, in->bytes + udp_at + 4, 2);
		ip[6] = 17;
		ip[7] = hops;
	} else {
		ip[0] = 0x45;
		ip[1] = class;
		ip[3] = in->bytes[udp_at + 5] + 20;
		ip[2] = (uint8_t)(in->bytes[udp_at + 4] + (in->bytes[udp_at + 5] > 255 - 20));
		ip[6] = 0x40;
		ip[8] = hops;
		ip[9] = 17;
	}
}

void relay_due(struct frame *due, const struct frame *in, const struct flow_want *want,
	       const char *macs)
{
	uint16_t from = htons(want->from.port), to = htons(want->to.port);
	bool six = want->to.family == AF_INET6;
	uint32_t ip = 14;

	*due = *in;
	if (six != frame_is_ipv6(in))
		due_header(due, in, six);
	memcpy(due->bytes, macs, 12);
	due->bytes[ip + (six ? 7 : 8)]--;
	memcpy(due->bytes + ip + (six ? 8 : 12), &want->from.v4, six ? 16 : 4);
	memcpy(due->bytes + ip + (six ? 24 : 16), &want->to.v4, six ? 16 : 4);
	memcpy(due->bytes + frame_udp_at(due), &from, 2);
	memcpy(due->bytes + frame_udp_at(due) + 2, &to, 2);
	frame_resum(due);
}

static void expect_rewritten(const struct frame *in, const struct flow_want *want)
{
	struct frame out, due;

	assert_int_equal(relay_run(in, &out), XDP_REDIRECT);
	relay_due(&due, in, want, OUT_MACS);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
}

void relay_expect_no_sum(const void *payload, uint32_t length, struct frame *out)
{
	struct frame_spec spec = { .from = PHONE,
				   .to = RELAY,
				   .payload = payload,
				   .length = length,
				   .no_sum = true };
	struct frame in;

	frame_make(&in, &spec);
	assert_int_equal(relay_run(&in, out), XDP_REDIRECT);
	assert_int_equal(out->bytes[UDP_AT + 6] | out->bytes[UDP_AT + 7], 0);
	assert_true(frame_sums_right(out));
}

void relay_expect_forwarded(const struct frame *in, const struct flow_want *want)
{
	expect_rewritten(in, want);
	assert_int_equal(by_kernel, 0);
}

uint32_t relay_by_kernel(void)
{
	return by_kernel;
}

void relay_expect_left_to_kernel(const struct frame *in, const struct flow_want *want,
				 const char *reason, const char *interface)
{
	uint64_t up = lab_drops(&lab, reason), all = all_drops();
	struct flow_counters before = relay_counters(), after;
	struct frame out;

	if (user) {
		expect_rewritten(in, want);
		assert_int_equal(by_kernel, if_nametoindex(interface));
	} else {
		assert_int_equal(relay_run(in, &out), XDP_PASS);
		assert_int_equal(out.size, in->size);
		assert_memory_equal(out.bytes, in->bytes, in->size);
	}
	after = relay_counters();
	assert_int_equal(lab_drops(&lab, reason), up + !user);
	assert_int_equal(all_drops(), all + !user);
	assert_int_equal(after.packets, before.packets + user);
	assert_int_equal(after.dropped, before.dropped);
}
