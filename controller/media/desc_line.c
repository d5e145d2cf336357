// SPDX-License-Identifier: GPL-2.0-or-later
/* The m= lines of a description: which can be relayed, what they carry, and where it is wanted. */
#include "media/desc_priv.h"

#include <errno.h>
#include <string.h>

/* RFC 8840 4.1.1: no address is known before ICE has found one. */
#define ICE_PORT 9

/* How many a=crypto of an m= line are read; the rest is as if it was not there. */
enum { CRYPTO_LINES_MAX = 32 };

enum desc_kind desc_kind_of(const struct desc_media *m)
{
	if (slice_is(m->kind, "audio"))
		return DESC_KIND_AUDIO;
	if (slice_is(m->kind, "video"))
		return DESC_KIND_VIDEO;
	return slice_is(m->kind, "image") ? DESC_KIND_IMAGE : DESC_KIND_OTHER;
}

static bool content_of(const struct desc_media *m, enum content *out)
{
	static const struct {
		const char *proto;
		enum content content;
	} profiles[] = {
		{ "RTP/AVP", CONTENT_RTP },
		{ "RTP/AVPF", CONTENT_RTP },
		{ "RTP/SAVP", CONTENT_SRTP },
		{ "RTP/SAVPF", CONTENT_SRTP },
		{ "UDP/TLS/RTP/SAVP", CONTENT_DTLS },
		{ "UDP/TLS/RTP/SAVPF", CONTENT_DTLS },
		{ "udptl", CONTENT_UDPTL },
	};

	for (size_t i = 0; i < sizeof(profiles) / sizeof(*profiles); i++) {
		if (!slice_is(m->proto, profiles[i].proto))
			continue;
		*out = profiles[i].content;
		return true;
	}
	return false;
}

bool content_opaque(enum content content, bool keys_pass)
{
	return content != CONTENT_RTP && (content != CONTENT_SRTP || keys_pass);
}

static bool unicast(const struct addr *a)
{
	if (a->family == AF_INET6)
		return !IN6_IS_ADDR_MULTICAST(&a->v6);
	return !IN_MULTICAST(ntohl(a->v4.s_addr)) && a->v4.s_addr != htonl(INADDR_BROADCAST);
}

