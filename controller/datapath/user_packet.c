// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/user_packet.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

/* Words in the order in which they lie; memory is what the sum is of. */
static uint64_t sum(const void *data, size_t length)
{
	const uint8_t *p = data;
	uint64_t total = 0;
	uint32_t word;

	for (; length >= sizeof(word); length -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		total += word;
	}
	word = 0;
	memcpy(&word, p, length);
	return total + word;
}

static uint16_t fold(uint64_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

static uint32_t read_int(const struct cmsghdr *c)
{
	int value;

	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return (uint32_t)value;
}

static void read_ip(struct user_datagram *out, const struct cmsghdr *c)
{
	switch (c->cmsg_type) {
	case IP_ORIGDSTADDR:
		addr_from_sockaddr(&out->to, (void *)CMSG_DATA(c));
		break;
	case IP_PKTINFO:
		memcpy(&out->ifindex, CMSG_DATA(c), sizeof(out->ifindex));
		break;
	case IP_TTL:
		out->hops = (uint8_t)read_int(c);
		break;
	case IP_TOS:
		out->class = *CMSG_DATA(c);
		break;
	}
}

static void read_ip6(struct user_datagram *out, const struct cmsghdr *c)
{
	struct in6_pktinfo info;

	switch (c->cmsg_type) {
	case IPV6_ORIGDSTADDR:
		addr_from_sockaddr(&out->to, (void *)CMSG_DATA(c));
		break;
	case IPV6_PKTINFO:
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		out->ifindex = info.ipi6_ifindex;
		break;
	case IPV6_HOPLIMIT:
		out->hops = (uint8_t)read_int(c);
		break;
	case IPV6_TCLASS:
		out->class = (uint8_t)read_int(c);
		break;
	}
}

int user_packet_read(struct user_datagram *out, struct msghdr *msg)
{
	struct cmsghdr *c;

	*out = (struct user_datagram){ 0 };
	if (msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    addr_from_sockaddr(&out->from, msg->msg_name))
		return -EINVAL;
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_ip(out, c);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_ip6(out, c);
	}
	return out->to.family == out->from.family && out->ifindex ? 0 : -EINVAL;
}

static uint64_t write_ip(uint8_t *at, const struct user_datagram *d, uint32_t length)
{
	struct iphdr *ip = (void *)at;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = d->class,
		.tot_len = htons((uint16_t)(sizeof(*ip) + length)),
		.frag_off = htons(IP_DF),
		.ttl = d->hops,
		.protocol = IPPROTO_UDP,
		.saddr = d->from.v4.s_addr,
		.daddr = d->to.v4.s_addr,
	};
	ip->check = fold(sum(ip, sizeof(*ip)));
	return (uint64_t)ip->saddr + ip->daddr;
}

static uint64_t write_ip6(uint8_t *at, const struct user_datagram *d, uint32_t length)
{
	struct ipv6hdr *ip6 = (void *)at;
	uint32_t first = htonl(6u << 28 | (uint32_t)d->class << 20);

	memcpy(ip6, &first, sizeof(first));
	ip6->payload_len = htons((uint16_t)length);
	ip6->nexthdr = IPPROTO_UDP;
	ip6->hop_limit = d->hops;
	memcpy(&ip6->saddr, &d->from.v6, sizeof(ip6->saddr));
	memcpy(&ip6->daddr, &d->to.v6, sizeof(ip6->daddr));
	return sum(&ip6->saddr, 2 * sizeof(ip6->saddr));
}

void user_packet_build(struct user_frame *frame, const struct user_datagram *d, uint8_t *payload,
		       uint32_t length)
{
	bool six = d->from.family == AF_INET6;
	struct udphdr *udp = (void *)(payload - sizeof(*udp));
	uint8_t *ip = (uint8_t *)udp - (six ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	struct ethhdr eth = { .h_proto = htons(six ? ETH_P_IPV6 : ETH_P_IP) };
	uint64_t total;

	*udp = (struct udphdr){
		.source = htons(d->from.port),
		.dest = htons(d->to.port),
		.len = htons((uint16_t)(sizeof(*udp) + length)),
	};
	total = six ? write_ip6(ip, d, sizeof(*udp) + length)
		    : write_ip(ip, d, sizeof(*udp) + length);
	total += htons(IPPROTO_UDP) + udp->len;
	udp->check = fold(total + sum(udp, sizeof(*udp) + length));
	if (!udp->check)
		udp->check = 0xffff;
	memcpy(ip - sizeof(eth), &eth, sizeof(eth));
	frame->begin = ip - sizeof(eth);
	frame->end = payload + length;
	frame->ingress = d->ifindex;
}
