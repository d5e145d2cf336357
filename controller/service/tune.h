/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Audio files, read and coded for the wire once, at start and reload. */
#ifndef RTPFWD_SERVICE_TUNE_H
#define RTPFWD_SERVICE_TUNE_H

#include "conf/conf.h"

/* The two halves of G.711. A byte is a sample, 8000 of them a second. */
enum tune_coding { TUNE_PCMU, TUNE_PCMA, TUNE_CODINGS };
enum { TUNE_RATE = 8000 };

struct tune;	/* one file; counted */
struct tunes;	/* those that a configuration names */

/* Reads every file that `conf` names with moh. 0; -EINVAL: one cannot be played, and `why` says
 * "FILE:LINE: moh ..."; -ENOMEM. */
int tunes_load(struct tunes **out, const struct conf *conf, char *why, size_t why_size);
void tunes_free(struct tunes *tunes);	/* NULL-safe; who holds one of them keeps it */
size_t tunes_count(const struct tunes *tunes);
/* NULL: none of that path, or no tunes. */
struct tune *tunes_find(const struct tunes *tunes, const char *path);

/* A WAV file of 8000 Hz, mono, 16 bit linear or G.711, 20 ms to 30 minutes. 0; -EINVAL with `why`;
 * -ENOMEM. */
int tune_load(struct tune **out, const char *path, char *why, size_t why_size);
struct tune *tune_ref(struct tune *tune);
void tune_unref(struct tune *tune);	/* NULL-safe */
size_t tune_samples(const struct tune *tune);
/* Copies `n` samples (at most tune_samples()) from `at` on, going on at the beginning behind the
 * end; returns the place behind them. */
size_t tune_copy(const struct tune *tune, enum tune_coding coding, size_t at, uint8_t *out,
		 size_t n);

#endif
