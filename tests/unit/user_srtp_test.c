// SPDX-License-Identifier: GPL-2.0-or-later
/* SRTP in the userspace relay, beside libsrtp2 at the far ends: what a later relay goes on with,
 * and what it cannot know. */
#include "datapath/user_srtp.h"

#include "../kmod/rtpfwd_nl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CM	RTPFWD_AES_CM_128_HMAC_SHA1_80
#define SLOT	1
#define NOW	1000
#define LONGEST 256
#define ROOM	20
#define SSRC(i) (0x5eed0000u + (uint32_t)(i))

/* Of libnss3, which libsrtp2 takes its ciphers from. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnspr4\nleak:libnssutil3\nleak:libnss3\nleak:libsoftokn3\nleak:libfreebl\n";
}

static struct crypt_keys *keys; /* as the map has them: they outlive a relay */
static struct user_srtp relay;
static srtp_t far; /* who reads what we send, or sends what we read */

static struct flow_crypt key_of(uint8_t suite)
{
	struct flow_crypt key = { .suite = suite };

	for (size_t i = 0; i < sizeof(key.key); i++)
		key.key[i] = (uint8_t)(i * 7 + 1);
	return key;
}

static void set_policy(srtp_policy_t *p, uint8_t suite)
{
	if (suite == RTPFWD_AEAD_AES_128_GCM)
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtp);
	else if (suite == RTPFWD_AEAD_AES_256_GCM)
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&p->rtp);
	else
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p->rtp);
	p->rtcp = p->rtp; /* RFC 4568 6.2.2: of the short tag, too */
	if (suite == RTPFWD_AES_CM_128_HMAC_SHA1_32)
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&p->rtp);
}

static void begin(uint8_t suite, bool sends)
{
	struct flow_crypt key = key_of(suite);
	srtp_policy_t policy = { .window_size = 128 };

	keys = calloc(SLOT + 1, sizeof(*keys));
	assert_non_null(keys);
	keys[SLOT].generation = 2;
	keys[SLOT].in_generation = keys[SLOT].out_generation = 1;
	keys[SLOT].in = keys[SLOT].out = key;
	assert_int_equal(user_srtp_open(&relay, keys, SLOT + 1), 0);
	set_policy(&policy, suite);
	policy.ssrc.type = sends ? ssrc_any_outbound : ssrc_any_inbound;
	policy.key = key.key;
	assert_int_equal(srtp_create(&far, &policy), srtp_err_status_ok);
}

static int end(void **state)
{
	(void)state;
	srtp_dealloc(far);
	user_srtp_close(&relay);
	free(keys);
	return 0;
}

/* Another process: what it has is the map alone. The far end goes on. */
static void restart(void)
{
	user_srtp_close(&relay);
	assert_int_equal(user_srtp_open(&relay, keys, SLOT + 1), 0);
}

static int make(uint8_t packet[LONGEST], bool rtcp, uint32_t ssrc, uint16_t seq)
{
	uint32_t word = htonl(ssrc);
	int length = rtcp ? 28 : 172;

	memset(packet, 0x5a, (size_t)length);
	memcpy(packet, rtcp ? "\x80\xc8\0\x06" : "\x80\0\0\0", 4);
	if (!rtcp) {
		packet[2] = (uint8_t)(seq >> 8);
		packet[3] = (uint8_t)seq;
	}
	memcpy(packet + (rtcp ? 4 : 8), &word, sizeof(word));
	return length;
}

/* The relay encrypts one; the far end reads it, or it is refused. SRTCP's index goes to `index`. */
static int send_as(uint8_t suite, bool rtcp, uint32_t ssrc, uint16_t seq, uint32_t *index)
{
	uint8_t packet[LONGEST] __attribute__((aligned(4))), clear[LONGEST];
	int length = make(packet, rtcp, ssrc, seq), got;
	uint32_t word;

	memcpy(clear, packet, sizeof(clear));
	got = user_srtp_protect(&relay, SLOT, packet, (uint32_t)length, ROOM);
	if (got < 0)
		return got;
	if (index) {
		memcpy(&word, packet + got - (suite >= RTPFWD_AEAD_AES_128_GCM ? 4 : 14),
		       sizeof(word));
		*index = ntohl(word) & 0x7fffffff;
	}
	assert_int_equal((rtcp ? srtp_unprotect_rtcp : srtp_unprotect)(far, packet, &got),
			 srtp_err_status_ok);
	assert_int_equal(got, length);
	assert_memory_equal(packet, clear, (size_t)length);
	return 0;
}

static int send_rtp(uint32_t ssrc, uint16_t seq)
{
	return send_as(CM, false, ssrc, seq, NULL);
}

