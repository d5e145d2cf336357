// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SIP in: parser, transactions and dialogs, with an owner that joins an incoming leg to an outgoing
 * one as controller/call does. An input is some datagrams with a line `====` between them.
 */
#include "wire.h"

#include "lib/log.h"
#include "sip/leg.h"
#include "sip/relay.h"

#define SDP                                                                                        \
	"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 "   \
	"RTP/AVP 0\r\n"

static const char conf_text[] =
	"[general]\n[one]\ntype = realm\ninterface = lo\nbind = udp:127.0.0.1:0\n"
	"media = 127.0.0.1\nports = 10000-10999\n";

struct node {
	struct loop *loop;
	struct sip *sip;
	struct addr far;
	struct leg *a, *b;
};

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

static void start(struct node *n)
{
	struct sip_handlers handlers = {
		.admit = on_admit, .invite = on_invite, .request = on_relayed, .ctx = n};
	struct sip_timing timing = {
		.t1 = 1, .t2 = 2, .t4 = 2, .d = 3, .c = 5, .progress = 2};
	struct conf *conf = wire_conf(conf_text);
	char why[256];

	wire_reset();
	addr_parse(&n->far, "127.0.0.1:5062");
	n->loop = loop_new();
	if (!n->loop || sip_new(&n->sip, conf, n->loop, &handlers, why, sizeof(why)))
		fuzz_die("no stack");
	sip_set_timing(n->sip, &timing);
	conf_unref(conf);
}

static void receive(void *ctx, const char *in, size_t len)
{
	static char filled[DATAGRAM_MAX + 1];
	struct node *n = ctx;

	wire_receive(n->sip, &n->far, filled, wire_fill(filled, in, len));
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
	if (n.a)
		leg_free(n.a);
	if (n.b)
		leg_free(n.b);
	sip_free(n.sip);
	loop_free(n.loop);
	return 0;
}
