// SPDX-License-Identifier: GPL-2.0-or-later
#include "media/desc_payloads.h"

#include "media/desc_priv.h"

#include <errno.h>

static bool has(const struct flow_payloads *p, uint8_t number)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->pair[i].in == number)
			return true;
	return false;
}

/* An entry translates the bytes of one number. */
static bool translates(const struct flow_payloads *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->pair[i].g711)
			return true;
	return false;
}

static int add(struct flow_payloads *out, struct flow_payload pair)
{
	if (has(out, pair.in) || (pair.g711 && translates(out)))
		return 0;
	if (out->n == FLOW_PAYLOADS)
		return -ENOSPC;
	out->pair[out->n++] = pair;
	return 0;
}

/* The format of `d` that is the same; of several the one of the same number. */
static const struct desc_format *counterpart(const struct desc *d, const struct desc_format *f)
{
	const struct desc_format *found = NULL;

	for (size_t i = 0; i < d->n_formats; i++) {
		const struct desc_format *g = &d->formats[i];

		if (!desc_format_same(g, f))
			continue;
		if (g->number == f->number)
			return g;
		if (!found)
			found = g;
	}
	return found;
}

static const struct desc_format *other_half(const struct desc *d, bool alaw)
{
	bool is;

	for (size_t i = 0; i < d->n_formats; i++)
		if (desc_format_g711(&d->formats[i], &is) && is != alaw)
			return &d->formats[i];
	return NULL;
}

/* What `f`, when it bears `number`, becomes. False: `wanted` has nothing like it. */
static bool pair_of(struct flow_payload *out, const struct desc *wanted,
		    const struct desc_format *f, uint8_t number)
{
	const struct desc_format *g = counterpart(wanted, f);
	bool alaw;

	*out = (struct flow_payload){ .in = number };
	if (!g && desc_format_g711(f, &alaw)) {
		g = other_half(wanted, alaw);
		out->g711 = alaw ? FLOW_TO_ULAW : FLOW_TO_ALAW;
	}
	if (g)
		out->out = g->number;
	return g;
}

/* `both`: those that the leg names, too, and for them there must be room. */
static int add_told(struct flow_payloads *out, const struct desc *told, const struct desc *said,
		    const struct desc *wanted, bool both)
{
	struct flow_payload pair;

	for (size_t i = 0; i < told->n_formats; i++) {
		const struct desc_format *f = &told->formats[i];
		bool named = !said || counterpart(said, f);

		if (named != both || !pair_of(&pair, wanted, f, f->number))
			continue;
		if (add(out, pair))
			return both ? -ENOSPC : 0;
	}
	return 0;
}

/* A number that was told means what was told, whatever the leg itself calls by it. */
static void add_own(struct flow_payloads *out, const struct desc *told, const struct desc *said,
		    const struct desc *wanted)
{
	struct flow_payload pair;

	for (size_t i = 0; i < said->n_formats; i++) {
		const struct desc_format *f = &said->formats[i];
		const struct desc_format *known = counterpart(told, f);

		if (known && !desc_has_number(told, f->number) &&
		    pair_of(&pair, wanted, known, f->number))
			add(out, pair);
	}
}

/* Of the first that is no telephone-event or the like, and that both name. */
static uint32_t clock_of(const struct desc *told, const struct desc *said)
{
	for (size_t i = 0; i < told->n_formats; i++)
		if (!desc_format_auxiliary(&told->formats[i]) &&
		    (!said || counterpart(said, &told->formats[i])))
			return told->formats[i].rate;
	return 0;
}

int desc_payloads(struct flow_payloads *out, const struct desc *told, const struct desc *said,
		  const struct desc *wanted)
{
	struct flow_payloads p = *out;
	int err = add_told(&p, told, said, wanted, true);

	if (err)
		return err;
	if (said)
		add_own(&p, told, said, wanted);
	add_told(&p, told, said, wanted, false);
	if (!p.clock_rate)
		p.clock_rate = clock_of(told, said);
	*out = p;
	return 0;
}

int desc_payloads_join(struct flow_payloads *out, const struct flow_payloads *more)
{
	struct flow_payloads p = *out;

	for (size_t i = 0; i < more->n; i++)
		if (add(&p, more->pair[i]))
			return -ENOSPC;
	*out = p;
	return 0;
}
