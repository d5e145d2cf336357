/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Music on hold: files played in a loop to whoever waits, as RTP of our own. One wheel of four
 * slots, 5 ms apart, drives all players: 20 ms packets, spread over the slots, those of one slot in
 * one system call. Where nobody plays, nothing runs.
 */
#ifndef RTPFWD_SERVICE_MUSIC_H
#define RTPFWD_SERVICE_MUSIC_H

#include "lib/loop.h"
#include "service/tune.h"
#include "service/wire.h"

struct music;	/* what all players share */
struct player;

/* 0 or -ENOMEM. It has no tunes yet. */
int music_new(struct music **out, struct loop *loop);
void music_free(struct music *music);	/* after its players; NULL-safe */
/* Whether those can be played: where there are some, the socket is opened. -EPERM: CAP_NET_RAW is
 * missing. */
int music_ready(struct music *music, const struct tunes *tunes);
/* Takes `tunes`, for which it is ready; who plays an older one goes on with it. */
void music_load(struct music *music, struct tunes *tunes);

/* Is there such a file? `music` may be NULL: there is none. */
bool music_has(const struct music *music, const char *path);

/* How one listener hears it. */
struct music_way {
	struct wire_way rtp;
	struct addr rtcp;	/* where reports go, from the port above rtp.from unless that is
				   where the music goes, too; port 0: none */
	enum tune_coding coding;
	uint8_t payload_type;
	uint32_t ssrc; /* of the source, when it begins or goes on; 0: any new one */
	/* Changes each packet before it goes, in place, with room for MUSIC_GROWTH bytes behind:
	 * its new length; below 0: it does not go. NULL: as they are. */
	int (*seal)(void *ctx, uint8_t *packet, size_t len, bool rtcp);
	void *ctx;
};

enum { MUSIC_GROWTH = 20 };

/*
 * Plays `path` from its beginning, as a new source (RFC 3550 8), or, if `*player` was silent and
 * has that number, as the one that it was: its clock has gone on, its packets go on (RFC 3550 5.1).
 * What plays to the same listener is changed in midstream: same source, same place. 0; -ENOENT:
 * there is no such file (any more); -ENOMEM; -errno: no random numbers. On failure what plays plays
 * on.
 */
int music_play(struct player **player, struct music *music, const char *path,
	       const struct music_way *way);
/* Silent from now on, but not gone. NULL-safe */
void music_pause(struct player *player);
/* Says BYE if it plays; NULL-safe. */
void music_stop(struct player *player);
bool music_plays(const struct player *player); /* NULL: no */
uint32_t music_source(const struct player *player); /* its number; 0: there is none */

struct music_report {
	uint64_t players;
	struct wire_report wire;
};

void music_report(const struct music *music, struct music_report *out);

#endif
