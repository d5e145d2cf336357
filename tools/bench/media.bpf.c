// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * Generator and sinks of the media benchmark. The generator runs over live frames, makes each the
 * next packet of the next flow and puts it on an end host's wire; sinks at the end hosts count,
 * examine and drop what comes back from the relay. With SRTP packets come from a map, where they
 * were encrypted before: then a flow is known by the relay's port that is in the packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "media.h"

#define PAYLOAD 152 /* behind the stamp */

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__be16 rtp;
	__be16 seq;
	__be32 ts;
	__be32 ssrc;
	__u8 stamp[8]; /* ns */
	__u8 payload[PAYLOAD];
} __attribute__((packed));

_Static_assert(sizeof(struct frame) == MEDIA_FRAME, "frame");

struct media_state state = { 0 };
struct media_sink sinks[MEDIA_SIDES] __attribute__((aligned(64))) = { 0 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MEDIA_MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct media_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MEDIA_SIDES *MEDIA_SAMPLES);
	__type(key, __u32);
	__type(value, __u64); /* ns */
} delays SEC(".maps");

/* The end hosts' interfaces by side, then the relay's that are wired to the other side's sink. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2 * MEDIA_SIDES);
	__type(key, __u32);
	__type(value, __u32);
} wires SEC(".maps");

/* The relay's interfaces by side; for the bare redirect. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MEDIA_SIDES);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

/* By turn. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MEDIA_TURNS);
	__type(key, __u32);
	__type(value, struct media_packet);
} packets SEC(".maps");

/* Flows by the side that their sender is on and the relay's port: at which they arrive, which they
 * leave from. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MEDIA_NUMBERS);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MEDIA_SIDES *MEDIA_KEPT);
	__type(key, __u32);
	__type(value, struct media_sample);
} samples SEC(".maps");

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline bool is_due(void)
{
	__u64 now;

	if (state.sent - state.forgiven - sinks[0].received - sinks[1].received >= state.window)
		return false;
	if (!state.period)
		return true;
	now = bpf_ktime_get_ns();
	if (now < state.due)
		return false;
	state.due += state.period;
	if (state.due < now) /* it stood still for a while: no burst makes up for that */
		state.due = now + state.period;
	return true;
}

static __always_inline void write_headers(struct frame *f, const struct media_flow *flow,
					  __u32 size)
{
	__builtin_memcpy(&f->eth, state.macs[flow->side & 1], 12);
	f->eth.h_proto = bpf_htons(ETH_P_IP);
	f->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xb8,
		.tot_len = bpf_htons(size - sizeof(f->eth)),
		.frag_off = bpf_htons(0x4000),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.check = flow->ip_check,
		.saddr = flow->from_ip,
		.daddr = flow->relay_ip,
	};
	f->udp = (struct udphdr){ flow->from_port, flow->relay_port,
				  bpf_htons(size - sizeof(f->eth) - sizeof(f->ip)), 0 };
}

static __always_inline void write_rtp(struct frame *f, const struct media_flow *flow)
{
	__u64 stamp = state.timed ? bpf_ktime_get_ns() : 0;
	__u32 seq = bpf_htons(state.turn), ts = bpf_htonl(state.turn * 160);
	__u64 sum;

	f->rtp = bpf_htons(0x8000);
	f->seq = seq;
	f->ts = ts;
	f->ssrc = bpf_htonl(MEDIA_SSRC | state.next);
	__builtin_memcpy(f->stamp, &stamp, sizeof(stamp));
	sum = (__u64)flow->sum + seq + ts + (stamp & 0xffffffff) + (stamp >> 32);
	f->udp.check = ~fold(sum + (f->ssrc & 0xffff) + (f->ssrc >> 16));
	if (!f->udp.check)
		f->udp.check = 0xffff;
}

static __always_inline __u32 next_wire(const struct media_flow *flow)
{
	if (++state.next >= state.flows) {
		state.next = 0;
		state.turn++;
	}
	state.sent++;
	return flow->side + (state.direct ? MEDIA_SIDES : 0);
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;
	const struct media_flow *flow;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (!is_due()) {
		state.idle++;
		return XDP_DROP;
	}
	flow = bpf_map_lookup_elem(&flows, &state.next);
	if (!flow)
		return XDP_ABORTED;
	write_headers(f, flow, MEDIA_FRAME);
	write_rtp(f, flow);
	return bpf_redirect_map(&wires, next_wire(flow), XDP_DROP);
}

