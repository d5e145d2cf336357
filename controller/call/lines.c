// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The m= lines of a call. A line has the same place in both dialogs; each that both legs may have
 * gets a stream of its own, and gives it back when neither leg is told of it any more. The call's
 * `stream` is that of the main line: the audio, or while there is none what there is.
 */
#include "call/call_priv.h"

/* A place that is not known before the callee has made the first offer. */
#define NO_PLACE DESC_MAX_MEDIA

const struct call_line *call_line_at(const struct call *c, unsigned int index)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (c->lines[i].index == index)
			return &c->lines[i];
	return NULL;
}

struct stream *call_stream(const struct call *c, unsigned int index)
{
	const struct call_line *line = call_line_at(c, index);

	return line ? line->stream : NULL;
}

const struct call_line *call_main_line(const struct call *c)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (c->lines[i].stream == c->stream)
			return &c->lines[i];
	return NULL;
}

static void drop(struct call *c, size_t i)
{
	call_keys_free(&c->lines[i], SIDE_A);
	call_keys_free(&c->lines[i], SIDE_B);
	stream_free(c->lines[i].stream);
	c->lines[i] = c->lines[--c->n_lines];
}

static int make_keys(const struct call *c, struct call_line *line)
{
	int err = call_keys_make(c, line, SIDE_A);

	return err ? err : call_keys_make(c, line, SIDE_B);
}

static int lease_first(struct call *c, const struct stream_leg legs[2])
{
	int err = stream_new(&c->stream, c->all->setup.media, c->owner, legs);

	if (err)
		return err;
	c->lines[0] = (struct call_line){ .stream = c->stream,
					  .index = NO_PLACE,
					  .kind = DESC_KIND_OTHER };
	c->n_lines = 1;
	err = make_keys(c, &c->lines[0]);
	if (err) {
		call_lines_free(c);
		return err;
	}
	if (c->side[SIDE_A].said)
		call_lines_open(c, c->side[SIDE_A].said);
	return 0;
}

int call_lines_lease(struct call *c, const struct stream_leg legs[2])
{
	int err;

	if (!c->n_lines)
		return lease_first(c, legs);
	for (size_t i = c->n_lines; i-- > 0;) {
		bool main = c->lines[i].stream == c->stream;

		/* What another callee has offered was never agreed to. */
		if (!c->side[SIDE_A].said)
			c->lines[i].index = NO_PLACE;
		if (!c->side[SIDE_A].said && !main) {
			drop(c, i);
			continue;
		}
		err = stream_new_b(c->lines[i].stream, &legs[SIDE_B]);
		if (!err)
			err = call_keys_make(c, &c->lines[i], SIDE_B);
		if (err && main)
			return err;
		if (err)
			drop(c, i);
	}
	return 0;
}

/* Where no port is left for it, it is refused and the call lives. */
static void open_line(struct call *c, const struct desc_audio *line)
{
	struct call_line *new = &c->lines[c->n_lines];

	if (c->n_lines == DESC_RELAYED)
		return;
	*new = (struct call_line){ .index = line->index, .kind = line->kind };
	if (stream_add(&new->stream, c->stream)) {
		log_info("call %s: no ports for its m= line %u", c->id, line->index);
		return;
	}
	c->n_lines++;
	if (make_keys(c, new)) {
		log_info("call %s: no keys for its m= line %u", c->id, line->index);
		drop(c, c->n_lines - 1);
	}
}

void call_lines_open(struct call *c, const struct desc *offer)
{
	struct desc_audio line;

	if (c->lines[0].index == NO_PLACE && desc_audio(offer, &line) == 0) {
		c->lines[0].index = line.index;
		c->lines[0].kind = line.kind;
	}
	for (unsigned int i = 0; i < DESC_MAX_MEDIA; i++)
		if (desc_line(offer, i, &line) == 0 && !call_line_at(c, i))
			open_line(c, &line);
}