/* One that the far end encrypts; twice: the same once more. */
static int receive(bool rtcp, uint32_t ssrc, uint16_t seq, bool twice)
{
	uint8_t packet[LONGEST] __attribute__((aligned(4))), again[LONGEST];
	int length = make(packet, rtcp, ssrc, seq), size = length, got;

	assert_int_equal((rtcp ? srtp_protect_rtcp : srtp_protect)(far, packet, &size),
			 srtp_err_status_ok);
	memcpy(again, packet, sizeof(again));
	got = user_srtp_unprotect(&relay, SLOT, packet, (uint32_t)size, NOW);
	if (got < 0)
		return got;
	assert_int_equal(got, length);
	if (twice)
		return user_srtp_unprotect(&relay, SLOT, again, (uint32_t)size, NOW);
	return 0;
}

/* As far as an index can be: in one step, whatever it was. */
static void srtcp_goes_on_behind_a_restart(void **state)
{
	static const uint32_t far_along[] = { 2, 3, 126, 127, 128, 129, 1000, 70000, 0x7fffff00 };

	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++) {
		uint32_t before = 0, index;

		begin(suite, false);
		for (size_t i = 0; i < sizeof(far_along) / sizeof(far_along[0]); i++) {
			for (int n = 0; n < 3; n++) {
				assert_int_equal(send_as(suite, true, SSRC(1), 0, &index), 0);
				assert_true(index > before);
				before = index;
			}
			restart();
			/* As if there had been so many. */
			keys[SLOT].sent.state[0].next = far_along[i] > before ? far_along[i]
									      : before + 1;
			before = (uint32_t)keys[SLOT].sent.state[0].next - 1;
			assert_int_equal(send_as(suite, true, SSRC(1), 0, &index), 0);
			assert_int_equal(index, before + 1);
			before = index;
		}
		end(NULL);
	}
}

static void srtcp_of_a_used_up_key_is_refused(void **state)
{
	(void)state;
	begin(CM, false);
	assert_int_equal(send_as(CM, true, SSRC(1), 0, NULL), 0);
	restart();
	keys[SLOT].sent.state[0].next = INDEX_RTCP_END - 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_as(CM, true, SSRC(1), 0, NULL), -EKEYEXPIRED);
}

/* Five and more senders under one key: while the relay lives each goes on, in any order. */
static void all_senders_go_on_in_one_relay(void **state)
{
	uint32_t last[SENDERS_MAX] = { 0 }, index;

	(void)state;
	begin(CM, false);
	srand(1);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t who = i < SENDERS_MAX ? i : (uint32_t)rand() % SENDERS_MAX;

		assert_int_equal(send_as(CM, true, SSRC(who), 0, &index), 0);
		assert_true(index > last[who]);
		last[who] = index;
	}
	assert_int_equal(send_as(CM, true, SSRC(SENDERS_MAX), 0, NULL), -EMFILE);
}

/* A later relay knows the four that spoke last. Of the others it knows that they were there: they
 * are refused; who is new is not. */
static void a_fifth_sender_is_not_begun_anew(void **state)
{
	uint32_t last[6], index;

	(void)state;
	begin(CM, false);
	for (uint32_t who = 0; who < 6; who++)
		for (int i = 0; i < 5; i++)
			assert_int_equal(send_as(CM, true, SSRC(who), 0, &last[who]), 0);
	assert_int_equal(send_as(CM, true, SSRC(0), 0, &last[0]), 0); /* 1 and 2 are gone */
	for (int life = 0; life < 3; life++) {
		restart();
		for (uint32_t who = 0; who < 6; who++) {
			int err = send_as(CM, true, SSRC(who), 0, &index);

			assert_int_equal(err, who == 1 || who == 2 ? -EMFILE : 0);
			if (err)
				continue;
			assert_int_equal(index, last[who] + 1);
			last[who] = index;
		}
	}
	assert_int_equal(send_as(CM, true, SSRC(99), 0, &index), 0);
	assert_int_equal(index, 1);
}

static void new_keys_admit_all_senders(void **state)
{
	(void)state;
	begin(CM, false);
	for (uint32_t who = 0; who < SENDERS_MAX; who++)
		assert_int_equal(send_rtp(SSRC(who), 1), 0);
	restart();
	assert_int_equal(send_rtp(SSRC(0), 2), -EMFILE);
	assert_int_equal(send_rtp(SSRC(99), 2), -EMFILE);
	keys[SLOT].out.key[0] ^= 1;
	keys[SLOT].out_generation++;
	keys[SLOT].generation += 2;
	for (uint32_t who = 0; who < SENDERS_MAX; who++) {
		uint8_t packet[LONGEST] __attribute__((aligned(4)));
		int length = make(packet, false, SSRC(who), 1);

		assert_int_equal(
			user_srtp_protect(&relay, SLOT, packet, (uint32_t)length, ROOM), 182);
	}
}

