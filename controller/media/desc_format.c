// SPDX-License-Identifier: GPL-2.0-or-later
/* What the payload numbers of a relayed line mean: a=rtpmap, else the static table. */
#include "media/desc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct static_format {
	const char *encoding;
	uint32_t rate;
	uint32_t channels;
};

/* RFC 3551 6, table 4. */
static const struct static_format static_formats[] = {
	[0] = { "PCMU", 8000, 1 },
	[3] = { "GSM", 8000, 1 },
	[4] = { "G723", 8000, 1 },
	[5] = { "DVI4", 8000, 1 },
	[6] = { "DVI4", 16000, 1 },
	[7] = { "LPC", 8000, 1 },
	[8] = { "PCMA", 8000, 1 },
	[9] = { "G722", 8000, 1 },
	[10] = { "L16", 44100, 2 },
	[11] = { "L16", 44100, 1 },
	[12] = { "QCELP", 8000, 1 },
	[13] = { "CN", 8000, 1 },
	[14] = { "MPA", 90000, 1 },
	[15] = { "G728", 8000, 1 },
	[16] = { "DVI4", 11025, 1 },
	[17] = { "DVI4", 22050, 1 },
	[18] = { "G729", 8000, 1 },
};

struct desc_format desc_format_static(uint8_t number)
{
	struct desc_format f = { .number = number, .encoding = { "", 0 }, .channels = 1 };
	const struct static_format *known;

	if (number >= sizeof(static_formats) / sizeof(*static_formats))
		return f;
	known = &static_formats[number];
	if (!known->encoding)
		return f;
	f.encoding = (struct slice){ known->encoding, strlen(known->encoding) };
	f.rate = known->rate;
	f.channels = known->channels;
	return f;
}

/* "101 telephone-event/8000", "96 opus/48000/2" (RFC 8866 6.6). */
static void read_rtpmap(struct desc_format *f, struct slice rest)
{
	struct slice encoding = desc_until(&rest, '/');
	unsigned long number;

	if (!encoding.len)
		return;
	f->encoding = encoding;
	f->rate = 0;
	f->channels = 1;
	if (desc_number(&number, desc_until(&rest, '/'), UINT32_MAX) == 0)
		f->rate = (uint32_t)number;
	if (desc_number(&number, rest, UINT32_MAX) == 0)
		f->channels = (uint32_t)number;
}

/* Where in d->formats each number of the list is; -1: it is not there. What is no payload number,
 * or is one again, is left out. */
static size_t list_numbers(struct desc_format *formats, int8_t at[DESC_PAYLOADS], struct slice list)
{
	struct slice word;
	unsigned long number;
	size_t n = 0;

	memset(at, -1, DESC_PAYLOADS);
	while ((word = desc_word(&list)).len) {
		if (desc_number(&number, word, DESC_PAYLOADS - 1) || at[number] >= 0)
			continue;
		at[number] = (int8_t)n;
		formats[n++] = desc_format_static((uint8_t)number);
	}
	return n;
}

int desc_formats_read(const struct desc *d, struct desc_media *m)
{
	struct desc_format found[DESC_PAYLOADS];
	bool mapped[DESC_PAYLOADS] = { false };
	int8_t at[DESC_PAYLOADS];
	size_t n = list_numbers(found, at, m->formats);
	struct slice value;
	unsigned long number;

	for (size_t i = m->first; i < m->end; i++) {
		if (!desc_attribute(&d->lines[i], "rtpmap", &value) ||
		    desc_number(&number, desc_word(&value), DESC_PAYLOADS - 1) ||
		    at[number] < 0 || mapped[number])
			continue;
		mapped[number] = true;
		read_rtpmap(&found[at[number]], desc_word(&value));
	}
	m->list = calloc(n ? n : 1, sizeof(*found));
	if (!m->list)
		return -ENOMEM;
	memcpy(m->list, found, n * sizeof(*found));
	m->n_list = n;
	return 0;
}

bool desc_format_auxiliary(const struct desc_format *f)
{
	return slice_is(f->encoding, "telephone-event") || slice_is(f->encoding, "CN");
}

static bool same_encoding(const struct desc_format *a, const struct desc_format *b)
{
	return desc_slice_same(a->encoding, b->encoding) && a->rate == b->rate &&
	       a->channels == b->channels;
}

bool desc_format_same(const struct desc_format *f, const struct desc_format *g)
{
	if (f->encoding.len && g->encoding.len)
		return same_encoding(f, g);
	return f->number == g->number;
}

bool desc_has_number(const struct desc *d, uint8_t number)
{
	for (size_t i = 0; i < d->n_formats; i++)
		if (d->formats[i].number == number)
			return true;
	return false;
}

bool desc_format_answers(const struct desc_format *f, const struct desc *offer)
{
	for (size_t i = 0; i < offer->n_formats; i++)
		if (desc_format_same(f, &offer->formats[i]))
			return true;
	return false;
}

bool desc_format_g711(const struct desc_format *f, bool *alaw)
{
	*alaw = slice_is(f->encoding, "PCMA");
	return (*alaw || slice_is(f->encoding, "PCMU")) && f->rate == 8000 && f->channels == 1;
}

bool desc_takes(const struct desc *d, const char *encoding)
{
	for (size_t i = 0; i < d->n_formats; i++)
		if (slice_is(d->formats[i].encoding, encoding))
			return true;
	return false;
}

int desc_g711(const struct desc *d, const struct desc *told, uint8_t *number, bool *alaw)
{
	for (size_t i = 0; i < d->n_formats; i++) {
		const struct desc_format *f = &d->formats[i];

		if (!desc_format_g711(f, alaw) || !desc_format_answers(f, told))
			continue;
		*number = f->number;
		return 0;
	}
	return -ENOENT;
}
