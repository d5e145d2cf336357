/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. New addresses, ports, TTL, Ethernet header and tag; the checksum of UDP by
 * difference (RFC 1624), payload unread. */
#ifndef RTPFWD_REWRITE_H
#define RTPFWD_REWRITE_H

#include "flow.h"
#include "parse.h"
#include "sum.h"

#define TTL_STEP       bpf_htons(0xfeff) /* ones' complement of what the TTL's word loses */
#define IP_DF	       bpf_htons(0x4000)
#define ECN_MASK       3
#define IP6_VERSION    0x60000000
#define IP6_CLASS_MASK 0x0ff00000
#define VLAN_PRIORITY  bpf_htons(0xe000)
#define SOME_TAG       0x10000

/* Of a packet whose headers before UDP are made anew. */
struct old {
	__u32 begin6; /* version, traffic class and flow label as IPv6 has them; host order */
	__be16 id, fragment; /* as IPv4 has them */
	__be16 length;	     /* of UDP */
	__u8 hops;
	__u8 size; /* bytes before UDP */
};

/* Six bytes and two more, in two ways. */
union mac {
	__u64 whole;
	struct {
		half first;
		word rest;
	} __attribute__((packed)) to;
	struct {
		word first;
		half rest;
	} from;
};

/* Of a packed struct the compiler for BPF moves bytes, hence words: they are aligned as IP is. */
static __always_inline void write_macs(void *eth, const struct rtpfwd_control *control,
				       const struct rtpfwd_action *act)
{
	/* One load: the controller changes it by one store. */
	union mac from = { *(volatile __u64 *)&control->mac[act->link % RTPFWD_MAX_LINKS] };
	union mac to = { *(const two_words *)((const void *)act +
					      RTPFWD_AT(rtpfwd_action, to_mac)) };

	*(half *)eth = to.to.first;
	*(word *)(eth + 2) = to.to.rest;
	*(word *)(eth + 6) = from.from.first;
	*(half *)(eth + 10) = from.from.rest;
}

/* `difference` is that of the addresses. */
static __always_inline void write_udp(struct udphdr *udp, const struct rtpfwd_action *act,
				      __u64 difference)
{
	const word *from = (const word *)&act->from_port;
	word *ports = (word *)udp;
	__u16 check;

	if (udp->check) { /* 0: the sender did not sum (RFC 768), nor do we */
		check = checksum_apply(udp->check, difference + (__u32)~*ports + *from);
		udp->check = check ? check : 0xffff;
	}
	*ports = *from;
}

static __always_inline __u8 tos_of(const struct flow *f, __u8 was)
{
	return f->flags & RTPFWD_F_TOS ? (f->act->tos & ~ECN_MASK) | (was & ECN_MASK) : was;
}

static __always_inline void rewrite_ip(const struct packet *p, const struct rtpfwd_control *control,
				       const struct flow *f)
{
	const struct rtpfwd_action *act = f->act;
	__u8 tos = p->ip->tos;
	__u64 difference = sum_not(p->ip->saddr, p->ip->daddr) + act->from_ip + act->to_ip;

	write_udp(p->udp, act, difference);
	if (f->flags & RTPFWD_F_TOS) {
		p->ip->tos = tos_of(f, tos);
		difference += (__u16)~bpf_htons(tos) + bpf_htons(p->ip->tos);
	}
	p->ip->check = checksum_apply(p->ip->check, difference + TTL_STEP);
	p->ip->saddr = act->from_ip;
	p->ip->daddr = act->to_ip;
	p->ip->ttl--;
	write_macs(p->eth, control, act);
}

static __always_inline const __be32 *from6(const struct rtpfwd_control *control,
					   const struct rtpfwd_action *act)
{
	return control->addresses6[act->from_ip % (1 << RTPFWD_HASH_BITS)].ip;
}

/* `to6` is where IPv6 goes. */
static __always_inline __u64 difference_of(const struct packet *p,
					   const struct rtpfwd_control *control,
					   const struct flow *f, const __be32 to6[4])
{
	const struct rtpfwd_action *act = f->act;
	__u64 sum;

	if (p->six)
		sum = sum_not6(p->ip6->saddr.s6_addr32) + sum_not6(p->ip6->daddr.s6_addr32);
	else
		sum = sum_not(p->ip->saddr, p->ip->daddr);
	if (f->flags & RTPFWD_F_IPV6)
		return sum + sum6(from6(control, act)) + sum6(to6);
	return sum + act->from_ip + act->to_ip;
}

static __always_inline struct old read_old(const struct packet *p, const struct flow *f)
{
	struct old old = {
		.length = p->udp->len,
		.hops = hops_left(p),
		.fragment = IP_DF, /* never fragmented by us, hence atomic: no id (RFC 6864) */
		.size = (void *)p->udp - (void *)p->eth,
	};
	__u8 tos;

	if (p->six) {
		old.begin6 = bpf_ntohl(*(__be32 *)p->ip6);
		tos = tos_of(f, old.begin6 >> 20);
		old.begin6 = (old.begin6 & ~IP6_CLASS_MASK) | tos << 20;
	} else {
		old.begin6 = IP6_VERSION | tos_of(f, p->ip->tos) << 20;
		old.id = p->ip->id;
		old.fragment = p->ip->frag_off;
	}
	return old;
}

