/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verdict (bpf/verdict.h) on a frame in this process's memory, over the mapped maps.
 *
 * What is not as with XDP, in one place: a frame leaves by XDP_REDIRECT, never by XDP_TX; there is
 * always room for a larger header; nothing is passed up, for nobody is above; sums are made over
 * any length. A frame that the relay rebuilt from a datagram (user_packet.c) never had fragments,
 * IP options, VLAN tags or padding, its UDP checksum is there and right, and its IPv4 header says
 * DF with the id 0.
 */
#ifndef RTPFWD_DATAPATH_USER_VERDICT_H
#define RTPFWD_DATAPATH_USER_VERDICT_H

#include "../kmod/rtpfwd_nl.h"
#include "rtpfwd_abi.h"

#include <stdbool.h>
#include <stdint.h>

#define USER_HEADROOM                                                                              \
	64 /* before a frame: what a larger header and a tag need at most, rounded                 \
	    */

#define USER_TAILROOM RTPFWD_MAX_GROWTH /* behind it: what SRTCP adds at most (RFC 7714 17) */

struct kmod;
struct user_srtp;

struct user_maps {
	struct rtpfwd_control *control;
	struct rtpfwd_slot *slots;
	struct rtpfwd_rest *rests;
	struct rtpfwd_relay *relay;
	const struct rtpfwd_uppers *uppers;
	struct user_srtp *srtp; /* NULL: no keys */
	struct kmod *kmod;	/* NULL: no rtpfwd.ko */
};

struct user_frame {
	const struct user_maps *maps;
	uint8_t *begin, *end; /* from Ethernet on, IP aligned to words; USER_HEADROOM before it,
				 USER_TAILROOM behind it */
	uint32_t ingress;     /* interface */
	bool from_here;	      /* its source is a relay address: no XDP program has seen it, and it
				 comes in the place of who would else be heard */
	uint64_t ns;	      /* CLOCK_MONOTONIC at its arrival */
	/* Set by the verdict: */
	uint8_t *limit;	 /* of `end`, through however many flows that encrypt */
	bool alone;	 /* the relay is the one writer of the counters */
	uint8_t link;	 /* key of the interface that it leaves by */
	uint32_t by_kernel; /* the interface that the kernel is to send it by; 0: by `link` */
	bool again;	 /* it is judged once more */
	uint32_t learned[1 + RTPFWD_PASSES]; /* slots that have learned a source: to be told */
	unsigned int n_learned;
};

/* XDP_REDIRECT: the frame is to leave as it is now. Else nothing is left of it: XDP_DROP, counted;
 * XDP_PASS: not ours. */
int user_verdict(struct user_frame *frame);

/* 64-bit jiffies at `ns` of CLOCK_MONOTONIC. */
uint64_t user_jiffies(const struct rtpfwd_control *control, uint64_t ns);

#endif
