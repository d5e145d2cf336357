// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SIP in: parser, transactions and dialogs, with an owner that joins an incoming leg to an outgoing
 * one as controller/call does. An input is some datagrams with a line `====` between them. In each,
 * what the node sent last can be named, so that an input may answer: $b branch, $c Call-ID, $f tag
 * of From, $t tag of To, $q number of CSeq of the last request, in capitals of the last response.
 * Nothing is sent, no random number is one.
 */
#include "fuzz.h"

#include "lib/log.h"
#include "sip/leg.h"
#include "sip/relay.h"
#include "sip/stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define SDP                                                                                        \
	"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 "   \
	"RTP/AVP 0\r\n"

static const char conf_text[] =
	"[general]\n[one]\ntype = realm\ninterface = lo\nbind = udp:127.0.0.1:0\n"
	"media = 127.0.0.1\nports = 10000-10999\n";

enum { DATAGRAM_MAX = 65535, TURNS = 2 };

struct wire {
	char request[DATAGRAM_MAX + 1], response[DATAGRAM_MAX + 1]; /* the last ones sent */
	uint64_t random;
};

struct node {
	struct loop *loop;
	struct sip *sip;
	struct addr far;
	struct leg *a, *b;
};

/* The wrapped functions have no other way to it. */
static struct wire wire;

ssize_t __wrap_sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);

ssize_t __wrap_sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len)
{
	char *out = len > 8 && memcmp(bytes, "SIP/2.0 ", 8) == 0 ? wire.response : wire.request;
	size_t n = len < DATAGRAM_MAX ? len : DATAGRAM_MAX;

	(void)fd;
	(void)flags;
	(void)to;
	(void)to_len;
	memcpy(out, bytes, n);
	out[n] = '\0';
	return (ssize_t)len;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	(void)flags;
	for (size_t i = 0; i < len; i++) {
		wire.random = wire.random * 6364136223846793005u + 1442695040888963407u;
		((unsigned char *)out)[i] = (unsigned char)(wire.random >> 56);
	}
	return (ssize_t)len;
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	(void)fd;
	(void)to;
	(void)len;
	errno = ENETUNREACH;
	return -1;
}

static struct leg *other(struct node *n, const struct leg *leg)
{
	return leg == n->a ? n->b : n->a;
}

static void drop(struct node *n, struct leg *leg)
{
	if (leg == n->a)
		n->a = NULL;
	else
		n->b = NULL;
	leg_free(leg);
}

static void on_progress(void *owner, struct leg *leg, int code, const char *reason,
			struct slice sdp)
{
	struct node *n = owner;

	if (n->a)
		leg_pass(n->a, leg);
	if (n->a)
		leg_progress_reliably(n->a, code, reason, sdp.p, sdp.len);
}

static void on_answered(void *owner, struct leg *leg, struct slice sdp)
{
	struct node *n = owner;

	if (n->a)
		leg_pass(n->a, leg);
	if (n->a)
		leg_answer(n->a, sdp.p ? sdp.p : SDP, sdp.p ? sdp.len : strlen(SDP));
}

static void on_failed(void *owner, struct leg *leg, int code, const char *reason,
		      unsigned int retry_after_s)
{
	struct node *n = owner;

	if (n->a) {
		leg_refuse(n->a, code, reason, retry_after_s);
		drop(n, n->a);
	}
	drop(n, leg);
}

static void on_over(struct node *n, struct leg *leg)
{
	struct leg *twin = other(n, leg);

	if (twin) {
		leg_cancel(twin);
		leg_bye(twin, "Q.850;cause=16");
		drop(n, twin);
	}
	drop(n, leg);
}

static void on_cancelled(void *owner, struct leg *leg)
{
	on_over(owner, leg);
}

static void on_ended(void *owner, struct leg *leg, const char *why)
{
	(void)why;
	on_over(owner, leg);
}

static void on_acked(void *owner, struct leg *leg, struct slice sdp)
{
	(void)owner;
	(void)sdp;
	leg_settled(leg);
}

static void on_offered(void *owner, struct leg *leg, struct slice sdp)
{
	struct leg *twin = other(owner, leg);

	if (!twin || leg_update(twin, sdp.p, sdp.len))
		leg_agree(leg, SDP, strlen(SDP));
}

static void on_asked(void *owner, struct leg *leg)
{
	struct leg *twin = other(owner, leg);

	if (!twin || leg_reinvite(twin, NULL, 0))
		leg_agree(leg, SDP, strlen(SDP));
}

static void on_offer_cancelled(void *owner, struct leg *leg)
{
	(void)owner;
	(void)leg;
}

static void on_reanswered(void *owner, struct leg *leg, int code, const char *reason,
			  struct slice sdp)
{
	struct leg *twin = other(owner, leg);

	if (code < 300)
		leg_accept(leg, SDP, strlen(SDP));
	if (twin && code < 300)
		leg_agree(twin, sdp.p ? sdp.p : SDP, sdp.p ? sdp.len : strlen(SDP));
	else if (twin)
		leg_disagree(twin, code, reason, 0);
}

static void on_requested(void *owner, struct leg *leg, struct relay *relay)
{
	struct leg *twin = other(owner, leg);

	if (!twin || relay_to_leg(relay, twin))
		relay_refuse(relay, 480, NULL);
}

static void on_gone(void *owner, struct leg *leg, int code)
{
	(void)code;
	leg_bye(leg, NULL);
	on_over(owner, leg);
}

