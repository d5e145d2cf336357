/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * BPF side only. What the verdict asks of where it runs, for XDP: maps, clocks, the frame. The same
 * functions for the userspace relay are in controller/datapath/user_host.h; verdict.h and all that
 * it includes call no other.
 */
#ifndef RTPFWD_HOST_H
#define RTPFWD_HOST_H

#include "maps.h"

#define SUM_MAX		1500 /* bytes of a datagram that is summed whole */
#define SUM_OFFSET_MASK 127  /* where in the frame it begins */

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

/*
 * Of `length` bytes of the frame from `offset` on, not folded. A function of its own to the
 * verifier, which follows the loop once and not once for each way to it.
 */
__attribute__((noinline)) __u32 rtpfwd_sum(struct xdp_md *ctx, __u32 offset, __u32 length)
{
	const __u8 *data = (void *)(long)ctx->data + (offset & SUM_OFFSET_MASK);
	const void *end = (void *)(long)ctx->data_end;
	__u32 sum = 0; /* of at most 750 half-words */
	__u8 last[2];
	__u16 word;
	__u32 i;

	for (i = 0; i < SUM_MAX / 2; i++) {
		if (i * 2 + 2 > length || (const void *)(data + i * 2 + 2) > end)
			break;
		sum += *(const __u16 *)(data + i * 2);
	}
	if (length & 1 && i * 2 < SUM_MAX && (const void *)(data + i * 2 + 1) <= end) {
		last[0] = data[i * 2];
		last[1] = 0;
		__builtin_memcpy(&word, last, sizeof(word));
		sum += word;
	}
	return sum;
}

/* The Internet checksum's sum of the frame's `length` bytes from `offset` on; false: too many. */
static __always_inline bool frame_sum(const struct host *h, __u32 offset, __u32 length, __u64 *sum)
{
	if (length > SUM_MAX)
		return false;
	*sum += rtpfwd_sum(h->ctx, offset, length);
	return true;
}

/* Out of the node: back where it came in, or over to another interface. XDP_TX or XDP_REDIRECT;
 * XDP_DROP when the interface is not there any more. */
static __always_inline int frame_leave(const struct host *h, const struct rtpfwd_control *control,
				       const struct rtpfwd_action *act)
{
	__u32 ifindex = control->ifindex[act->link % RTPFWD_MAX_LINKS];

	if (ifindex == h->ctx->ingress_ifindex && !(act->flags & RTPFWD_F_REDIRECT))
		return XDP_TX;
	return bpf_redirect_map(&rtpfwd_tx, act->link, XDP_DROP);
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

/* One packet more, dropped or passed on. */
static __always_inline void count_reason(const struct host *h, __u32 reason)
{
	map_count(reason, 1);
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

/* Can it send to a next hop whose address is being asked for? */
static __always_inline bool resolves(const struct host *h)
{
	return false;
}

/* Is it the one writer of the flow's counters? */
static __always_inline bool counts_alone(const struct host *h)
{
	return true;
}

#endif
