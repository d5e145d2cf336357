/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. What happened, per flow and per reason. */
#ifndef RTPFWD_COUNT_H
#define RTPFWD_COUNT_H

#include "flow.h"
#include "rtpfwd_rtp.h"

/* One packet more in the global count of `reason` (enum rtpfwd_reason), drop or passed on. */
static __always_inline void count_reason(__u32 reason, __u64 packets)
{
	struct rtpfwd_drops *drops;
	__u32 zero = 0;

	drops = bpf_map_lookup_elem(&rtpfwd_drops, &zero);
	if (drops && reason < RTPFWD_MAX_REASONS)
		drops->packets[reason] += packets;
}

/* Not a strong digest: who forges one is taken for another in a display. */
static __always_inline __u64 seen_of(const struct packet *p)
{
	__u64 port = (__u64)p->udp->source << 32;
	const __be32 *ip;

	if (!p->six)
		return p->ip->saddr | port;
	ip = p->ip6->saddr.s6_addr32;
	return (__u32)(((ip[0] * 31 + ip[1]) * 31 + ip[2]) * 31 + ip[3]) | port | RTPFWD_SEEN_IPV6;
}

/* Written only when it changes: a leg's packets all come from one place. */
static __always_inline void count_seen(const struct flow *f, const struct packet *p)
{
	struct rtpfwd_rest *rest;
	__u64 seen = seen_of(p);

	if (f->slot->counters.seen == seen)
		return;
	if (p->six) {
		rest = flow_rest(f);
		if (rest)
			__builtin_memcpy(rest->refused.seen_ip, &p->ip6->saddr,
					 sizeof(p->ip6->saddr));
	}
	f->slot->counters.seen = seen;
}

/* Strangers may come in on several queues at once, hence atomic; this is not the path of media. */
static __always_inline void count_refused(const struct flow *f, __u32 reason)
{
	struct rtpfwd_rest *rest = flow_rest(f);

	count_reason(reason, 1);
	if (!rest)
		return;
	__sync_fetch_and_add(&rest->refused.dropped, 1);
	if (reason == RTPFWD_R_wrong_source)
		__sync_fetch_and_add(&rest->refused.wrong_source, 1);
}

static __always_inline void count_rtp(struct rtpfwd_counters *c, const __u8 *rtp, const void *end,
				      __u32 rate)
{
	__u16 seq;

	/* Cannot be, it was admitted: the verifier asks. */
	if ((const void *)(rtp + RTPFWD_RTP_HEADER) > end)
		return;
	seq = rtpfwd_get16(rtp + 2);
	rtpfwd_count_sequence(c, rtpfwd_get32(rtp + 8), seq);
	if (rate && rtpfwd_is_sampled(seq))
		rtpfwd_count_jitter(c, rate, seq, rtpfwd_get32(rtp + 4), bpf_ktime_get_ns());
}

/*
 * A forwarded packet. Plain additions: the packets of one source arrive on one queue (RSS hashes
 * addresses), and one source is admitted; atomics would cost as much as the rest of this function.
 */
static __always_inline void count_forwarded(struct rtpfwd_counters *c, const struct packet *p,
					    const struct rtpfwd_action *act, __u32 length,
					    __u64 now)
{
	if (rtpfwd_measure && !(act->flags & RTPFWD_F_RTCP))
		count_rtp(c, p->payload, p->end, act->clock_rate);
	c->packets++;
	c->bytes += length;
	c->last = now;
}

#endif
