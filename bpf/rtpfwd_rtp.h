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
#define RTPFWD_RTCP_SR	      200
#define RTPFWD_RTCP_RR	      201
#define RTPFWD_RTCP_COUNT     0x1f /* of report blocks, in the first byte */
#define RTPFWD_RTCP_SR_SIZE   28   /* before its blocks */
#define RTPFWD_REPORT_BLOCK   24
#define RTPFWD_MAX_TRIP	      (10U << 16) /* ten seconds: longer is a clock gone wrong */
#define RTPFWD_MAX_DROPOUT    3000	  /* RFC 3550 A.1 */
#define RTPFWD_MAX_MISORDER   100
#define RTPFWD_PAIR_MASK      31	 /* one pair of packets in 32 is timed */
#define RTPFWD_PAIR_SHIFT     10	 /* of ns, to what is kept of an arrival */
#define RTPFWD_PAIR_MAX	      (1U << 24) /* 17 s: keeps ns * rate within 64 bits */
#define RTPFWD_MAX_CLOCK_RATE (1U << 24)
#define RTPFWD_MAX_TRANSIT    (1U << 27) /* in clock units; keeps jitter * 16 within 32 bits */

/* The compiler for BPF puts words together of bytes where it cannot see that they are aligned. */
#if defined(__bpf__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RTPFWD_GET16(p) __builtin_bswap16(*(const __u16 *)(p))
#define RTPFWD_GET32(p) __builtin_bswap32(*(const __u32 *)(p))
#else
#define RTPFWD_GET16(p) (__u16)((p)[0] << 8 | (p)[1])
#define RTPFWD_GET32(p) ((__u32)(p)[0] << 24 | (__u32)(p)[1] << 16 | (__u32)(p)[2] << 8 | (p)[3])
#endif

static inline __attribute__((always_inline)) __u16 rtpfwd_get16(const __u8 *p)
{
	return RTPFWD_GET16(p);
}

