// SPDX-License-Identifier: GPL-2.0-or-later
/* Which payload numbers each leg sends by right: those that it was told, and while it has not
 * agreed to an offer yet those agreed upon before, too (RFC 3264 8.3.1). */
#include "call/call_priv.h"

#include "media/desc_payloads.h"

#include <errno.h>

/* By what it is told now. Of none, and of more than an entry holds, every number is admitted: to
 * refuse one that was agreed upon would lose audio, and all come from the source signalled. */
static struct flow_payloads payloads_told(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side], *other = &c->side[side_other(side)];
	struct flow_payloads out = { 0 };
	struct desc_audio audio;
	struct desc *told;
	int err;

	if (!s->origin.last || desc_parse(&told, s->origin.last, s->origin.last_len, NULL))
		return out;
	/* Only of the main line: what the others send is not judged by its number. */
	err = desc_audio(told, &audio);
	if (!err && audio.index != s->audio.index && s->said)
		err = -ENOENT;
	if (!err && other->said)
		err = desc_payloads(&out, told, s->said, other->said);
	if (!err && c->offer.offer && c->offer.from != side)
		err = desc_payloads(&out, told, s->said, c->offer.offer);
	if (!err && c->ask.offer && c->ask.from == side)
		err = desc_payloads(&out, told, s->said, c->ask.offer);
	desc_free(told);
	return err ? (struct flow_payloads){ 0 } : out;
}

static struct flow_payloads payloads_of(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	struct flow_payloads now = payloads_told(c, side), both = s->sends;

	if (!s->asked || !s->said) {
		s->sends = both = now;
	} else if (!both.n || !now.n || desc_payloads_join(&both, &now)) {
		both = (struct flow_payloads){ 0 };
	}
	return both;
}

static void admit(struct call *c, enum side side)
{
	static const struct flow_payloads any;
	struct flow_payloads main = payloads_of(c, side);

	for (size_t i = 0; i < c->n_lines; i++)
		stream_admit(c->lines[i].stream, side,
			     c->lines[i].stream == c->stream ? &main : &any);
}

void call_defer(struct call *c)
{
	if (c->deferred++)
		return;
	for (size_t i = 0; i < c->n_lines; i++)
		stream_defer(c->lines[i].stream);
}

void call_enforce(struct call *c)
{
	if (--c->deferred)
		return;
	admit(c, SIDE_A);
	admit(c, SIDE_B);
	for (size_t i = 0; i < c->n_lines; i++)
		stream_enforce(c->lines[i].stream);
}
