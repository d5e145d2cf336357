/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What srtp.bpf.c and the tests share. */
#ifndef RTPFWD_TESTS_KMOD_SRTP_H
#define RTPFWD_TESTS_KMOD_SRTP_H

enum op {
	OP_NONE,
	OP_PROTECT,
	OP_UNPROTECT,
	OP_RAW, /* protect at `offset` and `length` as given */
};

/* What to do with packets to a UDP port. */
struct order {
	__u32 op;
	__u32 id;
	__u32 grow;    /* bytes that the frame may have to grow by */
	__u32 by_head; /* at the head, without trying the tail */
	__u32 offset;  /* OP_RAW */
	__u32 length;
};

/* What is measured: the calls alone, on one packet whose sequence number goes up. */
struct price {
	__u32 op;
	__u32 id;
	__u32 reverse; /* OP_UNPROTECT: of the context that undoes what `id` does */
	__u32 length;  /* of the clear packet */
	__u64 failed;
};

struct outcome {
	__s32 ret;    /* of the last call */
	__u32 headed; /* packets that grew at their head */
	__u64 done;
	__u64 refused;
};

#endif
