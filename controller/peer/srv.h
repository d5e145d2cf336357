/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside peer/ only: SRV records (RFC 2782) as an answer of the DNS carries them. */
#ifndef RTPFWD_PEER_SRV_H
#define RTPFWD_PEER_SRV_H

#include <stddef.h>
#include <stdint.h>

struct srv {
	char target[256]; /* "" : there is no such service (a target of ".") */
	uint16_t port, priority, weight;
	uint32_t ttl_s;
};

/* The SRV records of a whole DNS message, at most `max`. Their number; -EBADMSG. */
int srv_parse(struct srv *out, size_t max, const unsigned char *bytes, size_t len);

#endif
