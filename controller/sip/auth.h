/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: digest authentication of those who ask us (RFC 3261 22, RFC 7616, RFC
 * 8760), and our answers to those who ask it of us.
 *
 * A nonce is a time, a random part and a keyed hash over both, the realm and the source's address:
 * nothing is kept for a challenge. Only what was answered rightly is remembered, until it expires,
 * so that no nonce count comes twice; the table of it is bounded, and when it is full the oldest
 * nonces expire early.
 */
#ifndef RTPFWD_SIP_AUTH_H
#define RTPFWD_SIP_AUTH_H

#include "sip/digest.h"
#include "sip/stack.h"

#define SIP_AUTH_REALM "rtpfwd"

/* A nonce that was answered rightly. */
struct sip_nonce {
	struct sip_key key;
	uint64_t made_ms;
	uint32_t count; /* the highest nonce count that was taken */
	UT_hash_handle hh;
};

struct sip_guard {
	unsigned char key[DIGEST_KEY];
	struct sip_nonce *nonces; /* answered; the first answered first */
	uint64_t floor_ms;	  /* what was made until then is stale */
	unsigned int lifetime_ms;
	unsigned int max; /* of `nonces` */
};

int sip_guard_open(struct sip *sip);
void sip_guard_close(struct sip *sip);

/* The header lines of a challenge: one for each algorithm, the best first (RFC 8760 2.4). */
void sip_build_challenge(struct buf *out, const struct sip_msg *m,
			 const struct sip_verdict *verdict);

/* The credentials that answer the challenges of a 401 or 407 as a header line; `method` and `uri`
 * of the request that was refused, `request` its text, in which earlier credentials are found. 0;
 * -EACCES: the same realm refused them already; -ENOTSUP: no challenge that we can answer; -ENOMEM.
 */
struct sip_proof {
	const char *user, *secret;
	const char *method, *request;
	struct slice uri;
};

int sip_build_credentials(struct buf *out, const struct sip_msg *m, const struct sip_proof *proof);
/* The name of the header in which credentials for this refusal go. */
const char *sip_credentials_header(int code);

#endif
