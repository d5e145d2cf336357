/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A datagram, as a UDP socket tells of it, made into the frame that it once was. */
#ifndef RTPFWD_DATAPATH_USER_PACKET_H
#define RTPFWD_DATAPATH_USER_PACKET_H

#include "datapath/user_verdict.h"
#include "lib/addr.h"

#include <sys/socket.h>

/* What is made before the payload, at most, and the room before that. */
#define USER_PAYLOAD_AT (USER_HEADROOM + 2 + 14 + 40 + 8)
#define USER_CMSG_SIZE	256

struct user_datagram {
	struct addr from, to;
	uint32_t ifindex; /* where it came in */
	uint8_t hops;	  /* that are left to it */
	uint8_t class;	  /* TOS byte or traffic class */
};

/* Of a received message: its source, and IP_ORIGDSTADDR, IP_PKTINFO, IP_TTL, IP_TOS or their like
 * of IPv6. -EINVAL: something is missing, or it was cut off. */
int user_packet_read(struct user_datagram *out, struct msghdr *msg);

/* Writes Ethernet (addresses 0), IP and UDP headers, sums and all, before the `length` bytes at
 * `payload`, which lie at USER_PAYLOAD_AT of a buffer that is aligned to words; sets begin, end and
 * ingress. */
void user_packet_build(struct user_frame *frame, const struct user_datagram *datagram,
		       uint8_t *payload, uint32_t length);

#endif
