// SPDX-License-Identifier: GPL-2.0-or-later
/* Which next hops the kernel is asked for, and when: what goes to rtnetlink is counted, and may be
 * made to fail. */
#include "relay.h"

#include "datapath/priv.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define FAR2	"10.77.2.3:6000"
#define LATER	"10.77.1.1:20004"
#define CROWD	600 /* who do not answer: more than are asked in one second */

static bool refused;   /* no question about a route gets to the kernel */
static int asked[2];   /* questions about the route to FAR, to FAR2 */
static int used[CROWD]; /* times that the kernel was told to ask for that neighbour */

static void note_route(const void *address)
{
	const struct addr far = lab_addr(FAR), far2 = lab_addr(FAR2);

	asked[0] += !memcmp(address, &far.v4, 4);
	asked[1] += !memcmp(address, &far2.v4, 4);
}

static void note_neighbour(const uint8_t *address)
{
	unsigned int number = ((unsigned int)address[2] - 1) << 8 | address[3];

	if (address[0] == 10 && address[1] == 88 && number < CROWD)
		used[number]++;
}

/* libmnl's. */
ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *buffer, size_t size)
{
	const struct nlmsghdr *nlh = buffer;
	size_t head = nlh->nlmsg_type == RTM_GETROUTE ? sizeof(struct rtmsg) : sizeof(struct ndmsg);
	const struct nlattr *attr = mnl_nlmsg_get_payload_offset(nlh, head);

	if (nlh->nlmsg_type == RTM_GETROUTE)
		note_route(mnl_attr_get_payload(attr));
	else if (nlh->nlmsg_type == RTM_NEWNEIGH)
		note_neighbour(mnl_attr_get_payload(attr));
	if (refused && nlh->nlmsg_type == RTM_GETROUTE) {
		errno = ENOBUFS;
		return -1;
	}
	return send(mnl_socket_get_fd(nl), buffer, size, 0);
}

static void more_ports(struct lab *l)
{
	l->realms[1].port_hi = 21999;
}

static int start(void **state)
{
	int err;

	(void)state;
	err = relay_start_as(more_ports);
	if (!err && !geteuid())
		lab_sh("ip neigh replace 10.77.2.3 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
		       "ip neigh replace 10.77.2.4 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
		       "ip addr add 10.88.255.1/16 dev in0");
	return err;
}

static struct flow_want want_to(const char *local, const char *to)
{
	struct flow_want want = relay_want();

	want.local = lab_addr(local);
	want.to = lab_addr(to);
	return want;
}

/* The relay's own flow to FAR, and beside it one to FAR2. */
static void apply_both(void)
{
	struct flow_want want = relay_want(), other = want_to("10.77.1.1:20002", FAR2);

	relay_apply(&want);
	assert_int_equal(datapath_apply(lab.dp, &other), 0);
}

static bool is_quiet(void *turns)
{
	int *left = turns;

	*left = timer_running(&lab.dp->refresh) ? 10 : *left - 1;
	return *left == 0;
}

/* News that have been told are read, and worked off: the kernel tells them at once. */
static void settle(void)
{
	int turns = 10;

	assert_true(lab_until(&lab, is_quiet, &turns));
}

/* Nobody has a turn meanwhile. */
static void start_asking(void)
{
	timer_stop(&lab.dp->tick);
	settle();
	memset(asked, 0, sizeof(asked));
}

static bool was_asked_twice(void *ctx)
{
	(void)ctx;
	return asked[0] >= 2;
}

/* Once, and once more when it is quiet. */
static void who_is_not_concerned_is_not_asked_for(void **state)
{
	(void)state;
	NEED_ROOT;
	apply_both();
	start_asking();
	lab_sh("ip route add 198.51.100.0/24 dev out0; ip route add 10.77.2.2/32 dev out0");
	assert_true(lab_until(&lab, was_asked_twice, NULL));
	settle();
	assert_int_equal(asked[1], 0);
	start_asking();
	lab_sh("ip route del 10.77.2.2/32 dev out0; ip route del 198.51.100.0/24 dev out0");
	assert_true(lab_until(&lab, was_asked_twice, NULL));
	settle();
	assert_int_equal(asked[1], 0);
}

