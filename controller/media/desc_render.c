// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Description in, text out, re-addressed to the relay. Of the session we write our own lines and
 * pass on what speaks of the media; who the other side is (o=, s=, i=, u=, e=, p=) stays here.
 */
#include "media/desc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct render {
	struct buf out;
	const struct desc *whole;	/* what the other leg says */
	const struct desc_rewrite *asked;
	struct slice last;	/* the text last sent in this dialog; p NULL: none */
	uint32_t lines;		/* of `whole`, by bit: told with a port */
	uint32_t muxed, were_muxed; /* the same: told rtcp-mux; so before */
	bool opaque;		/* keys are the far ends' own */
	/* Of one m= line at a time, which is the main one of these: */
	const struct desc *in;
	const struct desc_media *media;
	const struct desc_rewrite *rw;
	bool keep[DESC_PAYLOADS];
	struct desc in_view, offer_view, common_view;
	struct desc_rewrite rw_view;
	struct desc_format half; /* of G.711, named though `in` does not; encoding "": none is */
};

/* The relay is the end of ICE, addresses of the other side's network mean nothing here, and every
 * stream has ports of its own. */
static const char *const dropped_attributes[] = {
	"candidate", "end-of-candidates", "remote-candidates",
	"group", "altc", "source-filter",
};

/* Of plain RTP it is the end of keys, too. */
static const char *const key_attributes[] = {
	"crypto", "fingerprint", "setup", "tls-id",
};

static bool is_one_of(const struct desc_line *line, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (desc_attribute(line, names[i], NULL))
			return true;
	return false;
}

static bool ends_here(const struct render *r, const struct desc_line *line)
{
	if (line->type != 'a')
		return false;
	if (line->value.len > 4 && strncasecmp(line->value.p, "ice-", 4) == 0)
		return true;
	return is_one_of(line, dropped_attributes,
			 sizeof(dropped_attributes) / sizeof(*dropped_attributes)) ||
	       (!r->opaque && is_one_of(line, key_attributes,
					sizeof(key_attributes) / sizeof(*key_attributes)));
}

static void put_line(struct render *r, const struct desc_line *line)
{
	char head[2] = { line->type, '=' };

	buf_add(&r->out, head, sizeof(head));
	buf_add(&r->out, line->value.p, line->value.len);
	buf_str(&r->out, "\r\n");
}

static void put_lines_of(struct render *r, const struct desc *d, const char *types)
{
	for (size_t i = 0; i < d->session_end; i++)
		if (strchr(types, d->lines[i].type))
			put_line(r, &d->lines[i]);
}

static bool has_line(const struct desc *d, char type)
{
	for (size_t i = 0; i < d->session_end; i++)
		if (d->lines[i].type == type)
			return true;
	return false;
}

/* The order of RFC 8866 5. RFC 3264 6: the time of an answer is that of its offer. */
static void put_session(struct render *r)
{
	const struct desc *timed = r->rw->offer ? r->rw->offer : r->in;
	enum direction d;

	buf_str(&r->out, "s=-\r\nc=");
	desc_put_address(&r->out, &r->rw->rtp);
	put_lines_of(r, r->in, "b");
	if (has_line(timed, 't'))
		put_lines_of(r, timed, "trz");
	else
		buf_str(&r->out, "t=0 0\r\n");
	for (size_t i = 0; i < r->in->session_end; i++) {
		const struct desc_line *line = &r->in->lines[i];

		if (strchr("vosiuepcbtrzk", line->type) || ends_here(r, line) ||
		    desc_is_direction(line, &d) || desc_attribute(line, "rtcp", NULL))
			continue;
		put_line(r, line);
	}
}

/* What `f` is: an answer may name a dynamic number of its offer without saying what it means. */
static const struct desc_format *meant(const struct render *r, const struct desc_format *f)
{
	const struct desc *offer = r->rw->offer;

	for (size_t i = 0; offer && !f->encoding.len && i < offer->n_formats; i++)
		if (offer->formats[i].number == f->number)
			return &offer->formats[i];
	return f;
}

