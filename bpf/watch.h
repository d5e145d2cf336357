/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. Beside the packets' way: what becomes of a frame after the verdict, the lease, the
 * probe. */
#ifndef RTPFWD_WATCH_H
#define RTPFWD_WATCH_H

#include <linux/errno.h>
#include <bpf/bpf_tracing.h>

#include "maps.h"

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct bpf_prog;

static __always_inline void link_failed(struct rtpfwd_control *control, __u32 key, __u32 frames,
					int err)
{
	struct rtpfwd_link_stats *stats = bpf_map_lookup_elem(&rtpfwd_links, &key);

	if (!stats)
		return;
	if (control->probing) {
		__sync_fetch_and_add(&stats->probe_failed, frames);
		return;
	}
	__sync_fetch_and_add(&stats->tx_failed, frames);
	if (err < 0 && err != -EMSGSIZE) /* too long for that link: the packet's fault */
		__sync_fetch_and_add(&stats->refused, 1);
	map_count(RTPFWD_R_tx_failed, frames);
}

static __always_inline void device_failed(const struct net_device *dev, int frames, int err)
{
	struct rtpfwd_control *control = map_control();
	__u32 key;

	if (!control || dev->nd_net.net->ns.inum != control->netns)
		return;
	for (key = 0; key < RTPFWD_MAX_LINKS; key++) {
		if (control->ifindex[key] == (__u32)dev->ifindex) {
			link_failed(control, key, frames, err);
			return;
		}
	}
}

/* The driver took fewer frames than it was given. */
SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(rtpfwd_xmit, const struct net_device *from, const struct net_device *to, int sent,
	     int drops, int err)
{
	if (drops > 0)
		device_failed(to, drops, err);
	return 0;
}

/* The same for XDP_TX. */
SEC("tp_btf/xdp_bulk_tx")
int BPF_PROG(rtpfwd_bulk_tx, const struct net_device *dev, int sent, int drops, int err)
{
	if (drops > 0)
		device_failed(dev, drops, err);
	return 0;
}

/* The kernel refused the redirect itself: interface down, no way to transmit, frame too long. */
SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(rtpfwd_redir, const struct net_device *dev, const struct bpf_prog *prog,
	     const void *target, int err, enum bpf_map_type map_type, __u32 map_id, __u32 index)
{
	struct rtpfwd_control *control = map_control();

	if (control && err && map_type == BPF_MAP_TYPE_DEVMAP && map_id == control->tx_map_id)
		link_failed(control, index, 1, err);
	return 0;
}

/* Run by the controller once a second. */
SEC("syscall")
int rtpfwd_beat(struct rtpfwd_beat *beat)
{
	struct rtpfwd_control *control = map_control();

	beat->ns = bpf_ktime_get_ns();
	beat->jiffies = bpf_jiffies64();
	if (!control || !beat->lease)
		return 0;
	control->lease_until_ns = beat->ns + beat->lease_ns;
	*(volatile __u64 *)&control->lease_until = beat->jiffies + beat->lease;
	return 0;
}

/* Sends the frame it is run with out of the interface whose link key is the frame's last byte. */
SEC("xdp")
int rtpfwd_probe(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if ((void *)(data + 60) > end)
		return XDP_DROP;
	return bpf_redirect_map(&rtpfwd_tx, data[59], XDP_DROP);
}

#endif
