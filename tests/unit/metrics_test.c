// SPDX-License-Identifier: GPL-2.0-or-later
/* The HTTP side of the metrics. */
#include "stats/metrics.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a = {.family = AF_UNSPEC};

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

struct http {
	struct loop *loop;
	struct metrics *metrics;
	bool ready;
};

static void http_text(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_str(out, "one 1\n");
}

static bool http_ready(void *ctx)
{
	struct http *h = ctx;

	return h->ready;
}

static int http_setup(void **state)
{
	struct http *h = calloc(1, sizeof(*h));
	struct metrics_setup setup = {.text = http_text, .ready = http_ready, .ctx = h};
	char why[128];

	h->loop = loop_new();
	h->ready = true;
	setup.loop = h->loop;
	setup.addr = addr("127.0.0.1");
	*state = h;
	return metrics_open(&h->metrics, &setup, why, sizeof(why));
}

static int http_teardown(void **state)
{
	struct http *h = *state;

	metrics_free(h->metrics);
	loop_free(h->loop);
	free(h);
	return 0;
}

static int http_dial(const struct http *h)
{
	struct addr to = addr("127.0.0.1");
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.port = metrics_port(h->metrics);
	assert_int_not_equal(to.port, 0);
	len = addr_to_sockaddr(&sa, &to);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* Reads until the server closes, the loop running; the test's patience is ten seconds. */
static void http_read(const struct http *h, int fd, char *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 2000; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		event_base_loop(loop_base(h->loop), EVLOOP_NONBLOCK);
		if (poll(&p, 1, 5) == 0)
			continue;
		got = recv(fd, out + n, size - 1 - n, MSG_DONTWAIT);
		if (got <= 0) {
			out[n] = '\0';
			close(fd);
			return;
		}
		n += (size_t)got;
	}
	fail_msg("the server did not close");
}

static void http_ask(const struct http *h, const char *request, char *out, size_t size)
{
	int fd = http_dial(h);

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	http_read(h, fd, out, size);
}

static void assert_begins(const char *text, const char *head)
{
	if (strncmp(text, head, strlen(head)) != 0)
		fail_msg("'%s' does not begin with '%s'", text, head);
}

static void test_http(void **state)
{
	struct http *h = *state;
	char answer[4096];

	http_ask(h, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; "
				       "charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "\r\nContent-Length: 6\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\none 1\n"));
	http_ask(h, "GET /healthz HTTP/1.0\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.0 200 OK\r\n");
	http_ask(h, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	h->ready = false;
	http_ask(h, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 503 ");
	http_ask(h, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
	http_ask(h, "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 404 ");
}

static void test_http_hostile(void **state)
{
	struct http *h = *state;
	char answer[4096], flood[20000];

	http_ask(h, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 501 ");
	http_ask(h, "\x01\x02 junk\r\n\r\n", answer, sizeof(answer));
	assert_null(strstr(answer, "one 1"));
	memset(flood, 'a', sizeof(flood));
	memcpy(flood, "GET /metrics HTTP/1.1\r\nX: ", 26);
	flood[sizeof(flood) - 1] = '\0';
	http_ask(h, flood, answer, sizeof(answer));
	assert_null(strstr(answer, "one 1"));
	http_ask(h, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_begins(answer, "HTTP/1.1 200 OK\r\n");
}

static void test_http_address_taken(void **state)
{
	struct http *h = *state;
	struct metrics_setup setup = {.loop = h->loop, .addr = addr("127.0.0.1")};
	struct metrics *second = NULL;
	char why[128], expected[128];

	setup.addr.port = metrics_port(h->metrics);
	assert_int_equal(metrics_open(&second, &setup, why, sizeof(why)), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "metrics 127.0.0.1:%u: Address already in use",
		 setup.addr.port);
	assert_string_equal(why, expected);
	setup.addr.family = AF_UNSPEC;
	assert_int_equal(metrics_open(&second, &setup, why, sizeof(why)), 0);
	assert_null(second);
	metrics_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_http, http_setup, http_teardown),
		cmocka_unit_test_setup_teardown(test_http_hostile, http_setup, http_teardown),
		cmocka_unit_test_setup_teardown(test_http_address_taken, http_setup, http_teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