/* One byte longer than any is to be: what has no other bounds than before would be taken as it was
 * left. */
SEC("xdp")
int generate_srtp(struct xdp_md *ctx)
{
	const struct media_packet *packet;
	const struct media_flow *flow;
	struct frame *f;
	__u32 size;

	if (!is_due()) {
		state.idle++;
		return XDP_DROP;
	}
	flow = bpf_map_lookup_elem(&flows, &state.next);
	packet = bpf_map_lookup_elem(&packets, &state.turn);
	if (!flow || !packet)
		return XDP_ABORTED;
	size = flow->secret ? MEDIA_SRTP_FRAME : MEDIA_FRAME;
	if (bpf_xdp_adjust_tail(ctx, (int)size - MEDIA_SRTP_FRAME - 1))
		return XDP_ABORTED;
	f = (void *)(long)ctx->data;
	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_headers(f, flow, size);
	f->udp.check = ~fold((__u64)flow->sum + packet->sums[flow->secret & 1]);
	if (!f->udp.check)
		f->udp.check = 0xffff;
	if (flow->secret ? bpf_xdp_store_bytes(ctx, MEDIA_FRAME - MEDIA_RTP, (void *)packet->secret,
					       MEDIA_SRTP)
			 : bpf_xdp_store_bytes(ctx, MEDIA_FRAME - MEDIA_RTP, (void *)packet->plain,
					       MEDIA_RTP))
		return XDP_ABORTED;
	return bpf_redirect_map(&wires, next_wire(flow), XDP_DROP);
}

/* All `size` bytes are there, a constant and even. */
static __always_inline bool sums_up(const struct frame *f, __u32 size)
{
	const __u32 *word = (const void *)&f->ip;
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 5; i++)
		sum += word[i];
	if (fold(sum) != 0xffff)
		return false;
	sum = (__u64)f->ip.saddr + f->ip.daddr + bpf_htons(IPPROTO_UDP) + f->udp.len;
	word = (const void *)&f->udp;
	for (i = 0; i < (size - 34) / 4; i++)
		sum += word[i];
	if ((size - 34) % 4)
		sum += *(const __u16 *)&word[i];
	return fold(sum) == 0xffff;
}

/* As its flow must arrive, or as it was sent where no relay is between. */
static __always_inline bool is_addressed(const struct frame *f, const struct media_flow *flow)
{
	if (state.direct)
		return f->ip.saddr == flow->from_ip && f->ip.daddr == flow->relay_ip &&
		       f->udp.source == flow->from_port && f->udp.dest == flow->relay_port;
	return f->ip.saddr == flow->out_ip && f->ip.daddr == flow->to_ip &&
	       f->udp.source == flow->out_port && f->udp.dest == flow->to_port;
}

static __always_inline bool has_size(const struct frame *f, __u32 size)
{
	return f->ip.tot_len == bpf_htons(size - sizeof(f->eth)) &&
	       f->udp.len == bpf_htons(size - sizeof(f->eth) - sizeof(f->ip)) && sums_up(f, size);
}

static __always_inline bool is_right(const struct frame *f, __u32 side)
{
	__u32 number = bpf_ntohl(f->ssrc) & MEDIA_NUMBER;
	const struct media_flow *flow = bpf_map_lookup_elem(&flows, &number);

	return flow && flow->side != side && is_addressed(f, flow) && has_size(f, MEDIA_FRAME);
}

static __always_inline void keep_delay(const struct frame *f, __u32 side, __u64 number)
{
	__u32 key = side * MEDIA_SAMPLES + (number & (MEDIA_SAMPLES - 1));
	__u64 stamp, *delay;

	__builtin_memcpy(&stamp, f->stamp, sizeof(stamp));
	delay = bpf_map_lookup_elem(&delays, &key);
	if (delay)
		*delay = bpf_ktime_get_ns() - stamp;
}

/* A packet of the benchmark's. */
static __always_inline bool is_ours(const struct frame *f, const void *end)
{
	return (const void *)(f + 1) <= end && f->eth.h_proto == bpf_htons(ETH_P_IP) &&
	       *(const __u8 *)&f->ip == 0x45 && f->ip.protocol == IPPROTO_UDP &&
	       (f->ssrc & bpf_htonl(~MEDIA_NUMBER)) == bpf_htonl(MEDIA_SSRC);
}

