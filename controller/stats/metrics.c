// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/metrics.h"

#include "stats/expo.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_S = 10, HEADERS_MAX = 8192, BODY_MAX = 1024, TICK_MS = 1000 };

struct metrics {
	struct metrics_setup setup;
	struct evhttp *http;
	struct evconnlistener *listener; /* of `http` */
	struct timer tick;
};

/* One request a connection: a scraper comes back after seconds, and what stays open is what an
 * attacker could hold. */
static void reply(struct evhttp_request *request, int code, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Connection", "close");
	evhttp_send_reply(request, code, NULL, body);
}

static void reply_text(struct evhttp_request *request, int code, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body)
		evbuffer_add_printf(body, "%s\n", text);
	reply(request, code, "text/plain; charset=utf-8", body);
	if (body)
		evbuffer_free(body);
}

static void release(const void *data, size_t len, void *extra)
{
	(void)data;
	(void)len;
	free(extra);
}

static void on_metrics(struct evhttp_request *request, void *arg)
{
	struct metrics *m = arg;
	struct evbuffer *body = evbuffer_new();
	struct buf text = {.data = NULL};
	size_t len;
	char *taken;

	m->setup.text(m->setup.ctx, &text);
	len = text.len;
	taken = buf_take(&text);
	if (!body || !taken || evbuffer_add_reference(body, taken, len, release, taken)) {
		free(taken);
		reply_text(request, HTTP_INTERNAL, "no memory");
	} else {
		reply(request, HTTP_OK, EXPO_TYPE, body);
	}
	if (body)
		evbuffer_free(body);
}

static void on_healthz(struct evhttp_request *request, void *arg)
{
	(void)arg;
	reply_text(request, HTTP_OK, "ok");
}

static void on_readyz(struct evhttp_request *request, void *arg)
{
	struct metrics *m = arg;

	if (m->setup.ready(m->setup.ctx))
		reply_text(request, HTTP_OK, "ready");
	else
		reply_text(request, HTTP_SERVUNAVAIL, "draining");
}

static void on_other(struct evhttp_request *request, void *arg)
{
	(void)arg;
	reply_text(request, HTTP_NOTFOUND, "not here: /metrics, /healthz, /readyz");
}

/* Out of descriptors: the waiting connection would wake the loop again at once and for ever.
 * on_tick() goes on.
 * (`arg` is evhttp's own here.) */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	evconnlistener_disable(listener);
}

static void on_tick(void *owner)
{
	struct metrics *m = owner;

	evconnlistener_enable(m->listener);
	timer_set(&m->tick, TICK_MS);
}

static int listen_on(struct metrics *m)
{
	unsigned int flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, &m->setup.addr);
	struct evconnlistener *listener;

	errno = 0;
	listener = evconnlistener_new_bind(loop_base(m->setup.loop), NULL, NULL, flags, 64,
					   (struct sockaddr *)&sa, (int)len);
	if (!listener)
		return errno ? -errno : -ENOMEM;
	if (!evhttp_bind_listener(m->http, listener)) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	m->listener = listener;
	evconnlistener_set_error_cb(listener, on_accept_error);
	return 0;
}

static int start(struct metrics *m)
{
	m->http = evhttp_new(loop_base(m->setup.loop));
	if (!m->http)
		return -ENOMEM;
	evhttp_set_timeout(m->http, TIMEOUT_S);
	evhttp_set_max_headers_size(m->http, HEADERS_MAX);
	evhttp_set_max_body_size(m->http, BODY_MAX);
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_gencb(m->http, on_other, m);
	if (evhttp_set_cb(m->http, "/metrics", on_metrics, m) ||
	    evhttp_set_cb(m->http, "/healthz", on_healthz, m) ||
	    evhttp_set_cb(m->http, "/readyz", on_readyz, m))
		return -ENOMEM;
	return listen_on(m);
}

int metrics_open(struct metrics **out, const struct metrics_setup *setup, char *why,
		 size_t why_size)
{
	struct metrics *m;
	char text[ADDR_TEXT];
	int err;

	*out = NULL;
	if (setup->addr.family == AF_UNSPEC)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->setup = *setup;
	timer_init(&m->tick, setup->loop, on_tick, m);
	err = start(m);
	if (err) {
		snprintf(why, why_size, "metrics %s: %s", addr_print(text, &setup->addr),
			 strerror(-err));
		metrics_free(m);
		return err;
	}
	timer_set(&m->tick, TICK_MS);
	*out = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	timer_stop(&m->tick);
	if (m->http)
		evhttp_free(m->http);
	free(m);
}

uint16_t metrics_port(const struct metrics *m)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr;

	if (getsockname(evconnlistener_get_fd(m->listener), (struct sockaddr *)&sa, &len) ||
	    addr_from_sockaddr(&addr, (struct sockaddr *)&sa))
		return 0;
	return addr.port;
}
