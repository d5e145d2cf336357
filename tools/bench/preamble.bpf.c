// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* BPF_PROG_TEST_RUN repeats one frame: this makes it the next flow's, then hands it to the program
 * that is measured. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "xdp_bench.h"

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	__be32 ports;
	__be16 length, check;
	__u8 rtp[2];
	__be16 seq;
	__be32 ts;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

struct bench_state state = { 0 };

/* A flow far from the last one each time, so that nothing is fetched ahead; every flow once before
 * the first comes again. */
static __always_inline void next_frame(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;
	__u32 flow = state.flow + state.step;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return;
	if (flow >= state.flows)
		flow -= state.flows;
	state.flow = flow;
	if (++state.turn >= state.flows) {
		state.turn = 0;
		state.seq++;
	}
	f->ip.saddr = BENCH_PHONE;
	f->ip.daddr = BENCH_RELAY(flow / BENCH_PAIRS);
	f->ip.ttl = 64;
	/* One store: whoever reads both at once would wait for two, as it never does for a wire. */
	f->ports = bpf_htonl(BENCH_PHONE_PORT << 16 | (BENCH_LO + flow % BENCH_PAIRS * 2));
	f->seq = bpf_htons(state.seq);
	f->ts = bpf_htonl(state.seq * 160);
}

SEC("xdp")
int bench_empty(struct xdp_md *ctx)
{
	next_frame(ctx);
	bpf_tail_call(ctx, &targets, BENCH_EMPTY);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_forward(struct xdp_md *ctx)
{
	next_frame(ctx);
	bpf_tail_call(ctx, &targets, BENCH_FORWARD);
	return XDP_ABORTED;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
