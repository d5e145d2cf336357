/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* BPF side only. Out of the node: back where it came in, or over to another interface. */
#ifndef RTPFWD_EMIT_H
#define RTPFWD_EMIT_H

#include "maps.h"

/* XDP_TX or XDP_REDIRECT; XDP_DROP when the interface is not there any more. */
static __always_inline int emit(const struct xdp_md *ctx, const struct rtpfwd_control *control,
				const struct rtpfwd_action *act)
{
	__u32 ifindex = control->ifindex[act->link % RTPFWD_MAX_LINKS];

	if (ifindex == ctx->ingress_ifindex && !(act->flags & RTPFWD_F_REDIRECT))
		return XDP_TX;
	return bpf_redirect_map(&rtpfwd_tx, act->link, XDP_DROP);
}

#endif
