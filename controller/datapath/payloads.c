// SPDX-License-Identifier: GPL-2.0-or-later
/* Payload numbers as an entry holds them: the usual one, pairs from the front, and from the end
 * those of before a change, which are admitted for a while. */
#include "datapath/priv.h"

#include <string.h>

static void take_off(struct rtpfwd_extra *extra, size_t place)
{
	extra->in[place] = RTPFWD_NO_PAYLOAD;
	extra->out[place] = 0;
}

static void put(struct action *out, size_t place, const struct flow_payload *pair)
{
	out->extra.in[place] = pair->in;
	out->extra.out[place] = pair->out;
}

/* What is translated stands first, for the data path knows it by that. */
static size_t put_translated(struct action *out, const struct flow_payloads *payloads)
{
	for (size_t i = 0; i < payloads->n; i++) {
		const struct flow_payload *pair = &payloads->pair[i];

		if (!pair->g711)
			continue;
		out->act.flags |= pair->g711 == FLOW_TO_ALAW ? RTPFWD_F_TO_ALAW
							     : RTPFWD_F_TO_ULAW;
		put(out, 0, pair);
		return 1;
	}
	return 0;
}

void payloads_desire(struct action *out, const struct flow_payloads *payloads)
{
	size_t n;

	for (size_t place = 0; place < RTPFWD_PAYLOADS; place++)
		take_off(&out->extra, place);
	out->act.usual = payloads->n ? RTPFWD_NO_USUAL : RTPFWD_ANY_PAYLOAD;
	n = put_translated(out, payloads);
	for (size_t i = 0; i < payloads->n; i++) {
		const struct flow_payload *pair = &payloads->pair[i];

		if (pair->g711)
			continue;
		if (out->act.usual == RTPFWD_NO_USUAL && pair->in == pair->out)
			out->act.usual = pair->in;
		else if (n < RTPFWD_PAYLOADS)
			put(out, n++, pair);
	}
}

void payloads_forget_late(struct action *a)
{
	for (; a->act.late_payloads; a->act.late_payloads--)
		take_off(&a->extra, RTPFWD_PAYLOADS - a->act.late_payloads);
}

static void read(struct flow_payloads *out, const struct action *a, size_t places)
{
	const uint32_t g711 = RTPFWD_F_TO_ALAW | RTPFWD_F_TO_ULAW;

	*out = (struct flow_payloads){ 0 };
	if (a->act.usual < RTPFWD_NO_USUAL)
		out->pair[out->n++] = (struct flow_payload){ a->act.usual, a->act.usual, 0 };
	for (size_t i = 0; i < places && out->n < FLOW_PAYLOADS; i++) {
		struct flow_payload pair = { a->extra.in[i], a->extra.out[i], 0 };

		if (pair.in == RTPFWD_NO_PAYLOAD)
			continue;
		if (i == 0 && a->act.flags & g711)
			pair.g711 = a->act.flags & RTPFWD_F_TO_ALAW ? FLOW_TO_ALAW : FLOW_TO_ULAW;
		out->pair[out->n++] = pair;
	}
}

void payloads_read(struct flow_payloads *out, const struct action *a)
{
	read(out, a, RTPFWD_PAYLOADS - a->act.late_payloads);
}

bool payloads_same(const struct action *a, const struct action *b)
{
	struct flow_payloads x, y;

	payloads_read(&x, a);
	payloads_read(&y, b);
	return !memcmp(&x, &y, sizeof(x));
}

static bool admits(const struct action *a, uint8_t number)
{
	return a->act.usual == number || memchr(a->extra.in, number, RTPFWD_PAYLOADS);
}

/* Samples are translated for one number alone, which is that of `next`. */
void payloads_keep(struct action *next, const struct action *now, bool late)
{
	size_t places = RTPFWD_PAYLOADS - (late ? 0 : now->act.late_payloads), free;
	struct flow_payloads former;

	read(&former, now, places);
	if (next->act.usual == RTPFWD_ANY_PAYLOAD)
		return;
	for (size_t i = 0; i < former.n; i++) {
		free = RTPFWD_PAYLOADS - 1u - next->act.late_payloads;
		if (former.pair[i].g711 || admits(next, former.pair[i].in) ||
		    next->extra.in[free] != RTPFWD_NO_PAYLOAD)
			continue;
		put(next, free, &former.pair[i]);
		next->act.late_payloads++;
	}
}
