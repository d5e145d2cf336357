// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real packets through real interfaces, counted at the far end: modes, and next hops kept true
 * while neighbours, links and routes change under live media.
 */
#include "lab.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define PHONE  "10.77.1.2:5004"
#define RELAY  "10.77.1.1:20000"
#define FAR    "10.77.2.2:6000"
#define BEHIND "198.51.100.5:6000" /* a network behind a router */
#define BURST  50

static struct world world;
static struct lab lab;
static int ph0, ph1; /* packet sockets at the far ends */

static int packet_socket(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int room = 1 << 20; /* a redirected frame is charged as a page: by default 48 fit */
	int fd;

	lab_enter(world.far);
	at.sll_ifindex = (int)if_nametoindex(interface);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	lab_enter(world.node);
	return fd;
}

static void far_sh(const char *command)
{
	lab_enter(world.far);
	lab_sh(command);
	lab_enter(world.node);
}

static void begin(bool polled, enum conf_xdp xdp)
{
	lab_world(&world, polled);
	ph0 = packet_socket("ph0");
	ph1 = packet_socket("ph1");
	lab_conf(&lab, "in0", "out0", xdp);
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
}

static void end(void)
{
	lab_close(&lab);
	lab_detach(&lab);
	close(ph0);
	close(ph1);
	lab_world_end(&world);
}

static void forward_to(const char *to)
{
	const struct flow_want want = {
		.local = lab_addr(RELAY),
		.owner = 7,
		.kind = FLOW_RTP,
		.mode = FLOW_FORWARD,
		.expect = lab_addr(PHONE),
		.from = lab_addr("10.77.2.1:20010"),
		.to = lab_addr(to),
		.egress_realm = 1,
		.clock_rate = 8000,
	};

	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

static struct flow_counters counters(void)
{
	struct addr local = lab_addr(RELAY);
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &local, &c), 0);
	return c;
}

static const char *mode(size_t i)
{
	struct datapath_interface_report reports[2];

	assert_int_equal(datapath_interfaces(lab.dp, reports, 2), 2);
	return reports[i].mode;
}

static void phone_speaks(int packets)
{
	static uint16_t seq;
	struct frame f;

	for (int i = 0; i < packets; i++) {
		frame_rtp(&f, PHONE, RELAY, ++seq);
		assert_int_equal(write(ph0, f.bytes, f.size), f.size);
	}
}

/* Media that has arrived at a far end since the last call; the frame of the last one goes to
 * `last`. */
static int heard(int fd, struct frame *last)
{
	static const uint8_t node[4] = { 10, 77, 2, 1 };
	struct frame f;
	ssize_t n;
	int count = 0;

	while ((n = recv(fd, f.bytes, sizeof(f.bytes), 0)) > 0) {
		f.size = (uint32_t)n;
		if (n < 214 || f.bytes[12] != 8 || f.bytes[23] != 17 ||
		    memcmp(f.bytes + 26, node, 4))
			continue;
		assert_true(frame_sums_right(&f));
		count++;
		if (last)
			*last = f;
	}
	return count;
}

struct expected {
	int fd;		 /* where */
	const char *mac; /* to whom; NULL: anybody */
};

/* The phone speaks until it is heard where it must be. */
static bool is_heard(void *ctx)
{
	const struct expected *e = ctx;
	struct frame last;

	phone_speaks(1);
	return heard(e->fd, &last) > 0 && (!e->mac || !memcmp(last.bytes, e->mac, 6));
}

static bool never_heard(const struct expected *e)
{
	return !lab_until(&lab, is_heard, (void *)e);
}

struct due_drop {
	const char *reason;
	uint64_t before;
};

static bool is_dropped(void *ctx)
{
	const struct due_drop *due = ctx;

	phone_speaks(1);
	return lab_drops(&lab, due->reason) > due->before;
}

static void until_heard(int fd, const char *mac)
{
	const struct expected e = { fd, mac };

	heard(fd, NULL); /* what came before does not count */
	assert_false(never_heard(&e));
}

static void until_dropped(const char *reason)
{
	struct due_drop due = { reason, lab_drops(&lab, reason) };

	assert_true(lab_until(&lab, is_dropped, &due));
	heard(ph1, NULL);
}

