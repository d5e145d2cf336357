// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two ways out. A frame whose next hop is known leaves as it is, by AF_PACKET, as XDP sends it. One
 * whose next hop is being asked for, or that is longer than its way takes (bpf/fit.h), is given to
 * the kernel as an IP datagram: it resolves, and it fragments.
 */
#include "datapath/user_send.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>

#define CONTROL_SIZE 128 /* three control messages */
#define TAG_SIZE     4	 /* 802.1Q */

static void count_failed(const struct user_send *send)
{
	__atomic_fetch_add(&send->maps->relay->drops.packets[RTPFWD_R_tx_failed], 1,
			   __ATOMIC_RELAXED);
}

static void put(struct msghdr *msg, size_t *used, int level, int type, const void *data,
		size_t size)
{
	struct cmsghdr *c = (void *)((uint8_t *)msg->msg_control + *used);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	*used += CMSG_SPACE(size);
}

static int send_ip(const struct user_send *send, struct msghdr *msg, const struct iphdr *ip,
		   uint32_t ifindex)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = ip->daddr };
	struct in_pktinfo info = { .ipi_ifindex = (int)ifindex, .ipi_spec_dst.s_addr = ip->saddr };
	int ttl = ip->ttl, tos = ip->tos;
	size_t used = 0;

	msg->msg_name = &to;
	msg->msg_namelen = sizeof(to);
	put(msg, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	put(msg, &used, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	put(msg, &used, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	msg->msg_controllen = used;
	return sendmsg(send->raw4, msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_ip6(const struct user_send *send, struct msghdr *msg, const struct ipv6hdr *ip6,
		    uint32_t ifindex)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct in6_pktinfo info = { .ipi6_ifindex = ifindex };
	int hops = ip6->hop_limit, class = ip6->priority << 4 | ip6->flow_lbl[0] >> 4;
	size_t used = 0;

	memcpy(&to.sin6_addr, &ip6->daddr, sizeof(to.sin6_addr));
	memcpy(&info.ipi6_addr, &ip6->saddr, sizeof(info.ipi6_addr));
	msg->msg_name = &to;
	msg->msg_namelen = sizeof(to);
	put(msg, &used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	put(msg, &used, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	put(msg, &used, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
	msg->msg_controllen = used;
	return sendmsg(send->raw6, msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* By the kernel's own way: of a tagged frame the interface of its VLAN, which tags anew. Where the
 * routes do not lie over one there is none. What came as a datagram has no tag to be kept. */
static int send_datagram(const struct user_send *send, uint8_t *begin, const uint8_t *end,
			 uint32_t link, uint32_t ifindex)
{
	uint8_t control[CONTROL_SIZE] __attribute__((aligned(8))) = { 0 };
	struct iovec part;
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control };
	uint8_t *ip = begin + sizeof(struct ethhdr);
	__be16 proto;
	bool tagged;

	memcpy(&proto, ip - sizeof(proto), sizeof(proto));
	tagged = proto == htons(ETH_P_8021Q);
	if (tagged && ifindex == link)
		return -EMSGSIZE;
	if (tagged)
		ip += TAG_SIZE;
	part.iov_base = ip + (*ip >> 4 == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	part.iov_len = (size_t)(end - (uint8_t *)part.iov_base);
	return *ip >> 4 == 4 ? send_ip(send, &msg, (void *)ip, ifindex)
			     : send_ip6(send, &msg, (void *)ip, ifindex);
}

void user_send_init(struct user_send *send, struct user_maps *maps, const int sockets[3])
{
	*send = (struct user_send){
		.maps = maps, .packet = sockets[0], .raw4 = sockets[1], .raw6 = sockets[2]
	};
	for (unsigned int i = 0; i < USER_BATCH; i++) {
		send->to[i] = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_halen = 6 };
		send->messages[i].msg_hdr = (struct msghdr){ .msg_name = &send->to[i],
							     .msg_namelen = sizeof(send->to[i]),
							     .msg_iov = &send->parts[i],
							     .msg_iovlen = 1 };
	}
}

void user_send_add(struct user_send *send, const struct user_frame *frame)
{
	uint32_t ifindex = send->maps->control->ifindex[frame->link];
	unsigned int i = send->n;

	if (frame->by_kernel) {
		if (send_datagram(send, frame->begin, frame->end, ifindex, frame->by_kernel))
			count_failed(send);
		return;
	}
	send->to[i].sll_ifindex = (int)ifindex;
	memcpy(&send->to[i].sll_protocol, frame->begin + 12, 2);
	memcpy(send->to[i].sll_addr, frame->begin, 6);
	send->parts[i] = (struct iovec){ frame->begin, (size_t)(frame->end - frame->begin) };
	send->n++;
}

static void send_refused(const struct user_send *send, unsigned int i, int err)
{
	const struct iovec *part = &send->parts[i];
	uint32_t link = (uint32_t)send->to[i].sll_ifindex;
	uint8_t *begin = part->iov_base;

	if (err == -EMSGSIZE) /* it takes less since a moment ago */
		err = send_datagram(send, begin, begin + part->iov_len, link, link);
	if (err)
		count_failed(send);
}

void user_send_flush(struct user_send *send)
{
	unsigned int i = 0;

	while (i < send->n) {
		int sent = sendmmsg(send->packet, send->messages + i, send->n - i, MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			send_refused(send, i, -errno);
		i += sent < 0 ? 1 : (unsigned int)sent;
	}
	send->n = 0;
}
