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

static bool unicast(const struct addr *a)
{
	if (a->family == AF_INET6)
		return !IN6_IS_ADDR_MULTICAST(&a->v6);
	return !IN_MULTICAST(ntohl(a->v4.s_addr)) && a->v4.s_addr != htonl(INADDR_BROADCAST);
}

static bool has_profile(const struct desc_media *m, bool secure)
{
	if (secure)
		return slice_is(m->proto, "RTP/SAVP") || slice_is(m->proto, "RTP/SAVPF");
	return slice_is(m->proto, "RTP/AVP") || slice_is(m->proto, "RTP/AVPF");
}

static bool relayable(const struct desc_media *m, bool secure, struct addr *rtp)
{
	if (!slice_is(m->kind, "audio") || !m->port || !has_profile(m, secure))
		return false;
	if (!m->connection.p || desc_address(rtp, m->connection) || !unicast(rtp))
		return false;
	rtp->port = m->port;
	return true;
}

/* RFC 3605: "a=rtcp:53020" or "a=rtcp:53020 IN IP4 126.16.64.4"; else the port above. */
static struct addr rtcp_of(const struct desc *d, const struct desc_media *m, const struct addr *rtp)
{
	struct addr rtcp = addr_with_port(rtp, rtp->port == UINT16_MAX ? 0 : rtp->port + 1);
	struct addr other;
	struct slice value;
	unsigned long port;

	for (size_t i = m->first; i < m->end; i++) {
		if (!desc_attribute(&d->lines[i], "rtcp", &value))
			continue;
		if (desc_number(&port, desc_word(&value), UINT16_MAX) || !port)
			continue;
		rtcp.port = (uint16_t)port;
		if (desc_address(&other, value) == 0 && unicast(&other))
			rtcp = addr_with_port(&other, rtcp.port);
		break;
	}
	return rtcp;
}

static void name_codec(struct desc *d)
{
	for (size_t i = 0; i < d->n_formats; i++) {
		const struct desc_format *f = &d->formats[i];
		size_t n = f->encoding.len;

		if (desc_format_auxiliary(f))
			continue;
		if (n >= sizeof(d->audio.codec))
			n = sizeof(d->audio.codec) - 1;
		memcpy(d->audio.codec, f->encoding.p, n);
		d->audio.clock_rate = f->rate;
		return;
	}
}

static bool has_attribute(const struct desc *d, const struct desc_media *m, const char *name)
{
	for (size_t i = m->first; i < m->end; i++)
		if (desc_attribute(&d->lines[i], name, NULL))
			return true;
	return false;
}

static void find_event(struct desc *d)
{
	for (size_t i = 0; i < d->n_formats; i++)
		if (slice_is(d->formats[i].encoding, "telephone-event"))
			d->audio.event = d->formats[i].number;
}

/* -ENOENT: there is none of such a profile. */
static int pick_audio(struct desc *d, bool secure)
{
	struct addr rtp = { 0 };
	size_t i = 0;

	while (i < d->n_media && !relayable(&d->media[i], secure, &rtp))
		i++;
	if (i == d->n_media)
		return -ENOENT;
	if (desc_formats_read(d, &d->media[i]))
		return -ENOMEM;
	d->has_audio = true;
	d->audio = (struct desc_audio){ .index = (unsigned int)i, .secure = secure };
	d->audio.rtp = rtp;
	d->audio.rtcp = rtcp_of(d, &d->media[i], &rtp);
	d->audio.direction = d->media[i].direction;
	name_codec(d);
	find_event(d);
	d->audio.mux = has_attribute(d, &d->media[i], "rtcp-mux");
	return 0;
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
	err = pick_audio(d, false);
	if (err == -ENOENT)
		err = pick_audio(d, true);
	return err == -ENOMEM ? fail(why, err, "no memory") : 0;
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
	free(d->formats);
	free(d->media);
	free(d->lines);
	if (d->text)
		explicit_bzero(d->text, d->len);
	free(d->text);
	free(d);
}

int desc_audio(const struct desc *d, struct desc_audio *out)
{
	if (!d->has_audio)
		return -ENOENT;
	*out = d->audio;
	return 0;
}

int desc_prefer_secure(struct desc *d)
{
	int err = d->has_audio && d->audio.secure ? 0 : pick_audio(d, true);

	return err == -ENOENT ? 0 : err;
}

int desc_crypto(const struct desc *d, struct crypto_line *out)
{
	const struct desc_media *m = d->has_audio ? &d->media[d->audio.index] : NULL;
	struct slice value;
	int err = -ENOENT;

	for (size_t i = m ? m->first : 0; m && i < m->end; i++) {
		if (!desc_attribute(&d->lines[i], "crypto", &value))
			continue;
		err = crypto_parse(out, value) ? -ENOTSUP : 0;
		if (!err)
			break;
	}
	return err;
}

size_t desc_media_count(const struct desc *d)
{
	return d->n_media;
}
