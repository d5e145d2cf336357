/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SRTP contexts and the table of them that each network namespace has.
 *
 * A context is found under RCU and used under its lock; the packet path takes no reference. The
 * table holds one reference, whoever sleeps with a context another. Death has two phases: out of
 * the table, then, when the last reference is gone, a grace period, and a worker frees.
 */
#ifndef RTPFWD_CONTEXT_H
#define RTPFWD_CONTEXT_H

#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <net/net_namespace.h>

#include "keys.h"
#include "rtpfwd_nl.h"

#define CONTEXT_MAX_ID (U32_MAX - 1) /* one behind it is a number, too, where a long has 32 bits */

struct context {
	u32 id;
	u8 direction; /* enum rtpfwd_direction */
	refcount_t users;
	struct rcu_head rcu;

	/* Under the mutex of the table. */
	bool pinned;
	u32 portid; /* of the socket that owns it, unless pinned */

	spinlock_t lock; /* with softirqs off; for all that follows */
	struct keys *keys;
	struct keys *former;	    /* of a receiver: what late packets are encrypted with */
	unsigned long former_until; /* jiffies; 0: nothing came under the new keys so far */
	u32 overlap;		    /* ms */
	u64 cookie;
	u64 counters[RTPFWD_C_END];
};

int context_init(void);	 /* at load */
void context_exit(void); /* at unload: no one else may run */

/* Takes over `keys` in any case. One reference, the caller's; it fills in the rest. */
int context_make(struct context **c, u8 direction, struct keys *keys);

/* Into the table, which takes a reference of its own. -ENOSPC: the namespace has too many. */
int context_insert(struct net *net, struct context *c);

/* Out of the table, if it is there. */
void context_remove(struct net *net, struct context *c);

/* Who owns it from now on. -ENOENT: it was removed. */
int context_own(struct net *net, struct context *c, bool pinned, u32 portid);

struct context *context_find(struct net *net, u32 id); /* under RCU; NULL: none */
struct context *context_get(struct net *net, u32 id);  /* with a reference; NULL: none */
void context_put(struct context *c);

/* The first one from `id` on, under RCU, which becomes its id; NULL: no more. */
struct context *context_next(struct net *net, unsigned long *id);

/* A socket closed: what it owned dies. */
void context_orphan(struct net *net, u32 portid);

/*
 * `keys` take the place of those in force. A receiver keeps those for late packets; of a sender
 * `keep` says whether rollover and RTCP index go on. The same keys once more do not begin anew:
 * no index is sent under twice, nothing that was heard is taken again.
 */
void context_rekey(struct context *c, struct keys *keys, bool keep);

#endif
