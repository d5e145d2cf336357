// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that are the far ends' business: from one leg to the other, or where a call of the same
 * caller to the same number would go. */
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

/* The first target that can be sent to. */
static int send_to_route(struct calls *all, struct relay *relay, const struct conf_route *route,
			 const struct sip_request *request, const char *dialled)
{
	int err = -EHOSTUNREACH;

	for (size_t i = 0; err && i < route->n_to; i++) {
		const struct conf_peer *peer = route->to[i];
		struct reach_target at;
		struct leg_target target;

		if (!peer)
			peer = reach_phone(all->setup.reach, all->peers, dialled);
		if (!peer || reach_target(all->setup.reach, all->peers, peer, 0, &at))
			continue;
		call_address(&target, peer, &at);
		target.number = dialled;
		target.from_display = request->from_display;
		if (!target.from_user)
			target.from_user = request->from_user;
		err = relay_to_target(relay, &target);
	}
	return err;
}

void calls_requested(struct calls *all, struct relay *relay, const struct sip_request *request)
{
	char dialled[256];
	const struct conf_peer *from = request->caller;
	const struct conf_route *route =
		route_find(all->peers, request->realm, from, request->number, dialled,
			   sizeof(dialled));

	relay_set_identity(relay, from->identity);
	if (!route)
		relay_refuse(relay, 404, NULL);
	else if (send_to_route(all, relay, route, request, dialled))
		relay_refuse(relay, 503, NULL);
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
