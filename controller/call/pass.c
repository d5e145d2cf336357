// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests within calls that are the far ends' business; INVITE with Replaces. */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>

void call_requested(struct call *c, enum side side, struct relay *relay)
{
	struct leg *other = c->side[side_other(side)].leg;
	int err = other ? relay_to_leg(relay, other) : -ENOTCONN;

	if (err == -ENOTCONN)
		relay_refuse(relay, c->answered_ms ? 481 : 480, NULL);
	else if (err)
		relay_refuse(relay, 503, NULL);
}

void call_gone(struct call *c, enum side side, int code)
{
	if (code == 408 && (!c->stream || call_heard_lately(c, side)))
		return;
	call_end(c, side == SIDE_A ? "gone_a" : "gone_b", code, NULL, 0);
}

struct replacing *call_replacing(const struct sip_request *request)
{
	const struct call *other = request->replaces ? leg_owner(request->replaces) : NULL;
	struct replacing *r = other ? calloc(1, sizeof(*r)) : NULL;
	enum side side;

	if (!r)
		return NULL;
	side = request->replaces == other->side[SIDE_A].leg ? SIDE_A : SIDE_B;
	r->to = other->side[side].peer;
	r->at = leg_hop(request->replaces);
	r->peers = other->peers;
	r->route = (struct conf_route){
		.name = "replaces", .to = &r->to, .n_to = 1, .prepend = "", .dial = { .text = "" }
	};
	snprintf(r->dialled, sizeof(r->dialled), "%s",
		 side == SIDE_B ? other->dialled : other->from);
	return r;
}
