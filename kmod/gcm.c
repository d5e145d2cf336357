// SPDX-License-Identifier: GPL-2.0-only
/* AES-GCM (RFC 7714). */
#include "cipher.h"

#include <asm/simd.h>
#include <crypto/aead.h>
#include <crypto/gcm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "compat.h"

#define TAG_SIZE 16

static void request_end(struct aead_request *req)
{
	struct crypto_aead *tfm = req ? crypto_aead_reqtfm(req) : NULL;

	aead_request_free(req);
	crypto_free_aead(tfm);
}

static int request_make(struct aead_request **req, const char *name, u32 type, u32 mask,
			const u8 *key, u32 size)
{
	struct crypto_aead *tfm;
	int err;

	tfm = crypto_alloc_aead(name, type, mask | CRYPTO_ALG_ASYNC);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = crypto_aead_setkey(tfm, key, size);
	err = err ?: crypto_aead_setauthsize(tfm, TAG_SIZE);
	*req = err ? NULL : aead_request_alloc(tfm, GFP_KERNEL);
	if (*req)
		return 0;
	crypto_free_aead(tfm);
	return err ?: -ENOMEM;
}

static void end(struct cipher *c)
{
	request_end(c->gcm.simd);
	request_end(c->gcm.any);
}

/* As in aescm.c. */
static int make(struct cipher *c, const u8 *key, u32 key_size, const u8 *auth)
{
	int err;

	err = request_make(&c->gcm.simd, "__gcm(aes)", CRYPTO_ALG_INTERNAL, CRYPTO_ALG_INTERNAL,
			   key, key_size);
	if (err && err != -ENOENT)
		return err;
	return request_make(&c->gcm.any, "gcm(aes)", 0, 0, key, key_size);
}

/*
 * What is authenticated alone comes first: the header, and of RTCP the word behind the tag
 * (RFC 7714 9.2), too. In one piece: AES-NI would allocate memory to join them. Returns its size.
 */
static u32 spread(struct cipher *c, const struct srtp_packet *p, struct scatterlist *sg)
{
	if (!p->rtcp) {
		sg_init_one(sg, p->data, p->length + TAG_SIZE);
		return p->head;
	}
	memcpy(c->gcm.known, p->data, p->head);
	memcpy(c->gcm.known + p->head, cipher_word(c, p), SRTCP_WORD);
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], c->gcm.known, p->head + SRTCP_WORD);
	sg_set_buf(&sg[1], p->data + p->head, p->length - p->head + TAG_SIZE);
	return p->head + SRTCP_WORD;
}

static int run(struct cipher *c, const struct srtp_packet *p, u32 more,
	       int (*crypt)(struct aead_request *))
{
	struct aead_request *req = c->gcm.simd && may_use_simd() ? c->gcm.simd : c->gcm.any;
	u8 iv[GCM_AES_IV_SIZE] = {};
	struct scatterlist sg[2];

	cipher_iv(c, p, iv, 2);
	aead_request_set_callback(req, 0, NULL, NULL);
	aead_request_set_ad(req, spread(c, p, sg));
	aead_request_set_crypt(req, sg, sg, p->length - p->head + more, iv);
	return crypt(req);
}

static int seal(struct cipher *c, const struct srtp_packet *p)
{
	if (p->rtcp)
		put_unaligned_be32(SRTCP_E | (u32)p->index, cipher_word(c, p));
	return run(c, p, 0, crypto_aead_encrypt);
}

/* Whether it is authentic shows only when it is decrypted: encrypting again undoes that. */
static int open(struct cipher *c, const struct srtp_packet *p)
{
	u8 tag[TAG_SIZE];
	int err, undone;

	memcpy(tag, p->data + p->length, TAG_SIZE);
	err = run(c, p, TAG_SIZE, crypto_aead_decrypt);
	if (err != -EBADMSG)
		return err;
	undone = run(c, p, 0, crypto_aead_encrypt);
	memcpy(p->data + p->length, tag, TAG_SIZE);
	return undone ?: -EBADMSG;
}

const struct cipher_ops cipher_gcm_ops = {
	.make = make,
	.end = end,
	.seal = seal,
	.open = open,
};
