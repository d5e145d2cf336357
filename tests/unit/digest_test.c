// SPDX-License-Identifier: GPL-2.0-or-later
/* The vectors of RFC 2617 3.5 and RFC 7616 3.9.1, and the fields of headers as they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "sip/digest.h"

#define NONCE_2617  "dcd98b7102dd2f0e8b11d0f600bfb0c093"
#define NONCE_7616  "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
#define CNONCE_7616 "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

static const struct digest_input rfc2617 = {.user = "Mufasa",
					    .realm = "testrealm@host.com",
					    .secret = "Circle Of Life",
					    .method = "GET",
					    .uri = "/dir/index.html",
					    .nonce = NONCE_2617,
					    .cnonce = "0a4f113b",
					    .nc = "00000001",
					    .qop = "auth"};
static const struct digest_input rfc7616 = {.user = "Mufasa",
					    .realm = "http-auth@example.org",
					    .secret = "Circle of Life",
					    .method = "GET",
					    .uri = "/dir/index.html",
					    .nonce = NONCE_7616,
					    .cnonce = CNONCE_7616,
					    .nc = "00000001",
					    .qop = "auth"};

static void vectors(void **state)
{
	static const struct {
		const struct digest_input *in;
		enum digest_algorithm algorithm;
		bool session;
		const char *qop;
		const char *response;
	} rows[] = {
		{&rfc2617, DIGEST_MD5, false, "auth", "6629fae49393a05397450978507c4ef1"},
		{&rfc7616, DIGEST_MD5, false, "auth", "8ca523f5e9506fed4657c9700eebdbec"},
		{&rfc7616, DIGEST_SHA_256, false, "auth",
		 "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		/* In no RFC: computed by another implementation. */
		{&rfc7616, DIGEST_SHA_512_256, false, "auth",
		 "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"},
		{&rfc2617, DIGEST_MD5, false, "", "670fd8c2df070c60b045671b8b24ff02"},
		{&rfc2617, DIGEST_MD5, true, "auth", "8e3825c57e897f5a0dec6c2d4e5059d0"},
	};
	char response[DIGEST_HEX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct digest_input in = *rows[i].in;

		in.algorithm = rows[i].algorithm;
		in.session = rows[i].session;
		in.qop = rows[i].qop;
		assert_int_equal(digest_response(response, &in), 0);
		assert_string_equal(response, rows[i].response);
	}
}

static void algorithms(void **state)
{
	static const struct {
		const char *text;
		bool known, session;
		enum digest_algorithm algorithm;
	} rows[] = {
		{"", true, false, DIGEST_MD5},
		{"md5", true, false, DIGEST_MD5},
		{"MD5-sess", true, true, DIGEST_MD5},
		{"SHA-256", true, false, DIGEST_SHA_256},
		{"sha-256-SESS", true, true, DIGEST_SHA_256},
		{"SHA-512-256", true, false, DIGEST_SHA_512_256},
		{"SHA-512", false, false, 0},
		{"MD", false, false, 0},
		{"-sess", false, false, 0},
		{"MD5x", false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum digest_algorithm algorithm;
		bool session;
		bool known = digest_algorithm_of(rows[i].text, &algorithm, &session);

		if (known != rows[i].known)
			fail_msg("'%s'", rows[i].text);
		if (!known)
			continue;
		assert_int_equal(algorithm, rows[i].algorithm);
		assert_int_equal(session, rows[i].session);
	}
}

static void fields(void **state)
{
	struct digest_fields f;

	(void)state;
	assert_int_equal(digest_parse(&f, "Digest username=\"a \\\"b\\\\ c\",realm = \"r, s\" , "
					  "NONCE=\"n=1\",uri=\"sip:x\", qop=auth, nc=00000001, "
					  "cnonce=\"\", algorithm=MD5, response=\"r\", other=1"),
			 0);
	assert_string_equal(f.username, "a \"b\\ c");
	assert_string_equal(f.realm, "r, s");
	assert_string_equal(f.nonce, "n=1");
	assert_string_equal(f.uri, "sip:x");
	assert_string_equal(f.qop, "auth");
	assert_string_equal(f.nc, "00000001");
	assert_string_equal(f.cnonce, "");
	assert_string_equal(f.algorithm, "MD5");
	assert_string_equal(f.response, "r");
	assert_string_equal(f.opaque, "");
	assert_true(digest_has_word("auth-int, AUTH", "auth"));
	assert_false(digest_has_word("auth-int", "auth"));
}

static void bad_fields(void **state)
{
	static const struct {
		const char *value;
		int err;
	} rows[] = {
		{"Basic realm=\"x\"", -EPROTONOSUPPORT},
		{"Digest", -EPROTONOSUPPORT},
		{"Digestnonce=\"n\"", -EPROTONOSUPPORT},
		{"Digest realm=\"r\"", -EBADMSG},
		{"Digest nonce", -EBADMSG},
		{"Digest nonce=", -EBADMSG},
		{"Digest nonce=\"n\", nonce=\"m\"", -EBADMSG},
		{"Digest nonce=\"n\",,", -EBADMSG},
		{"digest nonce=\"n", 0},
		{"Digest nonce=n", 0},
	};
	static char huge[4096] = "Digest nonce=\"";
	struct digest_fields f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (digest_parse(&f, rows[i].value) != rows[i].err)
			fail_msg("'%s'", rows[i].value);
	memset(huge + strlen(huge), 'x', 3000);
	assert_int_equal(digest_parse(&f, huge), -E2BIG);
}

/* Every cut of a header is read without reading beyond it. */
static void cut_short(void **state)
{
	static const char whole[] = "Digest username=\"a\\\"\", realm=\"r\",nonce=\"n\",qop=auth";
	struct digest_fields f;

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *text = strndup(whole, n);

		assert_non_null(text);
		digest_parse(&f, text);
		free(text);
	}
}

static void comparison(void **state)
{
	(void)state;
	assert_true(digest_equal("", ""));
	assert_true(digest_equal("abc", "abc"));
	assert_false(digest_equal("abc", "abd"));
	assert_false(digest_equal("abc", "abcd"));
	assert_false(digest_equal("abc", ""));
}

/* RFC 4231, case 2 has a short key; zero-padded to 32 bytes it is the same key (RFC 2104). */
static void code(void **state)
{
	static const unsigned char key[DIGEST_KEY] = "Jefe";
	static const unsigned char wanted[16] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
						 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7};
	static const char text[] = "what do ya want for nothing?";
	unsigned char mac[16];

	(void)state;
	assert_int_equal(digest_mac(mac, key, text, sizeof(text) - 1), 0);
	assert_memory_equal(mac, wanted, sizeof(mac));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),   cmocka_unit_test(algorithms),
		cmocka_unit_test(fields),    cmocka_unit_test(bad_fields),
		cmocka_unit_test(cut_short), cmocka_unit_test(comparison),
		cmocka_unit_test(code),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
