// SPDX-License-Identifier: GPL-2.0-only
/* Suites, and the derivation of session keys from a master key (RFC 3711 4.3, RFC 7714 11). */
#include "cipher.h"

#include <crypto/aes.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "compat.h"
#include "rtpfwd_nl.h"

enum label {
	LABEL_KEY = 0,
	LABEL_AUTH = 1,
	LABEL_SALT = 2,
	LABEL_RTCP = 3, /* added to the others */
};

#define AUTH_SIZE 20 /* HMAC-SHA1 (RFC 3711 5.2) */

static const struct cipher_suite suites[RTPFWD_SUITE_END] = {
	[RTPFWD_AES_CM_128_HMAC_SHA1_80] = { &cipher_cm_ops, 16, 14, AUTH_SIZE, 10, 10, false },
	[RTPFWD_AES_CM_128_HMAC_SHA1_32] = { &cipher_cm_ops, 16, 14, AUTH_SIZE, 4, 10, false },
	[RTPFWD_AEAD_AES_128_GCM] = { &cipher_gcm_ops, 16, 12, 0, 16, 16, true },
	[RTPFWD_AEAD_AES_256_GCM] = { &cipher_gcm_ops, 32, 12, 0, 16, 16, true },
};

const struct cipher_suite *cipher_suite(u8 number)
{
	if (number >= ARRAY_SIZE(suites) || !suites[number].ops)
		return NULL;
	return &suites[number];
}

/* AES-CM of zeroes, keyed by the master key; kdr is 0, as everywhere (RFC 4568 6.3.1). */
static void derive(const struct crypto_aes_ctx *aes, const u8 *salt, u32 salt_size, u8 label,
		   u8 *out, u32 size)
{
	u8 block[AES_BLOCK_SIZE] = {}, stream[AES_BLOCK_SIZE];
	u32 done, part;

	memcpy(block, salt, salt_size);
	block[7] ^= label;
	for (done = 0; done < size; done += part) {
		part = min_t(u32, size - done, AES_BLOCK_SIZE);
		put_unaligned_be16(done / AES_BLOCK_SIZE, block + 14);
		aes_encrypt(aes, stream, block);
		memcpy(out + done, stream, part);
	}
	memzero_explicit(stream, sizeof(stream));
	memzero_explicit(block, sizeof(block));
}

int cipher_init(struct cipher *c, const struct cipher_suite *suite, bool rtcp, const u8 *key,
		const u8 *salt)
{
	u8 session[SRTP_MAX_KEY], auth[AUTH_SIZE];
	u8 base = rtcp ? LABEL_RTCP : 0;
	struct crypto_aes_ctx aes;
	int err;

	err = aes_expandkey(&aes, key, suite->key_size);
	if (err)
		return err;
	c->suite = suite;
	c->tag = rtcp ? suite->rtcp_tag : suite->tag;
	derive(&aes, salt, suite->salt_size, base + LABEL_KEY, session, suite->key_size);
	derive(&aes, salt, suite->salt_size, base + LABEL_AUTH, auth, suite->auth_size);
	derive(&aes, salt, suite->salt_size, base + LABEL_SALT, c->salt, suite->salt_size);
	err = suite->ops->make(c, session, suite->key_size, auth);
	memzero_explicit(&aes, sizeof(aes));
	memzero_explicit(session, sizeof(session));
	memzero_explicit(auth, sizeof(auth));
	return err;
}

void cipher_end(struct cipher *c)
{
	if (c->suite)
		c->suite->ops->end(c);
	memzero_explicit(c, sizeof(*c));
}

void cipher_iv(const struct cipher *c, const struct srtp_packet *p, u8 *iv, u32 ssrc_at)
{
	put_unaligned_be32(p->ssrc, iv + ssrc_at);
	put_unaligned_be16(p->index >> 32, iv + ssrc_at + 4);
	put_unaligned_be32(p->index, iv + ssrc_at + 6);
	crypto_xor(iv, c->salt, c->suite->salt_size);
}
