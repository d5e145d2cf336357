// SPDX-License-Identifier: GPL-2.0-or-later
/* Session descriptions: their keys (a=crypto) and secure profiles. */
#include "desc_helper.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
#define AUDIO HEAD "m=audio 4000 RTP/AVP 0 8\r\n"

#define SAVP(lines) HEAD "m=audio 4000 RTP/SAVP 0\r\n" lines
#define KEY80(key)  "AES_CM_128_HMAC_SHA1_80 inline:" key "\r\n"
#define KEY_1	    "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define KEY_2	    "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"

static int crypto_of(const char *text, struct crypto_line *out)
{
	struct desc *d = parsed(text);
	int err = desc_crypto(d, 0, out);

	desc_free(d);
	return err;
}

/* The first that can be served; what cannot is passed over. */
static void keys(void **state)
{
	struct crypto_line line;

	(void)state;
	assert_int_equal(crypto_of(SAVP(""), &line), -ENOENT);
	assert_int_equal(crypto_of("v=0\r\na=crypto:1 " KEY80(KEY_1), &line), -ENOENT);
	assert_int_equal(crypto_of(HEAD "a=crypto:1 " KEY80(KEY_1) "m=audio 4 RTP/SAVP 0\r\n",
				   &line), -ENOENT);
	assert_int_equal(crypto_of(SAVP("a=crypto:1 " KEY80(KEY_1 "|1:4")), &line), -ENOTSUP);
	assert_int_equal(crypto_of(SAVP("a=crypto:x\r\na=crypto\r\n"), &line), -ENOTSUP);
	assert_int_equal(crypto_of(SAVP("a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:" KEY_1 "\r\n"
					"a=crypto:2 " KEY80(KEY_1 "|1:4")
					"a=crypto:3 " KEY80(KEY_2)
					"a=crypto:4 " KEY80(KEY_1)), &line), 0);
	assert_int_equal(line.tag, 3);
	assert_memory_equal(line.crypt.key, "=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ", 30);
	assert_int_equal(crypto_of(AUDIO "a=crypto:9 " KEY80(KEY_1), &line), 0);
	assert_int_equal(line.tag, 9);
}

static void secure_profiles(void **state)
{
	struct desc *both = parsed(HEAD "m=audio 4000 RTP/SAVPF 8\r\nm=audio 4002 RTP/AVP 0\r\n");
	struct desc *plain = parsed(AUDIO), *secure = parsed(SAVP(""));

	(void)state;
	assert_int_equal(audio_in(both).index, 1);
	assert_false(audio_in(both).secure);
	assert_string_equal(audio_in(both).codec, "PCMU");
	desc_prefer_secure(both);
	assert_int_equal(audio_in(both).index, 0);
	assert_int_equal(audio_in(both).rtp.port, 4000);
	assert_true(audio_in(both).secure);
	assert_string_equal(audio_in(both).codec, "PCMA");
	desc_prefer_secure(plain);
	assert_false(audio_in(plain).secure);
	assert_true(audio_in(secure).secure);
	desc_free(both);
	desc_free(plain);
	desc_free(secure);
}

/* Each line has keys of its own; one that is passed over is none that can be relayed. */
static void keys_of_each_line(void **state)
{
	struct desc *d = parsed(SAVP("a=crypto:1 " KEY80(KEY_1))
				"m=audio 0 RTP/SAVP 0\r\na=crypto:2 " KEY80(KEY_1)
				"m=video 4002 RTP/SAVP 97\r\na=crypto:3 " KEY80(KEY_2));
	struct desc_audio video;
	struct crypto_line line;

	(void)state;
	assert_int_equal(desc_crypto(d, 0, &line), 0);
	assert_int_equal(line.tag, 1);
	assert_int_equal(desc_crypto(d, 1, &line), -ENOENT);
	assert_int_equal(desc_crypto(d, 2, &line), 0);
	assert_int_equal(line.tag, 3);
	assert_int_equal(desc_crypto(d, 3, &line), -ENOENT);
	desc_pass_over(d, 2);
	assert_int_equal(desc_line(d, 2, &video), -ENOENT);
	assert_int_equal(desc_crypto(d, 2, &line), -ENOENT);
	assert_int_equal(audio_in(d).index, 0);
	desc_free(d);
}

static void equality_but_for_keys(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} cases[] = {
		{ SAVP("a=crypto:1 " KEY80(KEY_1) "a=ptime:20\r\n"), true },
		{ SAVP("a=crypto:1 " KEY80(KEY_2) "a=ptime:20\r\n"), true },
		{ SAVP("a=ptime:20\r\na=crypto:2 " KEY80(KEY_1) "a=crypto:3 x\r\n"), true },
		{ SAVP("a=crypto:1 " KEY80(KEY_1)), false },
		{ HEAD "m=audio 4000 RTP/AVP 0\r\na=ptime:20\r\n", false },
		{ HEAD "m=audio 4002 RTP/SAVP 0\r\na=ptime:20\r\n", false },
	};
	struct desc *a = parsed(cases[0].text);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct desc *b = parsed(cases[i].text);

		if (desc_equal_but_keys(a, b) != cases[i].same ||
		    desc_equal(a, b) != (i == 0))
			fail_msg("case %zu", i);
		desc_free(b);
	}
	desc_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(keys_of_each_line),
		cmocka_unit_test(secure_profiles),
		cmocka_unit_test(equality_but_for_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
