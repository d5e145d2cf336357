/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One relay port under test, in a world and a data path of its own: frames in, what becomes of
 * them. */
#ifndef RTPFWD_TESTS_BPF_RELAY_H
#define RTPFWD_TESTS_BPF_RELAY_H

#include "lab.h"

#define PHONE	 "10.77.1.2:5004"
#define STRANGER "10.77.1.66:5004"
#define RELAY	 "10.77.1.1:20000" /* where the phone's packets arrive: slot 0 */
#define OUT	 "10.77.2.1:20010" /* from where they are sent on */
#define FAR	 "10.77.2.2:6000"
/* The same of IPv6. */
#define PHONE6	  "[2001:db8:1::2]:5004"
#define STRANGER6 "[2001:db8:1::66]:5004"
#define RELAY6	  "[2001:db8:1::1]:20000"
#define OUT6	  "[2001:db8:2::1]:20010"
#define FAR6	  "[2001:db8:2::2]:6000"

/* Places in a frame. */
#define IP_AT  14
#define UDP_AT 34
#define RTP_AT 42

#define OUT_MACS "\x02\0\0\0\x02\x02\x02\0\0\0\x02\x01" /* phone behind out0, out0 itself */
#define IN_MACS	 "\x02\0\0\0\x01\x03\x02\0\0\0\x01\x01" /* 10.77.1.3, in0 itself */

extern struct lab lab;

/*
 * The tests of a table run twice: the verdict as XDP runs it, and, as `user/NAME`, as the userspace
 * relay does. What only one of them can do stands in the table as such.
 */
#define T(test) cmocka_unit_test_teardown(test, relay_remove)
#define T_XDP(test)                                                                                \
	{                                                                                          \
#test, test, NULL, relay_remove, (void *)"xdp"                                     \
	}
#define T_USER(test)                                                                               \
	{                                                                                          \
#test, test, NULL, relay_remove, (void *)"user"                                    \
	}
#define relay_run_tests(tests, start, stop)                                                        \
	relay_run_table(tests, sizeof(tests) / sizeof((tests)[0]), start, stop)
int relay_run_table(const struct CMUnitTest *tests, size_t n, CMFixtureFunction start,
		    CMFixtureFunction stop);

/* Before and after all tests; after each one. */
int relay_start(void **state);
int relay_start_as(void (*change)(struct lab *lab)); /* with another configuration */
int relay_stop(void **state);
int relay_remove(void **state);

/* For tests each of which opens the data path itself: a world for all of them, `lab` configured for
 * each, and afterwards what it pinned taken away. */
#define T_FRESH(test) cmocka_unit_test_setup_teardown(test, relay_fresh, relay_clean)
int relay_world(void **state);
int relay_world_end(void **state);
void relay_enter(bool far); /* its namespace of the phones, or the node's */
int relay_fresh(void **state);
int relay_clean(void **state);
bool relay_has_turn(void *none); /* the process of the userspace relay forwards: for lab_until() */

struct flow_want relay_want(void);		/* from PHONE to FAR */
struct flow_want relay_want_of(bool in6, bool out6); /* the same, to or from the IPv6 of them */
void relay_apply(const struct flow_want *want); /* one flow in a test */
struct flow_counters relay_counters(void);

/* Runs the plane under test on a frame that came in at in0; the verdict. */
uint32_t relay_run(const struct frame *f, struct frame *out);

/* Amid a test, the other plane: packets are passed up from XDP, which counts for the flow. */
void relay_go_up(bool up);

/* Must be dropped as `reason` and counted once, also at the flow if there is one. */
void relay_expect_drop(const struct frame *f, const char *reason, bool at_flow);
/* Not ours: must be passed on as it came, counted nowhere. */
void relay_expect_untouched(const struct frame *f);
/* Must leave through out0 as relay_due() says. */
void relay_expect_forwarded(const struct frame *in, const struct flow_want *want);

/* A datagram from the phone without a checksum: must leave without one. */
void relay_expect_no_sum(const void *payload, uint32_t length, struct frame *out);

/* The kernel must send it by `interface`: XDP passes it up as it came, counted as `reason` alone;
 * the relay rewrites it like any other. */
void relay_expect_left_to_kernel(const struct frame *in, const struct flow_want *want,
				 const char *reason, const char *interface);

/* The interface that the relay wants the kernel to send its last frame by; 0: none. */
uint32_t relay_by_kernel(void);

/* What must become of `in` through `want`, sums made anew from the whole packet. */
void relay_due(struct frame *due, const struct frame *in, const struct flow_want *want,
	       const char *macs);

#endif
