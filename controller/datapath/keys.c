// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the keys of encrypted flows are. Each direction's are in one place as long as they are
 * used, for what was sent and heard under them is known there alone: a context of rtpfwd.ko, or the
 * relay's map. The module comes first. Keys that it cannot take go to the relay, where the flow's
 * keys of that direction stay until it ends; the relay asks the module for the other one's.
 */
#include "datapath/kmod.h"
#include "datapath/priv.h"
#include "lib/log.h"

#include <errno.h>

static const struct flow_crypt *key_of(const struct flow_want *want,
				       enum rtpfwd_direction direction)
{
	return direction == RTPFWD_PROTECT ? &want->out : &want->in;
}

/* Where there is no XDP libsrtp2 is nearer than the module. But for keys that are there already:
 * those of a flow that was set up while there was XDP. */
static bool is_relays(const struct datapath *dp, const struct flow *flow,
		      enum rtpfwd_direction direction)
{
	if (!dp->kmod || !dp->crypts)
		return !dp->kmod;
	if (dp->conf->realms[flow->realm].xdp == XDP_OFF && !flow->contexts[direction - 1])
		return true;
	return crypts_have(dp, flow->slot, direction);
}

/* Of an adopted flow it is not known whether the keys that the module could not take are others
 * than those it has: elsewhere the same ones would begin anew. */
static bool may_fall(const struct datapath *dp, const struct flow *flow,
		     enum rtpfwd_direction direction)
{
	return dp->crypts && dp->user.program &&
	       !(flow->adopted && flow->contexts[direction - 1]);
}

static int apply(struct datapath *dp, struct flow *flow, enum rtpfwd_direction direction,
		 const struct flow_want *next)
{
	const struct flow_crypt *key = key_of(next, direction);
	int err;

	if (is_relays(dp, flow, direction)) {
		crypts_set(dp, flow->slot, direction, key);
		return 0;
	}
	err = contexts_set(dp, flow, direction, key_of(&flow->want, direction), key);
	if (!err || !may_fall(dp, flow, direction))
		return err;
	flow->refused = err;
	dp->keys_refused++;
	crypts_set(dp, flow->slot, direction, key);
	return 0;
}

int keys_apply(struct datapath *dp, struct flow *flow, const struct flow_want *next)
{
	int err = apply(dp, flow, RTPFWD_UNPROTECT, next);

	return err ? err : apply(dp, flow, RTPFWD_PROTECT, next);
}

uint64_t datapath_keys_refused(const struct datapath *dp)
{
	return dp->keys_refused;
}

bool keys_used(const struct flow *flow)
{
	return flow->want.in.suite || flow->want.out.suite;
}

bool keys_are_contexts(const struct datapath *dp, const struct flow *flow,
		       enum rtpfwd_direction direction)
{
	return key_of(&flow->want, direction)->suite && !is_relays(dp, flow, direction);
}

bool keys_need_relay(const struct datapath *dp, const struct flow *flow)
{
	return (flow->want.in.suite && is_relays(dp, flow, RTPFWD_UNPROTECT)) ||
	       (flow->want.out.suite && is_relays(dp, flow, RTPFWD_PROTECT));
}

/* By what is wanted alone: without its key such a packet is dropped, never sent in the clear. */
void keys_desire(const struct datapath *dp, struct action *out, const struct flow *flow)
{
	const struct flow_want *want = &flow->want;

	if (want->in.suite)
		out->act.flags |= RTPFWD_F_UNPROTECT;
	if (want->out.suite) {
		out->act.flags |= RTPFWD_F_PROTECT;
		out->act.grow = (uint8_t)kmod_overhead(want->out.suite, want->kind == FLOW_RTCP);
	}
	if (keys_are_contexts(dp, flow, RTPFWD_UNPROTECT))
		out->extra.unprotect = flow->contexts[RTPFWD_UNPROTECT - 1];
	if (keys_are_contexts(dp, flow, RTPFWD_PROTECT))
		out->extra.protect = flow->contexts[RTPFWD_PROTECT - 1];
	if (keys_need_relay(dp, flow))
		out->act.flags |= RTPFWD_F_USER;
}

const char *keys_reason(const struct datapath *dp, const struct flow *flow)
{
	if (!keys_need_relay(dp, flow))
		return "encrypted, and no XDP: rtpfwd.ko is asked for each packet";
	if (!dp->kmod)
		return "encrypted, and no rtpfwd.ko";
	if (dp->conf->realms[flow->realm].xdp == XDP_OFF)
		return "xdp = off";
	switch (flow->refused) {
	case 0:
		return "encrypted, and set up without rtpfwd.ko";
	case -ENOMEM:
		return "encrypted, and rtpfwd.ko had no memory for its keys";
	case -ENOSPC:
		return "encrypted, and rtpfwd.ko has as many contexts as it takes";
	default:
		return "encrypted, and rtpfwd.ko did not take its keys";
	}
}