static bool passes(const struct conf_codecs *allow, const struct desc_format *f)
{
	char name[32] = "";

	memcpy(name, f->encoding.p,
	       f->encoding.len < sizeof(name) ? f->encoding.len : sizeof(name) - 1);
	return !allow || conf_codec_allowed(allow, name);
}

static bool is_allowed(const struct render *r, const struct desc_format *f)
{
	if (slice_is(f->encoding, "telephone-event") && r->rw->drop_telephone_event)
		return false;
	if (desc_format_auxiliary(f))
		return true;
	return passes(r->rw->allow[0], f) && passes(r->rw->allow[1], f);
}

/* By which number the other half of `f` is told; false: by none. A static number may have been
 * given another meaning. */
static bool number_half(const struct render *r, const struct desc_format *half, uint8_t *number)
{
	const struct desc *by = r->rw->offer ? r->rw->offer : r->in;
	const struct desc_format *f;

	*number = half->number;
	for (size_t i = 0; i < by->n_formats; i++) {
		f = &by->formats[i];
		if (desc_format_same(f, half)) {
			*number = f->number;
			return true;
		}
	}
	return !r->rw->offer && !desc_has_number(by, half->number);
}

static bool has_kept(const struct render *r, const struct desc_format *f)
{
	for (size_t i = 0; i < r->in->n_formats; i++)
		if (r->keep[r->in->formats[i].number] &&
		    desc_format_same(meant(r, &r->in->formats[i]), f))
			return true;
	return false;
}

/* Names the other half of what `in` has of G.711. */
static size_t add_half(struct render *r)
{
	struct desc_format half;
	bool alaw;

	for (size_t i = 0; i < r->in->n_formats; i++) {
		const struct desc_format *f = meant(r, &r->in->formats[i]);

		if (!desc_format_g711(f, &alaw) || !passes(r->rw->allow[0], f))
			continue;
		half = desc_format_static(alaw ? DESC_PCMU : DESC_PCMA);
		if (!passes(r->rw->allow[1], &half) || has_kept(r, &half) ||
		    !number_half(r, &half, &half.number) ||
		    (r->rw->common && !desc_format_answers(&half, r->rw->common)))
			continue;
		r->half = half;
		return 1;
	}
	return 0;
}

static int choose_formats(struct render *r)
{
	size_t codecs = 0;

	memset(r->keep, 0, sizeof(r->keep));
	r->half = (struct desc_format){ 0 };
	if (r->in->audio.content == CONTENT_UDPTL)
		return 0;
	for (size_t i = 0; i < r->in->n_formats; i++) {
		const struct desc_format *f = meant(r, &r->in->formats[i]);

		if (!is_allowed(r, f) || (r->rw->offer && !desc_format_answers(f, r->rw->offer)) ||
		    (r->rw->common && !desc_format_answers(f, r->rw->common)))
			continue;
		r->keep[f->number] = true;
		codecs += !desc_format_auxiliary(f);
	}
	if (r->rw->g711 && (!r->rw->offer || !codecs))
		codecs += add_half(r);
	return codecs ? 0 : -ENOTSUP;
}

/* rtpmap, fmtp or rtcp-fb of a format that is not told; those of every format ("*") stay. */
static bool of_dropped_format(const struct render *r, const struct desc_line *line)
{
	struct slice value;
	unsigned long number;

	if (!desc_attribute(line, "rtpmap", &value) && !desc_attribute(line, "fmtp", &value) &&
	    !desc_attribute(line, "rtcp-fb", &value))
		return false;
	return desc_number(&number, desc_word(&value), DESC_PAYLOADS - 1) == 0 && !r->keep[number];
}

static void put_words(struct buf *out, struct slice list)
{
	struct slice word;

	while ((word = desc_word(&list)).len)
		buf_printf(out, " " SLICE_FMT, SLICE_ARG(word));
}

/* Between a leg with keys and one without the profile is another one: of audio then the one that
 * everybody has, without feedback, by which video is mended (RFC 4585, RFC 5124). */
static bool changes_profile(const struct render *r)
{
	return !r->rw->offer && r->rw->under.secure != r->in->audio.secure;
}

