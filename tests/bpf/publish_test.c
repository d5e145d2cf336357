// SPDX-License-Identifier: GPL-2.0-or-later
/* Publication while packets flow: each packet meets one whole description, the former or the next,
 * never a mix. */
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHONE "10.77.1.2:5004"
#define RELAY "10.77.1.1:20000"
/* The reader stops when it has seen so many of both, or after the last figure in any case. */
#define CHANGES	     40
#define PACKETS	     200000
#define PACKETS_MOST 4000000
/* QUICK is set: a virtual machine. */
#define CHANGES_FEW 4
#define PACKETS_FEW 1000

/* Descriptions that differ in every field that a packet shows. Three of them, so that two copies
 * written by turns change. */
#define WANTS 3
static struct flow_want wants[WANTS];

struct reader {
	int program;
	uint32_t in0;
	struct frame in;
	struct frame due[WANTS]; /* what each description makes of it */
	atomic_bool over;
	struct datapath *dp; /* the writer's, in the loop's thread */
	int packets;
	uint32_t enough;
	uint32_t changes;
	uint32_t mixed;
	uint32_t verdicts_else;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct frame out;
	int last = 0;

	for (int i = 0; i < PACKETS_MOST && (i < r->packets || r->changes < r->enough); i++) {
		int which = -1;

		if (frame_run(r->program, &r->in, &out, r->in0) != XDP_REDIRECT)
			r->verdicts_else++;
		for (int w = 0; w < WANTS; w++)
			if (!memcmp(out.bytes, r->due[w].bytes, r->in.size))
				which = w;
		if (which < 0)
			r->mixed++;
		else
			r->changes += which != last;
		last = which;
	}
	atomic_store(&r->over, true);
	return NULL;
}

static void make_wants(void)
{
	static const char *const from[] = { "10.77.2.1:20010", "10.77.2.1:20077",
					    "10.77.2.1:20055" };
	static const char *const to[] = { "10.77.2.2:6000", "10.77.2.3:7777", "10.77.2.4:8888" };

	for (int w = 0; w < WANTS; w++) {
		wants[w] = (struct flow_want){
			.local = lab_addr(RELAY),
			.owner = 7,
			.mode = FLOW_FORWARD,
			.expect = lab_addr(PHONE),
			.from = lab_addr(from[w]),
			.to = lab_addr(to[w]),
			.egress_realm = 1,
			.clock_rate = 8000,
		};
	}
}

static bool in_first_copy(void *slot)
{
	const struct rtpfwd_slot *s = slot;

	return s->select == RTPFWD_FIRST && s->first.to_port == htons(7777);
}

static bool is_over(void *arg)
{
	struct reader *r = arg;
	static int turn;

	/* As fast as can be, most of it while readers may still be in the idle copy. */
	for (int i = 0; i < 200; i++)
		assert_int_equal(datapath_apply(r->dp, &wants[++turn % WANTS]), 0);
	return atomic_load(&r->over);
}

static void packets_never_meet_a_mix(void **state)
{
	static struct reader reader;
	struct reader *r = &reader;
	struct rtpfwd_slot *slots;
	struct world world;
	pthread_t thread;
	struct lab lab = { 0 };

	(void)state;
	NEED_ROOT;
	lab_world(&world, false);
	lab_sh("ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
	       "ip neigh replace 10.77.2.3 lladdr 06:33:33:33:33:33 dev out0 nud permanent;"
	       "ip neigh replace 10.77.2.4 lladdr 0a:44:44:44:44:44 dev out0 nud permanent");
	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	assert_int_equal(lab_open(&lab), 0);
	make_wants();
	r->dp = lab.dp;
	r->packets = getenv("QUICK") ? PACKETS_FEW : PACKETS;
	r->enough = getenv("QUICK") ? CHANGES_FEW : CHANGES;
	r->program = lab_program(&lab, "in0");
	r->in0 = if_nametoindex("in0");
	frame_rtp(&r->in, PHONE, RELAY, 1);
	slots = lab_slots(&lab);
	assert_int_equal(datapath_apply(lab.dp, &wants[0]), 0);
	assert_int_equal(frame_run(r->program, &r->in, &r->due[0], r->in0), XDP_REDIRECT);
	assert_int_equal(datapath_apply(lab.dp, &wants[1]), 0);
	assert_int_equal(slots[0].select, RTPFWD_SECOND);
	assert_int_equal(frame_run(r->program, &r->in, &r->due[1], r->in0), XDP_REDIRECT);
	assert_true(lab_until(&lab, in_first_copy, &slots[0]));
	assert_int_equal(datapath_apply(lab.dp, &wants[2]), 0);
	assert_int_equal(frame_run(r->program, &r->in, &r->due[2], r->in0), XDP_REDIRECT);
	for (int w = 0; w < WANTS; w++)
		assert_memory_not_equal(r->due[w].bytes, r->due[(w + 1) % WANTS].bytes, r->in.size);

	assert_int_equal(pthread_create(&thread, NULL, read_on, r), 0);
	/* A change waits for grace periods, which a busy machine makes long: 80 s. */
	for (int i = 0; i < 8 && !lab_until(&lab, is_over, r); i++)
		;
	pthread_join(thread, NULL);
	assert_int_equal(r->mixed, 0);
	assert_int_equal(r->verdicts_else, 0);
	assert_true(r->changes >= r->enough);

	lab_unmap(NULL, slots);
	close(r->program);
	lab_close(&lab);
	lab_detach(&lab);
	lab_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_never_meet_a_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
