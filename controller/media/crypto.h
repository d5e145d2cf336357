/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Security descriptions (SDES, RFC 4568): what an a=crypto says, and how one is written. Pure but
 * for the keys that it makes. */
#ifndef RTPFWD_MEDIA_CRYPTO_H
#define RTPFWD_MEDIA_CRYPTO_H

#include "../kmod/rtpfwd_nl.h"
#include "datapath/datapath.h"
#include "lib/buf.h"

/* The suites there are, in the order in which they are offered: what every device has comes first,
 * for some read no further. */
enum { CRYPTO_SUITES = RTPFWD_SUITE_END - 1 };

/* One a=crypto: what its writer sends under. */
struct crypto_line {
	uint32_t tag;
	struct flow_crypt crypt;
};

/* "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20 WSH=64". 0; -EBADMSG: it is none; -ENOTSUP: it asks
 * for what is not done here (another suite, an MKI, several keys, a session parameter that changes
 * the packets) and is to be passed over. */
int crypto_parse(struct crypto_line *out, struct slice value);
void crypto_print(struct buf *out, const struct crypto_line *line); /* without "a=crypto:" */
/* A new key by the kernel's generator. 0 or -errno. */
int crypto_make(struct flow_crypt *out, uint8_t suite);
const char *crypto_suite_text(uint8_t suite); /* NULL: there is none of that number */

#endif
