/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by quirk.c and quirk_file.c alone. */
#ifndef RTPFWD_PEER_QUIRK_PRIV_H
#define RTPFWD_PEER_QUIRK_PRIV_H

#include "peer/quirk.h"

#include <stdio.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { QUIRK_KEY_MAX = 256, QUIRK_NAME_MAX = 128 };

/* Between peer and agent: in neither. */
#define QUIRK_SEPARATOR '\n'

struct quirk_call {
	uint64_t call;
	bool bad;
};

/* A device of a peer, of which something went wrong once. */
struct quirk {
	char key[QUIRK_KEY_MAX];
	char peer[QUIRK_NAME_MAX];	      /* out of the key, for reports */
	struct quirk_call calls[QUIRK_CALLS]; /* the oldest first */
	size_t n_calls;
	int64_t touched_s, timed_out_s; /* 0: never */
	int64_t since_s, until_s;	/* 0: no quirk was learned */
	enum quirk_outcome cause;
	UT_hash_handle hh;
};

struct quirks {
	char *path; /* NULL: it is not kept */
	struct quirk *table;
	bool failing; /* it was logged that it cannot be kept */
};

/* Makes room for it, too. NULL: no memory. */
struct quirk *quirk_add(struct quirks *q, const char *peer, const char *agent, int64_t now_s);
struct quirk_report quirk_report_of(struct quirk *k);
const char *quirk_cause_text(enum quirk_outcome cause);
int quirk_cause_parse(enum quirk_outcome *out, const char *text); /* 0 or -EINVAL */

/* quirk_file.c */
void quirks_load(struct quirks *q, int64_t now_s);
void quirks_save(struct quirks *q, int64_t now_s);

#endif
