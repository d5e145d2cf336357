/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speech quality as a listener would judge it, from what was counted. Pure. */
#ifndef RTPFWD_STATS_MOS_H
#define RTPFWD_STATS_MOS_H

#include <stdint.h>

/* The mean opinion score (1 to 4.5) of the E-model (ITU-T G.107): loss after a jitter buffer of
 * twice the jitter, no echo, and the delay of packet, buffer and way. `trip_ms` is the time from
 * one phone to the other and back, as far as RTCP told it; 0: it did not, listening alone is
 * judged. Below 0: nothing came, or a codec of which no equipment impairment is known (ITU-T
 * G.113). */
double mos(const char *codec, uint64_t packets, uint64_t lost, double jitter_ms, double trip_ms);

#endif
