/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. Which flow a packet belongs to, and whether it may be there. */
#ifndef RTPFWD_FLOW_H
#define RTPFWD_FLOW_H

#include "parse.h"
#include "rtpfwd_rtp.h"

struct flow {
	struct host *host;
	struct rtpfwd_slot *slot;
	const struct rtpfwd_action *act; /* in force */
	__u32 flags;			 /* its own; a constant where the compiler may know them */
	__u32 index;
	__u32 copy; /* RTPFWD_COPY_OFFSET() of the one in force */
	__u8 becomes; /* the packet's payload number; RTPFWD_NO_PAYLOAD: it stays what it is */
	bool translated; /* and so are its samples, from one law of G.711 to the other */
	__u32 credit;	 /* what its rate leaves when this packet has passed */
	__u32 room;   /* RTPFWD_F_LOCAL: bytes of payload that the ways behind take */
	bool endless; /* it would come back to its own slot: see again.h */
};

static __always_inline bool same_ip6(const __be32 a[4], const __be32 b[4])
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline bool find_ip(struct flow *f, const struct rtpfwd_control *control,
				    const struct packet *p, __u32 port)
{
	const struct rtpfwd_address *address;
	__u32 offset;

	address = &control->addresses[rtpfwd_bucket(p->ip->daddr, seed_of(f->host))];
	offset = port - address->lo;
	f->index = rtpfwd_slot_of(address->base, address->count, offset);
	return address->ip == p->ip->daddr && offset < address->count;
}

static __always_inline bool find_ip6(struct flow *f, const struct rtpfwd_control *control,
				     const struct packet *p, __u32 port)
{
	const __be32 *to = p->ip6->daddr.s6_addr32;
	const struct rtpfwd_address6 *address;
	__u32 offset;

	address = &control->addresses6[rtpfwd_bucket6(to, seed_of(f->host))];
	offset = port - address->lo;
	f->index = rtpfwd_slot_of(address->base, address->count, offset);
	return same_ip6(address->ip, to) && offset < address->count;
}

/* The slot of the relay port so far `above` the packet's. False: none of ours. */
static __always_inline bool flow_find(struct flow *f, const struct rtpfwd_control *control,
				      const struct packet *p, __u32 above)
{
	__u32 port = bpf_ntohs(p->udp->dest) + above;

	if (!(p->six ? find_ip6(f, control, p, port) : find_ip(f, control, p, port)))
		return false;
	f->slot = slot_at(f->host, f->index);
	return f->slot;
}

static __always_inline struct rtpfwd_rest *flow_rest(const struct flow *f)
{
	return rest_at(f->host, f->index);
}

/*
 * Finds the copy in force. Its address is made from the value of `select`, which orders the loads
 * on every architecture: hence the empty statements, behind which the compiler knows no constant.
 * False: no value that the controller writes.
 */
static __always_inline bool flow_choose(struct flow *f, __u32 select)
{
	__u64 offset = RTPFWD_COPY_OFFSET(select);
	const struct rtpfwd_rest *rest;

	f->copy = offset;
	asm volatile("" : "+r"(offset));
	if (offset == 0) {
		asm volatile("" : "+r"(offset));
		f->act = (const void *)&f->slot->first + offset;
		f->flags = f->act->flags;
		return true;
	}
	rest = flow_rest(f);
	if (!rest || offset > RTPFWD_COPY_OFFSET(RTPFWD_THIRD))
		return false;
	f->act = (const void *)rest + sizeof(rest->pad) + offset;
	f->flags = f->act->flags;
	return true;
}

/* RTCP that shares the port of its RTP (RFC 5761) goes the way of the flow beside it. False: that
 * one is not leased. */
static __always_inline bool flow_demultiplex(struct flow *f, const struct rtpfwd_control *control,
					     const struct packet *p)
{
	__u32 select;

	if (!(f->flags & RTPFWD_F_MUX) || (void *)(p->payload + 2) > p->end ||
	    !rtpfwd_is_rtcp_type(p->payload[1]))
		return true;
	if (!flow_find(f, control, p, 1))
		return false;
	select = *(volatile __u32 *)&f->slot->select;
	return select != RTPFWD_UNLEASED && select != RTPFWD_FOREIGN && flow_choose(f, select);
}

/* What plain IPv4 does not need of the copy in force; NULL: cannot be. */
static __always_inline const struct rtpfwd_wide *flow_wide(const struct flow *f)
{
	const struct rtpfwd_rest *rest = flow_rest(f);
	__u64 offset = f->copy;

	asm volatile("" : "+r"(offset));
	if (!rest || offset > RTPFWD_COPY_OFFSET(RTPFWD_THIRD))
		return NULL;
	return (const void *)rest->wide + offset;
}