static bool can_be_relayed(const struct desc_media *m, struct desc_audio *line)
{
	bool image;

	line->kind = desc_kind_of(m);
	if (!m->port || line->kind == DESC_KIND_OTHER || !content_of(m, &line->content))
		return false;
	image = line->kind == DESC_KIND_IMAGE;
	if (image != (line->content == CONTENT_UDPTL))
		return false;
	if (!m->connection.p || desc_address(&line->rtp, m->connection) || !unicast(&line->rtp))
		return false;
	if (line->content == CONTENT_DTLS && addr_is_any(&line->rtp) && m->port == ICE_PORT)
		return false;
	line->rtp.port = m->port;
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

static void name_codec(struct desc_audio *line, const struct desc_media *m)
{
	for (size_t i = 0; i < m->n_list; i++) {
		const struct desc_format *f = &m->list[i];
		size_t n = f->encoding.len;

		if (desc_format_auxiliary(f))
			continue;
		if (n >= sizeof(line->codec))
			n = sizeof(line->codec) - 1;
		memcpy(line->codec, f->encoding.p, n);
		line->clock_rate = f->rate;
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

static void find_event(struct desc_audio *line, const struct desc_media *m)
{
	for (size_t i = 0; i < m->n_list; i++)
		if (slice_is(m->list[i].encoding, "telephone-event"))
			line->event = m->list[i].number;
}

/* Of one that can be relayed. */
static int read_line(const struct desc *d, struct desc_media *m)
{
	m->relayed = true;
	m->line.direction = m->direction;
	m->line.secure = m->line.content == CONTENT_SRTP;
	if (m->line.content == CONTENT_UDPTL) {
		strcpy(m->line.codec, "T38");
		return 0;
	}
	if (desc_formats_read(d, m))
		return -ENOMEM;
	m->line.rtcp = rtcp_of(d, m, &m->line.rtp);
	name_codec(&m->line, m);
	find_event(&m->line, m);
	m->line.mux = has_attribute(d, m, "rtcp-mux");
	return 0;
}

static void choose(struct desc *d, unsigned int index)
{
	struct desc_media *m = &d->media[index];

	d->has_audio = true;
	d->audio = m->line;
	d->formats = m->list;
	d->n_formats = m->n_list;
}

/* The less, the rather is it the main line. */
static unsigned int rank(const struct desc_audio *line)
{
	if (line->kind != DESC_KIND_AUDIO)
		return 2;
	return line->content == CONTENT_RTP ? 0 : 1;
}

static void choose_best(struct desc *d)
{
	for (unsigned int i = 0; i < d->n_media; i++)
		if (d->media[i].relayed &&
		    (!d->has_audio || rank(&d->media[i].line) < rank(&d->audio)))
			choose(d, i);
}

int desc_lines_read(struct desc *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_media && n < DESC_RELAYED; i++) {
		struct desc_media *m = &d->media[i];

		if (!can_be_relayed(m, &m->line))
			continue;
		m->line.index = i;
		if (read_line(d, m))
			return -ENOMEM;
		n++;
	}
	choose_best(d);
	return 0;
}

bool desc_relays(const struct desc *d, size_t index)
{
	return index < d->n_media && d->media[index].relayed;
}

bool desc_same_content(const struct desc *a, const struct desc *b, size_t index, bool keys_pass)
{
	const struct desc_audio *x, *y;

	if (!desc_relays(a, index) || !desc_relays(b, index))
		return false;
	x = &a->media[index].line;
	y = &b->media[index].line;
	if (x->kind != y->kind)
		return false;
	return x->content == y->content || (!content_opaque(x->content, keys_pass) &&
					    !content_opaque(y->content, keys_pass));
}

struct desc desc_view(const struct desc *d, unsigned int index)
{
	struct desc view = *d;

	choose(&view, index);
	return view;
}

int desc_audio(const struct desc *d, struct desc_audio *out)
{
	if (!d->has_audio)
		return -ENOENT;
	*out = d->audio;
	return 0;
}

int desc_line(const struct desc *d, unsigned int index, struct desc_audio *out)
{
	if (!desc_relays(d, index))
		return -ENOENT;
	*out = d->media[index].line;
	return 0;
}

void desc_prefer_secure(struct desc *d)
{
	for (unsigned int i = 0; i < d->n_media; i++) {
		const struct desc_audio *line = &d->media[i].line;

		if (!desc_relays(d, i) || line->kind != DESC_KIND_AUDIO || !line->secure)
			continue;
		choose(d, i);
		return;
	}
}

void desc_pass_over(struct desc *d, unsigned int index)
{
	d->media[index].relayed = false;
}

/* The next a=crypto of that line from d->lines[*at] on. False: there is none. */
static bool next_crypto(const struct desc *d, const struct desc_media *m, size_t *at,
			struct slice *value)
{
	while (*at < m->end)
		if (desc_attribute(&d->lines[(*at)++], "crypto", value))
			return true;
	return false;
}

/* Another one of the same tag and suite has another key: an answer would not say which of them it
 * takes (tags are unique, RFC 4568 5.1). */
static bool is_ambiguous(const struct desc *d, const struct desc_media *m,
			 const struct crypto_line *line)
{
	struct crypto_line other;
	struct slice value;
	size_t at = m->first;
	bool found = false;

	for (int n = 0; !found && n < CRYPTO_LINES_MAX && next_crypto(d, m, &at, &value); n++)
		found = crypto_parse(&other, value) == 0 && other.tag == line->tag &&
			other.crypt.suite == line->crypt.suite &&
			memcmp(other.crypt.key, line->crypt.key, sizeof(other.crypt.key)) != 0;
	explicit_bzero(&other, sizeof(other));
	return found;
}

int desc_crypto(const struct desc *d, unsigned int index, struct crypto_line *out)
{
	const struct desc_media *m = desc_relays(d, index) ? &d->media[index] : NULL;
	struct slice value;
	size_t at = m ? m->first : 0;
	int err = -ENOENT;

	for (int n = 0; m && n < CRYPTO_LINES_MAX && next_crypto(d, m, &at, &value); n++) {
		err = crypto_parse(out, value) || is_ambiguous(d, m, out) ? -ENOTSUP : 0;
		if (!err)
			return 0;
	}
	explicit_bzero(out, sizeof(*out));
	return err;
}

bool desc_has_crypto(const struct desc *d, unsigned int index, uint32_t tag, uint8_t suite)
{
	const struct desc_media *m = desc_relays(d, index) ? &d->media[index] : NULL;
	struct crypto_line line;
	struct slice value;
	size_t at = m ? m->first : 0;
	bool found = false;

	while (!found && m && next_crypto(d, m, &at, &value))
		found = crypto_parse(&line, value) == 0 && line.tag == tag &&
			line.crypt.suite == suite;
	explicit_bzero(&line, sizeof(line));
	return found;
}

int desc_agree(struct desc *a, struct desc *b)
{
	unsigned int best = DESC_MAX_MEDIA;

	for (unsigned int i = 0; i < a->n_media; i++) {
		bool audio = a->media[i].line.kind == DESC_KIND_AUDIO;

		if (!desc_same_content(a, b, i, false))
			continue;
		if (best == DESC_MAX_MEDIA ||
		    (audio && a->media[best].line.kind != DESC_KIND_AUDIO))
			best = i;
	}
	if (best == DESC_MAX_MEDIA)
		return -ENOENT;
	choose(a, best);
	choose(b, best);
	return 0;
}
