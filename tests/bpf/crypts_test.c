// SPDX-License-Identifier: GPL-2.0-or-later
/* The map of keys that the daemon writes and the userspace relay reads: a daemon that is killed
 * amid it, a flow that ends, a peer that is the first to encrypt. */
#include "relay.h"

#include "../../kmod/rtpfwd_nl.h"
#include "datapath/crypts.h"
#include "datapath/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SSRC 0x5eed1234
#define SIZE 172
#define PAGE 4096
/* Its generations and its key of what arrives are the last 64 bytes of a page. */
#define SLOT 59
#define AT   (SLOT * sizeof(struct crypt_keys))

_Static_assert(AT % PAGE == PAGE - 64, "the key of what leaves is in the next page");

static struct conf_peer peer = { .name = "phone", .encryption = ENCRYPTION_SDES };
static int phone = -1, receiver = -1;
static srtp_t sender, listener; /* the far ends */
static struct addr relay;	/* our port of SLOT */

/* Of libnss3, which libsrtp2 takes its ciphers from. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnspr4\nleak:libnssutil3\nleak:libnss3\nleak:libsoftokn3\nleak:libfreebl3\n";
}

static int start(void **state)
{
	if (geteuid())
		return 0;
	relay_world(state);
	relay_enter(true);
	phone = lab_udp_socket(PHONE);
	receiver = lab_udp_socket(FAR);
	relay_enter(false);
	return 0;
}

static int stop(void **state)
{
	close(phone);
	close(receiver);
	return relay_world_end(state);
}

static void encrypted_peers(size_t n)
{
	lab.conf.peers = &peer;
	lab.conf.n_peers = n;
}

static int fresh(void **state)
{
	relay_fresh(state);
	lab.realms[0].xdp = lab.realms[1].xdp = XDP_OFF;
	lab.events = (struct datapath_events){ .relay = "/proc/self/exe" };
	encrypted_peers(1);
	return 0;
}

static int clean(void **state)
{
	if (sender)
		srtp_dealloc(sender);
	if (listener)
		srtp_dealloc(listener);
	sender = listener = NULL;
	return relay_clean(state);
}

static void open_lab(void)
{
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	assert_true(lab_until(&lab, relay_has_turn, NULL));
}

static struct flow_crypt key_of(uint8_t fill)
{
	struct flow_crypt key = { .suite = RTPFWD_AES_CM_128_HMAC_SHA1_80 };

	memset(key.key, fill, 30);
	return key;
}

static struct flow_want want_of(uint8_t in, uint8_t out)
{
	struct flow_want want = relay_want();

	want.local = relay = layout_addr(&lab.dp->layout, SLOT);
	if (in)
		want.in = key_of(in);
	if (out)
		want.out = key_of(out);
	return want;
}

static void far_end(srtp_t *end, uint8_t fill, bool sends)
{
	struct flow_crypt key = key_of(fill);
	srtp_policy_t policy = { .window_size = 128, .key = key.key };

	policy.ssrc.type = sends ? ssrc_any_outbound : ssrc_any_inbound;
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	if (*end)
		srtp_dealloc(*end);
	*end = NULL;
	assert_int_equal(srtp_create(end, &policy), srtp_err_status_ok);
}

static void make(uint8_t packet[SIZE], uint16_t seq)
{
	uint32_t ssrc = htonl(SSRC);

	memset(packet, 0x5a, SIZE);
	memcpy(packet, "\x80\0", 2);
	packet[2] = (uint8_t)(seq >> 8);
	packet[3] = (uint8_t)seq;
	memset(packet + 4, 0, 4);
	memcpy(packet + 8, &ssrc, sizeof(ssrc));
}

static void speak(uint16_t seq)
{
	struct sockaddr_storage to;
	socklen_t to_size = addr_to_sockaddr(&to, &relay);
	uint8_t packet[SIZE + 16] __attribute__((aligned(4)));
	int size = SIZE;

	make(packet, seq);
	if (sender)
		assert_int_equal(srtp_protect(sender, packet, &size), srtp_err_status_ok);
	assert_int_equal(sendto(phone, packet, (size_t)size, 0, (void *)&to, to_size), size);
}

static void hear(uint16_t seq)
{
	uint8_t packet[SIZE + 64] __attribute__((aligned(4))), due[SIZE];
	int size = (int)recv(receiver, packet, sizeof(packet), 0);

	assert_true(size > 0);
	if (listener)
		assert_int_equal(srtp_unprotect(listener, packet, &size), srtp_err_status_ok);
	make(due, seq);
	assert_int_equal(size, SIZE);
	assert_memory_equal(packet, due, SIZE);
}

static void talk(uint16_t first, int n)
{
	for (int i = 0; i < n; i++) {
		speak((uint16_t)(first + i));
		hear((uint16_t)(first + i));
	}
}

static void expect_no_drops(void)
{
	assert_int_equal(lab_drops(&lab, "srtp_failed"), 0);
	assert_int_equal(lab_drops(&lab, "srtp_auth"), 0);
	assert_int_equal(lab_drops(&lab, "srtp_replay"), 0);
}

/* What becomes of the next writes into the keys of SLOT. */
static struct {
	uint8_t *keys; /* mapped */
	int deaths;    /* at which page's first write the process is killed; 0: at none */
	struct sigaction others; /* what takes the faults elsewhere */
	int faults;
	uint32_t select; /* of the slot, at the first one */
} guarded;

