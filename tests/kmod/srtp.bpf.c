// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The functions of rtpfwd.ko as a program on the fast path calls them: UDP over IPv4 to a port
 * with an order is protected or unprotected, lengths and checksums are made true, and it goes on.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../kmod/rtpfwd_kfunc.h"
#include "srtp.h"

#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __be16);
	__type(value, struct order);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct outcome);
} outcomes SEC(".maps");

struct frame {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
};

static __always_inline bool parse(struct frame *f, const struct xdp_md *ctx)
{
	f->eth = (void *)(long)ctx->data;
	f->ip = (void *)(f->eth + 1);
	f->udp = (void *)(f->ip + 1);
	return (void *)(f->udp + 1) <= (void *)(long)ctx->data_end &&
	       f->eth->h_proto == bpf_htons(ETH_P_IP) && *(__u8 *)f->ip == 0x45 &&
	       f->ip->protocol == IPPROTO_UDP;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Headers as they are due for a payload of `length` bytes. */
static __always_inline bool finish(struct xdp_md *ctx, __u32 length)
{
	__u32 sum = 0;
	struct frame f;
	int payload;

	if (!parse(&f, ctx))
		return false;
	f.udp->len = bpf_htons(length + sizeof(*f.udp));
	f.ip->tot_len = bpf_htons(length + sizeof(*f.udp) + sizeof(*f.ip));
	f.ip->check = 0;
	for (unsigned int i = 0; i < sizeof(*f.ip) / 2; i++)
		sum += ((__u16 *)f.ip)[i];
	f.ip->check = ~fold(sum);
	f.udp->check = 0;
	payload = rtpfwd_frame_sum(ctx, sizeof(*f.eth) + sizeof(*f.ip), length + sizeof(*f.udp));
	if (payload < 0)
		return false;
	sum = payload + bpf_htons(IPPROTO_UDP) + f.udp->len;
	sum += (f.ip->saddr & 0xffff) + (f.ip->saddr >> 16);
	sum += (f.ip->daddr & 0xffff) + (f.ip->daddr >> 16);
	f.udp->check = ~fold(sum);
	if (!f.udp->check)
		f.udp->check = 0xffff;
	return true;
}

/* Room for what SRTP adds. The tail first; veth of 6.12 has none there, so its head. */
static __always_inline int grow(struct xdp_md *ctx, const struct order *o, struct outcome *out)
{
	int err;

	if (!o->grow)
		return 0;
	if (!o->by_head && !bpf_xdp_adjust_tail(ctx, o->grow))
		return 0;
	err = bpf_xdp_adjust_head(ctx, -(int)o->grow);
	if (err)
		return err;
	out->headed++;
	return rtpfwd_frame_shift(ctx, o->grow);
}

static __always_inline int carry_out(struct xdp_md *ctx, const struct order *o, __u32 length,
				     struct outcome *out)
{
	int err;

	if (o->op == OP_RAW)
		return rtpfwd_srtp_protect(ctx, o->id, o->offset, o->length);
	if (o->op == OP_UNPROTECT)
		return rtpfwd_srtp_unprotect(ctx, o->id, HEADERS, length);
	err = grow(ctx, o, out);
	return err ? err : rtpfwd_srtp_protect(ctx, o->id, HEADERS, length);
}

SEC("xdp")
int srtp(struct xdp_md *ctx)
{
	__u32 zero = 0, length;
	struct outcome *out;
	struct order *o;
	struct frame f;
	__be16 port;
	int ret;

	if (!parse(&f, ctx))
		return XDP_PASS;
	port = f.udp->dest;
	length = bpf_ntohs(f.udp->len) - sizeof(*f.udp);
	o = bpf_map_lookup_elem(&orders, &port);
	out = bpf_map_lookup_elem(&outcomes, &zero);
	if (!o || !out)
		return XDP_PASS;
	ret = carry_out(ctx, o, length, out);
	out->ret = ret;
	if (ret < 0 || o->op == OP_RAW || !finish(ctx, ret)) {
		__sync_fetch_and_add(&out->refused, 1);
		return XDP_DROP;
	}
	__sync_fetch_and_add(&out->done, 1);
	return XDP_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct price);
} prices SEC(".maps");

SEC("xdp")
int cost(struct xdp_md *ctx)
{
	__u16 *seq = (void *)(long)ctx->data + HEADERS + 2;
	__u32 zero = 0;
	struct price *p = bpf_map_lookup_elem(&prices, &zero);
	int ret = 0;

	if (!p || (void *)(seq + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*seq = bpf_htons(bpf_ntohs(*seq) + 1);
	if (p->op == OP_PROTECT || p->op == OP_UNPROTECT)
		ret = rtpfwd_srtp_protect(ctx, p->id, HEADERS, p->length);
	if (p->op == OP_UNPROTECT && ret > 0)
		ret = rtpfwd_srtp_unprotect(ctx, p->reverse, HEADERS, ret);
	if (p->op == OP_RAW)
		ret = rtpfwd_frame_sum(ctx, HEADERS - sizeof(struct udphdr), p->length);
	p->failed += ret < 0;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