static bool all_were_asked(void *ctx)
{
	(void)ctx;
	return asked[0] && asked[1];
}

/* A default route, a rule, an address; and more prefixes at once than are remembered. */
static void what_may_concern_all_asks_for_all(void **state)
{
	static const char *const news[] = {
		"ip route add default via 10.77.2.2",
		"ip route del default via 10.77.2.2",
		"ip rule add to 192.0.2.0/24 lookup 77",
		"ip rule del to 192.0.2.0/24 lookup 77",
		"ip addr add 10.99.0.1/24 dev out0",
		"ip addr del 10.99.0.1/24 dev out0",
		"for i in $(seq 99); do echo route add 198.51.100.$i dev out0; done | ip -batch -",
		"for i in $(seq 99); do echo route del 198.51.100.$i dev out0; done | ip -batch -",
	};

	(void)state;
	NEED_ROOT;
	apply_both();
	for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++) {
		start_asking();
		lab_sh(news[i]);
		if (!lab_until(&lab, all_were_asked, NULL))
			fail_msg("nobody asked: %s", news[i]);
	}
}

/* News of it come in bursts, of more than are remembered of different ones. */
static void a_route_that_flaps_concerns_its_own_alone(void **state)
{
	(void)state;
	NEED_ROOT;
	apply_both();
	start_asking();
	lab_sh("for i in $(seq 1000); do echo route add 10.77.2.2 dev out0;"
	       " echo route del 10.77.2.2 dev out0; done | ip -batch -");
	assert_true(lab_until(&lab, was_asked_twice, NULL));
	settle();
	assert_int_equal(asked[1], 0);
	assert_in_range(asked[0], 2, 200);
}

/* News as they come while a whole table is read in, one after the other. */
static void news_without_a_pause_put_nothing_off(void **state)
{
	struct timespec longer = { .tv_nsec = 2000000 };
	uint64_t due;

	(void)state;
	NEED_ROOT;
	apply_both();
	start_asking();
	news_route(lab.dp, NULL);
	due = lab.dp->refresh.due_us;
	for (int i = 0; i < 5; i++) {
		nanosleep(&longer, NULL);
		news_route(lab.dp, NULL);
		assert_int_equal(lab.dp->refresh.due_us, due);
	}
	assert_true(lab_until(&lab, all_were_asked, NULL));
}

static bool was_asked_twice_amid_news(void *ctx)
{
	lab_sh("ip route add 198.51.100.0/24 dev out0; ip route del 198.51.100.0/24 dev out0");
	return was_asked_twice(ctx);
}

/* A routing daemon's, of other destinations. */
static void news_without_end_do_not_put_off_the_second_question(void **state)
{
	(void)state;
	NEED_ROOT;
	apply_both();
	start_asking();
	lab_sh("ip route add 10.77.2.2/32 dev out0");
	assert_true(lab_until(&lab, was_asked_twice_amid_news, NULL));
	lab_sh("ip route del 10.77.2.2/32 dev out0");
	settle();
}

static bool has_a_route(void *ctx)
{
	struct frame f;

	frame_rtp(&f, PHONE, ctx, 7);
	return relay_run(&f, NULL) == XDP_REDIRECT;
}

