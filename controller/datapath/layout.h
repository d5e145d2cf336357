/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which relay address and port is which slot. Pure: computed from the configuration alone. */
#ifndef RTPFWD_DATAPATH_LAYOUT_H
#define RTPFWD_DATAPATH_LAYOUT_H

#include "conf/conf.h"
#include "rtpfwd_abi.h"

#define LAYOUT_MAX_RANGES 256

struct layout {
	/* One for each address: the hull of all its realms' ranges. In order of address. */
	struct layout_address {
		struct addr ip; /* without a port */
		uint32_t base, count;
		uint16_t lo;
		uint16_t first, n_ranges; /* of `ranges` */
	} addresses[RTPFWD_MAX_ADDRESSES];
	size_t n_addresses;
	/* Number in `addresses` and 1 added, by family (IPv6: 1) and bucket; 0: none. */
	uint8_t numbers[2][1 << RTPFWD_HASH_BITS];
	/* One for each realm and address, in order of address; what lies in none is not ours. */
	struct layout_range {
		struct addr ip;
		uint16_t lo, hi;
		unsigned int realm;
	} ranges[LAYOUT_MAX_RANGES];
	size_t n_ranges;
	uint32_t slots;
	uint32_t seed;
};

/* 0, or -EINVAL and `why`: overlapping ranges, too many addresses. */
int layout_build(struct layout *out, const struct conf *conf, char *why, size_t why_size);

/* -EINVAL: no relay port of ours. `realm` may be NULL. */
int layout_find(const struct layout *l, const struct addr *local, uint32_t *slot,
		unsigned int *realm);

/* The address and port of a slot below l->slots. */
struct addr layout_addr(const struct layout *l, uint32_t slot);
/* The slot of the n-th port in order of address and port; n is below l->slots. */
uint32_t layout_nth(const struct layout *l, uint32_t n);

bool layout_has_ipv6(const struct layout *l);
/* The bucket of an IPv6 relay address, by which actions name it, and back. */
uint32_t layout_bucket6(const struct layout *l, const struct addr *ip);
struct addr layout_addr6(const struct layout *l, uint32_t bucket); /* AF_UNSPEC: none */

/* What the data path looks addresses up in. */
void layout_write(const struct layout *l, struct rtpfwd_control *control);
bool layout_is(const struct layout *l, const struct rtpfwd_control *control);

#endif
