/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A master key in force: session ciphers, and per sender what was sent or seen under it. Belongs
 * to one context; all but making and freeing happens under the lock of that one.
 */
#ifndef RTPFWD_KEYS_H
#define RTPFWD_KEYS_H

#include <linux/list.h>
#include <linux/workqueue.h>

#include "cipher.h"
#include "index.h"

/* A sender (SSRC). */
struct stream {
	struct list_head entry;
	u32 ssrc;
	struct index_window rtp;
	struct index_window rtcp;
};

struct keys {
	struct cipher rtp;
	struct cipher rtcp;
	struct list_head streams; /* the one of the last packet first */
	u32 n_streams;
	u8 suite; /* enum rtpfwd_suite */
	struct rcu_work death;
};

int keys_init(void);  /* at load */
void keys_exit(void); /* at unload; waits until all are freed */

/* May sleep. `key` and `salt` have the sizes that the suite says. */
int keys_make(struct keys **k, u8 suite, const u8 *key, const u8 *salt);

/* After a grace period, from a worker: may be called in softirq. NULL is fine. */
void keys_free(struct keys *k);

/* Made of the same master key and salt, whatever the suite: an index used under one is used. */
bool keys_same(const struct keys *a, const struct keys *b);

struct stream *keys_find(struct keys *k, u32 ssrc); /* NULL: new here */

/* -EMFILE: there are RTPFWD_MAX_STREAMS. -ENOMEM. Does not sleep. */
int keys_add_stream(struct stream **s, struct keys *k, u32 ssrc);

/* Senders, with all that is known of them, go over from the keys that `k` takes the place of. */
void keys_inherit(struct keys *k, struct keys *from);

#endif
