/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* The flows of the benchmark: one phone that talks to every RTP port of some relay addresses. */
#ifndef RTPFWD_XDP_BENCH_H
#define RTPFWD_XDP_BENCH_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>

#define BENCH_LO	 10000
#define BENCH_PORTS	 50000
#define BENCH_PAIRS	 (BENCH_PORTS / 2)
#define BENCH_PHONE	 bpf_htonl(0x0a000002)
#define BENCH_PHONE_PORT 4000
#define BENCH_RELAY(i)	 bpf_htonl(0x0a000101 + (i))

enum bench_target { BENCH_EMPTY, BENCH_FORWARD };

struct bench_state {
	__u32 flows, step; /* set before each run */
	__u32 flow, turn;
	__u32 seq;
};

#endif
