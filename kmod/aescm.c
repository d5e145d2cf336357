// SPDX-License-Identifier: GPL-2.0-only
/* AES in counter mode with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1). */
#include "cipher.h"

#include <asm/simd.h>
#include <crypto/aes.h>
#include <crypto/hash.h>
#include <crypto/sha1.h>
#include <crypto/skcipher.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "compat.h"

static void request_end(struct skcipher_request *req)
{
	struct crypto_skcipher *tfm = req ? crypto_skcipher_reqtfm(req) : NULL;

	skcipher_request_free(req);
	crypto_free_skcipher(tfm);
}

static int request_make(struct skcipher_request **req, const char *name, u32 type, u32 mask,
			const u8 *key, u32 size)
{
	struct crypto_skcipher *tfm;
	int err;

	tfm = crypto_alloc_skcipher(name, type, mask | CRYPTO_ALG_ASYNC);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = crypto_skcipher_setkey(tfm, key, size);
	*req = err ? NULL : skcipher_request_alloc(tfm, GFP_KERNEL);
	if (*req)
		return 0;
	crypto_free_skcipher(tfm);
	return err ?: -ENOMEM;
}

static void mac_end(struct shash_desc *mac)
{
	if (!mac)
		return;
	crypto_free_shash(mac->tfm);
	kfree_sensitive(mac);
}

static int mac_make(struct shash_desc **mac, const u8 *key, u32 size)
{
	struct crypto_shash *tfm;
	int err;

	tfm = crypto_alloc_shash("hmac(sha1)", 0, 0);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = crypto_shash_setkey(tfm, key, size);
	*mac = err ? NULL : kzalloc(sizeof(**mac) + crypto_shash_descsize(tfm), GFP_KERNEL);
	if (*mac) {
		(*mac)->tfm = tfm;
		return 0;
	}
	crypto_free_shash(tfm);
	return err ?: -ENOMEM;
}

static void end(struct cipher *c)
{
	request_end(c->cm.simd);
	request_end(c->cm.any);
	mac_end(c->cm.mac);
}

/*
 * Nothing asynchronous: a packet cannot wait. What uses SIMD registers and is synchronous is
 * internal to the crypto API on x86 and must not be called where they are in use; elsewhere the
 * plain name gives an implementation that looks for itself.
 */
static int make(struct cipher *c, const u8 *key, u32 key_size, const u8 *auth)
{
	int err;

	err = request_make(&c->cm.simd, "__ctr(aes)", CRYPTO_ALG_INTERNAL, CRYPTO_ALG_INTERNAL, key,
			   key_size);
	if (err && err != -ENOENT)
		return err;
	err = request_make(&c->cm.any, "ctr(aes)", 0, 0, key, key_size);
	return err ?: mac_make(&c->cm.mac, auth, c->suite->auth_size);
}

static int crypt(struct cipher *c, const struct srtp_packet *p)
{
	struct skcipher_request *req = c->cm.simd && may_use_simd() ? c->cm.simd : c->cm.any;
	u8 iv[AES_BLOCK_SIZE] = {};
	struct scatterlist sg;

	if (p->length == p->head)
		return 0;
	cipher_iv(c, p, iv, 4);
	sg_init_one(&sg, p->data + p->head, p->length - p->head);
	skcipher_request_set_callback(req, 0, NULL, NULL);
	skcipher_request_set_crypt(req, &sg, &sg, p->length - p->head, iv);
	return crypto_skcipher_encrypt(req);
}

/* Over the packet and, of RTP, its rollover counter, or of RTCP, its word (RFC 3711 4.2). */
static int authenticate(struct cipher *c, const struct srtp_packet *p, u8 *digest)
{
	__be32 rollover = cpu_to_be32(p->index >> 16);
	int err;

	if (p->rtcp)
		return crypto_shash_digest(c->cm.mac, p->data, p->length + SRTCP_WORD, digest);
	err = crypto_shash_init(c->cm.mac);
	err = err ?: crypto_shash_update(c->cm.mac, p->data, p->length);
	return err ?: crypto_shash_finup(c->cm.mac, (u8 *)&rollover, sizeof(rollover), digest);
}

static u8 *tag_of(const struct srtp_packet *p)
{
	return p->data + p->length + (p->rtcp ? SRTCP_WORD : 0);
}

static int seal(struct cipher *c, const struct srtp_packet *p)
{
	u8 digest[SHA1_DIGEST_SIZE];
	int err;

	err = crypt(c, p);
	if (err)
		return err;
	if (p->rtcp)
		put_unaligned_be32(SRTCP_E | (u32)p->index, cipher_word(c, p));
	err = authenticate(c, p, digest);
	if (!err)
		memcpy(tag_of(p), digest, c->tag);
	return err;
}

static int open(struct cipher *c, const struct srtp_packet *p)
{
	u8 digest[SHA1_DIGEST_SIZE];
	int err;

	err = authenticate(c, p, digest);
	if (err)
		return err;
	if (crypto_memneq(digest, tag_of(p), c->tag))
		return -EBADMSG;
	return crypt(c, p);
}

const struct cipher_ops cipher_cm_ops = {
	.make = make,
	.end = end,
	.seal = seal,
	.open = open,
};