static bool has_feedback(const struct render *r)
{
	struct slice proto = r->media->proto;

	return proto.len && (proto.p[proto.len - 1] == 'F' || proto.p[proto.len - 1] == 'f');
}

static bool drops_feedback(const struct render *r)
{
	return changes_profile(r) && r->in->audio.kind == DESC_KIND_AUDIO;
}

/* An answer has the profile of its offer (RFC 3264 6). */
static struct slice profile(const struct render *r)
{
	static const struct slice profiles[2][2] = { { { "RTP/AVP", 7 }, { "RTP/AVPF", 8 } },
						     { { "RTP/SAVP", 8 }, { "RTP/SAVPF", 9 } } };
	const struct desc *offer = r->rw->offer;

	if (offer)
		return offer->media[offer->audio.index].proto;
	if (!changes_profile(r))
		return r->media->proto;
	return profiles[r->rw->under.secure][has_feedback(r) && !drops_feedback(r)];
}

/* What is named by us comes behind the codecs of `in`: whoever knows one of those prefers it. */
static void put_numbers(struct render *r)
{
	const struct desc *in = r->in;
	size_t codecs = in->n_formats;

	while (codecs && (!r->keep[in->formats[codecs - 1].number] ||
			  desc_format_auxiliary(&in->formats[codecs - 1])))
		codecs--;
	for (size_t i = 0; i <= in->n_formats; i++) {
		if (i == codecs && r->half.encoding.len)
			buf_printf(&r->out, " %u", r->half.number);
		if (i < in->n_formats && r->keep[in->formats[i].number])
			buf_printf(&r->out, " %u", in->formats[i].number);
	}
}

static void put_media_line(struct render *r)
{
	const struct desc_rewrite *rw = r->rw;
	struct slice proto = profile(r);

	buf_printf(&r->out, "m=" SLICE_FMT " %u " SLICE_FMT, SLICE_ARG(r->media->kind),
		   rw->rtp.port, SLICE_ARG(proto));
	if (r->in->audio.content == CONTENT_UDPTL)
		put_words(&r->out, r->media->formats);
	put_numbers(r);
	buf_str(&r->out, "\r\n");
}

static void put_map(struct render *r, uint8_t number, const struct desc_format *f)
{
	buf_printf(&r->out, "a=rtpmap:%u " SLICE_FMT "/%u", number, SLICE_ARG(f->encoding),
		   f->rate);
	if (f->channels != 1)
		buf_printf(&r->out, "/%u", f->channels);
	buf_str(&r->out, "\r\n");
}

/* For the formats that only the offer explains (RFC 3264 6.1), or that are named by us. */
static void put_missing_maps(struct render *r)
{
	if (r->half.encoding.len)
		put_map(r, r->half.number, &r->half);
	for (size_t i = 0; i < r->in->n_formats; i++) {
		const struct desc_format *f = &r->in->formats[i], *of = meant(r, f);

		if (of != f && of->encoding.len && r->keep[f->number])
			put_map(r, f->number, of);
	}
}

static void put_direction(struct render *r)
{
	buf_printf(&r->out, "a=%s\r\n", desc_direction_text(r->rw->direction));
}

/* Without an address it is that of the stream (RFC 3605 2.1). */
static void put_rtcp(struct render *r)
{
	const struct addr *rtcp = &r->rw->rtcp;

	buf_printf(&r->out, "a=rtcp:%u", rtcp->port);
	if (rtcp->family != AF_UNSPEC && !addr_same_ip(rtcp, &r->rw->rtp)) {
		buf_str(&r->out, " ");
		desc_put_address(&r->out, rtcp);
	} else {
		buf_str(&r->out, "\r\n");
	}
}

static void put_keys(struct render *r)
{
	const struct desc_under *under = &r->rw->under;

	for (size_t i = 0; i < under->n_keys; i++) {
		buf_str(&r->out, "a=crypto:");
		crypto_print(&r->out, &under->keys[i]);
		buf_str(&r->out, "\r\n");
	}
}

