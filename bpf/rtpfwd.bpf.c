// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * The fast path. rtpfwd_xdp is a packet's way, top to bottom: parse, lookup, admit, rewrite, emit.
 * What is not ours is passed on untouched; what is ours and wrong is dropped, and every such drop
 * has a name and a counter.
 */
#include "maps.h"
#include "parse.h"
#include "flow.h"
#include "learn.h"
#include "rewrite.h"
#include "emit.h"
#include "count.h"
#include "watch.h"

static __always_inline int refuse(const struct flow *f, __u32 reason)
{
	count_refused(f, reason);
	return XDP_DROP;
}

SEC("xdp")
int rtpfwd_xdp(struct xdp_md *ctx)
{
	struct rtpfwd_control *control;
	__u32 select, reason;
	struct packet p;
	struct flow f;
	int length, verdict;
	__u64 now;

	if (!parse(&p, ctx))
		return XDP_PASS;

	control = control_get();
	if (!control || !flow_find(&f, control, &p))
		return XDP_PASS;
	select = *(volatile __u32 *)&f.slot->select;
	if (select == RTPFWD_FOREIGN)
		return XDP_PASS;
	if (p.up) {
		count_reason(p.up, 1);
		return XDP_PASS;
	}
	if (select == RTPFWD_UNLEASED || !flow_choose(&f, select) || !flow_demultiplex(&f, &p)) {
		count_reason(RTPFWD_R_unleased, 1);
		return XDP_DROP;
	}

	count_seen(&f, &p);
	now = bpf_jiffies64();
	if (now >= *(volatile __u64 *)&control->lease_until)
		return refuse(&f, RTPFWD_R_expired);
	length = payload_length(&p);
	if (!flow_described(&f))
		return refuse(&f, RTPFWD_R_not_signalled);
	if (!source_admitted(&f, &p, now))
		return refuse(&f, learn(&f, &p, length));
	reason = flow_admit(&f, &p, length);
	if (reason)
		return refuse(&f, reason);
	if (!within_rate(&f, control, now))
		return refuse(&f, RTPFWD_R_rate);
	learn_signalled(&f, &p);
	verdict = emit(ctx, control, f.act);
	if (verdict == XDP_DROP)
		return refuse(&f, RTPFWD_R_tx_failed);

	reason = rewrite(ctx, &p, control, &f);
	if (reason)
		return refuse(&f, reason);
	count_forwarded(&f, &p, control, length, now);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
