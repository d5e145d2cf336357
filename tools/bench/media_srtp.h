/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* The packets of the runs with SRTP: made before, and looked into behind, both by libsrtp2. */
#ifndef RTPFWD_MEDIA_SRTP_H
#define RTPFWD_MEDIA_SRTP_H

#include <stdint.h>

#define MEDIA_KEY 30 /* bytes of a master key and its salt */

struct media_flow;
struct media_packet;
struct media_sample;
struct media_sink;

struct media_srtp {
	struct media_flow *flows;     /* as are these, mapped: */
	struct media_packet *packets; /* MEDIA_TURNS */
	struct media_sample *samples; /* MEDIA_KEPT of each side */
	uint64_t *numbers;	      /* MEDIA_NUMBERS */
	uint8_t (*keys)[MEDIA_KEY];   /* by flow; all that are sent under are the same */
	const uint8_t *sent;	      /* that one; NULL: no flow has told it */
};

/* Of flow `n`, which is written, the rest: its key is the last word of its line. */
int media_srtp_add(struct media_srtp *s, uint32_t n, const char *line);

/* Of the packets that were kept of a run: how many, and how many are not the one of their turn. */
uint32_t media_srtp_look(const struct media_srtp *s, const struct media_sink *sinks,
			 uint32_t *wrong);

#endif
