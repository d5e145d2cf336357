// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Offers of a leg that move both. canreinvite=outgoing: the far end that called us is a node like
 * this one, and sends the first re-INVITE itself. It is waited for, and when it comes it moves both
 * legs at once: it is passed on with the sender's own address, and answered with the other leg's.
 * The other way round, a fax or one more line offered while media is direct is passed on with the
 * relay's address and so answered: one offer brings both back (canreinvite.md 6.4).
 */
#include "call/call_priv.h"

int direct_withheld(const struct call *c)
{
	struct policy_facts facts;

	call_collect(c, &facts);
	for (int i = 0; i < 2; i++)
		if (policy_withholds(&facts.leg[i], &facts.course.leg[i]))
			return i;
	return -1;
}

static void tell_peers(struct call *c, bool peer)
{
	c->media.leg[SIDE_A].peer = c->media.leg[SIDE_B].peer = peer;
}

bool direct_moves_by(struct call *c, enum side side)
{
	struct policy_course before = c->course;
	bool first = c->state == CALL_UP && direct_withheld(c) == (int)side;
	struct media_verdict v = { .direct = false };

	c->course.leg[side].reinvited = true;
	if (!first || !direct_is_here(c))
		return false;
	c->course.leg[side].waited_for = false;
	direct_judge(c, &v);
	if (!v.direct) {
		c->course.leg[side].waited_for = before.leg[side].waited_for;
		return false;
	}
	tell_peers(c, true);
	c->media.first = side_other(side);
	c->media.move_ms = loop_now_ms(c->all->setup.loop);
	snprintf(c->media.reason, sizeof(c->media.reason), "%s", v.reason);
	direct_enter(c, MEDIA_MOVE_2, "their_offer", (int)side, 0);
	return true;
}

void direct_moves_not(struct call *c, enum side side, int code)
{
	enum side other = side_other(side);

	tell_peers(c, false);
	if (code >= 300 && code != 491) {
		c->course.leg[other].refused = (unsigned int)code;
		call_note_move(c, other, QUIRK_REFUSED);
		direct_count(c, MEDIA_RESULT_refused);
	} else {
		direct_count(c, MEDIA_RESULT_aborted);
	}
	direct_rest(c, "refused", (int)other, code);
}

/* Rows T38 and MULTI_M of the policy. */
static bool needs_relay(const struct desc *offer)
{
	struct desc_facts facts;
	unsigned int n = 0;

	desc_facts(offer, &facts);
	for (int i = 0; i < DESC_KINDS; i++)
		n += facts.live[i];
	return n > 1 || facts.live[DESC_KIND_IMAGE];
}

bool direct_returns_by(struct call *c, enum side side, const struct desc *offer)
{
	if ((c->media.state != MEDIA_DIRECT && c->media.state != MEDIA_DRAIN) ||
	    !direct_is_out(c) || !needs_relay(offer))
		return false;
	direct_install(c);
	tell_peers(c, false);
	direct_enter(c, MEDIA_BACK_2, "their_offer", (int)side, 0);
	return true;
}

void direct_returns_not(struct call *c, enum side side, bool agreed)
{
	if (agreed) {
		c->media.leg[side].peer = true;
		return;
	}
	tell_peers(c, true);
	direct_begin(c, "refused");
}
