// SPDX-License-Identifier: GPL-2.0-or-later
/* What a context remembers: senders, indices, former keys; through new keys and a restart. */
#include "lab.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SSRC 0x12345678
#define CM   RTPFWD_AES_CM_128_HMAC_SHA1_80
#define GCM  RTPFWD_AEAD_AES_256_GCM

static struct nl *nl;
static struct xdp *x;

static int begin(void **state)
{
	(void)state;
	nl = control_open();
	x = prog_open();
	return 0;
}

static int end(void **state)
{
	(void)state;
	prog_close(x);
	control_close(nl);
	return 0;
}

static uint32_t add_at(uint8_t direction, uint8_t suite, unsigned int key, int64_t rtp,
		       int64_t rtcp)
{
	struct lab_stream stream = { SSRC, rtp, rtcp };
	struct context_spec spec = {
		.direction = direction,
		.suite = suite,
		.key = lab_key(key),
		.salt = lab_salt(key),
		.streams = &stream,
		.n_streams = 1,
	};
	uint32_t id;

	assert_int_equal(control_add(nl, &spec, &id), 0);
	return id;
}

static void rekey(uint32_t id, uint8_t suite, unsigned int key, int64_t overlap_ms, bool keep)
{
	struct context_spec spec = {
		.id = id,
		.suite = suite,
		.key = lab_key(key),
		.salt = lab_salt(key),
		.overlap = overlap_ms < 0 ? 0 : overlap_ms + 1,
		.keep = keep,
	};

	assert_int_equal(control_change(nl, &spec), 0);
}

/* Packet `seq` as `sender` protects it, through the context; what that says. */
static int hear_from(srtp_t sender, uint32_t id, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[LAB_MAX];
	int size = rtp_make(packet, ssrc, seq, 50);

	assert_int_equal(srtp_protect(sender, packet, &size), srtp_err_status_ok);
	return prog_unprotect(x, id, packet, size);
}

static int send_from(uint32_t id, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[LAB_MAX];

	return prog_protect(x, id, packet, rtp_make(packet, ssrc, seq, 50), 16);
}

static int send_rtcp(uint32_t id, uint32_t ssrc)
{
	uint8_t packet[LAB_MAX];

	return prog_protect(x, id, packet, rtcp_make(packet, ssrc, 0), 20);
}

/* From one context of ours (verified elsewhere) to another. */
static int relay(uint32_t from, uint32_t to, uint16_t seq)
{
	uint8_t packet[LAB_MAX];
	int size = prog_protect(x, from, packet, rtp_make(packet, SSRC, seq, 50), 16);

	assert_true(size > 0);
	return prog_unprotect(x, to, packet, size);
}

static struct lab_stream stream_of(uint32_t id)
{
	struct context_info info;

	assert_int_equal(control_get(nl, id, &info), 0);
	assert_int_equal(info.n_streams, 1);
	return info.streams[0];
}

static void new_keys_of_a_receiver_leave_no_gap(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t old = oracle(CM, 1, true), new = oracle(GCM, 2, true);

	(void)state;
	assert_int_equal(hear_from(old, id, SSRC, 1), 62);
	rekey(id, GCM, 2, -1, false);
	assert_int_equal(hear_from(old, id, SSRC, 2), 62); /* it has not heard of them yet */
	assert_int_equal(hear_from(new, id, SSRC, 4), 62);
	assert_int_equal(hear_from(old, id, SSRC, 3), 62); /* late */
	assert_int_equal(hear_from(new, id, SSRC, 5), 62);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_former), 2);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_unprotected), 5);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_auth_failed), 0);
	srtp_dealloc(new);
	srtp_dealloc(old);
}

