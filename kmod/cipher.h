/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One session key (RFC 3711 4.3): encrypts and authenticates RTP, or RTCP, in place. The caller
 * serialises all use of one cipher; seal and open may be called in softirq and never sleep.
 */
#ifndef RTPFWD_CIPHER_H
#define RTPFWD_CIPHER_H

#include <linux/types.h>

#define SRTP_MAX_KEY  32
#define SRTP_MAX_SALT 14
#define SRTCP_HEAD    8 /* RFC 3711 3.4: header and SSRC of the sender stay readable */
#define SRTCP_WORD    4 /* E bit and index */
#define SRTCP_E	      0x80000000

struct cipher;

/* A datagram's payload. SRTP puts `tag` bytes behind it, and SRTCP a word in front or behind. */
struct srtp_packet {
	u8 *data;
	u32 head;   /* bytes that are authenticated, but not encrypted */
	u32 length; /* of RTP or RTCP, without what SRTP adds */
	u32 ssrc;
	u64 index;
	bool rtcp;
};

struct cipher_ops {
	/* What was made before an error is for end. */
	int (*make)(struct cipher *c, const u8 *key, u32 key_size, const u8 *auth);
	void (*end)(struct cipher *c);
	int (*seal)(struct cipher *c, const struct srtp_packet *p);
	/* -EBADMSG: not authentic, the packet is as it was. */
	int (*open)(struct cipher *c, const struct srtp_packet *p);
};

struct cipher_suite {
	const struct cipher_ops *ops;
	u8 key_size;
	u8 salt_size;
	u8 auth_size; /* of the key of HMAC-SHA1; 0: none */
	u8 tag;
	u8 rtcp_tag;
	bool word_last; /* SRTCP: tag, word (RFC 7714 9.2); else word, tag (RFC 3711 3.4) */
};

/*
 * Requests are made beforehand: in softirq we allocate nothing. A generic cipher may, for data that
 * does not lie as it wants it; that fails as -ENOMEM.
 */
struct cipher_cm {
	struct skcipher_request *simd; /* NULL: the machine has none that is to be asked for */
	struct skcipher_request *any;
	struct shash_desc *mac;
};

struct cipher_gcm {
	struct aead_request *simd;
	struct aead_request *any;
	u8 known[SRTCP_HEAD + SRTCP_WORD]; /* of RTCP, what is authenticated alone */
};

struct cipher {
	const struct cipher_suite *suite;
	u8 tag;
	u8 salt[SRTP_MAX_SALT];
	union {
		struct cipher_cm cm;
		struct cipher_gcm gcm;
	};
};

extern const struct cipher_ops cipher_cm_ops;
extern const struct cipher_ops cipher_gcm_ops;

/* NULL: no suite of that number (enum rtpfwd_suite). */
const struct cipher_suite *cipher_suite(u8 number);

/*
 * Derives from a master key and salt of the sizes that the suite says; allocates, may sleep. After
 * an error, too, cipher_end() is due. `c` is of zeroes.
 */
int cipher_init(struct cipher *c, const struct cipher_suite *suite, bool rtcp, const u8 *key,
		const u8 *salt);
void cipher_end(struct cipher *c); /* one of zeroes is fine */

/* 48 bits of SSRC, index and salt as both kinds of suite have them, at `iv` (RFC 3711 4.1.1). */
void cipher_iv(const struct cipher *c, const struct srtp_packet *p, u8 *iv, u32 ssrc_at);

/* Bytes that SRTP or SRTCP adds. */
static inline u32 cipher_overhead(const struct cipher *c, bool rtcp)
{
	return c->tag + (rtcp ? SRTCP_WORD : 0);
}

static inline u8 *cipher_word(const struct cipher *c, const struct srtp_packet *p)
{
	return p->data + p->length + (c->suite->word_last ? c->tag : 0);
}

#endif
