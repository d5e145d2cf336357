// SPDX-License-Identifier: GPL-2.0-or-later
/* Control: what may be asked for, what is told, who owns what, and what dies when. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CM RTPFWD_AES_CM_128_HMAC_SHA1_80

static struct context_spec spec_of(uint8_t direction, uint8_t suite)
{
	return (struct context_spec){
		.direction = direction, .suite = suite, .key = lab_key(1), .salt = lab_salt(1)
	};
}

static void all_is_told_but_keys(void **state)
{
	static const struct lab_stream streams[] = { { 7, 0x123456789aLL, 0x7ffffffe },
						     { 8, -1, 5 },
						     { 9, 65536, -1 } };
	struct context_spec spec = spec_of(RTPFWD_UNPROTECT, RTPFWD_AEAD_AES_256_GCM);
	struct nl *nl = control_open();
	struct context_info info;
	uint32_t id;

	(void)state;
	spec.cookie = 0xfeedfacecafebeefULL;
	spec.overlap = 1 + 1234;
	spec.streams = streams;
	spec.n_streams = 3;
	assert_int_equal(control_add(nl, &spec, &id), 0);
	assert_int_equal(control_get(nl, id, &info), 0);
	assert_int_equal(info.id, id);
	assert_int_equal(info.direction, RTPFWD_UNPROTECT);
	assert_int_equal(info.suite, RTPFWD_AEAD_AES_256_GCM);
	assert_int_equal(info.pinned, 0);
	assert_int_equal(info.overlap, 1234);
	assert_true(info.cookie == 0xfeedfacecafebeefULL);
	assert_int_equal(info.n_streams, 3);
	for (int i = 0; i < 3; i++) { /* the last one first */
		assert_int_equal(info.streams[2 - i].ssrc, streams[i].ssrc);
		assert_true(info.streams[2 - i].rtp == streams[i].rtp);
		assert_true(info.streams[2 - i].rtcp == streams[i].rtcp);
	}
	assert_false(info.keys_told);
	control_close(nl);
}

/* A spec that is refused: error, and what extended ACK says of it. */
static void refused(struct nl *nl, const struct context_spec *spec, int err, const char *why)
{
	assert_int_equal(control_add(nl, spec, NULL), err);
	if (!strstr(control_why(nl), why))
		fail_msg("'%s' is not in '%s'", why, control_why(nl));
	assert_int_equal(control_count(nl), 0);
}

static void add_is_strict(void **state)
{
	static const struct lab_stream twice[] = { { 7, 1, -1 }, { 7, 2, -1 } };
	static const struct lab_stream far[] = { { 7, 1LL << 48, -1 } };
	static const struct lab_stream far_rtcp[] = { { 7, -1, 0x80000000LL } };
	struct nl *nl = control_open();
	struct context_spec s;

	(void)state;
	s = spec_of(0, CM);
	refused(nl, &s, -EINVAL, "");
	s = spec_of(3, CM);
	refused(nl, &s, -ERANGE, "range");
	s = spec_of(RTPFWD_PROTECT, 0);
	refused(nl, &s, -EINVAL, "");
	s = spec_of(RTPFWD_PROTECT, RTPFWD_SUITE_END);
	refused(nl, &s, -ERANGE, "range");
	s = spec_of(RTPFWD_PROTECT, CM);
	s.key = NULL;
	refused(nl, &s, -EINVAL, "");
	s = spec_of(RTPFWD_PROTECT, CM);
	s.salt = NULL;
	refused(nl, &s, -EINVAL, "");
	s = spec_of(RTPFWD_PROTECT, CM);
	s.id = 5;
	refused(nl, &s, -EINVAL, "ttribute");
	s = spec_of(RTPFWD_PROTECT, CM);
	s.overlap = RTPFWD_MAX_OVERLAP + 2;
	refused(nl, &s, -ERANGE, "range");
	s = spec_of(RTPFWD_PROTECT, CM);
	s.streams = twice;
	s.n_streams = 2;
	refused(nl, &s, -EINVAL, "SSRC given twice");
	s.streams = far;
	s.n_streams = 1;
	refused(nl, &s, -ERANGE, "range");
	s.streams = far_rtcp;
	refused(nl, &s, -ERANGE, "range");
	control_close(nl);
}