static void former_keys_expire_after_the_overlap(void **state)
{
	struct timespec tick = { .tv_nsec = 5000000 };
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t old = oracle(CM, 1, true), new = oracle(CM, 2, true);
	uint16_t seq = 1;
	int ret = 62;

	(void)state;
	assert_int_equal(hear_from(old, id, SSRC, seq++), 62);
	rekey(id, CM, 2, 1, false);
	for (int i = 0; i < 20; i++) { /* nothing came under the new ones: no time runs */
		nanosleep(&tick, NULL);
		assert_int_equal(hear_from(old, id, SSRC, seq++), 62);
	}
	assert_int_equal(hear_from(new, id, SSRC, 1000), 62);
	seq = 1002;
	for (int i = 0; i < 1000 && ret == 62; i++) {
		nanosleep(&tick, NULL);
		ret = hear_from(old, id, SSRC, seq++);
	}
	assert_int_equal(ret, -EBADMSG);
	assert_int_equal(hear_from(new, id, SSRC, 1001), 62);
	srtp_dealloc(new);
	srtp_dealloc(old);
}

/* Two changes in a row: the keys before the last are gone. */
static void only_one_generation_is_kept(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t first = oracle(CM, 1, true), second = oracle(CM, 2, true);

	(void)state;
	rekey(id, CM, 2, -1, false);
	rekey(id, CM, 3, -1, false);
	assert_int_equal(hear_from(second, id, SSRC, 1), 62);
	assert_int_equal(hear_from(first, id, SSRC, 2), -EBADMSG);
	srtp_dealloc(second);
	srtp_dealloc(first);
}

static void rollover_that_goes_on_is_followed(void **state)
{
	uint32_t sender = add_at(RTPFWD_PROTECT, GCM, 2, 3 << 16 | 10, -1);
	uint32_t id = add_at(RTPFWD_UNPROTECT, CM, 1, 3 << 16 | 9, -1);

	(void)state;
	rekey(id, GCM, 2, -1, false);
	assert_int_equal(relay(sender, id, 11), 62);
	assert_int_equal(stream_of(id).rtp, 3 << 16 | 11);
}

static void rollover_that_begins_anew_is_followed(void **state)
{
	uint32_t id = add_at(RTPFWD_UNPROTECT, CM, 1, 3 << 16 | 9, -1);
	srtp_t gcm = oracle(GCM, 2, true), cm = oracle(CM, 3, true);

	(void)state;
	rekey(id, GCM, 2, -1, false);
	assert_int_equal(hear_from(gcm, id, SSRC, 10), 62);
	assert_int_equal(stream_of(id).rtp, 10);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_auth_failed), 0);
	id = add_at(RTPFWD_UNPROTECT, GCM, 1, 3 << 16 | 9, -1);
	rekey(id, CM, 3, -1, false);
	assert_int_equal(hear_from(cm, id, SSRC, 10), 62);
	assert_int_equal(stream_of(id).rtp, 10);
	srtp_dealloc(cm);
	srtp_dealloc(gcm);
}

static void new_keys_of_a_sender_begin_anew(void **state)
{
	uint32_t id = add_at(RTPFWD_PROTECT, CM, 1, 3 << 16 | 9, 77);

	(void)state;
	rekey(id, CM, 2, -1, false);
	assert_true(send_from(id, SSRC, 10) > 0);
	assert_true(send_rtcp(id, SSRC) > 0);
	assert_int_equal(stream_of(id).rtp, 10);
	assert_int_equal(stream_of(id).rtcp, 0);
}

static void new_keys_of_a_sender_go_on_if_told(void **state)
{
	uint32_t id = add_at(RTPFWD_PROTECT, CM, 1, 3 << 16 | 9, 77);

	(void)state;
	rekey(id, GCM, 2, -1, true);
	assert_true(send_from(id, SSRC, 10) > 0);
	assert_true(send_rtcp(id, SSRC) > 0);
	assert_int_equal(stream_of(id).rtp, 3 << 16 | 10);
	assert_int_equal(stream_of(id).rtcp, 78);
	assert_int_equal(send_from(id, SSRC, 9), -EEXIST);
}

