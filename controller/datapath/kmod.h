/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control of rtpfwd.ko as a client sees it (kmod/rtpfwd_nl.h), over libmnl. A request is
 * answered within the call: the kernel works it off in the sender's time and waits for nothing but
 * memory. Every error is a line of the log with the kernel's own words.
 */
#ifndef RTPFWD_DATAPATH_KMOD_H
#define RTPFWD_DATAPATH_KMOD_H

#include "datapath/datapath.h"

#include "../../kmod/rtpfwd_nl.h"

struct kmod;

/* What the module tells of a context: never its keys. */
struct kmod_context {
	uint32_t id;
	uint8_t direction; /* enum rtpfwd_direction */
	uint8_t suite;	   /* enum rtpfwd_suite */
	uint64_t cookie;
};

/* Can programs call it? That the module is loaded is not enough: its functions need their types. */
bool kmod_present(void);

int kmod_open(struct kmod **out); /* -ENOENT: it is not loaded */
void kmod_close(struct kmod *k);  /* NULL-safe; contexts stay */

/* Adds a context that outlives this process; its id goes to `id`. */
int kmod_add(struct kmod *k, uint32_t *id, enum rtpfwd_direction direction,
	     const struct flow_crypt *keys, uint64_t cookie);

/* Other keys for it. A receiver takes the former ones for a while, too. The same keys once more
 * change nothing: neither what was sent nor what was heard begins anew. */
int kmod_change(struct kmod *k, uint32_t id, const struct flow_crypt *keys);

int kmod_delete(struct kmod *k, uint32_t id);

/*
 * For a process without privilege: a socket for kmod_open_given() in another process, which can do
 * kmod_packet() by it and nothing else. The descriptor, or -errno; contexts are none of its own.
 */
int kmod_socket(void);
int kmod_open_given(struct kmod **out, int fd); /* takes `fd` over */

/*
 * One packet (UDP payload) through a context, in place: RTP or RTCP to SRTP or SRTCP, or back, with
 * the very indices that the fast path goes on with. `room` bytes behind it are free; with less than
 * RTPFWD_MAX_GROWTH it may be lost as -ENOSPC, its index used. The new length, or the functions'
 * error numbers (kmod/rtpfwd_kfunc.h). Two system calls.
 */
int kmod_packet(struct kmod *k, uint32_t id, enum rtpfwd_direction direction, uint8_t *packet,
		uint32_t length, uint32_t room);

/* Calls `each` for every context of this network namespace. It makes no request of its own. */
int kmod_each(struct kmod *k, void (*each)(void *ctx, const struct kmod_context *c), void *ctx);

/* Bytes that a suite adds to a packet. */
unsigned int kmod_overhead(uint8_t suite, bool rtcp);

#endif
