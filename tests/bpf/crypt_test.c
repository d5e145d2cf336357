// SPDX-License-Identifier: GPL-2.0-or-later
/* SRTP as a step of the verdict, without a cipher: what errors are called, lengths and sums. The
 * ciphers are tested in tests/kmod. */
#include "lab.h"

#include "datapath/user_host.h"
#include "crypt.h"

#include <stdlib.h>
#include <string.h>

static void srtp_auth_is_what_does_not_authenticate(void **state)
{
	(void)state;
	assert_int_equal(crypt_refusal(-EBADMSG), RTPFWD_R_srtp_auth);
	assert_int_equal(crypt_refusal(-ENOKEY), RTPFWD_R_srtp_auth); /* SRTCP in the clear */
}

static void srtp_replay_is_what_came_before(void **state)
{
	(void)state;
	assert_int_equal(crypt_refusal(-EEXIST), RTPFWD_R_srtp_replay);
	assert_int_equal(crypt_refusal(-ESTALE), RTPFWD_R_srtp_replay);
}

static void srtp_failed_is_all_that_is_not_the_packets_fault(void **state)
{
	const int errors[] = { -ENOENT, -EPERM, -EMFILE, -ENOMEM, -EKEYEXPIRED, -EOPNOTSUPP };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		assert_int_equal(crypt_refusal(errors[i]), RTPFWD_R_srtp_failed);
	assert_int_equal(crypt_refusal(-EPROTO), RTPFWD_R_not_rtp);
	assert_int_equal(crypt_refusal(-ENOSPC), RTPFWD_R_headroom);
}

static void frame_of(struct frame *f, bool six, bool no_sum, const uint8_t *payload,
		     uint32_t length)
{
	struct frame_spec spec = {
		.from = six ? "[2001:db8::1]:5004" : "10.0.0.1:5004",
		.to = six ? "[2001:db8::2]:6000" : "10.0.0.2:6000",
		.payload = payload,
		.length = length,
		.no_sum = no_sum,
	};

	frame_make(f, &spec);
}

/* IP is aligned to words, as for the relay. */
struct bench {
	_Alignas(4) uint8_t bytes[2 + 512];
	struct user_frame frame;
	struct host host;
	struct packet packet;
	uint32_t at; /* of the payload */
};

static void put(struct bench *b, const struct frame *f)
{
	memcpy(b->bytes + 2, f->bytes, f->size);
	b->frame.begin = b->bytes + 2;
	b->frame.end = b->frame.begin + f->size;
	b->frame.limit = b->bytes + sizeof(b->bytes);
	b->host.frame = &b->frame;
	b->at = frame_udp_at(f) + 8;
	if (parse_eth(&b->packet, &b->host) == htons(ETH_P_IP))
		assert_true(parse_ip(&b->packet));
	else
		assert_true(parse_ip6(&b->packet));
}

/* The first `was` bytes of its payload become the first `now` ones of `payload`. */
static void change(struct bench *b, uint32_t was, const uint8_t *payload, uint32_t now)
{
	__u64 before = 0, after = 0;

	frame_sum(&b->host, b->at, was, &before);
	memcpy(b->frame.begin + b->at, payload, now);
	frame_sum(&b->host, b->at, now, &after);
	crypt_write_lengths(&b->packet, b->packet.six, was, now, (__u16)~fold(before) + after);
	frame_fit(&b->host, b->at + now);
}

static void fill(uint8_t payload[256])
{
	for (int i = 0; i < 256; i++)
		payload[i] = (uint8_t)rand();
}

/* Then it must be as if it had been made so. */
static void lengths_and_sums_follow_the_payload(void **state)
{
	uint8_t first[256], second[256];
	struct frame f, due;
	struct bench b;

	(void)state;
	srand(4711);
	for (int i = 0; i < 20000; i++) {
		uint32_t was = 12 + (uint32_t)rand() % 200, now = 12 + (uint32_t)rand() % 200;
		bool six = i & 1, no_sum = i & 2 && !six;

		fill(first);
		fill(second);
		frame_of(&f, six, no_sum, first, was);
		frame_of(&due, six, no_sum, second, now);
		put(&b, &f);
		change(&b, was, second, now);
		assert_int_equal(b.frame.end - b.frame.begin, due.size);
		assert_memory_equal(b.frame.begin, due.bytes, due.size);
	}
}

/* A wrong sum is not made a right one: whoever gets the packet sees that it is damaged. */
static void a_damaged_datagram_stays_damaged(void **state)
{
	uint8_t payload[256];
	struct frame f;
	struct bench b;

	(void)state;
	fill(payload);
	frame_of(&f, false, false, payload, 40);
	f.bytes[frame_udp_at(&f) + 20] ^= 1;
	put(&b, &f);
	change(&b, 40, payload + 50, 30);
	f.size = (uint32_t)(b.frame.end - b.frame.begin);
	memcpy(f.bytes, b.frame.begin, f.size);
	assert_false(frame_sums_right(&f));
}

/* Two flows that encrypt, one behind the other, do not write behind the relay's buffer. */
static void headroom_ends_with_the_buffer(void **state)
{
	uint8_t payload[256] = { 0 };
	struct frame f;
	struct bench b;

	(void)state;
	frame_of(&f, false, false, payload, 40);
	put(&b, &f);
	b.frame.limit = b.frame.end + USER_TAILROOM;
	assert_true(frame_fit(&b.host, f.size + USER_TAILROOM));
	assert_false(frame_fit(&b.host, f.size + USER_TAILROOM + 1));
	assert_true(b.frame.end == b.frame.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(srtp_auth_is_what_does_not_authenticate),
		cmocka_unit_test(srtp_replay_is_what_came_before),
		cmocka_unit_test(srtp_failed_is_all_that_is_not_the_packets_fault),
		cmocka_unit_test(lengths_and_sums_follow_the_payload),
		cmocka_unit_test(a_damaged_datagram_stays_damaged),
		cmocka_unit_test(headroom_ends_with_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
