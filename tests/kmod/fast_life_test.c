// SPDX-License-Identifier: GPL-2.0-or-later
/* Encrypted media on real interfaces while the controller dies, comes back and goes for good; what
 * is left in the module then; the module absent. */
#include "fast.h"

#include "datapath/kmod.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define CM	     RTPFWD_AES_CM_128_HMAC_SHA1_80
#define GCM	     RTPFWD_AEAD_AES_256_GCM
#define KEY_IN	     1
#define KEY_OUT	     2
#define KEY_NEXT_IN  3
#define KEY_NEXT_OUT 4
#define LENGTH	     172
#define FIRST	     65300 /* sequence number; rolls over within PACKETS */
#define PACKETS	     600
#define PAUSE	     1000000 /* ns between two of them */

static struct world world;
static int phone = -1;	  /* packet socket of the phone's interface */
static int receiver = -1; /* UDP socket at FAR */
static struct nl *nl;	  /* at the node */

static int begin(enum conf_xdp xdp)
{
	lab_world(&world, true);
	lab_sh("ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent");
	lab_enter(world.far);
	phone = lab_packet_socket("ph0");
	receiver = lab_udp_socket(FAR);
	lab_enter(world.node);
	nl = control_open();
	lab_conf(&lab, "in0", "out0", xdp);
	return 0;
}

static int native(void **state)
{
	(void)state;
	return begin(XDP_NATIVE);
}

static int generic(void **state)
{
	(void)state;
	return begin(XDP_GENERIC);
}

static int end(void **state)
{
	(void)state;
	lab_close(&lab);
	lab_detach(&lab);
	close(phone);
	close(receiver);
	if (nl)
		control_close(nl);
	lab_world_end(&world);
	return 0;
}

static void open_lab(void)
{
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
}

static struct flow_want want_of(uint8_t in, uint8_t out)
{
	struct flow_want want = relay_want();

	want.in = fast_crypt(in, KEY_IN);
	want.out = fast_crypt(out, KEY_OUT);
	return want;
}

static void apply(uint8_t in, uint8_t out)
{
	struct flow_want want = want_of(in, out);

	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

static void speak(srtp_t session, uint16_t seq)
{
	uint8_t packet[LAB_MAX];
	int size = rtp_make(packet, FAST_SSRC, seq, LENGTH - 12);
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = packet };
	struct frame f;

	if (session)
		fast_oracle(session, true, false, packet, &size);
	spec.length = (uint32_t)size;
	frame_make(&f, &spec);
	memcpy(f.bytes, "\x02\0\0\0\x01\x01", 6);
	assert_int_equal(write(phone, f.bytes, f.size), f.size);
}

static void hear(srtp_t session, uint16_t seq)
{
	uint8_t packet[LAB_MAX], due[LAB_MAX];
	int size = (int)recv(receiver, packet, sizeof(packet), 0);

	assert_true(size > 0);
	if (session)
		fast_oracle(session, false, false, packet, &size);
	assert_int_equal(size, rtp_make(due, FAST_SSRC, seq, LENGTH - 12));
	assert_memory_equal(packet, due, size);
}

static void talk(uint8_t in, uint8_t out)
{
	srtp_t sender = in ? oracle(in, KEY_IN, true) : NULL;
	srtp_t listener = out ? oracle(out, KEY_OUT, false) : NULL;

	open_lab();
	apply(in, out);
	for (uint16_t seq = 1; seq <= 100; seq++) {
		speak(sender, seq);
		hear(listener, seq);
	}
	assert_int_equal(lab_drops(&lab, "tx_failed"), 0);
	if (sender)
		srtp_dealloc(sender);
	if (listener)
		srtp_dealloc(listener);
}

static void to_encrypted(void **state)
{
	(void)state;
	talk(0, GCM);
}

static void to_clear(void **state)
{
	(void)state;
	talk(CM, 0);
}

static void from_key_to_key(void **state)
{
	(void)state;
	talk(GCM, CM);
}

/* A phone that speaks all the time, in a process of its own, which holds nothing of ours. */
static pid_t babble(void)
{
	struct timespec pause = { .tv_nsec = PAUSE };
	pid_t child = fork();
	srtp_t session;

	assert_true(child >= 0);
	if (child)
		return child;
	for (int fd = 3; fd < 256; fd++) {
		if (fd != phone)
			close(fd);
	}
	session = oracle(GCM, KEY_IN, true);
	for (uint16_t i = 0; i < PACKETS; i++) {
		speak(session, (uint16_t)(FIRST + i));
		nanosleep(&pause, NULL);
	}
	_exit(0);
}

