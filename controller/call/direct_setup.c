// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Direct from the first INVITE on (directsetup = yes, canreinvite.md 6.3): the callee is offered
 * the caller's own address, the caller answered the callee's. The relay ports are leased, no entry
 * is installed. What the callee answers may forbid it: then the caller is told the relay, and the
 * callee brought back as soon as it is acknowledged.
 */
#include "call/call_priv.h"

static bool is_wanted(const struct call *c)
{
	struct policy_facts facts;
	struct policy_verdict v;

	call_collect(c, &facts);
	policy_decide(&v, &facts);
	return v.decision == POLICY_DECIDES_DIRECT_SETUP;
}

static void set(struct call *c, bool direct)
{
	c->course.at_setup = direct;
	c->media.leg[SIDE_A].peer = c->media.leg[SIDE_B].peer = direct;
	call_lines_set_direct(c, direct);
	snprintf(c->media.reason, sizeof(c->media.reason), "%s",
		 direct ? "DIRECT_SETUP" : "NOT_ANSWERED");
}

void direct_offer_setup(struct call *c)
{
	set(c, false);
	if (!is_wanted(c))
		return;
	set(c, true);
	direct_step(c, "offer_peer", SIDE_B, 0);
}

void direct_answer_setup(struct call *c)
{
	if (!c->course.at_setup || is_wanted(c))
		return;
	c->course.at_setup = false;
	c->media.leg[SIDE_A].peer = false;
	direct_install(c);
	direct_step(c, "setup_fallback", SIDE_B, 0);
}

bool direct_settled_setup(struct call *c)
{
	const struct media_leg *leg = c->media.leg;

	if (!leg[SIDE_B].peer)
		return false;
	if (!leg[SIDE_A].peer)
		direct_back(c, "setup_fallback", SIDE_B, 0);
	else if (leg_settled(c->side[SIDE_A].leg))
		direct_begin(c, "set_up");
	return true;
}
