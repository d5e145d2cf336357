// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets by netlink: what the functions do for XDP, for a process that has no privilege. */
#include "lab.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CM   RTPFWD_AES_CM_128_HMAC_SHA1_80
#define SSRC 0x5eed5eed
#define ROOM 32

static uint8_t packet[RTPFWD_MAX_PACKET + ROOM], was[RTPFWD_MAX_PACKET + ROOM];

static int make(bool rtcp, uint16_t seq)
{
	int length = rtcp ? rtcp_make(packet, SSRC, seq % 3) : rtp_make(packet, SSRC, seq, 160);

	memcpy(was, packet, (size_t)length);
	return length;
}

/* By the program and by netlink in turn: libsrtp2 takes all that they make, each once. */
static void shares_its_indices_with_the_functions(void **state)
{
	struct nl *nl = control_open();
	struct xdp *x = prog_open();

	(void)state;
	for (int i = 0; i < 2 * (RTPFWD_SUITE_END - 1); i++) {
		uint8_t suite = (uint8_t)(i / 2 + 1);
		uint32_t out = lab_add(nl, RTPFWD_PROTECT, suite, 1),
			 in = lab_add(nl, RTPFWD_UNPROTECT, suite, 1);
		bool rtcp = i & 1;
		int grow = lab_overhead(suite, rtcp);
		srtp_t reader = oracle(suite, 1, false);

		for (uint16_t seq = 65530; seq != 20; seq++) {
			int length = make(rtcp, seq), size = length + grow;
			uint8_t copy[LAB_MAX];

			if (seq % 2)
				assert_int_equal(control_packet(nl, out, RTPFWD_PROTECT, packet,
								length),
						 size);
			else
				assert_int_equal(prog_protect(x, out, packet, length, grow), size);
			memcpy(copy, packet, (size_t)size);
			assert_int_equal((rtcp ? srtp_unprotect_rtcp : srtp_unprotect)(reader, copy,
										       &size),
					 srtp_err_status_ok);
			if (seq % 3)
				size = control_packet(nl, in, RTPFWD_UNPROTECT, packet,
						      length + grow);
			else
				size = prog_unprotect(x, in, packet, length + grow);
			assert_int_equal(size, length);
			assert_memory_equal(packet, was, length);
		}
		srtp_dealloc(reader);
	}
	prog_close(x);
	control_close(nl);
}

static void of_any_length(void **state)
{
	static const int sizes[] = { 12,   13,	 1500,	3839,  4096,  8192,
				     9001, 32767, 32768, 65000, RTPFWD_MAX_PACKET - 10 };
	struct nl *nl = control_open();
	uint32_t out = lab_add(nl, RTPFWD_PROTECT, CM, 1),
		 in = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int length = rtp_make(packet, SSRC, (uint16_t)i, sizes[i] - 12);

		memcpy(was, packet, (size_t)length);
		assert_int_equal(control_packet(nl, out, RTPFWD_PROTECT, packet, length),
				 length + 10);
		assert_int_equal(control_packet(nl, in, RTPFWD_UNPROTECT, packet, length + 10),
				 length);
		assert_memory_equal(packet, was, length);
	}
	control_close(nl);
}

static void refused(struct nl *nl, uint32_t id, uint8_t direction, int length, int err)
{
	assert_int_equal(control_packet(nl, id, direction, packet, length), err);
}

static void is_strict(void **state)
{
	struct nl *nl = control_open();
	uint32_t out = lab_add(nl, RTPFWD_PROTECT, CM, 1),
		 in = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	int length = make(false, 1);

	(void)state;
	refused(nl, 0, RTPFWD_PROTECT, length, -EINVAL);
	refused(nl, out, 0, length, -EINVAL);
	assert_int_equal(control_packet(nl, out, RTPFWD_PROTECT, NULL, 0), -EINVAL);
	refused(nl, out, 3, length, -ERANGE);
	refused(nl, out, RTPFWD_PROTECT, 0, -ERANGE);
	refused(nl, out, RTPFWD_PROTECT, RTPFWD_MAX_PACKET + 1, -ERANGE);
	refused(nl, out, RTPFWD_UNPROTECT, length, -EPERM);
	refused(nl, in, RTPFWD_PROTECT, length, -EPERM);
	refused(nl, in + 1, RTPFWD_PROTECT, length, -ENOENT);
	for (int i = 0; i < RTPFWD_C_END; i++) { /* it has not come to the keys */
		assert_int_equal(lab_counter(nl, out, i), 0);
		assert_int_equal(lab_counter(nl, in, i), 0);
	}
	control_close(nl);
}