/* Not one is missing, twice there or out of order. */
static void expect_all(pid_t child)
{
	srtp_t session = oracle(CM, KEY_OUT, false);
	int status;

	for (uint16_t i = 0; i < PACKETS; i++)
		hear(session, (uint16_t)(FIRST + i));
	srtp_dealloc(session);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

/* A controller that sets the flow up, and lives until it is killed. */
static pid_t controller(void)
{
	int ready[2];
	pid_t child;
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (lab_open(&lab))
			_exit(1);
		apply(GCM, CM);
		if (write(ready[1], "x", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void a_killed_controller_loses_no_packet(void **state)
{
	struct flow_counters c;
	pid_t first = controller(), child;
	struct addr local = lab_addr(RELAY);

	(void)state;
	assert_int_equal(control_count(nl), 2);
	child = babble();
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
	for (int i = 0; i < 3; i++) { /* as after a crash, and as an upgrade does it */
		open_lab();
		assert_int_equal(control_count(nl), 2);
		lab_close(&lab);
	}
	open_lab();
	expect_all(child);
	assert_int_equal(datapath_counters(lab.dp, &local, &c), 0);
	assert_int_equal(c.packets, PACKETS);
	assert_int_equal(c.dropped, 0);
}

/* What arrived before a restart does not arrive again after it. */
static void srtp_replay_is_known_after_a_restart(void **state)
{
	srtp_t sender = oracle(CM, KEY_IN, true);
	uint8_t packet[LAB_MAX];
	struct frame f;
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = packet };
	int size = rtp_make(packet, FAST_SSRC, 7, 160), program;
	uint64_t before;

	(void)state;
	fast_oracle(sender, true, false, packet, &size);
	spec.length = (uint32_t)size;
	frame_make(&f, &spec);
	open_lab();
	apply(CM, 0);
	program = lab_program(&lab, "in0");
	assert_int_equal(frame_run(program, &f, NULL, if_nametoindex("in0")), XDP_REDIRECT);
	close(program);
	lab_close(&lab);
	open_lab();
	program = lab_program(&lab, "in0");
	before = lab_drops(&lab, "srtp_replay");
	assert_int_equal(frame_run(program, &f, NULL, if_nametoindex("in0")), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "srtp_replay"), before + 1);
	close(program);
	srtp_dealloc(sender);
}

static uint32_t pinned_context(uint64_t cookie)
{
	struct context_spec spec = {
		.direction = RTPFWD_PROTECT,
		.suite = CM,
		.key = lab_key(5),
		.salt = lab_salt(5),
		.cookie = cookie,
		.pinned = 1,
	};
	uint32_t id;

	assert_int_equal(control_add(nl, &spec, &id), 0);
	return id;
}

/* A flow's contexts end with it; what was left by a controller that died amid an addition ends at
 * the next start; what is somebody else's stays. */
static void contexts_end_with_their_flow(void **state)
{
	struct addr local = lab_addr(RELAY);
	struct context_info info;
	uint32_t orphan, other;
	struct stat st;

	(void)state;
	open_lab();
	apply(GCM, CM);
	assert_int_equal(control_count(nl), 2);
	datapath_remove(lab.dp, &local, NULL);
	assert_int_equal(control_count(nl), 0);
	apply(GCM, CM);
	lab_close(&lab);
	assert_int_equal(stat(lab.folder, &st), 0);
	orphan = pinned_context((uint64_t)st.st_ino << 32 | 9 << 2 | RTPFWD_PROTECT);
	other = pinned_context((uint64_t)(st.st_ino + 1) << 32 | RTPFWD_PROTECT);
	open_lab();
	assert_int_equal(control_count(nl), 3);
	assert_int_equal(control_get(nl, orphan, &info), -ENOENT);
	lab_close(&lab);
	lab_detach(&lab);
	assert_int_equal(control_count(nl), 1);
	assert_int_equal(control_get(nl, other, &info), 0);
	assert_int_equal(control_delete(nl, other), 0);
}

static void count_one(void *ctx, const struct kmod_context *c)
{
	assert_int_not_equal(c->id, 0);
	++*(int *)ctx;
}

/* The controller's own view of them: it is told where the list ends. */
static void contexts_are_listed_to_the_end(void **state)
{
	struct kmod *k;
	int n = 0;

	(void)state;
	assert_int_equal(kmod_open(&k), 0);
	assert_int_equal(kmod_each(k, count_one, &n), 0);
	assert_int_equal(n, 0);
	for (uint32_t i = 0; i < 300; i++) /* several datagrams of netlink's */
		pinned_context(i);
	assert_int_equal(kmod_each(k, count_one, &n), 0);
	assert_int_equal(n, 300);
	assert_int_equal(kmod_delete(k, 0x7fffffff), -ENOENT);
	kmod_close(k);
}

static bool one_is_left(void *ctx)
{
	(void)ctx;
	return control_count(nl) == 1;
}

static void a_leg_stops_to_encrypt(void **state)
{
	srtp_t session = oracle(CM, KEY_OUT, false);

	(void)state;
	open_lab();
	apply(GCM, CM);
	apply(0, CM);
	assert_true(lab_until(&lab, one_is_left, NULL));
	speak(NULL, 1);
	hear(session, 1);
	srtp_dealloc(session);
}

static void remember(void *ctx, const struct kmod_context *c)
{
	*(uint32_t *)ctx = c->id;
}

/* Packets that read the slot before keys of another suite came into force: they arrive. */
static void a_suite_that_the_slot_does_not_know_loses_nothing(void **state)
{
	static const uint8_t suites[] = { GCM, RTPFWD_AES_CM_128_HMAC_SHA1_32, GCM, CM };
	struct flow_crypt keys;
	srtp_t session;
	struct kmod *k;
	uint32_t id = 0;

	(void)state;
	open_lab();
	apply(0, CM);
	assert_int_equal(kmod_open(&k), 0);
	assert_int_equal(kmod_each(k, remember, &id), 0);
	for (uint16_t i = 0; i < sizeof(suites); i++) {
		keys = fast_crypt(suites[i], KEY_NEXT_OUT);
		session = oracle(suites[i], KEY_NEXT_OUT, false);
		assert_int_equal(kmod_change(k, id, &keys), 0);
		speak(NULL, i);
		hear(session, i);
		srtp_dealloc(session);
	}
	assert_int_equal(lab_drops(&lab, "headroom"), 0);
	kmod_close(k);
}

/* The controller that takes a flow over does not know its keys; it is told others: from then on
 * those are sent under, and the former ones are heard for a while. */
static void an_adopted_flow_gets_other_keys(void **state)
{
	srtp_t former = oracle(GCM, KEY_IN, true), phones = oracle(CM, KEY_NEXT_IN, true);
	srtp_t was = oracle(CM, KEY_OUT, false), now = oracle(GCM, KEY_NEXT_OUT, false);
	struct flow_want want = want_of(CM, GCM);
	struct addr local = lab_addr(RELAY);
	struct flow_counters c;

	(void)state;
	open_lab();
	apply(GCM, CM);
	speak(former, 1);
	hear(was, 1);
	lab_close(&lab);
	open_lab();
	want.in = fast_crypt(CM, KEY_NEXT_IN);
	want.out = fast_crypt(GCM, KEY_NEXT_OUT);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	assert_int_equal(control_count(nl), 2);
	for (uint16_t seq = 2; seq < 12; seq++) {
		speak(seq % 2 ? former : phones, seq);
		hear(now, seq);
	}
	assert_int_equal(datapath_counters(lab.dp, &local, &c), 0);
	assert_int_equal(c.packets, 11);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.lost, 0);
	datapath_remove(lab.dp, &local, NULL);
	assert_int_equal(control_count(nl), 0);
	srtp_dealloc(former);
	srtp_dealloc(phones);
	srtp_dealloc(was);
	srtp_dealloc(now);
}

static void the_module_stays_while_media_needs_it(void **state)
{
	pid_t child;

	(void)state;
	open_lab();
	apply(GCM, CM);
	child = babble();
	for (int i = 0; i < 20; i++)
		assert_int_equal(lab_unload(), -EAGAIN);
	lab_close(&lab);
	for (int i = 0; i < 20; i++)
		assert_int_equal(lab_unload(), -EAGAIN);
	open_lab();
	expect_all(child);
}

/* Keys are refused, calls in the clear go as ever; the next start finds the module again. */
static void without_the_module(void)
{
	struct flow_want want = want_of(0, CM);

	open_lab();
	assert_false(datapath_encrypts(lab.dp));
	assert_int_equal(datapath_apply(lab.dp, &want), -EOPNOTSUPP);
	assert_int_equal(datapath_flow_count(lab.dp), 0);
	apply(0, 0);
	speak(NULL, 3);
	hear(NULL, 3);
	lab_close(&lab);
	lab_detach(&lab);
}

static void the_module_comes_and_goes(void **state)
{
	(void)state;
	control_close(nl);
	nl = NULL;
	assert_int_equal(lab_unload_when_free(), 0);
	without_the_module();
	/* Loaded, but its functions cannot be found. */
	assert_int_equal(lab_load_other("untyped"), 0);
	without_the_module();
	assert_int_equal(lab_unload_when_free(), 0);
	assert_int_equal(lab_load(), 0);
	talk(0, CM);
	assert_true(datapath_encrypts(lab.dp));
}

#define NATIVE(name) cmocka_unit_test_setup_teardown(name, native, end)
#define GENERIC(name)                                                                              \
	{                                                                                          \
		"generic/" #name, name, generic, end, NULL                                         \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NATIVE(to_encrypted),
		NATIVE(to_clear),
		NATIVE(from_key_to_key),
		GENERIC(to_encrypted),
		GENERIC(to_clear),
		GENERIC(from_key_to_key),
		NATIVE(a_killed_controller_loses_no_packet),
		NATIVE(srtp_replay_is_known_after_a_restart),
		NATIVE(contexts_end_with_their_flow),
		NATIVE(contexts_are_listed_to_the_end),
		NATIVE(a_leg_stops_to_encrypt),
		NATIVE(a_suite_that_the_slot_does_not_know_loses_nothing),
		GENERIC(a_suite_that_the_slot_does_not_know_loses_nothing),
		NATIVE(an_adopted_flow_gets_other_keys),
		NATIVE(the_module_stays_while_media_needs_it),
		NATIVE(the_module_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
