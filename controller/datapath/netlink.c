// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NEWS_BUFFER   (4 << 20) /* bytes of news that may wait for a busy loop */
#define NEWS_PER_TURN 64	/* datagrams read before other events get their turn */

struct netlink {
	struct mnl_socket *questions;
	struct mnl_socket *news;
	struct watch watch;
	struct nl_events events;
	uint32_t seq;
	char buffer[32768];	 /* one netlink datagram: NLMSG_GOODSIZE at most */
	char news_buffer[32768]; /* apart: who hears news asks questions */
};

static uint16_t parse_vlan(const struct nlattr *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data) if (mnl_attr_get_type(attr) ==
						 IFLA_VLAN_ID) return mnl_attr_get_u16(attr);
	return 0;
}

/* Kinds whose IFLA_LINK is the interface that they share; a veth's is its other end, a tunnel's
 * carries what is another network. */
static bool is_stacked(const char *kind)
{
	static const char *const kinds[] = { "vlan", "macvlan", "ipvlan" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* The kind comes before its data. */
static void parse_kind(const struct nlattr *info, struct nl_link *link)
{
	const struct nlattr *attr;
	bool vlan = false;

	mnl_attr_for_each_nested(attr, info)
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFLA_INFO_KIND) {
			link->veth = !strcmp(mnl_attr_get_str(attr), "veth");
			vlan = !strcmp(mnl_attr_get_str(attr), "vlan");
			link->stacked = is_stacked(mnl_attr_get_str(attr));
		} else if (type == IFLA_INFO_DATA && vlan) {
			link->vlan = parse_vlan(attr);
		}
	}
}

static int parse_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct nl_link *link = data;
	const struct nlattr *attr;
	bool elsewhere = false; /* `lower` is of another network namespace */

	memset(link, 0, sizeof(*link));
	link->ifindex = (uint32_t)ifi->ifi_index;
	link->loopback = ifi->ifi_type == ARPHRD_LOOPBACK;
	link->ethernet = ifi->ifi_type == ARPHRD_ETHER || link->loopback;
	link->running = (ifi->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK:
			link->lower = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_MASTER:
			link->master = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			parse_kind(attr, link);
			break;
		}
	}
	link->stacked &= !elsewhere;
	return MNL_CB_OK;
}

/* AF_UNSPEC where the length is not the family's. */
static struct addr read_ip(sa_family_t family, const void *bytes, size_t size)
{
	struct addr a = { .family = family };

	if (family == AF_INET && size == sizeof(a.v4))
		memcpy(&a.v4, bytes, size);
	else if (family == AF_INET6 && size == sizeof(a.v6))
		memcpy(&a.v6, bytes, size);
	else
		a.family = AF_UNSPEC;
	return a;
}

static struct addr attr_ip(sa_family_t family, const struct nlattr *attr)
{
	return read_ip(family, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
}

/* A router of the other family (RFC 8950). */
static struct addr attr_via(const struct nlattr *attr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t size = mnl_attr_get_payload_len(attr);

	if (size < sizeof(*via))
		return (struct addr){ 0 };
	return read_ip(via->rtvia_family, via->rtvia_addr, size - sizeof(*via));
}

static void parse_metrics(const struct nlattr *metrics, struct nl_route *route)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) if (mnl_attr_get_type(attr) == RTAX_MTU)
		route->mtu = mnl_attr_get_u32(attr);
}

static int parse_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct nl_route *route = data;
	const struct nlattr *attr;

	route->local = rtm->rtm_type == RTN_LOCAL;
	if (rtm->rtm_type != RTN_UNICAST && !route->local) /* broadcast, multicast, blackhole */
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF)
			route->ifindex = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			route->gateway = attr_ip(rtm->rtm_family, attr);
		else if (mnl_attr_get_type(attr) == RTA_VIA)
			route->gateway = attr_via(attr);
		else if (mnl_attr_get_type(attr) == RTA_METRICS)
			parse_metrics(attr, route);
	}
	return MNL_CB_OK;
}

/* The destinations of a route; false: all. */
static bool parse_prefix(const struct nlmsghdr *nlh, struct addr_prefix *only)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*only = (struct addr_prefix){ .bits = rtm->rtm_dst_len };
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) if (mnl_attr_get_type(attr) == RTA_DST)
		only->net = attr_ip(rtm->rtm_family, attr);
	return only->bits && only->net.family != AF_UNSPEC;
}

