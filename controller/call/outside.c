// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests outside of calls that are the far ends' business: where a call of the same caller to the
 * same number would go. */
#include "call/call_priv.h"

#include <stdlib.h>

/* One of them on its way along a route. */
struct errand {
	struct calls *all;
	struct peers *peers; /* of when it began; they hold the route */
	const struct conf_route *route;
	size_t next; /* in route->to */
	char *from_user, *from_display;
	char dialled[256];
};

static void drop(void *owner)
{
	struct errand *e = owner;

	peers_unref(e->peers);
	free(e->from_user);
	free(e->from_display);
	free(e);
}

/* 0 or -errno: this target cannot be sent to. */
static int send_to(const struct errand *e, const struct conf_peer *peer, struct relay *relay)
{
	struct reach_target at;
	struct leg_target target;
	int err = reach_target(e->all->setup.reach, e->peers, peer, 0, &at);

	if (err)
		return err;
	call_address(&target, peer, &at);
	target.number = e->dialled;
	target.from_display = e->from_display;
	if (!target.from_user)
		target.from_user = e->from_user;
	return relay_to_target(relay, &target);
}

static bool next(void *owner, struct relay *relay)
{
	struct errand *e = owner;

	while (e->next < e->route->n_to) {
		const struct conf_peer *peer = e->route->to[e->next++];

		if (!peer)
			peer = reach_phone(e->all->setup.reach, e->peers, e->dialled);
		if (peer && send_to(e, peer, relay) == 0)
			return true;
	}
	return false;
}

/* NULL: no memory. */
static struct errand *errand_new(struct calls *all, const struct sip_request *request)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->all = all;
	e->peers = peers_ref(all->peers);
	e->from_user = strdup(request->from_user);
	e->from_display = strdup(request->from_display);
	e->route = route_find(all->peers, request->realm, request->caller, request->number,
			      e->dialled, sizeof(e->dialled));
	if (e->from_user && e->from_display)
		return e;
	drop(e);
	return NULL;
}

void calls_requested(struct calls *all, struct relay *relay, const struct sip_request *request)
{
	static const struct relay_targets targets = { .next = next, .drop = drop };
	const struct conf_peer *from = request->caller;
	struct errand *e = errand_new(all, request);

	relay_set_identity(relay, from->identity);
	if (e && e->route) {
		relay_along(relay, &targets, e);
		return;
	}
	relay_refuse(relay, e ? 404 : 503, NULL);
	if (e)
		drop(e);
}
