// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes during the call: a re-INVITE of one leg is passed on to the other, or answered by us
 * where the other leg must not be re-INVITEd (canreinvite=no, or its device breaks), where it
 * changes nothing, or where the other leg refuses what we can do without it. The entries follow an
 * answered offer, never an offer (canreinvite.md 6.6).
 */
#include "call/call_priv.h"

#include <errno.h>

/* A leg whose device was heard this lately merely swallows re-INVITEs (canreinvite.md 6.5, 408). */
#define ALIVE_S 2.0

static struct call_side *other_of(struct call *c, enum side side)
{
	return &c->side[side_other(side)];
}

void call_offer_close(struct call *c)
{
	desc_free(c->offer.offer);
	desc_origin_free(&c->offer.before);
	c->offer = (struct call_offer){ 0 };
}

/* What the other leg is told is as before our re-INVITE to it; but the version that it has seen and
 * refused is not used again for another text (pitfall 23). */
static void other_told_as_before(struct call *c)
{
	call_told_as_before(c, side_other(c->offer.from), &c->offer.before);
}

/* The offer comes to nothing. Owns it. */
static void disagree(struct call *c, enum side side, struct desc *offer, int code,
		     const char *reason)
{
	call_disagree(c, side, CALL_FOR_THEM, code, reason);
	desc_free(offer);
	direct_changed(c);
}

/* Answers `side`'s offer without the other leg. Owns `offer` unless it fails: errors of
 * desc_render(). */
static int answer_here(struct call *c, enum side side, struct desc *offer)
{
	int err;

	call_defer(c);
	err = call_tell_own(c, side, offer);
	if (!err)
		call_heard(c, side, offer);
	call_enforce(c);
	if (err)
		return err;
	call_hold_answered(c, side);
	leg_pass_who(c->side[side].leg);
	leg_pass(c->side[side].leg, NULL);
	call_agree(c, side, CALL_FOR_THEM);
	direct_changed(c);
	return 0;
}

/* The same; the leg is brought back by that, wherever it sent to until now. */
static int answer_with_relay(struct call *c, enum side side, struct desc *offer)
{
	bool *peer = &c->media.leg[side].peer, before = *peer;
	int err;

	*peer = false;
	err = answer_here(c, side, offer);
	if (err)
		*peer = before;
	return err;
}

/* The same, but what needs the other leg's consent is refused with `code`. Owns `offer`. */
static void answer_by_ourselves(struct call *c, enum side side, struct desc *offer, int code,
				const char *reason)
{
	if (answer_here(c, side, offer) == 0)
		return;
	log_info("call %s re-INVITE from %c refused: %d", c->id, "ab"[side], code);
	disagree(c, side, offer, code, reason);
}

/* Offers the other leg what `side` said. Owns `offer` unless it fails. -EBUSY: glare. */
static int pass_on(struct call *c, enum side side, struct desc *offer, bool update)
{
	enum side to = side_other(side);
	struct call_side *other = &c->side[to];
	int err = call_keep_origin(&c->offer.before, &other->origin);

	if (err)
		return err;
	c->offer.from = side;
	c->offer.offer = offer;
	err = call_tell_offer(c, to, offer);
	if (!err)
		leg_pass(other->leg, c->side[side].leg);
	if (!err)
		err = (update ? leg_update : leg_reinvite)(other->leg, other->origin.last,
							   other->origin.last_len);
	if (err) {
		leg_pass(other->leg, NULL);
		c->offer.offer = NULL;
		other_told_as_before(c);
		call_offer_close(c);
		return err;
	}
	c->offer.open = true;
	return 0;
}

/* Before the answer only UPDATE can ask a leg anything. */
static bool may_be_asked(const struct call *c, enum side side, bool update)
{
	if (!call_may_reinvite(c, side))
		return false;
	return c->state == CALL_UP || (update && leg_can_update(c->side[side].leg));
}

/* Keys end here: new ones, or others than none, are no business of the other leg, but where it
 * sends past us. */