/* An answer says so only where its offer does (RFC 5761 5.1.1). With the relay between them each
 * leg does as it likes, and is offered it again. */
static bool muxes(const struct render *r)
{
	unsigned int index = (unsigned int)(r->media - r->whole->media);
	const struct desc *offer = r->rw->offer;
	bool said = r->in->audio.mux;

	if (!r->asked->relays || r->opaque)
		return said && (!offer || offer->audio.mux);
	return offer ? offer->audio.mux : said || r->were_muxed >> index & 1;
}

static void put_mux(struct render *r)
{
	if (!muxes(r))
		return;
	buf_str(&r->out, "a=rtcp-mux\r\n");
	r->muxed |= 1u << (r->media - r->whole->media);
}

/* One of each: ours at the place of theirs. */
struct written {
	bool direction;
	bool rtcp;
	bool mux;
};

static void put_media_attribute(struct render *r, const struct desc_line *line, struct written *w)
{
	enum direction d;

	if (strchr("bcik", line->type) || ends_here(r, line) || of_dropped_format(r, line))
		return;
	if (drops_feedback(r) && desc_attribute(line, "rtcp-fb", NULL))
		return;
	if (desc_is_direction(line, &d)) {
		if (!w->direction)
			put_direction(r);
		w->direction = true;
	} else if (desc_attribute(line, "rtcp", NULL)) {
		if (!w->rtcp)
			put_rtcp(r);
		w->rtcp = true;
	} else if (desc_attribute(line, "rtcp-mux", NULL)) {
		if (!w->mux)
			put_mux(r);
		w->mux = true;
	} else {
		put_line(r, line);
	}
}

static void put_relayed(struct render *r)
{
	struct written w = { 0 };

	put_media_line(r);
	if (!addr_same_ip(&r->rw->rtp, &r->asked->rtp)) {
		buf_str(&r->out, "c=");
		desc_put_address(&r->out, &r->rw->rtp);
	}
	for (size_t i = r->media->first; i < r->media->end; i++)
		if (r->in->lines[i].type == 'b')
			put_line(r, &r->in->lines[i]);
	put_missing_maps(r);
	put_keys(r);
	for (size_t i = r->media->first; i < r->media->end; i++)
		put_media_attribute(r, &r->in->lines[i], &w);
	if (!w.mux)
		put_mux(r);
	/* A fax is said to have one only where it had, or where it needs one. */
	if (!w.direction && (r->in->audio.content != CONTENT_UDPTL ||
			     r->rw->direction != DIR_SENDRECV))
		put_direction(r);
}

static void put_refused(struct buf *out, const struct desc_media *m)
{
	struct slice formats = m->formats;

	buf_printf(out, "m=" SLICE_FMT " 0 " SLICE_FMT, SLICE_ARG(m->kind), SLICE_ARG(m->proto));
	put_words(out, desc_word(&formats).len ? m->formats : (struct slice){ "0", 1 });
	buf_str(out, "\r\n");
}

/* What is told of the line at `index`; false: nothing. */
static bool told_of(const struct render *r, unsigned int index, struct desc_told *out)
{
	const struct desc_rewrite *rw = r->asked;

	*out = (struct desc_told){ index, rw->rtp, rw->rtcp, rw->direction, rw->under };
	if (index == r->whole->audio.index)
		return true;
	for (size_t i = 0; i < rw->n_more; i++) {
		if (rw->more[i].index != index)
			continue;
		*out = rw->more[i];
		return true;
	}
	return false;
}

static const struct desc *view_of(struct desc *view, const struct desc *d, unsigned int index)
{
	if (d)
		*view = desc_view(d, index);
	return d ? view : NULL;
}

