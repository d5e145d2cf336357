/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SIP stack on real sockets of 127.0.0.0/8, a far end that the test plays itself, and an owner
 * that writes down what it is told. Included by the sip_*_test.c; whatever a test does not use is
 * no fault.
 */
#ifndef RTPFWD_TESTS_SIP_LAB_H
#define RTPFWD_TESTS_SIP_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "sip/leg.h"
#include "sip/sip.h"
#include "sip/stack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB_USED __attribute__((unused)) static

/* How long anything may take before a test fails, ms. */
enum { LAB_DEADLINE_MS = 10000 };

/* Short timers for the tests that wait for them. */
static const struct sip_timing lab_short = {.t1 = 20,
					    .t2 = 80,
					    .t4 = 60,
					    .d = 150,
					    .c = 300,
					    .progress = 100,
					    .glare = 1,
					    .second = 20};

#define LAB_SDP                                                                                    \
	"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 "   \
	"RTP/AVP 0\r\n"

#define LAB_ALLOW                                                                                  \
	"INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE, REFER, NOTIFY, "         \
	"SUBSCRIBE, PUBLISH"

struct far {
	int fd;
	bool stream; /* TCP */
	struct addr at;
	char text[65536]; /* the last message received */
	char last[65536]; /* the one before */
};

struct lab {
	struct loop *loop;
	struct conf *conf;
	struct sip *sip;
	struct addr node; /* where the stack listens */
	char node_text[ADDR_TEXT];
	struct far far; /* the first far end; its address is text too */
	char far_text[ADDR_TEXT];
	struct sip_verdict verdict;
	void (*on_invite)(struct lab *lab, struct leg *leg);
	struct leg *leg; /* the last one handed over */
	char log[4096];	 /* events, each followed by a blank */
	char told[1024]; /* the description told of last: of `progress` or `answered` */
	char seen[2048]; /* what the last request outside a dialog said */
	uint32_t way;	 /* the same */
	int admitted;
};

#include "sip_owner.h"

static void lab_admit(void *ctx, const struct sip_request *r, struct sip_verdict *verdict)
{
	struct lab *lab = ctx;

	lab->admitted++;
	snprintf(lab->seen, sizeof(lab->seen),
		 "%s number=%s from=%s display=%s from_uri=%s to=%s to_uri=%s ua=%s mf=%u sdp=%zu",
		 r->method, r->number, r->from_user, r->from_display, r->from_uri, r->to_user,
		 r->to_uri, r->user_agent, r->max_forwards, r->sdp.len);
	lab->way = r->way;
	*verdict = lab->verdict;
}

static void lab_invite(void *ctx, struct leg *leg, const struct sip_request *request)
{
	struct lab *lab = ctx;

	(void)request;
	lab_note(lab, "invite");
	lab->leg = leg;
	leg_take(leg, &lab_events, lab);
	if (lab->on_invite)
		lab->on_invite(lab, leg);
}

static void far_open(struct far *far, const char *at)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(addr_parse(&far->at, at), 0);
	far->fd = socket(far->at.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(far->fd >= 0);
	assert_int_equal(bind(far->fd, (struct sockaddr *)&sa, addr_to_sockaddr(&sa, &far->at)), 0);
	assert_int_equal(getsockname(far->fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr(&far->at, (struct sockaddr *)&sa);
	far->text[0] = far->last[0] = '\0';
}

/* Addresses and a port of this process alone: several of these programs may run at once. */
static void lab_write_conf(const char *path)
{
	int pid = getpid(), net = 16 + pid / 250 % 200, n = pid % 250, port = 11000 + pid % 20000;
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file,
		"[one]\ntype = realm\ninterface = lo\n"
		"bind = udp:127.%d.%d.1:5060,tcp:127.%d.%d.1:5060\n"
		"media = 127.%d.%d.1\nports = 10000-10999\n",
		net, n, net, n, net, n);
	fprintf(file,
		"[two]\ntype = realm\ninterface = lo\nbind = udp:127.%d.%d.2:5070\n"
		"media = 127.%d.%d.2\nports = 10000-10999\nadvertise = 192.0.2.7\n",
		net, n, net, n);
	fprintf(file,
		"[six]\ntype = realm\ninterface = lo\nbind = udp:[::1]:%d\n"
		"media = 127.%d.%d.3\n"
		"ports = 10000-10999\n",
		port, net, n);
	fclose(file);
}

LAB_USED struct lab *lab_open(const struct sip_timing *timing)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct sip_handlers handlers = {.admit = lab_admit, .invite = lab_invite, .ctx = lab};
	char path[64], why[256] = "";

	assert_non_null(lab);
	snprintf(path, sizeof(path), "/tmp/sip_lab.%d.conf", getpid());
	lab_write_conf(path);
	if (conf_load(&lab->conf, path, why, sizeof(why)))
		fail_msg("%s", why);
	unlink(path);
	lab->loop = loop_new();
	assert_non_null(lab->loop);
	if (sip_new(&lab->sip, lab->conf, lab->loop, &handlers, why, sizeof(why)))
		fail_msg("%s", why);
	if (timing)
		sip_set_timing(lab->sip, timing);
	lab->node = lab->conf->realms[0].binds[0].addr;
	addr_print(lab->node_text, &lab->node);
	far_open(&lab->far, "127.0.0.1:0");
	addr_print(lab->far_text, &lab->far.at);
	return lab;
}

