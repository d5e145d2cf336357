// SPDX-License-Identifier: GPL-2.0-or-later
/* Security descriptions: what an a=crypto says (RFC 4568, RFC 7714). */
#include "media/crypto.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AES80 "AES_CM_128_HMAC_SHA1_80 "
#define KEY30 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" /* RFC 4568 9.1: 30 bytes */
#define KEY28 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA=="
#define KEY44 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVzWVNfX19zZW1jdGwgKA=="
#define KEY44_EXACT "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVzWVNfX19zZW1jdGwgKCk="

static int parse(struct crypto_line *out, const char *text)
{
	return crypto_parse(out, (struct slice){ text, strlen(text) });
}

static void assert_nothing(const struct crypto_line *line)
{
	static const struct crypto_line nothing;

	assert_memory_equal(line, &nothing, sizeof(nothing));
}

static void refused(const char *text, int err)
{
	struct crypto_line line;

	if (parse(&line, text) != err)
		fail_msg("not %d: %s", err, text);
	assert_nothing(&line);
}

/* RFC 4568 9.1, and the offer of 7.1.1 without its MKI. */
static void examples_of_rfc_4568(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30), 0);
	assert_int_equal(line.tag, 1);
	assert_int_equal(line.crypt.suite, RTPFWD_AES_CM_128_HMAC_SHA1_80);
	assert_memory_equal(line.crypt.key, "YS___semctl () {\t220;}\n}\nunles\0\0", 32);
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "|2^20"), 0);
	assert_int_equal(parse(&line, "2 AES_CM_128_HMAC_SHA1_32 "
				      "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20"), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AES_CM_128_HMAC_SHA1_32);
	refused("1 " AES80 "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32", -ENOTSUP);
	refused("1 " AES80 "inline:" KEY30 "|2^20|1:4 FEC_ORDER=FEC_SRTP", -ENOTSUP);
	refused("2 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
		"inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP",
		-ENOTSUP);
}

static void suites_of_rfc_7714(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(parse(&line, "3 AEAD_AES_128_GCM inline:" KEY28), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AEAD_AES_128_GCM);
	assert_int_equal(line.crypt.key[27], 'l');
	assert_int_equal(line.crypt.key[28], 0);
	assert_int_equal(parse(&line, "4 AEAD_AES_256_GCM inline:" KEY44_EXACT), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AEAD_AES_256_GCM);
	assert_memory_equal(line.crypt.key + 30, "YS___semctl ()\0", 15);
	refused("1 AES_256_CM_HMAC_SHA1_80 inline:" KEY30, -ENOTSUP);
	refused("1 AES_192_CM_HMAC_SHA1_80 inline:" KEY30, -ENOTSUP);
	refused("1 AEAD_AES_128_GCM_8 inline:" KEY28, -ENOTSUP);
	refused("1 aes_cm_128_hmac_sha1_81 inline:" KEY30, -ENOTSUP);
}

/* Of key and salt neither a byte more nor less, and no second text of the same key. */
static void length_is_exact(void **state)
{
	(void)state;
	refused("1 " AES80 "inline:" KEY28, -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "AAAA", -EBADMSG);
	refused("1 " AES80 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV", -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:" KEY30, -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA=A", -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA", -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubB==", -EBADMSG);
	refused("1 AEAD_AES_256_GCM inline:" KEY44, -EBADMSG);
	refused("1 " AES80 "inline:", -EBADMSG);
	refused("1 " AES80 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubG=z", -EBADMSG);
	refused("1 " AES80 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubG\xff\x80", -EBADMSG);
	refused("1 " AES80 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVub-_z", -EBADMSG);
}

static void lifetime(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "|2^31"), 0);
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "|2^48"), 0);
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "|1048576"), 0);
	refused("1 " AES80 "inline:" KEY30 "|2^", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|2^x", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|0", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|^20", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|99999999999999999999", -EBADMSG);
}

