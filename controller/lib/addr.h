/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An IP address with an optional port: the one form in which addresses travel through the
 * controller. */
#ifndef RTPFWD_LIB_ADDR_H
#define RTPFWD_LIB_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* `family` is AF_UNSPEC (no address), AF_INET or AF_INET6; `port` is in host order, 0 = none;
 * the address bytes are in network order. A zeroed struct is "no address". */
struct addr {
	sa_family_t family;
	uint16_t port;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

/* Longest text of addr_print(): "[" + INET6_ADDRSTRLEN + "]:65535". */
#define ADDR_TEXT 56

/* Parses `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5`. 0 or -EINVAL
 * (`out` untouched). */
int addr_parse(struct addr *out, const char *text);

/* Writes `1.2.3.4:5`, `[2001:db8::1]:5`, without a port `1.2.3.4`, `2001:db8::1`; "" for no
 * address. Returns `text`. */
const char *addr_print(char text[ADDR_TEXT], const struct addr *a);

/* The same without the port and, for IPv6, without brackets (as SDP wants it). */
const char *addr_print_ip(char text[ADDR_TEXT], const struct addr *a);

bool addr_equal(const struct addr *a, const struct addr *b);   /* address and port */
bool addr_same_ip(const struct addr *a, const struct addr *b); /* address alone */
bool addr_is_any(const struct addr *a);			       /* 0.0.0.0 or :: */
bool addr_is_private(const struct addr *a); /* RFC 1918, 6598 (carriers' NAT), 4193 */
/* Means nothing on another host, or no single host: loopback, 0/8, ::, link-local, multicast. */
bool addr_is_local(const struct addr *a);
/* Who is one and the same where a limit is for each: an IPv4 address, or an IPv6 /64, since who has
 * one has all addresses of it; the last byte tells them apart. */
void addr_network(uint8_t net[16], const struct addr *a);
struct addr addr_with_port(const struct addr *a, uint16_t port);

socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct addr *a);
int addr_from_sockaddr(struct addr *out,
		       const struct sockaddr *sa); /* 0 or -EAFNOSUPPORT; v4-mapped becomes IPv4 */

/* `10.0.0.0/8`, `10.0.0.1`, `10.0.0.0/255.0.0.0`, `2001:db8::/32`. */
struct addr_prefix {
	struct addr net;
	uint8_t bits;
};

int addr_prefix_parse(struct addr_prefix *out, const char *text);
bool addr_prefix_has(const struct addr_prefix *p, const struct addr *a);

#endif
