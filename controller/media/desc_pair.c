// SPDX-License-Identifier: GPL-2.0-or-later
/* What two descriptions say together. */
#include "media/desc_facts.h"
#include "media/desc_priv.h"

/* What a=NAME:NUMBER says of a payload number; empty where nothing does. */
static struct slice parameters(const struct desc *d, const struct desc_format *f)
{
	const struct desc_media *m = &d->media[d->audio.index];
	struct slice value;
	unsigned long number;

	for (size_t i = m->first; i < m->end; i++)
		if (desc_attribute(&d->lines[i], "fmtp", &value) &&
		    desc_number(&number, desc_word(&value), DESC_PAYLOADS - 1) == 0 &&
		    number == f->number)
			return value;
	return (struct slice){ "", 0 };
}

/* The next parameter of a list cut at ';', without blanks around it; empty at the end. */
static struct slice next_parameter(struct slice *rest)
{
	struct slice item = { "", 0 };

	while (rest->len && !item.len) {
		item = desc_until(rest, ';');
		while (item.len && (*item.p == ' ' || *item.p == '\t')) {
			item.p++;
			item.len--;
		}
		while (item.len && (item.p[item.len - 1] == ' ' || item.p[item.len - 1] == '\t'))
			item.len--;
	}
	return item;
}

static bool has_parameter(struct slice list, struct slice wanted)
{
	struct slice item;

	while ((item = next_parameter(&list)).len)
		if (desc_slice_same(item, wanted))
			return true;
	return false;
}

static bool within(struct slice some, struct slice all)
{
	struct slice item;

	while ((item = next_parameter(&some)).len)
		if (!has_parameter(all, item))
			return false;
	return true;
}

/* Longer lists are compared as they stand: what a stranger writes must not cost its square. */
enum { PARAMETERS_MAX = 256 };

/* In any order. */
static bool parameters_same(struct slice a, struct slice b)
{
	if (a.len > PARAMETERS_MAX || b.len > PARAMETERS_MAX)
		return desc_slice_same(a, b);
	return within(a, b) && within(b, a);
}

static bool is_events(const struct desc_format *f)
{
	return slice_is(f->encoding, "telephone-event");
}

/* Both names and clocks; where a number has no name, the number. */
static bool same_codec(const struct desc_format *a, const struct desc_format *b)
{
	if (!a->encoding.len && !b->encoding.len)
		return a->number == b->number;
	return desc_slice_same(a->encoding, b->encoding) && a->rate == b->rate &&
	       a->channels == b->channels;
}

/* The format of `d` that is the same codec, of several the one that is most like `f`. */
static const struct desc_format *counterpart(const struct desc *d, const struct desc *of,
					     const struct desc_format *f)
{
	const struct desc_format *found = NULL;
	struct slice wanted = parameters(of, f);

	for (size_t i = 0; i < d->n_formats; i++) {
		const struct desc_format *g = &d->formats[i];

		if (!same_codec(f, g))
			continue;
		if (!found || (g->number == f->number && found->number != f->number))
			found = g;
		if (g->number == f->number && parameters_same(parameters(d, g), wanted))
			return g;
	}
	return found;
}

/* RFC 4733 2.4.1: "0-15,66,70"; nothing written is 0-15. The bits of the digits, 0 to 15, alone:
 * all else is no key of a phone. */
static unsigned int digits(struct slice list)
{
	unsigned int mask = 0;

	while (list.len) {
		struct slice range = desc_until(&list, ',');
		struct slice low = desc_until(&range, '-');
		unsigned long from, to;

		if (desc_number(&from, desc_word(&low), 255))
			continue;
		if (desc_number(&to, desc_word(&range), 255))
			to = from;
		for (unsigned long digit = from; digit <= to && digit < 16; digit++)
			mask |= 1u << digit;
	}
	return mask ? mask : 0xffff;
}

