// SPDX-License-Identifier: GPL-2.0-or-later
/* What each leg is told, and what follows from what it said. */
#include "call/call_priv.h"

#include <errno.h>
#include <string.h>

/* Our address and RTP port as written into that leg's description. */
static struct addr relay_told(const struct call *c, enum side side, const struct stream *stream)
{
	struct addr relay = stream_relay(stream, side);
	const struct addr *advertise = &c->side[side].realm->advertise;

	return advertise->family == relay.family ? addr_with_port(advertise, relay.port) : relay;
}

struct addr call_told(const struct call *c, enum side side)
{
	const struct media_leg *m = &c->media.leg[side];

	return (m->open ? m->peer_before : m->peer) ? c->side[side_other(side)].rtp :
						      relay_told(c, side, c->stream);
}

static bool no_telephone_event(const struct conf_peer *peer)
{
	return peer->dtmf == DTMF_INFO || peer->dtmf == DTMF_INBAND;
}

/* The lines beside the main one. */
static void add_lines(struct desc_rewrite *rw, const struct call *c, enum side side,
		      const struct desc *in)
{
	struct desc_audio audio, line;

	desc_audio(in, &audio);
	for (size_t i = 0; i < c->n_lines && rw->n_more < DESC_RELAYED - 1; i++) {
		unsigned int index = c->lines[i].index;
		struct desc_told *told = &rw->more[rw->n_more];

		if (index == audio.index || desc_line(in, index, &line) ||
		    line.rtp.family != audio.rtp.family ||
		    !call_keys_admit(c, side_other(side), in, index))
			continue;
		*told = (struct desc_told){ .index = index };
		told->rtp = relay_told(c, side, c->lines[i].stream);
		told->rtcp.port = (uint16_t)(told->rtp.port + 1);
		rw->n_more++;
	}
}

/* Where the leg is to send: here, or to where the other leg wants it by `in`. Whoever holds by a
 * null address gets nothing, and keeps the address that it had. -ENOTSUP: no ports for it. */
static int set_address(struct desc_rewrite *rw, const struct call *c, enum side side,
		       const struct desc *in)
{
	const struct call_side *other = &c->side[side_other(side)];
	struct desc_audio audio;
	const struct stream *stream;

	if (!c->media.leg[side].peer) {
		stream = desc_audio(in, &audio) ? NULL : call_stream(c, audio.index);
		if (!stream)
			return -ENOTSUP;
		rw->rtp = relay_told(c, side, stream);
		rw->rtcp.port = (uint16_t)(rw->rtp.port + 1);
		rw->relays = true;
		add_lines(rw, c, side, in);
		return 0;
	}
	rw->rtp = other->rtp;
	rw->rtcp = other->rtcp;
	if (desc_audio(in, &audio) == 0 && !addr_is_any(&audio.rtp)) {
		rw->rtp = audio.rtp;
		rw->rtcp = audio.rtcp;
	}
	return 0;
}

static int begin_rewrite(struct desc_rewrite *rw, const struct call *c, enum side side,
			 const struct desc *in)
{
	const struct conf_peer *a = c->side[SIDE_A].peer, *b = c->side[SIDE_B].peer;

	*rw = (struct desc_rewrite){ .direction = DIR_SENDRECV };
	rw->keys_pass = call_keys_pass(c);
	rw->allow[0] = &c->side[side_other(side)].peer->codecs;
	rw->allow[1] = &c->side[side].peer->codecs;
	rw->g711 = a->transcode || b->transcode;
	rw->drop_telephone_event = no_telephone_event(a) || no_telephone_event(b);
	return set_address(rw, c, side, in);
}

static enum direction direction_of(const struct desc *in, unsigned int index)
{
	struct desc_audio line;

	return desc_line(in, index, &line) ? DIR_SENDRECV : desc_direction_out(&line);
}

/* Of the hold for which there is music the other leg is told nothing. */
static bool keeps_hold_back(const struct call *c, enum side side, const struct desc *in,
			    unsigned int index)
{
	struct desc_audio line;

	return c->side[side_other(side)].holds && desc_line(in, index, &line) == 0 &&
	       desc_holds(&line);
}