static void protect(size_t from, size_t to, int protection)
{
	if (mprotect(guarded.keys + from / PAGE * PAGE, to - from, protection))
		abort();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	const size_t first = AT / PAGE * PAGE;

	(void)context;
	if ((size_t)((uint8_t *)info->si_addr - guarded.keys) - first >= 2 * PAGE) {
		sigaction(signal, &guarded.others, NULL); /* it happens again */
		return;
	}
	if (!guarded.faults++)
		guarded.select = lab.dp->slots[SLOT].select;
	if (guarded.deaths == guarded.faults)
		kill(getpid(), SIGKILL);
	protect(first, first + 2 * PAGE, PROT_READ | PROT_WRITE);
	if (guarded.deaths)
		protect(first, first + PAGE, PROT_READ);
}

static void guard(int deaths)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	guarded.keys = (uint8_t *)lab.dp->crypts;
	guarded.deaths = deaths;
	guarded.faults = 0;
	assert_int_equal(sigaction(SIGSEGV, &action, &guarded.others), 0);
	protect(AT / PAGE * PAGE + (deaths ? PAGE : 0), AT / PAGE * PAGE + 2 * PAGE, PROT_READ);
}

/* A daemon that takes over and is killed while it writes new keys: at the first byte behind the
 * page's end, or, the second one, when it comes back to the page. */
static void die_at(int deaths, uint8_t in, uint8_t out)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct flow_want want;

		open_lab();
		want = want_of(in, out);
		guard(deaths);
		datapath_apply(lab.dp, &want);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static bool is_written(void)
{
	return !(lab.dp->crypts[SLOT].generation & 1);
}

/* Which keys are in force tells where it was killed; none is used again from the start. */
static void killed(int deaths, uint8_t in, uint8_t out, uint8_t in_force, uint8_t out_force)
{
	struct flow_want want;

	NEED_ROOT;
	open_lab();
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(1000, 40);
	lab_close(&lab);
	die_at(deaths, in, out);
	open_lab();
	assert_true(is_written());
	assert_memory_equal(lab.dp->crypts[SLOT].out.key, key_of(out_force).key, 30);
	if (in_force != 1)
		far_end(&sender, in_force, true);
	if (out_force != 2)
		far_end(&listener, out_force, false);
	talk(1040, 40);
	expect_no_drops();
}

static void killed_before_a_key_of_what_leaves(void **state)
{
	(void)state;
	killed(1, 1, 3, 1, 2);
}

static void killed_behind_a_key_of_what_leaves(void **state)
{
	(void)state;
	killed(2, 1, 3, 1, 3);
}

static void killed_amid_the_former_key_of_what_arrives(void **state)
{
	(void)state;
	killed(1, 3, 2, 1, 2);
}

static void killed_before_a_key_of_what_arrives(void **state)
{
	(void)state;
	killed(2, 3, 2, 1, 2);
}

