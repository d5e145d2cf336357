// SPDX-License-Identifier: GPL-2.0-or-later
/* The states of a call's media (canreinvite.md 6.5), and what makes them change. */
#include "call/call_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	/* Once a call has moved: what kept it here has ended (canreinvite.md 6.4, unhold). */
	SETTLE_AGAIN_MS = 200,
	/* Somebody's transaction is still open. */
	LOOK_AGAIN_MS = 100,
	/* Where a leg's media comes from is not known yet, which no event tells. */
	LEARN_MS = 500,
};

static void on_timer(void *owner)
{
	struct call *c = owner;

	switch (c->media.state) {
	case MEDIA_SETTLE:
		if (direct_quiet(c))
			direct_move(c);
		else
			timer_set(&c->media.timer, LOOK_AGAIN_MS);
		break;
	case MEDIA_DRAIN:
		direct_drain_look(c);
		break;
	case MEDIA_DIRECT:
		direct_look(c);
		break;
	case MEDIA_SPLIT:
		direct_split_again(c);
		break;
	default:
		direct_changed(c);
	}
}

/* A leg's next attempt is due. */
static void on_again(void *owner)
{
	direct_changed(owner);
}

void direct_init(struct call *c)
{
	struct loop *loop = c->all->setup.loop;

	timer_init(&c->media.timer, loop, on_timer, c);
	for (int i = 0; i < 2; i++)
		timer_init(&c->media.leg[i].again, loop, on_again, c);
	strcpy(c->media.reason, "NOT_ANSWERED");
}

void direct_free(struct call *c)
{
	timer_stop(&c->media.timer);
	for (int i = 0; i < 2; i++) {
		timer_stop(&c->media.leg[i].again);
		desc_origin_free(&c->media.leg[i].before);
		desc_free(c->media.leg[i].held);
	}
	if (c->media.state == MEDIA_SPLIT)
		c->all->counts.split--;
	free(c->media.trail);
}

void direct_ended(struct call *c)
{
	struct call_media *m = &c->media;

	if (c->course.moving || m->state == MEDIA_DRAIN)
		direct_count(c, MEDIA_RESULT_aborted);
}

uint64_t direct_spent_ms(const struct call *c)
{
	const struct call_media *m = &c->media;

	return m->direct_ms +
	       (m->state == MEDIA_DIRECT ? loop_now_ms(c->all->setup.loop) - m->since_ms : 0);
}

static const char *need_reason(unsigned int needs)
{
	static const char *const texts[] = { "HOLD", "RECORDING", "DTMF_FEATURE", "T38",
					     "TRANSFER" };

	return texts[__builtin_ctz(needs)];
}

void direct_judge(const struct call *c, struct media_verdict *out)
{
	struct policy_facts facts;
	struct policy_verdict v;

	call_collect(c, &facts);
	facts.course.settling = facts.course.moving = false;
	if (facts.course.glare == POLICY_GLARE_WAITS)
		facts.course.glare = POLICY_GLARE_NONE;
	policy_decide(&v, &facts);
	*out = (struct media_verdict){ .direct = policy_goes_direct(&v),
				       .stay = v.decision == POLICY_DECIDES_STAY,
				       .permanent = v.class == POLICY_PERMANENT,
				       .may_learn = v.row == POLICY_ROW_NAT_UNKNOWN };
	policy_reason(out->reason, &v);
	if (!c->media.needs || (!out->direct && !out->stay))
		return;
	out->direct = out->stay = false;
	snprintf(out->reason, sizeof(out->reason), "%s", need_reason(c->media.needs));
}

void direct_count(struct call *c, enum media_result result)
{
	c->all->counts.transitions[result]++;
}

void direct_enter(struct call *c, enum media_state state, const char *event, int side, int code)
{
	struct call_media *m = &c->media;
	uint64_t now = loop_now_ms(c->all->setup.loop);

	timer_stop(&m->timer);
	if (m->state == MEDIA_DIRECT && state != MEDIA_DIRECT)
		m->direct_ms += now - m->since_ms;
	if ((state == MEDIA_SPLIT) != (m->state == MEDIA_SPLIT))
		c->all->counts.split += state == MEDIA_SPLIT ? 1 : (uint64_t)-1;
	m->state = state;
	m->since_ms = now;
	c->course.settling = state == MEDIA_SETTLE;
	c->course.moving = state >= MEDIA_MOVE_1 && state <= MEDIA_RECON;
	if (!c->course.settling && !c->course.moving)
		m->digit_ms = 0;
	direct_step(c, event, side, code);
}

static void say(struct call *c, const char *reason)
{
	snprintf(c->media.reason, sizeof(c->media.reason), "%s", reason);
}

void direct_rest(struct call *c, const char *event, int side, int code)
{
	struct media_verdict v;
	enum media_state state;

	direct_judge(c, &v);
	state = v.permanent ? MEDIA_LOCKED : MEDIA_RELAY;
	if (state != c->media.state || strcmp(v.reason, c->media.reason) != 0) {
		say(c, v.reason);
		direct_enter(c, state, event, side, code);
	}
	if (v.may_learn)
		timer_set(&c->media.timer, LEARN_MS);
}

