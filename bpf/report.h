/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. What RTCP reports say that passes by (RFC 3550 6.4): what the far end lost, and
 * how long it took from here to there and back. */
#ifndef RTPFWD_REPORT_H
#define RTPFWD_REPORT_H

#include "flow.h"
#include "rtpfwd_rtp.h"

/* What the flow the other way has heard: it arrives where this one leaves from. */
static __always_inline const struct rtpfwd_heard *
report_opposite(const struct flow *f, const struct rtpfwd_control *control)
{
	const struct rtpfwd_action *act = f->act;
	__u32 port = bpf_ntohs(act->from_port) | 1, index; /* of RTCP, also where it is muxed */
	const struct rtpfwd_address6 *six;
	const struct rtpfwd_address *four;
	const struct rtpfwd_rest *rest;

	if (act->flags & RTPFWD_F_IPV6) { /* of the kind that has no plain copy */
		six = &control->addresses6[act->from_ip % (1 << RTPFWD_HASH_BITS)];
		index = rtpfwd_slot_of(six->base, six->count, port - six->lo);
	} else {
		four = &control->addresses[rtpfwd_bucket(act->from_ip, seed_of(f->host))];
		index = rtpfwd_slot_of(four->base, four->count, port - four->lo);
	}
	rest = rest_at(f->host, index);
	return rest ? &rest->heard : NULL;
}

/* The first block of a report, about what the sender of it was sent. */
static __always_inline void count_block(struct rtpfwd_heard *heard,
					const struct rtpfwd_heard *opposite, const __u8 *block,
					const void *end, __u64 now)
{
	if ((const void *)(block + RTPFWD_REPORT_BLOCK) > end)
		return;
	heard->far_lost = rtpfwd_get32(block + 4);
	if (opposite)
		rtpfwd_count_round_trip(heard, opposite, rtpfwd_get32(block + 16),
					rtpfwd_get32(block + 20), now);
}

/* A forwarded packet of RTCP. */
static __always_inline void count_report(const struct flow *f, const struct packet *p,
					 const struct rtpfwd_control *control)
{
	const struct rtpfwd_heard *opposite;
	const __u8 *data = p->payload;
	struct rtpfwd_rest *rest;
	__u64 now;

	if ((const void *)(data + RTPFWD_RTCP_HEADER) > p->end ||
	    (data[1] != RTPFWD_RTCP_SR && data[1] != RTPFWD_RTCP_RR))
		return;
	rest = flow_rest(f);
	if (!rest)
		return;
	now = now_ns(f->host);
	opposite = report_opposite(f, control);
	if (data[1] == RTPFWD_RTCP_RR) {
		if (data[0] & RTPFWD_RTCP_COUNT)
			count_block(&rest->heard, opposite, data + 8, p->end, now);
		return;
	}
	if ((const void *)(data + RTPFWD_RTCP_SR_SIZE) > p->end)
		return;
	rtpfwd_count_sent(&rest->heard, rtpfwd_get32(data + 10), now);
	if (data[0] & RTPFWD_RTCP_COUNT)
		count_block(&rest->heard, opposite, data + RTPFWD_RTCP_SR_SIZE, p->end, now);
}

#endif