/* That the kernel had no room for a question says nothing of a route. */
static void an_unanswered_question_is_not_no_route(void **state)
{
	struct flow_want want = relay_want(), late = want_to(LATER, "10.77.2.4:6000");
	uint64_t before = geteuid() ? 0 : lab_drops(&lab, "no_route");
	struct frame f;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	start_asking();
	refused = true;
	news_route(lab.dp, NULL);
	assert_true(lab_until(&lab, was_asked_twice, NULL));
	frame_rtp(&f, PHONE, RELAY, 1);
	relay_expect_forwarded(&f, &want);
	assert_int_equal(lab_drops(&lab, "no_route"), before);
	assert_int_equal(datapath_apply(lab.dp, &late), 0); /* of this one nothing is known yet */
	frame_rtp(&f, PHONE, LATER, 1);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "no_route"), before + 1);
	refused = false;
	assert_true(lab_until(&lab, has_a_route, (void *)LATER));
	frame_rtp(&f, PHONE, RELAY, 2);
	relay_expect_forwarded(&f, &want);
}

static struct nexthop *hop_of(const char *local)
{
	struct addr at = lab_addr(local);
	uint32_t slot;

	assert_int_equal(layout_find(&lab.dp->layout, &at, &slot, NULL), 0);
	return lab.dp->flows[slot]->hop;
}

static void look_times(int times)
{
	while (times-- > 0)
		nexthop_look(lab.dp);
}

/* One in a second where they are few, and all before one comes again, whoever goes meanwhile. */
static void all_are_asked_in_turn(void **state)
{
	struct flow_want third = want_to(LATER, "10.77.2.4:6000");

	(void)state;
	NEED_ROOT;
	apply_both();
	assert_int_equal(datapath_apply(lab.dp, &third), 0);
	start_asking();
	assert_int_equal(HASH_COUNT(lab.dp->hops), 3);
	for (int round = 1; round <= 3; round++) {
		look_times(3);
		assert_int_equal(asked[0], round);
		assert_int_equal(asked[1], round);
	}
	lab.dp->next_look = hop_of(LATER);
	datapath_remove(lab.dp, &third.local, NULL);
	look_times(4);
	assert_int_equal(asked[0], 5);
	assert_int_equal(asked[1], 5);
}

/* What is as it was is not even looked at. */
static void what_has_not_changed_is_not_published(void **state)
{
	struct flow_want want = relay_want();
	struct rtpfwd_path *paths = lab.dp ? lab.dp->rests[0].path : NULL;

	(void)state;
	NEED_ROOT;
	relay_apply(&want);
	start_asking();
	assert_int_equal(paths[0].mtu, 1500);
	paths[0].mtu = 999;
	lab.dp->next_look = hop_of(RELAY);
	nexthop_look(lab.dp);
	assert_int_equal(asked[0], 1);
	assert_int_equal(lab.dp->slots[0].select, RTPFWD_FIRST);
	hop_of(RELAY)->mtu = 1400;
	lab.dp->next_look = hop_of(RELAY);
	nexthop_look(lab.dp);
	assert_int_equal(lab.dp->slots[0].select, RTPFWD_SECOND);
	assert_int_equal(paths[1].mtu, 1500);
}

static int egress_to(const char *to, const char *interface)
{
	struct addr from = lab_addr(OUT), at = lab_addr(to);
	unsigned int ifindex = 99;
	int err = datapath_egress(&ifindex, lab.dp, 1, &from, &at);

	assert_int_equal(ifindex, interface ? if_nametoindex(interface) : 0);
	return err;
}

static void expect_home(int err)
{
	assert_int_equal(egress_to(LATER, NULL), err);
	assert_int_equal(egress_to("[2001:db8:1::1]:20004", NULL), err);
}

/* To a relay port, the kernel's own: of whichever realm that is, but of this host. */
static void what_is_sent_beside_flows_has_a_way(void **state)
{
	(void)state;
	NEED_ROOT;
	assert_int_equal(egress_to(FAR, "out0"), 0);
	expect_home(0);
	assert_int_equal(egress_to("10.77.1.1:9", NULL), -ENETUNREACH);
	assert_int_equal(egress_to(PHONE, NULL), -ENETUNREACH); /* another realm's */
	lab_sh("ip addr del 10.77.1.1/24 dev in0; ip addr del 2001:db8:1::1/64 dev in0");
	expect_home(-ENETUNREACH);
	lab_sh("ip addr add 10.77.1.1/24 dev in0; ip addr add 2001:db8:1::1/64 dev in0 nodad");
	refused = true;
	assert_int_equal(egress_to(FAR, NULL), -EAGAIN);
	expect_home(-EAGAIN);
	refused = false;
}