static bool burst_arrived(void *ctx)
{
	int *count = ctx;

	*count += heard(ph1, NULL);
	return *count >= BURST;
}

/* A burst, all of which must arrive and be counted. */
static void expect_burst(void)
{
	uint64_t before = counters().packets;
	int count = 0;

	heard(ph1, NULL);
	phone_speaks(BURST);
	assert_true(lab_until(&lab, burst_arrived, &count));
	assert_int_equal(count, BURST);
	assert_int_equal(counters().packets, before + BURST);
}

#define PH1_MAC "\x02\0\0\0\x02\x02"

static void native_where_both_ends_take_it(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(true, XDP_AUTO);
	assert_string_equal(mode(0), "native");
	assert_string_equal(mode(1), "native");
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	expect_burst();
	assert_int_equal(lab_drops(&lab, "tx_failed"), 0);
	end();
}

static void generic_where_the_other_end_takes_no_frames(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	assert_string_equal(mode(0), "generic");
	assert_string_equal(mode(1), "generic");
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	expect_burst();
	assert_int_equal(lab_drops(&lab, "tx_failed"), 0); /* the probe's frame was no media */
	end();
}

/* A new start, without live media, looks again; with live media it changes nothing. */
static void a_restart_reconsiders_the_mode(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	lab_close(&lab);
	far_sh("ethtool -K ph0 gro on >/dev/null; ethtool -K ph1 gro on >/dev/null");
	assert_int_equal(lab_open(&lab), 0);
	assert_string_equal(mode(1), "generic");
	expect_burst();
	datapath_remove(
		lab.dp,
		&(struct addr){ .family = AF_INET, .port = 20000, .v4 = lab_addr(RELAY).v4 }, NULL);
	lab_close(&lab);
	assert_int_equal(lab_open(&lab), 0);
	assert_string_equal(mode(0), "native");
	assert_string_equal(mode(1), "native");
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	expect_burst();
	end();
}

static bool all_failed(void *ctx)
{
	(void)ctx;
	return lab_drops(&lab, "tx_failed") >= BURST;
}

static void refused_frames_are_tx_failed(void **state)
{
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_NATIVE);
	assert_string_equal(mode(1), "native");
	lab_sh("ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent");
	slots = lab_slots(&lab);
	forward_to(FAR);
	assert_int_equal(slots[0].first.drop, 0);
	phone_speaks(BURST);
	assert_true(lab_until(&lab, all_failed, NULL));
	assert_int_equal(lab_drops(&lab, "tx_failed"), BURST);
	assert_int_equal(heard(ph1, NULL), 0);
	lab_unmap(NULL, slots);
	end();
}

static bool fell_to_generic(void *ctx)
{
	(void)ctx;
	phone_speaks(1);
	return !strcmp(mode(0), "generic") && !strcmp(mode(1), "generic");
}

static void auto_falls_to_generic_when_frames_are_refused(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(true, XDP_AUTO);
	assert_string_equal(mode(1), "native");
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	far_sh("ethtool -K ph1 gro off >/dev/null");
	assert_true(lab_until(&lab, fell_to_generic, NULL));
	until_heard(ph1, PH1_MAC);
	expect_burst();
	assert_true(lab_drops(&lab, "tx_failed") > 0);
	end();
}

struct jumbo {
	struct rtpfwd_control *control;
	struct rtpfwd_slot *slots;
	uint64_t lease, failed;
	unsigned int beats;
};

/* For four heartbeats the phone sends what the other network cannot carry; the fast path, which
 * would pass it up (fit_test.c), is not told so. */
static bool four_beats(void *ctx)
{
	static const uint8_t payload[1200] = { 0x80 };
	const struct frame_spec spec = {
		.from = PHONE, .to = RELAY, .payload = payload, .length = sizeof(payload)
	};
	struct jumbo *jumbo = ctx;
	struct frame f;

	frame_make(&f, &spec);
	jumbo->slots[0].first.flags &= ~(uint32_t)RTPFWD_F_FIT;
	assert_int_equal(write(ph0, f.bytes, f.size), f.size);
	if (jumbo->control->lease_until == jumbo->lease ||
	    lab_drops(&lab, "tx_failed") == jumbo->failed)
		return false;
	jumbo->lease = jumbo->control->lease_until;
	jumbo->failed = lab_drops(&lab, "tx_failed");
	return ++jumbo->beats > 4;
}