/* A line that it does not have is described by port 0. */
static void describe(struct call *c, struct call_line *line, enum side side)
{
	struct desc_audio said;

	if (desc_line(c->side[side].said, line->index, &said)) {
		said = (struct desc_audio){ .index = line->index };
	} else {
		line->kind = said.kind;
		stream_carry(line->stream, content_opaque(said.content, call_keys_pass(c)),
			     said.content != CONTENT_UDPTL);
	}
	call_keys_heard(c, line, side);
	stream_expect_events(line->stream, side, said.event);
	stream_multiplex(line->stream, side,
			 said.mux && !(c->side[side].not_muxed >> line->index & 1));
	stream_describe(line->stream, side, &said.rtp, &said.rtcp, said.clock_rate);
}

static void choose_main(struct call *c)
{
	struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	struct stream *main;

	if (a->said && b->said && desc_agree(a->said, b->said) == 0) {
		call_read_audio(a);
		call_read_audio(b);
	}
	main = call_stream(c, a->said ? a->audio.index : b->audio.index);
	if (!main || main == c->stream)
		return;
	call_hold_stop(c); /* music goes to a line that may end */
	c->stream = main;
}

void call_lines_heard(struct call *c, enum side side)
{
	choose_main(c);
	for (size_t i = 0; i < c->n_lines; i++)
		describe(c, &c->lines[i], side);
}

/* That leg was told of the line, and has not refused it. */
static bool has_line(const struct call_side *s, unsigned int index)
{
	struct desc_audio said;

	return s->origin.lines >> index & 1 && s->said && desc_line(s->said, index, &said) == 0;
}

void call_lines_prune(struct call *c)
{
	const struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	const struct stream *shown = call_shown_stream(c);

	if (!direct_quiet(c))
		return;
	for (size_t i = c->n_lines; i-- > 0;) {
		const struct call_line *line = &c->lines[i];

		if (line->stream != c->stream && line->stream != shown &&
		    !has_line(a, line->index) && !has_line(b, line->index))
			drop(c, i);
	}
}

const struct stream *call_shown_stream(const struct call *c)
{
	const struct call_line *first = NULL;

	for (size_t i = 0; i < c->n_lines; i++) {
		const struct call_line *line = &c->lines[i];

		if (line->kind != DESC_KIND_AUDIO)
			continue;
		if (line->stream == c->stream)
			return c->stream;
		if (!first || line->index < first->index)
			first = line;
	}
	return first ? first->stream : c->stream;
}

size_t call_lines_report(const struct call *c, enum side side,
			 struct call_stream_report out[DESC_RELAYED])
{
	static const char *const kinds[] = { [DESC_KIND_AUDIO] = "audio",
					     [DESC_KIND_VIDEO] = "video",
					     [DESC_KIND_IMAGE] = "image",
					     [DESC_KIND_OTHER] = "other" };
	size_t n = 0;

	for (unsigned int i = 0; i <= NO_PLACE; i++) {
		const struct call_line *line = call_line_at(c, i);

		if (!line)
			continue;
		out[n] = (struct call_stream_report){ .index = i % NO_PLACE,
						      .kind = kinds[line->kind] };
		out[n].crypto = crypto_suite_text(call_keys_suite(line, side));
		stream_report(line->stream, side, &out[n++].media);
	}
	return n;
}

void call_lines_set_direct(struct call *c, bool direct)
{
	for (size_t i = 0; i < c->n_lines; i++)
		stream_set_direct(c->lines[i].stream, direct);
}

void call_lines_stop(struct call *c)
{
	for (size_t i = 0; i < c->n_lines; i++)
		stream_stop(c->lines[i].stream);
}

void call_lines_free(struct call *c)
{
	while (c->n_lines)
		drop(c, c->n_lines - 1);
	c->stream = NULL;
}

void call_lines_leave(struct call *c)
{
	while (c->n_lines) {
		struct call_line *line = &c->lines[--c->n_lines];

		call_keys_free(line, SIDE_A);
		call_keys_free(line, SIDE_B);
		stream_leave(line->stream);
	}
	c->stream = NULL;
}
