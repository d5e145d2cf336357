/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of the data path with the module: both labs, and keys as flows have them. */
#ifndef RTPFWD_TESTS_KMOD_FAST_H
#define RTPFWD_TESTS_KMOD_FAST_H

#include "../bpf/relay.h"
#include "lab.h"

#include <string.h>

#define FAST_SSRC 0x5eed1234
#define FAST_CUT  800 /* bytes of a datagram in its first fragment */

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

static inline void fast_put(int phone, const struct frame *f)
{
	assert_int_equal(write(phone, f->bytes, f->size), f->size);
}

static inline void fast_resum_header(struct frame *f)
{
	uint32_t size = (f->bytes[IP_AT] & 15) * 4u, sum = 0;
	uint8_t *ip = f->bytes + IP_AT;

	memset(ip + 10, 0, 2);
	for (uint32_t i = 0; i < size; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

static inline void fast_set_length(struct frame *f, uint32_t length, uint32_t offset, bool more)
{
	uint8_t *ip = f->bytes + IP_AT;

	ip[2] = (uint8_t)(length >> 8);
	ip[3] = (uint8_t)length;
	ip[6] = (uint8_t)((more ? 0x20 : 0) | offset >> 11);
	ip[7] = (uint8_t)(offset >> 3);
	fast_resum_header(f);
	f->size = IP_AT + length;
}

/* The datagram in two. */
static inline void fast_put_in_fragments(int phone, const struct frame *f, uint16_t id)
{
	uint32_t size = f->size - IP_AT - 20;
	struct frame part = *f;

	part.bytes[IP_AT + 4] = (uint8_t)(id >> 8);
	part.bytes[IP_AT + 5] = (uint8_t)id;
	fast_set_length(&part, 20 + FAST_CUT, 0, true);
	fast_put(phone, &part);
	memcpy(part.bytes + IP_AT + 20, f->bytes + IP_AT + 20 + FAST_CUT, size - FAST_CUT);
	fast_set_length(&part, 20 + size - FAST_CUT, FAST_CUT, false);
	fast_put(phone, &part);
}

static inline void fast_put_with_options(int phone, const struct frame *f)
{
	struct frame part = *f;

	memcpy(part.bytes + UDP_AT, "\x94\x04\0\0", 4); /* router alert */
	memcpy(part.bytes + UDP_AT + 4, f->bytes + UDP_AT, f->size - UDP_AT);
	part.bytes[IP_AT] = 0x46;
	fast_set_length(&part, f->size - IP_AT + 4, 0, false);
	fast_put(phone, &part);
}

#endif