LAB_USED void lab_turn(struct lab *lab)
{
	event_base_loop(loop_base(lab->loop), EVLOOP_NONBLOCK);
}

LAB_USED size_t lab_transactions(struct lab *lab)
{
	size_t transactions, legs;

	sip_live(lab->sip, &transactions, &legs);
	return transactions;
}

LAB_USED size_t lab_legs(struct lab *lab)
{
	size_t transactions, legs;

	sip_live(lab->sip, &transactions, &legs);
	return legs;
}

/* Turns the loop until `condition`, or fails the test. */
#define lab_until(lab, condition)                                                                  \
	do {                                                                                       \
		uint64_t until_ = loop_now_ms((lab)->loop) + LAB_DEADLINE_MS;                      \
		lab_turn(lab);                                                                     \
		while (!(condition)) {                                                             \
			if (loop_now_ms((lab)->loop) > until_)                                     \
				fail_msg("never true: %s (events: %s)", #condition, (lab)->log);   \
			poll(NULL, 0, 1);                                                          \
			lab_turn(lab);                                                             \
		}                                                                                  \
	} while (0)

/* Everything gone by itself: needs short timers where a transaction was made. */
LAB_USED void lab_drain(struct lab *lab)
{
	lab_until(lab, lab_transactions(lab) == 0 && lab_legs(lab) == 0);
}

LAB_USED void lab_close(struct lab *lab)
{
	sip_free(lab->sip);
	conf_unref(lab->conf);
	loop_free(lab->loop);
	close(lab->far.fd);
	free(lab);
}

LAB_USED void far_send_bytes(struct lab *lab, struct far *far, const char *bytes, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(&sa, &lab->node);

	assert_int_equal(sendto(far->fd, bytes, len, 0, (struct sockaddr *)&sa, sa_len),
			 (ssize_t)len);
}

/* Sends a message written with bare LF line ends; turns the loop until it was read. */
LAB_USED void far_send(struct lab *lab, struct far *far, const char *format, ...)
{
	static char text[65536], wire[65536];
	size_t n = 0;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (const char *p = text; *p; p++) {
		if (*p == '\n' && (p == text || p[-1] != '\r'))
			wire[n++] = '\r';
		wire[n++] = *p;
	}
	far_send_bytes(lab, far, wire, n);
	lab_turn(lab);
}

/* One message off a TCP connection; the stack ends each with its Content-Length. */
static ssize_t far_cut(struct far *far)
{
	ssize_t n = recv(far->fd, far->text, sizeof(far->text) - 1, MSG_DONTWAIT | MSG_PEEK);
	char *end, *length;
	size_t whole;

	if (n <= 0)
		return n;
	far->text[n] = '\0';
	end = strstr(far->text, "\r\n\r\n");
	length = strstr(far->text, "\r\nContent-Length: ");
	whole = end && length ? (size_t)(end + 4 - far->text) + strtoul(length + 18, NULL, 10) : 0;
	if (!whole || whole > (size_t)n) {
		errno = EAGAIN;
		return -1;
	}
	return recv(far->fd, far->text, whole, MSG_DONTWAIT);
}

/* The next message that the stack sent there; `wait_ms` 0: only what is there already. False:
 * none. */
LAB_USED bool far_take(struct lab *lab, struct far *far, int wait_ms)
{
	uint64_t until = loop_now_ms(lab->loop) + (uint64_t)wait_ms;
	ssize_t n;

	for (;;) {
		lab_turn(lab);
		n = far->stream ? far_cut(far)
				: recv(far->fd, far->text, sizeof(far->text) - 1, MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (loop_now_ms(lab->loop) >= until)
			return false;
		poll(&(struct pollfd){.fd = far->fd, .events = POLLIN}, 1, 1);
	}
	far->text[n] = '\0';
	return true;
}

/* The next message must begin with `start`. */
LAB_USED void far_expect(struct lab *lab, struct far *far, const char *start)
{
	/* Retransmissions of what was just checked are the stack's right on a slow machine. */
	do {
		if (!far_take(lab, far, LAB_DEADLINE_MS))
			fail_msg("no message; expected '%s' (events: %s)", start, lab->log);
	} while (strcmp(far->text, far->last) == 0 &&
		 strncmp(far->text, start, strlen(start)) != 0);
	if (strncmp(far->text, start, strlen(start)) != 0)
		fail_msg("expected '%s', got:\n%s(events: %s)", start, far->text, lab->log);
	strcpy(far->last, far->text);
}

/* The next message must be, byte for byte, the last one. */
LAB_USED void far_expect_again(struct lab *lab, struct far *far)
{
	assert_true(far_take(lab, far, LAB_DEADLINE_MS));
	assert_string_equal(far->text, far->last);
}

LAB_USED void far_expect_nothing(struct lab *lab, struct far *far)
{
	lab_turn(lab);
	if (far_take(lab, far, 0))
		fail_msg("unexpected:\n%s", far->text);
}

/* The value of the nth header of that name in the last message; "" none. Valid for sixteen calls.
 */
LAB_USED const char *far_header_n(struct far *far, const char *name, int nth)
{
	static char values[16][2048];
	static int turn;
	char *out = values[turn++ % 16];
	size_t len = strlen(name);
	const char *line = far->text;

	out[0] = '\0';
	while ((line = strstr(line, "\r\n")) != NULL && strncmp(line, "\r\n\r\n", 4) != 0) {
		line += 2;
		if (strncmp(line, name, len) == 0 && line[len] == ':' && nth-- == 0) {
			line += len + 1;
			line += strspn(line, " ");
			snprintf(out, sizeof(values[0]), "%.*s", (int)strcspn(line, "\r"), line);
			break;
		}
	}
	return out;
}

LAB_USED const char *far_header(struct far *far, const char *name)
{
	return far_header_n(far, name, 0);
}

/* The value of `;name=` in a header; "" none. */
LAB_USED const char *far_param(const char *value, const char *name)
{
	static char values[16][256];
	static int turn;
	char *out = values[turn++ % 16], wanted[64];
	const char *p;

	snprintf(wanted, sizeof(wanted), ";%s=", name);
	p = strstr(value, wanted);
	out[0] = '\0';
	if (p) {
		p += strlen(wanted);
		snprintf(out, sizeof(values[0]), "%.*s", (int)strcspn(p, ";, >"), p);
	}
	return out;
}

LAB_USED const char *far_body(struct far *far)
{
	const char *p = strstr(far->text, "\r\n\r\n");

	return p ? p + 4 : "";
}

struct lab_count {
	enum sip_counter counter;
	const char *method, *label;
	int code;
	uint64_t value;
};

static void lab_count_one(void *ctx, enum sip_counter counter, const char *method, int code,
			  const char *label, uint64_t value)
{
	struct lab_count *c = ctx;

	if (counter == c->counter && strcmp(method, c->method) == 0 && code == c->code &&
	    strcmp(label, c->label) == 0)
		c->value += value;
}

LAB_USED uint64_t lab_counter(struct lab *lab, enum sip_counter counter, const char *method,
			      int code, const char *label)
{
	struct lab_count c = {.counter = counter, .method = method, .code = code, .label = label};

	sip_report(lab->sip, lab_count_one, &c);
	return c.value;
}

/* An INVITE to the node from lab->far; `more` are further header lines. */
LAB_USED void far_invite(struct lab *lab, const char *branch, const char *call_id, const char *more)
{
	far_send(lab, &lab->far,
		 "INVITE sip:200@%s SIP/2.0\n"
		 "Via: SIP/2.0/UDP %s;branch=%s\n"
		 "Max-Forwards: 70\n"
		 "From: \"Alice\" <sip:100@%s>;tag=ft\n"
		 "To: <sip:200@%s>\n"
		 "Call-ID: %s\n"
		 "CSeq: 10 INVITE\n"
		 "Contact: <sip:100@%s>\n"
		 "User-Agent: phone/1\n"
		 "%s"
		 "Content-Type: application/sdp\n"
		 "Content-Length: %zu\n\n%s",
		 lab->node_text, lab->far_text, branch, lab->far_text, lab->node_text, call_id,
		 lab->far_text, more, strlen(LAB_SDP), LAB_SDP);
}

/* A request in the dialog of an incoming call; `tag`: the node's. Without a body. */
LAB_USED void far_request(struct lab *lab, const char *method, unsigned int cseq,
			  const char *branch, const char *call_id, const char *tag)
{
	far_send(lab, &lab->far,
		 "%s sip:%s SIP/2.0\n"
		 "Via: SIP/2.0/UDP %s;branch=%s\n"
		 "Max-Forwards: 70\n"
		 "From: \"Alice\" <sip:100@%s>;tag=ft\n"
		 "To: <sip:200@%s>%s%s\n"
		 "Call-ID: %s\n"
		 "CSeq: %u %s\n"
		 "Content-Length: 0\n\n",
		 method, lab->node_text, lab->far_text, branch, lab->far_text, lab->node_text,
		 *tag ? ";tag=" : "", tag, call_id, cseq, method);
}

/* The response to the last message, which was a request. `tag`: of To ("" none); `more`: header
 * lines. */
LAB_USED void far_respond(struct lab *lab, struct far *far, const char *status, const char *tag,
			  const char *more, const char *sdp)
{
	far_send(lab, far,
		 "SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s%s%s\nCall-ID: %s\nCSeq: "
		 "%s\n%s%sContent-Length: %zu\n\n%s",
		 status, far_header(far, "Via"), far_header(far, "From"), far_header(far, "To"),
		 *tag ? ";tag=" : "", tag, far_header(far, "Call-ID"), far_header(far, "CSeq"),
		 more, *sdp ? "Content-Type: application/sdp\n" : "", strlen(sdp), sdp);
}

/* An established incoming call; `tag` receives the node's. CSeq 10, Call-ID "up". */
LAB_USED void lab_incoming_up(struct lab *lab, char tag[64])
{
	far_invite(lab, "z9hG4bKup", "up", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, 64, "%s", far_param(far_header(&lab->far, "To"), "tag"));
	far_request(lab, "ACK", 10, "z9hG4bKupack", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	assert_string_equal(lab->log, "invite acked ");
	lab->log[0] = '\0';
}

/* An outgoing leg to lab->far, its INVITE received there. */
LAB_USED void lab_outgoing(struct lab *lab, bool force_rport)
{
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "200",
		.from_user = "100",
		.from_display = "Alice",
		.max_forwards = 69,
		.force_rport = force_rport,
		.session = lab->verdict.session,
	};

	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE sip:200@");
}

LAB_USED const char *lab_contact(struct lab *lab)
{
	static char text[128];

	snprintf(text, sizeof(text), "Contact: <sip:200@%s>\n", lab->far_text);
	return text;
}

/* An established outgoing call whose far end has the tag "tt". */
LAB_USED void lab_outgoing_up(struct lab *lab)
{
	lab_outgoing(lab, false);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "answered+sdp ");
	assert_true(leg_settled(lab->leg));
	lab->log[0] = '\0';
}

/* To be the setup and teardown of tests that end with everything gone. */
LAB_USED int lab_setup(void **state)
{
	*state = lab_open(NULL);
	return 0;
}

LAB_USED int lab_setup_short(void **state)
{
	*state = lab_open(&lab_short);
	return 0;
}

LAB_USED int lab_teardown(void **state)
{
	lab_close(*state);
	return 0;
}

#endif