/* Of the copy in force, what only some flows need; NULL: cannot be. */
static __always_inline const struct rtpfwd_extra *flow_extra(const struct flow *f)
{
	const struct rtpfwd_rest *rest = flow_rest(f);
	__u64 offset = f->copy / 2;

	asm volatile("" : "+r"(offset));
	if (!rest || offset > RTPFWD_COPY_OFFSET(RTPFWD_THIRD) / 2)
		return NULL;
	return (const void *)rest->extra + offset;
}

/* The way that the copy in force sends packets; NULL: cannot be. */
static __always_inline const struct rtpfwd_path *flow_path(const struct flow *f)
{
	const struct rtpfwd_rest *rest = flow_rest(f);
	__u64 offset = f->copy / 8;

	asm volatile("" : "+r"(offset));
	if (!rest || offset > RTPFWD_COPY_OFFSET(RTPFWD_THIRD) / 8)
		return NULL;
	return (const void *)rest->path + offset;
}

static __always_inline bool from_expected(const struct flow *f, const struct packet *p)
{
	const struct rtpfwd_wide *wide;

	if (!p->six)
		return f->act->expect_ip == p->ip->saddr;
	wide = flow_wide(f);
	return wide && same_ip6(wide->expect_ip, p->ip6->saddr.s6_addr32);
}

static __always_inline bool from_late(const struct flow *f, const struct packet *p)
{
	const struct rtpfwd_wide *wide;

	if (!p->six)
		return f->act->late_ip == p->ip->saddr;
	wide = flow_wide(f);
	return wide && same_ip6(wide->late_ip, p->ip6->saddr.s6_addr32);
}

static __always_inline bool source_admitted(const struct flow *f, const struct packet *p, __u64 now)
{
	const struct rtpfwd_action *act = f->act;

	if (from_expected(f, p) && f->flags & RTPFWD_F_EXPECT &&
	    (act->expect_port == p->udp->source || f->flags & RTPFWD_F_ANY_PORT))
		return true;
	if (now >= act->late_until || !from_late(f, p))
		return false;
	return act->late_port == p->udp->source || f->flags & RTPFWD_F_LATE_ANY;
}

/* Where the far ends alone know what they send, anything may be meant: a fax, STUN, DTLS, ZRTP or
 * SRTP (RFC 7983). */
static __always_inline bool content_admitted(const struct flow *f, const struct packet *p,
					     __u32 length)
{
	bool is;

	if (f->flags & RTPFWD_F_RTCP)
		is = rtpfwd_is_rtcp(p->payload, p->end, length);
	else
		is = rtpfwd_is_rtp(p->payload, p->end, length);
	return is || f->flags & RTPFWD_F_OPAQUE;
}

/* Before its leg is described a port knows no strangers. */
static __always_inline bool flow_described(const struct flow *f)
{
	return f->act->drop != RTPFWD_R_not_signalled || f->flags & RTPFWD_F_EXPECT;
}

/* The packet is charged for when it has passed (count_forwarded): what is refused after this,
 * forged SRTP above all, takes nothing from those that do. */
static __always_inline bool within_rate(struct flow *f, const struct rtpfwd_control *control,
					__u64 now)
{
	const struct rtpfwd_counters *c = &f->slot->counters;

	/* The two planes' jiffies may be one apart. */
	return !f->slot->rate ||
	       rtpfwd_is_within(&f->credit, c, f->slot->rate, control->hz,
				now > c->last ? now - c->last : 0);
}

/*
 * 0, or why a packet of the right source is refused. Who is asked before what: a stranger learns
 * nothing from how his bytes are judged, and a leg's mute or stray media is counted as such
 * whatever it holds.
 */
static __always_inline __u32 flow_admit(const struct flow *f, const struct packet *p, int *length)
{
	const struct rtpfwd_action *act = f->act;

	if (act->drop)
		return act->drop;
	*length = payload_length(p);
	if (*length < 0)
		return RTPFWD_R_bad_length;
	if (!content_admitted(f, p, *length))
		return RTPFWD_R_not_rtp;
	if (hops_left(p) <= 1 || f->endless)
		return RTPFWD_R_ttl;
	if (p->six && !p->udp->check) /* RFC 8200 8.1 */
		return RTPFWD_R_bad_checksum;
	return 0;
}

#endif
