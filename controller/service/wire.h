/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams with a source of our choice: what a phone hears must come from the relay address and
 * port that it was told, whoever makes it. One raw socket for each address family sends for all of
 * them, many in one system call; nothing is bound, and nothing comes in here.
 */
#ifndef RTPFWD_SERVICE_WIRE_H
#define RTPFWD_SERVICE_WIRE_H

#include "lib/addr.h"

#include <stddef.h>

struct wire;

enum { WIRE_PAYLOAD_MAX = 256, WIRE_HEADERS_MAX = 48, WIRE_BATCH = 64 };

struct wire_way {
	struct addr from, to;	/* of one family, with ports */
	unsigned int ifindex;	/* of the interface by which it leaves; 0: any */
};

/* 0; -EPERM: CAP_NET_RAW is missing; -errno. */
int wire_open(struct wire **out);
void wire_close(struct wire *wire);	/* NULL-safe */

/* Takes a datagram; a full batch goes out at once, the rest with wire_flush(). */
void wire_put(struct wire *wire, const struct wire_way *way, const uint8_t *payload, size_t len);
void wire_flush(struct wire *wire);

struct wire_report {
	uint64_t sent, failed;	/* datagrams; failed: the system refused them */
	uint64_t flushes;	/* system calls that they took */
};

void wire_report(const struct wire *wire, struct wire_report *out);

/* The bytes of a datagram, IP header first (what of it the kernel fills in is 0). Returns how many.
 * For wire_put(), and for tests. */
size_t wire_datagram(uint8_t out[WIRE_HEADERS_MAX + WIRE_PAYLOAD_MAX], const struct wire_way *way,
		     const uint8_t *payload, size_t len);

#endif
