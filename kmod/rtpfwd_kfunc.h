/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For BPF programs: what rtpfwd.ko offers to XDP. `offset` and `length` say where in the frame the
 * UDP payload lies. All return a negative errno and leave the frame alone when something is
 * wrong with them. Whatever protect or unprotect refuse must be dropped. Not for programs of a
 * devmap: kernels before 6.12 do not say there which device received a frame.
 */
#ifndef RTPFWD_KFUNC_H
#define RTPFWD_KFUNC_H

/*
 * RTP to SRTP or RTCP to SRTCP in place: the new length of the payload. What it grows by goes to
 * where Ethernet padding or nothing is, in front of data_end: -ENOSPC when there is no room (grow
 * the frame and call again). -ENOENT: no context `id` in the device's namespace. -EPERM: it
 * belongs to the other direction. -EPROTO: no RTP nor RTCP. -EEXIST, -ESTALE: its index was used,
 * or is too far back to tell. -EKEYEXPIRED: no index left. -EMFILE: too many senders. -ENOMEM.
 * -EOPNOTSUPP: a frame in the memory of an AF_XDP socket (zero copy).
 */
extern int rtpfwd_srtp_protect(struct xdp_md *ctx, __u32 id, __u32 offset, __u32 length) __ksym;

/* The reverse. -EBADMSG: not authentic, the packet is as it came; -EEXIST, -ESTALE: replayed. */
extern int rtpfwd_srtp_unprotect(struct xdp_md *ctx, __u32 id, __u32 offset, __u32 length) __ksym;

/* Moves the frame to data, where bpf_xdp_adjust_head(ctx, -by) made room: that is behind it now. */
extern int rtpfwd_frame_shift(struct xdp_md *ctx, __u32 by) __ksym;

/*
 * Ones' complement sum (RFC 1071), in network order and not inverted, of `length` bytes of the
 * frame from `offset`: 0 to 0xffff.
 */
extern int rtpfwd_frame_sum(struct xdp_md *ctx, __u32 offset, __u32 length) __ksym;

#endif