static void refuses_what_the_functions_refuse(void **state)
{
	struct nl *nl = control_open();
	uint32_t out = lab_add(nl, RTPFWD_PROTECT, CM, 1),
		 in = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	int length = make(false, 300), size = length + 10;
	uint8_t sealed[LAB_MAX];

	(void)state;
	refused(nl, out, RTPFWD_PROTECT, 11, -EPROTO);
	assert_int_equal(control_packet(nl, out, RTPFWD_PROTECT, packet, length), size);
	memcpy(sealed, packet, (size_t)size);
	memcpy(packet, was, (size_t)length);
	refused(nl, out, RTPFWD_PROTECT, length, -EEXIST);
	make(false, 1);
	refused(nl, out, RTPFWD_PROTECT, length, -ESTALE);
	memcpy(packet, sealed, (size_t)size);
	packet[20] ^= 1;
	refused(nl, in, RTPFWD_UNPROTECT, size, -EBADMSG);
	packet[20] ^= 1;
	assert_int_equal(control_packet(nl, in, RTPFWD_UNPROTECT, packet, size), length);
	memcpy(packet, sealed, (size_t)size);
	refused(nl, in, RTPFWD_UNPROTECT, size, -EEXIST);
	assert_int_equal(lab_counter(nl, out, RTPFWD_C_malformed), 1);
	assert_int_equal(lab_counter(nl, out, RTPFWD_C_replayed), 1);
	assert_int_equal(lab_counter(nl, out, RTPFWD_C_stale), 1);
	assert_int_equal(lab_counter(nl, in, RTPFWD_C_auth_failed), 1);
	assert_int_equal(lab_counter(nl, in, RTPFWD_C_replayed), 1);
	assert_int_equal(lab_counter(nl, in, RTPFWD_C_unprotected), 1);
	control_close(nl);
}

/* Body of a child: its exit status. */
static int in_child(int (*body)(struct nl *nl, uint32_t id), struct nl *nl, uint32_t id)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(body(nl, id));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int drop_privilege(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return (int)syscall(SYS_capset, &head, data);
}

/* As the userspace relay: packets, and nothing of the control. */
static int with_a_given_socket(struct nl *nl, uint32_t id)
{
	struct context_spec s = { .id = id, .pinned = 1 };
	struct context_info info;
	int length = make(false, 5);

	if (drop_privilege())
		return 1;
	if (control_packet(nl, id, RTPFWD_PROTECT, packet, length) != length + 10)
		return 2;
	if (control_get(nl, id, &info) != -EPERM || control_delete(nl, id) != -EPERM ||
	    control_change(nl, &s) != -EPERM || control_count(nl) != -EPERM)
		return 3;
	s = (struct context_spec){
		.direction = 1, .suite = CM, .key = lab_key(1), .salt = lab_salt(1)
	};
	return control_add(nl, &s, NULL) == -EPERM ? 0 : 4;
}

static int with_a_socket_of_its_own(struct nl *nl, uint32_t id)
{
	int length = make(false, 6);

	(void)nl;
	if (drop_privilege())
		return 1;
	return control_packet(control_open(), id, RTPFWD_PROTECT, packet, length) == -EPERM ? 0 : 2;
}

static int in_another_namespace(struct nl *nl, uint32_t id)
{
	int length = make(false, 7);

	(void)nl;
	if (unshare(CLONE_NEWNET))
		return 1;
	return control_packet(control_open(), id, RTPFWD_PROTECT, packet, length) == -ENOENT ? 0
											      : 2;
}

static void is_for_who_was_given_an_admins_socket(void **state)
{
	struct nl *nl = control_open(), *given = control_open();
	uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1);

	(void)state;
	assert_int_equal(in_child(with_a_given_socket, given, id), 0);
	assert_int_equal(in_child(with_a_socket_of_its_own, NULL, id), 0);
	assert_int_equal(in_child(in_another_namespace, NULL, id), 0);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_protected), 1);
	control_close(given); /* no owner: the context lives */
	assert_int_equal(control_count(nl), 1);
	control_close(nl);
}

#define RACE 3000

static uint32_t index_of(int length)
{
	return ((uint32_t)packet[length] << 24 | (uint32_t)packet[length + 1] << 16 |
		(uint32_t)packet[length + 2] << 8 | packet[length + 3]) &
	       0x7fffffff;
}

/* SRTCP of one sender by netlink, in a process of its own; the indices go to a pipe, which holds
 * them all. */
static pid_t by_netlink(struct nl *nl, uint32_t id, int pipe_out)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	for (int i = 0; i < RACE; i++) {
		int length = make(true, 0);
		uint32_t index;

		if (control_packet(nl, id, RTPFWD_PROTECT, packet, length) != length + 14)
			_exit(1);
		index = index_of(length);
		if (write(pipe_out, &index, sizeof(index)) != sizeof(index))
			_exit(2);
	}
	_exit(0);
}

/* Both at once, on two processors: each index is used once, and none is left out. */
static void no_index_is_used_twice(void **state)
{
	static uint8_t used[2 * RACE];
	struct nl *nl = control_open(), *given = control_open();
	struct xdp *x = prog_open();
	uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1), index;
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = by_netlink(given, id, ends[1]);
	close(ends[1]);
	for (int i = 0; i < RACE; i++) {
		int length = make(true, 0);

		assert_int_equal(prog_protect(x, id, packet, length, 14), length + 14);
		index = index_of(length);
		assert_true(index < 2 * RACE);
		used[index]++;
	}
	while (read(ends[0], &index, sizeof(index)) == sizeof(index)) {
		assert_true(index < 2 * RACE);
		used[index]++;
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2 * RACE; i++)
		assert_int_equal(used[i], 1);
	close(ends[0]);
	prog_close(x);
	control_close(given);
	control_close(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_its_indices_with_the_functions),
		cmocka_unit_test(of_any_length),
		cmocka_unit_test(is_strict),
		cmocka_unit_test(refuses_what_the_functions_refuse),
		cmocka_unit_test(is_for_who_was_given_an_admins_socket),
		cmocka_unit_test(no_index_is_used_twice),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
