/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. New addresses, ports, TTL and Ethernet header; the checksum of UDP by difference
 * (RFC 1624), payload unread. */
#ifndef RTPFWD_REWRITE_H
#define RTPFWD_REWRITE_H

#include "flow.h"
#include "parse.h"
#include "sum.h"

#define TTL_STEP    bpf_htons(0xfeff) /* ones' complement of the 0x0100 that the TTL word loses */
#define IP_DF	    bpf_htons(0x4000)
#define IP6_VERSION 0x60000000

/* Of a packet whose IP header is made anew. */
struct old {
	__u32 begin6; /* IPv6: version, traffic class and flow label; host order */
	__be16 length;
	__u8 hops;
	__u8 size;
};

static __always_inline void write_macs(struct ethhdr *eth, const struct rtpfwd_control *control,
				       const struct rtpfwd_action *act)
{
	__u64 from = *(volatile __u64 *)&control->mac[act->link % RTPFWD_MAX_LINKS];

	__builtin_memcpy(eth->h_dest, act->to_mac, sizeof(eth->h_dest));
	__builtin_memcpy(eth->h_source, &from, sizeof(eth->h_source));
}

/* `difference` is that of the addresses. */
static __always_inline void write_udp(struct udphdr *udp, const struct rtpfwd_action *act,
				      __u64 difference)
{
	if (udp->check) { /* 0: the sender did not sum (RFC 768), nor do we */
		difference += (__u16)~udp->source + act->from_port;
		difference += (__u16)~udp->dest + act->to_port;
		udp->check = checksum_apply(udp->check, difference);
		if (!udp->check)
			udp->check = 0xffff;
	}
	udp->source = act->from_port;
	udp->dest = act->to_port;
}

static __always_inline void rewrite_ip(const struct packet *p, const struct rtpfwd_control *control,
				       const struct rtpfwd_action *act)
{
	__u64 difference;

	difference = (__u64)(__u32)~p->ip->saddr + act->from_ip;
	difference += (__u64)(__u32)~p->ip->daddr + act->to_ip;
	p->ip->check = checksum_apply(p->ip->check, difference + TTL_STEP);
	write_udp(p->udp, act, difference);
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
					   const struct rtpfwd_action *act, const __be32 to6[4])
{
	__u64 sum;

	if (p->six)
		sum = sum_not6(p->ip6->saddr.s6_addr32) + sum_not6(p->ip6->daddr.s6_addr32);
	else
		sum = (__u64)(__u32)~p->ip->saddr + (__u32)~p->ip->daddr;
	if (act->flags & RTPFWD_F_IPV6)
		return sum + sum6(from6(control, act)) + sum6(to6);
	return sum + act->from_ip + act->to_ip;
}

static __always_inline struct old read_old(const struct packet *p)
{
	struct old old = { .length = p->udp->len, .hops = hops_left(p) };

	if (p->six) {
		old.begin6 = bpf_ntohl(*(__be32 *)p->ip6);
		old.size = sizeof(struct ipv6hdr);
	} else {
		old.begin6 = IP6_VERSION | p->ip->tos << 20;
		old.size = sizeof(struct iphdr);
	}
	return old;
}

/* RFC 7915 5.1; never fragmented by us, hence atomic in the sense of RFC 6864 and without an id. */
static __always_inline void write_ip(struct iphdr *ip, const struct old *old,
				     const struct rtpfwd_action *act)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = old->begin6 >> 20,
		.tot_len = bpf_htons(bpf_ntohs(old->length) + sizeof(*ip)),
		.frag_off = IP_DF,
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

/* Another header of `size` bytes in the place of that of `old_size`. False: no room for it. */
static __always_inline bool exchange(struct xdp_md *ctx, struct packet *p, __u32 old_size,
				     __u32 size)
{
	if (size != old_size && bpf_xdp_adjust_head(ctx, (int)(old_size - size)))
		return false;
	p->eth = (void *)(long)ctx->data;
	p->end = (void *)(long)ctx->data_end;
	p->payload = (void *)(p->eth + 1) + size + sizeof(struct udphdr);
	return (void *)p->payload <= p->end;
}

/* From or to IPv6. */
static __always_inline __u32 rewrite_ip6(struct xdp_md *ctx, struct packet *p,
					 const struct rtpfwd_control *control, const struct flow *f)
{
	const struct rtpfwd_wide *wide = flow_wide(f);
	struct old old = read_old(p);

	if (!wide)
		return RTPFWD_R_headroom;
	if (!p->udp->check && f->act->flags & RTPFWD_F_IPV6 && !sum_missing(ctx, p))
		return RTPFWD_R_bad_checksum;
	write_udp(p->udp, f->act, difference_of(p, control, f->act, wide->to_ip));
	if (f->act->flags & RTPFWD_F_IPV6) {
		if (!exchange(ctx, p, old.size, sizeof(struct ipv6hdr)))
			return RTPFWD_R_headroom;
		write_ip6((void *)(p->eth + 1), &old, from6(control, f->act), wide->to_ip);
		p->eth->h_proto = bpf_htons(ETH_P_IPV6);
	} else {
		if (!exchange(ctx, p, old.size, sizeof(struct iphdr)))
			return RTPFWD_R_headroom;
		write_ip((void *)(p->eth + 1), &old, f->act);
		p->eth->h_proto = bpf_htons(ETH_P_IP);
	}
	write_macs(p->eth, control, f->act);
	return 0;
}

/* 0, or why it cannot be sent on. Afterwards only the payload of `p` is to be found. */
static __always_inline __u32 rewrite(struct xdp_md *ctx, struct packet *p,
				     const struct rtpfwd_control *control, const struct flow *f)
{
	if (!rtpfwd_ipv6 || (!p->six && !(f->act->flags & RTPFWD_F_IPV6))) {
		rewrite_ip(p, control, f->act);
		return 0;
	}
	return rewrite_ip6(ctx, p, control, f);
}

#endif