/* Whoever sets the keys that are in force sets nothing back: indices would be used again. */
static void the_same_keys_of_a_sender_go_on(void **state)
{
	static const uint8_t suites[] = { CM, RTPFWD_AES_CM_128_HMAC_SHA1_32 };
	uint32_t id = add_at(RTPFWD_PROTECT, CM, 1, 3 << 16 | 9, 77);

	(void)state;
	assert_true(send_from(id, SSRC, 10) > 0);
	for (int i = 0; i < 2; i++) {
		rekey(id, suites[i], 1, -1, false);
		assert_int_equal(send_from(id, SSRC, 10), -EEXIST);
	}
	assert_true(send_rtcp(id, SSRC) > 0);
	assert_int_equal(stream_of(id).rtp, 3 << 16 | 10);
	assert_int_equal(stream_of(id).rtcp, 78);
}

static void the_same_keys_of_a_receiver_go_on(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, GCM, 1);
	srtp_t sender = oracle(GCM, 1, true), next = oracle(CM, 2, true);
	uint8_t packet[LAB_MAX], again[LAB_MAX];
	int size = rtp_make(packet, SSRC, 5, 50);

	(void)state;
	assert_int_equal(srtp_protect(sender, packet, &size), srtp_err_status_ok);
	memcpy(again, packet, (size_t)size);
	assert_int_equal(prog_unprotect(x, id, packet, size), 62);
	rekey(id, GCM, 1, -1, false);
	assert_int_equal(prog_unprotect(x, id, again, size), -EEXIST);
	assert_int_equal(hear_from(sender, id, SSRC, 6), 62);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_former), 0);
	rekey(id, CM, 2, -1, false); /* others take their place as ever */
	assert_int_equal(hear_from(next, id, SSRC, 7), 62);
	assert_int_equal(hear_from(sender, id, SSRC, 8), 62);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_former), 1);
	srtp_dealloc(next);
	srtp_dealloc(sender);
}

/* Told by one context, given to the next: nothing is lost and nothing taken twice. */
static void state_moves_to_another_context(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t sender = oracle(CM, 1, true);
	uint8_t again[LAB_MAX];
	struct lab_stream known;
	int size;

	(void)state;
	for (uint32_t index = 60000; index < 140000; index += 5000)
		assert_int_equal(hear_from(sender, id, SSRC, (uint16_t)index), 62);
	size = rtp_make(again, SSRC, (uint16_t)140000, 50);
	assert_int_equal(srtp_protect(sender, again, &size), srtp_err_status_ok);
	assert_int_equal(prog_unprotect(x, id, again, size), 62);
	known = stream_of(id);
	assert_int_equal(known.rtp, 140000);
	assert_int_equal(control_delete(nl, id), 0);
	id = add_at(RTPFWD_UNPROTECT, CM, 1, known.rtp, known.rtcp);
	assert_int_equal(hear_from(sender, id, SSRC, (uint16_t)140001), 62);
	assert_int_equal(prog_unprotect(x, id, again, size), -EEXIST);
	srtp_dealloc(sender);
}

static void no_index_is_used_twice(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_PROTECT, CM, 1);

	(void)state;
	assert_true(send_from(id, SSRC, 1000) > 0);
	assert_int_equal(send_from(id, SSRC, 1000), -EEXIST);
	assert_true(send_from(id, SSRC, 900) > 0);
	assert_int_equal(send_from(id, SSRC, 900), -EEXIST);
	assert_int_equal(send_from(id, SSRC, 1000 - 192), -ESTALE);
	assert_int_equal(send_from(id, SSRC, 65535), -ESTALE); /* of before the first one */
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_replayed), 2);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_stale), 2);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_protected), 2);
}

static void a_key_ends_with_its_last_index(void **state)
{
	uint32_t id = add_at(RTPFWD_PROTECT, GCM, 1, (1LL << 48) - 2, 0x7ffffffe);

	(void)state;
	assert_true(send_from(id, SSRC, 65535) > 0);
	assert_int_equal(send_from(id, SSRC, 0), -EKEYEXPIRED);
	assert_true(send_rtcp(id, SSRC) > 0);
	assert_int_equal(send_rtcp(id, SSRC), -EKEYEXPIRED);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_exhausted), 2);
	id = add_at(RTPFWD_UNPROTECT, CM, 1, (1LL << 48) - 1, -1);
	assert_int_equal(hear_from(oracle(CM, 1, true), id, SSRC, 0), -EKEYEXPIRED);
}

