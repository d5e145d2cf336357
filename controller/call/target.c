// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a call goes: through the targets of its route, and the contacts of a phone among them. */
#include "call/call_priv.h"

#include <errno.h>

/* The peer behind a place of the route's list; NULL: no phone registered as the called user. */
static const struct conf_peer *peer_at(const struct call *c)
{
	const struct conf_peer *peer = c->route->to[c->target];

	return peer ? peer : reach_phone(c->all->setup.reach, c->peers, c->dialled);
}

/* A host by name has several servers, whose order is thrown anew for each call (RFC 2782). */
static void choose_server(struct call *c, const struct conf_peer *peer, struct reach_target *out)
{
	if (c->contact == 0)
		c->n_servers = peer_servers(c->peers, peer, c->servers, CALL_SERVERS_MAX);
	if (c->contact < c->n_servers)
		out->to = c->servers[c->contact];
}

/* RFC 3263 4.3: the next server, unless the last one was heard of and it is the callee who does not
 * answer. */
static bool next_server(struct call *c, const struct conf_peer *peer)
{
	if (c->rang || c->contact >= c->n_servers)
		return false;
	peer_server_failed(c->peers, peer, &c->servers[c->contact]);
	return ++c->contact < c->n_servers;
}

int call_find_target(struct call *c, struct reach_target *out)
{
	struct call_side *b = &c->side[SIDE_B];
	int err = -ENOENT;

	b->peer = peer_at(c);
	if (b->peer)
		err = reach_target(c->all->setup.reach, c->peers, b->peer,
				   b->peer->host_name ? 0 : c->contact, out);
	if (!err && b->peer->host_name)
		choose_server(c, b->peer, out);
	c->nowhere = err != 0;
	c->rang = false;
	if (err == -EHOSTUNREACH)
		return 503;
	if (err)
		return b->peer ? 480 : 404;
	/* The registrar's may be of a newer configuration than the call's. */
	b->realm = &peers_conf(c->peers)->realms[out->realm->index];
	return 0;
}

bool call_next_target(struct call *c)
{
	struct reach_target next;
	const struct conf_peer *peer = peer_at(c);

	if (!c->nowhere && peer && peer->host_name) {
		if (next_server(c, peer))
			return true;
	} else if (!c->nowhere && peer &&
	    reach_target(c->all->setup.reach, c->peers, peer, c->contact + 1, &next) == 0) {
		c->contact++;
		return true;
	}
	c->contact = 0;
	c->n_servers = 0;
	return call_choose_target(c);
}

/* Who asks, and where a call goes: the peer's, the caller's or our own name. */
void call_fill_target(const struct call *c, const struct reach_target *at, struct leg_target *out)
{
	call_address(out, c->side[SIDE_B].peer, at);
	if (c->replacing) {
		out->to = c->replacing->at;
		out->bind = c->replacing->bind;
	}
	out->number = c->dialled;
	out->from_display = c->display;
	out->max_forwards = c->max_forwards;
	out->way = c->way;
	out->reliability = leg_reliability(c->side[SIDE_A].leg);
	if (!out->from_user)
		out->from_user = c->from;
}

void call_address(struct leg_target *out, const struct conf_peer *peer,
		  const struct reach_target *at)
{
	*out = (struct leg_target){
		.realm = at->realm,
		.to = at->to,
		.host = at->host,
		.uri = at->uri,
		.bind = at->bind,
		.from_user = peer->fromuser,
		.from_host = peer->fromdomain,
		.force_rport = (peer->nat & NAT_FORCE_RPORT) != 0,
		.transport = at->transport,
		.grows = conf_transport_grows(peer, at->realm),
		.identity = peer->identity,
		.session = peer->session,
	};
	if (!conf_peer_login(peer, &out->user, &out->secret))
		out->secret = NULL;
}

int call_login(struct leg *leg, const struct conf_peer *peer)
{
	const char *user, *secret;

	return conf_peer_login(peer, &user, &secret) ? leg_login(leg, user, secret) : 0;
}
