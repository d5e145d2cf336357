/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. Payload numbers (RFC 3550 5.1): which were agreed upon, what they become, and G.711
 * from one law to the other. */
#ifndef RTPFWD_PAYLOAD_H
#define RTPFWD_PAYLOAD_H

#include "flow.h"
#include "g711.h"
#include "sum.h"

#define PAYLOAD_TYPE 0x7f

/*
 * Where it stands among the pairs, from 1 on; 0: nowhere. Without a branch, and the compiler is
 * kept from making one: the verifier would follow the rest of the program once for each place.
 */
static __always_inline __u64 place_of(const struct rtpfwd_extra *extra, __u8 number)
{
	__u64 place = 0;

	for (__u32 i = 0; i < RTPFWD_PAYLOADS; i++) {
		__u64 other = extra->in[i] ^ number;

		asm volatile("" : "+r"(other));
		place |= ((other - 1) >> 63) * (i + 1);
	}
	asm volatile("" : "+r"(place));
	return place;
}

/*
 * Was this number agreed upon? The usual one costs no look at another cache line. Of the others the
 * last ones of the list are those of before, for as long as the former source is admitted.
 */
static __always_inline bool payload_admitted(struct flow *f, const struct packet *p, __u64 now)
{
	const struct rtpfwd_action *act = f->act;
	const struct rtpfwd_extra *extra;
	__u64 place;
	__u8 number;

	f->becomes = RTPFWD_NO_PAYLOAD;
	f->translated = false;
	if (act->usual == RTPFWD_ANY_PAYLOAD)
		return true;
	if ((const void *)(p->payload + RTPFWD_RTP_HEADER) > p->end) /* cannot be: it is RTP */
		return false;
	number = p->payload[1] & PAYLOAD_TYPE;
	if (number == act->usual)
		return true;
	extra = flow_extra(f);
	place = extra ? place_of(extra, number) : 0;
	if (!place || place > RTPFWD_PAYLOADS ||
	    (place + act->late_payloads > RTPFWD_PAYLOADS && now >= act->late_until))
		return false;
	f->becomes = extra->out[place - 1];
	f->translated = place == 1 && f->flags & (RTPFWD_F_TO_ALAW | RTPFWD_F_TO_ULAW);
	return true;
}

/* How many samples follow the header, padding (RFC 3550 5.1) left out; below 0: none could. */
static __always_inline int samples(const struct host *h, const struct packet *p, __u32 header,
				   __u32 length)
{
	__u32 padding = 0;

	if (p->payload[0] & 0x20) {
		padding = frame_byte(h, (__u32)((void *)p->payload - (void *)p->eth) + length - 1);
		if (!padding)
			return -1;
	}
	return (int)(length - header - padding);
}

/* The payload as the other side knows it, before anything else of the packet changes; the checksum
 * of UDP by difference. 0, or why it cannot be done. */
static __always_inline __u32 payload_rewrite(struct host *h, struct packet *p,
					     const struct flow *f, __u32 length)
{
	__u32 header, sum;
	int n = 0;

	if (f->becomes == RTPFWD_NO_PAYLOAD)
		return 0;
	header = rtpfwd_rtp_header(p->payload, p->end, length);
	if (!header || (const void *)(p->payload + RTPFWD_RTP_HEADER) > p->end)
		return RTPFWD_R_not_rtp;
	if (f->translated) {
		n = samples(h, p, header, length);
		if (n < 0 || n > G711_MAX)
			return RTPFWD_R_bad_length;
	}
	sum = (__u16)~*(__u16 *)p->payload;
	p->payload[1] = (p->payload[1] & ~PAYLOAD_TYPE) | (f->becomes & PAYLOAD_TYPE);
	sum += *(__u16 *)p->payload;
	if (n)
		sum += frame_translate(h, (__u32)((void *)p->payload - (void *)p->eth) + header, n,
				       f->flags & RTPFWD_F_TO_ULAW ? G711_TO_ULAW
									: G711_TO_ALAW);
	if (p->udp->check) {
		p->udp->check = checksum_apply(p->udp->check, sum);
		if (!p->udp->check)
			p->udp->check = 0xffff;
	}
	return 0;
}

#endif
