// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(uint16_t *out, const char *text)
{
	unsigned int value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned int)(*text - '0');
		if (value > 65535)
			return -EINVAL;
	}
	*out = (uint16_t)value;
	return 0;
}

static int parse_ip(struct addr *out, const char *text, size_t len)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, &out->v4) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, copy, &out->v6) == 1)
		out->family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

int addr_parse(struct addr *out, const char *text)
{
	struct addr a = {0};
	const char *colon = strchr(text, ':');
	const char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || parse_ip(&a, text + 1, (size_t)(end - text - 1)) ||
		    a.family != AF_INET6)
			return -EINVAL;
		if (end[1] && (end[1] != ':' || parse_port(&a.port, end + 2)))
			return -EINVAL;
	} else if (colon && !strchr(colon + 1, ':')) {
		if (parse_ip(&a, text, (size_t)(colon - text)) || parse_port(&a.port, colon + 1))
			return -EINVAL;
	} else if (parse_ip(&a, text, strlen(text))) {
		return -EINVAL;
	}
	*out = a;
	return 0;
}

const char *addr_print_ip(char text[ADDR_TEXT], const struct addr *a)
{
	if (a->family == AF_UNSPEC || !inet_ntop(a->family, &a->v4, text, ADDR_TEXT))
		text[0] = '\0';
	return text;
}

const char *addr_print(char text[ADDR_TEXT], const struct addr *a)
{
	char ip[ADDR_TEXT];

	addr_print_ip(ip, a);
	if (!ip[0] || !a->port)
		snprintf(text, ADDR_TEXT, "%s", ip);
	else if (a->family == AF_INET6)
		snprintf(text, ADDR_TEXT, "[%.45s]:%u", ip, a->port);
	else
		snprintf(text, ADDR_TEXT, "%.45s:%u", ip, a->port);
	return text;
}

static size_t ip_size(const struct addr *a)
{
	return a->family == AF_INET6 ? sizeof(a->v6) : a->family == AF_INET ? sizeof(a->v4) : 0;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(&a->v4, &b->v4, ip_size(a)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const struct in6_addr zero;

	return a->family != AF_UNSPEC && memcmp(&a->v4, &zero, ip_size(a)) == 0;
}

void addr_network(uint8_t net[16], const struct addr *a)
{
	memset(net, 0, 16);
	if (a->family == AF_INET6)
		memcpy(net, &a->v6, 8);
	else
		memcpy(net, &a->v4, 4);
	net[15] = a->family == AF_INET6 ? 6 : 4;
}

struct addr addr_with_port(const struct addr *a, uint16_t port)
{
	struct addr b = *a;

	b.port = port;
	return b;
}

socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct addr *a)
{
	memset(out, 0, sizeof(*out));
	if (a->family == AF_INET6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)out;

		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(a->port);
		s6->sin6_addr = a->v6;
		return sizeof(*s6);
	}
	struct sockaddr_in *s4 = (struct sockaddr_in *)out;

	s4->sin_family = AF_INET;
	s4->sin_port = htons(a->port);
	s4->sin_addr = a->v4;
	return sizeof(*s4);
}

int addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	struct addr a = {0};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *s4 = (const struct sockaddr_in *)sa;

		a.family = AF_INET;
		a.port = ntohs(s4->sin_port);
		a.v4 = s4->sin_addr;
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)sa;

		a.port = ntohs(s6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
			a.family = AF_INET;
			memcpy(&a.v4, &s6->sin6_addr.s6_addr[12], sizeof(a.v4));
		} else {
			a.family = AF_INET6;
			a.v6 = s6->sin6_addr;
		}
	} else {
		return -EAFNOSUPPORT;
	}
	*out = a;
	return 0;
}

/* The length of a contiguous IPv4 netmask, or -EINVAL. */
static int mask_bits(const struct addr *mask)
{
	uint32_t host = ntohl(mask->v4.s_addr);
	int bits = 0;

	if (mask->family != AF_INET)
		return -EINVAL;
	while (bits < 32 && host & (1u << 31)) {
		host <<= 1;
		bits++;
	}
	return host ? -EINVAL : bits;
}

int addr_prefix_parse(struct addr_prefix *out, const char *text)
{
	const char *slash = strchr(text, '/');
	struct addr_prefix p = {0};
	struct addr mask = {0};
	uint16_t number;
	int bits, max;

	if (parse_ip(&p.net, text, slash ? (size_t)(slash - text) : strlen(text)))
		return -EINVAL;
	max = p.net.family == AF_INET ? 32 : 128;
	if (!slash)
		bits = max;
	else if (parse_port(&number, slash + 1) == 0)
		bits = number;
	else if (p.net.family == AF_INET && parse_ip(&mask, slash + 1, strlen(slash + 1)) == 0)
		bits = mask_bits(&mask);
	else
		return -EINVAL;
	if (bits < 0 || bits > max)
		return -EINVAL;
	p.bits = (uint8_t)bits;
	*out = p;
	return 0;
}

bool addr_prefix_has(const struct addr_prefix *p, const struct addr *a)
{
	const uint8_t *net = (const uint8_t *)&p->net.v4;
	const uint8_t *ip = (const uint8_t *)&a->v4;
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (p->net.family != a->family || memcmp(net, ip, whole) != 0)
		return false;
	return rest == 0 || ((net[whole] ^ ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static bool v4_within(const struct addr *a, uint32_t net, unsigned int bits)
{
	return (ntohl(a->v4.s_addr) ^ net) >> (32 - bits) == 0;
}

bool addr_is_private(const struct addr *a)
{
	if (a->family == AF_INET6)
		return (a->v6.s6_addr[0] & 0xfe) == 0xfc;
	return a->family == AF_INET &&
	       (v4_within(a, 0x0a000000, 8) || v4_within(a, 0xac100000, 12) ||
		v4_within(a, 0xc0a80000, 16) || v4_within(a, 0x64400000, 10));
}

bool addr_is_local(const struct addr *a)
{
	if (a->family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->v6) || IN6_IS_ADDR_UNSPECIFIED(&a->v6) ||
		       IN6_IS_ADDR_LINKLOCAL(&a->v6) || IN6_IS_ADDR_MULTICAST(&a->v6);
	return a->family == AF_INET &&
	       (v4_within(a, 0x7f000000, 8) || v4_within(a, 0, 8) || v4_within(a, 0xa9fe0000, 16) ||
		v4_within(a, 0xe0000000, 3));
}
