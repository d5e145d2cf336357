// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that come in, and how many of them one far end may have. */
#include "sip/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64 };

static struct sip_source *source_of(struct sip_streams *all, const struct addr *peer)
{
	struct sip_source *source;
	uint8_t net[16];

	addr_network(net, peer);
	HASH_FIND(hh, all->sources, net, sizeof(net), source);
	if (source)
		return source;
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	memcpy(source->net, net, sizeof(net));
	HASH_ADD(hh, all->sources, net, sizeof(source->net), source);
	if (source->hh.tbl)
		return source;
	free(source);
	return NULL;
}

static void source_release(struct sip_streams *all, struct sip_source *source)
{
	if (source->n)
		return;
	HASH_DELETE(hh, all->sources, source);
	free(source);
}

void sip_source_leave(struct sip_conn *conn)
{
	struct sip_source *source = conn->source;

	if (!source)
		return;
	conn->source = NULL;
	source->n--;
	source_release(conn->sip->streams, source);
}

static void turn_away(const struct sip_bind *bind, const struct addr *peer, const char *why)
{
	unsigned long missed;
	char text[ADDR_TEXT];

	bind->sip->stats.turned_away++;
	if (log_allowed(&bind->sip->streams->log, &missed))
		log_notice("%s connection from %s turned away: %s (%lu more unseen)",
			   conf_transport_name(bind->transport), addr_print(text, peer), why,
			   missed);
}

/* Of those that never said anything whole the oldest makes room. */
static void enter_unproven(struct sip_conn *conn)
{
	struct sip_streams *all = conn->sip->streams;

	DL_APPEND2(all->unproven, conn, unproven_prev, unproven_next);
	all->n_unproven++;
	if (all->n_unproven <= conn->sip->limits.unproven)
		return;
	for (conn = all->unproven; conn && conn->dead; conn = conn->unproven_next)
		;
	if (conn)
		sip_conn_drop(conn, "others wait");
}

static void admit(const struct sip_bind *bind, const struct addr *peer, int fd)
{
	const struct sip_limits *limits = &bind->sip->limits;
	struct sip_streams *all = bind->sip->streams;
	struct sip_source *source = source_of(all, peer);
	struct sip_conn *conn = NULL;

	if (!source || source->n >= limits->per_source || all->n >= limits->total) {
		turn_away(bind, peer,
			  all->n >= limits->total ? "too many in all" : "too many from there");
		close(fd);
	} else {
		sip_conn_tune(fd);
		conn = sip_conn_new(bind, peer, fd, false);
	}
	if (conn) {
		source->n++;
		conn->source = source;
		enter_unproven(conn);
	} else if (source) {
		source_release(all, source);
	}
}

/* No descriptor is left: who waits is turned away, since the loop would wake for them for ever. */
static void shed(const struct sip_bind *bind)
{
	struct sip_streams *all = bind->sip->streams;
	struct addr nobody = {0};

	if (all->spare < 0)
		return;
	close(all->spare);
	all->spare = accept4(bind->fd, NULL, NULL, SOCK_CLOEXEC);
	if (all->spare >= 0)
		close(all->spare);
	all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	turn_away(bind, &nobody, "no descriptor is left");
}

static void on_waiting(void *owner)
{
	const struct sip_bind *bind = owner;
	struct sockaddr_storage sa;
	struct addr peer;
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		socklen_t len = sizeof(sa);

		fd = accept4(bind->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			shed(bind);
		if (fd < 0)
			return;
		if (addr_from_sockaddr(&peer, (struct sockaddr *)&sa))
			close(fd);
		else
			admit(bind, &peer, fd);
	}
}

int sip_conn_listen(struct sip_bind *bind)
{
	if (listen(bind->fd, BACKLOG))
		return -errno;
	return loop_watch(&bind->watch, bind->sip->loop, bind->fd, on_waiting, bind);
}