/* Every length of key and salt but the suite's. */
static void sizes_are_the_suites(void **state)
{
	struct nl *nl = control_open();
	struct context_spec s;

	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++) {
		int key = suite == RTPFWD_AEAD_AES_256_GCM ? 32 : 16;
		int salt = suite >= RTPFWD_AEAD_AES_128_GCM ? 12 : 14;

		for (int size = 1; size <= 32; size++) {
			s = spec_of(RTPFWD_PROTECT, suite);
			s.key_size = size;
			if (size != key)
				refused(nl, &s, size < 16 ? -ERANGE : -EINVAL, "");
			s = spec_of(RTPFWD_PROTECT, suite);
			s.salt_size = size;
			if (size != salt)
				refused(nl, &s, size < 12 || size > 14 ? -ERANGE : -EINVAL, "");
		}
	}
	control_close(nl);
}

static void too_many_senders_are_refused(void **state)
{
	struct lab_stream streams[RTPFWD_MAX_STREAMS + 1];
	struct context_spec s = spec_of(RTPFWD_PROTECT, CM);
	struct nl *nl = control_open();

	(void)state;
	for (int i = 0; i <= RTPFWD_MAX_STREAMS; i++)
		streams[i] = (struct lab_stream){ (uint32_t)i, i, -1 };
	s.streams = streams;
	s.n_streams = RTPFWD_MAX_STREAMS + 1;
	refused(nl, &s, -EMFILE, "Too many senders");
	s.n_streams--;
	assert_int_equal(control_add(nl, &s, NULL), 0);
	control_close(nl);
}

static void unknown_ones_are_named_so(void **state)
{
	struct nl *nl = control_open();
	struct context_spec s = { .id = 4711, .pinned = 1 };
	struct context_info info;

	(void)state;
	assert_int_equal(control_change(nl, &s), -ENOENT);
	assert_string_equal(control_why(nl), "No such context in this network namespace");
	assert_int_equal(control_delete(nl, 4711), -ENOENT);
	assert_int_equal(control_get(nl, 4711, &info), -ENOENT);
	assert_int_equal(control_delete(nl, 0), -ERANGE);
	control_close(nl);
}

static void change_is_whole_or_nothing(void **state)
{
	struct nl *nl = control_open();
	struct context_spec s = spec_of(0, RTPFWD_AEAD_AES_128_GCM);
	struct context_info info;

	(void)state;
	s.id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	s.cookie = 99;
	s.pinned = 1;
	s.key_size = 17;
	assert_int_equal(control_change(nl, &s), -EINVAL);
	s.key_size = 0;
	s.keep = true;
	assert_int_equal(control_change(nl, &s), -EINVAL);
	assert_string_equal(control_why(nl), "Only a sender decides that");
	s.keep = false;
	s.direction = RTPFWD_PROTECT;
	assert_int_equal(control_change(nl, &s), -EINVAL);
	assert_int_equal(control_get(nl, s.id, &info), 0);
	assert_int_equal(info.suite, CM);
	assert_int_equal(info.cookie, 0);
	assert_int_equal(info.pinned, 0);
	s.direction = 0;
	assert_int_equal(control_change(nl, &s), 0);
	assert_int_equal(control_get(nl, s.id, &info), 0);
	assert_int_equal(info.suite, RTPFWD_AEAD_AES_128_GCM);
	assert_int_equal(info.cookie, 99);
	assert_int_equal(info.pinned, 1);
	assert_int_equal(control_delete(nl, s.id), 0);
	control_close(nl);
}

static void contexts_die_with_their_socket(void **state)
{
	struct nl *mine = control_open(), *other = control_open();

	(void)state;
	for (int i = 0; i < 10; i++)
		lab_add(i % 2 ? mine : other, RTPFWD_PROTECT, CM, 1);
	assert_int_equal(control_count(other), 10);
	control_close(mine);
	assert_int_equal(control_count(other), 5);
	control_close(other);
	other = control_open();
	assert_int_equal(control_count(other), 0);
	control_close(other);
}

