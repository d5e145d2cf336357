// SPDX-License-Identifier: GPL-2.0-or-later
/* What is known of the device on a leg, and what a call teaches about it. */
#include "call/call_priv.h"

bool call_breaks_on_reinvite(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side];
	const char *agent = s->leg ? leg_user_agent(s->leg) : "";

	return conf_peer_has_quirk(s->peer, agent) ||
	       quirks_no_reinvite(c->all->setup.quirks, s->peer->name, agent, time(NULL));
}

bool call_may_reinvite(const struct call *c, enum side side)
{
	return c->side[side].peer->canreinvite && !call_breaks_on_reinvite(c, side);
}

void call_note_move(const struct call *c, enum side side, enum quirk_outcome outcome)
{
	const struct call_side *s = &c->side[side];

	if (s->leg)
		quirks_note(c->all->setup.quirks, s->peer->name, leg_user_agent(s->leg), c->owner,
			    outcome, time(NULL));
}
