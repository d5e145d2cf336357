// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The move out: one leg after the other, make before break. The entries stay in force through all
 * of it, so that a half moved call is heard in both directions.
 */
#include "call/call_priv.h"

#include <errno.h>

enum {
	GLARES_MAX = 4,
	RECONS_MAX = 2,
	LATER_MAX_S = 32,
	/* 500 without Retry-After: our re-INVITE overtook an ACK (pitfall 36). */
	OVERTOOK_MS = 2000,
	/* Somebody's transaction is still open, or a key is held down. */
	LOOK_AGAIN_MS = 100,
	DIGIT_MAX_MS = 5000,
};

/* First the leg with the worse record, else the callee's: its dialog is ours, and a refusal costs
 * nothing while nobody has moved. */
static enum side worse(const struct call *c)
{
	return c->media.leg[SIDE_A].refusals > c->media.leg[SIDE_B].refusals ? SIDE_A : SIDE_B;
}

/* True: a leg's own re-INVITE is waited for, or did not come in time. */
static bool withhold(struct call *c)
{
	uint64_t now = loop_now_ms(c->all->setup.loop), past;
	int side = direct_withheld(c);

	if (side < 0)
		return false;
	if (!c->media.withheld_ms)
		c->media.withheld_ms = now;
	past = now - c->media.withheld_ms;
	if (past < POLICY_WITHHOLD_MS) {
		direct_settle(c, POLICY_WITHHOLD_MS - past, "withheld", side, 0);
		snprintf(c->media.reason, sizeof(c->media.reason), "OUTGOING_WAIT");
		return true;
	}
	c->course.leg[side].waited_for = true;
	direct_rest(c, "withheld", side, 0);
	return true;
}

/* A telephone-event is under way: it shall not begin here and end elsewhere (pitfall 14). */
static bool waits_for_digit(struct call *c)
{
	uint64_t now = loop_now_ms(c->all->setup.loop);
	bool under_way = false;

	for (int i = 0; i < 2; i++) {
		struct stream_report r;

		stream_report(c->stream, (enum side)i, &r);
		under_way |= r.rtp.event;
	}
	if (!under_way)
		c->media.digit_ms = 0;
	else if (!c->media.digit_ms)
		c->media.digit_ms = now;
	return under_way && now - c->media.digit_ms < DIGIT_MAX_MS;
}

void direct_move(struct call *c)
{
	struct call_media *m = &c->media;
	struct media_verdict v;

	direct_judge(c, &v);
	if (!v.direct) {
		direct_rest(c, "decided", -1, 0);
		return;
	}
	if (withhold(c))
		return;
	if (waits_for_digit(c)) {
		timer_set(&m->timer, LOOK_AGAIN_MS);
		return;
	}
	c->course.glare = POLICY_GLARE_NONE;
	m->first = worse(c);
	m->recons = 0;
	m->move_ms = loop_now_ms(c->all->setup.loop);
	snprintf(m->reason, sizeof(m->reason), "%s", v.reason);
	direct_enter(c, MEDIA_MOVE_1, "move", -1, 0);
	direct_move_on(c);
}

/* Could not be sent. */
static void not_sent(struct call *c, enum side side, int err)
{
	log_info("call %s: no re-INVITE to %c: %d", c->id, "ab"[side], err);
	direct_move_refused(c, side, err == -ENOTSUP ? 488 : 503);
}

static void offer_peer(struct call *c, enum side side, enum media_state state)
{
	int err;

	if (timer_running(&c->media.leg[side].again))
		return;
	if (waits_for_digit(c)) {
		timer_set(&c->media.timer, LOOK_AGAIN_MS);
		return;
	}
	if (state != c->media.state)
		direct_enter(c, state, "next", (int)side, 0);
	err = direct_offer(c, side, true);
	if (err)
		not_sent(c, side, err);
}

static void reconcile(struct call *c, enum side side)
{
	if (timer_running(&c->media.leg[side].again))
		return;
	if (c->media.recons++ == RECONS_MAX) {
		c->course.leg[side_other(side)].unstable = true;
		direct_count(c, MEDIA_RESULT_unstable);
		direct_back(c, "unstable", (int)side_other(side), 0);
		return;
	}
	offer_peer(c, side, MEDIA_RECON);
}

void direct_move_on(struct call *c)
{
	enum side first = c->media.first, second = side_other(first);
	struct media_verdict v;

	if (direct_offered(c, SIDE_A) || direct_offered(c, SIDE_B))
		return;
	if (!direct_quiet(c)) {
		timer_set(&c->media.timer, LOOK_AGAIN_MS);
		return;
	}
	direct_judge(c, &v);
	if (!v.direct) {
		direct_count(c, MEDIA_RESULT_aborted);
		direct_back(c, "return", -1, 0);
	} else if (!c->media.leg[first].peer) {
		offer_peer(c, first, MEDIA_MOVE_1);
	} else if (!c->media.leg[second].peer) {
		offer_peer(c, second, MEDIA_MOVE_2);
	} else if (direct_stale(c, first)) {
		reconcile(c, first);
	} else if (direct_stale(c, second)) {
		reconcile(c, second);
	} else {
		direct_drain(c);
	}
}

/* How long until a refusal is asked again; 0: it is final. */
static uint64_t again_ms(struct call *c, enum side side, int code)
{
	struct media_leg *m = &c->media.leg[side];
	unsigned int later_s = leg_later_s(c->side[side].leg);

	if (code == 491)
		return m->glares++ < GLARES_MAX ? leg_glare_ms(c->side[side].leg) + 1 : 0;
	if (code < 500 || code > 599 || m->postponed || later_s > LATER_MAX_S)
		return 0;
	if (!later_s && code != 500)
		return 0;
	m->postponed = true;
	return later_s ? later_s * 1000ull : OVERTOOK_MS;
}

static enum media_result note_refusal(struct call *c, enum side side, int code)
{
	struct policy_leg_course *course = &c->course.leg[side];

	c->media.leg[side].refusals++;
	if (code == 491) {
		c->course.glare = POLICY_GLARE_GIVEN_UP;
		return MEDIA_RESULT_glare;
	}
	if (code == 408) {
		course->swallows = true;
		return MEDIA_RESULT_timeout;
	}
	if (c->media.state == MEDIA_RECON) {
		course->unstable = true;
		return MEDIA_RESULT_unstable;
	}
	course->refused = (unsigned int)code;
	call_note_move(c, side, QUIRK_REFUSED);
	return MEDIA_RESULT_refused;
}

void direct_move_refused(struct call *c, enum side side, int code)
{
	bool moved = c->media.leg[SIDE_A].peer || c->media.leg[SIDE_B].peer;
	uint64_t wait = again_ms(c, side, code);
	enum media_result result;

	if (wait && moved) {
		timer_set(&c->media.leg[side].again, wait);
		return;
	}
	if (wait) {
		if (code == 491)
			c->course.glare = POLICY_GLARE_WAITS;
		direct_settle(c, wait, code == 491 ? "glare" : "later", (int)side, code);
		return;
	}
	result = note_refusal(c, side, code);
	if (moved && result == MEDIA_RESULT_refused)
		result = MEDIA_RESULT_rolled_back;
	direct_count(c, result);
	if (moved)
		direct_back(c, "roll_back", (int)side, code);
	else
		direct_rest(c, "refused", (int)side, code);
}
