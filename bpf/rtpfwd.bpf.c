// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* The fast path: verdict.h is a packet's way, run here by XDP on every realm's interface. */
#include "maps.h"
#include "host.h"
#ifdef RTPFWD_KMOD /* an object of its own */
#include "host_kmod.h"
#else
#include "host_plain.h"
#endif
#include "verdict.h"
#include "steer.h"
#include "watch.h"

__attribute__((noinline)) __u64 rtpfwd_ahead(__u32 index)
{
	struct host host = { 0 };

	return flow_ahead(&host, index);
}

SEC("xdp")
int rtpfwd_xdp(struct xdp_md *ctx)
{
	struct host host = { .ctx = ctx };

	return verdict(&host);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