/* By which direction `side` is told of the line of `in` at `index`. */
typedef enum direction direction_rule(const struct call *c, enum side side, const struct desc *in,
				      const struct desc *offer, unsigned int index);

static void set_directions(struct desc_rewrite *rw, const struct call *c, enum side side,
			   const struct desc *in, const struct desc *offer, direction_rule *rule)
{
	struct desc_audio audio;

	if (desc_audio(in, &audio) == 0)
		rw->direction = rule(c, side, in, offer, audio.index);
	for (size_t i = 0; i < rw->n_more; i++)
		rw->more[i].direction = rule(c, side, in, offer, rw->more[i].index);
}

static enum direction as_offered(const struct call *c, enum side side, const struct desc *in,
				 const struct desc *offer, unsigned int index)
{
	(void)offer;
	return keeps_hold_back(c, side, in, index) ? DIR_SENDRECV : direction_of(in, index);
}

static enum direction as_answered(const struct call *c, enum side side, const struct desc *in,
				  const struct desc *offer, unsigned int index)
{
	return keeps_hold_back(c, side, in, index)
		       ? direction_reverse(direction_of(offer, index))
		       : direction_of(in, index);
}

static enum direction as_mirrored(const struct call *c, enum side side, const struct desc *in,
				  const struct desc *offer, unsigned int index)
{
	(void)c;
	(void)side;
	(void)in;
	return direction_reverse(direction_of(offer, index));
}

/* What it is told now, if that did not fail, decides what it may send. */
static int tell(struct call *c, enum side side, bool asked, int err)
{
	if (err)
		return err;
	call_defer(c);
	c->side[side].asked = asked;
	call_enforce(c);
	return 0;
}

int call_tell_offer(struct call *c, enum side side, const struct desc *in)
{
	struct desc_rewrite rw;
	int err;

	call_lines_open(c, in);
	err = begin_rewrite(&rw, c, side, in);
	if (!err)
		err = call_keys_tell(c, side, in, NULL, &rw);
	if (err)
		return err;
	set_directions(&rw, c, side, in, NULL, as_offered);
	return tell(c, side, true, desc_render(&c->side[side].origin, in, &rw));
}

int call_tell_answer(struct call *c, enum side side, const struct desc *offer,
		     const struct desc *in)
{
	struct desc_rewrite rw;
	int err = begin_rewrite(&rw, c, side, in);

	if (!err)
		err = call_keys_tell(c, side, in, offer, &rw);
	if (err)
		return err;
	set_directions(&rw, c, side, in, offer, as_answered);
	rw.offer = offer;
	return tell(c, side, false, desc_render(&c->side[side].origin, in, &rw));
}

int call_tell_own(struct call *c, enum side side, const struct desc *offer)
{
	const struct desc *in = c->side[side_other(side)].said;
	struct desc_rewrite rw;
	int err = begin_rewrite(&rw, c, side, in);

	if (!err)
		err = call_keys_tell(c, side, in, offer, &rw);
	if (err)
		return err;
	set_directions(&rw, c, side, in, offer, as_mirrored);
	rw.offer = offer;
	return tell(c, side, false, desc_answer(&c->side[side].origin, offer, in, &rw));
}

/* Hold of the other leg's own making stays; what it only conceded to a hold of this leg does not:
 * the leg may resume by its answer (canreinvite.md pitfall 48). */
static enum direction in_force(const struct call *c, enum side side, const struct desc *in,
			       const struct desc *offer, unsigned int index)
{
	const struct call_side *s = &c->side[side];
	struct desc_audio line, own;

	(void)offer;
	if (c->side[side_other(side)].holds || desc_line(in, index, &line))
		return DIR_SENDRECV;
	if (line.direction == DIR_RECVONLY && !addr_is_any(&line.rtp))
		return DIR_SENDRECV;
	if (line.direction == DIR_INACTIVE && s->said && desc_line(s->said, index, &own) == 0 &&
	    desc_holds(&own))
		return DIR_SENDRECV;
	return desc_direction_out(&line);
}