/* Over rollovers, with packets that come late and twice, relays that end at any time. */
static void no_index_is_sent_twice(void **state)
{
	(void)state;
	begin(CM, false);
	assert_int_equal(send_rtp(SSRC(1), 65000), 0);
	for (uint16_t seq = 65001; seq != 2000; seq++) {
		if (seq == 300)
			continue;
		if (seq % 97 == 0 || seq == 65535 || seq == 0 || seq == 301)
			restart();
		assert_int_equal(send_rtp(SSRC(1), seq), 0);
		assert_int_equal(send_rtp(SSRC(1), seq), -EEXIST);
		if (seq == 310) /* late, but it was not sent before */
			assert_int_equal(send_rtp(SSRC(1), 300), 0);
	}
	assert_int_equal(send_rtp(SSRC(1), 300), -ESTALE);
}

static void replays_are_known_behind_a_restart(void **state)
{
	(void)state;
	for (int rtcp = 0; rtcp < 2; rtcp++) {
		begin(CM, true);
		for (uint16_t seq = 65400; seq != 300; seq++) {
			if (seq % 50 == 0)
				restart();
			assert_int_equal(receive(rtcp, SSRC(1), seq, true), -EEXIST);
		}
		if (!rtcp)
			end(NULL);
	}
}

/* Who is not among the latest comes back to the relay that has heard him, and to no later one. */
static void heard_senders_are_told_apart(void **state)
{
	(void)state;
	begin(CM, true);
	for (int round = 0; round < 3; round++)
		for (uint32_t who = 0; who < 6; who++)
			assert_int_equal(receive(false, SSRC(who), (uint16_t)(65534 + round), true),
					 -EEXIST);
	restart();
	assert_int_equal(receive(false, SSRC(0), 2, false), -EMFILE);
	for (uint32_t who = 2; who < 6; who++)
		assert_int_equal(receive(false, SSRC(who), 2, true), -EEXIST);
	assert_int_equal(receive(false, SSRC(9), 2, true), -EEXIST);
}

/* What is not authentic takes nobody's place. */
static void a_forger_is_not_remembered(void **state)
{
	uint8_t packet[LONGEST] __attribute__((aligned(4)));

	(void)state;
	begin(CM, true);
	assert_int_equal(receive(false, SSRC(1), 1, false), 0);
	for (uint32_t who = 100; who < 200; who++) {
		int length = make(packet, false, SSRC(who), 7) + 10;

		assert_int_equal(user_srtp_unprotect(&relay, SLOT, packet, (uint32_t)length, NOW),
				 -EBADMSG);
	}
	restart();
	for (uint32_t who = 1; who < SENDERS_MAX; who++)
		assert_int_equal(receive(false, SSRC(who), 2, false), 0);
}

static void without_keys_it_is_not_the_packets_fault(void **state)
{
	uint8_t packet[LONGEST] __attribute__((aligned(4)));
	int length = make(packet, false, SSRC(1), 7);

	(void)state;
	begin(CM, true);
	keys[SLOT].generation++; /* they are being written */
	assert_int_equal(user_srtp_protect(&relay, SLOT, packet, (uint32_t)length, ROOM),
			 -ENOENT);
	assert_int_equal(user_srtp_unprotect(&relay, SLOT, packet, (uint32_t)length, NOW), -ENOENT);
}

/* The suite may be another one than when the room was made: more is looked for, nothing lost. */
static void without_room_nothing_is_used_up(void **state)
{
	uint8_t packet[LONGEST] __attribute__((aligned(4)));
	int length = make(packet, false, SSRC(1), 7);

	(void)state;
	begin(RTPFWD_AEAD_AES_128_GCM, false);
	assert_int_equal(user_srtp_protect(&relay, SLOT, packet, (uint32_t)length, 15), -ENOSPC);
	assert_int_equal(user_srtp_protect(&relay, SLOT, packet, (uint32_t)length, 16),
			 length + 16);
}

#define T(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(srtcp_goes_on_behind_a_restart),
		T(srtcp_of_a_used_up_key_is_refused),
		T(all_senders_go_on_in_one_relay),
		T(a_fifth_sender_is_not_begun_anew),
		T(new_keys_admit_all_senders),
		T(no_index_is_sent_twice),
		T(replays_are_known_behind_a_restart),
		T(heard_senders_are_told_apart),
		T(a_forger_is_not_remembered),
		T(without_room_nothing_is_used_up),
		T(without_keys_it_is_not_the_packets_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
