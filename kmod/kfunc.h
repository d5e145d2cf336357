/* SPDX-License-Identifier: GPL-2.0-only */
/* What XDP programs call: rtpfwd_kfunc.h describes it to them. */
#ifndef RTPFWD_KFUNC_IMPL_H
#define RTPFWD_KFUNC_IMPL_H

#include <linux/bpf.h>

int rtpfwd_srtp_protect(struct xdp_md *ctx, u32 id, u32 offset, u32 length);
int rtpfwd_srtp_unprotect(struct xdp_md *ctx, u32 id, u32 offset, u32 length);
int rtpfwd_frame_shift(struct xdp_md *ctx, u32 by);
int rtpfwd_frame_sum(struct xdp_md *ctx, u32 offset, u32 length);

/*
 * 0 does not mean that programs find them: without types of its own (/sys/kernel/btf/rtpfwd) the
 * module is registered for nothing.
 */
int kfunc_init(void);

#endif
