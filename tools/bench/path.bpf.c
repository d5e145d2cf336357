// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* BPF_PROG_TEST_RUN gives a program the frame that it has changed before: this makes it anew, with
 * the next sequence number, then hands it to the program that is measured. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "path.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

struct path_state state = { 0 };

SEC("xdp")
int path(struct xdp_md *ctx)
{
	__u32 seq_at = state.seq_at & 127;
	__u8 *data;

	if (state.shift)
		bpf_xdp_adjust_head(ctx, state.shift);
	data = (void *)(long)ctx->data;
	if ((void *)(data + PATH_HEAD) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(data, state.head, PATH_HEAD);
	if (seq_at && (void *)(data + seq_at + 2) <= (void *)(long)ctx->data_end)
		*(__be16 *)(data + seq_at) = bpf_htons(++state.seq);
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