static struct leg *on_twin(void *owner, const struct leg *leg)
{
	return other(owner, leg);
}

static const struct leg_events events = {
	.progress = on_progress,
	.answered = on_answered,
	.failed = on_failed,
	.cancelled = on_cancelled,
	.acked = on_acked,
	.offered = on_offered,
	.asked = on_asked,
	.offer_cancelled = on_offer_cancelled,
	.reanswered = on_reanswered,
	.ended = on_ended,
	.requested = on_requested,
	.gone = on_gone,
	.twin = on_twin,
};

static struct leg_target target(const struct node *n, const struct sip_request *request)
{
	return (struct leg_target){
		.realm = request->realm,
		.to = n->far,
		.number = request->number,
		.from_user = request->from_user,
		.from_display = request->from_display,
		.max_forwards = 69,
	};
}

static void on_admit(void *ctx, const struct sip_request *request, struct sip_verdict *verdict)
{
	(void)ctx;
	verdict->force_rport = strlen(request->call_id) % 2;
}

static void on_invite(void *ctx, struct leg *leg, const struct sip_request *request)
{
	struct node *n = ctx;
	struct leg_target to = target(n, request);

	if (n->a || n->b) {
		leg_refuse(leg, 486, NULL, 0);
		leg_free(leg);
		return;
	}
	leg_take(leg, &events, n);
	n->a = leg;
	if (leg_new(&n->b, n->sip, &to, &events, n))
		return;
	leg_pass(n->b, leg);
	if (leg_invite(n->b, SDP, strlen(SDP)))
		drop(n, n->b);
}

static void on_relayed(void *ctx, struct relay *relay, const struct sip_request *request)
{
	struct leg_target to = target(ctx, request);

	if (relay_to_target(relay, &to))
		relay_refuse(relay, 480, NULL);
}

static struct conf *configuration(void)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf *conf;
	char path[32], why[256];

	if (fd < 0 || write(fd, conf_text, strlen(conf_text)) < 0)
		fuzz_die("no memory file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_load(&conf, path, why, sizeof(why)))
		fuzz_die(why);
	close(fd);
	return conf;
}

static void start(struct node *n)
{
	struct sip_handlers handlers = {
		.admit = on_admit, .invite = on_invite, .request = on_relayed, .ctx = n};
	struct sip_timing timing = {
		.t1 = 1, .t2 = 2, .t4 = 2, .d = 3, .c = 5, .progress = 2};
	struct conf *conf = configuration();
	char why[256];

	wire.request[0] = wire.response[0] = '\0';
	wire.random = 1;
	addr_parse(&n->far, "127.0.0.1:5062");
	n->loop = loop_new();
	if (!n->loop || sip_new(&n->sip, conf, n->loop, &handlers, why, sizeof(why)))
		fuzz_die("no stack");
	sip_set_timing(n->sip, &timing);
	conf_unref(conf);
}

/* What stands behind `before` in the first header that begins with `name`. */
static struct slice value(const char *message, const char *name, const char *before)
{
	const char *p = strstr(message, name), *end;

	if (!p)
		return (struct slice){"", 0};
	end = p + 2 + strcspn(p + 2, "\r");
	p = strstr(p, before);
	if (!p || p >= end)
		return (struct slice){"", 0};
	p += strlen(before);
	return (struct slice){p, strcspn(p, " ;,\r")};
}

static struct slice named(char letter)
{
	const char *message = letter >= 'a' ? wire.request : wire.response;

	switch (letter | 0x20) {
	case 'b':
		return value(message, "\r\nVia:", "branch=");
	case 'c':
		return value(message, "\r\nCall-ID:", "Call-ID: ");
	case 'f':
		return value(message, "\r\nFrom:", "tag=");
	case 't':
		return value(message, "\r\nTo:", "tag=");
	case 'q':
		return value(message, "\r\nCSeq:", "CSeq: ");
	default:
		return (struct slice){NULL, 0};
	}
}

static size_t fill(char *out, const char *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < DATAGRAM_MAX; i++) {
		struct slice s = {NULL, 0};

		if (in[i] == '$' && i + 1 < len)
			s = named(in[i + 1]);
		if (s.p && n + s.len < DATAGRAM_MAX) {
			memcpy(out + n, s.p, s.len);
			n += s.len;
			i++;
		} else {
			out[n++] = in[i];
		}
	}
	return n;
}

/* In memory of its own size: a byte read past the end is seen. */
static void receive(struct node *n, const char *in, size_t len)
{
	static char filled[DATAGRAM_MAX + 1];
	size_t size = fill(filled, in, len);
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, filled, size);
	sip_receive(&n->sip->binds[0], &n->far, text, size);
	free(text);
	for (int i = 0; i < TURNS; i++)
		event_base_loop(loop_base(n->loop), EVLOOP_NONBLOCK);
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
	static const char mark[] = "\n====\n";
	const char *p = (const char *)data, *cut;
	struct node n = {0};

	start(&n);
	for (; (cut = memmem(p, size, mark, strlen(mark))) != NULL; p = cut + strlen(mark)) {
		receive(&n, p, (size_t)(cut - p));
		size -= (size_t)(cut - p) + strlen(mark);
	}
	receive(&n, p, size);
	if (n.a)
		leg_free(n.a);
	if (n.b)
		leg_free(n.b);
	sip_free(n.sip);
	loop_free(n.loop);
	return 0;
}
