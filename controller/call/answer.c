// SPDX-License-Identifier: GPL-2.0-or-later
/* What the callee answers to the first INVITE, and what the caller is told of it. */
#include "call/call_priv.h"

#include <errno.h>

/* While it is asked for an offer, that is what comes. */
static int parse(struct desc **out, const struct call *c, struct slice sdp, bool offer)
{
	if (c->ask.open || offer)
		return call_parse_offer(out, c, SIDE_B, sdp);
	return call_parse_response(out, c, sdp);
}

int call_take_early(struct call *c, struct slice sdp)
{
	struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	struct desc *said;
	int err = sdp.p ? parse(&said, c, sdp, false) : -ENOENT;

	if (err)
		return err;
	if (c->ask.open) {
		if (c->ask.waiting)
			return call_ask_offer(c, said);
		desc_free(said);
		return -EALREADY;
	}
	call_defer(c);
	b->asked = true; /* also where another dialog has answered the same offer */
	call_heard_early(c, said);
	direct_answer_setup(c);
	err = call_tell_answer(c, SIDE_A, a->said, said);
	call_enforce(c);
	return err;
}

int call_take_answer(struct call *c, struct slice sdp)
{
	struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	bool offer = leg_answers_by_offer(b->leg);
	struct desc *said = NULL;
	int err = sdp.p ? parse(&said, c, sdp, offer) : 0;

	if (err)
		return err;
	if (c->ask.open && said)
		return call_ask_offer(c, said);
	if (c->ask.open)
		return c->ask.waiting ? -ENOENT : 0;
	call_defer(c);
	if (said) {
		b->asked = !offer;
		call_heard_answer(c, said);
	} else if (b->said) {
		b->early = false;
		call_lines_heard(c, SIDE_B);
	}
	direct_answer_setup(c);
	err = b->said ? call_tell_answer(c, SIDE_A, a->said, b->said) : -ENOENT;
	call_enforce(c);
	return err;
}