static bool changes_keys_alone(const struct call *c, enum side side, const struct desc *offer)
{
	return call_keys_expected(c, side) && !c->media.leg[side].peer &&
	       !c->media.leg[side_other(side)].peer &&
	       desc_equal_but_keys(offer, c->side[side].said);
}

void call_offered(struct call *c, enum side side, struct slice sdp)
{
	struct call_side *s = &c->side[side];
	struct desc *offer;
	int err = call_parse_offer(&offer, c, side, sdp);

	if (err) {
		call_disagree(c, side, CALL_FOR_THEM,
			      err == -EBADMSG ? 400 : err == -E2BIG ? 413 : 488, NULL);
		return;
	}
	if (s->said && desc_equal(offer, s->said) && call_keys_repeat(c, side)) {
		/* What it was told last may be an offer of every suite; an answer has the one (RFC
		 * 4568 5.1.2). Where that cannot be made, what it was told stands. */
		if (call_keys_used(c, side) && c->side[side_other(side)].said)
			call_tell_own(c, side, offer);
		desc_free(offer);
		leg_pass_who(s->leg);
		call_agree(c, side, CALL_FOR_THEM);
		return;
	}
	if (direct_must_hold(c, side) && !leg_offer_by_update(s->leg)) {
		direct_hold(c, side, offer);
		return;
	}
	call_serve_offer(c, side, offer);
}

void call_serve_offer(struct call *c, enum side side, struct desc *offer)
{
	struct call_side *other = other_of(c, side);
	bool update = leg_offer_by_update(c->side[side].leg), moves, returns;
	int err;

	if (direct_must_hold(c, side) || !other->leg || !other->said || c->offer.open ||
	    c->ask.open) {
		disagree(c, side, offer, 491, NULL);
		return;
	}
	if (call_hold_is_ours(c, side, offer) && answer_with_relay(c, side, offer) == 0)
		return;
	if (!may_be_asked(c, side_other(side), update) || changes_keys_alone(c, side, offer)) {
		answer_by_ourselves(c, side, offer, 488, NULL);
		return;
	}
	moves = direct_moves_by(c, side);
	returns = !moves && direct_returns_by(c, side, offer);
	err = pass_on(c, side, offer, update);
	c->offer.moves = moves && !err;
	c->offer.returns = returns && !err;
	if (err && moves)
		direct_moves_not(c, side, 0);
	if (err && returns)
		direct_returns_not(c, side, false);
	if (err)
		disagree(c, side, offer, err == -ENOTSUP ? 488 : err == -EBUSY ? 491 : 500, NULL);
}

bool call_heard_lately(const struct call *c, enum side side)
{
	struct stream_report report;

	stream_report(c->stream, side, &report);
	return report.rtp.last_s >= 0 && report.rtp.last_s < ALIVE_S;
}

/* The other leg agreed: both descriptions come into force, then the one who asked is answered. */
static void agreed(struct call *c, struct desc *answer)
{
	enum side from = c->offer.from;
	struct desc *offer = c->offer.offer;
	int err;

	c->offer.offer = NULL;
	call_offer_close(c);
	call_defer(c);
	call_heard(c, side_other(from), answer);
	err = call_tell_answer(c, from, offer, answer);
	if (!err)
		call_heard(c, from, offer);
	call_enforce(c);
	if (err) {
		answer_by_ourselves(c, from, offer, 488, NULL);
		return;
	}
	leg_pass(c->side[from].leg, c->side[side_other(from)].leg);
	call_note_codec(c, answer);
	call_agree(c, from, CALL_FOR_THEM);
	direct_changed(c);
}

/* The one who asked withdrew, but the other leg has agreed: it is told again what is in force. If
 * it refuses that, also after the leg has tried again (491), what it has agreed to stays. */
