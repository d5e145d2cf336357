/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nft.c and nft_table.c share: messages that take effect together. */
#ifndef RTPFWD_DATAPATH_NFT_BATCH_H
#define RTPFWD_DATAPATH_NFT_BATCH_H

#include "datapath/nft.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

#define NFT_BATCH_SIZE (96 << 10) /* all ranges that a layout can have, twice over */
#define NFT_COUNTER    "unserved"

struct nft_batch {
	uint32_t seq;  /* of the next message */
	size_t length; /* so far */
	bool full;     /* something could not be built: no memory */
	_Alignas(struct nlmsghdr) char bytes[NFT_BATCH_SIZE];
};

/* A header behind what is there; what follows it is the caller's, and counts once it is added. */
struct nlmsghdr *nft_batch_message(struct nft_batch *b, uint16_t type, uint16_t flags);
void nft_batch_add(struct nft_batch *b, const struct nlmsghdr *nlh);

/* nft_table.c: that of this name removed, made and filled; the last message asks for its answer. */
void nft_table_write(struct nft_batch *b, const struct nft_table *table);
void nft_table_message(struct nft_batch *b, const char *name, uint16_t type, uint16_t flags);

#endif