/* Nothing of them is new: what was begun is ended, and no state is lost. */
static void the_same_keys_again_end_the_writing(void **state)
{
	struct crypt_keys before;
	struct flow_want want;

	(void)state;
	NEED_ROOT;
	open_lab();
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(65530, 20);
	before = lab.dp->crypts[SLOT];
	lab.dp->crypts[SLOT].generation |= 1;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	assert_true(is_written());
	assert_int_equal(lab.dp->crypts[SLOT].in_generation, before.in_generation);
	assert_int_equal(lab.dp->crypts[SLOT].out_generation, before.out_generation);
	talk(14, 20);
	expect_no_drops();
}

/* Else a packet amid it would be srtp_failed, though its call is over. */
static void a_port_is_unleased_before_its_keys_are_wiped(void **state)
{
	struct flow_want want;

	(void)state;
	NEED_ROOT;
	open_lab();
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	guard(0);
	assert_int_not_equal(lab.dp->slots[SLOT].select, RTPFWD_UNLEASED);
	datapath_remove(lab.dp, &want.local, NULL);
	assert_int_equal(guarded.faults, 1);
	assert_int_equal(sigaction(SIGSEGV, &guarded.others, NULL), 0);
	assert_int_equal(guarded.select, RTPFWD_UNLEASED);
	assert_int_equal(lab.dp->crypts[SLOT].in.suite, 0);
	assert_int_equal(lab.dp->crypts[SLOT].out.suite, 0);
}

static bool is_dropped(void *ctx)
{
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &relay, &c), 0);
	return c.dropped == *(uint64_t *)ctx;
}

/* What nobody hears for so long, over a rollover, is followed nevertheless: its number alone would
 * be taken for that of before (RFC 3711 3.3.1). */
static void a_muted_sender_is_followed(void **state)
{
	const uint64_t muted = 40000;
	uint16_t seq = 30000;
	struct flow_want want;
	struct flow_counters c;

	(void)state;
	NEED_ROOT;
	open_lab();
	want = want_of(1, 0);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	talk(seq, 10);
	want.mode = FLOW_MUTED;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	seq += 10;
	for (uint64_t n = 1; n <= muted; n++) {
		speak(seq++);
		if (n % 100 == 0)
			assert_true(lab_until(&lab, is_dropped, &n));
	}
	assert_int_equal(lab_drops(&lab, "not_signalled"), muted);
	want.mode = FLOW_FORWARD;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	talk(seq, 40);
	assert_int_equal(datapath_counters(lab.dp, &relay, &c), 0);
	assert_int_equal(c.packets, 50);
	expect_no_drops();
}

static struct conf with_peer(void)
{
	struct conf next = lab.conf;

	next.peers = &peer;
	next.n_peers = 1;
	return next;
}

static void reload(void)
{
	static struct conf next;

	next = with_peer();
	if (datapath_reload(lab.dp, &next, lab.why, sizeof(lab.why)))
		fail_msg("%s", lab.why);
	encrypted_peers(1);
}

/* Of one call, in clear until then: what is under way while the map is made is neither lost nor put
 * out of order; what comes behind it asks for keys. */
static void the_first_encrypted_peer_comes_with_a_reload(void **state)
{
	struct flow_want want;
	uint16_t seq = 65000;
	pid_t pid;

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	pid = lab.dp->user.pid;
	assert_null(lab.dp->crypts);
	assert_false(datapath_encrypts(lab.dp));
	want = want_of(0, 0);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	talk(seq, 20);
	for (int i = 0; i < 100; i++) {
		speak((uint16_t)(seq + 20 + i));
		if (i == 50)
			reload();
	}
	assert_true(datapath_encrypts(lab.dp));
	want = want_of(1, 2);
	for (int i = 0; i < 100; i++)
		hear((uint16_t)(seq + 20 + i));
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(65500, 60);
	reload();
	talk(24, 10);
	assert_int_equal(lab.dp->user.pid, pid);
	expect_no_drops();
}

static bool has_another(void *ctx)
{
	return lab.dp->user.pid && lab.dp->user.pid != *(pid_t *)ctx && relay_has_turn(NULL);
}

