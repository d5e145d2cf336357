// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/user_sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* linux/in6.h, which does not go with netinet/in.h */
#endif

/* Media of a second, of thousands of calls, while no process reads. */
#define BUFFER (32 << 20)

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int tell_all(int fd, bool six)
{
	static const int four[] = { IP_RECVORIGDSTADDR, IP_PKTINFO, IP_RECVTTL, IP_RECVTOS };
	static const int of6[] = { IPV6_RECVORIGDSTADDR, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT,
				   IPV6_RECVTCLASS };
	int err = 0;

	for (size_t i = 0; i < 4 && !err; i++)
		err = six ? set(fd, IPPROTO_IPV6, of6[i], 1) : set(fd, IPPROTO_IP, four[i], 1);
	return err;
}

/* Bound, so that it can be steered to; to loopback, where nobody else's datagrams get in. */
static int bind_here(int fd, bool six)
{
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 of6 = { .sin6_family = AF_INET6,
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const void *here = six ? (const void *)&of6 : &four;

	return bind(fd, here, six ? sizeof(of6) : sizeof(four)) ? -errno : 0;
}

static int set_udp(int fd, bool six)
{
	int err = six ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;

	if (!err)
		err = tell_all(fd, six);
	if (!err)
		err = bind_here(fd, six);
	if (!err)
		err = set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
	return err;
}

static int set_packet(int fd)
{
	return set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
}

/* It is for sending alone, but gets a copy of every UDP datagram: none passes the filter. What is
 * longer than the link carries is cut up. */
static int set_raw(int fd, bool six)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	int err;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
		return -errno;
	err = six ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
		  : set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (!err)
		err = six ? set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
			  : set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return err ? err : set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
}

static int set_options(int fd, enum user_fd which)
{
	if (which == USER_PACKET)
		return set_packet(fd);
	if (which == USER_RAW4 || which == USER_RAW6)
		return set_raw(fd, which == USER_RAW6);
	return set_udp(fd, which == USER_UDP6);
}

/* Protocol 0 of AF_PACKET: nothing is received. */
static int open_one(int *out, enum user_fd which)
{
	static const struct {
		int family, type, protocol;
	} kinds[USER_SOCKETS] = {
		[USER_UDP4] = { AF_INET, SOCK_DGRAM, 0 },
		[USER_UDP6] = { AF_INET6, SOCK_DGRAM, 0 },
		[USER_PACKET] = { AF_PACKET, SOCK_RAW, 0 },
		[USER_RAW4] = { AF_INET, SOCK_RAW, IPPROTO_UDP },
		[USER_RAW6] = { AF_INET6, SOCK_RAW, IPPROTO_UDP },
	};
	int err;

	*out = socket(kinds[which].family, kinds[which].type | SOCK_CLOEXEC, kinds[which].protocol);
	if (*out < 0)
		err = -errno;
	else
		err = set_options(*out, which);
	if (err && kinds[which].family == AF_INET6 &&
	    (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)) {
		if (*out >= 0)
			close(*out);
		*out = -1;
		return 0;
	}
	return err;
}

int user_sockets_open(int fds[USER_SOCKETS])
{
	int err = 0;

	for (int i = 0; i < USER_SOCKETS; i++)
		fds[i] = -1;
	for (int i = 0; i < USER_SOCKETS && !err; i++)
		err = open_one(&fds[i], (enum user_fd)i);
	if (err)
		user_sockets_close(fds);
	return err;
}

void user_sockets_close(int fds[USER_SOCKETS])
{
	for (int i = 0; i < USER_SOCKETS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}