static uint64_t settle_ms(const struct call *c)
{
	const struct conf *conf = peers_conf(c->peers);
	unsigned int random = 0, range = conf->settle.hi_ms - conf->settle.lo_ms + 1;

	if (c->media.moved_once || c->course.mode == POLICY_FORCE_DIRECT)
		return SETTLE_AGAIN_MS;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = 0;
	return conf->settle.lo_ms + random % range;
}

void direct_settle(struct call *c, uint64_t ms, const char *event, int side, int code)
{
	uint64_t now = loop_now_ms(c->all->setup.loop);

	if (now + ms < c->media.not_before_ms)
		ms = c->media.not_before_ms - now;
	c->media.not_before_ms = now + ms;
	say(c, c->course.glare == POLICY_GLARE_WAITS ? "GLARE" : "SETTLE");
	direct_enter(c, MEDIA_SETTLE, event, side, code);
	timer_set(&c->media.timer, ms);
}

/* Nothing has moved: may it? */
static void reconsider(struct call *c)
{
	struct media_verdict v;

	direct_judge(c, &v);
	if (!v.direct)
		direct_rest(c, "decided", -1, 0);
	else if (c->media.state == MEDIA_SETTLE && c->course.glare == POLICY_GLARE_WAITS)
		return;
	else
		direct_settle(c, settle_ms(c), "settle", -1, 0);
}

/* Everybody has agreed to be direct: is it still wanted, and is what they were told still true? */
static void check(struct call *c)
{
	struct media_verdict v;

	direct_judge(c, &v);
	if (!v.direct && !v.stay) {
		direct_back(c, "return", -1, 0);
		return;
	}
	if (!c->media.leg[SIDE_A].peer || !c->media.leg[SIDE_B].peer || direct_stale(c, SIDE_A) ||
	    direct_stale(c, SIDE_B)) {
		c->media.recons = 0;
		direct_install(c);
		direct_enter(c, MEDIA_RECON, "address_changed", -1, 0);
		direct_move_on(c);
	}
}

/* An offer that waited for ours is served before anything else of ours goes out. */
static bool serve_held(struct call *c)
{
	for (int i = 0; i < 2; i++) {
		struct desc *offer = c->media.leg[i].held;

		if (!offer || direct_offered(c, side_other((enum side)i)))
			continue;
		c->media.leg[i].held = NULL;
		call_serve_offer(c, (enum side)i, offer);
		return true;
	}
	return false;
}

void direct_changed(struct call *c)
{
	if (c->state != CALL_UP || serve_held(c))
		return;
	call_lines_prune(c);
	switch (c->media.state) {
	case MEDIA_SETUP:
		if (!direct_settled_setup(c) && leg_settled(c->side[SIDE_A].leg) && !c->ask.open)
			reconsider(c);
		break;
	case MEDIA_RELAY:
	case MEDIA_SETTLE:
	case MEDIA_LOCKED:
		reconsider(c);
		break;
	case MEDIA_MOVE_1:
	case MEDIA_MOVE_2:
	case MEDIA_RECON:
		direct_move_on(c);
		break;
	case MEDIA_DRAIN:
	case MEDIA_DIRECT:
		if (direct_quiet(c))
			check(c);
		break;
	case MEDIA_BACK_1:
	case MEDIA_BACK_2:
		direct_back_on(c);
		break;
	case MEDIA_SPLIT:
	case MEDIA_N_STATES:
		break;
	}
}

bool direct_quiet(const struct call *c)
{
	return !c->offer.open && !c->ask.open && !direct_offered(c, SIDE_A) &&
	       !direct_offered(c, SIDE_B) && leg_settled(c->side[SIDE_A].leg) &&
	       leg_settled(c->side[SIDE_B].leg);
}

bool direct_is_here(const struct call *c)
{
	const struct media_leg *leg = c->media.leg;

	return !leg[SIDE_A].peer && !leg[SIDE_B].peer && !leg[SIDE_A].open && !leg[SIDE_B].open;
}

bool direct_is_out(const struct call *c)
{
	for (int i = 0; i < 2; i++) {
		const struct media_leg *m = &c->media.leg[i];

		if (!(m->open ? m->peer_before : m->peer))
			return false;
	}
	return true;
}

void direct_set_need(struct call *c, enum media_need need, bool on)
{
	c->media.needs = on ? c->media.needs | need : c->media.needs & ~(unsigned int)need;
}

bool direct_must_hold(const struct call *c, enum side side)
{
	return direct_offered(c, side_other(side));
}

void direct_hold(struct call *c, enum side side, struct desc *offer)
{
	desc_free(c->media.leg[side].held);
	c->media.leg[side].held = offer;
	direct_step(c, "offer_waits", (int)side, 0);
}

void direct_held_cancelled(struct call *c, enum side side)
{
	desc_free(c->media.leg[side].held);
	c->media.leg[side].held = NULL;
}