/* Turns to the line at `index`. 0; -ENOTSUP: nothing of it can be told. */
static int turn_to(struct render *r, unsigned int index)
{
	const struct desc_rewrite *rw = r->asked;
	struct desc_told told;

	if (!desc_relays(r->whole, index) || !told_of(r, index, &told))
		return -ENOTSUP;
	if ((rw->offer && !desc_same_content(r->whole, rw->offer, index, rw->keys_pass)) ||
	    (rw->common && !desc_same_content(r->whole, rw->common, index, rw->keys_pass)))
		return -ENOTSUP;
	r->in = view_of(&r->in_view, r->whole, index);
	r->media = &r->whole->media[index];
	r->opaque = content_opaque(r->in->audio.content, rw->keys_pass);
	r->rw_view = *rw;
	r->rw_view.rtp = told.rtp;
	r->rw_view.rtcp = told.rtcp;
	r->rw_view.direction = told.direction;
	r->rw_view.offer = view_of(&r->offer_view, rw->offer, index);
	r->rw_view.common = view_of(&r->common_view, rw->common, index);
	if (r->opaque)
		told.under = (struct desc_under){ .secure = r->in->audio.secure };
	r->rw_view.under = told.under;
	r->rw = &r->rw_view;
	return choose_formats(r);
}

/* How many m= lines the text last sent has; `m` (may be NULL) receives that at `index`. */
static unsigned int last_media(const struct render *r, unsigned int index, struct desc_media *m)
{
	struct slice rest = r->last, line;
	unsigned int n = 0;

	while (rest.len) {
		line = desc_until(&rest, '\n');
		if (line.len < 2 || strncmp(line.p, "m=", 2) != 0)
			continue;
		if (n++ != index || !m)
			continue;
		line = (struct slice){ line.p + 2, line.len - 2 };
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		m->kind = desc_word(&line);
		desc_word(&line);
		m->proto = desc_word(&line);
		m->formats = line;
	}
	return n;
}

/* RFC 3264 8: a later offer has the m= lines of the dialog in their order, those that were refused
 * too. */
static void put_offer(struct render *r)
{
	unsigned int n = last_media(r, 0, NULL), told = n;
	struct desc_media before;

	for (unsigned int i = n; i < r->whole->n_media; i++)
		if (r->lines >> i & 1)
			n = i + 1;
	for (unsigned int i = 0; i < n; i++) {
		if (r->lines >> i & 1 && turn_to(r, i) == 0) {
			put_relayed(r);
		} else if (i < told) {
			last_media(r, i, &before);
			put_refused(&r->out, &before);
		} else {
			put_refused(&r->out, &r->whole->media[i]);
		}
	}
}

static void put_media(struct render *r)
{
	const struct desc *offer = r->asked->offer;

	if (!offer) {
		put_offer(r);
		return;
	}
	for (unsigned int i = 0; i < offer->n_media; i++) {
		if (r->lines >> i & 1 && turn_to(r, i) == 0)
			put_relayed(r);
		else
			put_refused(&r->out, &offer->media[i]);
	}
}

/* Which lines are told; turns to the main one, without which nothing is. */
static int choose_lines(struct render *r)
{
	bool opaque = false;
	int err;

	for (unsigned int i = 0; i < r->whole->n_media; i++) {
		if (turn_to(r, i))
			continue;
		r->lines |= 1u << i;
		opaque |= r->opaque;
	}
	err = turn_to(r, r->whole->audio.index);
	r->opaque = opaque;
	return err;
}

int desc_render(struct desc_origin *origin, const struct desc *in, const struct desc_rewrite *rw)
{
	struct render r = { .whole = in,
			    .asked = rw,
			    .last = { origin->last, origin->last_len },
			    .were_muxed = origin->muxed,
			    .out.secret = true };
	int err;

	if (!in->has_audio || (rw->offer && !rw->offer->has_audio))
		return -ENOENT;
	err = choose_lines(&r);
	if (err)
		return err;
	put_session(&r);
	put_media(&r);
	err = r.out.failed ? -ENOMEM : desc_put_origin(origin, &rw->rtp, &r.out);
	if (!err) {
		origin->lines = r.lines;
		origin->muxed = r.muxed;
	}
	buf_free(&r.out);
	return err;
}

int desc_answer(struct desc_origin *origin, const struct desc *offer, const struct desc *in_force,
		const struct desc_rewrite *rw)
{
	struct desc_rewrite answer = *rw;

	answer.offer = offer;
	return desc_render(origin, in_force, &answer);
}
