// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hold where there is music for it (canreinvite.md 6.4): who holds is answered by us, the other leg
 * is not told and hears music, until who holds resumes. Each direction has a state of its own: both
 * may hold (pitfall 63), and hold is never answered with hold. Without music hold passes.
 */
#include "call/call_priv.h"

#include <errno.h>
#include <string.h>

enum { WAY_AGAIN_MS = 300 };

static const char *tune_of(const struct call_side *holder)
{
	const struct conf_moh *moh = conf_peer_moh(holder->peer, holder->realm);

	return moh ? moh->path : NULL;
}

/* By which coding and number music reaches that leg. -ENOENT: it was not told of either half of
 * G.711, or does not take it; or it hears under keys that are not ours. */
static int coding_for(const struct call *c, enum side side, struct music_way *way)
{
	const struct call_side *s = &c->side[side];
	struct desc *told;
	bool alaw;
	int err = s->said && s->origin.last &&
				  (s->audio.content == CONTENT_RTP ||
				   call_keys_suite(call_main_line(c), side))
			  ? desc_parse(&told, s->origin.last, s->origin.last_len, NULL)
			  : -ENOENT;

	if (err)
		return err;
	err = desc_g711(s->said, told, &way->payload_type, &alaw);
	way->coding = alaw ? TUNE_PCMA : TUNE_PCMU;
	desc_free(told);
	return err;
}

static bool takes_audio(const struct desc_audio *audio)
{
	return !addr_is_any(&audio->rtp) &&
	       (audio->direction == DIR_SENDRECV || audio->direction == DIR_RECVONLY);
}

/* Is there music for the other leg while `side` holds? */
static bool has_music(const struct call *c, enum side side)
{
	const char *path = tune_of(&c->side[side]);
	struct music_way way;

	return path && music_has(c->all->setup.music, path) &&
	       coding_for(c, side_other(side), &way) == 0;
}

bool call_hold_is_ours(const struct call *c, enum side side, const struct desc *offer)
{
	struct desc_audio audio;

	if (c->state != CALL_UP)
		return false;
	if (c->side[SIDE_A].holds || c->side[SIDE_B].holds)
		return true;
	return desc_audio(offer, &audio) == 0 && desc_holds(&audio) && has_music(c, side);
}

void call_hold_answered(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];

	s->holds = desc_holds(&s->audio) && (s->holds || has_music(c, side));
	call_hold_follow(c);
}

static int seal(void *ctx, uint8_t *packet, size_t len, bool rtcp)
{
	const struct call_ear *ear = ctx;

	return stream_seal(ear->stream, ear->side, packet, len, rtcp);
}

static int play_to(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	struct stream_way to;
	struct music_way way;
	int err = stream_way(c->stream, side, &to);

	if (!err)
		err = coding_for(c, side, &way);
	if (err)
		return err;
	way.rtp = (struct wire_way){ .from = to.from, .to = to.to, .ifindex = to.ifindex };
	way.rtcp = to.rtcp_to;
	way.ssrc = music_source(s->player);
	if (!music_plays(s->player))
		way.ssrc = stream_source(c->stream, side, way.ssrc);
	way.seal = seal;
	way.ctx = &s->ear;
	s->ear = (struct call_ear){ c->stream, side };
	return music_play(&s->player, c->all->setup.music, tune_of(&c->side[side_other(side)]),
			  &way);
}

static void stop(struct call *c, enum side side)
{
	music_pause(c->side[side].player);
	if (c->stream)
		stream_replace(c->stream, side, false);
}

/* Another source would be the next. */
static void end(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];

	music_stop(s->player);
	s->player = NULL;
	stop(c, side);
}

static void follow(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	int err;

	/* While it still sends to the holder it listens there, too. */
	if (!c->side[side_other(side)].holds || !takes_audio(&s->audio) ||
	    c->media.leg[side].peer) {
		stop(c, side);
		return;
	}
	stream_replace(c->stream, side, true);
	err = play_to(c, side);
	if (err == -EAGAIN) /* what plays plays on */
		timer_set(&c->music, WAY_AGAIN_MS);
	if (!err || err == -EAGAIN)
		return;
	log_info("call %s no music for %c: %s", c->id, "ab"[side], strerror(-err));
	stop(c, side);
}

void call_hold_follow(struct call *c)
{
	for (int i = 0; i < 2; i++) {
		struct call_side *s = &c->side[i];

		s->holds = s->holds && desc_holds(&s->audio);
	}
	direct_set_need(c, NEED_MUSIC, c->side[SIDE_A].holds || c->side[SIDE_B].holds);
	for (int i = 0; i < 2; i++)
		follow(c, (enum side)i);
}

static void on_again(void *owner)
{
	call_hold_follow(owner);
}

void call_hold_init(struct call *c)
{
	timer_init(&c->music, c->all->setup.loop, on_again, c);
}

void call_hold_stop(struct call *c)
{
	timer_stop(&c->music);
	end(c, SIDE_A);
	end(c, SIDE_B);
}
