// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/music.h"

#include "service/rtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	SLOTS = 4,
	SLOT_MS = 5,
	FRAME = TUNE_RATE * SLOTS * SLOT_MS / 1000, /* samples of a packet */
	LATE_MS = 100,				    /* more is not caught up with */
	REPORT_FRAMES = 5000 / (SLOTS * SLOT_MS),   /* RFC 3550 6.2: every 5 s */
};

struct player {
	struct music *music;
	struct player *prev, *next; /* of its slot */
	unsigned int slot;
	struct tune *tune; /* NULL: it is silent */
	uint64_t left_ms; /* then: since when */
	size_t at; /* the next sample */
	struct music_way way;
	struct rtp_source source;
	unsigned int frames; /* since the last report */
};

struct music {
	struct loop *loop;
	struct tunes *tunes;
	struct wire *wire; /* NULL: nothing was ever to be played */
	struct timer timer;
	uint64_t due_ms; /* of `slot` */
	unsigned int slot; /* the next */
	uint64_t players;
	struct player *slots[SLOTS];
	unsigned int crowd[SLOTS]; /* how many are in it */
};

/* Takes a buffer for 32-bit words. */
static void put(struct player *p, const struct wire_way *to, uint32_t *words, size_t len,
		bool rtcp)
{
	uint8_t *packet = (uint8_t *)words;
	int sealed = p->way.seal ? p->way.seal(p->way.ctx, packet, len, rtcp) : (int)len;

	if (sealed > 0)
		wire_put(p->music->wire, to, packet, (size_t)sealed);
}

static void send_report(struct player *p, bool bye)
{
	struct wire_way way = p->way.rtp;
	uint32_t words[(RTCP_MAX + MUSIC_GROWTH + 3) / 4];
	struct timespec now;

	if (!p->way.rtcp.port || !p->source.talking)
		return;
	if (!addr_equal(&p->way.rtcp, &way.to)) /* else the two share a port (RFC 5761) */
		way.from.port++;
	way.to = p->way.rtcp;
	clock_gettime(CLOCK_REALTIME, &now);
	put(p, &way, words, rtp_report((uint8_t *)words, &p->source, &now, bye), true);
}

static void play_frame(struct player *p)
{
	uint32_t words[(RTP_HEADER + FRAME + MUSIC_GROWTH + 3) / 4];
	uint8_t *packet = (uint8_t *)words;

	rtp_header(packet, &p->source, p->way.payload_type, FRAME);
	p->at = tune_copy(p->tune, p->way.coding, p->at, packet + RTP_HEADER, FRAME);
	put(p, &p->way.rtp, words, RTP_HEADER + FRAME, false);
	if (p->frames++ % REPORT_FRAMES == 0)
		send_report(p, false);
	p->source.timestamp += FRAME;
}

/* What was missed is silence: the clock of every source goes on, its packets do not (RFC
 * 3550 5.1). */
static void skip(struct music *m, uint64_t now_ms)
{
	uint64_t rounds = (now_ms - m->due_ms) / (SLOTS * SLOT_MS);
	struct player *p;

	m->due_ms += rounds * SLOTS * SLOT_MS;
	for (int i = 0; i < SLOTS; i++)
		DL_FOREACH(m->slots[i], p)
			p->source.timestamp += (uint32_t)rounds * FRAME;
}

/* Sleeps until the next slot in which somebody is. */
static void arm(struct music *m)
{
	uint64_t now_ms = loop_now_ms(m->loop);

	if (!m->players)
		return;
	while (!m->slots[m->slot]) {
		m->slot = (m->slot + 1) % SLOTS;
		m->due_ms += SLOT_MS;
	}
	timer_set(&m->timer, m->due_ms > now_ms ? m->due_ms - now_ms : 0);
}

static void on_slot(void *owner)
{
	struct music *m = owner;
	uint64_t now_ms = loop_now_ms(m->loop);
	struct player *p;

	if (now_ms > m->due_ms + LATE_MS)
		skip(m, now_ms);
	for (; m->due_ms <= now_ms; m->due_ms += SLOT_MS) {
		DL_FOREACH(m->slots[m->slot], p)
			play_frame(p);
		m->slot = (m->slot + 1) % SLOTS;
	}
	wire_flush(m->wire);
	arm(m);
}

int music_new(struct music **out, struct loop *loop)
{
	struct music *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->loop = loop;
	timer_init(&m->timer, loop, on_slot, m);
	*out = m;
	return 0;
}

void music_free(struct music *music)
{
	if (!music)
		return;
	timer_stop(&music->timer);
	wire_close(music->wire);
	tunes_free(music->tunes);
	free(music);
}

int music_ready(struct music *music, const struct tunes *tunes)
{
	return music->wire || !tunes_count(tunes) ? 0 : wire_open(&music->wire);
}

void music_load(struct music *music, struct tunes *tunes)
{
	tunes_free(music->tunes);
	music->tunes = tunes;
}

bool music_has(const struct music *music, const char *path)
{
	return music && tunes_find(music->tunes, path);
}

/* Into the slot where the fewest are. */
static void enter(struct music *m, struct player *p)
{
	for (unsigned int i = 1; i < SLOTS; i++)
		if (m->crowd[i] < m->crowd[p->slot])
			p->slot = i;
	if (!m->players++)
		m->due_ms = loop_now_ms(m->loop);
	m->crowd[p->slot]++;
	DL_APPEND(m->slots[p->slot], p);
	timer_stop(&m->timer);
	arm(m);
}

static void leave(struct music *m, struct player *p)
{
	p->left_ms = loop_now_ms(m->loop);
	tune_unref(p->tune);
	p->tune = NULL;
	DL_DELETE(m->slots[p->slot], p);
	m->crowd[p->slot]--;
	if (!--m->players)
		timer_stop(&m->timer);
}

static int begin(struct player *p, uint32_t ssrc)
{
	uint64_t away_ms = loop_now_ms(p->music->loop) - p->left_ms;
	int err;

	if (ssrc && ssrc == p->source.ssrc) {
		p->source.timestamp += (uint32_t)(away_ms / (SLOTS * SLOT_MS)) * FRAME;
		p->source.talking = false; /* a talkspurt (RFC 3551 4.1) */
		return 0;
	}
	err = rtp_begin(&p->source);
	if (!err && ssrc)
		p->source.ssrc = ssrc;
	return err;
}

int music_play(struct player **player, struct music *music, const char *path,
	       const struct music_way *way)
{
	struct tune *tune = music ? tunes_find(music->tunes, path) : NULL;
	struct player *p = *player;
	int err;

	if (music_plays(p)) {
		p->way = *way;
		return 0;
	}
	if (!tune)
		return -ENOENT;
	if (!p)
		p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->music = music;
	err = begin(p, way->ssrc);
	if (err) {
		if (!*player)
			free(p);
		return err;
	}
	p->way = *way;
	p->tune = tune_ref(tune);
	p->at = p->frames = 0;
	enter(music, p);
	*player = p;
	return 0;
}

void music_pause(struct player *player)
{
	if (music_plays(player))
		leave(player->music, player);
}

void music_stop(struct player *player)
{
	if (music_plays(player)) {
		leave(player->music, player);
		send_report(player, true);
		wire_flush(player->music->wire);
	}
	free(player);
}

bool music_plays(const struct player *player)
{
	return player && player->tune;
}

uint32_t music_source(const struct player *player)
{
	return player ? player->source.ssrc : 0;
}

void music_report(const struct music *music, struct music_report *out)
{
	*out = (struct music_report){ .players = music->players };
	if (music->wire)
		wire_report(music->wire, &out->wire);
}
