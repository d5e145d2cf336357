// SPDX-License-Identifier: GPL-2.0-or-later
/* Control protocol in: what a client of the socket may write, in pieces where the input has a byte
 * 0. The commands are looked up and answered with their words. */
#include "fuzz.h"

#include "ctl/ctl.h"
#include "ctl/grammar.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct served {
	struct loop *loop;
	struct ctl *ctl;
	struct sockaddr_un at;
};

static json_t *answer(void *ctx, const char *const *words, size_t n)
{
	enum grammar_id id;
	const char *arg;

	(void)ctx;
	if (grammar_find(&id, &arg, words, n))
		return ctl_error(CTL_REFUSED, "unknown command");
	if (id >= GRAMMAR_N)
		fuzz_die("a command that is not in the grammar");
	return arg ? ctl_error(CTL_NO_OBJECT, "no call '%s'", arg)
		   : ctl_ok(json_pack("{s:s}", "words", grammar[id].words));
}

static void turn(struct served *s)
{
	event_base_loop(loop_base(s->loop), EVLOOP_NONBLOCK);
}

static void start(struct served *s)
{
	struct ctl_setup setup = {.answer = answer, .ctx = s};
	char why[256];

	s->at.sun_family = AF_UNIX;
	snprintf(s->at.sun_path, sizeof(s->at.sun_path), "/tmp/rtpfwd-fuzz.%d/ctl", getpid());
	s->loop = loop_new();
	setup.loop = s->loop;
	setup.path = s->at.sun_path;
	if (!s->loop || ctl_open(&s->ctl, &setup, why, sizeof(why)))
		fuzz_die("no control socket");
}

static void stop(struct served *s)
{
	ctl_free(s->ctl);
	loop_free(s->loop);
	*strrchr(s->at.sun_path, '/') = '\0';
	rmdir(s->at.sun_path);
}

/* What comes back is whole lines of JSON. */
static void take(int fd)
{
	char text[65536];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	json_t *json;
	char *end;

	for (char *p = text; n > 0 && p < text + n; p = end + 1) {
		end = memchr(p, '\n', (size_t)(text + n - p));
		if (!end)
			fuzz_die("half a line");
		json = json_loadb(p, (size_t)(end - p), 0, NULL);
		if (!json || !json_object_get(json, "ok"))
			fuzz_die("a line that is no response");
		json_decref(json);
	}
}

static void talk(struct served *s, const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&s->at, sizeof(s->at)))
		fuzz_die("cannot connect");
	while (size) {
		const uint8_t *cut = memchr(data, 0, size);
		size_t len = cut ? (size_t)(cut - data) : size;

		send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn(s);
		turn(s);
		take(fd);
		data += len + !!cut;
		size -= len + !!cut;
	}
	shutdown(fd, SHUT_WR);
	turn(s);
	take(fd);
	close(fd);
	turn(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct served s = {0};

	start(&s);
	talk(&s, data, size);
	stop(&s);
	return 0;
}
