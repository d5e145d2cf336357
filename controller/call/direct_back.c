// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way back to the relay. The entries are installed before anybody is told: whichever leg
 * answers first, what it sends here reaches the other. Both are asked at once.
 */
#include "call/call_priv.h"

enum {
	TRIES = 3,
	TRY_AGAIN_MS = 2000,
	LATER_MAX_S = 32,
	BACK_MAX_MS = 60000, /* glare is borne so long */
	SPLIT_AGAIN_MS = 10000,
	LOOK_AGAIN_MS = 100,
};

static int told_peer(const struct call *c)
{
	return c->media.leg[SIDE_A].peer + c->media.leg[SIDE_B].peer;
}

static void stop_waiting(struct call *c)
{
	for (int i = 0; i < 2; i++)
		timer_stop(&c->media.leg[i].again);
}

void direct_install(struct call *c)
{
	if (c->media.state == MEDIA_DIRECT)
		c->media.here_ms = loop_now_ms(c->all->setup.loop);
	call_lines_set_direct(c, false);
}

void direct_back(struct call *c, const char *event, int side, int code)
{
	struct media_verdict v;

	stop_waiting(c);
	direct_install(c);
	direct_judge(c, &v);
	snprintf(c->media.reason, sizeof(c->media.reason), "%s", v.reason);
	for (int i = 0; i < 2; i++)
		c->media.leg[i].refusals = c->media.leg[i].glares = 0;
	direct_enter(c, told_peer(c) == 2 ? MEDIA_BACK_2 : MEDIA_BACK_1, event, side, code);
	direct_back_on(c);
}

static void arrived(struct call *c)
{
	struct call_media *m = &c->media;

	m->moved_once = true;
	direct_enter(c, MEDIA_RELAY, "back", -1, 0);
	if (m->needs)
		call_hold_follow(c);
	direct_changed(c);
}

/* Its dialog is free for an offer. */
static bool is_free(const struct call *c, enum side side)
{
	return !c->offer.open && !c->ask.open && leg_settled(c->side[side].leg);
}

static bool given_up(const struct call *c, enum side side)
{
	return c->media.leg[side].refusals >= TRIES;
}

void direct_back_on(struct call *c)
{
	bool open = false;

	if (c->offer.returns)
		return;
	for (int i = 0; i < 2; i++) {
		struct media_leg *m = &c->media.leg[i];
		enum side side = (enum side)i;

		if (m->peer && !m->open && !timer_running(&m->again) && !given_up(c, side)) {
			if (!is_free(c, side))
				timer_set(&c->media.timer, LOOK_AGAIN_MS);
			else if (direct_offer(c, side, false))
				direct_back_refused(c, side, 503);
		}
		open |= m->open || timer_running(&m->again);
	}
	if (open || timer_running(&c->media.timer) || c->media.state == MEDIA_SPLIT)
		return;
	if (!told_peer(c)) {
		arrived(c);
	} else if (given_up(c, SIDE_A) || given_up(c, SIDE_B)) {
		direct_enter(c, MEDIA_SPLIT, "split", -1, 0);
		timer_set(&c->media.timer, SPLIT_AGAIN_MS);
	}
}

void direct_back_refused(struct call *c, enum side side, int code)
{
	struct media_leg *m = &c->media.leg[side];
	struct leg *leg = c->side[side].leg;
	uint64_t now = loop_now_ms(c->all->setup.loop);
	unsigned int later_s = leg_later_s(leg);

	if (code == 491 && now - c->media.since_ms < BACK_MAX_MS) {
		timer_set(&m->again, leg_glare_ms(leg) + 1);
		return;
	}
	if (++m->refusals < TRIES)
		timer_set(&m->again,
			  later_s && later_s <= LATER_MAX_S ? later_s * 1000ull : TRY_AGAIN_MS);
	else
		direct_back_on(c);
}

void direct_split_again(struct call *c)
{
	for (int i = 0; i < 2; i++)
		c->media.leg[i].refusals = TRIES - 1;
	direct_enter(c, told_peer(c) == 2 ? MEDIA_BACK_2 : MEDIA_BACK_1, "again", -1, 0);
	direct_back_on(c);
}
