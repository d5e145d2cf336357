// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/conn.h"

#include "sip/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* Lines about connections: a flood of them shall not become one of the log. */
enum { LOG_PER_S = 1, LOG_BURST = 20 };

static struct sip_conn_key key_of(const struct sip_bind *bind, const struct addr *peer)
{
	struct sip_conn_key key;

	memset(&key, 0, sizeof(key));
	key.bind = bind->index;
	key.family = peer->family;
	key.port = peer->port;
	if (peer->family == AF_INET6)
		memcpy(key.ip, &peer->v6, sizeof(peer->v6));
	else
		memcpy(key.ip, &peer->v4, sizeof(peer->v4));
	return key;
}

struct sip_conn *sip_conn_find(const struct sip_bind *bind, const struct addr *peer)
{
	struct sip_conn_key key = key_of(bind, peer);
	struct sip_conn *conn;

	HASH_FIND(hh, bind->sip->streams->table, &key, sizeof(key), conn);
	return conn;
}

static void leave_table(struct sip_conn *conn)
{
	if (conn->hh.tbl)
		HASH_DELETE(hh, conn->sip->streams->table, conn);
	memset(&conn->hh, 0, sizeof(conn->hh));
}

/* Of two connections with one far end the newer is used: it knows that the older is gone. */
static bool enter_table(struct sip_conn *conn)
{
	struct sip_conn *older = sip_conn_find(conn->bind, &conn->peer);

	if (older)
		leave_table(older);
	HASH_ADD(hh, conn->sip->streams->table, key, sizeof(conn->key), conn);
	return conn->hh.tbl != NULL;
}

static void prove(struct sip_conn *conn)
{
	struct sip_streams *all = conn->sip->streams;

	if (conn->proven)
		return;
	conn->proven = true;
	if (!conn->source)
		return;
	DL_DELETE2(all->unproven, conn, unproven_prev, unproven_next);
	all->n_unproven--;
}

static void log_end(struct sip_conn *conn, const char *why)
{
	unsigned long missed;
	char text[ADDR_TEXT];

	if (log_allowed(&conn->sip->streams->log, &missed))
		log_info("%s connection with %s: %s (%lu more unseen)",
			 conf_transport_name(conn->bind->transport), addr_print(text, &conn->peer),
			 why, missed);
}

void sip_conn_drop(struct sip_conn *conn, const char *why)
{
	if (conn->dead)
		return;
	if (why)
		log_end(conn, why);
	conn->dead = true;
	leave_table(conn);
	bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
	timer_set(&conn->timer, 0);
}

static void free_conn(struct sip_conn *conn)
{
	struct sip_streams *all = conn->sip->streams;

	timer_stop(&conn->timer);
	leave_table(conn);
	prove(conn);
	sip_source_leave(conn);
	DL_DELETE(all->all, conn);
	all->n--;
	conn->sip->stats.connections[conn->bind->transport]--;
	bufferevent_free(conn->bev);
	free(conn);
}

void sip_wait_add(struct sip_wait *wait, struct sip_conn *conn)
{
	sip_wait_end(wait);
	wait->conn = conn;
	DL_APPEND(conn->waits, wait);
}

void sip_wait_end(struct sip_wait *wait)
{
	if (wait->conn)
		DL_DELETE(wait->conn->waits, wait);
	wait->conn = NULL;
}

static void bury(struct sip_conn *conn)
{
	struct sip_wait *wait;

	while ((wait = conn->waits) != NULL) {
		sip_wait_end(wait);
		wait->lost(wait, conn->up);
	}
	free_conn(conn);
}

/* When this connection is given up if nothing happens, and why. */
static uint64_t deadline(const struct sip_conn *conn, const char **why)
{
	const struct sip_limits *limits = &conn->sip->limits;

	*why = NULL;
	if (conn->lingering)
		return conn->since_ms + limits->linger_ms;
	if (!conn->up && !conn->source) {
		*why = "no answer";
		return conn->since_ms + limits->connect_ms;
	}
	if (conn->since_ms) {
		*why = "too slow";
		return conn->since_ms + limits->message_ms;
	}
	return conn->last_ms + limits->idle_ms;
}