/* Its successors have the map, be they this daemon's or the next one's. */
static void a_map_made_at_a_reload_is_everyones(void **state)
{
	struct flow_want want;
	pid_t pid;

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	reload();
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(65500, 60);
	pid = lab.dp->user.pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(lab_until(&lab, has_another, &pid));
	talk(24, 10);
	lab_close(&lab);
	talk(34, 10);
	open_lab();
	talk(44, 10);
	expect_no_drops();
}

/* A relay that has not looked yet ends: the one behind it has the map, too. */
static void a_relay_that_is_dead_at_a_reload_is_no_fault(void **state)
{
	struct flow_want want;
	siginfo_t info;
	pid_t pid;

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	pid = lab.dp->user.pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	reload();
	assert_true(lab_until(&lab, has_another, &pid));
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(65500, 60);
	expect_no_drops();
}

/* What the daemon cannot do is said, and nothing of the reload is in force. */
static void a_reload_without_room_for_the_map_is_refused(void **state)
{
	struct conf next;
	char path[PATH_MAX];

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	assert_int_equal(pins_path(path, lab.dp->folder, PIN_MAP, CRYPTS_NAME), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	next = with_peer();
	assert_int_equal(datapath_reload(lab.dp, &next, lab.why, sizeof(lab.why)), -EEXIST);
	assert_string_equal(lab.why, "encryption: no map for the keys: File exists");
	assert_false(datapath_encrypts(lab.dp));
	assert_ptr_equal(lab.dp->conf, &lab.conf);
	assert_int_equal(rmdir(path), 0);
	reload();
	assert_true(datapath_encrypts(lab.dp));
}

/* Nor is a descriptor that was closed given to the relay's successors. */
static void a_reload_that_cannot_tell_the_relay_is_refused(void **state)
{
	struct flow_want want;
	struct conf next;
	int tell;
	pid_t pid;

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	pid = lab.dp->user.pid;
	next = with_peer();
	tell = lab.dp->user.tell;
	lab.dp->user.tell = lab.dp->fd.control; /* no socket */
	assert_int_equal(datapath_reload(lab.dp, &next, lab.why, sizeof(lab.why)), -ENOTSOCK);
	lab.dp->user.tell = tell;
	assert_false(datapath_encrypts(lab.dp));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(lab_until(&lab, has_another, &pid));
	want = want_of(0, 0);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	talk(100, 10);
	reload();
	assert_true(datapath_encrypts(lab.dp));
}

/* Else it would refuse all encrypted media for good. */
static void a_relay_that_gets_no_map_makes_way(void **state)
{
	struct flow_want want;
	pid_t pid;

	(void)state;
	NEED_ROOT;
	encrypted_peers(0);
	open_lab();
	pid = lab.dp->user.pid;
	assert_int_equal(send(lab.dp->user.tell, "", 1, 0), 1); /* its descriptor was lost */
	assert_true(lab_until(&lab, has_another, &pid));
	reload();
	want = want_of(1, 2);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	far_end(&sender, 1, true);
	far_end(&listener, 2, false);
	talk(65500, 60);
	expect_no_drops();
}

#undef T
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(killed_before_a_key_of_what_leaves),
		T(killed_behind_a_key_of_what_leaves),
		T(killed_amid_the_former_key_of_what_arrives),
		T(killed_before_a_key_of_what_arrives),
		T(the_same_keys_again_end_the_writing),
		T(a_port_is_unleased_before_its_keys_are_wiped),
		T(a_muted_sender_is_followed),
		T(the_first_encrypted_peer_comes_with_a_reload),
		T(a_map_made_at_a_reload_is_everyones),
		T(a_relay_that_is_dead_at_a_reload_is_no_fault),
		T(a_reload_without_room_for_the_map_is_refused),
		T(a_reload_that_cannot_tell_the_relay_is_refused),
		T(a_relay_that_gets_no_map_makes_way),
	};

	if (argc > 0 && !strcmp(argv[0], DATAPATH_RELAY))
		return datapath_relay(argc, argv);
	return cmocka_run_group_tests(tests, start, stop);
}
