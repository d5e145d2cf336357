// SPDX-License-Identifier: GPL-2.0-or-later
/* The userspace relay as a process: its start, its turn, its successor. */
#include "relay.h"

#include "../../kmod/rtpfwd_nl.h"
#include "datapath/priv.h"
#include "datapath/user_send.h"
#include "datapath/user_sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LARGEST 65527 /* UDP payload that IPv6 carries */
#define FLOOD	200   /* events: as many as a pair of sockets holds */

static int fresh(void **state)
{
	relay_fresh(state);
	lab.events = (struct datapath_events){ 0 };
	lab.realms[0].xdp = lab.realms[1].xdp = XDP_OFF;
	lab_conf_ipv6(&lab);
	return 0;
}

static void open_with(const char *relay)
{
	lab.events.relay = relay;
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
}

/* Datagrams of IPv6 that the namespace has put together. */
static unsigned long reassembled(FILE *snmp)
{
	unsigned long n;
	char line[128];

	rewind(snmp);
	while (fgets(line, sizeof(line), snmp))
		if (sscanf(line, "Ip6ReasmOKs %lu", &n) == 1)
			return n;
	fail_msg("no Ip6ReasmOKs");
	return 0;
}

/* Sends RTP from the phone until `n` packets are there: a busy machine drops fragments. */
static void send_until(unsigned long n, FILE *snmp, uint8_t *rtp, size_t size)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons(5004) }, to = from;
	uint64_t until = loop_now_ms(lab.loop) + 20000;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	to.sin6_port = htons(20000);
	inet_pton(AF_INET6, "2001:db8:1::2", &from.sin6_addr);
	inet_pton(AF_INET6, "2001:db8:1::1", &to.sin6_addr);
	assert_int_equal(bind(fd, (void *)&from, sizeof(from)), 0);
	n += reassembled(snmp);
	rtp[0] = 0x80;
	for (int seq = 0; reassembled(snmp) < n && loop_now_ms(lab.loop) < until; seq++) {
		rtp[2] = (uint8_t)(seq >> 8);
		rtp[3] = (uint8_t)seq;
		assert_int_equal(sendto(fd, rtp, size, 0, (void *)&to, sizeof(to)), size);
	}
	close(fd);
}

/* While the relay looks away. */
static void send_at_once(unsigned long n, uint8_t *rtp, size_t size)
{
	FILE *snmp = fopen("/proc/thread-self/net/snmp6", "re"); /* the node's */
	int status;

	assert_non_null(snmp);
	relay_enter(true);
	lab_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0;"
	       "ip addr replace 2001:db8:1::2/64 dev ph0 nodad;"
	       "ip neigh replace 2001:db8:1::1 lladdr 02:00:00:00:01:01 dev ph0 nud permanent");
	assert_int_equal(kill(lab.dp->user.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(lab.dp->user.pid, &status, WUNTRACED), lab.dp->user.pid);
	send_until(n, snmp, rtp, size);
	assert_int_equal(kill(lab.dp->user.pid, SIGCONT), 0);
	relay_enter(false);
	fclose(snmp);
}

static struct flow_want encrypted(void)
{
	struct flow_want want = relay_want_of(true, true);

	want.out.suite = RTPFWD_AES_CM_128_HMAC_SHA1_80;
	memset(want.out.key, 0x5a, 30);
	return want;
}

/* No datagram is so long: behind the verdict they are refused by the kernel. */
static bool a_batch_has_left(void *ctx)
{
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, ctx, &c), 0);
	return c.packets >= USER_BATCH && lab_drops(&lab, "tx_failed") >= USER_BATCH;
}

/* In every buffer of a batch, the last one included, behind which nothing may be written. */
static void the_largest_datagram_has_room_for_its_tag(void **state)
{
	struct conf_peer peer = { .name = "phone", .encryption = ENCRYPTION_SDES };
	struct flow_want want = encrypted();
	uint8_t *rtp;
	pid_t relay;

	(void)state;
	NEED_ROOT;
	lab.conf.peers = &peer;
	lab.conf.n_peers = 1;
	open_with(lab_relay());
	assert_true(lab_until(&lab, relay_has_turn, NULL));
	relay = lab.dp->user.pid;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	rtp = calloc(1, LARGEST);
	assert_non_null(rtp);
	send_at_once(USER_BATCH + 16, rtp, LARGEST);
	free(rtp);
	assert_true(lab_until(&lab, a_batch_has_left, &want.local));
	assert_int_equal(lab.dp->user.pid, relay);
}

