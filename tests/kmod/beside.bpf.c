// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames as a network card would bring them, and what counts them at the other side. The generator
 * runs over live frames; each is written anew, for what it was sent through has changed it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "beside.h"

#define SEQ_AT	 44
#define CHECK_AT 40
#define FROM_AT	 26 /* IPv4 source */
#define WORDS	 (BESIDE_FRAME / 2)

struct beside state = { 0 };

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} wire SEC(".maps");

/* One byte longer than it is to be: what has no other bounds than before would be taken as it was
 * left (kernels from 6.12 on). */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 sum = state.sum + (__u16)bpf_htons(state.seq);
	__u16 *data;

	if (bpf_xdp_adjust_tail(ctx, -1))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if ((void *)(data + WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(data, state.frame, BESIDE_FRAME);
	data[SEQ_AT / 2] = bpf_htons(state.seq);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	data[CHECK_AT / 2] = ~sum;
	state.seq++;
	if (!state.sent++)
		state.first_ns = bpf_ktime_get_ns();
	return bpf_redirect_map(&wire, 0, XDP_DROP);
}

static __always_inline int count(const __u8 *data, const void *end, int drop, int pass)
{
	/* UDP from 10.77.2.1, or as it was sent, from 10.77.1.2 */
	if ((const void *)(data + 42) > end || data[23] != 17 || data[FROM_AT] != 10 ||
	    data[FROM_AT + 1] != 77)
		return pass;
	state.received++;
	state.last_ns = bpf_ktime_get_ns();
	return drop;
}

SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	return count((void *)(long)ctx->data, (void *)(long)ctx->data_end, XDP_DROP, XDP_PASS);
}

SEC("tc")
int sink_tc(struct __sk_buff *skb)
{
	return count((void *)(long)skb->data, (void *)(long)skb->data_end, TC_ACT_SHOT, TC_ACT_OK);
}

char LICENSE[] SEC("license") = "GPL";
