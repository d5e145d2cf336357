/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * A packet's way, top to bottom: parse, lookup, admit, rewrite, emit. What is not ours is passed on
 * untouched; what is ours and wrong is dropped, and every such drop has a name and a counter.
 *
 * Two planes compile it: XDP (host.h) and the userspace relay (controller/datapath/user_host.h).
 * Who includes this has included one of those.
 */
#ifndef RTPFWD_VERDICT_H
#define RTPFWD_VERDICT_H

#include "parse.h"
#include "flow.h"
#include "again.h"
#include "crypt.h"
#include "payload.h"
#include "learn.h"
#include "rewrite.h"
#include "count.h"

static __always_inline int refuse(const struct flow *f, __u32 reason)
{
	count_refused(f, reason);
	return XDP_DROP;
}

/* The packet's flow is known: may it pass, and where to? Before `length` is known nothing of the
 * payload was looked at. */
static __always_inline int verdict_of_flow(struct host *h, struct packet *p, struct flow *f,
					   const struct rtpfwd_control *control)
{
	__u64 now = now_jiffies(h);
	int length, verdict;
	__u32 reason, kernel;

	count_seen(f, p);
	if (now >= *(volatile __u64 *)&control->lease_until)
		return refuse(f, RTPFWD_R_expired);
	if (f->flags & CRYPT_FLAGS && !has_crypt(h))
		return refuse(f, RTPFWD_R_srtp_failed);
	if (!flow_described(f))
		return refuse(f, RTPFWD_R_not_signalled);
	if (!source_admitted(f, p, now))
		return refuse(f, learn(f, p, payload_length(p), now));
	reason = flow_admit(f, p, &length);
	if (!reason && !payload_admitted(f, p, now))
		reason = RTPFWD_R_bad_payload;
	if (reason == RTPFWD_R_not_signalled && f->flags & RTPFWD_F_UNPROTECT)
		crypt_follow(f, p);
	if (reason)
		return refuse(f, reason);
	kernel = left_to_kernel(f, length);
	if (kernel && !has_kernel(h)) {
		count_reason(h, kernel);
		return XDP_PASS;
	}
	if (!within_rate(f, control, now))
		return refuse(f, RTPFWD_R_rate);
	if (f->flags & RTPFWD_F_UNPROTECT)
		reason = crypt_unprotect(f, p, &length);
	if (reason)
		return refuse(f, reason);
	learn_signalled(f, p);
	if (f->flags & RTPFWD_F_LOCAL)
		verdict = XDP_PASS;
	else if (kernel)
		verdict = frame_leave_by_kernel(h, f->act->link, flow_path(f));
	else
		verdict = frame_leave(h, control, f->act->link, f->flags);
	if (verdict == XDP_DROP)
		return refuse(f, RTPFWD_R_tx_failed);

	reason = payload_rewrite(h, p, f, length);
	if (!reason)
		reason = rewrite(h, p, control, f);
	if (reason)
		return refuse(f, reason);
	count_content(f, p, control, now);
	if (f->flags & CRYPT_FLAGS)
		reason = crypt_leave(f, p, length);
	if (reason)
		return refuse(f, reason);
	count_forwarded(f, length, now);
	return f->flags & RTPFWD_F_LOCAL ? frame_again(h) : verdict;
}

/* Of a packet that the fast path leaves alone. */
static __always_inline int pass_up(struct host *h, struct packet *p, struct flow *f,
				   const struct rtpfwd_control *control)
{
	if (flow_find(f, control, p, 0) && *(volatile __u32 *)&f->slot->select != RTPFWD_FOREIGN)
		count_reason(h, p->up);
	return XDP_PASS;
}

/* 0, or the verdict of a packet that belongs to no flow. */
static __always_inline int look_up(struct host *h, struct packet *p, struct flow *f,
				   const struct rtpfwd_control *control)
{
	__u32 select;

	if (!flow_find(f, control, p, 0))
		return XDP_PASS;
	select = *(volatile __u32 *)&f->slot->select;
	if (select == RTPFWD_FOREIGN)
		return XDP_PASS;
	if (select != RTPFWD_UNLEASED && flow_choose(f, select))
		return 0;
	count_reason(h, RTPFWD_R_unleased);
	return XDP_DROP;
}

/* The same of a packet that may be for the slower rung. */
static __always_inline int look_up_other(struct host *h, struct packet *p, struct flow *f,
					 const struct rtpfwd_control *control)
{
	return p->up ? pass_up(h, p, f, control) : look_up(h, p, f, control);
}

/* Of a flow that may ask for anything. */
static __always_inline int verdict_of_any(struct host *h, struct packet *p, struct flow *f,
					  const struct rtpfwd_control *control)
{
	if (!flow_demultiplex(f, control, p)) {
		count_reason(h, RTPFWD_R_unleased);
		return XDP_DROP;
	}
	if (f->flags & RTPFWD_F_LOCAL)
		flow_look_ahead(f);
	if (f->flags & RTPFWD_F_USER && !takes_user_flow(h))
		return XDP_PASS;
	return verdict_of_flow(h, p, f, control);
}

/* Nearly all packets are plain, and nearly all flows want nothing else: for those there is a copy
 * of what follows that asks for nothing else. */
static __always_inline int verdict_of_ip(struct host *h, struct packet *p,
					 const struct rtpfwd_control *control)
{
	struct flow f = { .host = h };
	int verdict;

	if (parse_plain(p)) {
		verdict = look_up(h, p, &f, control);
		if (verdict)
			return verdict;
		if (f.flags == RTPFWD_F_EXPECT) {
			f.flags = RTPFWD_F_EXPECT;
			return verdict_of_flow(h, p, &f, control);
		}
	} else {
		verdict = parse_ip(p) ? look_up_other(h, p, &f, control) : XDP_PASS;
		if (verdict)
			return verdict;
	}
	return verdict_of_any(h, p, &f, control);
}

static __always_inline int verdict_of_ip6(struct host *h, struct packet *p,
					  const struct rtpfwd_control *control)
{
	struct flow f = { .host = h };
	int verdict = parse_ip6(p) ? look_up_other(h, p, &f, control) : XDP_PASS;

	return verdict ? verdict : verdict_of_any(h, p, &f, control);
}

/* Each family has a copy of all that follows, in which the compiler knows it. */
static __always_inline int verdict(struct host *h)
{
	const struct rtpfwd_control *control = control_get(h);
	struct packet p;
	__be16 proto;

	if (!control)
		return XDP_PASS;
	proto = parse_eth(&p, h);
	if (proto == bpf_htons(ETH_P_IP))
		return verdict_of_ip(h, &p, control);
	if (rtpfwd_ipv6 && proto == bpf_htons(ETH_P_IPV6))
		return verdict_of_ip6(h, &p, control);
	return XDP_PASS;
}

#endif
