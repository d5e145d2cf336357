// SPDX-License-Identifier: GPL-2.0-or-later
/* What each leg is told, and what follows from what it said. */
#include "call/call_priv.h"

#include <errno.h>
#include <string.h>

/* Our address and RTP port as written into that leg's description. */
static struct addr relay_told(const struct call *c, enum side side)
{
	struct addr relay = stream_relay(c->stream, side);
	const struct addr *advertise = &c->side[side].realm->advertise;

	return advertise->family == relay.family ? addr_with_port(advertise, relay.port) : relay;
}

struct addr call_told(const struct call *c, enum side side)
{
	const struct media_leg *m = &c->media.leg[side];

	return (m->open ? m->peer_before : m->peer) ? c->side[side_other(side)].rtp :
						      relay_told(c, side);
}

static bool no_telephone_event(const struct conf_peer *peer)
{
	return peer->dtmf == DTMF_INFO || peer->dtmf == DTMF_INBAND;
}

/* Where the leg is to send: here, or to where the other leg wants it by `in`. Whoever holds by a
 * null address gets nothing, and keeps the address that it had. */
static void set_address(struct desc_rewrite *rw, const struct call *c, enum side side,
			const struct desc *in)
{
	const struct call_side *other = &c->side[side_other(side)];
	struct desc_audio audio;

	if (!c->media.leg[side].peer) {
		rw->rtp = relay_told(c, side);
		rw->rtcp.port = (uint16_t)(rw->rtp.port + 1);
		return;
	}
	rw->rtp = other->rtp;
	rw->rtcp = other->rtcp;
	if (desc_audio(in, &audio) == 0 && !addr_is_any(&audio.rtp)) {
		rw->rtp = audio.rtp;
		rw->rtcp = audio.rtcp;
	}
}

static struct desc_rewrite rewrite_for(const struct call *c, enum side side, const struct desc *in)
{
	const struct conf_peer *a = c->side[SIDE_A].peer, *b = c->side[SIDE_B].peer;
	struct desc_rewrite rw = { .direction = DIR_SENDRECV };

	set_address(&rw, c, side, in);
	rw.allow[0] = &a->codecs;
	rw.allow[1] = &b->codecs;
	rw.drop_telephone_event = no_telephone_event(a) || no_telephone_event(b);
	return rw;
}

static enum direction direction_of(const struct desc *in)
{
	struct desc_audio audio;

	return desc_audio(in, &audio) ? DIR_SENDRECV : desc_direction_out(&audio);
}

/* Of the hold for which there is music the other leg is told nothing. */
static bool keeps_hold_back(const struct call *c, enum side side, const struct desc *in)
{
	struct desc_audio audio;

	return c->side[side_other(side)].holds && desc_audio(in, &audio) == 0 &&
	       desc_holds(&audio);
}

int call_tell_offer(struct call *c, enum side side, const struct desc *in)
{
	struct desc_rewrite rw = rewrite_for(c, side, in);

	int err = call_keys_tell(c, side, NULL, &rw);

	rw.direction = keeps_hold_back(c, side, in) ? DIR_SENDRECV : direction_of(in);
	return err ? err : desc_render(&c->side[side].origin, in, &rw);
}

int call_tell_answer(struct call *c, enum side side, const struct desc *offer,
		     const struct desc *in)
{
	struct desc_rewrite rw = rewrite_for(c, side, in);
	int err = call_keys_tell(c, side, offer, &rw);

	rw.direction = keeps_hold_back(c, side, in) ? direction_reverse(direction_of(offer))
						    : direction_of(in);
	rw.offer = offer;
	return err ? err : desc_render(&c->side[side].origin, in, &rw);
}

int call_tell_own(struct call *c, enum side side, const struct desc *offer)
{
	const struct desc *in = c->side[side_other(side)].said;
	struct desc_rewrite rw = rewrite_for(c, side, in);
	int err = call_keys_tell(c, side, offer, &rw);

	rw.direction = direction_reverse(direction_of(offer));
	rw.offer = offer;
	return err ? err : desc_answer(&c->side[side].origin, offer, in, &rw);
}

/* Hold of the other leg's own making stays; what it only conceded to a hold of this leg does not:
 * the leg may resume by its answer (canreinvite.md pitfall 48). */
static enum direction direction_in_force(const struct call_side *s, const struct call_side *other)
{
	enum direction out = desc_direction_out(&other->audio);

	if (other->holds)
		return DIR_SENDRECV;
	if (other->audio.direction == DIR_RECVONLY && !addr_is_any(&other->audio.rtp))
		return DIR_SENDRECV;
	if (other->audio.direction == DIR_INACTIVE && desc_holds(&s->audio))
		return DIR_SENDRECV;
	return out;
}

static int tell_in_force(struct call *c, enum side side, bool common)
{
	struct call_side *s = &c->side[side], *other = &c->side[side_other(side)];
	struct desc_rewrite rw = rewrite_for(c, side, other->said);
	int err = call_keys_tell(c, side, NULL, &rw);

	rw.direction = direction_in_force(s, other);
	rw.common = common ? s->said : NULL;
	return err ? err : desc_render(&s->origin, other->said, &rw);
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

void call_told_as_before(struct call_side *s, struct desc_origin *before)
{
	uint64_t seen = s->origin.version;

	desc_origin_free(&s->origin);
	s->origin = *before;
	s->origin.version = seen;
	*before = (struct desc_origin){ 0 };
	call_keys_as_before(s);
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

int call_parse_within(struct desc **out, const struct call *c, enum side side, struct slice sdp)
{
	struct desc_audio audio;
	struct desc *d;
	int err = call_parse(&d, sdp);

	if (err)
		return err;
	err = call_keys_judge(c, side, d);
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

void call_heard(struct call *c, enum side side, struct desc *said)
{
	struct call_side *s = &c->side[side];

	if (s->said != said)
		desc_free(s->said);
	s->said = said;
	call_read_said(c);
	call_read_audio(s);
	stream_expect_events(c->stream, side, s->audio.event);
	stream_multiplex(c->stream, side, s->audio.mux);
	call_keys_heard(c, side);
	stream_describe(c->stream, side, &s->audio.rtp, &s->audio.rtcp, s->audio.clock_rate);
	call_hold_follow(c);
	call_review(c);
}
