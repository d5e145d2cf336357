/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. What reaches the host's UDP at a relay port, because no XDP program took it, goes
 * to the userspace relay: no socket for each port, and no ICMP to who sends there. */
#ifndef RTPFWD_STEER_H
#define RTPFWD_STEER_H

#include <linux/bpf.h>
#include <linux/in.h>

#include "maps.h"

#define AF_INET6 10

static __always_inline bool is_link(const struct rtpfwd_control *control, __u32 ifindex)
{
	__u32 key;

	for (key = 0; key < RTPFWD_MAX_LINKS; key++)
		if (control->ifindex[key] == ifindex)
			return true;
	return false;
}

static __always_inline bool is_above_link(__u32 ifindex)
{
	const struct rtpfwd_uppers *uppers;
	__u32 zero = 0;

	uppers = bpf_map_lookup_elem(&rtpfwd_uppers, &zero);
	return uppers && rtpfwd_upper_link(uppers, ifindex) != RTPFWD_MAX_LINKS;
}

/* What the daemon plays to a call that goes through this node twice comes by loopback, which the
 * kernel tells as the interface that has the destination. From outside it takes no source of its
 * own in IPv4, but any in IPv6: there such a source is believed on `lo` alone, beside the realms'
 * interfaces. A relay address of IPv6 on any other one gets no music from this node. */
static __always_inline bool is_from_here(const struct rtpfwd_control *control,
					 const struct bpf_sk_lookup *ctx)
{
	__be32 ip[4] = { ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2],
			 ctx->remote_ip6[3] };

	if (ctx->family == AF_INET6)
		return ctx->ingress_ifindex == RTPFWD_LOOPBACK && rtpfwd_is_own6(control, ip);
	return rtpfwd_is_own(control, ctx->remote_ip4);
}

/* True, and which slot: a port of a relay address. */
static __always_inline bool find_steered(const struct rtpfwd_control *control,
					 const struct bpf_sk_lookup *ctx, __u32 *slot)
{
	__be32 ip[4] = { ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2],
			 ctx->local_ip6[3] };
	const struct rtpfwd_address6 *six;
	const struct rtpfwd_address *four;
	__u32 offset;

	if (ctx->family == AF_INET6) {
		six = &control->addresses6[rtpfwd_bucket6(ip, rtpfwd_seed)];
		offset = ctx->local_port - six->lo;
		*slot = rtpfwd_slot_of(six->base, six->count, offset);
		return six->ip[0] == ip[0] && six->ip[1] == ip[1] && six->ip[2] == ip[2] &&
		       six->ip[3] == ip[3] && offset < six->count;
	}
	four = &control->addresses[rtpfwd_bucket(ctx->local_ip4, rtpfwd_seed)];
	offset = ctx->local_port - four->lo;
	*slot = rtpfwd_slot_of(four->base, four->count, offset);
	return four->ip == ctx->local_ip4 && offset < four->count;
}

SEC("sk_lookup")
int rtpfwd_steer(struct bpf_sk_lookup *ctx)
{
	struct rtpfwd_control *control = map_control();
	__u32 family = ctx->family == AF_INET6, index;
	struct rtpfwd_slot *slot;
	struct bpf_sock *sock;

	if (!control || ctx->protocol != IPPROTO_UDP || !find_steered(control, ctx, &index))
		return SK_PASS;
	if (!is_link(control, ctx->ingress_ifindex) && !is_above_link(ctx->ingress_ifindex) &&
	    !is_from_here(control, ctx))
		return SK_PASS;
	slot = bpf_map_lookup_elem(&rtpfwd_slots, &index);
	if (!slot || *(volatile __u32 *)&slot->select == RTPFWD_FOREIGN)
		return SK_PASS;
	sock = bpf_map_lookup_elem(&rtpfwd_socks, &family);
	if (!sock)
		return SK_PASS;
	bpf_sk_assign(ctx, sock, 0);
	bpf_sk_release(sock);
	return SK_PASS;
}

#endif
