// SPDX-License-Identifier: GPL-2.0-or-later
/* Security descriptions: what an a=crypto says (RFC 4568, RFC 7714). */
#include "media/desc.h"

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

/* Names in a grammar are of either case (RFC 5234 2.3). */
static void case_of_names(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(parse(&line, "1 aes_cm_128_hmac_sha1_80 Inline:" KEY30), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(parse(&line, "1 Aead_Aes_128_Gcm inline:" KEY28), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AEAD_AES_128_GCM);
}

/* '=' at the end is discarded (RFC 4568 6.1): with it or without it is the same key. */
static void unpadded_keys(void **state)
{
	struct crypto_line padded, bare;

	(void)state;
	assert_int_equal(parse(&padded, "3 AEAD_AES_128_GCM inline:" KEY28), 0);
	assert_int_equal(parse(&bare, "3 AEAD_AES_128_GCM inline:"
				      "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA|2^31"), 0);
	assert_memory_equal(&bare, &padded, sizeof(bare));
	assert_int_equal(parse(&padded, "4 AEAD_AES_256_GCM inline:" KEY44_EXACT), 0);
	assert_int_equal(parse(&bare,
			       "4 AEAD_AES_256_GCM inline:"
			       "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVzWVNfX19zZW1jdGwgKCk"), 0);
	assert_memory_equal(&bare, &padded, sizeof(bare));
	refused("3 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA=", -EBADMSG);
	refused("3 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVub===", -EBADMSG);
	refused("3 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubB", -EBADMSG);
}

/* Of key and salt neither a byte more nor less. */
static void length_is_exact(void **state)
{
	(void)state;
	refused("1 " AES80 "inline:" KEY28, -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "AAAA", -EBADMSG);
	refused("1 " AES80 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV", -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:" KEY30, -EBADMSG);
	refused("1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA=A", -EBADMSG);
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
	/* "If the lifetime is too large or otherwise invalid" (RFC 4568 6.1): the whole line. */
	assert_int_equal(parse(&line, "1 " AES80 "inline:" KEY30 "|281474976710656"), 0);
	refused("1 " AES80 "inline:" KEY30 "|281474976710657", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|2^49", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|2^0", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|2^20|2^20", -EBADMSG);
	refused("1 " AES80 "inline:" KEY30 "|2^20|4", -EBADMSG);
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

/* What desc_crypto() makes of these lines below an m= line. */
static int chosen(struct crypto_line *out, const char *lines)
{
	static const char head[] = "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 4 RTP/SAVP 0\r\n";
	char *text = malloc(sizeof(head) + strlen(lines));
	struct desc *d;
	int err;

	strcpy(text, head);
	strcat(text, lines);
	assert_int_equal(desc_parse(&d, text, strlen(text), NULL), 0);
	err = desc_crypto(d, 0, out);
	if (err)
		assert_nothing(out);
	desc_free(d);
	free(text);
	return err;
}

#define LINE(tag, suite, key) "a=crypto:" tag " " suite "inline:" key "\r\n"
#define OTHER30 "MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm"
#define AES32 "AES_CM_128_HMAC_SHA1_32 "

/* Tags are unique (RFC 4568 5.1): of two keys of one tag and suite none is taken, for the answer
 * would not say which; a line that comes twice is one, and the suite tells two of one tag apart. */
static void tag_of_two_keys(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(chosen(&line, LINE("1", AES80, KEY30) LINE("1", AES80, OTHER30)),
			 -ENOTSUP);
	assert_int_equal(chosen(&line, LINE("1", AES80, KEY30) LINE("01", AES80, OTHER30)
					       LINE("2", AES32, KEY30)), 0);
	assert_int_equal(line.tag, 2);
	assert_int_equal(chosen(&line, LINE("7", AES80, KEY30) LINE("7", AES80, KEY30)), 0);
	assert_int_equal(line.tag, 7);
	assert_int_equal(chosen(&line, LINE("1", AES32, KEY30) LINE("1", AES80, OTHER30)), 0);
	assert_int_equal(line.crypt.suite, RTPFWD_AES_CM_128_HMAC_SHA1_32);
}

/* The first that can be served, in the order of who offers; 32 lines are read. */
static void too_many_lines(void **state)
{
	struct buf text = { 0 };
	struct crypto_line line;

	(void)state;
	for (int i = 0; i < 31; i++)
		buf_str(&text, LINE("1", AES80, KEY30 "|1:4"));
	buf_str(&text, LINE("32", AES32, KEY30) LINE("33", AES80, KEY30));
	assert_int_equal(chosen(&line, text.data), 0);
	assert_int_equal(line.tag, 32);
	buf_reset(&text);
	for (int i = 0; i < 32; i++)
		buf_str(&text, LINE("1", AES80, KEY30 "|1:4"));
	buf_str(&text, LINE("33", AES80, KEY30));
	assert_int_equal(chosen(&line, text.data), -ENOTSUP);
	buf_free(&text);
}

static void overlong_lines(void **state)
{
	struct buf text = { 0 };
	struct crypto_line line;

	(void)state;
	buf_str(&text, "a=crypto:1 " AES80 "inline:");
	for (int i = 0; i < 2000; i++)
		buf_str(&text, "AAAA");
	buf_str(&text, "\r\na=crypto:2 ");
	for (int i = 0; i < 2000; i++)
		buf_str(&text, "X");
	buf_str(&text, " inline:" KEY30 "\r\n" LINE("3", AES80, KEY30));
	assert_int_equal(chosen(&line, text.data), 0);
	assert_int_equal(line.tag, 3);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_rfc_4568),
		cmocka_unit_test(suites_of_rfc_7714),
		cmocka_unit_test(case_of_names),
		cmocka_unit_test(unpadded_keys),
		cmocka_unit_test(length_is_exact),
		cmocka_unit_test(lifetime),
		cmocka_unit_test(mki_is_refused),
		cmocka_unit_test(session_parameters),
		cmocka_unit_test(hostile_lines),
		cmocka_unit_test(cut_lines),
		cmocka_unit_test(written_as_read),
		cmocka_unit_test(keys_made_here),
		cmocka_unit_test(tag_of_two_keys),
		cmocka_unit_test(too_many_lines),
		cmocka_unit_test(overlong_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
