// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/wire.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Expedited forwarding (RFC 3246), what voice is marked with. */
enum { DSCP_EF = 46, HOPS = 64 };

struct datagram {
	uint8_t bytes[WIRE_HEADERS_MAX + WIRE_PAYLOAD_MAX];
	struct sockaddr_storage to;
	struct iovec iov;
	/* Which interface, and by which source address routes are looked up. */
	union {
		struct cmsghdr align;
		uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
		uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
};

struct wire {
	int v4, v6;	/* v6 -1: this host has none */
	int fd;		/* of the batch */
	size_t n;	/* in the batch */
	struct mmsghdr msgs[WIRE_BATCH];
	struct datagram datagrams[WIRE_BATCH];
	struct wire_report counts;
};

int wire_open(struct wire **out)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int err;

	if (!wire)
		return -ENOMEM;
	wire->v6 = -1;
	wire->v4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (wire->v4 < 0) {
		err = -errno;
		free(wire);
		return err;
	}
	wire->v6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	*out = wire;
	return 0;
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	close(wire->v4);
	if (wire->v6 >= 0)
		close(wire->v6);
	free(wire);
}

/* RFC 1071, over big-endian words; `len` may be odd. */
static uint32_t sum(uint32_t so_far, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (; len > 1; len -= 2, p += 2)
		so_far += (uint32_t)p[0] << 8 | p[1];
	return len ? so_far + ((uint32_t)p[0] << 8) : so_far;
}

static uint16_t folded(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

/* With its pseudo-header (RFC 768; RFC 8200 8.1). No checksum is all ones, not 0. */
static size_t put_udp(uint8_t *out, const struct wire_way *way, const uint8_t *payload, size_t len)
{
	size_t ip = way->from.family == AF_INET6 ? sizeof(way->from.v6) : sizeof(way->from.v4);
	size_t total = sizeof(struct udphdr) + len;
	struct udphdr udp = {
		.source = htons(way->from.port),
		.dest = htons(way->to.port),
		.len = htons((uint16_t)total),
	};
	uint32_t words = sum(sum(0, &way->from.v6, ip), &way->to.v6, ip);

	words = sum(words + IPPROTO_UDP + (uint32_t)total, &udp, sizeof(udp));
	udp.check = htons(folded(sum(words, payload, len)));
	if (!udp.check)
		udp.check = 0xffff;
	memcpy(out, &udp, sizeof(udp));
	memcpy(out + sizeof(udp), payload, len);
	return total;
}

/* The kernel fills in identification and checksum (raw(7)). */
static size_t put_v4(uint8_t *out, const struct wire_way *way, size_t len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tos = DSCP_EF << 2,
		.tot_len = htons((uint16_t)(sizeof(ip) + len)),
		.frag_off = htons(IP_DF),
		.ttl = HOPS,
		.protocol = IPPROTO_UDP,
		.saddr = way->from.v4.s_addr,
		.daddr = way->to.v4.s_addr,
	};

	memcpy(out, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_v6(uint8_t *out, const struct wire_way *way, size_t len)
{
	struct ip6_hdr ip = { .ip6_src = way->from.v6, .ip6_dst = way->to.v6 };

	ip.ip6_flow = htonl(6u << 28 | (uint32_t)DSCP_EF << 22);
	ip.ip6_plen = htons((uint16_t)len);
	ip.ip6_nxt = IPPROTO_UDP;
	ip.ip6_hlim = HOPS;
	memcpy(out, &ip, sizeof(ip));
	return sizeof(ip);
}

size_t wire_datagram(uint8_t out[WIRE_HEADERS_MAX + WIRE_PAYLOAD_MAX], const struct wire_way *way,
		     const uint8_t *payload, size_t len)
{
	bool v6 = way->from.family == AF_INET6;
	size_t head = v6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
	size_t udp = put_udp(out + head, way, payload, len);

	return (v6 ? put_v6 : put_v4)(out, way, udp) + udp;
}

static void put_control(struct msghdr *msg, struct datagram *d, const struct wire_way *way)
{
	bool v6 = way->from.family == AF_INET6;
	struct in_pktinfo info = { .ipi_ifindex = (int)way->ifindex, .ipi_spec_dst = way->from.v4 };
	struct in6_pktinfo info6 = { .ipi6_ifindex = way->ifindex, .ipi6_addr = way->from.v6 };
	size_t len = v6 ? sizeof(info6) : sizeof(info);
	struct cmsghdr *c;

	msg->msg_control = &d->control;
	msg->msg_controllen = CMSG_SPACE(len);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), v6 ? (void *)&info6 : (void *)&info, len);
}

void wire_put(struct wire *wire, const struct wire_way *way, const uint8_t *payload, size_t len)
{
	int fd = way->from.family == AF_INET6 ? wire->v6 : wire->v4;
	struct addr to = addr_with_port(&way->to, 0);	/* of IPv6, a port would be a protocol */
	struct datagram *d;
	struct msghdr *msg;

	if (fd < 0 || len > WIRE_PAYLOAD_MAX) {
		wire->counts.failed++;
		return;
	}
	if (wire->n == WIRE_BATCH || (wire->n && fd != wire->fd))
		wire_flush(wire);
	wire->fd = fd;
	d = &wire->datagrams[wire->n];
	msg = &wire->msgs[wire->n++].msg_hdr;
	d->iov.iov_base = d->bytes;
	d->iov.iov_len = wire_datagram(d->bytes, way, payload, len);
	*msg = (struct msghdr){ .msg_name = &d->to, .msg_iov = &d->iov, .msg_iovlen = 1 };
	msg->msg_namelen = addr_to_sockaddr(&d->to, &to);
	put_control(msg, d, way);
}

/* One that is refused does not keep back those behind it. */
void wire_flush(struct wire *wire)
{
	size_t done = 0;

	while (done < wire->n) {
		int n = sendmmsg(wire->fd, &wire->msgs[done], (unsigned int)(wire->n - done),
				 MSG_DONTWAIT);

		wire->counts.flushes++;
		if (n > 0) {
			wire->counts.sent += (uint64_t)n;
			done += (size_t)n;
		} else if (errno != EINTR) {
			wire->counts.failed++;
			done++;
		}
	}
	wire->n = 0;
}

void wire_report(const struct wire *wire, struct wire_report *out)
{
	*out = wire->counts;
}
