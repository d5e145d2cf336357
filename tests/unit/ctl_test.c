// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket: protocol, hostile clients, the socket's place. */
#include "ctl/ctl.h"
#include "ctl/grammar.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAD = 50000 };

struct fixture {
	char folder[64], path[96];
	struct loop *loop;
	struct ctl *ctl;
	unsigned int answered;
	unsigned int slices, sliced; /* of the list: how many there are, how many were made */
	bool fails;		     /* instead of its end */
	char pad[PAD + 1];
};

/* "echo WORD..." gives the words back, "big" a megabyte, "gone" an error, "list" f->slices times a
 * number and a pad, "broken" an error instead of that. */
static json_t *answer(void *ctx, const char *const *words, size_t n)
{
	struct fixture *f = ctx;
	json_t *list;
	char *big;

	f->answered++;
	if (strcmp(words[0], "list") == 0)
		return ctl_ok(json_array());
	if (strcmp(words[0], "gone") == 0 || strcmp(words[0], "broken") == 0)
		return ctl_error(CTL_NO_OBJECT, "no call '%s'", words[n - 1]);
	if (strcmp(words[0], "big") == 0) {
		big = malloc(1000001);
		memset(big, 'x', 1000000);
		big[1000000] = '\0';
		list = json_string(big);
		free(big);
		return ctl_ok(list);
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(words[i]));
	return ctl_ok(list);
}

static json_t *slice(void *ctx, uint64_t *at)
{
	struct fixture *f = ctx;
	json_t *two;

	if (*at == f->slices)
		return f->fails ? NULL : json_array();
	two = json_pack("[i,s]", (int)*at, f->pad);
	f->sliced++;
	++*at;
	return two;
}

static ctl_slice *sliced(void *ctx, const char *const *words, size_t n)
{
	(void)ctx;
	(void)n;
	return strcmp(words[0], "list") == 0 || strcmp(words[0], "broken") == 0 ? slice : NULL;
}

static int open_ctl(struct fixture *f, struct ctl **out, char *why, size_t why_size)
{
	struct ctl_setup setup = {
		.loop = f->loop, .path = f->path, .answer = answer, .slice = sliced, .ctx = f};

	return ctl_open(out, &setup, why, why_size);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[256];

	strcpy(f->folder, "/tmp/rtpfwd-ctl-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/run/ctl.sock", f->folder);
	f->loop = loop_new();
	memset(f->pad, 'x', PAD);
	*state = f;
	return open_ctl(f, &f->ctl, why, sizeof(why));
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];
	int err;

	ctl_free(f->ctl);
	loop_free(f->loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	err = system(command);
	free(f);
	return err;
}

static int dial(const struct fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void turn(const struct fixture *f)
{
	event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

enum { CLOSED = -1 };

/* The next line, without its end, the loop running: its length, or CLOSED. At most ten seconds. */
static int hear(const struct fixture *f, int fd, char *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 2000;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		turn(f);
		if (poll(&p, 1, 5) == 0) {
			i++;
			continue;
		}
		if (recv(fd, out + n, 1, MSG_DONTWAIT) <= 0)
			return CLOSED;
		if (out[n] == '\n' || n + 1 == size) {
			out[n] = '\0';
			return (int)n;
		}
		n++;
	}
	fail_msg("no answer");
	return CLOSED;
}

static void assert_hears(const struct fixture *f, int fd, const char *expected)
{
	char line[1024];

	assert_int_not_equal(hear(f, fd, line, sizeof(line)), CLOSED);
	assert_string_equal(line, expected);
}

static void assert_closed(const struct fixture *f, int fd)
{
	char line[1024];

	assert_int_equal(hear(f, fd, line, sizeof(line)), CLOSED);
	close(fd);
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	say(fd, "{\"command\": [\"echo\", \"a b\", \"\\u00fc\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"echo\",\"a b\",\"\xc3\xbc\"]}");
	say(fd, "{\"command\":[\"gone\",\"k7\"],\"later\":\"addition\"}\n");
	assert_hears(f, fd, "{\"ok\":false,\"code\":4,\"error\":\"no call 'k7'\"}");
	say(fd, "{\"command\":[\"1\"]}\n{\"command\":[\"2\"]}\n{\"comm");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"1\"]}");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"2\"]}");
	say(fd, "and\":[\"3\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"3\"]}");
	assert_int_equal(f->answered, 5);
	close(fd);
}

/* `echo ... | nc -N -U`: the writing side is shut down at once. */
static void test_half_closed(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	size_t size = 1100000;
	char *line = malloc(size);

	say(fd, "{\"command\":[\"big\"]}\n");
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(f, fd, line, size), 1000000 + strlen("{'ok':true,'result':''}"));
	assert_closed(f, fd);
	fd = dial(f);
	say(fd, "{\"command\":[\"big\"]}\n{\"command\":[\"2\"]}\n{\"command\":[\"big\"]}\n");
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(f, fd, line, size), 1000000 + strlen("{'ok':true,'result':''}"));
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"2\"]}");
	assert_int_equal(hear(f, fd, line, size), 1000000 + strlen("{'ok':true,'result':''}"));
	free(line);
	assert_closed(f, fd);
}

