/* SPDX-License-Identifier: GPL-2.0-only */
/* SRTP and SRTCP of one datagram's payload, in place, by a context. Takes the context's lock. */
#ifndef RTPFWD_SRTP_H
#define RTPFWD_SRTP_H

#include "context.h"

/* The new length, or an error as in rtpfwd_kfunc.h; `room` bytes behind the payload are free. */
int srtp_protect(struct context *c, u8 *data, u32 length, u32 room);
int srtp_unprotect(struct context *c, u8 *data, u32 length);

#endif
