/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. The maps, and the constants that are set before the program is loaded. */
#ifndef RTPFWD_MAPS_H
#define RTPFWD_MAPS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "rtpfwd_abi.h"

const volatile __u32 rtpfwd_seed = 1;	   /* the same as control.seed */
const volatile bool rtpfwd_measure = true; /* RTP loss and jitter */
const volatile bool rtpfwd_ipv6 = true;	   /* some relay address is one of IPv6 */
const volatile bool rtpfwd_vlan = true;	   /* some realm is tagged */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpfwd_control);
} rtpfwd_control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set by the controller: relay ports of all addresses */
	__type(key, __u32);
	__type(value, struct rtpfwd_slot);
} rtpfwd_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the same */
	__type(key, __u32);
	__type(value, struct rtpfwd_rest);
} rtpfwd_rests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpfwd_drops);
} rtpfwd_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpfwd_relay);
} rtpfwd_relay SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, RTPFWD_MAX_LINKS);
	__type(key, __u32);
	__type(value, __u32);
} rtpfwd_tx SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RTPFWD_MAX_LINKS);
	__type(key, __u32);
	__type(value, struct rtpfwd_link_stats);
} rtpfwd_links SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2); /* IPv4, IPv6 */
	__type(key, __u32);
	__type(value, __u64);
} rtpfwd_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpfwd_uppers);
} rtpfwd_uppers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} rtpfwd_events SEC(".maps");

/* Set by the controller when it switches the links. Pinned like the others: without a reference
 * from a file or a process its entry would go. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32)); /* no type: the kernel takes none */
	__uint(value_size, sizeof(__u32));
} rtpfwd_again SEC(".maps");

static __always_inline struct rtpfwd_control *map_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rtpfwd_control, &zero);
}

/*
 * More in the global count of `reason` (enum rtpfwd_reason), drops or passed on. Masked, not
 * compared: the verifier of 6.1 forgets the outcome when the register was spilled.
 */
static __always_inline void map_count(__u32 reason, __u64 packets)
{
	struct rtpfwd_drops *drops;
	__u32 zero = 0;

	drops = bpf_map_lookup_elem(&rtpfwd_drops, &zero);
	if (drops)
		drops->packets[reason & (RTPFWD_MAX_REASONS - 1)] += packets;
}

#endif
