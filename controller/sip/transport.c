// SPDX-License-Identifier: GPL-2.0-or-later
/* The sockets of the binds, and which way a message goes. UDP is read here, in batches of which
 * only so many are taken in one turn of the loop; TCP and TLS are conn.c's. */
#include "sip/conn.h"
#include "sip/leg.h"
#include "sip/stun.h"
#include "sip/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BATCH = 16, BATCHES_PER_TURN = 4, DATAGRAM_MAX = 65535, SOCKET_BUFFER = 4 << 20 };
/* Descriptors wanted for connections, and those that all else may need. */
enum { DESCRIPTORS = 65536, DESCRIPTORS_ELSEWHERE = 512 };

struct sip_inbox {
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_storage sources[BATCH];
	char texts[BATCH][DATAGRAM_MAX + 1];
	union overload_stamp stamp; /* of the first of a batch, which waited longest */
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
	inbox->headers[0].msg_hdr.msg_control = &inbox->stamp;
	inbox->headers[0].msg_hdr.msg_controllen = sizeof(inbox->stamp);
}

char *sip_inbox_text(struct sip *sip)
{
	return sip->inbox->texts[0];
}

static int send_datagram(const struct sip_bind *bind, const struct addr *to, const char *bytes,
			 size_t len)
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

static void take_datagram(struct sip_bind *bind, const struct addr *source, char *text, size_t len)
{
	char answer[SIP_STUN_ANSWER_MAX];
	size_t n = sip_stun_answer(answer, text, len, source);

	if (n)
		send_datagram(bind, source, answer, n);
	else
		sip_receive(bind, &bind->overload, source, text, len);
}

static bool begins_call(const struct sip_inbox *inbox, int i)
{
	return inbox->headers[i].msg_len > 7 && memcmp(inbox->texts[i], "INVITE ", 7) == 0;
}

static void take(struct sip_bind *bind, struct sip_inbox *inbox, int i)
{
	struct addr source;

	if (addr_from_sockaddr(&source, (struct sockaddr *)&inbox->sources[i]) == 0)
		take_datagram(bind, &source, inbox->texts[i], inbox->headers[i].msg_len);
}

/* Hands a batch over; what may be refused comes last when much waits. True: there may be more. */
static bool take_batch(struct sip_bind *bind, struct sip_inbox *inbox)
{
	const struct sip_overload *overload = &bind->overload;
	int n;

	inbox_reset(inbox);
	n = recvmmsg(bind->fd, inbox->headers, BATCH, MSG_DONTWAIT, NULL);
	if (n > 0)
		overload_waited(&bind->overload, overload_lag_us(&inbox->headers[0].msg_hdr),
				loop_now_us(bind->sip->loop));
	for (int i = 0; i < n; i++)
		if (!overload->on || !begins_call(inbox, i))
			take(bind, inbox, i);
	for (int i = 0; overload->on && i < n; i++)
		if (begins_call(inbox, i))
			take(bind, inbox, i);
	return n == BATCH;
}

static void on_readable(void *owner)
{
	struct sip_bind *bind = owner;

	for (int i = 0; i < BATCHES_PER_TURN; i++)
		if (!take_batch(bind, bind->sip->inbox))
			break;
}

const struct sip_bind *sip_bind_to(const struct sip *sip, const struct leg_target *target)
{
	const struct sip_bind *first = NULL;

	if (target->bind && target->bind <= sip->n_binds &&
	    sip->binds[target->bind - 1].local.family == target->to.family)
		return &sip->binds[target->bind - 1];

	for (size_t i = 0; i < sip->n_binds; i++) {
		const struct sip_bind *bind = &sip->binds[i];

		if (bind->local.family != target->to.family ||
		    bind->transport != target->transport ||
		    strcmp(bind->realm->name, target->realm->name) != 0)
			continue;
		if (sip_bind_connected(bind, &target->to))
			return bind;
		first = first ? first : bind;
	}
	return first;
}

bool sip_bind_reliable(const struct sip_bind *bind)
{
	return bind->transport != CONF_UDP;
}

bool sip_bind_connected(const struct sip_bind *bind, const struct addr *peer)
{
	return sip_bind_reliable(bind) && sip_conn_find(bind, peer);
}

struct addr sip_bind_asker(const struct sip_bind *bind, const struct addr *source)
{
	const struct sip_conn *conn = sip_bind_reliable(bind) ? sip_conn_find(bind, source) : NULL;

	return conn && conn->source ? addr_with_port(source, 0) : *source;
}

int sip_send_waiting(const struct sip_bind *bind, const struct addr *to, const char *bytes,
		     size_t len, struct sip_wait *wait)
{
	struct sip_conn *conn;
	int err = 0;

	if (!sip_bind_reliable(bind))
		return send_datagram(bind, to, bytes, len);
	conn = sip_conn_find(bind, to);
	if (!conn)
		err = sip_conn_open(&conn, bind, to);
	if (err)
		return err;
	err = sip_conn_write(conn, bytes, len);
	if (!err && wait)
		sip_wait_add(wait, conn);
	return err;
}

int sip_send(const struct sip_bind *bind, const struct addr *to, const char *bytes, size_t len)
{
	return sip_send_waiting(bind, to, bytes, len, NULL);
}