/* It is refused before the driver sees it: that one sender changes nobody's mode. */
static void frames_too_long_are_no_fault_of_the_driver(void **state)
{
	struct jumbo jumbo;

	(void)state;
	NEED_ROOT;
	begin(true, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	lab_sh("ip link set out0 mtu 1000");
	jumbo = (struct jumbo){ .control = lab_control(&lab), .slots = lab_slots(&lab) };
	assert_true(lab_until(&lab, four_beats, &jumbo));
	assert_string_equal(mode(0), "native");
	assert_string_equal(mode(1), "native");
	until_heard(ph1, PH1_MAC);
	lab_unmap(jumbo.control, jumbo.slots);
	end();
}

static void an_unknown_neighbour_is_resolved_at_once(void **state)
{
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	slots = lab_slots(&lab);
	forward_to(FAR);
	assert_int_equal(slots[0].first.drop, RTPFWD_R_no_neighbour);
	until_heard(ph1, PH1_MAC);
	lab_unmap(NULL, slots);
	end();
}

/* "I am 10.77.2.2", to everybody. */
static void announce(const char *mac)
{
	uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0,	0,  8, 6,
			    0,	  1,	8,    0,    6,	  4,	0, 1, 0, 0, 0,	0,  0, 0,
			    10,	  77,	2,    2,    0,	  0,	0, 0, 0, 0, 10, 77, 2, 2 };

	memcpy(arp + 6, mac, 6);
	memcpy(arp + 22, mac, 6);
	assert_int_equal(write(ph1, arp, sizeof(arp)), sizeof(arp));
}

static void a_gratuitous_arp_moves_the_media(void **state)
{
	struct flow_counters c;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	/* An update within a second of the last one is taken for a race: the kernel would ignore
	 * it. */
	lab_sh("sysctl -qw net.ipv4.neigh.out0.locktime=0");
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	announce("\x02\0\0\0\x02\x77");
	until_heard(ph1, "\x02\0\0\0\x02\x77");
	announce(PH1_MAC);
	until_heard(ph1, PH1_MAC);
	expect_burst();
	c = counters();
	assert_int_equal(c.lost, 0);
	assert_int_equal(c.wrong_source, 0);
	end();
}

static void a_failed_neighbour_is_asked_again(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	far_sh("ip link set ph1 arp off");
	lab_sh("ip neigh replace 10.77.2.2 dev out0 nud failed");
	until_dropped("no_neighbour");
	far_sh("ip link set ph1 arp on");
	until_heard(ph1, PH1_MAC);
	expect_burst();
	end();
}

static void a_flushed_neighbour_costs_no_packet(void **state)
{
	int sent = 0, count = 0;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	heard(ph1, NULL);
	for (; sent < BURST; sent++) {
		if (sent == BURST / 2)
			lab_sh("ip neigh flush dev out0; ip neigh del 10.77.2.2 dev out0 "
			       "2>/dev/null || true");
		phone_speaks(1);
		event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	}
	assert_true(lab_until(&lab, burst_arrived, &count));
	assert_int_equal(count, BURST);
	assert_int_equal(lab_drops(&lab, "no_neighbour") + lab_drops(&lab, "no_route"),
			 counters().dropped);
	end();
}

static void a_link_goes_down_and_comes_back(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	lab_sh("ip link set out0 down");
	until_dropped("no_route");
	lab_sh("ip link set out0 up");
	until_heard(ph1, PH1_MAC);
	expect_burst();
	end();
}

static bool went_behind(void *ctx)
{
	struct frame last;

	(void)ctx;
	return heard(ph1, &last) && !memcmp(last.bytes + 30, "\xc6\x33\x64\x05", 4);
}

static void routes_are_followed(void **state)
{
	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(BEHIND);
	until_dropped("no_route");
	lab_sh("ip route add 198.51.100.0/24 via 10.77.2.2");
	until_heard(ph1, PH1_MAC);
	heard(ph0, NULL);
	/* Another realm's network: an outside description must not aim the relay at inside hosts.
	 */
	lab_sh("ip route replace 198.51.100.0/24 via 10.77.1.2");
	until_dropped("no_route");
	assert_int_equal(heard(ph0, NULL), 0);
	lab_sh("ip route replace 198.51.100.0/24 via 10.77.2.2");
	until_heard(ph1, PH1_MAC);
	phone_speaks(1);
	assert_true(lab_until(&lab, went_behind, NULL));
	lab_sh("ip route del 198.51.100.0/24");
	until_dropped("no_route");
	end();
}