static void senders_of_a_key_are_bounded(void **state)
{
	uint32_t out = lab_add(nl, RTPFWD_PROTECT, CM, 1),
		 in = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t sender = oracle(CM, 1, true);
	struct context_info info;

	(void)state;
	for (uint32_t ssrc = 1; ssrc <= RTPFWD_MAX_STREAMS + 1; ssrc++) {
		bool fits = ssrc <= RTPFWD_MAX_STREAMS;
		int sent = send_from(out, ssrc, 1), heard = hear_from(sender, in, ssrc, 1);

		assert_int_equal(sent, fits ? 72 : -EMFILE);
		assert_int_equal(heard, fits ? 62 : -EMFILE);
	}
	assert_int_equal(send_from(out, 1, 2), 72); /* those that are there go on */
	assert_int_equal(hear_from(sender, in, 1, 2), 62);
	assert_int_equal(control_get(nl, out, &info), 0);
	assert_int_equal(info.n_streams, RTPFWD_MAX_STREAMS);
	assert_int_equal(info.counters[RTPFWD_C_no_stream], 1);
	srtp_dealloc(sender);
}

static void forged_senders_are_not_remembered(void **state)
{
	static const uint8_t suites[] = { CM, GCM };
	uint8_t packet[LAB_MAX];
	struct context_info info;

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, suites[i], 1);

		for (uint32_t ssrc = 1; ssrc <= 100; ssrc++) {
			int size = rtp_make(packet, ssrc, 1, 60);

			assert_int_equal(prog_unprotect(x, id, packet, size), -EBADMSG);
		}
		assert_int_equal(control_get(nl, id, &info), 0);
		assert_int_equal(info.n_streams, 0);
		assert_int_equal(info.counters[RTPFWD_C_auth_failed], 100);
	}
}

/* A forged jump ahead must not move the window past the genuine packets. */
static void forged_jumps_move_nothing(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t sender = oracle(CM, 1, true);
	uint8_t packet[LAB_MAX];

	(void)state;
	assert_int_equal(hear_from(sender, id, SSRC, 10), 62);
	for (unsigned int seq = 11; seq < 65536; seq += 997) {
		int size = rtp_make(packet, SSRC, (uint16_t)seq, 60);

		assert_int_equal(prog_unprotect(x, id, packet, size), -EBADMSG);
	}
	assert_int_equal(stream_of(id).rtp, 10);
	assert_int_equal(hear_from(sender, id, SSRC, 11), 62);
	srtp_dealloc(sender);
}

static void srtcp_without_encryption_is_refused(void **state)
{
	uint32_t id = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	srtp_t sender = oracle(CM, 1, true);
	uint8_t packet[LAB_MAX];
	int size = rtcp_make(packet, SSRC, 0);

	(void)state;
	assert_int_equal(srtp_protect_rtcp(sender, packet, &size), srtp_err_status_ok);
	packet[size - 14] &= 0x7f; /* E, in front of the index and the tag */
	assert_int_equal(prog_unprotect(x, id, packet, size), -ENOKEY);
	assert_int_equal(lab_counter(nl, id, RTPFWD_C_unencrypted), 1);
	srtp_dealloc(sender);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_keys_of_a_receiver_leave_no_gap),
		TEST(former_keys_expire_after_the_overlap),
		TEST(only_one_generation_is_kept),
		TEST(rollover_that_goes_on_is_followed),
		TEST(rollover_that_begins_anew_is_followed),
		TEST(new_keys_of_a_sender_begin_anew),
		TEST(new_keys_of_a_sender_go_on_if_told),
		TEST(the_same_keys_of_a_sender_go_on),
		TEST(the_same_keys_of_a_receiver_go_on),
		TEST(state_moves_to_another_context),
		TEST(no_index_is_used_twice),
		TEST(a_key_ends_with_its_last_index),
		TEST(senders_of_a_key_are_bounded),
		TEST(forged_senders_are_not_remembered),
		TEST(forged_jumps_move_nothing),
		TEST(srtcp_without_encryption_is_refused),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
