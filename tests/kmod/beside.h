/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What beside.bpf.c and beside.c share. */
#ifndef RTPFWD_TESTS_KMOD_BESIDE_H
#define RTPFWD_TESTS_KMOD_BESIDE_H

#define BESIDE_FRAME 214 /* 20 ms of G.711 */

struct beside {
	__u8 frame[BESIDE_FRAME + 2]; /* sequence number 0 */
	__u32 sum;		      /* of the UDP checksum's words, folded, with that number */
	__u32 seq;
	__u32 sent;
	__u32 received;
	__u64 first_ns, last_ns;
};

#endif