int sip_send_back(const struct sip_bind *bind, const struct addr *to, const struct addr *fallback,
		  const char *bytes, size_t len)
{
	bool gone = sip_bind_reliable(bind) && !sip_bind_connected(bind, to);

	return sip_send(bind, gone ? fallback : to, bytes, len);
}

static int open_socket(const struct addr *at, int type)
{
	int fd = socket(at->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1,
	    size = SOCKET_BUFFER;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, at);
	int err;

	if (fd < 0)
		return -errno;
	if (at->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* Connections of the last daemon, not yet forgotten, do not keep us from listening. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (type == SOCK_DGRAM)
		overload_stamps(fd);
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

/* The certificates of a realm's TLS binds; `why` is empty where there is nothing to say. */
static int open_tls(struct sip_bind *b, char *why, size_t why_size)
{
	if (b->transport != CONF_TLS)
		return 0;
	return sip_tls_new(&b->tls, b->realm, why, why_size);
}

static int open_bind(struct sip_bind *b, const struct addr *at)
{
	static const char *const via[] = {"SIP/2.0/UDP ", "SIP/2.0/TCP ", "SIP/2.0/TLS "};
	static const char *const params[] = {"", ";transport=tcp", ";transport=tls"};
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	b->via = via[b->transport];
	b->params = params[b->transport];
	b->fd = open_socket(at, sip_bind_reliable(b) ? SOCK_STREAM : SOCK_DGRAM);
	if (b->fd < 0)
		return b->fd;
	if (getsockname(b->fd, (struct sockaddr *)&sa, &len) ||
	    addr_from_sockaddr(&b->local, (struct sockaddr *)&sa))
		return -EIO;
	name_bind(b);
	if (sip_bind_reliable(b))
		return sip_conn_listen(b);
	return loop_watch(&b->watch, b->sip->loop, b->fd, on_readable, b);
}

static int open_realm(struct sip *sip, const struct conf_realm *realm, char *why, size_t why_size)
{
	char text[ADDR_TEXT];
	int err;

	for (size_t i = 0; i < realm->n_binds; i++) {
		struct sip_bind *b = &sip->binds[sip->n_binds];

		*b = (struct sip_bind){.sip = sip,
				       .realm = realm,
				       .index = (unsigned int)sip->n_binds,
				       .transport = realm->binds[i].transport,
				       .fd = -1};
		sip->n_binds++;
		err = open_tls(b, why, why_size);
		if (err)
			return err;
		err = open_bind(b, &realm->binds[i].addr);
		if (err) {
			snprintf(why, why_size, "realm '%s': cannot bind %s:%s: %s", realm->name,
				 conf_transport_name(b->transport),
				 addr_print(text, &realm->binds[i].addr), strerror(-err));
			return err;
		}
	}
	return 0;
}

/* Connections are descriptors: the total is what the system lets us have. */
static void fit_limits(struct sip_limits *limits)
{
	struct rlimit files;
	rlim_t spare;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	if (files.rlim_cur < DESCRIPTORS && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
		setrlimit(RLIMIT_NOFILE, &files);
		getrlimit(RLIMIT_NOFILE, &files);
	}
	spare = files.rlim_cur > 2 * DESCRIPTORS_ELSEWHERE ? files.rlim_cur - DESCRIPTORS_ELSEWHERE
							   : files.rlim_cur / 2;
	if (limits->total > spare)
		limits->total = (unsigned int)spare;
	if (limits->unproven > limits->total / 2)
		limits->unproven = limits->total / 2;
}

int sip_transport_open(struct sip *sip, char *why, size_t why_size)
{
	size_t n = 0;
	int err = sip_streams_new(sip);

	fit_limits(&sip->limits);

	for (size_t i = 0; i < sip->conf->n_realms; i++)
		n += sip->conf->realms[i].n_binds;
	sip->binds = calloc(n + 1, sizeof(*sip->binds));
	sip->inbox = calloc(1, sizeof(*sip->inbox));
	if (!sip->binds || !sip->inbox || err) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	for (size_t i = 0; !err && i < sip->conf->n_realms; i++)
		err = open_realm(sip, &sip->conf->realms[i], why, why_size);
	return err;
}

void sip_transport_close(struct sip *sip)
{
	sip_streams_free(sip);
	for (size_t i = 0; i < sip->n_binds; i++) {
		loop_unwatch(&sip->binds[i].watch);
		if (sip->binds[i].fd >= 0)
			close(sip->binds[i].fd);
		sip_tls_free(sip->binds[i].tls);
	}
	free(sip->binds);
	free(sip->inbox);
}

const struct sip_bind *sip_bind_find(const struct sip *sip, const char *realm, sa_family_t family,
				     enum conf_transport transport)
{
	for (size_t i = 0; i < sip->n_binds; i++)
		if (sip->binds[i].local.family == family && sip->binds[i].transport == transport &&
		    strcmp(sip->binds[i].realm->name, realm) == 0)
			return &sip->binds[i];
	return NULL;
}

const struct sip_bind *sip_bind_of(const struct sip *sip, const char *realm, sa_family_t family)
{
	const struct sip_bind *bind = NULL;

	for (int t = 0; !bind && t < CONF_TRANSPORTS; t++)
		bind = sip_bind_find(sip, realm, family, (enum conf_transport)t);
	return bind;
}