static int tell_in_force(struct call *c, enum side side, bool common)
{
	struct call_side *s = &c->side[side], *other = &c->side[side_other(side)];
	struct desc_rewrite rw;
	int err = begin_rewrite(&rw, c, side, other->said);

	if (!err)
		err = call_keys_tell(c, side, other->said, NULL, &rw);
	if (err)
		return err;
	set_directions(&rw, c, side, other->said, NULL, in_force);
	rw.common = common ? s->said : NULL;
	return tell(c, side, true, desc_render(&s->origin, other->said, &rw));
}

int call_tell_in_force(struct call *c, enum side side)
{
	return tell_in_force(c, side, false);
}

int call_tell_path(struct call *c, enum side side)
{
	return tell_in_force(c, side, true);
}

int call_keep_origin(struct desc_origin *copy, const struct desc_origin *origin)
{
	*copy = *origin;
	if (!origin->last)
		return 0;
	copy->last = strndup(origin->last, origin->last_len);
	return copy->last ? 0 : -ENOMEM;
}

void call_told_as_before(struct call *c, enum side side, struct desc_origin *before)
{
	struct call_side *s = &c->side[side];
	uint64_t seen = s->origin.version;

	desc_origin_free(&s->origin);
	s->origin = *before;
	s->origin.version = seen;
	*before = (struct desc_origin){ 0 };
	tell(c, side, false, 0);
}

int call_parse(struct desc **out, struct slice sdp)
{
	struct desc_audio audio;
	struct desc *d;
	int err = desc_parse(&d, sdp.p, sdp.len, NULL);

	if (err)
		return err;
	err = desc_audio(d, &audio);
	if (err) {
		desc_free(d);
		return err;
	}
	*out = d;
	return 0;
}

static int parse_within(struct desc **out, const struct call *c, enum side side, struct slice sdp,
			enum call_word kind)
{
	struct desc_audio audio;
	struct desc *d;
	int err = call_parse(&d, sdp);

	if (err)
		return err;
	err = call_keys_judge(c, side, d, kind);
	if (err) {
		desc_free(d);
		return err;
	}
	desc_audio(d, &audio);
	if (!addr_is_any(&audio.rtp) && audio.rtp.family != stream_relay(c->stream, side).family) {
		desc_free(d);
		return -EAFNOSUPPORT;
	}
	*out = d;
	return 0;
}

int call_parse_offer(struct desc **out, const struct call *c, enum side side, struct slice sdp)
{
	return parse_within(out, c, side, sdp, WORD_OFFER);
}

int call_parse_answer(struct desc **out, const struct call *c, enum side side, struct slice sdp)
{
	return parse_within(out, c, side, sdp, WORD_ANSWER);
}

int call_parse_response(struct desc **out, const struct call *c, struct slice sdp)
{
	return parse_within(out, c, SIDE_B, sdp, WORD_RESPONSE);
}

void call_note_codec(struct call *c, const struct desc *answer)
{
	struct desc_audio audio;

	if (desc_audio(answer, &audio) == 0)
		memcpy(c->codec, audio.codec, sizeof(c->codec));
}

void call_read_audio(struct call_side *s)
{
	if (desc_audio(s->said, &s->audio) || addr_is_any(&s->audio.rtp))
		return;
	s->rtp = s->audio.rtp;
	s->rtcp = s->audio.rtcp;
}

static void heard(struct call *c, enum side side, struct desc *said, bool early)
{
	struct call_side *s = &c->side[side];

	s->early = early;
	if (s->said != said)
		desc_free(s->said);
	s->said = said;
	s->not_muxed = s->asked ? ~s->origin.muxed : 0;
	s->asked = false;
	call_defer(c);
	call_read_audio(s);
	call_lines_heard(c, side);
	call_read_said(c);
	call_hold_follow(c);
	call_enforce(c);
	call_review(c);
}

/* By UPDATE it is heard before the answer, too. */
void call_heard(struct call *c, enum side side, struct desc *said)
{
	const struct leg *leg = c->side[side].leg;

	heard(c, side, said, side == SIDE_B && c->state != CALL_UP && leg && leg_forked(leg));
}

void call_heard_answer(struct call *c, struct desc *said)
{
	heard(c, SIDE_B, said, false);
}

void call_heard_early(struct call *c, struct desc *said)
{
	heard(c, SIDE_B, said, true);
}
