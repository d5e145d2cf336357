/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * BPF side only. What the verdict asks of where it runs, for XDP: maps, clocks, the frame. The same
 * functions for the userspace relay are in controller/datapath/user_host.h; verdict.h and all that
 * it includes call no other.
 */
#ifndef RTPFWD_HOST_H
#define RTPFWD_HOST_H

#include "g711.h"
#include "maps.h"

#define BYTE_MASK 16383 /* where in the frame a byte is */

struct host {
	struct xdp_md *ctx;
};

static __always_inline void *frame_begin(const struct host *h)
{
	return (void *)(long)h->ctx->data;
}

static __always_inline void *frame_end(const struct host *h)
{
	return (void *)(long)h->ctx->data_end;
}

/* Room for `bytes` more in front; below 0: so many less. False: there is none. */
static __always_inline bool frame_grow(struct host *h, int bytes)
{
	return !bpf_xdp_adjust_head(h->ctx, -bytes);
}

__attribute__((noinline)) __u32 rtpfwd_g711(struct xdp_md *ctx, __u32 offset, __u32 blocks,
					    __u32 way)
{
	return g711_blocks((void *)(long)ctx->data + (offset & BYTE_MASK),
			   (void *)(long)ctx->data_end, blocks, way);
}

__attribute__((noinline)) __u32 rtpfwd_g711_rest(struct xdp_md *ctx, __u32 offset, __u32 length,
						 __u32 way)
{
	return g711_rest((void *)(long)ctx->data + (offset & BYTE_MASK),
			 (void *)(long)ctx->data_end, length, way);
}

/* Translates `length` samples (at most G711_MAX); what that adds to a sum. */
static __always_inline __u32 frame_translate(const struct host *h, __u32 offset, __u32 length,
					     __u32 way)
{
	__u32 rest = length % G711_BLOCK;
	__u32 sum = rtpfwd_g711(h->ctx, offset, length / G711_BLOCK, way);

	return rest ? sum + rtpfwd_g711_rest(h->ctx, offset + length - rest, rest, way) : sum;
}

/* 0 behind the end. */
static __always_inline __u8 frame_byte(const struct host *h, __u32 offset)
{
	const __u8 *at = (void *)(long)h->ctx->data + (offset & BYTE_MASK);

	return (const void *)(at + 1) > (void *)(long)h->ctx->data_end ? 0 : *at;
}

/* Out of the node: back where it came in, or over to another interface. XDP_TX or XDP_REDIRECT;
 * XDP_DROP when the interface is not there any more. */
static __always_inline int frame_leave(const struct host *h, const struct rtpfwd_control *control,
				       __u8 link, __u32 flags)
{
	if (flags & RTPFWD_F_TX &&
	    control->ifindex[link % RTPFWD_MAX_LINKS] == h->ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect_map(&rtpfwd_tx, link, XDP_DROP);
}

/* One packet more, dropped or passed on. */
static __always_inline void count_reason(const struct host *h, __u32 reason)
{
	map_count(reason, 1);
}

/* Judges the frame as it is now as if it came in. Where that cannot be it returns: the kernel
 * bounds how often one program follows another. */
static __always_inline int frame_again(const struct host *h)
{
	bpf_tail_call(h->ctx, &rtpfwd_again, 0);
	count_reason(h, RTPFWD_R_ttl);
	return XDP_DROP;
}

__u64 rtpfwd_ahead(__u32 index);

/* flow_ahead() as a function of its own, which the verifier follows once. */
static __always_inline __u64 look_ahead(const struct host *h, __u32 index)
{
	return rtpfwd_ahead(index);
}

static __always_inline struct rtpfwd_control *control_get(const struct host *h)
{
	return map_control();
}

static __always_inline struct rtpfwd_slot *slot_at(const struct host *h, __u32 index)
{
	return bpf_map_lookup_elem(&rtpfwd_slots, &index);
}

static __always_inline struct rtpfwd_rest *rest_at(const struct host *h, __u32 index)
{
	return bpf_map_lookup_elem(&rtpfwd_rests, &index);
}

static __always_inline __u32 seed_of(const struct host *h)
{
	return rtpfwd_seed;
}

static __always_inline __u64 now_jiffies(const struct host *h)
{
	return bpf_jiffies64();
}

static __always_inline __u64 now_ns(const struct host *h)
{
	return bpf_ktime_get_ns();
}

/* Tells the controller that the slot `index` has learned a source. */
static __always_inline void tell(const struct host *h, __u32 index)
{
	struct rtpfwd_event event = { .slot = index };

	bpf_ringbuf_output(&rtpfwd_events, &event, sizeof(event), 0);
}

/* Is this the plane of flows that only the userspace relay can forward? */
static __always_inline bool takes_user_flow(struct host *h)
{
	return false;
}

/* Can it have the kernel send a packet? See fit.h. */
static __always_inline bool has_kernel(const struct host *h)
{
	return false;
}

/* Never: what needs it was passed up. */
static __always_inline int frame_leave_by_kernel(const struct host *h, __u8 link,
						 const struct rtpfwd_path *path)
{
	return XDP_DROP;
}

/* May what comes in be longer than the links that it comes in by? */
static __always_inline bool asks_every_length(const struct host *h)
{
	return false;
}

/* Is it the one writer of the flow's counters? */
static __always_inline bool counts_alone(const struct host *h)
{
	return true;
}

#endif
