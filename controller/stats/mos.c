// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/mos.h"

#include <stddef.h>
#include <strings.h>

/* ITU-T G.113 appendix I: equipment impairment, and robustness against random loss where packets
 * that are missing are concealed. */
static const struct impairment {
	const char *codec;
	double ie, bpl;
} impairments[] = {
	{ "PCMU", 0, 25.1 },  { "PCMA", 0, 25.1 }, { "G729", 11, 19 },
	{ "G723", 15, 16.1 }, { "GSM", 20, 10 },
};

#define R_BEST	  93.2 /* with every default of G.107 */
#define PACKET_MS 20
#define LONG_MS	  177.3 /* from here on delay disturbs conversation */

static double of_rating(double r)
{
	double score = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;

	return r <= 0 || score < 1 ? 1 : score; /* just above 0 the curve dips below */
}

double mos(const char *codec, uint64_t packets, uint64_t lost, double jitter_ms, double trip_ms)
{
	double delay = PACKET_MS + 2 * jitter_ms + trip_ms / 2, percent, r = R_BEST - 0.024 * delay;
	const struct impairment *found = NULL;

	for (size_t i = 0; i < sizeof(impairments) / sizeof(*impairments); i++)
		if (!strcasecmp(impairments[i].codec, codec))
			found = &impairments[i];
	if (!found || !packets)
		return -1;
	if (delay > LONG_MS)
		r -= 0.11 * (delay - LONG_MS);
	percent = 100.0 * (double)lost / (double)(packets + lost);
	r -= found->ie + (95 - found->ie) * percent / (percent + found->bpl);
	return of_rating(r);
}
