// SPDX-License-Identifier: GPL-2.0-or-later
/* c-ares in the loop: its sockets, its clock, and the questions of a look-up. */
#include "peer/host.h"
#include "peer/srv.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>

enum { CLASS_IN = 1, TYPE_SRV = 33, TRIES = 2 };

struct resolver_socket {
	ares_socket_t fd;
	struct event event;
	struct resolver_socket *prev, *next;
};

static const struct resolver_timing usual = {
	.soonest = 5000,
	.latest = 3600000,
	.retry = 2000,
	.retry_most = 60000,
	.query = 2000,
	.bad = 30000,
};

static void set_timeout(struct resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	if (next)
		timer_set(&r->timeout,
			  (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
	else
		timer_stop(&r->timeout);
}

static void on_timeout(void *owner)
{
	struct resolver *r = owner;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timeout(r);
}

static void on_socket(evutil_socket_t fd, short what, void *owner)
{
	struct resolver *r = owner;

	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timeout(r);
}

/* Without memory for it the socket is not heard, and the query times out. */
static void on_socket_state(void *owner, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = owner;
	struct resolver_socket *s;
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	DL_SEARCH_SCALAR(r->sockets, s, fd, fd);
	if (s) {
		event_del(&s->event);
		DL_DELETE(r->sockets, s);
		free(s);
	}
	s = what ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return;
	s->fd = fd;
	DL_APPEND(r->sockets, s);
	event_assign(&s->event, loop_base(r->loop), fd, (short)(what | EV_PERSIST), on_socket, r);
	event_add(&s->event, NULL);
}

int resolver_new(struct resolver **out, struct loop *loop, const char *servers,
		 const struct resolver_timing *timing)
{
	struct resolver *r = calloc(1, sizeof(*r));
	struct ares_options options = {.tries = TRIES, .sock_state_cb = on_socket_state};

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->timing = timing ? *timing : usual;
	timer_init(&r->timeout, loop, on_timeout, r);
	if (getrandom(&r->seed, sizeof(r->seed), 0) != sizeof(r->seed))
		r->seed = 0;
	r->seed |= 1; /* zero would stay zero */
	options.timeout = (int)r->timing.query;
	options.sock_state_cb_data = r;
	if (ares_library_init(ARES_LIB_INIT_ALL))
		goto fail;
	if (ares_init_options(&r->channel, &options,
			      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB)) {
		r->channel = NULL;
		goto fail;
	}
	if (servers && ares_set_servers_ports_csv(r->channel, servers))
		goto fail;
	*out = r;
	return 0;
fail:
	resolver_free(r);
	return -EINVAL;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	if (r->channel)
		ares_destroy(r->channel);
	timer_stop(&r->timeout);
	free(r);
}

uint64_t resolver_generation(const struct resolver *r)
{
	return r->generation;
}

static struct host_ask *ask_new(struct host *host, const struct srv *srv)
{
	struct host_ask *ask = calloc(1, sizeof(*ask));

	if (!ask) {
		host->failed = true;
		return NULL;
	}
	ask->host = host;
	ask->port = srv->port;
	ask->priority = srv->priority;
	ask->weight = srv->weight;
	DL_APPEND(host->asks, ask);
	return ask;
}

/* The host that it was for; NULL: that is gone. */
static struct host *ask_end(struct host_ask *ask)
{
	struct host *host = ask->host;

	if (host)
		DL_DELETE(host->asks, ask);
	free(ask);
	return host;
}

static void see_ttl(struct host *host, uint32_t ttl_s)
{
	if (ttl_s < host->ttl_s)
		host->ttl_s = ttl_s;
}

/* The DNS said that there is no such thing, or nothing of that kind. */
static bool is_answer(int status)
{
	return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	struct host_ask *ask = arg;
	struct host_server server = {.priority = ask->priority, .weight = ask->weight};
	uint16_t port = ask->port;
	struct host *host = ask_end(ask);

	(void)timeouts;
	if (host && status == ARES_SUCCESS && list) {
		for (struct ares_addrinfo_node *n = list->nodes; n; n = n->ai_next) {
			if (addr_from_sockaddr(&server.addr, n->ai_addr))
				continue;
			server.addr.port = port;
			host_found(host, &server);
			see_ttl(host, n->ai_ttl > 0 ? (uint32_t)n->ai_ttl : 0);
		}
	} else if (host && !is_answer(status)) {
		host->failed = true;
	}
	if (list)
		ares_freeaddrinfo(list);
	if (host && !host->asks)
		host_settle(host);
}

static void ask_addresses(struct host *host, const struct srv *srv)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
	struct host_ask *ask = ask_new(host, srv);

	if (ask)
		ares_getaddrinfo(host->resolver->channel, srv->target, NULL, &hints, on_addresses,
				 ask);
}

/* Without SRV records the name is a host's (RFC 3263 4.2). */
static void ask_name(struct host *host)
{
	struct srv own = {.port = host->port};

	snprintf(own.target, sizeof(own.target), "%s", host->name);
	ask_addresses(host, &own);
}

static void ask_targets(struct host *host, const unsigned char *bytes, int len)
{
	struct srv found[HOST_SERVERS_MAX];
	int n = srv_parse(found, HOST_SERVERS_MAX, bytes, (size_t)len);

	if (n < 0)
		host->failed = true;
	if (n == 0)
		ask_name(host);
	for (int i = 0; i < n; i++) {
		see_ttl(host, found[i].ttl_s);
		if (found[i].target[0])
			ask_addresses(host, &found[i]);
	}
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct host_ask *ask = arg;
	struct host *host = ask->host;

	(void)timeouts;
	/* The question stays open until those that follow from it are asked. */
	if (host && status == ARES_SUCCESS)
		ask_targets(host, bytes, len);
	else if (host && is_answer(status))
		ask_name(host);
	else if (host)
		host->failed = true;
	ask_end(ask);
	if (host && !host->asks)
		host_settle(host);
}

static void ask_services(struct host *host)
{
	struct host_ask *ask = ask_new(host, &(struct srv){.port = 0});
	char name[320];

	snprintf(name, sizeof(name), "%s.%s", host->service, host->name);
	if (ask)
		ares_query(host->resolver->channel, name, CLASS_IN, TYPE_SRV, on_srv, ask);
}

void resolver_ask(struct host *host)
{
	/* What is answered at once, from a file, settles before this is over. */
	struct host_ask *hold;

	host->found.n = 0;
	host->failed = false;
	host->ttl_s = UINT32_MAX;
	hold = ask_new(host, &(struct srv){.port = 0});
	if (hold && host->service)
		ask_services(host);
	else if (hold)
		ask_name(host);
	if (hold)
		ask_end(hold);
	if (!host->asks)
		host_settle(host);
	set_timeout(host->resolver);
}

void resolver_forget(struct host *host)
{
	struct host_ask *ask, *next;

	DL_FOREACH_SAFE (host->asks, ask, next) {
		DL_DELETE(host->asks, ask);
		ask->host = NULL;
	}
}
