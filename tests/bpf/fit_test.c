// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets as long as the way to their destination takes, and a byte longer: a smaller link, a
 * larger header, a VLAN, a route. The latter ones are the kernel's to send. */
#include "relay.h"
#include "datapath/priv.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <stdlib.h>

#define MTU	 1500 /* of both links */
#define VLAN_MTU 1400

/* An RTP packet of `size` bytes of IP. */
static void frame_of(struct frame *f, const char *from, const char *to, uint32_t size)
{
	static const uint8_t payload[MTU] = { 0x80 };
	uint32_t header = *from == '[' ? 40 + 8 : 20 + 8;
	struct frame_spec spec = {
		.from = from, .to = to, .payload = payload, .length = size - header
	};

	frame_make(f, &spec);
}

static uint32_t slot; /* of the flow under test */

static void apply(const struct flow_want *want)
{
	assert_int_equal(layout_find(&lab.dp->layout, &want->local, &slot, NULL), 0);
	relay_apply(want);
}

struct told {
	uint32_t mtu;
	bool asks; /* are lengths asked? */
};

/* Of the slot's first copy, when it is in force. */
static bool is_told(void *ctx)
{
	const struct rtpfwd_slot *s = &lab.dp->slots[slot];
	const struct told *told = ctx;

	return s->select == RTPFWD_FIRST && lab.dp->rests[slot].path[0].mtu == told->mtu &&
	       !(s->first.flags & RTPFWD_F_FIT) == !told->asks;
}

static void until_told(uint32_t mtu, bool asks)
{
	struct told told = { mtu, asks };

	assert_true(lab_until(&lab, is_told, &told));
}

static struct flow_want want_of(bool in6, bool out6)
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

/* What has `size` bytes is the longest that fits, `interface` takes the longer. */
static void expect_limit(bool in6, bool out6, uint32_t size, const char *interface)
{
	struct flow_want want = want_of(in6, out6);
	const char *from = in6 ? PHONE6 : PHONE, *to = in6 ? RELAY6 : RELAY;
	struct frame f;

	frame_of(&f, from, to, size - 1);
	relay_expect_forwarded(&f, &want);
	frame_of(&f, from, to, size);
	relay_expect_forwarded(&f, &want);
	for (uint32_t more = 1; more <= 10 && size + more <= MTU; more += 9) {
		frame_of(&f, from, to, size + more);
		relay_expect_left_to_kernel(&f, &want, "up_mtu", interface);
	}
	frame_of(&f, from, to, 200);
	relay_expect_forwarded(&f, &want);
}

static void links_alike_ask_of_no_packet(void **state)
{
	struct flow_want want = want_of(false, false);

	(void)state;
	NEED_ROOT;
	apply(&want);
	until_told(MTU, false);
	expect_limit(false, false, MTU, "out0");
}

/* 1304 is 8 times 163; of 1307 the last three bytes are behind what is sure. */
static void a_smaller_link(void **state)
{
	static const uint32_t sizes[] = { 1304, 1307 };
	struct flow_want want = want_of(false, false);

	(void)state;
	NEED_ROOT;
	apply(&want);
	for (size_t i = 0; i < 2; i++) {
		lab_sh(i ? "ip link set out0 mtu 1307" : "ip link set out0 mtu 1304");
		until_told(sizes[i], true);
		expect_limit(false, false, sizes[i], "out0");
	}
	lab_sh("ip link set out0 mtu 1500");
	until_told(MTU, false);
	expect_limit(false, false, MTU, "out0");
}

/* Packets from there may be longer than where they go takes. */
static void a_larger_link_that_they_come_in_by(void **state)
{
	struct flow_want want = want_of(false, false);

	(void)state;
	NEED_ROOT;
	lab_sh("ip link set in0 mtu 1600");
	apply(&want);
	until_told(MTU, true);
	expect_limit(false, false, MTU, "out0");
	lab_sh("ip link set in0 mtu 1500");
	until_told(MTU, false);
}

static void a_header_of_ipv6_instead_of_ipv4(void **state)
{
	struct flow_want want = want_of(false, true);

	(void)state;
	NEED_ROOT;
	apply(&want);
	until_told(MTU, true);
	expect_limit(false, true, MTU - 20, "out0");
}

static void a_header_of_ipv4_instead_of_ipv6(void **state)
{
	struct flow_want want = want_of(true, false);

	(void)state;
	NEED_ROOT;
	apply(&want);
	expect_limit(true, false, MTU, "out0");
}

