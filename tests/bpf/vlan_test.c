// SPDX-License-Identifier: GPL-2.0-or-later
/* A realm's media in a VLAN whose routes lie over an interface of its own, out0.100: it leaves by
 * the card under it, tagged. */
#include "relay.h"
#include "datapath/priv.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

static bool no_vlans; /* in this kernel */

#define NEED_VLANS                                                                                 \
	do {                                                                                       \
		NEED_ROOT;                                                                         \
		if (no_vlans) {                                                                    \
			print_message("this kernel has no VLAN interfaces\n");                     \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

#define NEIGHBOUR4 "ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0.100 nud permanent;"
#define NEIGHBOUR6                                                                                 \
	"ip neigh replace 2001:db8:2::2 lladdr 02:00:00:00:02:02 dev out0.100 nud permanent"

static void make_tagged(struct lab *l)
{
	l->realms[1].vlan = 100;
}

static int start(void **state)
{
	int err = relay_start_as(make_tagged);

	(void)state;
	if (err || geteuid())
		return err;
	no_vlans = system("ip link add link out0 name out0.100 type vlan id 100 2>/dev/null");
	if (no_vlans)
		return 0;
	lab_sh("ip addr del 10.77.2.1/24 dev out0; ip addr add 10.77.2.1/24 dev out0.100;"
	       "ip addr del 2001:db8:2::1/64 dev out0;"
	       "ip addr add 2001:db8:2::1/64 dev out0.100 nodad;"
	       "sysctl -qw net.ipv6.conf.out0/100.keep_addr_on_down=1;"
	       "ip link set out0.100 up; " NEIGHBOUR4 NEIGHBOUR6);
	return 0;
}

static struct flow_want want_of(bool ipv6)
{
	struct flow_want want = relay_want();

	if (ipv6) {
		want.from = lab_addr(OUT6);
		want.to = lab_addr(FAR6);
	}
	return want;
}

/* What came with `in_tag` leaves with `out_tag`; below 0: none. */
static void expect(bool ipv6, int in_tag, uint16_t out_tag)
{
	struct flow_want want = want_of(ipv6);
	struct frame in, out, due;

	relay_apply(&want);
	frame_rtp(&in, PHONE, RELAY, 7);
	relay_due(&due, &in, &want, OUT_MACS);
	frame_tag(&due, out_tag);
	if (in_tag >= 0)
		frame_tag(&in, (uint16_t)in_tag);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_int_equal(out.size, due.size);
	assert_memory_equal(out.bytes, due.bytes, due.size);
	relay_remove(NULL);
}

static void a_route_over_the_vlans_interface(void **state)
{
	(void)state;
	NEED_VLANS;
	lab.realms[1].vlan = 100;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		expect(ipv6, -1, 100);
		expect(ipv6, 5, 100);
	}
}

static void whichever_vlan_where_tags_are_kept(void **state)
{
	(void)state;
	NEED_VLANS;
	lab.realms[1].vlan = CONF_VLAN_KEEP;
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		expect(ipv6, 100, 100);
}

static void another_vlans_interface_is_no_route(void **state)
{
	static const uint16_t others[] = { 0, 101 };
	struct flow_want want;
	struct frame f;

	(void)state;
	NEED_VLANS;
	frame_rtp(&f, PHONE, RELAY, 7);
	for (int i = 0; i < 4; i++) {
		lab.realms[1].vlan = others[i / 2];
		want = want_of(i % 2);
		relay_apply(&want);
		relay_expect_drop(&f, "no_route", true);
		relay_remove(NULL);
	}
}

struct wait {
	uint32_t verdict;
};

static bool is_verdict(void *ctx)
{
	const struct wait *wait = ctx;
	struct frame in, out;

	frame_rtp(&in, PHONE, RELAY, 7);
	return relay_run(&in, &out) == wait->verdict;
}

/* All news have been heard, up to that of another MAC, and every route was asked for again. */
static bool is_heard(void *ctx)
{
	struct frame in, out;

	(void)ctx;
	frame_rtp(&in, PHONE, RELAY, 7);
	return relay_run(&in, &out) == XDP_REDIRECT && out.bytes[5] == 0x77 &&
	       !timer_running(&lab.dp->refresh);
}

/* IPv4's routes go without a word, which IPv6's news would cover for. */
static void leave_ipv6(void)
{
	lab_sh("sysctl -qw net.ipv6.conf.out0/100.disable_ipv6=1;"
	       "ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:77 dev out0.100 nud permanent");
	assert_true(lab_until(&lab, is_heard, NULL));
}

static void the_vlans_interface_goes_down_and_up(void **state)
{
	struct wait forwarded = { XDP_REDIRECT }, dropped = { XDP_DROP };

	(void)state;
	NEED_VLANS;
	lab.realms[1].vlan = 100;
	for (int ipv6 = 1; ipv6 >= 0; ipv6--) {
		struct flow_want want = want_of(ipv6);
		uint64_t before = lab_drops(&lab, "no_route");

		relay_apply(&want);
		assert_true(is_verdict(&forwarded));
		if (!ipv6)
			leave_ipv6();
		lab_sh("ip link set out0.100 down");
		assert_true(lab_until(&lab, is_verdict, &dropped));
		assert_true(lab_drops(&lab, "no_route") > before);
		lab_sh("ip link set out0.100 up; " NEIGHBOUR4);
		if (ipv6)
			lab_sh(NEIGHBOUR6);
		assert_true(lab_until(&lab, is_verdict, &forwarded));
		relay_remove(NULL);
	}
}

/* The verdict of a packet whose next hop nobody knows yet, and the interface by which the kernel is
 * to send it. */
static uint32_t run_unresolved(uint16_t vlan, uint32_t *by_kernel)
{
	struct flow_want want = relay_want();
	struct frame in, out;
	uint32_t verdict;

	lab_sh("ip neigh del 10.77.2.2 dev out0.100");
	lab.dp->user.program = "rtpfwd";
	lab.realms[1].vlan = vlan;
	relay_apply(&want);
	lab.dp->user.program = NULL;
	frame_rtp(&in, PHONE, RELAY, 7);
	frame_tag(&in, 100);
	verdict = relay_run(&in, &out);
	*by_kernel = relay_by_kernel();
	relay_remove(NULL);
	lab_sh(NEIGHBOUR4);
	return verdict;
}

/* By the interface of the VLAN, which tags it; whichever that is where tags are kept. */
static void xdp_passes_up_what_is_unresolved_in_a_vlan(void **state)
{
	uint64_t before;
	uint32_t by;

	(void)state;
	NEED_VLANS;
	before = lab_drops(&lab, "up_unresolved");
	assert_int_equal(run_unresolved(100, &by), XDP_PASS);
	assert_int_equal(run_unresolved(CONF_VLAN_KEEP, &by), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "up_unresolved"), before + 2);
}