static bool is_off(void *ctx)
{
	(void)ctx;
	return !strcmp(mode(1), "off");
}

static void an_interface_made_anew_is_attached_again(void **state)
{
	char command[256];

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	lab_sh("ip link del out0");
	assert_true(lab_until(&lab, is_off, NULL));
	until_dropped("no_route");
	close(ph1);
	snprintf(command, sizeof(command),
		 "ip link add out0 address 02:00:00:00:02:01 type veth peer name ph1 address "
		 "02:00:00:00:02:02;"
		 "ip addr add 10.77.2.1/24 dev out0; ip link set ph1 netns /proc/%d/fd/%d; ip link "
		 "set out0 up",
		 getpid(), world.far);
	lab_sh(command);
	far_sh("ip addr add 10.77.2.2/24 dev ph1; ip link set ph1 up");
	ph1 = packet_socket("ph1");
	until_heard(ph1, PH1_MAC);
	assert_string_equal(mode(1), "generic");
	expect_burst();
	end();
}

static bool mac_is_new(void *ctx)
{
	const struct rtpfwd_slot *slots = ctx;

	return slots[0].select == RTPFWD_FIRST &&
	       !memcmp(slots[0].first.to_mac, "\x06\0\0\0\0\x09", 6);
}

/* More news than the socket holds while the loop is busy elsewhere; the one that matters is among
 * those lost. */
static void lost_news_are_made_up_for(void **state)
{
	struct rtpfwd_slot *slots;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	slots = lab_slots(&lab);
	lab_sh("for i in $(seq 1 120); do for j in $(seq 1 120); do echo \"route add 198.18.$i.$j "
	       "dev out0\"; done; done | ip -batch -");
	lab_sh("ip neigh replace 10.77.2.2 lladdr 06:00:00:00:00:09 dev out0 nud permanent");
	assert_true(lab_until(&lab, mac_is_new, slots));
	lab_unmap(NULL, slots);
	end();
}

/* A bridge tells in the same group what it lets go, as a link that is deleted. */
static void a_bridge_that_lets_go_takes_nothing_away(void **state)
{
	struct rtpfwd_slot *slots;
	uint32_t id;

	(void)state;
	NEED_ROOT;
	begin(false, XDP_AUTO);
	forward_to(FAR);
	until_heard(ph1, PH1_MAC);
	id = lab_link_id(&lab, "out0");
	slots = lab_slots(&lab);
	lab_sh("ip link add bridge0 type bridge; ip link set out0 master bridge0;"
	       "ip link set out0 nomaster; ip link del bridge0;"
	       "ip neigh replace 10.77.2.2 lladdr 06:00:00:00:00:09 dev out0 nud permanent");
	assert_true(lab_until(&lab, mac_is_new, slots));
	assert_int_equal(lab_link_id(&lab, "out0"), id);
	lab_unmap(NULL, slots);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(native_where_both_ends_take_it),
		cmocka_unit_test(generic_where_the_other_end_takes_no_frames),
		cmocka_unit_test(a_restart_reconsiders_the_mode),
		cmocka_unit_test(refused_frames_are_tx_failed),
		cmocka_unit_test(auto_falls_to_generic_when_frames_are_refused),
		cmocka_unit_test(frames_too_long_are_no_fault_of_the_driver),
		cmocka_unit_test(an_unknown_neighbour_is_resolved_at_once),
		cmocka_unit_test(a_gratuitous_arp_moves_the_media),
		cmocka_unit_test(a_failed_neighbour_is_asked_again),
		cmocka_unit_test(a_flushed_neighbour_costs_no_packet),
		cmocka_unit_test(a_link_goes_down_and_comes_back),
		cmocka_unit_test(routes_are_followed),
		cmocka_unit_test(an_interface_made_anew_is_attached_again),
		cmocka_unit_test(lost_news_are_made_up_for),
		cmocka_unit_test(a_bridge_that_lets_go_takes_nothing_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
