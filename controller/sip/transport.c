// SPDX-License-Identifier: GPL-2.0-or-later
/* UDP: one socket per bind, read in batches of which only so many are taken in one turn of the
 * loop. */
#include "lib/log.h"
#include "sip/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 16, BATCHES_PER_TURN = 4, DATAGRAM_MAX = 65535, SOCKET_BUFFER = 4 << 20 };

struct sip_inbox {
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_storage sources[BATCH];
	char texts[BATCH][DATAGRAM_MAX + 1];
};

static void inbox_reset(struct sip_inbox *inbox)
{
	for (int i = 0; i < BATCH; i++) {
		inbox->vectors[i] = (struct iovec){inbox->texts[i], DATAGRAM_MAX};
		inbox->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &inbox->sources[i],
			.msg_namelen = sizeof(inbox->sources[i]),
			.msg_iov = &inbox->vectors[i],
			.msg_iovlen = 1,
		};
	}
}

/* Hands a batch over. True: there may be more. */
static bool take_batch(struct sip_bind *bind, struct sip_inbox *inbox)
{
	struct addr source;
	int n;

	inbox_reset(inbox);
	n = recvmmsg(bind->fd, inbox->headers, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		if (addr_from_sockaddr(&source, (struct sockaddr *)&inbox->sources[i]) == 0)
			sip_receive(bind, &source, inbox->texts[i], inbox->headers[i].msg_len);
	}
	return n == BATCH;
}

static void on_readable(void *owner)
{
	struct sip_bind *bind = owner;

	for (int i = 0; i < BATCHES_PER_TURN; i++)
		if (!take_batch(bind, bind->sip->inbox))
			break;
}

int sip_send(const struct sip_bind *bind, const struct addr *to, const char *bytes, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t sa_len;

	if (to->family != bind->local.family || !to->port)
		return -EAFNOSUPPORT;
	sa_len = addr_to_sockaddr(&sa, to);
	if (sendto(bind->fd, bytes, len, MSG_DONTWAIT, (struct sockaddr *)&sa, sa_len) >= 0)
		return 0;
	/* A full buffer is a lost datagram, which SIP sends again; anything else is an address that
	 * cannot be reached. */
	if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR || errno == ENOMEM ||
	    errno == ECONNREFUSED)
		return 0;
	return -errno;
}

static int open_socket(const struct addr *at)
{
	int fd = socket(at->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1,
	    size = SOCKET_BUFFER;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, at);
	int err;

	if (fd < 0)
		return -errno;
	if (at->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* What we write of ourselves into messages. */
static void name_bind(struct sip_bind *b)
{
	struct addr shown = b->local;
	char text[ADDR_TEXT];

	if (b->realm->advertise.family == b->local.family) {
		shown = b->realm->advertise;
		if (!shown.port)
			shown.port = b->local.port;
	}
	addr_print_ip(text, &shown);
	snprintf(b->host, sizeof(b->host), shown.family == AF_INET6 ? "[%.45s]" : "%.45s", text);
	addr_print(b->hostport, &shown);
}

static int open_bind(struct sip_bind *b, const struct conf_bind *conf)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (strcmp(conf->transport, "udp") != 0)
		return -EPROTONOSUPPORT;
	b->fd = open_socket(&conf->addr);
	if (b->fd < 0)
		return b->fd;
	if (getsockname(b->fd, (struct sockaddr *)&sa, &len) ||
	    addr_from_sockaddr(&b->local, (struct sockaddr *)&sa))
		return -EIO;
	name_bind(b);
	return loop_watch(&b->watch, b->sip->loop, b->fd, on_readable, b);
}

static int open_realm(struct sip *sip, const struct conf_realm *realm, char *why, size_t why_size)
{
	char text[ADDR_TEXT];
	int err;

	for (size_t i = 0; i < realm->n_binds; i++) {
		struct sip_bind *b = &sip->binds[sip->n_binds];

		*b = (struct sip_bind){
			.sip = sip, .realm = realm, .index = (unsigned int)sip->n_binds, .fd = -1};
		sip->n_binds++;
		err = open_bind(b, &realm->binds[i]);
		if (err) {
			snprintf(why, why_size, "realm '%s': cannot bind %s:%s: %s", realm->name,
				 realm->binds[i].transport, addr_print(text, &realm->binds[i].addr),
				 strerror(-err));
			return err;
		}
	}
	return 0;
}

int sip_transport_open(struct sip *sip, char *why, size_t why_size)
{
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < sip->conf->n_realms; i++)
		n += sip->conf->realms[i].n_binds;
	sip->binds = calloc(n + 1, sizeof(*sip->binds));
	sip->inbox = calloc(1, sizeof(*sip->inbox));
	if (!sip->binds || !sip->inbox) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	for (size_t i = 0; !err && i < sip->conf->n_realms; i++)
		err = open_realm(sip, &sip->conf->realms[i], why, why_size);
	return err;
}

void sip_transport_close(struct sip *sip)
{
	for (size_t i = 0; i < sip->n_binds; i++) {
		loop_unwatch(&sip->binds[i].watch);
		if (sip->binds[i].fd >= 0)
			close(sip->binds[i].fd);
	}
	free(sip->binds);
	free(sip->inbox);
}

const struct sip_bind *sip_bind_of(const struct sip *sip, const char *realm, sa_family_t family)
{
	for (size_t i = 0; i < sip->n_binds; i++)
		if (sip->binds[i].local.family == family &&
		    strcmp(sip->binds[i].realm->name, realm) == 0)
			return &sip->binds[i];
	return NULL;
}
