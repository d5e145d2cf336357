/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * RTP and RTCP as bytes and numbers (RFC 3550). No kernel or libc call, so that every path that
 * forwards uses the same arithmetic and unit tests run it as it is. A function that takes `end`
 * reads nothing at or beyond it.
 */
#ifndef RTPFWD_RTP_H
#define RTPFWD_RTP_H

#include <linux/types.h>

#include "rtpfwd_abi.h"

#define RTPFWD_RTP_HEADER     12
#define RTPFWD_RTCP_HEADER    8
#define RTPFWD_MAX_DROPOUT    3000 /* RFC 3550 A.1 */
#define RTPFWD_MAX_MISORDER   100
#define RTPFWD_PAIR_MASK      15	   /* one pair of packets in 16 is timed */
#define RTPFWD_PAIR_MAX_NS    (1ULL << 34) /* keeps ns * rate within 64 bits */
#define RTPFWD_MAX_CLOCK_RATE (1U << 24)
#define RTPFWD_MAX_TRANSIT    (1U << 27) /* in clock units; keeps jitter * 16 within 32 bits */

static inline __attribute__((always_inline)) __u16 rtpfwd_get16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

static inline __attribute__((always_inline)) __u32 rtpfwd_get32(const __u8 *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

/* Packet types 192..223 in the second byte are RTCP's at whatever port (RFC 5761 section 4). */
static inline __attribute__((always_inline)) int rtpfwd_is_rtcp_type(__u8 second)
{
	return (second & 0xe0) == 0xc0;
}

/* Length of the RTP header (RFC 3550 5.1, 5.3.1), whole within `len` bytes of payload; 0: there is
 * none. */
static inline __attribute__((always_inline)) __u32 rtpfwd_rtp_header(const __u8 *p, const void *end,
								     __u32 len)
{
	__u32 need = RTPFWD_RTP_HEADER;

	if (len < need || (const void *)(p + RTPFWD_RTP_HEADER) > end)
		return 0;
	if ((p[0] & 0xc0) != 0x80 || rtpfwd_is_rtcp_type(p[1]))
		return 0;
	if ((p[0] & 0x1f) == 0) /* neither extension nor contributing sources: nearly all */
		return need;
	need += (p[0] & 0x0fU) * 4;
	if (p[0] & 0x10) {
		const __u8 *extension = p + need;

		if ((const void *)(extension + 4) > end)
			return 0;
		need += 4 + rtpfwd_get16(extension + 2) * 4U;
	}
	return len >= need ? need : 0;
}

static inline __attribute__((always_inline)) int rtpfwd_is_rtp(const __u8 *p, const void *end,
							       __u32 len)
{
	return rtpfwd_rtp_header(p, end, len) != 0;
}

/* The first RTCP packet of a compound (RFC 3550 6.4)? */
static inline __attribute__((always_inline)) int rtpfwd_is_rtcp(const __u8 *p, const void *end,
								__u32 len)
{
	if (len < RTPFWD_RTCP_HEADER || (const void *)(p + RTPFWD_RTCP_HEADER) > end)
		return 0;
	return (p[0] & 0xc0) == 0x80 && rtpfwd_is_rtcp_type(p[1]);
}

/*
 * RFC 3550 A.1 and A.3, kept as one running figure: a packet that advances the sequence by n makes
 * n expected and one received, a late or repeated one is received without being expected.
 * `c->packets` does not count this packet yet.
 */
static inline __attribute__((always_inline)) void rtpfwd_count_sequence(struct rtpfwd_counters *c,
									__u32 ssrc, __u16 seq)
{
	__u16 advance = seq - c->max_seq;

	if (c->packets == 0 || ssrc != c->ssrc) {
		c->ssrc = ssrc;
		c->max_seq = seq;
		c->bad_seq = 0;
		c->jitter = 0;
		c->pair_ns = 0;
	} else if (advance == 1) {
		c->max_seq = seq;
	} else if (advance == 0) {
		c->lost--;
	} else if (advance < RTPFWD_MAX_DROPOUT) {
		c->lost += advance - 1;
		c->max_seq = seq;
	} else if (advance > (__u16)-RTPFWD_MAX_MISORDER) {
		c->lost--;
	} else if (c->bad_seq == (RTPFWD_BAD_SEQ | seq)) { /* two in a row: the sender restarted */
		c->max_seq = seq;
		c->bad_seq = 0;
	} else {
		c->bad_seq = RTPFWD_BAD_SEQ | (__u16)(seq + 1);
	}
}

/* Is this packet one of the two in sixteen whose arrival is worth a fine clock? */
static inline __attribute__((always_inline)) int rtpfwd_is_sampled(__u16 seq)
{
	return (seq & RTPFWD_PAIR_MASK) <= 1;
}

/* RFC 3550 A.8 for a sampled packet that arrived at `now` (ns). */
static inline __attribute__((always_inline)) void
rtpfwd_count_jitter(struct rtpfwd_counters *c, __u32 rate, __u16 seq, __u32 ts, __u64 now)
{
	__u64 elapsed = now - c->pair_ns;
	__u32 transit;

	if ((seq & RTPFWD_PAIR_MASK) == 0) {
		c->pair_ns = now;
		c->pair_ts = ts;
		c->pair_seq = seq;
		return;
	}
	if (!c->pair_ns || c->pair_seq != (__u16)(seq - 1))
		return;
	c->pair_ns = 0;
	if (elapsed >= RTPFWD_PAIR_MAX_NS || rate > RTPFWD_MAX_CLOCK_RATE)
		return;
	transit = (__u32)(elapsed * rate / 1000000000) - (ts - c->pair_ts);
	if (transit > 0x7fffffff)
		transit = -transit;
	if (transit < RTPFWD_MAX_TRANSIT)
		c->jitter += transit - ((c->jitter + 8) >> 4);
}

#endif
