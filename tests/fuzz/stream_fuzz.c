// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A TCP connection in: an input is what comes over it, in pieces where it has lines `====`, which
 * are no part of it. Where messages end must not depend on where it was cut; what the node says is
 * whole messages and line ends. (TLS brings the same bytes to the same code.)
 */
#include "wire.h"

#include "lib/log.h"
#include "sip/conn.h"
#include "sip/leg.h"

enum { STREAM_MAX = 1 << 16, NOTES_MAX = 4096, HEARD_MAX = 1 << 20 };

static const char conf_text[] =
	"[general]\n[one]\ntype = realm\ninterface = lo\nbind = tcp:127.0.0.1:0\n"
	"media = 127.0.0.1\nports = 10000-10999\n";

/* Where a stream was cut by the pure half, sip/frame.h. */
struct cut {
	struct sip_frame frame;
	char *bytes;
	size_t n, at;
	size_t notes[NOTES_MAX], n_notes;
	bool over;
};

struct node {
	struct loop *loop;
	struct sip *sip;
	int fd; /* the far end's */
	struct cut cut;
};

static void on_admit(void *ctx, const struct sip_request *request, struct sip_verdict *verdict)
{
	(void)ctx;
	(void)request;
	verdict->code = 0;
}

static void on_invite(void *ctx, struct leg *leg, const struct sip_request *request)
{
	(void)ctx;
	(void)request;
	leg_refuse(leg, 486, NULL, 0);
	leg_free(leg);
}

static void start(struct node *n)
{
	struct sip_handlers handlers = {.admit = on_admit, .invite = on_invite};
	struct conf *conf = wire_conf(conf_text);
	struct addr far;
	char why[256];
	int fds[2];

	wire_reset();
	addr_parse(&far, "127.0.0.1:5062");
	n->loop = loop_new();
	if (!n->loop || sip_new(&n->sip, conf, n->loop, &handlers, why, sizeof(why)) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		fuzz_die("no stack");
	conf_unref(conf);
	n->fd = fds[0];
	if (!sip_conn_new(&n->sip->binds[0], &far, fds[1], false))
		fuzz_die("no connection");
}

/* All that is there of the stream so far, in memory of its own size. */
static void cut_on(struct cut *c, const char *bytes, size_t len)
{
	enum sip_frame_kind kind;
	size_t taken;

	c->bytes = realloc(c->bytes, c->n + len + 1);
	if (!c->bytes)
		fuzz_die("no memory");
	memcpy(c->bytes + c->n, bytes, len);
	c->n += len;
	while (!c->over && c->n_notes < NOTES_MAX) {
		kind = sip_frame_next(&c->frame, c->bytes + c->at, c->n - c->at, &taken);
		if (taken > c->n - c->at)
			fuzz_die("more taken than there is");
		if (kind == FRAME_MORE)
			return;
		c->notes[c->n_notes++] = (size_t)kind << 32 | taken;
		c->at += taken;
		c->over = kind > FRAME_MESSAGE;
	}
}

static void compare(const struct cut *pieces)
{
	struct cut whole = {0};

	cut_on(&whole, pieces->bytes, pieces->n);
	if (whole.n_notes != pieces->n_notes ||
	    memcmp(whole.notes, pieces->notes, whole.n_notes * sizeof(whole.notes[0])) != 0)
		fuzz_die("messages end elsewhere when the stream comes in pieces");
	free(whole.bytes);
}

static void turn(const struct node *n)
{
	event_base_loop(loop_base(n->loop), EVLOOP_NONBLOCK);
}

static void receive(void *ctx, const char *in, size_t len)
{
	struct node *n = ctx;

	if (n->cut.n + len > STREAM_MAX)
		return;
	cut_on(&n->cut, in, len);
	if (send(n->fd, in, len, MSG_NOSIGNAL) < 0)
		return; /* it closed */
	turn(n);
	turn(n);
}

static void hear(const struct node *n)
{
	struct sip_frame frame = {0};
	char *text = malloc(HEARD_MAX), *at = text;
	size_t size = 0, len;
	ssize_t got;

	if (!text)
		return;
	while (size < HEARD_MAX && (got = read(n->fd, text + size, HEARD_MAX - size)) > 0)
		size += (size_t)got;
	for (; size && size < HEARD_MAX; at += len, size -= len)
		if (sip_frame_next(&frame, at, size, &len) > FRAME_MESSAGE || !len)
			fuzz_die("what the node says is no message");
	free(text);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_open(LOG_LEVEL_ERROR);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node n = {0};

	start(&n);
	wire_each(data, size, receive, &n);
	compare(&n.cut);
	hear(&n);
	close(n.fd);
	turn(&n);
	sip_free(n.sip);
	loop_free(n.loop);
	free(n.cut.bytes);
	return 0;
}
