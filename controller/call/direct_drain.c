// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both legs have agreed. The entries forward until nothing comes any more, then they are removed;
 * while the call is direct it is looked at whether somebody sends here after all, and whether the
 * far ends are still there.
 */
#include "call/call_priv.h"

enum {
	DRAIN_LOOK_MS = 100,
	DIRECT_LOOK_MS = 1000,
	STRAYS_MIN = 5,	 /* in two looks: 2 s */
	PING_MS = 90000, /* where no session timer tells that a far end is gone */
};

void direct_drain(struct call *c)
{
	direct_enter(c, MEDIA_DRAIN, "agreed", -1, 0);
	histogram_add(&c->all->counts.transition_seconds,
		      (double)(c->media.since_ms - c->media.move_ms) / 1000);
	timer_set(&c->media.timer, DRAIN_LOOK_MS);
}

/* Nothing of this kind came for so long. */
static bool is_idle(const struct flow_counters *n, double s)
{
	return n->last_s < 0 || n->last_s >= s;
}

static uint64_t strays_of(const struct call *c, enum side side)
{
	struct stream_report r;

	stream_report(c->stream, side, &r);
	return r.rtp.dropped - r.rtp.wrong_source;
}

void direct_begin(struct call *c, const char *event)
{
	struct call_media *m = &c->media;

	call_lines_set_direct(c, true);
	m->moved_once = true;
	m->pinged_ms = loop_now_ms(c->all->setup.loop);
	for (int i = 0; i < 2; i++)
		m->leg[i].strays[0] = m->leg[i].strays[1] = strays_of(c, (enum side)i);
	direct_enter(c, MEDIA_DIRECT, event, -1, 0);
	timer_set(&m->timer, DIRECT_LOOK_MS);
}

static void tear_down(struct call *c)
{
	direct_count(c, MEDIA_RESULT_ok);
	for (int i = 0; i < 2; i++)
		call_note_move(c, (enum side)i, QUIRK_WORKED);
	direct_begin(c, "torn_down");
}

static void ignores_c(struct call *c, enum side side)
{
	c->course.leg[side].ignores_c = true;
	direct_count(c, MEDIA_RESULT_ignores_c);
	call_note_move(c, side, QUIRK_IGNORED_C);
	direct_back(c, "ignores_c", (int)side, 0);
}

void direct_drain_look(struct call *c)
{
	const struct conf *conf = peers_conf(c->peers);
	uint64_t past_ms = loop_now_ms(c->all->setup.loop) - c->media.since_ms;
	double idle_s = conf->drain_idle_ms / 1000.0;
	bool rtp = past_ms >= conf->drain_idle_ms, rtcp = rtp;
	int sends = -1;

	for (int i = 0; i < 2; i++) {
		struct stream_report r;

		stream_report(c->stream, (enum side)i, &r);
		rtcp &= is_idle(&r.rtcp, idle_s);
		if (is_idle(&r.rtp, idle_s))
			continue;
		rtp = false;
		sends = i;
	}
	/* RTCP alone does not tell that a leg ignores what it was told. */
	if (rtp && (rtcp || past_ms >= conf->drain_max_ms))
		tear_down(c);
	else if (sends >= 0 && past_ms >= conf->drain_max_ms)
		ignores_c(c, (enum side)sends);
	else
		timer_set(&c->media.timer, DRAIN_LOOK_MS);
}

/* The oldest of three looks falls out. */
static bool strays(struct call *c, enum side side)
{
	uint64_t *seen = c->media.leg[side].strays, now = strays_of(c, side);
	bool many = now - seen[0] >= STRAYS_MIN;

	seen[0] = seen[1];
	seen[1] = now;
	return many;
}

static void ping(struct call *c)
{
	uint64_t now = loop_now_ms(c->all->setup.loop);

	if (now - c->media.pinged_ms < PING_MS)
		return;
	c->media.pinged_ms = now;
	for (int i = 0; i < 2; i++)
		if (!leg_has_session(c->side[i].leg))
			leg_ping(c->side[i].leg);
}

void direct_look(struct call *c)
{
	for (int i = 0; i < 2; i++)
		if (strays(c, (enum side)i)) {
			ignores_c(c, (enum side)i);
			return;
		}
	ping(c);
	timer_set(&c->media.timer, DIRECT_LOOK_MS);
}