/* True: it was one. */
static __always_inline bool count(const void *data, const void *end, __u32 side)
{
	const struct frame *f = data;
	struct media_sink *sink = &sinks[side];

	if (!is_ours(f, end))
		return false;
	if (!is_right(f, side))
		sink->wrong++;
	if (state.timed)
		keep_delay(f, side, sink->received);
	*(volatile __u64 *)&sink->received += 1;
	return true;
}

static __always_inline int count_skb(struct __sk_buff *skb, __u32 side)
{
	if ((void *)(long)skb->data + MEDIA_FRAME > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, MEDIA_FRAME);
	return count((void *)(long)skb->data, (void *)(long)skb->data_end, side) ? TC_ACT_SHOT
										 : TC_ACT_OK;
}

static __always_inline int count_xdp(const struct xdp_md *ctx, __u32 side)
{
	return count((void *)(long)ctx->data, (void *)(long)ctx->data_end, side) ? XDP_DROP
										 : XDP_PASS;
}

SEC("xdp")
int caller_xdp(struct xdp_md *ctx)
{
	return count_xdp(ctx, MEDIA_CALLER);
}

SEC("xdp")
int callee_xdp(struct xdp_md *ctx)
{
	return count_xdp(ctx, MEDIA_CALLEE);
}

SEC("tc")
int caller_tc(struct __sk_buff *skb)
{
	return count_skb(skb, MEDIA_CALLER);
}

SEC("tc")
int callee_tc(struct __sk_buff *skb)
{
	return count_skb(skb, MEDIA_CALLEE);
}

/* By the relay's port: of all else that a packet brings nothing tells flows apart. */
static __always_inline const __u64 *number_of(const struct frame *f, __u32 side)
{
	__u32 key = !side * 2 * 65536 +
		    (state.direct ? bpf_ntohs(f->udp.dest) : 65536 + bpf_ntohs(f->udp.source));

	return bpf_map_lookup_elem(&numbers, &key);
}

static __always_inline void keep_sample(struct __sk_buff *skb, __u32 side, __u64 flow, bool secret)
{
	__u32 key = side * MEDIA_KEPT + (sinks[side].received / MEDIA_KEEP & (MEDIA_KEPT - 1));
	struct media_sample *sample = bpf_map_lookup_elem(&samples, &key);

	if (!sample)
		return;
	sample->flow = flow;
	if (secret)
		bpf_skb_load_bytes(skb, MEDIA_FRAME - MEDIA_RTP, sample->bytes, MEDIA_SRTP);
	else
		bpf_skb_load_bytes(skb, MEDIA_FRAME - MEDIA_RTP, sample->bytes, MEDIA_RTP);
}

static __always_inline bool is_right_srtp(struct __sk_buff *skb, const struct frame *f, __u32 side)
{
	const __u64 *number = number_of(f, side);
	const struct media_flow *flow = number ? bpf_map_lookup_elem(&flows, number) : NULL;
	bool secret;

	if (!flow || flow->side == side || !is_addressed(f, flow))
		return false;
	secret = flow->secret == state.direct;
	if (!(sinks[side].received % MEDIA_KEEP))
		keep_sample(skb, side, *number, secret);
	if (!secret)
		return has_size(f, MEDIA_FRAME);
	return (const void *)f + MEDIA_SRTP_FRAME <= (const void *)(long)skb->data_end &&
	       has_size(f, MEDIA_SRTP_FRAME);
}

static __always_inline int count_srtp(struct __sk_buff *skb, __u32 side)
{
	const struct frame *f;

	bpf_skb_pull_data(skb, skb->len);
	f = (const void *)(long)skb->data;
	if (!is_ours(f, (const void *)(long)skb->data_end))
		return TC_ACT_OK;
	if (!is_right_srtp(skb, f, side))
		sinks[side].wrong++;
	*(volatile __u64 *)&sinks[side].received += 1;
	return TC_ACT_SHOT;
}

SEC("tc")
int caller_srtp(struct __sk_buff *skb)
{
	return count_srtp(skb, MEDIA_CALLER);
}

SEC("tc")
int callee_srtp(struct __sk_buff *skb)
{
	return count_srtp(skb, MEDIA_CALLEE);
}

/* The limit: a relay that reads nothing and writes nothing. */
SEC("xdp")
int bare_caller(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, MEDIA_CALLEE, XDP_PASS);
}

SEC("xdp")
int bare_callee(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, MEDIA_CALLER, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