#define NOT_A_REQUEST                                                                              \
	"{\"ok\":false,\"code\":1,\"error\":\"not a request: {\\\"command\\\": [\\\"WORD\\\", "    \
	"...]}, up to 8 words\"}"

static void test_junk(void **state)
{
	static const char *const junk[] = {
		"\n",
		"GET / HTTP/1.1\r\n",
		"[]\n",
		"{}\n",
		"{\"command\":\"show\"}\n",
		"{\"command\":[]}\n",
		"{\"command\":[1]}\n",
		"{\"command\":[\"a\",null]}\n",
		"{\"command\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}\n",
		"{\"command\":[\"a\"],\"command\":[\"b\"]}\n",
		"{\"command\":[\"\xff\"]}\n",
		"{\"command\":[\"a\\u0000b\"]}\n",
		"{\"command\":[\"a\"]} trailing\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++) {
		int fd = dial(f);

		say(fd, junk[i]);
		assert_hears(f, fd, NOT_A_REQUEST);
		assert_closed(f, fd);
	}
	assert_int_equal(f->answered, 0);
}

static void test_line_too_long(void **state)
{
	struct fixture *f = *state;
	char flood[5000];
	int fd = dial(f);

	memset(flood, '[', sizeof(flood) - 1);
	flood[sizeof(flood) - 1] = '\0';
	say(fd, flood);
	assert_hears(f, fd,
		     "{\"ok\":false,\"code\":1,\"error\":\"request longer than 4096 bytes\"}");
	assert_closed(f, fd);
}

/* One that asks and never reads: at most one response is made for it, the others are served. */
static void test_client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	int deaf = dial(f), fd;

	for (int i = 0; i < 50; i++)
		say(deaf, "{\"command\":[\"big\"]}\n");
	for (int i = 0; i < 20; i++)
		turn(f);
	assert_int_equal(f->answered, 1);
	fd = dial(f);
	say(fd, "{\"command\":[\"echo\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"echo\"]}");
	close(fd);
	close(deaf);
}

/* Reads a list to its end and returns its length. */
static size_t hear_list(const struct fixture *f, int fd)
{
	enum { SIZE = 8 << 20 };
	char *line = malloc(SIZE);
	const json_t *list;
	json_t *whole;
	size_t n;

	assert_int_not_equal(hear(f, fd, line, SIZE), CLOSED);
	whole = json_loads(line, 0, NULL);
	assert_non_null(whole);
	assert_true(json_is_true(json_object_get(whole, "ok")));
	list = json_object_get(whole, "result");
	n = json_array_size(list);
	for (size_t i = 0; i < n; i += 2) {
		assert_int_equal(json_integer_value(json_array_get(list, i)), i / 2);
		assert_string_equal(json_string_value(json_array_get(list, i + 1)), f->pad);
	}
	json_decref(whole);
	free(line);
	return n;
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	for (f->slices = 0; f->slices < 4; f->slices++) {
		say(fd, "{\"command\":[\"list\"]}\n");
		assert_int_equal(hear_list(f, fd), 2 * f->slices);
	}
	say(fd, "{\"command\":[\"list\"]}\n{\"command\":[\"2\"]}\n");
	assert_int_equal(hear_list(f, fd), 8);
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"2\"]}");
	say(fd, "{\"command\":[\"broken\"]}\n");
	assert_hears(f, fd, "{\"ok\":false,\"code\":4,\"error\":\"no call 'broken'\"}");
	say(fd, "{\"command\":[\"list\"]}\n");
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear_list(f, fd), 8);
	assert_closed(f, fd);
}

/* A client that asks for a long list and does not read it: no more of it is made than fits into
 * the socket, and others are served before it is done. */
static void test_list_waits(void **state)
{
	struct fixture *f = *state;
	int slow = dial(f), fd = dial(f);
	unsigned int made;

	f->slices = 100;
	say(slow, "{\"command\":[\"list\"]}\n");
	while (!f->sliced)
		turn(f);
	say(fd, "{\"command\":[\"1\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"1\"]}");
	for (int i = 0; i < 200; i++)
		turn(f);
	made = f->sliced;
	assert_in_range(made, 1, f->slices / 2);
	say(fd, "{\"command\":[\"2\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"2\"]}");
	assert_int_equal(f->sliced, made);
	assert_int_equal(hear_list(f, slow), 200);
	close(slow);
	close(fd);
}

/* The client is told by the end of the connection, not by a list that looks whole. */
static void test_list_without_memory(void **state)
{
	struct fixture *f = *state;
	char *line = malloc(1 << 20);
	int fd = dial(f);

	f->slices = 2;
	f->fails = true;
	say(fd, "{\"command\":[\"list\"]}\n");
	assert_int_equal(hear(f, fd, line, 1 << 20), CLOSED);
	free(line);
	close(fd);
}

