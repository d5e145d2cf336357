/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that do not stand re-INVITEs, learned from what became of ours: by peer and User-Agent,
 * so that one phone behind a trunk does not speak for all of them. A learned quirk lasts a day, and
 * outlives the daemon where there is a folder for it. Times are seconds of the wall clock, given by
 * who calls. What the configuration says of devices: conf_peer_has_quirk().
 */
#ifndef RTPFWD_PEER_QUIRK_H
#define RTPFWD_PEER_QUIRK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quirks;

enum {
	QUIRK_CALLS = 5,      /* of so many distinct calls of a device ... */
	QUIRK_BAD_CALLS = 3,  /* ... so many went wrong */
	QUIRK_REBOOT_S = 120, /* a fresh REGISTER so soon after a timeout: it crashed */
	QUIRK_LASTS_S = 24 * 3600,
	QUIRK_DEVICES_MAX = 1024, /* whatever the network sends */
	QUIRK_DEVICES_OF_PEER_MAX = 64,
};

/* What became of a direct-media re-INVITE. */
enum quirk_outcome { QUIRK_WORKED, QUIRK_REFUSED, QUIRK_IGNORED_C, QUIRK_TIMED_OUT, QUIRK_CRASHED };

/* `folder` NULL: what is learned is forgotten at the end. A file that cannot be read, or is
 * damaged, is told in the log, and nothing is known then. 0 or -ENOMEM. */
int quirks_new(struct quirks **out, const char *folder, int64_t now_s);
void quirks_free(struct quirks *q); /* NULL-safe */

/* A re-INVITE of that call, or what followed from it, ended so. `agent` as the device calls itself;
 * "" not known. Not QUIRK_CRASHED. */
void quirks_note(struct quirks *q, const char *peer, const char *agent, uint64_t call,
		 enum quirk_outcome outcome, int64_t now_s);
/* The device registered as one does that has just been switched on. */
void quirks_registered(struct quirks *q, const char *peer, const char *agent, int64_t now_s);
/* It was learned that the device is never to be re-INVITEd. */
bool quirks_no_reinvite(const struct quirks *q, const char *peer, const char *agent, int64_t now_s);

struct quirk_report {
	const char *peer, *agent, *cause; /* "refused", "ignored_c", "timeout", "crashed" */
	int64_t since_s, until_s;
};

/* Those in force, of one peer or (NULL) of all, in the order in which the devices were met. */
void quirks_each(const struct quirks *q, const char *peer, int64_t now_s,
		 void (*each)(void *ctx, const struct quirk_report *report), void *ctx);
/* The operator knows better: everything learned and counted of that peer goes. How many quirks were
 * in force. */
size_t quirks_clear(struct quirks *q, const char *peer, int64_t now_s);

#endif
