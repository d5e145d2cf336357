/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Both planes. SRTP and SRTCP (RFC 3711) on the legs that have keys: XDP has rtpfwd.ko for it, the
 * userspace relay libsrtp2. What does not authenticate is neither believed nor changed.
 *
 * Sums are kept by difference here as everywhere: a datagram that was damaged on its way stays so,
 * one without a sum stays without.
 */
#ifndef RTPFWD_CRYPT_H
#define RTPFWD_CRYPT_H

#include <linux/errno.h>

#include "flow.h"
#include "parse.h"
#include "sum.h"

#define CRYPT_FLAGS	  (RTPFWD_F_UNPROTECT | RTPFWD_F_PROTECT)
#define CRYPT_OFFSET_MASK 127 /* of IP in a frame */
#define CRYPT_MOST	  20  /* that any suite adds: SRTCP of AEAD, tag and index */

/* Both planes give the module's error numbers (kmod/rtpfwd_kfunc.h). */
static __always_inline __u32 crypt_refusal(int err)
{
	if (err == -EBADMSG || err == -ENOKEY)
		return RTPFWD_R_srtp_auth;
	if (err == -EEXIST || err == -ESTALE)
		return RTPFWD_R_srtp_replay;
	if (err == -EPROTO)
		return RTPFWD_R_not_rtp;
	return err == -ENOSPC ? RTPFWD_R_headroom : RTPFWD_R_srtp_failed;
}

/* The payload has `length` bytes now and had `was`; `difference` is that of its sum. */
static __always_inline void crypt_write_lengths(struct packet *p, bool six, __u32 was, __u32 length,
						__u64 difference)
{
	__be16 old = p->udp->len, now = bpf_htons(length + sizeof(struct udphdr));
	__be16 total;

	if (p->udp->check) { /* the length is in the header and in the pseudo-header */
		p->udp->check = checksum_apply(p->udp->check,
					       difference + 2 * ((__u64)(__u16)~old + now));
		if (!p->udp->check)
			p->udp->check = 0xffff;
	}
	p->udp->len = now;
	if (six) {
		p->ip6->payload_len = now;
		return;
	}
	total = bpf_htons(bpf_ntohs(p->ip->tot_len) - was + length);
	p->ip->check = checksum_apply(p->ip->check, (__u64)(__u16)~p->ip->tot_len + total);
	p->ip->tot_len = total;
}

/* 0 and the new length, or why the packet is refused. */
static __always_inline __u32 crypt_unprotect(const struct flow *f, struct packet *p, int *length)
{
	const struct rtpfwd_extra *extra = flow_extra(f);
	__u32 offset = (void *)p->payload - (void *)p->eth;
	__u64 before = 0, after = 0;
	int now;

	if (!extra || !frame_sum(f->host, offset, *length, &before))
		return RTPFWD_R_srtp_failed;
	now = srtp_unprotect(f->host, f->index, extra->unprotect, offset, *length);
	if (now < 0)
		return crypt_refusal(now);
	if (!frame_sum(f->host, offset, now, &after))
		return RTPFWD_R_srtp_failed;
	crypt_write_lengths(p, p->six, *length, now, (__u16)~fold(before) + after);
	*length = now;
	return 0;
}

/*
 * What a muted leg goes on sending is heard by nobody, but authenticated, so that its rollover
 * counter is known when it is heard again: its number tells that of packets no more than 2^15 away
 * alone (RFC 3711 3.3.1). Whatever comes of it, the packet is refused as what its leg is.
 */
static __always_inline void crypt_follow(const struct flow *f, const struct packet *p)
{
	const struct rtpfwd_extra *extra = flow_extra(f);
	int length = payload_length(p);

	if (extra && length > 0)
		srtp_unprotect(f->host, f->index, extra->unprotect,
			       (void *)p->payload - (void *)p->eth, length);
}

/* Headers of a frame that may have moved; `offset` is the payload's. False: cannot be. */
static __always_inline bool crypt_find_headers(const struct flow *f, struct packet *p, __u32 offset)
{
	bool six = f->flags & RTPFWD_F_IPV6;
	__u32 size = (six ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(struct udphdr);

	p->eth = frame_begin(f->host);
	p->end = frame_end(f->host);
	p->ip = (void *)p->eth + ((offset - size) & CRYPT_OFFSET_MASK);
	if (six)
		p->udp = (void *)(p->ip6 + 1);
	else
		p->udp = (void *)(p->ip + 1);
	p->payload = (void *)(p->udp + 1);
	return (void *)p->payload <= p->end;
}

/* 0 and the new length, or why it is refused; RTPFWD_R_headroom leaves it as it was. */
static __always_inline __u32 crypt_protect(const struct flow *f, struct packet *p, __u32 offset,
					   int length, int *now)
{
	const struct rtpfwd_extra *extra = flow_extra(f);
	__u64 before = 0, after = 0;

	if (!extra || !crypt_find_headers(f, p, offset) ||
	    !frame_sum(f->host, offset, length, &before))
		return RTPFWD_R_srtp_failed;
	*now = srtp_protect(f->host, f->index, extra->protect, offset, length);
	if (*now < 0)
		return crypt_refusal(*now);
	if (!frame_sum(f->host, offset, *now, &after))
		return RTPFWD_R_srtp_failed;
	crypt_write_lengths(p, f->flags & RTPFWD_F_IPV6, length, *now,
			    (__u16)~fold(before) + after);
	return 0;
}

/*
 * The last step: the frame becomes as long as it is due, and encrypted. Nothing of `p` is to be
 * found afterwards. 0, or why the packet is refused. Keys of another suite may have come into force
 * since the slot was read; and what is behind a packet that grew by less is not for others to see.
 */
static __always_inline __u32 crypt_leave(const struct flow *f, struct packet *p, int length)
{
	__u32 offset = (void *)p->payload - (void *)p->eth;
	int added = f->flags & RTPFWD_F_PROTECT ? f->act->grow : 0, now;
	__u32 reason;

	if (!frame_fit(f->host, offset + length + added))
		return RTPFWD_R_headroom;
	if (!(f->flags & RTPFWD_F_PROTECT))
		return 0;
	reason = crypt_protect(f, p, offset, length, &now);
	if (reason == RTPFWD_R_headroom && frame_fit(f->host, offset + length + CRYPT_MOST))
		reason = crypt_protect(f, p, offset, length, &now);
	if (!reason && now != length + added)
		frame_fit(f->host, offset + now);
	return reason;
}

#endif
