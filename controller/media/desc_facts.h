/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What descriptions say that decides whether their owners' media can do without the relay. Pure. */
#ifndef RTPFWD_MEDIA_DESC_FACTS_H
#define RTPFWD_MEDIA_DESC_FACTS_H

#include "media/desc.h"

enum desc_keys { DESC_NO_KEYS, DESC_SDES, DESC_DTLS, DESC_ZRTP };

struct desc_facts {
	enum desc_keys keys; /* that it offers, whatever its profile */
	bool ice;
	bool telephone_event;
	unsigned int live[DESC_KINDS]; /* m= lines with a port */
};

void desc_facts(const struct desc *d, struct desc_facts *out);

/* Of the relayed audio of two descriptions, one of which may answer the other. A codec in common is
 * one that both name with the same clock and channels. */
struct desc_pair {
	bool no_codec; /* none in common, by no name */
	bool numbers_differ;
	bool parameters_differ;	  /* a=fmtp; or the codecs in common have other clocks */
	bool events_differ;	  /* telephone-event: number, digits, or clock */
	unsigned int ptime_ms[2]; /* as wished for, else what the codec in use is sent with */
};

void desc_compare(const struct desc *a, const struct desc *b, struct desc_pair *out);

#endif
