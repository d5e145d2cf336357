// SPDX-License-Identifier: GPL-2.0-or-later
/* Which answered calls hear nothing, one way or both, while it happens. */
#include "call/call_priv.h"

/* Longer than what a jitter buffer bridges, shorter than what callers stand. */
#define SILENT_S 5

/* RTCP counts: who suppresses silence still reports (canreinvite.md pitfall 16). */
static bool is_silent(const struct call *c, enum side side)
{
	double up = (double)(loop_now_ms(c->all->setup.loop) - c->answered_ms) / 1000;
	struct stream_report r;

	if (up < SILENT_S)
		return false;
	stream_report(c->stream, side, &r);
	return (r.rtp.last_s < 0 || r.rtp.last_s >= SILENT_S) &&
	       (r.rtcp.last_s < 0 || r.rtcp.last_s >= SILENT_S);
}

static bool must_speak(const struct call *c)
{
	/* A fax speaks one way at a time. */
	return c->state == CALL_UP && c->side[SIDE_A].audio.content != CONTENT_UDPTL &&
	       !strcmp(call_path(c), "relay") &&
	       !desc_holds(&c->side[SIDE_A].audio) && !desc_holds(&c->side[SIDE_B].audio);
}

static uint64_t *count_of(struct call *c)
{
	struct calls_report *counts = &c->all->counts;

	return c->silent_sides == 2 ? &counts->nortp : &counts->oneway;
}

static void set_silent(struct call *c, unsigned int sides)
{
	if (sides == c->silent_sides)
		return;
	if (c->silent_sides)
		--*count_of(c);
	c->silent_sides = sides;
	if (!sides)
		return;
	++*count_of(c);
	log_info("call %s: no media from %s", c->id, sides == 2 ? "either side" : "one side");
}

void call_silence_look(struct call *c)
{
	if (must_speak(c))
		set_silent(c, is_silent(c, SIDE_A) + is_silent(c, SIDE_B));
	else
		set_silent(c, 0);
}

void call_silence_end(struct call *c)
{
	set_silent(c, 0);
}
