/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of one RTP source of ours (RFC 3550). Pure, but for rtp_begin(). */
#ifndef RTPFWD_SERVICE_RTP_H
#define RTPFWD_SERVICE_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { RTP_HEADER = 12, RTCP_MAX = 80 };

struct rtp_source {
	uint32_t ssrc;
	uint32_t timestamp;	/* of the next packet */
	uint16_t seq;		/* of the next packet */
	bool talking;		/* a packet of it went out: no marker any more */
	uint32_t packets, bytes;	/* sent, of payload: for the reports */
};

/* A new source: everything random, as RFC 3550 5.1 and 8.1 want it. 0 or -errno. */
int rtp_begin(struct rtp_source *source);
/* Writes the header before `len` bytes of payload, and counts them. The timestamp is the caller's
 * to advance. */
void rtp_header(uint8_t out[RTP_HEADER], struct rtp_source *source, uint8_t payload_type,
		size_t len);

/* A sender report with our canonical name, and BYE where it is the last (RFC 3550 6.4.1, 6.5, 6.6).
 * `now`: CLOCK_REALTIME. Returns its length. */
size_t rtp_report(uint8_t out[RTCP_MAX], const struct rtp_source *source,
		  const struct timespec *now, bool bye);

#endif
