/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* What the generator's and the sinks' programs share with the process that runs them. */
#ifndef RTPFWD_MEDIA_H
#define RTPFWD_MEDIA_H

#include <linux/types.h>

#define MEDIA_FRAME	214 /* bytes: Ethernet, IPv4, UDP, RTP, 20 ms of G.711 */
#define MEDIA_MAX_FLOWS (1 << 17)
#define MEDIA_SSRC	0x6d600000 /* and the flow's number */
#define MEDIA_NUMBER	0x000fffff
#define MEDIA_SAMPLES	(1 << 17) /* delays kept of each sink; a power of 2 */

/* Of the runs with SRTP: AES_CM_128_HMAC_SHA1_80 at the caller's side. */
#define MEDIA_RTP	 172 /* bytes of a packet of 20 ms of G.711 */
#define MEDIA_SRTP	 182
#define MEDIA_SRTP_FRAME (MEDIA_FRAME + MEDIA_SRTP - MEDIA_RTP)
#define MEDIA_TURNS	 (1 << 14) /* packets of a flow: sequence numbers from 0 on */
#define MEDIA_NUMBERS	 (2 * MEDIA_SIDES * 65536UL)
#define MEDIA_KEPT	 (1 << 10) /* packets of each sink that are looked into; a power of 2 */
#define MEDIA_KEEP	 (1 << 6)  /* one of so many is kept; a power of 2 */

enum media_side { MEDIA_CALLER, MEDIA_CALLEE, MEDIA_SIDES };

/* One direction of one call: as its sender puts it on the wire, and as the other side must get it.
 * Everything but `side` as it lies in the packet. */
struct media_flow {
	__be32 from_ip, relay_ip;
	__be32 out_ip, to_ip;
	__be16 from_port, relay_port;
	__be16 out_port, to_port;
	__u16 ip_check; /* of the header as sent */
	__u16 sum;	/* of all that UDP's checksum covers and that no packet changes */
	__u16 side;	/* of its sender */
	__u16 secret;	/* its sender encrypts; where SRTP is and this is 0, the relay does */
};

/* The packet of a turn, the same in every flow: as it is, and under the callers' key. */
struct media_packet {
	__u8 plain[MEDIA_RTP];
	__u8 secret[MEDIA_SRTP];
	__u16 sums[2]; /* of the words of either */
	__u16 pad;     /* what is mapped lies in pieces of 8 bytes, as are those below */
};

/* One that arrived. */
struct media_sample {
	__u64 flow;
	__u8 bytes[MEDIA_SRTP]; /* MEDIA_RTP of them where it has been decrypted */
	__u16 pad;
};

/* Of one sink, written by it alone: a veth with one queue runs on one processor at a time. */
struct media_sink {
	__u64 received;
	__u64 wrong; /* of those: not as their flow must arrive, or a sum is wrong */
	__u64 pad[6];
};

struct media_state {
	/* Set before a run. */
	__u32 flows;
	__u32 window; /* packets in flight at most */
	__u32 timed;  /* 1: delays are kept */
	__u32 direct; /* 1: into the sinks' interfaces, without a relay between */
	__u64 period; /* ns between two packets; 0: as fast as the window allows */
	__u8 macs[MEDIA_SIDES][12];
	__u64 pad2[2]; /* the generator's on a line of their own */
	__u64 due;
	__u64 sent;
	__u64 forgiven; /* lost: no longer in flight */
	__u64 idle;	/* times that it was not yet to send */
	__u32 next, turn;
	__u64 pad3[3];
};

#endif