static void take_back(struct call *c, enum side side, struct desc *answer)
{
	struct call_side *s = &c->side[side];

	if (c->offer.moves)
		direct_moves_not(c, c->offer.from, 0);
	if (c->offer.returns)
		direct_returns_not(c, c->offer.from, true);
	call_offer_close(c);
	call_heard(c, side, answer);
	if (call_keep_origin(&c->offer.before, &s->origin))
		return;
	c->offer.open = c->offer.back = true;
	c->offer.from = side_other(side);
	if (call_tell_offer(c, side, other_of(c, side)->said) == 0 &&
	    leg_reinvite(s->leg, s->origin.last, s->origin.last_len) == 0)
		return;
	other_told_as_before(c);
	call_offer_close(c);
	direct_changed(c);
}

static void taken_back(struct call *c, enum side side, struct desc *answer)
{
	call_offer_close(c);
	call_heard(c, side, answer);
	direct_changed(c);
}

/* The other leg sends straight to this one's address, and does not know the new one. */
static bool is_sent_to_directly(struct call *c, enum side side, const struct desc *offer)
{
	struct desc_audio audio;

	return c->media.leg[side_other(side)].peer && desc_audio(offer, &audio) == 0 &&
	       !addr_is_any(&audio.rtp) && !addr_equal(&audio.rtp, &c->side[side].rtp);
}

static void refused(struct call *c, int code, const char *reason)
{
	enum side from = c->offer.from;
	struct desc *offer = c->offer.offer;

	c->offer.offer = NULL;
	other_told_as_before(c);
	if (c->offer.moves)
		direct_moves_not(c, from, offer ? code : 0);
	if (c->offer.returns)
		direct_returns_not(c, from, false);
	call_offer_close(c);
	if (!offer) {
		direct_changed(c);
		return;
	}
	leg_pass(c->side[from].leg, c->side[side_other(from)].leg);
	if (code == 491 || is_sent_to_directly(c, from, offer)) {
		disagree(c, from, offer, code, reason);
		return;
	}
	answer_by_ourselves(c, from, offer, code < 400 || code == 401 || code == 407 ? 488 : code,
			    reason);
}

void call_reanswered(struct call *c, enum side side, int code, const char *reason, struct slice sdp)
{
	struct desc *answer = NULL;

	if (direct_offered(c, side)) {
		direct_reanswered(c, side, code, sdp);
		return;
	}
	call_offer_answered(c, c->ask.open && c->ask.waiting ? CALL_FOR_OFFER : CALL_FOR_THEM,
			    code);
	if (code == 408)
		call_note_move(c, side, QUIRK_TIMED_OUT);
	if (code == 481 || (code == 408 && !call_heard_lately(c, side))) {
		call_end(c, side == SIDE_A ? "gone_a" : "gone_b", code, NULL, 0);
		return;
	}
	if (c->ask.open && c->ask.waiting && c->ask.from != side) {
		call_ask_reanswered(c, code, sdp);
		return;
	}
	if (!c->offer.open || c->offer.from == side) {
		/* The answer to our correction of what went out early. */
		if (code < 300 && call_parse_answer(&answer, c, side, sdp) == 0)
			call_heard(c, side, answer);
		direct_changed(c);
		return;
	}
	if (code >= 300) {
		refused(c, code, reason);
		return;
	}
	if (call_parse_answer(&answer, c, side, sdp)) {
		log_info("call %s re-INVITE answered by %c without usable audio", c->id,
			 "ab"[side]);
		refused(c, 488, NULL);
	} else if (c->offer.back) {
		taken_back(c, side, answer);
	} else if (c->offer.withdrawn) {
		take_back(c, side, answer);
	} else {
		agreed(c, answer);
	}
}

void call_offer_withdrawn(struct call *c, enum side side)
{
	direct_held_cancelled(c, side);
	if (c->ask.open && c->ask.from == side) {
		c->ask.withdrawn = true;
		leg_cancel(other_of(c, side)->leg);
	}
	if (!c->offer.open || c->offer.back || c->offer.from != side)
		return;
	desc_free(c->offer.offer);
	c->offer.offer = NULL;
	c->offer.withdrawn = true;
	leg_cancel(other_of(c, side)->leg);
}
