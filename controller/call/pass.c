// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests within calls that are the far ends' business; INVITE with Replaces. */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>

/* How long a transfer is waited for: of a REFER that may be refused, and of one that is served
 * (as long as a callee rings, RFC 3261 16.6, timer C). */
enum { REFER_MS = 32000, TRANSFER_MS = 180000 };

static void follow_transfer(struct call *c, const struct relay *relay)
{
	uint64_t now = loop_now_ms(c->all->setup.loop);

	switch (relay_transfer(relay)) {
	case RELAY_REFER:
		c->transfer_until_ms = now + REFER_MS;
		break;
	case RELAY_REFER_GOES_ON:
		if (c->transfer_until_ms > now)
			c->transfer_until_ms = now + TRANSFER_MS;
		break;
	case RELAY_REFER_ENDS:
		c->transfer_until_ms = 0;
		break;
	case RELAY_NO_TRANSFER:
		return;
	}
	call_review(c);
	direct_changed(c);
}

void call_requested(struct call *c, enum side side, struct relay *relay)
{
	struct leg *other = c->side[side_other(side)].leg;
	int err = other ? relay_to_leg(relay, other) : -ENOTCONN;

	if (!err)
		follow_transfer(c, relay);
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
	r->bind = leg_bind(request->replaces);
	r->peers = other->peers;
	r->route = (struct conf_route){
		.name = "replaces", .to = &r->to, .n_to = 1, .prepend = "", .dial = { .text = "" }
	};
	snprintf(r->dialled, sizeof(r->dialled), "%s",
		 side == SIDE_B ? other->dialled : other->from);
	return r;
}
