/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. What happened, per flow and per reason. */
#ifndef RTPFWD_COUNT_H
#define RTPFWD_COUNT_H

#include "flow.h"
#include "payload.h"
#include "report.h"
#include "rtpfwd_rtp.h"
#include "seen.h"

#define EVENT_END 0x80

/* Strangers may come in on several queues at once, hence atomic; this is not the path of media. */
static __always_inline void count_refused(const struct flow *f, __u32 reason)
{
	struct rtpfwd_rest *rest = flow_rest(f);

	count_reason(f->host, reason);
	if (!rest)
		return;
	__sync_fetch_and_add(&rest->refused.dropped, 1);
	if (reason == RTPFWD_R_wrong_source)
		__sync_fetch_and_add(&rest->refused.wrong_source, 1);
}

/* An event of RFC 4733 is under way from its first packet to that with the end bit. A header with
 * sources or an extension is not looked behind: who sends those sends no events. */
static __always_inline void count_event(struct rtpfwd_heard *heard, const struct packet *p,
					__u64 now)
{
	const __u8 *event = p->payload + RTPFWD_RTP_HEADER;

	if ((void *)(event + 2) <= p->end && !(p->payload[0] & 0x1f))
		heard->event = event[1] & EVENT_END ? 0 : now;
}

static __always_inline void count_rtp(const struct flow *f, const struct packet *p, __u64 now)
{
	struct rtpfwd_counters *c = &f->slot->counters;
	const __u8 *rtp = p->payload;
	struct rtpfwd_rest *rest;
	__u32 ssrc;
	__u16 seq;

	/* Cannot be, it was admitted: the verifier asks. */
	if ((const void *)(rtp + RTPFWD_RTP_HEADER) > p->end)
		return;
	seq = rtpfwd_get16(rtp + 2);
	ssrc = rtpfwd_get32(rtp + 8);
	if (rtpfwd_is_next(c, ssrc, seq)) {
		c->max_seq = seq;
	} else {
		rest = flow_rest(f);
		if (rest)
			rtpfwd_count_other(c, &rest->heard, ssrc, seq);
	}
	if (f->act->event && (rtp[1] & PAYLOAD_TYPE) == f->act->event) {
		rest = flow_rest(f);
		if (rest)
			count_event(&rest->heard, p, now);
	}
	if (f->act->clock_rate && rtpfwd_is_sampled(seq))
		rtpfwd_count_jitter(c, f->act->clock_rate, seq, rtpfwd_get32(rtp + 4),
				    now_ns(f->host));
}

static __always_inline void count_gap(struct rtpfwd_counters *c, __u64 now)
{
	__s64 gap = now - c->last; /* the two planes' jiffies may be one apart */

	if (gap <= c->gap || !c->packets)
		return;
	c->gap = gap > 65535 ? 65535 : gap;
}

/* A forwarded packet of a flow whose counters are XDP's. What is only stored, not added to, both
 * may write: its time, and the credit of its rate. */
static __always_inline void count_passed_up(const struct flow *f, __u32 length, __u64 now)
{
	struct rtpfwd_rest *rest = flow_rest(f);

	f->slot->counters.last = now;
	if (!rest)
		return;
	__sync_fetch_and_add(&rest->refused.up_packets, 1);
	__sync_fetch_and_add(&rest->refused.up_bytes, length);
	if (!(f->flags & (RTPFWD_F_RTCP | RTPFWD_F_OPAQUE)))
		__sync_fetch_and_add(&rest->refused.up_rtp, 1);
}

/* What a packet says that is about to leave, while it can be read. */
static __always_inline void count_content(const struct flow *f, const struct packet *p,
					  const struct rtpfwd_control *control, __u64 now)
{
	if (!rtpfwd_measure || !counts_alone(f->host) || f->flags & RTPFWD_F_OPAQUE)
		return;
	if (f->flags & RTPFWD_F_RTCP)
		count_report(f, p, control);
	else
		count_rtp(f, p, now);
}

/*
 * A forwarded packet. Plain additions: the packets of one source arrive on one queue (RSS hashes
 * addresses), and one source is admitted; atomics would cost as much as the rest of this function.
 *
 * Two processors meet here all the same while RSS is moved, while a former source is still admitted
 * or any port is, and where RTCP comes to both its own port and that of its RTP. Then one of two
 * additions may be lost, none is made up, and nothing else is at stake: where a packet goes is read
 * from lines that only the controller writes. A rate lets at most as many more pass as were lost.
 * `seen` shares this line although strangers write it, too, for it is compared on every packet; who
 * floods from another queue costs the flow a cache miss. All else that strangers cause is counted
 * atomically on lines of its own (count_refused), reasons by processor. tests/netns/queues_test.py
 */
static __always_inline void count_forwarded(const struct flow *f, __u32 length, __u64 now)
{
	struct rtpfwd_counters *c = &f->slot->counters;

	c->credit = f->credit;
	if (!counts_alone(f->host)) {
		count_passed_up(f, length, now);
		return;
	}
	count_gap(c, now);
	c->packets++;
	c->bytes += length;
	c->last = now;
}

#endif