/* As a controller that is killed and started again: what it pinned is found, and taken over. */
static void pinned_ones_outlive_it(void **state)
{
	struct context_spec s = spec_of(RTPFWD_PROTECT, CM);
	struct nl *nl = control_open();
	struct context_info info;
	uint32_t id;

	(void)state;
	s.pinned = 1;
	s.cookie = 5;
	assert_int_equal(control_add(nl, &s, &id), 0);
	control_close(nl);
	nl = control_open();
	assert_int_equal(control_count(nl), 1);
	assert_int_equal(control_get(nl, id, &info), 0);
	assert_int_equal(info.cookie, 5);
	s = (struct context_spec){ .id = id, .pinned = 2 };
	assert_int_equal(control_change(nl, &s), 0);
	control_close(nl);
	nl = control_open();
	assert_int_equal(control_count(nl), 0);
	control_close(nl);
}

/* An error gives the command back: without its keys, whatever it was that was wrong. */
static void refused_keys_are_wiped(void **state)
{
	struct nl *nl = control_open();
	struct context_spec s = spec_of(0, CM);

	(void)state;
	s.cookie = 0x1122334455667788ULL;
	assert_int_equal(control_add(nl, &s, NULL), -EINVAL);
	assert_true(control_has_told(nl, &s.cookie, sizeof(s.cookie)));
	assert_false(control_has_told(nl, s.key, 16));
	assert_false(control_has_told(nl, s.salt, 14));
	s.id = 77;
	assert_int_equal(control_change(nl, &s), -ENOENT);
	assert_true(control_has_told(nl, &s.cookie, sizeof(s.cookie)));
	assert_false(control_has_told(nl, s.key, 16));
	s.id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	s.keep = true;
	assert_int_equal(control_change(nl, &s), -EINVAL);
	assert_true(control_has_told(nl, &s.cookie, sizeof(s.cookie)));
	assert_false(control_has_told(nl, s.key, 16));
	control_close(nl);
}

static void numbers_are_not_used_again(void **state)
{
	struct nl *nl = control_open();
	uint32_t before = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1);

		assert_true(id > before);
		before = id;
		assert_int_equal(control_delete(nl, id), 0);
	}
	control_close(nl);
}

/* One implementation can be had and the other one cannot: refused, and what was made is freed. */
static void a_missing_cipher_is_named(void **state)
{
	struct context_spec s = spec_of(RTPFWD_PROTECT, RTPFWD_AEAD_AES_128_GCM);
	struct nl *nl = control_open();

	(void)state;
	assert_int_equal(lab_unload_other("gcm"), 0);
	for (int i = 0; i < 20; i++)
		refused(nl, &s, -ENOENT, "lacks");
	assert_int_equal(lab_load_other("gcm"), 0);
	assert_int_equal(control_add(nl, &s, NULL), 0);
	control_close(nl);
}

/* More than one message of a dump. */
static void a_dump_has_them_all(void **state)
{
	struct nl *nl = control_open();

	(void)state;
	for (int i = 0; i < 500; i++)
		lab_add(nl, i % 2 ? RTPFWD_PROTECT : RTPFWD_UNPROTECT, (uint8_t)(i % 4 + 1), 1);
	assert_int_equal(control_count(nl), 500);
	control_close(nl);
}