static void compare_events(const struct desc *a, const struct desc *b, struct desc_pair *out)
{
	bool met = false, named[2] = { false, false };

	for (size_t i = 0; i < a->n_formats; i++) {
		const struct desc_format *f = &a->formats[i], *g;

		if (!is_events(f))
			continue;
		named[0] = true;
		g = counterpart(b, a, f);
		if (!g)
			continue;
		met = true;
		out->events_differ |= f->number != g->number ||
				      digits(parameters(a, f)) != digits(parameters(b, g));
	}
	for (size_t i = 0; i < b->n_formats; i++)
		named[1] |= is_events(&b->formats[i]);
	out->events_differ |= named[0] != named[1] || (named[0] && !met);
}

static size_t count_codecs(const struct desc *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_formats; i++)
		n += !desc_format_auxiliary(&d->formats[i]);
	return n;
}

static bool name_in_common(const struct desc *a, const struct desc *b)
{
	for (size_t i = 0; i < a->n_formats; i++)
		for (size_t j = 0; j < b->n_formats; j++)
			if (!desc_format_auxiliary(&a->formats[i]) && a->formats[i].encoding.len &&
			    desc_slice_same(a->formats[i].encoding, b->formats[j].encoding))
				return true;
	return false;
}

/* RFC 3551 4.5, RFC 3952 5: what is sent 20 ms at a time, and what is not. */
static unsigned int usual_ptime(const struct desc *d, const struct desc_format *f)
{
	struct slice mode = { "mode=20", 7 };

	if (!f)
		return 20;
	if (slice_is(f->encoding, "G723"))
		return 30;
	if (slice_is(f->encoding, "iLBC"))
		return has_parameter(parameters(d, f), mode) ? 20 : 30;
	return 20;
}

static unsigned int ptime_of(const struct desc *d, const struct desc_format *in_use)
{
	const struct desc_media *m = &d->media[d->audio.index];
	unsigned int usual = usual_ptime(d, in_use);
	struct slice value;
	unsigned long ms;

	for (size_t i = m->first; i < m->end; i++) {
		if (desc_attribute(&d->lines[i], "ptime", &value) &&
		    desc_number(&ms, desc_word(&value), 1000) == 0 && ms)
			return (unsigned int)ms;
		if (desc_attribute(&d->lines[i], "maxptime", &value) &&
		    desc_number(&ms, desc_word(&value), 1000) == 0 && ms && ms < usual)
			usual = (unsigned int)ms;
	}
	return usual;
}

/* The one with fewer codecs answers the other, or has dropped some since: what it names is what is
 * in use. */
static void compare_codecs(const struct desc *few, const struct desc *many, struct desc_pair *out,
			   const struct desc_format *in_use[2])
{
	for (size_t i = 0; i < few->n_formats; i++) {
		const struct desc_format *f = &few->formats[i], *g;

		if (desc_format_auxiliary(f))
			continue;
		g = counterpart(many, few, f);
		if (!g)
			continue;
		out->numbers_differ |= f->number != g->number;
		out->parameters_differ |= !parameters_same(parameters(few, f), parameters(many, g));
		if (in_use[0])
			continue;
		in_use[0] = f;
		in_use[1] = g;
	}
	if (in_use[0])
		return;
	if (name_in_common(few, many))
		out->parameters_differ = true;
	else
		out->no_codec = true;
}

void desc_compare(const struct desc *a, const struct desc *b, struct desc_pair *out)
{
	const struct desc_format *in_use[2] = { NULL, NULL };
	bool turned = count_codecs(a) > count_codecs(b);

	*out = (struct desc_pair){ .ptime_ms = { 20, 20 } };
	if (!a->has_audio || !b->has_audio) {
		out->no_codec = true;
		return;
	}
	compare_codecs(turned ? b : a, turned ? a : b, out, in_use);
	compare_events(a, b, out);
	out->ptime_ms[0] = ptime_of(a, in_use[turned]);
	out->ptime_ms[1] = ptime_of(b, in_use[!turned]);
}
