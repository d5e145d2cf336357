/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One flow through the fast path with the module, and libsrtp2 at both of its ends. */
#ifndef RTPFWD_TESTS_KMOD_WAY_H
#define RTPFWD_TESTS_KMOD_WAY_H

#include "fast.h"

#define CM	RTPFWD_AES_CM_128_HMAC_SHA1_80
#define KEY_IN	1
#define KEY_OUT 2

/* How a flow's packets come and go. */
struct sort {
	bool six_in, six_out;
	bool rtcp;
	bool tag_out;	 /* VLAN 100 */
	bool no_sum;	 /* IPv4 without a UDP checksum */
	uint8_t in, out; /* suites; 0: in the clear */
};

struct way {
	struct sort sort;
	struct flow_want want;
	srtp_t sender, receiver;
	uint16_t seq;
};

/* Before and after all tests. */
int way_start(void **state);
int way_stop(void **state);

struct way way_of(const struct sort *s); /* not yet applied */
void way_open(struct way *w, const struct sort *s);
void way_close(struct way *w);

/* The next packet as its sender wrote it, of `size` bytes of RTP payload or so many reports. */
int way_make(struct way *w, uint8_t *packet, int size);
/* As the phone sends it: `clear` is encrypted where the flow arrives so. */
void way_arrive(struct way *w, struct frame *f, const uint8_t *clear, int length);
/* The same of what is not encrypted first. */
void way_put(struct frame *f, const struct sort *s, const uint8_t *payload, int length);
/* The payload of a frame that left, as its receiver reads it. */
void way_read(struct way *w, const struct frame *out, uint8_t *packet, int *size);
/* Must leave whole, and hold `clear` for its receiver. */
void way_expect_passed(struct way *w, const uint8_t *clear, int length);

#endif
