// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Offers in responses (RFC 3264, 6337): a leg whose INVITE has no description gets one in our 200
 * or reliable 1xx, and answers it in its ACK or PRACK. Where the other leg may be asked, the offer
 * is that leg's own, and its ACK or PRACK waits for the answer.
 */
#include "call/call_priv.h"

#include <errno.h>

void call_ask_close(struct call *c)
{
	desc_free(c->ask.offer);
	desc_origin_free(&c->ask.before);
	c->ask = (struct call_ask){ 0 };
}

static struct call_side *asker_of(struct call *c)
{
	return &c->side[c->ask.from];
}

/* Offers the asker what is in force (pitfall 48). */
static void offer_in_force(struct call *c)
{
	struct call_side *s = asker_of(c);
	int err = call_keep_origin(&c->ask.before, &s->origin);

	c->ask.waiting = false;
	if (!err)
		err = call_tell_in_force(c, c->ask.from);
	if (!err && call_agree(c, c->ask.from, CALL_FOR_OFFER) == 0)
		return;
	call_disagree(c, c->ask.from, CALL_FOR_OFFER, err == -ENOTSUP ? 488 : 500, NULL);
	call_ask_close(c);
	direct_changed(c);
}

void call_asked(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side], *other = &c->side[side_other(side)];

	if (!other->leg || !other->said || c->state != CALL_UP || c->offer.open || c->ask.open ||
	    direct_must_hold(c, side)) {
		call_disagree(c, side, CALL_FOR_OFFER, 491, NULL);
		return;
	}
	if (call_keys_used(c, side) && !call_keys_expected(c, side)) {
		call_disagree(c, side, CALL_FOR_OFFER, 488, NULL);
		return;
	}
	c->ask = (struct call_ask){ .open = true, .waiting = true, .from = side };
	if (s->holds || other->holds || !call_may_reinvite(c, side_other(side)) ||
	    leg_reinvite(other->leg, NULL, 0))
		offer_in_force(c);
}

int call_ask_offer(struct call *c, struct desc *offer)
{
	c->ask.waiting = false;
	c->ask.offer = offer;
	return call_tell_offer(c, c->ask.from, offer);
}

/* Answers the other leg's offer without the asker. False: the call cannot go on. */
static bool answer_by_ourselves(struct call *c, struct desc *offer)
{
	enum side to = side_other(c->ask.from);
	struct call_side *other = &c->side[to];

	if (!asker_of(c)->said || call_tell_own(c, to, offer)) {
		desc_free(offer);
		return false;
	}
	call_heard(c, to, offer);
	return leg_accept(other->leg, other->origin.last, other->origin.last_len) == 0;
}

/* The asker's answer was none, or it is gone: the offer gets an answer all the same. */
static void answer_without(struct call *c)
{
	struct desc *offer = c->ask.offer;
	bool answered = true;

	c->ask.offer = NULL;
	if (asker_of(c)->said && !c->ask.withdrawn)
		call_told_as_before(c, c->ask.from, &c->ask.before);
	if (offer)
		answered = answer_by_ourselves(c, offer);
	else if (!asker_of(c)->said)
		answered = false;
	call_ask_close(c);
	if (answered)
		direct_changed(c);
	else
		call_end(c, "no_media", 488, NULL, 0);
}

void call_ask_reanswered(struct call *c, int code, struct slice sdp)
{
	struct call_side *s = asker_of(c);
	struct desc *offer = NULL;

	if (code < 300 && call_parse_offer(&offer, c, side_other(c->ask.from), sdp) == 0 &&
	    !c->ask.withdrawn && call_keep_origin(&c->ask.before, &s->origin) == 0 &&
	    call_ask_offer(c, offer) == 0 &&
	    call_agree(c, c->ask.from, CALL_FOR_OFFER) == 0)
		return;
	c->ask.offer = offer;
	if (code < 300 && sdp.p && !offer)
		leg_accept(c->side[side_other(c->ask.from)].leg, NULL, 0);
	if (c->ask.withdrawn) {
		answer_without(c);
	} else if (offer) {
		call_disagree(c, c->ask.from, CALL_FOR_OFFER, 488, NULL);
		answer_without(c);
	} else if (code == 491) {
		call_disagree(c, c->ask.from, CALL_FOR_OFFER, 491, NULL);
		call_ask_close(c);
		direct_changed(c);
	} else {
		offer_in_force(c);
	}
}

void call_ask_answered(struct call *c, struct slice sdp)
{
	enum side from = c->ask.from, to = side_other(from);
	struct call_side *other = &c->side[to];
	struct desc *offer = c->ask.offer, *answer;
	int err;

	if (!sdp.p || call_parse_answer(&answer, c, from, sdp)) {
		answer_without(c);
		return;
	}
	c->ask.offer = NULL;
	call_ask_close(c);
	if (!offer) {
		call_note_codec(c, answer);
		call_heard(c, from, answer);
		call_hold_answered(c, from);
		direct_changed(c);
		return;
	}
	call_defer(c);
	err = call_tell_answer(c, to, offer, answer);
	if (!err) {
		call_note_codec(c, answer);
		call_heard(c, to, offer);
		call_heard(c, from, answer);
	}
	call_enforce(c);
	if (err) {
		desc_free(offer);
		desc_free(answer);
		call_end(c, "no_media", 488, NULL, 0);
		return;
	}
	leg_accept(other->leg, other->origin.last, other->origin.last_len);
	direct_changed(c);
}