static void mki_is_refused(void **state)
{
	(void)state;
	refused("1 " AES80 "inline:" KEY30 "|1:1", -ENOTSUP);
	refused("1 " AES80 "inline:" KEY30 "|2^20|1066:4", -ENOTSUP);
	refused("1 " AES80 "inline:" KEY30 ";inline:" KEY30, -ENOTSUP);
	refused("1 " AES80 "inline:" KEY30 "|:", -ENOTSUP);
}

static void session_parameters(void **state)
{
	static const char *const refusals[] = {
		"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "KDR=0", "KDR=24",
		"FEC_ORDER=SRTP_FEC", ("FEC_KEY=inline:" KEY30), "WSHX=64", "anything", "=",
	};
	struct crypto_line line;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		snprintf(text, sizeof(text), "1 " AES80 "inline:" KEY30 " %s", refusals[i]);
		refused(text, -ENOTSUP);
		snprintf(text, sizeof(text), "1 " AES80 "inline:" KEY30 " WSH=64 %s", refusals[i]);
		refused(text, -ENOTSUP);
	}
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 " WSH=128"), 0);
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "  wsh=64 \t -NEW=1 "), 0);
}

static void hostile_lines(void **state)
{
	static const char *const lines[] = {
		"", " ", "1", "1 ", "1 " AES80, "x " AES80 "inline:" KEY30,
		"-1 " AES80 "inline:" KEY30, "1234567890 " AES80 "inline:" KEY30,
		"1 " AES80 "outline:" KEY30, "1 " AES80 "inline", "1 " AES80 "inline|" KEY30,
		"1 " AES80 "|", "1 " AES80 ":", "1 " AES80 "inline:|||||",
	};
	struct crypto_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		refused(lines[i], -EBADMSG);
	assert_int_equal(parse(&line, "999999999 " AES80 "INLINE:" KEY30), 0);
	assert_int_equal(line.tag, 999999999);
}

/* Every line cut short, in memory of just that length. */
static void cut_lines(void **state)
{
	const char *whole = "17 " AES80 "inline:" KEY30 "|2^20 WSH=64";
	struct crypto_line line;

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++) {
		char *text = malloc(len ? len : 1);

		memcpy(text, whole, len);
		if (crypto_parse(&line, (struct slice){ text, len }) != 0)
			assert_nothing(&line);
		free(text);
	}
}

static void written_as_read(void **state)
{
	static const char *const lines[] = {
		"1 " AES80 "inline:" KEY30,
		"2 AES_CM_128_HMAC_SHA1_32 inline:" KEY30,
		"3 AEAD_AES_128_GCM inline:" KEY28,
		"4 AEAD_AES_256_GCM inline:" KEY44_EXACT,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct buf text = { .secret = true };
		struct crypto_line line;

		assert_int_equal(parse(&line, lines[i]), 0);
		crypto_print(&text, &line);
		assert_string_equal(text.data, lines[i]);
		buf_free(&text);
	}
}

static void keys_made_here(void **state)
{
	struct flow_crypt a, b;

	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++) {
		struct crypto_line line = { .tag = 1 }, again;
		struct buf text = { 0 };

		assert_int_equal(crypto_make(&a, suite), 0);
		assert_int_equal(crypto_make(&b, suite), 0);
		assert_int_equal(a.suite, suite);
		assert_memory_not_equal(a.key, b.key, 16);
		line.crypt = a;
		crypto_print(&text, &line);
		assert_int_equal(parse(&again, text.data), 0);
		assert_memory_equal(&again.crypt, &a, sizeof(a));
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_rfc_4568),
		cmocka_unit_test(suites_of_rfc_7714),
		cmocka_unit_test(length_is_exact),
		cmocka_unit_test(lifetime),
		cmocka_unit_test(mki_is_refused),
		cmocka_unit_test(session_parameters),
		cmocka_unit_test(hostile_lines),
		cmocka_unit_test(cut_lines),
		cmocka_unit_test(written_as_read),
		cmocka_unit_test(keys_made_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