/* Where the routes lie over an interface that stands on the link: that tags, if tags are due. */
static void what_the_kernel_sends_needs_no_tag_yet(void **state)
{
	struct user_maps maps = { 0 };
	struct user_frame frame = { .maps = &maps };
	struct user_send send;
	int fds[USER_SOCKETS], far;
	uint8_t rtp[200];
	struct frame f;

	(void)state;
	NEED_ROOT;
	open_with(NULL);
	relay_enter(true);
	far = lab_udp_socket(FAR);
	relay_enter(false);
	maps.control = lab.dp->control;
	maps.relay = lab.dp->relay;
	assert_int_equal(user_sockets_open(fds), 0);
	user_send_init(&send, &maps, &fds[USER_PACKET]);
	frame_rtp(&f, OUT, FAR, 1);
	frame.begin = f.bytes;
	frame.end = f.bytes + f.size;
	frame.link = 0;
	frame.by_kernel = if_nametoindex("out0");
	assert_int_not_equal(maps.control->ifindex[0], frame.by_kernel);
	user_send_add(&send, &frame);
	assert_int_equal(recv(far, rtp, sizeof(rtp), 0), 172);
	assert_memory_equal(rtp, f.bytes + RTP_AT, 172);

	/* Out of a link that tags nothing it would be in another VLAN. */
	frame_tag(&f, 100);
	frame.end = f.bytes + f.size;
	frame.by_kernel = maps.control->ifindex[0];
	user_send_add(&send, &frame);
	assert_int_equal(lab_drops(&lab, "tx_failed"), 1);
	user_sockets_close(fds);
	close(far);
}

/* A call that goes through the node twice has such sources; they come by loopback. */
static void an_own_source_from_elsewhere_is_nobodys(void **state)
{
	struct flow_want want = relay_want_of(true, true);
	uint64_t until = loop_now_ms(lab.loop) + 10000;
	struct flow_counters c;
	struct frame f;
	int out;

	(void)state;
	NEED_ROOT;
	open_with(lab_relay());
	want.expect = lab_addr(OUT6);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	lab_sh("ip link add oob0 type veth peer name oob1;"
	       "ip link set oob0 address 02:00:00:00:03:01;"
	       "sysctl -qw net.ipv6.conf.oob0.disable_ipv6=0; ip link set oob0 up;"
	       "ip link set oob1 up");
	out = lab_packet_socket("oob1");
	frame_rtp(&f, OUT6, RELAY6, 1);
	memcpy(f.bytes, "\x02\0\0\0\x03\x01", 6);
	while (!guard_unserved(lab.dp) && loop_now_ms(lab.loop) < until) {
		assert_int_equal(write(out, f.bytes, f.size), f.size);
		usleep(10000);
	}
	assert_true(guard_unserved(lab.dp) > 0);
	assert_int_equal(datapath_counters(lab.dp, &want.local, &c), 0);
	assert_int_equal(c.packets + c.dropped, 0);
	lab_sh("ip link del oob0");
	close(out);
}

static bool has_begun_anew(void *ctx)
{
	return lab.dp->user.generation != *(uint32_t *)ctx;
}

/* What may still run is the one that had its turn: the count by which it tells what it is reading
 * is nobody else's. */
static void one_without_a_turn_is_not_followed_at_the_parity_of_who_runs(void **state)
{
	const uint32_t running = 5;
	uint32_t was;

	(void)state;
	NEED_ROOT;
	open_with(NULL);
	lab.dp->control->relay = running;
	lab_close(&lab);
	open_with("/bin/false");
	for (int i = 0; i < 2; i++) {
		was = lab.dp->user.generation;
		assert_int_not_equal(was % RTPFWD_RELAYS, running % RTPFWD_RELAYS);
		assert_true(lab_until(&lab, has_begun_anew, &was));
	}
	assert_int_not_equal(lab.dp->user.generation % RTPFWD_RELAYS, running % RTPFWD_RELAYS);
	assert_int_equal(lab.dp->control->relay, running);
}

static void generations_have_no_end(void **state)
{
	uint32_t was;

	(void)state;
	NEED_ROOT;
	open_with(NULL);
	lab.dp->control->relay = UINT32_MAX;
	lab_close(&lab);
	open_with("/bin/false");
	assert_int_equal(lab.dp->user.generation, 2); /* 0 is none, 1 of the same parity */
	lab.dp->user.generation = was = UINT32_MAX - 1;
	assert_true(lab_until(&lab, has_begun_anew, &was));
	assert_int_equal(lab.dp->user.generation, 2);
}

static bool has_ended(void *ctx)
{
	(void)ctx;
	return waitpid(lab.dp->user.pid, NULL, WNOHANG) == lab.dp->user.pid;
}

