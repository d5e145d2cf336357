// SPDX-License-Identifier: GPL-2.0-or-later
/* Every suite, both directions, packet by packet beside libsrtp2: same bytes, same refusals. */
#include "lab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SSRC 0xcafebabe

struct pair {
	struct nl *nl;
	struct xdp *x;
	uint8_t suite;
	uint32_t id;
	srtp_t other;
	struct lab_stream start; /* ssrc 0: none */
};

static uint32_t add(struct pair *p, uint8_t direction, unsigned int key)
{
	struct context_spec spec = {
		.direction = direction,
		.suite = p->suite,
		.key = lab_key(key),
		.salt = lab_salt(key),
		.streams = &p->start,
		.n_streams = p->start.ssrc ? 1 : 0,
	};
	uint32_t id = 0;

	assert_int_equal(control_add(p->nl, &spec, &id), 0);
	return id;
}

/* A context, and libsrtp2 that does the same thing (`same`) or the reverse. */
static void pair_open(struct pair *p, uint8_t suite, uint8_t direction, bool same)
{
	p->nl = control_open();
	p->x = prog_open();
	p->suite = suite;
	p->id = add(p, direction, suite);
	p->other = oracle(suite, suite, (direction == RTPFWD_PROTECT) == same);
}

static void pair_close(struct pair *p)
{
	srtp_dealloc(p->other);
	prog_close(p->x);
	control_close(p->nl);
}

static void both_protect(struct pair *p, uint8_t *packet, int length, bool rtcp)
{
	uint8_t theirs[LAB_MAX];
	int want = length, got;

	memcpy(theirs, packet, (size_t)length);
	assert_int_equal((rtcp ? srtp_protect_rtcp : srtp_protect)(p->other, theirs, &want),
			 srtp_err_status_ok);
	got = prog_protect(p->x, p->id, packet, length, lab_overhead(p->suite, rtcp));
	assert_int_equal(got, want);
	assert_memory_equal(packet, theirs, want);
}

static void comes_back(struct pair *p, const uint8_t *clear, int length, bool rtcp)
{
	uint8_t packet[LAB_MAX];
	int size = length;

	memcpy(packet, clear, (size_t)length);
	assert_int_equal((rtcp ? srtp_protect_rtcp : srtp_protect)(p->other, packet, &size),
			 srtp_err_status_ok);
	assert_int_equal(prog_unprotect(p->x, p->id, packet, size), length);
	assert_memory_equal(packet, clear, length);
}

typedef void each_fn(struct pair *p, uint8_t *packet, int length, bool rtcp);

/* All shapes of packet: sizes around the cipher's blocks, sources, extensions, RTCP compounds. */
static void shapes(struct pair *p, each_fn *each)
{
	static const int sizes[] = { 0, 1, 15, 16, 17, 33, 160, 172, 500, 1200, 1400 };
	uint8_t packet[LAB_MAX];
	uint16_t seq = 100;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		each(p, packet, rtp_make(packet, SSRC, seq++, sizes[i]), false);
	for (int sources = 0; sources <= 15; sources += 5) {
		for (int words = -1; words <= 3; words += 2)
			each(p, packet, rtp_make_with(packet, SSRC, seq++, 61, sources, words),
			     false);
	}
	for (int reports = 0; reports <= 31; reports += 7)
		each(p, packet, rtcp_make(packet, SSRC, reports), true);
}

static void protect_shapes(uint8_t suite)
{
	/* libsrtp2 numbers SRTCP from 1: as if 0 had been sent. */
	struct pair p = { .start = { .ssrc = SSRC, .rtp = -1, .rtcp = 0 } };

	pair_open(&p, suite, RTPFWD_PROTECT, true);
	shapes(&p, both_protect);
	pair_close(&p);
}

static void forth_and_back(struct pair *p, uint8_t *packet, int length, bool rtcp)
{
	comes_back(p, packet, length, rtcp);
}

static void unprotect_shapes(uint8_t suite)
{
	struct pair p = { 0 };

	pair_open(&p, suite, RTPFWD_UNPROTECT, false);
	shapes(&p, forth_and_back);
	assert_int_equal(lab_counter(p.nl, p.id, RTPFWD_C_auth_failed), 0);
	pair_close(&p);
}