static int parse_neighbour(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct nl_neighbour *neighbour = data;
	const struct nlattr *attr;

	memset(neighbour, 0, sizeof(*neighbour));
	if (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6)
		return MNL_CB_OK;
	neighbour->ifindex = (uint32_t)ndm->ndm_ifindex;
	neighbour->state = nlh->nlmsg_type == RTM_DELNEIGH ? NUD_NONE : ndm->ndm_state;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			neighbour->ip = attr_ip(ndm->ndm_family, attr);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR &&
			 mnl_attr_get_payload_len(attr) == sizeof(neighbour->mac))
			memcpy(neighbour->mac, mnl_attr_get_payload(attr), sizeof(neighbour->mac));
	}
	return MNL_CB_OK;
}

/* One datagram of the answer to the last question. MNL_CB_OK: there may be more; MNL_CB_STOP: that
 * was its end. */
static int hear(struct netlink *nl, mnl_cb_t parse, void *out)
{
	unsigned int port = mnl_socket_get_portid(nl->questions);
	ssize_t n;

	for (;;) {
		n = mnl_socket_recvfrom(nl->questions, nl->buffer, sizeof(nl->buffer));
		if (n < 0)
			return -errno;
		n = mnl_cb_run(nl->buffer, (size_t)n, nl->seq, port, parse, out);
		if (n < 0 && errno == EPROTO) /* the late answer to an earlier question */
			continue;
		return n < 0 ? -errno : (int)n;
	}
}

/* Sends one question and gives its answer to `parse`, all parts of it where it has parts. 0 or what
 * the kernel said; -EINTR: what is told in parts changed meanwhile. */
static int ask(struct netlink *nl, struct nlmsghdr *nlh, mnl_cb_t parse, void *out)
{
	bool parts = nlh->nlmsg_flags & NLM_F_DUMP;
	int n;

	nlh->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->questions, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do
		n = hear(nl, parse, out);
	while (parts && n == MNL_CB_OK);
	return n < 0 ? n : 0;
}

static struct nlmsghdr *question(char *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	return nlh;
}

int nl_link_get_index(struct netlink *nl, uint32_t ifindex, struct nl_link *out)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	memset(out, 0, sizeof(*out));
	ifi->ifi_index = (int)ifindex;
	return ask(nl, nlh, parse_link, out);
}

int nl_link_get(struct netlink *nl, const char *name, struct nl_link *out)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_GETLINK, 0);

	memset(out, 0, sizeof(*out));
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return ask(nl, nlh, parse_link, out);
}

struct each_link {
	void (*each)(void *ctx, const struct nl_link *link);
	void *ctx;
};

static int tell_link(const struct nlmsghdr *nlh, void *data)
{
	const struct each_link *told = data;
	struct nl_link link;

	parse_link(nlh, &link);
	told->each(told->ctx, &link);
	return MNL_CB_OK;
}

int nl_links(struct netlink *nl, void (*each)(void *ctx, const struct nl_link *link), void *ctx)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_GETLINK, NLM_F_DUMP);
	struct each_link told = { each, ctx };

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	return ask(nl, nlh, tell_link, &told);
}

/* Returns the prefix length of a whole address. */
static uint8_t put_ip(struct nlmsghdr *nlh, uint16_t type, const struct addr *a)
{
	size_t size = a->family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);

	mnl_attr_put(nlh, type, size, &a->v4);
	return (uint8_t)(8 * size);
}

static int route_ask(struct netlink *nl, const struct addr *to, const struct addr *from,
		     uint32_t ifindex, uint32_t flags, struct nl_route *out)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	memset(out, 0, sizeof(*out));
	rtm->rtm_family = (unsigned char)to->family;
	rtm->rtm_flags = flags;
	rtm->rtm_dst_len = put_ip(nlh, RTA_DST, to);
	if (from)
		rtm->rtm_src_len = put_ip(nlh, RTA_SRC, from);
	if (ifindex)
		mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	return ask(nl, nlh, parse_route, out);
}

int nl_route_get(struct netlink *nl, const struct addr *to, const struct addr *from,
		 uint32_t ifindex, struct nl_route *out)
{
	int err = 0;

	/* Where there is no route by that interface, IPv4 takes the destination to be on its link:
	 * only the question for the entry itself tells. */
	if (ifindex)
		err = route_ask(nl, to, from, ifindex, RTM_F_FIB_MATCH, out);
	if (!err)
		err = route_ask(nl, to, from, ifindex, 0, out);
	if (err)
		return err;
	if (!out->ifindex)
		return -ENETUNREACH;
	if (ifindex && out->ifindex != ifindex && from) /* IPv6 insists where no source is given */
		return nl_route_get(nl, to, NULL, ifindex, out);
	if (out->gateway.family == AF_UNSPEC)
		out->gateway = *to;
	return 0;
}

