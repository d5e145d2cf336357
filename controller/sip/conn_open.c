// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that we open, from the bind's own address. */
#include "sip/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A far end that is gone without a word is noticed within a minute and a half, one that takes
 * nothing off us within half of one. */
enum { PROBE_AFTER_S = 60, PROBE_EVERY_S = 10, PROBES = 3, UNACKNOWLEDGED_MS = 30000 };

void sip_conn_tune(int fd)
{
	int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S, probes = PROBES,
	    lost = UNACKNOWLEDGED_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof(after));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof(lost));
}

/* A socket that is on its way to `to`; or -errno. */
static int dial(const struct sip_bind *b, const struct addr *to)
{
	struct addr from = addr_with_port(&b->local, 0);
	struct sockaddr_storage sa;
	int fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, err;
	socklen_t len;

	if (fd < 0)
		return -errno;
	/* The port is chosen when the far end is known: many connections may share one. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	len = addr_to_sockaddr(&sa, &from);
	if (bind(fd, (struct sockaddr *)&sa, len))
		goto fail;
	sip_conn_tune(fd);
	len = addr_to_sockaddr(&sa, to);
	if (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
		return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

int sip_conn_open(struct sip_conn **out, const struct sip_bind *bind, const struct addr *to)
{
	int fd;

	if (to->family != bind->local.family || !to->port)
		return -EAFNOSUPPORT;
	if (bind->sip->streams->n >= bind->sip->limits.total)
		return -EMFILE;
	fd = dial(bind, to);
	if (fd < 0)
		return fd;
	*out = sip_conn_new(bind, to, fd, true);
	return *out ? 0 : -ENOMEM;
}