#define EACH_SUITE(test)                                                                           \
	static void test##_aes_cm_80(void **s)                                                     \
	{                                                                                          \
		(void)s;                                                                           \
		test(RTPFWD_AES_CM_128_HMAC_SHA1_80);                                              \
	}                                                                                          \
	static void test##_aes_cm_32(void **s)                                                     \
	{                                                                                          \
		(void)s;                                                                           \
		test(RTPFWD_AES_CM_128_HMAC_SHA1_32);                                              \
	}                                                                                          \
	static void test##_aead_128(void **s)                                                      \
	{                                                                                          \
		(void)s;                                                                           \
		test(RTPFWD_AEAD_AES_128_GCM);                                                     \
	}                                                                                          \
	static void test##_aead_256(void **s)                                                      \
	{                                                                                          \
		(void)s;                                                                           \
		test(RTPFWD_AEAD_AES_256_GCM);                                                     \
	}
#define SUITE_TESTS(test)                                                                          \
	cmocka_unit_test(test##_aes_cm_80), cmocka_unit_test(test##_aes_cm_32),                    \
		cmocka_unit_test(test##_aead_128), cmocka_unit_test(test##_aead_256)

EACH_SUITE(protect_shapes)
EACH_SUITE(unprotect_shapes)

/* Three times around 16 bits, in strides, both ways. */
static void rollover(uint8_t suite)
{
	struct pair out = { 0 }, in = { 0 };
	uint8_t packet[LAB_MAX];
	int length;

	pair_open(&out, suite, RTPFWD_PROTECT, true);
	pair_open(&in, suite, RTPFWD_UNPROTECT, false);
	for (uint32_t index = 60000; index < 260000; index += 9973) {
		length = rtp_make(packet, SSRC, (uint16_t)index, 20);
		comes_back(&in, packet, length, false);
		both_protect(&out, packet, length, false);
	}
	pair_close(&in);
	pair_close(&out);
}

EACH_SUITE(rollover)

/* Late and early packets around the rollover, none lost, none taken twice. */
static void reordering(uint8_t suite)
{
	static const uint16_t sent[] = {
		65500, 65520, 65530, 65533, 65534, 65535, 0, 1, 2, 50, 100
	};
	static const uint16_t order[] = {
		65500, 65530, 65520, 65535, 2, 65534, 0, 1, 65533, 100, 50
	};
	struct pair in = { 0 };
	uint8_t packet[LAB_MAX], sealed[16][LAB_MAX];
	int sizes[16], n = sizeof(order) / sizeof(*order);

	pair_open(&in, suite, RTPFWD_UNPROTECT, false);
	for (int i = 0; i < n; i++) {
		sizes[i] = rtp_make(sealed[i], SSRC, sent[i], 20);
		assert_int_equal(srtp_protect(in.other, sealed[i], &sizes[i]), srtp_err_status_ok);
	}
	for (int i = 0; i < 2 * n; i++) {
		int k = 0;

		while (sent[k] != order[i % n])
			k++;
		memcpy(packet, sealed[k], (size_t)sizes[k]);
		assert_int_equal(prog_unprotect(in.x, in.id, packet, sizes[k]),
				 i < n ? 32 : -EEXIST);
	}
	assert_int_equal(lab_counter(in.nl, in.id, RTPFWD_C_unprotected), n);
	assert_int_equal(lab_counter(in.nl, in.id, RTPFWD_C_replayed), n);
	pair_close(&in);
}

EACH_SUITE(reordering)

/* Any bit that is changed, any byte that is cut off: refused, and the packet left as it came. */
static void tampering(uint8_t suite, bool rtcp)
{
	struct pair in = { 0 };
	uint8_t sealed[LAB_MAX], packet[LAB_MAX];
	int size, refused = 0;

	pair_open(&in, suite, RTPFWD_UNPROTECT, false);
	size = rtcp ? rtcp_make(sealed, SSRC, 1) : rtp_make(sealed, SSRC, 7, 24);
	assert_int_equal((rtcp ? srtp_protect_rtcp : srtp_protect)(in.other, sealed, &size),
			 srtp_err_status_ok);
	for (int bit = 2 * 8; bit < size * 8; bit++) {
		memcpy(packet, sealed, (size_t)size);
		packet[bit / 8] ^= 1 << bit % 8;
		assert_true(prog_unprotect(in.x, in.id, packet, size) < 0);
		packet[bit / 8] ^= 1 << bit % 8;
		assert_memory_equal(packet, sealed, size);
		refused++;
	}
	for (int length = 0; length < size; length++) {
		memcpy(packet, sealed, (size_t)size);
		assert_true(prog_unprotect(in.x, in.id, packet, length) < 0);
		assert_memory_equal(packet, sealed, size);
		refused++;
	}
	/* Nothing of that moved the window: the genuine one is taken, once. */
	assert_true(prog_unprotect(in.x, in.id, sealed, size) > 0);
	assert_int_equal(lab_counter(in.nl, in.id, RTPFWD_C_auth_failed) +
				 lab_counter(in.nl, in.id, RTPFWD_C_malformed) +
				 lab_counter(in.nl, in.id, RTPFWD_C_unencrypted),
			 refused);
	pair_close(&in);
}

static void tampered_rtp(uint8_t suite)
{
	tampering(suite, false);
}

static void tampered_rtcp(uint8_t suite)
{
	tampering(suite, true);
}

EACH_SUITE(tampered_rtp)
EACH_SUITE(tampered_rtcp)

/* What no oracle is asked about: the frame's bounds as the program says them. */
static void bounds(void **state)
{
	struct pair out = { 0 };
	uint8_t packet[LAB_MAX];
	int length;

	(void)state;
	pair_open(&out, RTPFWD_AES_CM_128_HMAC_SHA1_80, RTPFWD_PROTECT, true);
	assert_int_equal(prog_raw(out.x, out.id, 0xffffffff, 20), -EINVAL);
	assert_int_equal(prog_raw(out.x, out.id, 42, 0xffffffff), -EINVAL);
	assert_int_equal(prog_raw(out.x, out.id, 42, 33), -EINVAL);
	assert_int_equal(prog_raw(out.x, out.id, 74, 0), -EPROTO);
	assert_int_equal(prog_raw(out.x, out.id, 42, 32), -ENOSPC);
	assert_int_equal(prog_raw(out.x, out.id, 42, 20), 30); /* bytes behind it are room */
	assert_int_equal(prog_raw(out.x, out.id + 1, 42, 20), -ENOENT);
	length = rtp_make(packet, SSRC, 1, 20);
	assert_int_equal(prog_unprotect(out.x, out.id, packet, length), -EPERM);
	assert_int_equal(prog_protect(out.x, out.id, packet, length, 9), -ENOSPC);
	assert_int_equal(lab_counter(out.nl, out.id, RTPFWD_C_no_room), 2);
	/* The refused ones took no index. */
	both_protect(&out, packet, length, false);
	pair_close(&out);
}

static void grows_by_head_where_the_tail_has_no_room(void **state)
{
	struct pair out = { .start = { .ssrc = SSRC, .rtp = -1, .rtcp = 0 } };

	(void)state;
	pair_open(&out, RTPFWD_AES_CM_128_HMAC_SHA1_80, RTPFWD_PROTECT, true);
	prog_grow_by_head(out.x, true);
	shapes(&out, both_protect);
	assert_int_equal(prog_outcome(out.x).headed, prog_outcome(out.x).done);
	pair_close(&out);
}

/* Random header bytes: nothing breaks, and protect and libsrtp2 agree on what is RTP at all. */
static void hostile_headers(void **state)
{
	struct pair out = { 0 }, in = { 0 };
	uint8_t packet[LAB_MAX];

	(void)state;
	srand(1);
	pair_open(&out, RTPFWD_AEAD_AES_128_GCM, RTPFWD_PROTECT, true);
	pair_open(&in, RTPFWD_AEAD_AES_128_GCM, RTPFWD_UNPROTECT, false);
	for (int round = 0; round < 500; round++) {
		int length = rand() % 80, ret;

		for (int i = 0; i < length; i++)
			packet[i] = (uint8_t)rand();
		if (round % 2 && length)
			packet[0] = 0x80 | (packet[0] & 0x3f);
		ret = prog_protect(out.x, out.id, packet, length, 20);
		assert_true(ret == -EPROTO || ret == -EMFILE || ret >= length + 16);
		assert_true(prog_unprotect(in.x, in.id, packet, length) < 0);
	}
	assert_int_equal(lab_counter(in.nl, in.id, RTPFWD_C_unprotected), 0);
	pair_close(&in);
	pair_close(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TESTS(protect_shapes),
		SUITE_TESTS(unprotect_shapes),
		SUITE_TESTS(rollover),
		SUITE_TESTS(reordering),
		SUITE_TESTS(tampered_rtp),
		SUITE_TESTS(tampered_rtcp),
		cmocka_unit_test(bounds),
		cmocka_unit_test(grows_by_head_where_the_tail_has_no_room),
		cmocka_unit_test(hostile_headers),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