static inline __attribute__((always_inline)) __u32 rtpfwd_get32(const __u8 *p)
{
	return RTPFWD_GET32(p);
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

/*
 * One more of the packets that may make a source the learned one (RFC 4961 says from where it
 * should be; RFC 7362 why that must not be believed at once). True: that was enough of them.
 */
static inline __attribute__((always_inline)) int rtpfwd_learn(struct rtpfwd_heard *h, __u64 source,
							      __u32 ssrc, __u16 seq, __u32 need)
{
	if (h->candidate == source && h->candidate_ssrc == ssrc &&
	    (__u16)(h->candidate_seq + 1) == seq && h->candidate_packets < need)
		h->candidate_packets++;
	else
		h->candidate_packets = 1;
	h->candidate = source;
	h->candidate_ssrc = ssrc;
	h->candidate_seq = seq;
	return h->candidate_packets == need;
}

/*
 * May this packet pass under a limit of `rate` packets a second, `elapsed` jiffies of 1/hz s after
 * the last one that did? A bucket of one second. `left`: its credit then, to be kept together with
 * the time at which it passed; unchanged if it may not.
 */
static inline __attribute__((always_inline)) int
rtpfwd_is_within(__u32 *left, const struct rtpfwd_counters *c, __u32 rate, __u32 hz, __u64 elapsed)
{
	__u64 credit;

	if (elapsed > hz)
		elapsed = hz;
	credit = c->credit + elapsed * rate;
	if (credit > (__u64)hz * rate)
		credit = (__u64)hz * rate;
	if (credit < hz)
		return 0;
	*left = (__u32)(credit - hz);
	return 1;
}

static inline __attribute__((always_inline)) __u32 rtpfwd_clock(__u64 ns)
{
	return (__u32)((ns << 4) / (1000000000 >> 12)); /* 1/65536 s */
}

/* A sender report passed by at `now` (ns). */
static inline __attribute__((always_inline)) void rtpfwd_count_sent(struct rtpfwd_heard *h,
								    __u32 ntp, __u64 now)
{
	h->sent_ntp = ntp;
	h->sent_at = rtpfwd_clock(now);
}

/* RFC 3550 6.4.1: the report says which one it heard last, and how long ago. */
static inline __attribute__((always_inline)) void
rtpfwd_count_round_trip(struct rtpfwd_heard *h, const struct rtpfwd_heard *opposite, __u32 last,
			__u32 delay, __u64 now)
{
	__u32 trip = rtpfwd_clock(now) - opposite->sent_at - delay;

	if (last && last == opposite->sent_ntp && trip < RTPFWD_MAX_TRIP)
		h->round_trip = trip ? trip : 1;
}

/* The first RTCP packet of a compound (RFC 3550 6.4)? */
static inline __attribute__((always_inline)) int rtpfwd_is_rtcp(const __u8 *p, const void *end,
								__u32 len)
{
	if (len < RTPFWD_RTCP_HEADER || (const void *)(p + RTPFWD_RTCP_HEADER) > end)
		return 0;
	return (p[0] & 0xc0) == 0x80 && rtpfwd_is_rtcp_type(p[1]);
}

/* The next packet of the same sender: nearly all are. `c->packets` does not count it yet. */
static inline __attribute__((always_inline)) int rtpfwd_is_next(const struct rtpfwd_counters *c,
								__u32 ssrc, __u16 seq)
{
	return c->packets && ssrc == c->ssrc && seq == (__u16)(c->max_seq + 1);
}

static inline __attribute__((always_inline)) void
rtpfwd_count_sender(struct rtpfwd_counters *c, struct rtpfwd_heard *h, __u32 ssrc, __u16 seq)
{
	if (c->packets)
		h->ssrc_changes++;
	h->bad_seq = 0;
	c->ssrc = ssrc;
	c->max_seq = seq;
	c->jitter = 0;
	c->pair_at = 0;
}

/*
 * RFC 3550 A.1 and A.3, kept as one running figure: a packet that advances the sequence by n makes
 * n expected and one received, a late or repeated one is received without being expected. Of the
 * packets behind the last one only the last itself is known to be a repetition.
 */
static inline __attribute__((always_inline)) void
rtpfwd_count_other(struct rtpfwd_counters *c, struct rtpfwd_heard *h, __u32 ssrc, __u16 seq)
{
	__u16 advance = seq - c->max_seq;

	if (c->packets == 0 || ssrc != c->ssrc) {
		rtpfwd_count_sender(c, h, ssrc, seq);
	} else if (advance == 0) {
		c->lost--;
		h->duplicates++;
	} else if (advance < RTPFWD_MAX_DROPOUT) {
		c->lost += advance - 1;
		c->max_seq = seq;
	} else if (advance > (__u16)-RTPFWD_MAX_MISORDER) {
		c->lost--;
		h->reordered++;
	} else if (h->bad_seq == (RTPFWD_BAD_SEQ | seq)) { /* two in a row: the sender restarted */
		c->max_seq = seq;
		h->bad_seq = 0;
	} else {
		h->bad_seq = RTPFWD_BAD_SEQ | (__u16)(seq + 1);
	}
}

/* The whole of it, where both lines are at hand. */
static inline __attribute__((always_inline)) void
rtpfwd_count_sequence(struct rtpfwd_counters *c, struct rtpfwd_heard *h, __u32 ssrc, __u16 seq)
{
	if (rtpfwd_is_next(c, ssrc, seq))
		c->max_seq = seq;
	else
		rtpfwd_count_other(c, h, ssrc, seq);
}

/* Is this packet one of the two in thirty-two whose arrival is worth a fine clock? */
static inline __attribute__((always_inline)) int rtpfwd_is_sampled(__u16 seq)
{
	return (seq & RTPFWD_PAIR_MASK) <= 1;
}

/* RFC 3550 A.8 for a sampled packet that arrived at `now` (ns). */
static inline __attribute__((always_inline)) void
rtpfwd_count_jitter(struct rtpfwd_counters *c, __u32 rate, __u16 seq, __u32 ts, __u64 now)
{
	__u32 at = (__u32)(now >> RTPFWD_PAIR_SHIFT), elapsed = at - c->pair_at, transit;

	if ((seq & RTPFWD_PAIR_MASK) == 0) {
		c->pair_at = at ? at : 1;
		c->pair_ts = ts;
		c->pair_seq = seq;
		return;
	}
	if (!c->pair_at || c->pair_seq != (__u16)(seq - 1))
		return;
	c->pair_at = 0;
	if (elapsed >= RTPFWD_PAIR_MAX || rate > RTPFWD_MAX_CLOCK_RATE)
		return;
	transit = (__u32)((((__u64)elapsed << RTPFWD_PAIR_SHIFT) * rate + 500000000) / 1000000000) -
		  (ts - c->pair_ts);
	if (transit > 0x7fffffff)
		transit = -transit;
	if (transit < RTPFWD_MAX_TRANSIT)
		c->jitter += transit - ((c->jitter + 8) >> 4);
}

#endif
