// SPDX-License-Identifier: GPL-2.0-or-later
/* What two descriptions have in common, and what direction and hold mean. */
#include "media/desc_priv.h"

#include <string.h>

bool desc_holds(const struct desc_audio *audio)
{
	return audio->direction == DIR_SENDONLY || audio->direction == DIR_INACTIVE ||
	       addr_is_any(&audio->rtp);
}

enum direction desc_direction_out(const struct desc_audio *audio)
{
	if (!addr_is_any(&audio->rtp))
		return audio->direction;
	return audio->direction == DIR_SENDRECV || audio->direction == DIR_SENDONLY ? DIR_SENDONLY :
										      DIR_INACTIVE;
}

enum direction direction_reverse(enum direction d)
{
	return d == DIR_SENDONLY ? DIR_RECVONLY : d == DIR_RECVONLY ? DIR_SENDONLY : d;
}

/* Lines that say nothing of their own: RFC 3264 8 leaves `o=` out; `s=` and `t=` are the session's
 * name and time; what is in force by c= and the direction is compared per m= line. */
static bool compared(const struct desc_line *line, bool keys)
{
	enum direction d;

	if (!keys && desc_attribute(line, "crypto", NULL))
		return false;
	return line->type != 'o' && line->type != 's' && line->type != 't' && line->type != 'c' &&
	       !desc_is_direction(line, &d);
}

static bool bytes_same(struct slice a, struct slice b)
{
	return a.len == b.len && (!a.len || memcmp(a.p, b.p, a.len) == 0);
}

static const struct desc_line *next_compared(const struct desc *d, size_t *i, size_t end, bool keys)
{
	while (*i < end && !compared(&d->lines[*i], keys))
		(*i)++;
	return *i < end ? &d->lines[(*i)++] : NULL;
}

struct range {
	size_t first, end;
};

static bool lines_same(const struct desc *a, struct range in_a, const struct desc *b,
		       struct range in_b, bool keys)
{
	const struct desc_line *x, *y;

	do {
		x = next_compared(a, &in_a.first, in_a.end, keys);
		y = next_compared(b, &in_b.first, in_b.end, keys);
		if (!x || !y)
			return x == y;
	} while (x->type == y->type && bytes_same(x->value, y->value));
	return false;
}

static bool connections_same(struct slice a, struct slice b)
{
	struct addr x, y;

	if (desc_address(&x, a) || desc_address(&y, b))
		return desc_slice_same(a, b);
	return addr_same_ip(&x, &y);
}

static bool formats_same(struct slice a, struct slice b)
{
	struct slice x, y;

	do {
		x = desc_word(&a);
		y = desc_word(&b);
	} while (x.len && bytes_same(x, y));
	return !x.len && !y.len;
}

static bool media_same(const struct desc_media *a, const struct desc_media *b)
{
	return desc_slice_same(a->kind, b->kind) && desc_slice_same(a->proto, b->proto) &&
	       a->port == b->port && formats_same(a->formats, b->formats) &&
	       connections_same(a->connection, b->connection) && a->direction == b->direction;
}

bool desc_still_true(const struct desc *told, const struct desc *said)
{
	if (!addr_equal(&told->audio.rtp, &said->audio.rtp) ||
	    !addr_equal(&told->audio.rtcp, &said->audio.rtcp))
		return false;
	for (size_t i = 0; i < told->n_formats; i++)
		if (!desc_has_number(said, told->formats[i].number))
			return false;
	return true;
}

static bool equal(const struct desc *a, const struct desc *b, bool keys)
{
	struct range session_a = { 0, a->session_end }, session_b = { 0, b->session_end };

	if (a->n_media != b->n_media || !lines_same(a, session_a, b, session_b, keys))
		return false;
	for (size_t i = 0; i < a->n_media; i++) {
		const struct desc_media *x = &a->media[i], *y = &b->media[i];

		struct range in_a = { x->first, x->end }, in_b = { y->first, y->end };

		if (!media_same(x, y) || !lines_same(a, in_a, b, in_b, keys))
			return false;
	}
	return true;
}

bool desc_equal(const struct desc *a, const struct desc *b)
{
	return equal(a, b, true);
}

bool desc_equal_but_keys(const struct desc *a, const struct desc *b)
{
	return equal(a, b, false);
}
