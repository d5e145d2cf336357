/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys of flows that the userspace relay encrypts and decrypts: a map beside the others, pinned
 * and root's alone, which no BPF program sees. The daemon writes the keys; the relay writes how far
 * each sender has come under them, so that another relay, or another daemon, goes on from there.
 */
#ifndef RTPFWD_DATAPATH_CRYPTS_H
#define RTPFWD_DATAPATH_CRYPTS_H

#include "datapath/datapath.h"
#include "datapath/senders.h"

#define CRYPTS_NAME "crypts"

/* Of one slot. */
struct crypt_keys {
	uint32_t generation; /* odd while the daemon writes what follows */
	uint32_t in_generation, out_generation; /* that the key is of */
	struct flow_crypt in, former, out;
	uint8_t pad;
	uint64_t former_until_ns; /* CLOCK_MONOTONIC: so long the key before `in` is taken, too */
	/* The relay's: */
	uint32_t heard_under, sent_under; /* in_generation and out_generation of what follows */
	struct senders heard, sent;
};

_Static_assert(sizeof(struct flow_crypt) == 49 && sizeof(struct senders) == 328 &&
		       sizeof(struct crypt_keys) == 832,
	       "a pinned layout");

#endif