/* Slow to empty its sockets, it meets the one after the next at its lab place. */
static void one_that_ends_leaves_the_name_of_a_successor(void **state)
{
	uint32_t *running, later;

	(void)state;
	NEED_ROOT;
	open_with(lab_relay());
	assert_true(lab_until(&lab, relay_has_turn, NULL));
	running = &lab.dp->relay->running[lab.dp->user.generation % RTPFWD_RELAYS];
	later = lab.dp->user.generation + RTPFWD_RELAYS;
	loop_unwatch(&lab.dp->user.ended);
	__atomic_store_n(running, later, __ATOMIC_RELEASE);
	__atomic_store_n(&lab.dp->control->relay, later, __ATOMIC_RELEASE);
	assert_true(lab_until(&lab, has_ended, NULL));
	assert_int_equal(*running, later);
	*running = 0;
	lab.dp->control->relay = 0;
	assert_int_equal(loop_watch(&lab.dp->user.ended, lab.loop, lab.dp->user.pidfd,
				    lab.dp->user.ended.ready, lab.dp),
			 0);
}

static const struct rtpfwd_control *watched; /* of a start under way; NULL: of none */
static bool taken_away;

/* libbpf's: what is shared is looked at amid a start. */
int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	int (*update)(int, const void *, const void *, __u64) =
		(int (*)(int, const void *, const void *, __u64))dlsym(RTLD_NEXT, __func__);

	taken_away |= watched && (!watched->ifindex[0] || !watched->ifindex[1]);
	return update(fd, key, value, flags);
}

/* The former relay forwards by them. */
static void a_start_takes_no_interface_away(void **state)
{
	struct rtpfwd_control *control;

	(void)state;
	NEED_ROOT;
	open_with(NULL);
	lab_close(&lab);
	control = lab_control(&lab);
	assert_int_not_equal(control->ifindex[0], 0);
	assert_int_not_equal(control->ifindex[1], 0);
	watched = control;
	taken_away = false;
	open_with(NULL);
	watched = NULL;
	lab_unmap(control, NULL);
	assert_false(taken_away);
}

static int told;

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	(void)ctx;
	(void)owner;
	(void)local;
	(void)source;
	told++;
}

/* Executed in the relay's place: tells more than a turn hears, says so, and waits. */
static int flood(char **argv)
{
	struct rtpfwd_event event = { .slot = 0 };
	int tell = atoi(argv[2 + USER_TELL]);
	struct pollfd daemon = { .fd = tell };
	struct rtpfwd_relay *relay = mmap(NULL, sizeof(*relay), PROT_READ | PROT_WRITE, MAP_SHARED,
					  atoi(argv[2 + USER_RELAY]), 0);

	if (relay == MAP_FAILED)
		return 1;
	for (int i = 0; i < FLOOD; i++)
		if (send(tell, &event, sizeof(event), MSG_NOSIGNAL) != sizeof(event))
			return 1;
	__atomic_store_n(&relay->running[1], 1, __ATOMIC_RELEASE);
	poll(&daemon, 1, -1);
	__atomic_store_n(&relay->running[1], 0, __ATOMIC_RELEASE);
	return 0;
}

static void a_flood_of_what_it_tells_does_not_hold_the_loop(void **state)
{
	struct flow_want want = relay_want();
	int before = 0;

	(void)state;
	NEED_ROOT;
	lab.events.learned = on_learned;
	open_with("/proc/self/exe");
	want.learning = true;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	lab.dp->rests[0].heard.learned = want.expect.v4.s_addr | (uint64_t)htons(5006) << 32;
	while (!__atomic_load_n(&lab.dp->relay->running[1], __ATOMIC_ACQUIRE))
		assert_int_equal(waitpid(lab.dp->user.pid, NULL, WNOHANG), 0);
	told = 0;
	for (int turn = 0; turn < 60 && told < FLOOD; turn++) {
		before = told;
		assert_int_equal(event_base_loop(loop_base(lab.loop), EVLOOP_ONCE), 0);
		assert_in_range(told - before, 0, LEARN_PER_TURN);
	}
	assert_int_equal(told, FLOOD);
}

#undef T
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, relay_clean)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(the_largest_datagram_has_room_for_its_tag),
		T(what_the_kernel_sends_needs_no_tag_yet),
		T(an_own_source_from_elsewhere_is_nobodys),
		T(one_without_a_turn_is_not_followed_at_the_parity_of_who_runs),
		T(generations_have_no_end),
		T(one_that_ends_leaves_the_name_of_a_successor),
		T(a_start_takes_no_interface_away),
		T(a_flood_of_what_it_tells_does_not_hold_the_loop),
	};

	if (argc > 0 && !strcmp(argv[0], DATAPATH_RELAY))
		return flood(argv);
	return cmocka_run_group_tests(tests, relay_world, relay_world_end);
}