static void on_timer(void *owner)
{
	struct sip_conn *conn = owner;
	uint64_t now = loop_now_ms(conn->sip->loop), due;
	const char *why;

	if (conn->dead) {
		bury(conn);
		return;
	}
	due = deadline(conn, &why);
	if (now >= due)
		sip_conn_drop(conn, why);
	else
		timer_set(&conn->timer, due - now);
}

static void await(struct sip_conn *conn)
{
	const char *why;

	conn->since_ms = loop_now_ms(conn->sip->loop);
	timer_set(&conn->timer, deadline(conn, &why) - conn->since_ms);
}

/* The far end is given the time to read what we said last; what it still says is not heard. */
static void linger(struct sip_conn *conn)
{
	if (conn->dead || conn->lingering)
		return;
	conn->lingering = true;
	leave_table(conn);
	await(conn);
	if (!evbuffer_get_length(bufferevent_get_output(conn->bev)))
		shutdown(bufferevent_getfd(conn->bev), SHUT_WR);
}

static void refuse(struct sip_conn *conn, enum sip_frame_kind kind, size_t len)
{
	static const struct sip_unframed why[] = {
		[FRAME_NO_LENGTH] = {400, "Missing Content-Length"},
		[FRAME_BAD_LENGTH] = {400, "Bad Content-Length"},
		[FRAME_TOO_LARGE] = {513, NULL},
		[FRAME_GARBAGE] = {400, NULL},
	};
	char *text = sip_inbox_text(conn->sip);

	log_end(conn, kind == FRAME_GARBAGE ? "this is not SIP" : "a message without an end");
	if (len && len <= SIP_FRAME_MAX) {
		evbuffer_remove(bufferevent_get_input(conn->bev), text, len);
		sip_receive_endless(conn->bind, &conn->peer, text, len, &why[kind]);
	}
	linger(conn);
}

/* Takes one thing off the input. False: there is no more to take. */
static bool take(struct sip_conn *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->bev);
	size_t n = evbuffer_get_length(input), len;
	char *text = sip_inbox_text(conn->sip);
	enum sip_frame_kind kind;

	if (!n || n < conn->frame.total)
		return false;
	kind = sip_frame_next(&conn->frame, (const char *)evbuffer_pullup(input, -1), n, &len);
	if (kind == FRAME_MORE)
		return false;
	if (kind > FRAME_MESSAGE) {
		refuse(conn, kind, len);
		return false;
	}
	evbuffer_remove(input, text, len);
	if (kind != FRAME_SKIP) {
		prove(conn);
		conn->since_ms = 0;
	}
	if (kind == FRAME_PING)
		sip_conn_write(conn, "\r\n", 2);
	else if (kind == FRAME_MESSAGE)
		sip_receive(conn->bind, &conn->overload, &conn->peer, text, len);
	return !conn->dead && !conn->lingering && !conn->paused;
}

/* As much was read as may be at once: is there more? */
static void see_queue(struct sip_conn *conn)
{
	int left = 0;

	if (ioctl(bufferevent_getfd(conn->bev), FIONREAD, &left))
		left = 0;
	overload_read(&conn->overload, left > 0, loop_now_us(conn->sip->loop));
}

static void on_input(struct bufferevent *bev, void *arg)
{
	struct sip_conn *conn = arg;
	struct evbuffer *input = bufferevent_get_input(bev);

	if (conn->dead || conn->paused)
		return;
	conn->last_ms = loop_now_ms(conn->sip->loop);
	see_queue(conn);
	while (!conn->lingering && take(conn))
		;
	if (conn->dead || conn->paused)
		return;
	if (conn->lingering)
		evbuffer_drain(input, evbuffer_get_length(input));
	else if (!conn->since_ms && (evbuffer_get_length(input) || !conn->proven))
		await(conn);
}

/* Little is left that waits to go out. */
static void on_drained(struct bufferevent *bev, void *arg)
{
	struct sip_conn *conn = arg;

	if (conn->dead)
		return;
	conn->last_ms = loop_now_ms(conn->sip->loop);
	if (conn->lingering && !evbuffer_get_length(bufferevent_get_output(bev)))
		shutdown(bufferevent_getfd(bev), SHUT_WR);
	if (!conn->paused)
		return;
	conn->paused = false;
	bufferevent_enable(bev, EV_READ);
	on_input(bev, conn);
}

