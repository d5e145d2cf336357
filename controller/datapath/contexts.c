// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The contexts of rtpfwd.ko that encrypted flows use: one for what arrives, one for what leaves.
 * They are pinned there, as all else that media needs, and a later controller finds them by their
 * cookies: the folder (its inode), the slot, the direction. Those that no flow uses are deleted.
 */
#include "datapath/kmod.h"
#include "datapath/priv.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t cookie_of(uint32_t folder, uint32_t slot, enum rtpfwd_direction direction)
{
	return (uint64_t)folder << 32 | slot << 2 | direction;
}

static int identify(const char *folder, uint32_t *id)
{
	struct stat st;

	if (stat(folder, &st))
		return -errno;
	*id = (uint32_t)st.st_ino; /* a bpf filesystem counts in 32 bits */
	return 0;
}

void contexts_open(struct datapath *dp)
{
	int err = kmod_open(&dp->kmod);

	if (err) {
		dp->kmod = NULL;
		if (err != -ENOENT)
			log_warn("rtpfwd.ko does not answer, encrypted media goes without it: %s",
				 strerror(-err));
		return;
	}
	err = identify(dp->folder, &dp->kmod_folder);
	if (!err && kmod_present())
		return;
	log_warn("rtpfwd.ko is loaded, but %s: encrypted media goes without it",
		 err ? strerror(-err)
		     : "has no types (BTF), so that no program finds its functions");
	contexts_close(dp);
}

bool datapath_has_kmod(const struct datapath *dp)
{
	return dp->kmod;
}

void contexts_close(struct datapath *dp)
{
	kmod_close(dp->kmod);
	dp->kmod = NULL;
}

uint32_t *contexts_of(struct flow *flow, enum rtpfwd_direction direction)
{
	return &flow->contexts[direction - 1];
}

/* The former keys of an adopted flow are not known, but to the module: where they are the same it
 * goes on with its indices, where they are others, both sides begin anew (RFC 4568 7.1.4). */
int contexts_set(struct datapath *dp, struct flow *flow, enum rtpfwd_direction direction,
		 const struct flow_crypt *now, const struct flow_crypt *next)
{
	uint32_t *id = contexts_of(flow, direction);

	if (!next->suite)
		return 0;
	if (!*id)
		return kmod_add(dp->kmod, id, direction, next,
				cookie_of(dp->kmod_folder, flow->slot, direction));
	if (!flow->adopted && !memcmp(now, next, sizeof(*now)))
		return 0;
	return kmod_change(dp->kmod, *id, next);
}

static void delete(struct datapath *dp, uint32_t *id)
{
	if (*id && dp->kmod)
		kmod_delete(dp->kmod, *id);
	*id = 0;
}

void contexts_prune(struct datapath *dp, struct flow *flow)
{
	for (enum rtpfwd_direction d = RTPFWD_PROTECT; d <= RTPFWD_UNPROTECT; d++)
		if (!keys_are_contexts(dp, flow, d))
			delete(dp, contexts_of(flow, d));
}

void contexts_end(struct datapath *dp, struct flow *flow)
{
	delete(dp, contexts_of(flow, RTPFWD_UNPROTECT));
	delete(dp, contexts_of(flow, RTPFWD_PROTECT));
}

/* One that adds as many bytes. */
static uint8_t suite_of(unsigned int grow, bool rtcp)
{
	uint8_t suite = 1;

	while (suite < RTPFWD_SUITE_END - 1 && kmod_overhead(suite, rtcp) != grow)
		suite++;
	return suite;
}

void contexts_read(struct flow *flow, const struct action *action)
{
	const struct rtpfwd_action *act = &action->act;

	*contexts_of(flow, RTPFWD_UNPROTECT) = action->extra.unprotect;
	*contexts_of(flow, RTPFWD_PROTECT) = action->extra.protect;
	if (act->flags & RTPFWD_F_UNPROTECT)
		flow->want.in.suite = suite_of(0, false);
	if (act->flags & RTPFWD_F_PROTECT)
		flow->want.out.suite = suite_of(act->grow, act->flags & RTPFWD_F_RTCP);
}

/* Ids to be deleted when the list has been read. */
struct leftovers {
	const struct datapath *dp; /* NULL: no flow uses any */
	uint32_t folder;
	uint32_t *ids;
	size_t n, room;
};

static bool is_used(const struct datapath *dp, const struct kmod_context *c)
{
	uint32_t slot = (uint32_t)c->cookie >> 2;
	struct flow *flow = dp && slot < dp->layout.slots ? dp->flows[slot] : NULL;

	if (!flow || (c->direction != RTPFWD_PROTECT && c->direction != RTPFWD_UNPROTECT) ||
	    *contexts_of(flow, c->direction) != c->id)
		return false;
	if (c->direction == RTPFWD_PROTECT)
		flow->want.out.suite = c->suite;
	else
		flow->want.in.suite = c->suite;
	return true;
}

static void on_context(void *ctx, const struct kmod_context *c)
{
	struct leftovers *left = ctx;
	size_t room = left->room ? 2 * left->room : 64;
	uint32_t *ids;

	if (c->cookie >> 32 != left->folder || is_used(left->dp, c))
		return;
	if (left->n == left->room) {
		ids = realloc(left->ids, room * sizeof(*ids));
		if (!ids)
			return; /* it stays until the next start */
		left->ids = ids;
		left->room = room;
	}
	left->ids[left->n++] = c->id;
}

static void sweep(struct kmod *k, struct leftovers *left)
{
	kmod_each(k, on_context, left);
	for (size_t i = 0; i < left->n; i++)
		kmod_delete(k, left->ids[i]);
	free(left->ids);
}

void contexts_adopt(struct datapath *dp)
{
	struct leftovers left = { .dp = dp, .folder = dp->kmod_folder };

	if (dp->kmod)
		sweep(dp->kmod, &left);
}

void contexts_detach(const char *folder)
{
	struct leftovers left = { 0 };
	struct kmod *k;

	if (identify(folder, &left.folder) || kmod_open(&k))
		return;
	sweep(k, &left);
	kmod_close(k);
}