static void the_relay_forwards_what_is_unresolved_in_a_vlan(void **state)
{
	uint32_t by;

	(void)state;
	NEED_VLANS;
	assert_int_equal(run_unresolved(100, &by), XDP_REDIRECT);
	assert_int_equal(by, if_nametoindex("out0.100"));
	assert_int_equal(run_unresolved(CONF_VLAN_KEEP, &by), XDP_REDIRECT);
	assert_int_equal(by, if_nametoindex("out0.100"));
}

/* No interface of its own tags it: nobody but XDP can send what is in that VLAN. */
static void without_the_vlans_interface_nothing_waits(void **state)
{
	struct flow_want want = relay_want();
	struct frame f;

	(void)state;
	NEED_ROOT;
	want.to = lab_addr("10.77.2.9:6000");
	lab_sh("ip addr add 10.77.2.99/32 dev out0; ip route add 10.77.2.9/32 dev out0");
	lab.dp->user.program = "rtpfwd";
	lab.realms[1].vlan = 100;
	relay_apply(&want);
	lab.dp->user.program = NULL;
	frame_rtp(&f, PHONE, RELAY, 7);
	relay_expect_drop(&f, "no_neighbour", true);
	lab_sh("ip route del 10.77.2.9/32 dev out0; ip addr del 10.77.2.99/32 dev out0");
}

static bool is_above(void *ctx)
{
	const struct link *card = link_by_name(lab.dp, "out0");

	(void)ctx;
	return rtpfwd_upper_link(lab.dp->uppers, if_nametoindex("out0.100")) == card->key;
}

/* Fragments that came tagged reach a socket by that one: it is known, soon after it was made. */
static void what_is_passed_up_comes_by_the_vlans_interface(void **state)
{
	(void)state;
	NEED_VLANS;
	assert_true(lab_until(&lab, is_above, NULL));
	assert_int_equal(rtpfwd_upper_link(lab.dp->uppers, if_nametoindex("lo")), RTPFWD_MAX_LINKS);
	assert_int_equal(rtpfwd_upper_link(lab.dp->uppers, 0), RTPFWD_MAX_LINKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_XDP(a_route_over_the_vlans_interface),
		T_XDP(whichever_vlan_where_tags_are_kept),
		T_XDP(another_vlans_interface_is_no_route),
		T_XDP(the_vlans_interface_goes_down_and_up),
		T_XDP(xdp_passes_up_what_is_unresolved_in_a_vlan),
		T_USER(the_relay_forwards_what_is_unresolved_in_a_vlan),
		T(without_the_vlans_interface_nothing_waits),
		T_XDP(what_is_passed_up_comes_by_the_vlans_interface),
	};

	return relay_run_tests(tests, start, relay_stop);
}