int nl_neighbour_get(struct netlink *nl, uint32_t ifindex, const struct addr *ip,
		     struct nl_neighbour *out)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_GETNEIGH, 0);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	memset(out, 0, sizeof(*out));
	ndm->ndm_family = (uint8_t)ip->family;
	ndm->ndm_ifindex = (int)ifindex;
	put_ip(nlh, NDA_DST, ip);
	return ask(nl, nlh, parse_neighbour, out);
}

void nl_neighbour_use(struct netlink *nl, uint32_t ifindex, const struct addr *ip)
{
	char buffer[256];
	struct nlmsghdr *nlh = question(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = (uint8_t)ip->family;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_flags = NTF_USE;
	put_ip(nlh, NDA_DST, ip);
	ask(nl, nlh, NULL, NULL);
}

/* AF_BRIDGE: an interface in its role as a bridge's port, "deleted" when the bridge lets it go. */
static bool is_of_link(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	return ifi->ifi_family == AF_UNSPEC;
}

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct netlink *nl = data;
	struct nl_neighbour neighbour;
	struct addr_prefix only;
	struct nl_link link;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (!is_of_link(nlh))
			break;
		parse_link(nlh, &link);
		nl->events.link(nl->events.ctx, &link, nlh->nlmsg_type == RTM_DELLINK);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		parse_neighbour(nlh, &neighbour);
		if (neighbour.ip.family != AF_UNSPEC)
			nl->events.neighbour(nl->events.ctx, &neighbour);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		nl->events.routes(nl->events.ctx, parse_prefix(nlh, &only) ? &only : NULL);
		break;
	case NLMSG_ERROR:
	case NLMSG_NOOP:
		break;
	default:
		nl->events.routes(nl->events.ctx, NULL);
	}
	return MNL_CB_OK;
}

static void on_news(void *owner)
{
	struct netlink *nl = owner;

	for (int i = 0; i < NEWS_PER_TURN; i++) {
		ssize_t n = recv(mnl_socket_get_fd(nl->news), nl->news_buffer,
				 sizeof(nl->news_buffer), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == ENOBUFS)
			nl->events.lost(nl->events.ctx);
		else if (n < 0)
			return;
		else if (n > (ssize_t)sizeof(nl->news_buffer))
			nl->events.lost(nl->events.ctx);
		else
			mnl_cb_run(nl->news_buffer, (size_t)n, 0, 0, on_message, nl);
	}
}

static int join(struct mnl_socket *news)
{
	static const int groups[] = { RTNLGRP_LINK,	  RTNLGRP_NEIGH,     RTNLGRP_NEXTHOP,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV4_IFADDR,
				      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV6_IFADDR };
	int size = NEWS_BUFFER, fd = mnl_socket_get_fd(news);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (mnl_socket_setsockopt(news, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
					  sizeof(groups[i])) < 0)
			return -errno;
	return 0;
}

int nl_open(struct netlink **out, struct loop *loop, const struct nl_events *events)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	struct timeval second = { .tv_sec = 1 };
	int err;

	if (!nl)
		return -ENOMEM;
	nl->events = *events;
	nl->questions = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	nl->news = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	err = nl->questions && nl->news ? 0 : -errno;
	if (err)
		goto fail;
	if (mnl_socket_bind(nl->questions, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(nl->news, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto fail;
	}
	setsockopt(mnl_socket_get_fd(nl->questions), SOL_SOCKET, SO_RCVTIMEO, &second,
		   sizeof(second));
	err = join(nl->news);
	if (err)
		goto fail;
	err = loop_watch(&nl->watch, loop, mnl_socket_get_fd(nl->news), on_news, nl);
	if (err)
		goto fail;
	*out = nl;
	return 0;
fail:
	nl_close(nl);
	return err;
}

void nl_close(struct netlink *nl)
{
	if (!nl)
		return;
	loop_unwatch(&nl->watch);
	if (nl->news)
		mnl_socket_close(nl->news);
	if (nl->questions)
		mnl_socket_close(nl->questions);
	free(nl);
}
