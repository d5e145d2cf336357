// SPDX-License-Identifier: GPL-2.0-or-later
/* The clocks of an answered call: the limit of S() or L(), and the media timeouts. */
#include "call/call_priv.h"

static double youngest(double a, double b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

/* Seconds since anything of either leg's media was forwarded, RTCP too: a leg that suppresses
 * silence is not dead (canreinvite.md pitfall 16). Counted from the answer where nothing came yet,
 * from its return where media was direct. */
static double idle_s(const struct call *c)
{
	uint64_t since_ms = c->media.here_ms ? c->media.here_ms : c->answered_ms;
	double since_answer = (double)(loop_now_ms(c->all->setup.loop) - since_ms) / 1000;
	double idle = -1;

	for (int i = 0; i < 2; i++) {
		struct stream_report r;

		stream_report(c->stream, (enum side)i, &r);
		idle = youngest(idle, youngest(r.rtp.last_s, r.rtcp.last_s));
	}
	return idle < 0 || idle > since_answer ? since_answer : idle;
}

static unsigned int timeout_s(const struct call *c)
{
	const struct conf *conf = peers_conf(c->peers);
	bool held = desc_holds(&c->side[SIDE_A].audio) || desc_holds(&c->side[SIDE_B].audio);

	return held ? conf->rtpholdtimeout_s : conf->rtptimeout_s;
}

/* A call is looked at this often at least: a hold may begin or end, a side fall silent. */
#define LOOK_AGAIN_MS 5000

static void on_idle(void *owner)
{
	struct call *c = owner;
	/* Who is direct is not heard here (pitfall 68). */
	unsigned int limit = direct_is_out(c) ? 0 : timeout_s(c);
	double idle = idle_s(c);

	call_review(c);
	call_silence_look(c);
	if (limit && idle >= limit) {
		call_end(c, "rtp_timeout", 408, NULL, 0);
		return;
	}
	uint64_t wait = limit ? (uint64_t)((limit - idle) * 1000) + 1 : LOOK_AGAIN_MS;

	timer_set(&c->idle, wait < LOOK_AGAIN_MS ? wait : LOOK_AGAIN_MS);
	if (c->media.state == MEDIA_RELAY)
		direct_changed(c);
}

static void on_limit(void *owner)
{
	call_end(owner, "limit", 0, NULL, 0);
}

void call_watch_start(struct call *c)
{
	const struct conf_dial *dial = &c->route->dial;
	uint64_t limit = dial->limit_ms;

	if (dial->stop_s && (!limit || dial->stop_s * 1000ull < limit))
		limit = dial->stop_s * 1000ull;
	timer_stop(&c->ring);
	timer_init(&c->ring, c->all->setup.loop, on_limit, c);
	if (limit)
		timer_set(&c->ring, limit);
	timer_init(&c->idle, c->all->setup.loop, on_idle, c);
	timer_set(&c->idle, 1000);
}