/* RFC 7915 5.1 where it was IPv6. */
static __always_inline void write_ip(struct iphdr *ip, const struct old *old,
				     const struct rtpfwd_action *act)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = old->begin6 >> 20,
		.tot_len = bpf_htons(bpf_ntohs(old->length) + sizeof(*ip)),
		.id = old->id,
		.frag_off = old->fragment,
		.ttl = old->hops - 1,
		.protocol = IPPROTO_UDP,
		.saddr = act->from_ip,
		.daddr = act->to_ip,
	};
	ip->check = checksum_apply(0xffff, sum_ip(ip));
}

static __always_inline void write_ip6(struct ipv6hdr *ip6, const struct old *old,
				      const __be32 from[4], const __be32 to[4])
{
	*(__be32 *)ip6 = bpf_htonl(old->begin6);
	ip6->payload_len = old->length;
	ip6->nexthdr = IPPROTO_UDP;
	ip6->hop_limit = old->hops - 1;
	__builtin_memcpy(&ip6->saddr, from, sizeof(ip6->saddr));
	__builtin_memcpy(&ip6->daddr, to, sizeof(ip6->daddr));
}

/* Ethernet and, unless 0, a tag that holds `proto`; what follows. */
static __always_inline void *write_eth(struct packet *p, const struct rtpfwd_control *control,
				       const struct rtpfwd_action *act, __be16 proto, __u32 tag)
{
	struct vlan_tag *vlan = (void *)(p->eth + 1);

	write_macs(p->eth, control, act);
	p->eth->h_proto = tag ? bpf_htons(ETH_P_8021Q) : proto;
	if (!tag)
		return vlan;
	vlan->tag = tag;
	vlan->proto = proto;
	return vlan + 1;
}

/* `size` bytes before UDP where `old` has its own. False: no room for them. */
static __always_inline bool exchange(struct host *h, struct packet *p, const struct old *old,
				     __u32 size)
{
	if (size != old->size && !frame_grow(h, (int)size - (int)old->size))
		return false;
	p->eth = frame_begin(h);
	p->end = frame_end(h);
	p->payload = (void *)p->eth + size + sizeof(struct udphdr);
	return (void *)p->payload <= p->end;
}

static __always_inline bool leave_ip6(struct host *h, struct packet *p, const struct old *old,
				      const struct rtpfwd_control *control, const struct flow *f,
				      const struct rtpfwd_wide *wide, __u32 tag)
{
	__u32 size = sizeof(struct ethhdr) + sizeof(struct ipv6hdr);
	void *ip6;

	if (!exchange(h, p, old, tag ? size + sizeof(struct vlan_tag) : size))
		return false;
	ip6 = write_eth(p, control, f->act, bpf_htons(ETH_P_IPV6), tag);
	write_ip6(ip6, old, from6(control, f->act), wide->to_ip);
	return true;
}

static __always_inline bool leave_ip(struct host *h, struct packet *p, const struct old *old,
				     const struct rtpfwd_control *control, const struct flow *f,
				     __u32 tag)
{
	__u32 size = sizeof(struct ethhdr) + sizeof(struct iphdr);
	void *ip;

	if (!exchange(h, p, old, tag ? size + sizeof(struct vlan_tag) : size))
		return false;
	ip = write_eth(p, control, f->act, bpf_htons(ETH_P_IP), tag);
	write_ip(ip, old, f->act);
	return true;
}

/* The tag to leave with, with a bit above it; 0: none. */
static __always_inline __u32 tag_of(const struct packet *p, const struct flow *f)
{
	if (f->flags & RTPFWD_F_TAG)
		return SOME_TAG | f->act->vlan | (p->tag & VLAN_PRIORITY);
	return f->flags & RTPFWD_F_KEEP_TAG && p->tagged ? SOME_TAG | p->tag : 0;
}

/* From or to IPv6 or a VLAN. */
static __always_inline __u32 rewrite_other(struct host *h, struct packet *p,
					   const struct rtpfwd_control *control,
					   const struct flow *f)
{
	const struct rtpfwd_wide *wide = flow_wide(f);
	struct old old = read_old(p, f);
	__u32 tag = tag_of(p, f);
	bool fits;

	if (!wide)
		return RTPFWD_R_headroom;
	/* A sum made anew would make damage look whole (RFC 1812 5.2.2). */
	if (!p->six && fold(sum_ip(p->ip)) != 0xffff)
		return RTPFWD_R_bad_checksum;
	if (!p->udp->check && f->flags & RTPFWD_F_IPV6 && !sum_missing(h, p))
		return RTPFWD_R_bad_checksum;
	write_udp(p->udp, f->act, difference_of(p, control, f, wide->to_ip));
	/* The verifier wants to see constants: no variable of either. */
	if (f->flags & RTPFWD_F_IPV6)
		fits = tag ? leave_ip6(h, p, &old, control, f, wide, tag)
			   : leave_ip6(h, p, &old, control, f, wide, 0);
	else
		fits = tag ? leave_ip(h, p, &old, control, f, tag)
			   : leave_ip(h, p, &old, control, f, 0);
	return fits ? 0 : RTPFWD_R_headroom;
}

/* 0, or why it cannot be sent on. Afterwards only the payload of `p` is to be found. */
static __always_inline __u32 rewrite(struct host *h, struct packet *p,
				     const struct rtpfwd_control *control, const struct flow *f)
{
	const __u32 others = RTPFWD_F_IPV6 | RTPFWD_F_TAG;

	if ((p->six || p->tagged || f->flags & others) && (rtpfwd_ipv6 || rtpfwd_vlan))
		return rewrite_other(h, p, control, f);
	rewrite_ip(p, control, f);
	return 0;
}

#endif
