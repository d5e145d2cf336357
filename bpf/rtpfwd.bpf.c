// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * The fast path. rtpfwd_xdp is a packet's way, top to bottom: parse, lookup, admit, rewrite, emit.
 * What is not ours is passed on untouched; what is ours and wrong is dropped, and every such drop
 * has a name and a counter.
 */
#include "maps.h"
#include "parse.h"
#include "flow.h"
#include "rewrite.h"
#include "emit.h"
#include "count.h"
#include "watch.h"

static __always_inline int refuse(struct rtpfwd_slot *slot, const struct packet *p, __u32 reason)
{
	count_refused(slot, p, reason);
	count_reason(reason, 1);
	return XDP_DROP;
}

SEC("xdp")
int rtpfwd_xdp(struct xdp_md *ctx)
{
	const struct rtpfwd_action *act;
	struct rtpfwd_control *control;
	struct rtpfwd_slot *slot;
	__u32 select, reason;
	struct packet p;
	int length, verdict;
	__u64 now;

	if (!parse(&p, ctx))
		return XDP_PASS;

	control = control_get();
	if (!control)
		return XDP_PASS;
	slot = flow_find(control, &p);
	if (!slot)
		return XDP_PASS;
	select = *(volatile __u32 *)&slot->select;
	if (select == RTPFWD_FOREIGN)
		return XDP_PASS;
	if (p.up) {
		count_reason(p.up, 1);
		return XDP_PASS;
	}
	act = flow_action(slot, select);
	if (select == RTPFWD_UNLEASED || !act) {
		count_reason(RTPFWD_R_unleased, 1);
		return XDP_DROP;
	}

	now = bpf_jiffies64();
	if (now >= *(volatile __u64 *)&control->lease_until)
		return refuse(slot, &p, RTPFWD_R_expired);
	length = payload_length(&p);
	reason = flow_admit(act, &p, length, now);
	if (reason)
		return refuse(slot, &p, reason);
	verdict = emit(ctx, act);
	if (verdict == XDP_DROP)
		return refuse(slot, &p, RTPFWD_R_tx_failed);

	count_seen(&slot->counters, p.ip->saddr, p.udp->source);
	count_forwarded(&slot->counters, &p, act, length, now);
	rewrite(&p, act);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