static void test_too_many_clients(void **state)
{
	struct fixture *f = *state;
	int fds[32], one;

	for (int i = 0; i < 32; i++) {
		fds[i] = dial(f);
		say(fds[i], "{\"command\":[\"echo\"]}\n");
		assert_hears(f, fds[i], "{\"ok\":true,\"result\":[\"echo\"]}");
	}
	one = dial(f);
	assert_hears(
		f, one,
		"{\"ok\":false,\"code\":1,\"error\":\"too many clients at the control socket\"}");
	assert_closed(f, one);
	close(fds[7]);
	for (int i = 0; i < 20; i++)
		turn(f);
	one = dial(f);
	say(one, "{\"command\":[\"echo\"]}\n");
	assert_hears(f, one, "{\"ok\":true,\"result\":[\"echo\"]}");
	close(one);
	for (int i = 0; i < 32; i++)
		if (i != 7)
			close(fds[i]);
}

static void test_mode_and_folder(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(ctl_running(f->path));
	ctl_free(f->ctl);
	f->ctl = NULL;
	assert_int_equal(stat(f->path, &st), -1);
	assert_false(ctl_running(f->path));
}

static void assert_refused(struct fixture *f, int err, const char *what)
{
	char why[256], expected[256];
	struct ctl *second;

	assert_int_equal(open_ctl(f, &second, why, sizeof(why)), err);
	snprintf(expected, sizeof(expected), "control %s: %s", f->path, what);
	assert_string_equal(why, expected);
}

static void test_second_daemon(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_refused(f, -EADDRINUSE, "another daemon answers there");
	fd = dial(f);
	say(fd, "{\"command\":[\"echo\"]}\n");
	assert_hears(f, fd, "{\"ok\":true,\"result\":[\"echo\"]}");
	close(fd);
}

/* What a killed daemon leaves behind. */
static void test_stale_socket(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char why[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ctl_free(f->ctl);
	f->ctl = NULL;
	strcpy(sun.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	assert_false(ctl_running(f->path));
	assert_int_equal(open_ctl(f, &f->ctl, why, sizeof(why)), 0);
	assert_true(ctl_running(f->path));
}

static void test_place_is_taken(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	ctl_free(f->ctl);
	f->ctl = NULL;
	fd = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_refused(f, -EADDRINUSE, "exists and is no socket");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 4);
	strcpy(f->path, "/proc/nowhere/ctl.sock");
	assert_refused(f, -ENOENT, "No such file or directory");
}

/* Somebody else's socket in our place is not ours to remove. */
static void test_leaves_what_is_not_ours(void **state)
{
	struct fixture *f = *state;
	struct ctl *second;
	char why[256];

	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(open_ctl(f, &second, why, sizeof(why)), 0);
	ctl_free(f->ctl);
	f->ctl = NULL;
	assert_true(ctl_running(f->path));
	ctl_free(second);
	assert_false(ctl_running(f->path));
}

static void assert_command(int expected, const char *expected_arg, const char *text)
{
	const char *words[8], *arg = "unset";
	char copy[128], *rest = copy;
	enum grammar_id id;
	size_t n = 0;
	int err;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strsep(&rest, "|"); w; w = strsep(&rest, "|"))
		words[n++] = w;
	err = grammar_find(&id, &arg, words, n);
	assert_int_equal(err, expected < 0 ? -ENOENT : 0);
	if (err)
		return;
	assert_int_equal(id, expected);
	if (expected_arg)
		assert_string_equal(arg, expected_arg);
	else
		assert_null(arg);
}

static void test_grammar(void **state)
{
	(void)state;
	assert_command(GRAMMAR_show_status, NULL, "show|status");
	assert_command(GRAMMAR_show_calls, NULL, "show|calls");
	assert_command(GRAMMAR_show_call, "k7", "show|call|k7");
	assert_command(GRAMMAR_show_call, "hangup", "show|call|hangup");
	assert_command(GRAMMAR_call_hangup, "show", "call|show|hangup");
	assert_command(GRAMMAR_drain, NULL, "drain");
	assert_command(GRAMMAR_doctor, NULL, "doctor");
	assert_command(-1, NULL, "");
	assert_command(-1, NULL, "show");
	assert_command(-1, NULL, "show|call");
	assert_command(-1, NULL, "show|call|");
	assert_command(-1, NULL, "show|calls|now");
	assert_command(-1, NULL, "show|stat");
	assert_command(-1, NULL, "call|ID");
	assert_command(-1, NULL, "call|k7|explode");
	assert_command(-1, NULL, "Drain");
	assert_command(GRAMMAR_explain, "k7", "explain|k7");
	assert_command(GRAMMAR_peer_quirk_show, "bob", "peer|bob|quirk|show");
	assert_command(GRAMMAR_peer_quirk_clear, "bob", "peer|bob|quirk|clear");
	assert_command(-1, NULL, "peer|bob|quirk");
	assert_command(-1, NULL, "explain");
	assert_command(GRAMMAR_call_direct, "k7", "call|k7|direct");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_junk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_line_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_that_does_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_and_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_place_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_what_is_not_ours, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