static void apply_crowd(void)
{
	char local[32], to[32];

	for (int i = 0; i < CROWD; i++) {
		struct flow_want want;

		snprintf(local, sizeof(local), "10.77.2.1:%d", 20100 + 2 * i);
		snprintf(to, sizeof(to), "10.88.%d.%d:6000", 1 + (i >> 8), i & 255);
		want = want_to(local, to);
		want.from = lab_addr(RELAY);
		want.egress_realm = 0;
		assert_int_equal(datapath_apply(lab.dp, &want), 0);
	}
}

static void remove_crowd(void)
{
	char local[32];

	for (int i = 0; i < CROWD; i++) {
		struct addr at;

		snprintf(local, sizeof(local), "10.77.2.1:%d", 20100 + 2 * i);
		at = lab_addr(local);
		datapath_remove(lab.dp, &at, NULL);
	}
}

/* Whoever describes hundreds that are not there does not keep the others from being asked for. */
static void all_who_do_not_answer_have_their_turn(void **state)
{
	size_t before;

	(void)state;
	NEED_ROOT;
	before = datapath_neighbours(lab.dp, AF_INET);
	apply_crowd();
	assert_int_equal(datapath_neighbours(lab.dp, AF_INET), before + CROWD);
	assert_int_equal(datapath_neighbours(lab.dp, AF_INET6), 0);
	memset(used, 0, sizeof(used));
	lab.dp->kicked = 0;
	nexthop_kick(lab.dp);
	nexthop_kick(lab.dp);
	for (int i = 0; i < CROWD; i++)
		if (!used[i])
			fail_msg("10.88.%d.%d had no turn", 1 + (i >> 8), i & 255);
	remove_crowd();
	assert_int_equal(lab.dp->kicked, 0);
}

static uint32_t tx_of_out0(void)
{
	uint32_t key = link_by_name(lab.dp, "out0")->key, ifindex = 0;

	bpf_map_lookup_elem(lab.dp->fd.tx, &key, &ifindex);
	return ifindex;
}

static bool is_taken_out(void *ctx)
{
	(void)ctx;
	return !tx_of_out0();
}

static bool is_put_in(void *ctx)
{
	(void)ctx;
	return tx_of_out0();
}

/* It is still there, but not what the configuration names. */
static void a_renamed_interface_is_no_way_out(void **state)
{
	(void)state;
	NEED_ROOT;
	assert_int_not_equal(tx_of_out0(), 0);
	lab_sh("ip link set out0 down; ip link set out0 name other0; ip link set other0 up");
	assert_true(lab_until(&lab, is_taken_out, NULL));
	lab_sh("ip link set other0 down; ip link set other0 name out0; ip link set out0 up");
	assert_true(lab_until(&lab, is_put_in, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_XDP(who_is_not_concerned_is_not_asked_for),
		T_XDP(what_may_concern_all_asks_for_all),
		T_XDP(a_route_that_flaps_concerns_its_own_alone),
		T_XDP(news_without_a_pause_put_nothing_off),
		T_XDP(news_without_end_do_not_put_off_the_second_question),
		T_XDP(an_unanswered_question_is_not_no_route),
		T_XDP(what_is_sent_beside_flows_has_a_way),
		T_XDP(all_are_asked_in_turn),
		T_XDP(what_has_not_changed_is_not_published),
		T_XDP(all_who_do_not_answer_have_their_turn),
		T_XDP(a_renamed_interface_is_no_way_out),
	};

	return relay_run_tests(tests, start, relay_stop);
}
