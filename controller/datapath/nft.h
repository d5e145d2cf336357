/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's nftables table (libnftnl): put there and taken away as a whole, by one batch, so that
 * packets meet the former one or the new one. Nothing but that table is named in any message. */
#ifndef RTPFWD_DATAPATH_NFT_H
#define RTPFWD_DATAPATH_NFT_H

#include "rtpfwd_abi.h"

#include <stddef.h>
#include <stdint.h>

struct layout;
struct nft;

struct nft_table {
	const char *name;
	const struct layout *layout;	   /* the relay ports */
	uint32_t judged[RTPFWD_MAX_LINKS]; /* interfaces with an XDP program of ours */
	size_t n_judged;
	uint64_t unserved; /* at which its counter begins */
};

int nft_open(struct nft **out);
void nft_close(struct nft *nft); /* NULL-safe */

/* Whatever the table of that name holds is replaced. 0 or what the kernel said. */
int nft_put(struct nft *nft, const struct nft_table *table);
int nft_remove(struct nft *nft, const char *name);			/* -ENOENT */
int nft_unserved(struct nft *nft, const char *name, uint64_t *packets); /* -ENOENT */

#endif