/* Runs `body` in a child; its exit status. */
static int in_child(int (*body)(uint32_t), uint32_t arg)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(body(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int in_another_namespace(uint32_t id)
{
	struct context_info info;
	struct nl *nl;

	if (unshare(CLONE_NEWNET))
		return 1;
	nl = control_open();
	if (control_get(nl, id, &info) != -ENOENT || control_delete(nl, id) != -ENOENT ||
	    control_count(nl))
		return 2;
	lab_add(nl, RTPFWD_PROTECT, CM, 1);
	return control_count(nl) == 1 ? 0 : 3;
}

static void namespaces_do_not_see_each_other(void **state)
{
	struct nl *nl = control_open();
	uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1);

	(void)state;
	assert_int_equal(in_child(in_another_namespace, id), 0);
	assert_int_equal(control_count(nl), 1);
	control_close(nl);
}

static int drop_privilege(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return (int)syscall(SYS_capset, &head, data);
}

static int without_privilege(uint32_t id)
{
	struct context_spec s = spec_of(RTPFWD_PROTECT, CM);
	struct context_info info;
	struct nl *nl;

	if (drop_privilege())
		return 1;
	nl = control_open();
	if (control_add(nl, &s, NULL) != -EPERM || control_get(nl, id, &info) != -EPERM)
		return 2;
	s = (struct context_spec){ .id = id, .pinned = 1 };
	if (control_change(nl, &s) != -EPERM || control_delete(nl, id) != -EPERM ||
	    control_count(nl) != -EPERM)
		return 3;
	return 0;
}

/* Root of its own user namespace, in our network namespace: not its owner. */
static int as_root_elsewhere(uint32_t id)
{
	struct context_info info;

	if (unshare(CLONE_NEWUSER))
		return 1;
	return control_get(control_open(), id, &info) == -EPERM ? 0 : 2;
}

static void only_the_namespaces_admin_may(void **state)
{
	struct nl *nl = control_open();
	uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1);

	(void)state;
	assert_int_equal(in_child(without_privilege, id), 0);
	assert_int_equal(in_child(as_root_elsewhere, id), 0);
	assert_int_equal(control_count(nl), 1);
	control_close(nl);
}

/* A valid message, bent: bytes changed, attributes cut, doubled, of other types and lengths. */
static size_t bend(struct nl *nl, uint8_t *m, uint32_t id)
{
	struct nlmsghdr *h = (void *)m;
	struct genlmsghdr *g = (void *)(h + 1);
	size_t at = sizeof(*h) + sizeof(*g);
	int attributes = rand() % 12;

	memset(m, 0, at);
	for (int i = 0; i < attributes && at < 900; i++) {
		struct nlattr *a = (void *)(m + at);
		int size = rand() % 5 ? rand() % 40 : rand() % 300;

		a->nla_type = (uint16_t)(rand() % (RTPFWD_A_END + 2));
		if (rand() % 4 == 0)
			a->nla_type |= NLA_F_NESTED;
		for (int k = 0; k < size; k++)
			((uint8_t *)(a + 1))[k] = (uint8_t)(rand() % 3 ? rand() % 4 : rand());
		if (a->nla_type == RTPFWD_A_ID && rand() % 2) {
			size = 4;
			memcpy(a + 1, &id, sizeof(id));
		}
		a->nla_len = (uint16_t)(rand() % 20 ? sizeof(*a) + (size_t)size : (size_t)rand());
		at += sizeof(*a) + (size_t)((size + 3) & ~3);
	}
	h->nlmsg_len = (uint32_t)at;
	h->nlmsg_type = control_family(nl);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (rand() % 8 ? 0 : NLM_F_DUMP);
	g->cmd = (uint8_t)(rand() % (RTPFWD_CMD_END + 2));
	g->version = RTPFWD_NL_VERSION;
	return at;
}

static void a_fuzzing_client_breaks_nothing(void **state)
{
	_Alignas(8) uint8_t message[2048];
	struct nl *nl = control_open(), *witness = control_open();
	uint32_t id = lab_add(witness, RTPFWD_PROTECT, CM, 1);
	int taken = 0;

	(void)state;
	srand(2);
	for (int round = 0; round < 20000; round++)
		taken += control_send_raw(nl, message, bend(nl, message, id + 1)) == 0;
	assert_true(taken > 0);
	control_close(nl);
	assert_int_equal(control_count(witness), 1);
	control_close(witness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_told_but_keys),
		cmocka_unit_test(add_is_strict),
		cmocka_unit_test(sizes_are_the_suites),
		cmocka_unit_test(too_many_senders_are_refused),
		cmocka_unit_test(unknown_ones_are_named_so),
		cmocka_unit_test(change_is_whole_or_nothing),
		cmocka_unit_test(contexts_die_with_their_socket),
		cmocka_unit_test(pinned_ones_outlive_it),
		cmocka_unit_test(refused_keys_are_wiped),
		cmocka_unit_test(numbers_are_not_used_again),
		cmocka_unit_test(a_missing_cipher_is_named),
		cmocka_unit_test(a_dump_has_them_all),
		cmocka_unit_test(namespaces_do_not_see_each_other),
		cmocka_unit_test(only_the_namespaces_admin_may),
		cmocka_unit_test(a_fuzzing_client_breaks_nothing),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