static void on_up(struct sip_conn *conn)
{
	conn->up = true;
	conn->last_ms = loop_now_ms(conn->sip->loop);
	if (conn->source)
		return; /* its first message is awaited since it came */
	conn->since_ms = 0;
	timer_set(&conn->timer, conn->sip->limits.idle_ms);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct sip_conn *conn = arg;

	if (conn->dead)
		return;
	if (what & BEV_EVENT_CONNECTED)
		on_up(conn);
	else if (what & BEV_EVENT_EOF && !conn->lingering &&
		 evbuffer_get_length(bufferevent_get_output(bev)))
		linger(conn);
	else if (what & BEV_EVENT_EOF || conn->lingering)
		sip_conn_drop(conn, NULL);
	else
		sip_conn_drop(conn, sip_tls_fault(bev, conn->up ? "broken" : "refused"));
}

int sip_conn_write(struct sip_conn *conn, const char *bytes, size_t len)
{
	const struct sip_limits *limits = &conn->sip->limits;
	size_t waiting = evbuffer_get_length(bufferevent_get_output(conn->bev)) + len;

	if (waiting > limits->output || bufferevent_write(conn->bev, bytes, len)) {
		sip_conn_drop(conn, "it does not read");
		return -ENOBUFS;
	}
	if (waiting > limits->pause && conn->up && !conn->paused) {
		conn->paused = true;
		conn->since_ms = 0; /* what it cannot send is no fault of its own */
		bufferevent_disable(conn->bev, EV_READ);
	}
	return 0;
}

static struct bufferevent *make_bev(const struct sip_bind *bind, int fd, bool connecting)
{
	struct event_base *base = loop_base(bind->sip->loop);
	struct bufferevent *bev;

	if (bind->tls)
		return sip_tls_wrap(bind->tls, base, fd, connecting);
	bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (bev && connecting)
		bufferevent_socket_connect(bev, NULL, 0); /* tells when it stands */
	return bev;
}

struct sip_conn *sip_conn_new(const struct sip_bind *bind, const struct addr *peer, int fd,
			      bool connecting)
{
	struct sip_streams *all = bind->sip->streams;
	struct sip_conn *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->bev = make_bev(bind, fd, connecting);
	if (!conn || !conn->bev) {
		close(fd);
		free(conn);
		return NULL;
	}
	conn->sip = bind->sip;
	conn->bind = bind;
	conn->peer = *peer;
	conn->key = key_of(bind, peer);
	conn->up = !connecting && !bind->tls;
	timer_init(&conn->timer, conn->sip->loop, on_timer, conn);
	DL_APPEND(all->all, conn);
	all->n++;
	conn->sip->stats.connections[bind->transport]++;
	bufferevent_setcb(conn->bev, on_input, on_drained, on_event, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, SIP_FRAME_MAX + 1);
	bufferevent_setwatermark(conn->bev, EV_WRITE, conn->sip->limits.pause / 2, 0);
	if (!enter_table(conn) || bufferevent_enable(conn->bev, EV_READ | EV_WRITE)) {
		free_conn(conn);
		return NULL;
	}
	conn->last_ms = loop_now_ms(conn->sip->loop);
	await(conn);
	return conn;
}

int sip_streams_new(struct sip *sip)
{
	sip->streams = calloc(1, sizeof(*sip->streams));
	if (!sip->streams)
		return -ENOMEM;
	sip->streams->log = (struct log_limit){.per_s = LOG_PER_S, .burst = LOG_BURST};
	sip->streams->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

void sip_streams_free(struct sip *sip)
{
	struct sip_conn *conn, *next;

	if (!sip->streams)
		return;
	DL_FOREACH_SAFE(sip->streams->all, conn, next)
	free_conn(conn);
	if (sip->streams->spare >= 0)
		close(sip->streams->spare);
	free(sip->streams);
	sip->streams = NULL;
}
