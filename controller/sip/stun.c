// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/stun.h"

#include <arpa/inet.h>
#include <string.h>

/* All of it in network order on the wire. */
enum {
	BINDING_REQUEST = 0x0001,
	BINDING_ANSWER = 0x0101,
	BINDING_ERROR = 0x0111,
	ERROR_CODE = 0x0009,
	UNKNOWN_ATTRIBUTES = 0x000a,
	XOR_MAPPED_ADDRESS = 0x0020,
	USERNAME = 0x0006,
	MESSAGE_INTEGRITY = 0x0008,
	OPTIONAL = 0x8000, /* attributes from here on may be passed over */
	HEADER = 20,
	COOKIE_AT = 4,
	ID_LEN = 16, /* cookie and transaction */
};
#define COOKIE 0x2112a442u

static unsigned int get16(const char *p)
{
	return (unsigned int)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static char *put16(char *p, unsigned int value)
{
	*p++ = (char)(value >> 8);
	*p++ = (char)value;
	return p;
}

static bool is_request(const char *in, size_t len)
{
	uint32_t cookie;

	if (len < HEADER || get16(in) != BINDING_REQUEST || get16(in + 2) != len - HEADER ||
	    len % 4)
		return false;
	memcpy(&cookie, in + COOKIE_AT, sizeof(cookie));
	return cookie == htonl(COOKIE);
}

/* The first attribute that we would have to know and do not; 0: none. Attributes are padded to four
 * bytes. */
static unsigned int unknown_attribute(const char *in, size_t len)
{
	for (size_t at = HEADER; at + 4 <= len; at += 4 + (get16(in + at + 2) + 3u) / 4 * 4) {
		unsigned int type = get16(in + at);

		if (type < OPTIONAL && type != USERNAME && type != MESSAGE_INTEGRITY)
			return type;
	}
	return 0;
}

/* The address, XORed with what the request began with, so that no NAT on the way rewrites it. */
static char *put_address(char *p, const char *in, const struct addr *source)
{
	const uint8_t *ip = (const uint8_t *)&source->v4;
	size_t n = source->family == AF_INET6 ? 16 : 4;

	p = put16(p, XOR_MAPPED_ADDRESS);
	p = put16(p, (unsigned int)(4 + n));
	p = put16(p, source->family == AF_INET6 ? 2 : 1);
	p = put16(p, source->port ^ (COOKIE >> 16));
	for (size_t i = 0; i < n; i++)
		*p++ = (char)(ip[i] ^ (uint8_t)in[COOKIE_AT + i]);
	return p;
}

/* 420 Unknown Attribute (15.6, 15.9). */
static char *put_error(char *p, unsigned int attribute)
{
	p = put16(p, ERROR_CODE);
	p = put16(p, 4);
	p = put16(p, 0);
	p = put16(p, 4 << 8 | 20);
	p = put16(p, UNKNOWN_ATTRIBUTES);
	p = put16(p, 2);
	p = put16(p, attribute);
	return put16(p, 0);
}

size_t sip_stun_answer(char answer[SIP_STUN_ANSWER_MAX], const char *in, size_t len,
		       const struct addr *source)
{
	char *end = answer + HEADER;
	unsigned int unknown;

	if (!is_request(in, len))
		return 0;
	unknown = unknown_attribute(in, len);
	end = unknown ? put_error(end, unknown) : put_address(end, in, source);
	put16(answer, unknown ? BINDING_ERROR : BINDING_ANSWER);
	put16(answer + 2, (unsigned int)(end - answer) - HEADER);
	memcpy(answer + COOKIE_AT, in + COOKIE_AT, ID_LEN);
	return (size_t)(end - answer);
}