static void ipv6_over_a_smaller_link(void **state)
{
	struct flow_want want = want_of(true, true);

	(void)state;
	NEED_ROOT;
	lab_sh("ip link set out0 mtu 1280");
	apply(&want);
	until_told(1280, true);
	expect_limit(true, true, 1280, "out0");
	lab_sh("ip link set out0 mtu 1500");
	until_told(MTU, false);
}

static void a_route_that_takes_less(void **state)
{
	struct flow_want want = want_of(false, false);

	(void)state;
	NEED_ROOT;
	apply(&want);
	lab_sh("ip route add 10.77.2.2/32 dev out0 src 10.77.2.1 mtu 1300");
	until_told(1300, true);
	expect_limit(false, false, 1300, "out0");
	lab_sh("ip route del 10.77.2.2/32 dev out0");
	until_told(MTU, false);
}

/* What links take is counted without the tag (IEEE 802.3, 3.2.7). */
static void a_tag_is_on_top(void **state)
{
	struct flow_want want = want_of(false, false);
	struct frame in, out;

	(void)state;
	NEED_ROOT;
	lab.realms[1].vlan = 100;
	apply(&want);
	frame_of(&in, PHONE, RELAY, MTU);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_int_equal(out.size, in.size + 4);
	lab.realms[1].vlan = 0;
}

/* False: this kernel has none. */
static bool make_vlan(void)
{
	if (system("ip link add link out0 name out0.100 mtu 1400 type vlan id 100 2>/dev/null"))
		return false;
	lab_sh("ip link set out0.100 up; ip route add 10.77.2.2/32 dev out0.100 src 10.77.2.1;"
	       "ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0.100 nud permanent");
	return true;
}

static void expect_vlan(struct frame *in)
{
	struct frame out;

	frame_of(in, PHONE, RELAY, VLAN_MTU);
	assert_int_equal(relay_run(in, &out), XDP_REDIRECT);
	assert_int_equal(relay_by_kernel(), 0);
	assert_int_equal(out.size, in->size + 4);
	frame_of(in, PHONE, RELAY, VLAN_MTU + 1);
}

static void a_vlan_that_takes_less(bool user)
{
	struct flow_want want = want_of(false, false);
	struct frame in, out;

	NEED_ROOT;
	if (!make_vlan()) {
		print_message("this kernel has no VLAN interfaces\n");
		skip();
	}
	lab.realms[1].vlan = 100;
	apply(&want);
	until_told(VLAN_MTU, true);
	expect_vlan(&in);
	if (user) {
		assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
		assert_int_equal(relay_by_kernel(), if_nametoindex("out0.100"));
		assert_int_equal(out.size, in.size + 4);
	} else {
		relay_expect_left_to_kernel(&in, &want, "up_mtu", "out0.100");
	}
	lab.realms[1].vlan = 0;
	lab_sh("ip link del out0.100");
}

static void xdp_and_a_vlan_that_takes_less(void **state)
{
	(void)state;
	a_vlan_that_takes_less(false);
}

static void the_relay_and_a_vlan_that_takes_less(void **state)
{
	(void)state;
	a_vlan_that_takes_less(true);
}

/* Of the source's rate, of what was learned and of its counters nothing is used up by XDP. */
static void what_goes_up_is_judged_once(void **state)
{
	struct flow_want want = want_of(false, true);
	struct rtpfwd_counters before;
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.rate = 50;
	apply(&want);
	frame_of(&f, PHONE, RELAY, 200);
	relay_expect_forwarded(&f, &want);
	before = lab.dp->slots[slot].counters;
	frame_of(&f, PHONE, RELAY, MTU);
	relay_expect_left_to_kernel(&f, &want, "up_mtu", "out0");
	assert_memory_equal(&lab.dp->slots[slot].counters, &before, sizeof(before));
	frame_of(&f, STRANGER, RELAY, MTU);
	relay_expect_drop(&f, "wrong_source", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(links_alike_ask_of_no_packet),
		T(a_smaller_link),
		T(a_larger_link_that_they_come_in_by),
		T(a_header_of_ipv6_instead_of_ipv4),
		T(a_header_of_ipv4_instead_of_ipv6),
		T(ipv6_over_a_smaller_link),
		T(a_route_that_takes_less),
		T(a_tag_is_on_top),
		T_XDP(xdp_and_a_vlan_that_takes_less),
		T_USER(the_relay_and_a_vlan_that_takes_less),
		T_XDP(what_goes_up_is_judged_once),
	};

	return relay_run_tests(tests, relay_start, relay_stop);
}
