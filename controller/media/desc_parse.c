// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text in, description out. Each step walks the text or the lines once, and the bytes are limited
 * first, so that the work and the memory are.
 */
#include "media/desc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char **why, int err, const char *text)
{
	if (why)
		*why = text;
	return err;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* One line without its LF. A CR within it would be a line end to others: what we pass on must mean
 * the same to everybody. */
static int read_line(struct desc *d, struct slice line, const char **why)
{
	while (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	if (!line.len)
		return 0;
	if (line.len < 2 || line.p[0] < 'a' || line.p[0] > 'z' || line.p[1] != '=')
		return fail(why, -EBADMSG, "a line is not TYPE=VALUE");
	if (memchr(line.p, '\r', line.len))
		return fail(why, -EBADMSG, "a CR within a line");
	d->lines[d->n_lines++] = (struct desc_line){ line.p[0], { line.p + 2, line.len - 2 } };
	return 0;
}

static int read_lines(struct desc *d, size_t len, const char **why)
{
	struct slice rest = { d->text, len };
	int err = 0;

	d->lines = calloc(count_lines(d->text, len), sizeof(*d->lines));
	if (!d->lines)
		return fail(why, -ENOMEM, "no memory");
	while (rest.len && !err)
		err = read_line(d, desc_until(&rest, '\n'), why);
	if (err)
		return err;
	if (!d->n_lines || d->lines[0].type != 'v' || !slice_is(d->lines[0].value, "0"))
		return fail(why, -EBADMSG, "the first line is not v=0");
	return 0;
}

/* "audio 49170/2 RTP/AVP 0 8": kind, port with an optional count, profile, formats. */
static int read_media(struct desc_media *m, struct slice value, const char **why)
{
	struct slice port;
	unsigned long number;

	m->kind = desc_word(&value);
	port = desc_word(&value);
	m->proto = desc_word(&value);
	if (!m->proto.len || desc_number(&number, desc_until(&port, '/'), UINT16_MAX))
		return fail(why, -EBADMSG, "an m= line is not KIND PORT PROTO FORMATS");
	m->port = (uint16_t)number;
	m->formats = value;
	return 0;
}

/* Cuts the lines into the session's and each m= line's. */
static int cut_media(struct desc *d, const char **why)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_lines; i++)
		n += d->lines[i].type == 'm';
	if (n > DESC_MAX_MEDIA)
		return fail(why, -E2BIG, "too many m= lines");
	d->media = calloc(n ? n : 1, sizeof(*d->media));
	if (!d->media)
		return fail(why, -ENOMEM, "no memory");
	d->session_end = d->n_lines;
	for (size_t i = 0; i < d->n_lines; i++) {
		struct desc_media *m = &d->media[d->n_media];

		if (d->lines[i].type != 'm')
			continue;
		if (read_media(m, d->lines[i].value, why))
			return -EBADMSG;
		if (d->n_media)
			m[-1].end = i;
		else
			d->session_end = i;
		m->first = i + 1;
		m->end = d->n_lines;
		d->n_media++;
	}
	return 0;
}

/* The first c= and the last direction among the lines, where there are. */
static void read_level(const struct desc *d, size_t first, size_t end, struct desc_media *m)
{
	bool connected = false;

	for (size_t i = first; i < end; i++) {
		if (d->lines[i].type == 'c' && !connected) {
			m->connection = d->lines[i].value;
			connected = true;
		}
		desc_is_direction(&d->lines[i], &m->direction);
	}
}

static void read_levels(struct desc *d)
{
	struct desc_media session = { .direction = DIR_SENDRECV };

	read_level(d, 0, d->session_end, &session);
	for (size_t i = 0; i < d->n_media; i++) {
		d->media[i].connection = session.connection;
		d->media[i].direction = session.direction;
		read_level(d, d->media[i].first, d->media[i].end, &d->media[i]);
	}
}

static int parse(struct desc *d, const char *text, size_t len, const char **why)
{
	int err;

	d->text = malloc(len);
	if (!d->text)
		return fail(why, -ENOMEM, "no memory");
	memcpy(d->text, text, len);
	d->len = len;
	err = read_lines(d, len, why);
	if (!err)
		err = cut_media(d, why);
	if (err)
		return err;
	read_levels(d);
	return desc_lines_read(d) ? fail(why, -ENOMEM, "no memory") : 0;
}

int desc_parse(struct desc **out, const char *text, size_t len, const char **why)
{
	struct desc *d;
	int err;

	if (len > DESC_MAX_BYTES)
		return fail(why, -E2BIG, "too many bytes");
	if (!len)
		return fail(why, -EBADMSG, "empty");
	if (memchr(text, '\0', len))
		return fail(why, -EBADMSG, "a NUL byte");
	d = calloc(1, sizeof(*d));
	if (!d)
		return fail(why, -ENOMEM, "no memory");
	err = parse(d, text, len, why);
	if (err) {
		desc_free(d);
		return err;
	}
	*out = d;
	return 0;
}

void desc_free(struct desc *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_media; i++)
		free(d->media[i].list);
	free(d->media);
	free(d->lines);
	if (d->text)
		explicit_bzero(d->text, d->len);
	free(d->text);
	free(d);
}

size_t desc_media_count(const struct desc *d)
{
	return d->n_media;
}
