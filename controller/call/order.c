// SPDX-License-Identifier: GPL-2.0-or-later
/* The order in which the targets of a route are tried, and how much each of them carries. */
#include "call/call_priv.h"

#include <errno.h>

/* The first target not tried, of those that do not rest where `awake`. */
static bool choose(struct call *c, bool awake)
{
	uint64_t now = loop_now_ms(c->all->setup.loop);

	for (size_t i = 0; i < c->route->n_to; i++) {
		const struct conf_peer *peer = c->route->to[i];

		if (c->tried & 1ull << i)
			continue;
		if (awake && peer && peer_load_rests(peer_load_of(c->peers, peer), now))
			continue;
		c->tried |= 1ull << i;
		c->target = i;
		return true;
	}
	return false;
}

/* RFC 3261 21.5.4: who said Retry-After is asked behind the others, and still asked where nobody
 * else is left: its own answer is a better one than ours. */
bool call_choose_target(struct call *c)
{
	return choose(c, true) || choose(c, false);
}

int call_count(struct call *c, enum side side, struct peer_load *load)
{
	struct call_side *s = &c->side[side];
	int err = 0;

	c->over = NULL;
	if (s->load == load)
		return 0;
	call_uncount(c, side);
	/* The caller's was asked before the call was made: see admit() in calls.c. */
	if (side == SIDE_B)
		err = peer_load_ask(load, s->peer, loop_now_ms(c->all->setup.loop));
	if (err) {
		c->over = err == -EUSERS ? "peer_limit" : "peer_rate";
		return 503;
	}
	peer_load_begin(load);
	s->load = load;
	return 0;
}

void call_uncount(struct call *c, enum side side)
{
	if (c->side[side].load)
		peer_load_end(c->side[side].load);
	c->side[side].load = NULL;
}

void call_rest_target(struct call *c, int code, unsigned int retry_after_s)
{
	struct peer_load *load = c->side[SIDE_B].load;

	/* Of a name only the last server speaks for them all. */
	if (c->contact + 1 < c->n_servers)
		return;
	if (code == 503 && retry_after_s && load)
		peer_load_rest(load, loop_now_ms(c->all->setup.loop), retry_after_s);
}
