/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of the data path with the module: both labs, and keys as flows have them. */
#ifndef RTPFWD_TESTS_KMOD_FAST_H
#define RTPFWD_TESTS_KMOD_FAST_H

#include "../bpf/relay.h"
#include "lab.h"

#include <string.h>

#define FAST_SSRC 0x5eed1234

/* What oracle(suite, key, ...) has, as a flow is given it. */
static inline struct flow_crypt fast_crypt(uint8_t suite, unsigned int key)
{
	size_t key_size = suite == RTPFWD_AEAD_AES_256_GCM ? 32 : 16;
	struct flow_crypt crypt = { .suite = suite };

	if (!suite)
		return crypt;
	memcpy(crypt.key, lab_key(key), key_size);
	memcpy(crypt.key + key_size, lab_salt(key),
	       suite >= RTPFWD_AEAD_AES_128_GCM ? 12 : 14);
	return crypt;
}

/* RTP or RTCP by libsrtp2, in place; it must take it. */
static inline void fast_oracle(srtp_t session, bool protects, bool rtcp, uint8_t *packet, int *size)
{
	srtp_err_status_t (*const calls[2][2])(srtp_t, void *, int *) = {
		{ srtp_unprotect, srtp_unprotect_rtcp },
		{ srtp_protect, srtp_protect_rtcp },
	};

	assert_int_equal(calls[protects][rtcp](session, packet, size), srtp_err_status_ok);
}

#endif
