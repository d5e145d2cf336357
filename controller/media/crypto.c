// SPDX-License-Identifier: GPL-2.0-or-later
#include "media/crypto.h"

#include "media/desc_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* RFC 4568 6.2 and RFC 7714 14.2: bytes of master key and salt together. */
static const struct suite {
	const char *name;
	size_t len;
} suites[RTPFWD_SUITE_END] = {
	[RTPFWD_AES_CM_128_HMAC_SHA1_80] = { "AES_CM_128_HMAC_SHA1_80", 16 + 14 },
	[RTPFWD_AES_CM_128_HMAC_SHA1_32] = { "AES_CM_128_HMAC_SHA1_32", 16 + 14 },
	[RTPFWD_AEAD_AES_128_GCM] = { "AEAD_AES_128_GCM", 16 + 12 },
	[RTPFWD_AEAD_AES_256_GCM] = { "AEAD_AES_256_GCM", 32 + 12 },
};

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const char *crypto_suite_text(uint8_t suite)
{
	return suite < RTPFWD_SUITE_END ? suites[suite].name : NULL;
}

static uint8_t suite_named(struct slice name)
{
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		if (name.len == strlen(suites[suite].name) && slice_is(name, suites[suite].name))
			return suite;
	return 0;
}

/* RFC 4568 9.1: one to nine digits. */
static int read_tag(uint32_t *out, struct slice s)
{
	unsigned long tag;

	if (s.len > 9 || desc_number(&tag, s, UINT32_MAX))
		return -EBADMSG;
	*out = (uint32_t)tag;
	return 0;
}

/* Of exactly `len` bytes, its last bits zero; filled up with '=' to whole groups of four (RFC 4648
 * 4) or not: RFC 4568 6.1 discards them, and rtpengine leaves them away. */
static int read_base64(uint8_t *out, size_t len, struct slice s)
{
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t n = 0, digits = (len * 8 + 5) / 6;

	if (s.len != (len + 2) / 3 * 4 && s.len != digits)
		return -EBADMSG;
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.p[i] ? strchr(digits64, s.p[i]) : NULL;

		if (i >= digits && s.p[i] == '=')
			continue;
		if (i >= digits || !at)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)(at - digits64);
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		out[n++] = (uint8_t)(bits >> n_bits);
		bits &= (1u << n_bits) - 1;
	}
	return bits ? -EBADMSG : 0;
}

/* "2^20" or "1048576" packets, no more than the suites allow (RFC 4568 6.1, RFC 3711 9.2): no call
 * reaches that, and a lower wish is the sender's to obey, by new keys of its own. */
static int check_lifetime(struct slice s)
{
	unsigned long n, max = 1ul << 48;

	if (s.len > 2 && s.p[0] == '2' && s.p[1] == '^') {
		s = (struct slice){ s.p + 2, s.len - 2 };
		max = 48;
	}
	return s.len && s.p[0] != '0' && !desc_number(&n, s, max) ? 0 : -EBADMSG;
}

/* Behind the key: a lifetime, or none. What has a ':' is an MKI and its length. */
static int check_rest(struct slice s)
{
	if (!s.len)
		return 0;
	return memchr(s.p, ':', s.len) ? -ENOTSUP : check_lifetime(s);
}

/* "inline:KEY[|LIFETIME][|MKI:LENGTH]"; a second key needs MKIs. */
static int read_key(struct flow_crypt *out, struct slice s)
{
	struct slice key;
	int err;

	if (!slice_is(desc_until(&s, ':'), "inline"))
		return -EBADMSG;
	if (s.len && memchr(s.p, ';', s.len))
		return -ENOTSUP;
	key = desc_until(&s, '|');
	err = read_base64(out->key, suites[out->suite].len, key);
	return err ? err : check_rest(s);
}

/* RFC 4568 6.3: a window size is a hint, and what begins with '-' may be passed over; everything
 * else changes packets (KDR, UNENCRYPTED_SRTP, FEC_ORDER, ...) or is not known. */
static bool is_harmless(struct slice parameter)
{
	return parameter.p[0] == '-' || slice_is(desc_until(&parameter, '='), "WSH");
}

static int parse(struct crypto_line *out, struct slice rest)
{
	struct slice tag = desc_word(&rest), suite = desc_word(&rest), key = desc_word(&rest), word;
	int err;

	if (read_tag(&out->tag, tag) || !key.len)
		return -EBADMSG;
	out->crypt.suite = suite_named(suite);
	if (!out->crypt.suite)
		return -ENOTSUP;
	err = read_key(&out->crypt, key);
	while (!err && (word = desc_word(&rest)).len)
		if (!is_harmless(word))
			err = -ENOTSUP;
	return err;
}

int crypto_parse(struct crypto_line *out, struct slice value)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = parse(out, value);
	if (err)
		explicit_bzero(out, sizeof(*out));
	return err;
}

void crypto_print(struct buf *out, const struct crypto_line *line)
{
	const uint8_t *key = line->crypt.key;
	size_t len = suites[line->crypt.suite].len;

	buf_printf(out, "%u %s inline:", line->tag, suites[line->crypt.suite].name);
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)key[i] << 16 | (n > 1 ? (uint32_t)key[i + 1] << 8 : 0) |
				(n > 2 ? key[i + 2] : 0);
		char group[4] = "====";

		for (size_t j = 0; j <= n; j++)
			group[j] = digits64[bits >> (18 - 6 * j) & 63];
		buf_add(out, group, sizeof(group));
	}
}

int crypto_make(struct flow_crypt *out, uint8_t suite)
{
	*out = (struct flow_crypt){ .suite = suite };
	if (getrandom(out->key, suites[suite].len, 0) != (ssize_t)suites[suite].len) {
		*out = (struct flow_crypt){ 0 };
		return -EIO;
	}
	return 0;
}
