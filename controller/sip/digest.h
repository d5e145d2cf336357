/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the arithmetic of digest authentication (RFC 7616, RFC 8760; RFC 2069
 * where a far end is that old), and the fields of its headers. The only place that sees OpenSSL's
 * hashes. */
#ifndef RTPFWD_SIP_DIGEST_H
#define RTPFWD_SIP_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum digest_algorithm { DIGEST_MD5, DIGEST_SHA_256, DIGEST_SHA_512_256, DIGEST_ALGORITHMS };

/* Hex digits of the longest response. */
enum { DIGEST_HEX = 64, DIGEST_KEY = 32 };

/* "MD5", "SHA-256", "SHA-512-256" */
const char *digest_name(enum digest_algorithm algorithm);

/* What a challenge or credentials say; "" where a field is missing. Cut out of the header's value.
 */
struct digest_fields {
	const char *username, *realm, *nonce, *uri, *response, *cnonce, *nc, *qop, *opaque,
		*algorithm, *stale;
	char text[2048];
};

/* 0; -EPROTONOSUPPORT: not Digest; -E2BIG; -EBADMSG. */
int digest_parse(struct digest_fields *out, const char *value);
/* `text` of an algorithm field, "" is MD5; `session`: -sess. False: unknown. */
bool digest_algorithm_of(const char *text, enum digest_algorithm *algorithm, bool *session);
/* Is `word` in a comma-separated list? */
bool digest_has_word(const char *list, const char *word);

struct digest_input {
	enum digest_algorithm algorithm;
	bool session;
	const char *user, *realm, *secret;
	const char *method, *uri, *nonce;
	const char *cnonce, *nc, *qop; /* qop "": as RFC 2069 */
};

/* The response in lower-case hex. 0, or -EIO: the library has no such hash. */
int digest_response(char out[DIGEST_HEX + 1], const struct digest_input *in);
/* In a time that tells nothing of where they differ. */
bool digest_equal(const char *a, const char *b);
/* HMAC-SHA-256, its first 16 bytes. 0 or -EIO. */
int digest_mac(unsigned char out[16], const unsigned char key[DIGEST_KEY], const char *bytes,
	       size_t len);

#endif
