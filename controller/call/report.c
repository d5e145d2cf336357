// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots of calls and their counters; nothing here decides anything. */
#include "call/call_priv.h"

const char *call_state_text(enum call_state state)
{
	static const char *const texts[] = {
		[CALL_SETUP] = "setup",
		[CALL_EARLY] = "early",
		[CALL_UP] = "up",
		[CALL_ENDING] = "ending",
	};

	return texts[state];
}

/* Until something moves the policy's last word counts, and then what was made of it. */
static bool by_verdict(const struct call *c, const struct policy_verdict *v)
{
	return (c->media.state == MEDIA_SETUP || c->media.state == MEDIA_RELAY) &&
	       !c->media.needs && !policy_goes_direct(v);
}

static const char *reason_of(const struct call *c, const struct policy_verdict *v,
			     char text[POLICY_REASON_TEXT])
{
	return by_verdict(c, v) ? policy_reason(text, v) : strcpy(text, c->media.reason);
}

const char *call_reason(const struct call *c, char text[POLICY_REASON_TEXT])
{
	return reason_of(c, &c->verdict, text);
}

/* Decided anew while it lives, for sources may have been learned since; what is left of a call that
 * ends says nothing. */
static void fill_reason(const struct call *c, char text[POLICY_REASON_TEXT])
{
	struct policy_verdict now = c->verdict;

	if (c->state != CALL_ENDING)
		call_decide(c, &now);
	reason_of(c, &now, text);
}

const char *call_path(const struct call *c)
{
	return media_state_path(c->media.state);
}

/* The negotiated one, or on the leg that does not take it what it is translated to. */
static const char *codec_of(const struct call *c, enum side side)
{
	const struct desc *said = c->side[side].said;

	if (said && strcmp(c->codec, "PCMU") == 0 && !desc_takes(said, "PCMU"))
		return "PCMA";
	if (said && strcmp(c->codec, "PCMA") == 0 && !desc_takes(said, "PCMA"))
		return "PCMU";
	return c->codec;
}

static void fill_leg(const struct call *c, enum side side, struct call_leg_report *out)
{
	const struct call_side *s = &c->side[side];

	*out = (struct call_leg_report){
		.peer = s->peer ? s->peer->name : "",
		.realm = s->realm ? s->realm->name : "",
		.call_id = s->leg ? leg_call_id(s->leg) : "",
		.user_agent = s->leg ? leg_user_agent(s->leg) : "",
	};
	if (s->peer)
		conf_canreinvite_text(s->peer->canreinvite, out->canreinvite);
	out->direct = c->media.leg[side].peer;
	if (c->media.leg[side].open)
		out->offer = "open";
	else if (timer_running(&c->media.leg[side].again))
		out->offer = "waits";
	if (c->stream) {
		stream_report(call_shown_stream(c), side, &out->media);
		out->n_streams = call_lines_report(c, side, out->streams);
		if (s->origin.last)
			out->told = call_told(c, side);
	}
	snprintf(out->codec, sizeof(out->codec), "%s", codec_of(c, side));
	out->music = music_plays(s->player);
	out->crypto = crypto_suite_text(call_keys_suite(call_main_line(c), side));
}

/* That of its slower direction. */
static const char *plane_of(const struct call *c)
{
	enum datapath_plane slower = PLANE_XDP;

	if (!c->stream)
		return "none";
	for (enum side side = SIDE_A; side <= SIDE_B; side++) {
		struct stream_report report;

		stream_report(c->stream, side, &report);
		if (report.rtp.plane > slower)
			slower = report.rtp.plane;
	}
	return datapath_plane_text(slower);
}

void call_fill_report(const struct call *c, struct call_report *out)
{
	*out = (struct call_report){
		.id = c->id,
		.owner = c->owner,
		.state = c->state,
		.path = call_path(c),
		.media = media_state_text(c->media.state),
		.direct_s = (double)direct_spent_ms(c) / 1000,
		.trail = c->media.trail,
		.plane = plane_of(c),
		.started = c->started,
		.answered = c->answered,
		.from = c->from,
		.to = c->to,
		.from_uri = c->from_uri,
		.to_uri = c->to_uri,
		.route = c->route ? c->route->name : "",
	};
	fill_reason(c, out->reason);
	if (c->answered_ms)
		out->duration_s = (double)(loop_now_ms(c->all->setup.loop) - c->answered_ms) / 1000;
	fill_leg(c, SIDE_A, &out->leg[SIDE_A]);
	fill_leg(c, SIDE_B, &out->leg[SIDE_B]);
}

void histogram_init(struct calls_histogram *h, const double *bounds, size_t n)
{
	*h = (struct calls_histogram){ .bounds = bounds, .n = n };
}

void histogram_add(struct calls_histogram *h, double seconds)
{
	size_t i = 0;

	while (i < h->n && seconds > h->bounds[i])
		i++;
	h->count[i]++;
	h->sum += seconds;
}
