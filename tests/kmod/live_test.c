// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets on veth, in softirq: what arrives, while contexts come and go, and when it is all over.
 */
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CM	RTPFWD_AES_CM_128_HMAC_SHA1_80
#define PACKETS 200
#define NODE	"10.9.0.1"
#define FAR	"10.9.0.2"
#define PORT	5004
#define SSRC	0x0badcafe

/* The node's end of the veth is `near0`; the other one lies in a namespace of its own. */
struct wire {
	int home, far;
	int here;  /* socket at the node */
	int there; /* socket of the far end, connected to it */
	struct nl *nl;
	struct xdp *x;
};

static void sh(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static int namespace_of_now(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

static int bound(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &a.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void wire_links(struct wire *w)
{
	char command[128];

	sh("ip link add near0 type veth peer name far0");
	snprintf(command, sizeof(command), "ip link set far0 netns /proc/%d/fd/%d", getpid(),
		 w->far);
	sh(command);
	sh("ip addr add " NODE "/24 dev near0; ip link set near0 up");
	enter(w->far);
	/* Sums left to hardware that is not there would never be made. */
	sh("ethtool -K far0 tx off >/dev/null; ip addr add " FAR "/24 dev far0;"
	   "ip link set far0 up; ip link set lo up");
}

static int wire_up(void **state)
{
	struct sockaddr_in node = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct wire *w = calloc(1, sizeof(*w));

	w->home = namespace_of_now();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w->far = namespace_of_now();
	enter(w->home);
	wire_links(w);
	w->there = bound(FAR, 6000);
	inet_pton(AF_INET, NODE, &node.sin_addr);
	assert_int_equal(connect(w->there, (struct sockaddr *)&node, sizeof(node)), 0);
	enter(w->home);
	w->here = bound(NODE, PORT);
	w->nl = control_open();
	w->x = prog_open();
	*state = w;
	return 0;
}

static void attach(struct wire *w, unsigned int mode)
{
	int index = (int)if_nametoindex("near0");

	assert_int_equal(bpf_xdp_attach(index, prog_program(w->x), mode, NULL), 0);
}

static void detach(unsigned int mode)
{
	assert_int_equal(bpf_xdp_detach((int)if_nametoindex("near0"), mode, NULL), 0);
}

static int wire_down(void **state)
{
	struct wire *w = *state;

	if (w->x)
		prog_close(w->x);
	if (w->nl)
		control_close(w->nl);
	sh("ip link del near0");
	close(w->here);
	close(w->there);
	close(w->far);
	close(w->home);
	free(w);
	return 0;
}

static void protect_live(struct wire *w, unsigned int mode)
{
	struct order o = { .op = OP_PROTECT, .grow = 10 };
	uint8_t packet[LAB_MAX], clear[LAB_MAX];
	srtp_t receiver = oracle(CM, 1, false);

	o.id = lab_add(w->nl, RTPFWD_PROTECT, CM, 1);
	prog_order(w->x, PORT, &o);
	attach(w, mode);
	for (uint16_t seq = 1; seq <= PACKETS; seq++) {
		int length = rtp_make(clear, SSRC, seq, 160), size;

		assert_int_equal(send(w->there, clear, (size_t)length, 0), length);
		size = (int)recv(w->here, packet, sizeof(packet), 0);
		assert_int_equal(size, length + 10);
		assert_int_equal(srtp_unprotect(receiver, packet, &size), srtp_err_status_ok);
		assert_int_equal(size, length);
		assert_memory_equal(packet, clear, length);
	}
	assert_int_equal(prog_outcome(w->x).done, PACKETS);
	print_message("%u of %d grew at their head\n", prog_outcome(w->x).headed, PACKETS);
	assert_int_equal(lab_counter(w->nl, o.id, RTPFWD_C_protected), PACKETS);
	detach(mode);
	srtp_dealloc(receiver);
}

static void unprotect_live(struct wire *w, unsigned int mode)
{
	struct order o = { .op = OP_UNPROTECT };
	uint8_t packet[LAB_MAX], clear[LAB_MAX];
	srtp_t sender = oracle(CM, 1, true);

	o.id = lab_add(w->nl, RTPFWD_UNPROTECT, CM, 1);
	prog_order(w->x, PORT, &o);
	attach(w, mode);
	for (uint16_t seq = 1; seq <= PACKETS; seq++) {
		int length = rtp_make(clear, SSRC, seq, 160), size = length;

		memcpy(packet, clear, (size_t)length);
		assert_int_equal(srtp_protect(sender, packet, &size), srtp_err_status_ok);
		assert_int_equal(send(w->there, packet, (size_t)size, 0), size);
		assert_int_equal(recv(w->here, packet, sizeof(packet), 0), length);
		assert_memory_equal(packet, clear, length);
	}
	assert_int_equal(lab_counter(w->nl, o.id, RTPFWD_C_unprotected), PACKETS);
	detach(mode);
	srtp_dealloc(sender);
}

static void native_protect(void **state)
{
	protect_live(*state, XDP_FLAGS_DRV_MODE);
}

static void native_unprotect(void **state)
{
	unprotect_live(*state, XDP_FLAGS_DRV_MODE);
}

static void generic_protect(void **state)
{
	protect_live(*state, XDP_FLAGS_SKB_MODE);
}

static void generic_unprotect(void **state)
{
	unprotect_live(*state, XDP_FLAGS_SKB_MODE);
}

/* The child has this descriptor alone: neither program nor control socket. */
static pid_t fork_with(int kept)
{
	pid_t child = fork();

	assert_true(child >= 0);
	for (int fd = 3; fd < 256 && !child; fd++)
		if (fd != kept)
			close(fd);
	return child;
}

/* Sends RTP without a pause until it is stopped. */
static pid_t flood(struct wire *w)
{
	uint8_t packet[LAB_MAX];
	pid_t child = fork_with(w->there);

	if (child)
		return child;
	for (uint16_t seq = 0;; seq++)
		send(w->there, packet, (size_t)rtp_make(packet, SSRC, seq, 160), 0);
}

static void stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Until `more` further packets have been through the program. */
static void await(struct wire *w, uint64_t more)
{
	struct timespec tick = { .tv_nsec = 2000000 };
	uint64_t from = prog_outcome(w->x).done + prog_outcome(w->x).refused;

	for (int i = 0; i < 10000; i++) {
		if (prog_outcome(w->x).done + prog_outcome(w->x).refused >= from + more)
			return;
		nanosleep(&tick, NULL);
	}
	fail_msg("no packets come through");
}

static void change_keys(struct nl *nl, uint32_t id, unsigned int round)
{
	struct context_spec spec = {
		.id = id,
		.suite = (uint8_t)(round % 4 + 1),
		.key = lab_key(round % 8),
		.salt = lab_salt(round % 8),
		.keep = round % 2,
	};

	assert_int_equal(control_change(nl, &spec), 0);
}

/* Keys change, contexts vanish and come back, all are listed, while packets use them. */
static void contexts_come_and_go_under_traffic(void **state)
{
	struct wire *w = *state;
	struct order o = { .op = OP_PROTECT, .grow = 16 };
	struct context_info info;
	pid_t child;

	o.id = lab_add(w->nl, RTPFWD_PROTECT, CM, 1);
	prog_order(w->x, PORT, &o);
	attach(w, XDP_FLAGS_DRV_MODE);
	child = flood(w);
	await(w, 100);
	for (unsigned int round = 0; round < 300; round++) {
		change_keys(w->nl, o.id, round);
		assert_int_equal(control_get(w->nl, o.id, &info), 0);
		if (round % 10)
			continue;
		await(w, 5);
		assert_int_equal(control_count(w->nl), 1);
		assert_int_equal(control_delete(w->nl, o.id), 0);
		await(w, 5);
		assert_int_equal(prog_outcome(w->x).ret, -ENOENT);
		o.id = lab_add(w->nl, RTPFWD_PROTECT, CM, round % 8);
		prog_order(w->x, PORT, &o);
	}
	await(w, 100);
	assert_int_equal(control_get(w->nl, o.id, &info), 0);
	assert_true(info.counters[RTPFWD_C_protected] > 0);
	stop(child);
	detach(XDP_FLAGS_DRV_MODE);
}

/* SRTP under one key after the other, as fast as it goes, over and over. */
static pid_t flood_sealed(struct wire *w)
{
	uint8_t packet[LAB_MAX];
	pid_t child = fork_with(w->there);

	if (child)
		return child;
	for (unsigned int round = 0;; round++) {
		srtp_t sender = oracle((uint8_t)(round % 4 + 1), round % 8, true);

		for (uint16_t seq = 0; seq < 20; seq++) {
			int size = rtp_make(packet, SSRC + round, seq, 160);

			srtp_protect(sender, packet, &size);
			send(w->there, packet, (size_t)size, 0);
		}
		srtp_dealloc(sender);
	}
}

/* Former keys run out at once, in the packet path, while contexts change and go. */
static void receivers_come_and_go_under_traffic(void **state)
{
	struct order o = { .op = OP_UNPROTECT };
	struct wire *w = *state;
	uint64_t former = 0;
	pid_t child;

	attach(w, XDP_FLAGS_DRV_MODE);
	child = flood_sealed(w);
	for (unsigned int round = 0; round < 12; round++) {
		struct context_spec spec = { .suite = (uint8_t)(round % 4 + 1), .overlap = 1 };

		o.id = lab_add(w->nl, RTPFWD_UNPROTECT, spec.suite, round % 8);
		prog_order(w->x, PORT, &o);
		for (unsigned int key = round; key < round + 8; key++) {
			spec.id = o.id;
			spec.suite = (uint8_t)(key % 4 + 1);
			spec.key = lab_key(key % 8);
			spec.salt = lab_salt(key % 8);
			assert_int_equal(control_change(w->nl, &spec), 0);
			await(w, 3);
		}
		former += lab_counter(w->nl, o.id, RTPFWD_C_former);
		assert_int_equal(control_delete(w->nl, o.id), 0);
	}
	assert_true(former > 0);
	stop(child);
	detach(XDP_FLAGS_DRV_MODE);
}

/* A program that is loaded holds the module; once it is gone the module goes, contexts and all. */
static void unload_waits_for_the_program(void **state)
{
	struct wire *w = *state;
	struct order o = { .op = OP_PROTECT, .grow = 10 };
	pid_t child;

	o.id = lab_add(w->nl, RTPFWD_PROTECT, CM, 1);
	prog_order(w->x, PORT, &o);
	attach(w, XDP_FLAGS_DRV_MODE);
	child = flood(w);
	for (int i = 0; i < 20; i++) {
		await(w, 5);
		assert_int_equal(lab_unload(), -EAGAIN);
	}
	detach(XDP_FLAGS_DRV_MODE);
	prog_close(w->x);
	w->x = NULL;
	assert_int_equal(lab_unload_when_free(), 0);
	control_close(w->nl);
	w->nl = NULL;
	assert_int_equal(lab_load(), 0);
	stop(child);
}

static void use_some(unsigned int pinned)
{
	struct lab_stream streams[3] = { { 1, 1, 1 }, { 2, 2, 2 }, { 3, 3, 3 } };
	struct nl *nl = control_open();

	for (unsigned int i = 0; i < 40; i++) {
		struct context_spec spec = {
			.direction = (uint8_t)(i % 2 + 1),
			.suite = (uint8_t)(i % 4 + 1),
			.key = lab_key(i),
			.salt = lab_salt(i),
			.streams = streams,
			.n_streams = 3,
			.pinned = (int)pinned,
		};
		uint32_t id;

		assert_int_equal(control_add(nl, &spec, &id), 0);
		change_keys(nl, id, i & ~1U);
	}
	control_close(nl);
}

static void closed_sockets_leave_nothing_behind(void **state)
{
	int before;

	(void)state;
	use_some(2); /* implementations that are made when first asked for */
	before = lab_ciphers_at_rest();
	for (int i = 0; i < 5; i++)
		use_some(2);
	lab_settle(lab_ciphers, before);
	lab_settle(lab_streams, 0);
}

static void ended_namespaces_leave_nothing_behind(void **state)
{
	int before = lab_ciphers_at_rest(), status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		if (unshare(CLONE_NEWNET))
			_exit(1);
		use_some(1);
		_exit(lab_streams() > 0 ? 0 : 2);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	lab_settle(lab_ciphers, before);
	lab_settle(lab_streams, 0);
}

static void unloading_leaves_nothing_behind(void **state)
{
	int before;

	(void)state;
	use_some(2);
	before = lab_ciphers_at_rest();
	for (int i = 0; i < 10; i++) {
		use_some(1);
		assert_int_equal(lab_unload(), 0);
		assert_int_equal(lab_streams(), -1);
		assert_int_equal(lab_load(), 0);
	}
	lab_settle(lab_ciphers, before);
}

/* Adds, lists and leaves contexts, whether the module is there or not; opens its own sockets. */
static pid_t nag(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	for (unsigned int i = 0;; i++) {
		struct context_spec spec = {
			.direction = (uint8_t)(i % 2 + 1),
			.suite = (uint8_t)(i % 4 + 1),
			.key = lab_key(i % 8),
			.salt = lab_salt(i % 8),
			.pinned = (int)(i % 3),
		};
		struct nl *nl = control_try();

		if (!nl)
			continue;
		control_add(nl, &spec, NULL);
		control_count(nl);
		control_close(nl);
	}
}

static void unloading_amid_commands(void **state)
{
	pid_t children[] = { nag(), nag() };

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct nl *nl = control_open();

		for (int k = 0; k < 50 && control_count(nl) < 5; k++)
			lab_add(nl, RTPFWD_PROTECT, CM, 1);
		control_close(nl);
		assert_int_equal(lab_unload_when_free(), 0);
		assert_int_equal(lab_load(), 0);
	}
	stop(children[0]);
	stop(children[1]);
}

#define WIRED(name) cmocka_unit_test_setup_teardown(name, wire_up, wire_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRED(native_protect),
		WIRED(native_unprotect),
		WIRED(generic_protect),
		WIRED(generic_unprotect),
		WIRED(contexts_come_and_go_under_traffic),
		WIRED(receivers_come_and_go_under_traffic),
		WIRED(unload_waits_for_the_program),
		cmocka_unit_test(closed_sockets_leave_nothing_behind),
		cmocka_unit_test(ended_namespaces_leave_nothing_behind),
		cmocka_unit_test(unloading_amid_commands),
		cmocka_unit_test(unloading_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
