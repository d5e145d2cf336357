// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/ctl.h"

#include "ctl/socket.h"
#include "stats/render.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 32,
	REQUEST_MAX = 4096, /* bytes of a line */
	WORDS_MAX = 8,
	IDLE_S = 60,
	WRITE_S = 10, /* without a byte taken by the client */
	PAUSE_MS = 1000,
};

#define LIST_END "]}" /* of a response whose result is a list */

struct client {
	LIST_ENTRY(client) link;
	struct ctl *ctl;
	struct bufferevent *bev;
	bool last; /* no more requests: close when what is written has been read */
	bool eof;  /* it says no more: the same after its last line */
	ctl_slice *slice; /* of the answer under way; NULL: none is */
	uint64_t at;
	bool began; /* elements are out */
};

struct ctl {
	struct ctl_setup setup;
	struct ctl_socket socket;
	struct watch watch;
	struct timer resume;
	LIST_HEAD(, client) clients;
	size_t n_clients;
};

json_t *ctl_ok(json_t *result)
{
	return result ? json_pack("{s:b,s:o}", "ok", 1, "result", result) : NULL;
}

json_t *ctl_error(int code, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return json_pack("{s:b,s:i,s:o}", "ok", 0, "code", code, "error", render_text(text));
}

static void client_free(struct client *c)
{
	LIST_REMOVE(c, link);
	c->ctl->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

static void release(const void *data, size_t len, void *extra)
{
	(void)data;
	(void)len;
	free(extra);
}

/* Takes `text`, of which all but `skip` bytes in front and `rest` behind go out. Without memory the
 * client is told by the end of the connection. */
static void write_text(struct client *c, char *text, size_t skip, size_t rest)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (!text ||
	    evbuffer_add_reference(out, text + skip, strlen(text) - skip - rest, release, text)) {
		free(text);
		c->last = true;
	}
}

/* Takes `response`. */
static void respond(struct client *c, json_t *response)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (!json_is_array(json_object_get(response, "result")))
		c->slice = NULL;
	write_text(c, response ? json_dumps(response, RENDER_FLAGS) : NULL, 0,
		   c->slice ? strlen(LIST_END) : 0);
	if (!c->slice)
		evbuffer_add(out, "\n", 1);
	c->began = json_array_size(json_object_get(response, "result")) > 0;
	json_decref(response);
}

/* More of a list, or its end. */
static void respond_slice(struct client *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	json_t *slice = c->slice(c->ctl->setup.ctx, &c->at);

	if (slice && !json_array_size(slice)) {
		evbuffer_add(out, LIST_END "\n", strlen(LIST_END) + 1);
		c->slice = NULL;
	} else {
		if (c->began)
			evbuffer_add(out, ",", 1);
		c->began = true;
		write_text(c, slice ? json_dumps(slice, RENDER_FLAGS) : NULL, 1, 1);
	}
	json_decref(slice);
}

/* The words of a request, borrowed from it. Their number, or -EINVAL. */
static int request_words(const json_t *request, const char *words[WORDS_MAX])
{
	const json_t *list = json_object_get(request, "command");
	size_t n = json_array_size(list);

	if (!n || n > WORDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		words[i] = json_string_value(json_array_get(list, i));
		if (!words[i])
			return -EINVAL;
	}
	return (int)n;
}

static void serve_line(struct client *c, const char *line, size_t len)
{
	const struct ctl_setup *setup = &c->ctl->setup;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *words[WORDS_MAX];
	int n = request_words(request, words);

	if (n > 0) {
		c->slice = setup->slice ? setup->slice(setup->ctx, words, (size_t)n) : NULL;
		c->at = 0;
		respond(c, setup->answer(setup->ctx, words, (size_t)n));
	} else {
		respond(c, ctl_error(CTL_REFUSED,
				     "not a request: {\"command\": [\"WORD\", ...]}, "
				     "up to %d words",
				     WORDS_MAX));
		c->last = true;
	}
	json_decref(request);
}

/* One response at a time, one slice at a time: the next one waits until the client has taken what
 * was before. */
static void serve(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t len;
	char *line;

	while (!c->last && !evbuffer_get_length(out)) {
		if (c->slice) {
			respond_slice(c);
			continue;
		}
		line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		if (!line)
			break;
		serve_line(c, line, len);
		free(line);
	}
	if (!c->last && evbuffer_get_length(in) >= REQUEST_MAX && !evbuffer_get_length(out)) {
		respond(c, ctl_error(CTL_REFUSED, "request longer than %d bytes", REQUEST_MAX));
		c->last = true;
	}
	if ((c->last || c->eof) && !evbuffer_get_length(out))
		client_free(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	serve(arg);
}

/* Only when everything is out: the low watermark is 0. */
static void on_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	serve(arg);
}

/* A client that has shut down its writing side still gets the answers to what it asked. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	if (!(what & BEV_EVENT_EOF)) {
		client_free(c);
		return;
	}
	bufferevent_disable(bev, EV_READ);
	c->eof = true;
	serve(c);
}

static int client_new(struct ctl *ctl, int fd)
{
	struct timeval idle = {.tv_sec = IDLE_S}, write = {.tv_sec = WRITE_S};
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->bev = bufferevent_socket_new(loop_base(ctl->setup.loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		free(c);
		return -ENOMEM;
	}
	c->ctl = ctl;
	LIST_INSERT_HEAD(&ctl->clients, c, link);
	ctl->n_clients++;
	bufferevent_setwatermark(c->bev, EV_READ, 0, REQUEST_MAX);
	bufferevent_set_timeouts(c->bev, &idle, &write);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return 0;
}

static void turn_away(int fd)
{
	static const char text[] =
		"{\"ok\":false,\"code\":1,\"error\":\"too many clients at the control socket\"}\n";

	send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* Out of descriptors, the waiting client would wake the loop again at once and for ever: rest a
 * moment. */
static void on_client(void *owner)
{
	struct ctl *ctl = owner;
	int fd = accept4(ctl->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		loop_unwatch(&ctl->watch);
		timer_set(&ctl->resume, PAUSE_MS);
	} else if (fd >= 0 && (ctl->n_clients >= CLIENTS_MAX || client_new(ctl, fd))) {
		turn_away(fd);
	}
}

static void on_resume(void *owner)
{
	struct ctl *ctl = owner;

	if (loop_watch(&ctl->watch, ctl->setup.loop, ctl->socket.fd, on_client, ctl))
		timer_set(&ctl->resume, PAUSE_MS);
}

int ctl_open(struct ctl **out, const struct ctl_setup *setup, char *why, size_t why_size)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->setup = *setup;
	LIST_INIT(&ctl->clients);
	timer_init(&ctl->resume, setup->loop, on_resume, ctl);
	err = ctl_socket_open(&ctl->socket, setup->path, why, why_size);
	if (err)
		goto fail;
	err = loop_watch(&ctl->watch, setup->loop, ctl->socket.fd, on_client, ctl);
	if (err)
		goto fail_socket;
	*out = ctl;
	return 0;
fail_socket:
	ctl_socket_close(&ctl->socket);
fail:
	free(ctl);
	return err;
}

void ctl_free(struct ctl *ctl)
{
	if (!ctl)
		return;
	while (!LIST_EMPTY(&ctl->clients))
		client_free(LIST_FIRST(&ctl->clients));
	timer_stop(&ctl->resume);
	loop_unwatch(&ctl->watch);
	ctl_socket_close(&ctl->socket);
	free(ctl);
}
