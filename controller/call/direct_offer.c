// SPDX-License-Identifier: GPL-2.0-or-later
/* Offers of ours that tell a leg where to send: one at a time on each, and what comes of them. */
#include "call/call_priv.h"

#include <errno.h>

static bool by_update(const struct call *c, enum side side)
{
	struct policy_facts facts;

	call_collect(c, &facts);
	return policy_by_update(&facts.leg[side], &facts.course.leg[side]);
}

static void as_before(struct call *c, enum side side)
{
	struct media_leg *m = &c->media.leg[side];

	call_told_as_before(c, side, &m->before);
	m->peer = m->peer_before;
}

int direct_offer(struct call *c, enum side side, bool peer)
{
	struct call_side *s = &c->side[side];
	struct media_leg *m = &c->media.leg[side];
	int err = call_keep_origin(&m->before, &s->origin);

	if (err)
		return err;
	m->peer_before = m->peer;
	m->peer = peer;
	err = call_tell_path(c, side);
	if (!err) {
		leg_pass(s->leg, NULL);
		err = leg_move(s->leg, by_update(c, side), s->origin.last, s->origin.last_len);
	}
	if (err) {
		as_before(c, side);
		return err;
	}
	m->open = true;
	m->swallowed = false;
	direct_step(c, peer ? "offer_peer" : "offer_relay", (int)side, 0);
	return 0;
}

bool direct_offered(const struct call *c, enum side side)
{
	return c->media.leg[side].open;
}

bool direct_stale(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side], *other = &c->side[side_other(side)];
	struct desc *told;
	bool true_still;

	if (!c->media.leg[side].peer || !s->origin.last || !other->said)
		return false;
	if (desc_parse(&told, s->origin.last, s->origin.last_len, NULL))
		return false;
	true_still = desc_still_true(told, other->said) || addr_is_any(&other->audio.rtp);
	desc_free(told);
	return !true_still;
}

/* The leg has agreed; what it says now is in force. */
static void accepted(struct call *c, enum side side, struct slice sdp)
{
	struct media_leg *m = &c->media.leg[side];
	struct desc *answer;

	desc_origin_free(&m->before);
	m->glares = m->refusals = 0;
	m->postponed = false;
	if (!m->peer)
		c->media.here_ms = loop_now_ms(c->all->setup.loop);
	direct_step(c, "accepted", (int)side, 200);
	if (call_parse_answer(&answer, c, side, sdp) == 0) {
		call_note_codec(c, answer);
		call_heard(c, side, answer);
	} else if (m->peer) {
		c->course.leg[side].refused = 488;
	}
	direct_changed(c);
}

/* Its device is heard at our ports, whatever it does not answer. */
static bool end_of_dialog(const struct call *c, enum side side, int code)
{
	return code == 481 || (code == 408 && !call_heard_lately(c, side));
}

void direct_reanswered(struct call *c, enum side side, int code, struct slice sdp)
{
	struct media_leg *m = &c->media.leg[side];
	bool back = c->media.state >= MEDIA_BACK_1;

	m->open = false;
	call_offer_answered(c,
			    !m->peer				? CALL_FOR_BACK
			    : c->media.state == MEDIA_RECON ? CALL_FOR_RECON
							    : CALL_FOR_DIRECT,
			    code);
	if (code < 300) {
		accepted(c, side, sdp);
		return;
	}
	direct_step(c, code == 408 ? "timeout" : "refused", (int)side, code);
	as_before(c, side);
	if (code == 408 && !back)
		call_note_move(c, side, QUIRK_TIMED_OUT);
	if (end_of_dialog(c, side, code)) {
		call_end(c, side == SIDE_A ? "gone_a" : "gone_b", code, NULL, 0);
		return;
	}
	if (code == 408 && !back)
		m->swallowed = true;
	(back ? direct_back_refused : direct_move_refused)(c, side, code);
}

/* The leg has taken the offer that we gave up: it was told that last, and that version. */
static void told_after_all(struct call *c, enum side side)
{
	struct desc_origin *told = &c->side[side].origin;
	uint64_t seen = told->version--;

	if (call_tell_path(c, side) || told->version < seen)
		told->version = seen;
}

void direct_late(struct call *c, enum side side, struct slice sdp)
{
	struct media_leg *m = &c->media.leg[side];
	struct desc *answer;

	if (!m->swallowed || m->open || m->peer)
		return;
	m->swallowed = false;
	m->peer = true;
	told_after_all(c, side);
	if (call_parse_answer(&answer, c, side, sdp) == 0)
		call_heard(c, side, answer);
	direct_back(c, "late_answer", (int)side, 200);
}
