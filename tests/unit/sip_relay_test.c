// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that pass: two transactions joined, and the dialogs of a subscription. The test's far
 * end is both sides. */
#include "sip_lab.h"

#include "sip/relay_priv.h"

/* To the same far end, as every test wants it. */
static void pass_on(void *ctx, struct relay *relay, const struct sip_request *request)
{
	struct lab *lab = ctx;
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = request->number,
		.from_user = request->from_user,
		.from_display = "",
	};

	lab_note(lab, "request:%s", request->method);
	assert_int_equal(relay_to_target(relay, &target), 0);
}

static void refuse_it(void *ctx, struct relay *relay, const struct sip_request *request)
{
	(void)ctx;
	(void)request;
	relay_refuse(relay, 404, "No Such Thing");
}

static void leave_it(void *ctx, struct relay *relay, const struct sip_request *request)
{
	(void)ctx;
	(void)relay;
	(void)request;
}

static void fail_then_pass(void *ctx, struct relay *relay, const struct sip_request *request)
{
	struct lab *lab = ctx;
	struct leg_target six = {
		.realm = &lab->conf->realms[0],
		.number = "1",
		.from_user = "",
		.from_display = "",
	};

	addr_parse(&six.to, "[::1]:9");
	assert_int_equal(relay_to_target(relay, &six), -EADDRNOTAVAIL);
	pass_on(ctx, relay, request);
}

static void ask(struct lab *lab, const char *method, const char *call_id, const char *more)
{
	far_send(lab, &lab->far,
		 "%s sip:200@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s\n"
		 "Max-Forwards: 70\nFrom: <sip:100@%s>;tag=ft\nTo: <sip:200@%s>\nCall-ID: %s\n"
		 "CSeq: 7 %s\nContact: <sip:asking@%s>\n%sContent-Length: 0\n\n",
		 method, lab->node_text, lab->far_text, call_id, method, lab->far_text,
		 lab->node_text, call_id, method, lab->far_text, more);
}

static struct lab *open_with(void (*request)(void *, struct relay *, const struct sip_request *),
			     void **state)
{
	struct lab *lab = *state;

	lab->sip->handlers.request = request;
	return lab;
}

static void test_message(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;

	ask(lab, "MESSAGE", "m1", "X-A: 1\n");
	far_expect(lab, far, "MESSAGE sip:200@");
	assert_string_equal(far_header(far, "CSeq"), "1 MESSAGE");
	assert_string_equal(far_header(far, "X-A"), "1");
	assert_string_equal(far_header(far, "Contact"), "");
	assert_string_equal(far_header(far, "Max-Forwards"), "69");
	assert_string_not_equal(far_header(far, "Call-ID"), "m1");
	far_respond(lab, far, "202 Later", "tt", "X-B: 2\n", "");
	far_expect(lab, far, "SIP/2.0 202 Later\r\n");
	assert_string_equal(far_header(far, "Call-ID"), "m1");
	assert_string_equal(far_header(far, "CSeq"), "7 MESSAGE");
	assert_string_equal(far_header(far, "X-B"), "2");
	assert_int_equal(strlen(far_param(far_header(far, "To"), "tag")), 16);
	ask(lab, "MESSAGE", "m1", "X-A: 1\n"); /* sent again: answered again, asked once */
	far_expect_again(lab, far);
	assert_string_equal(lab->log, "request:MESSAGE ");
	lab_drain(lab);
	assert_int_equal(lab->sip->n_relays, 0);
}

/* RFC 4320: nobody is told 408; the far end's own timer tells it. */
static void test_silence(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;

	ask(lab, "MESSAGE", "m2", "");
	far_expect(lab, far, "MESSAGE sip:200@");
	lab_until(lab, lab->sip->n_relays == 0);
	assert_int_equal(lab_transactions(lab), 0);
	while (far_take(lab, far, 0))
		if (strncmp(far->text, "SIP/2.0", 7) == 0)
			assert_memory_equal(far->text, "SIP/2.0 100 ", 12);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "MESSAGE", 408, "out"), 0);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "MESSAGE", 100, "out"), 1);
}

static void test_refused(void **state)
{
	struct lab *lab = open_with(refuse_it, state);
	struct far *far = &lab->far;

	ask(lab, "PUBLISH", "r1", "");
	far_expect(lab, far, "SIP/2.0 404 No Such Thing\r\n");
	lab->sip->handlers.request = leave_it;
	ask(lab, "PUBLISH", "r2", "");
	far_expect(lab, far, "SIP/2.0 500 ");
	lab->sip->handlers.request = fail_then_pass;
	ask(lab, "PUBLISH", "r3", "");
	far_expect(lab, far, "PUBLISH ");
	far_respond(lab, far, "408 Request Timeout", "tt", "", "");
	lab_drain(lab);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "PUBLISH", 408, "out"), 0);
	far_send(lab, far,
		 "SUBSCRIBE sip:1@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKr5\nFrom: "
		 "<sip:1@a>;tag=1\nTo: <sip:1@b>\nCall-ID: r5\nCSeq: 1 SUBSCRIBE\n\n",
		 lab->node_text, lab->far_text);
	far_expect(lab, far, "SIP/2.0 400 Bad Or Missing Contact\r\n");
	lab->sip->handlers.request = NULL;
	ask(lab, "PUBLISH", "r4", "");
	far_expect(lab, far, "SIP/2.0 405 ");
}

/* A stack that ends in the middle of it frees all. */
static void test_ended_under_way(void **state)
{
	struct lab *lab = open_with(pass_on, state);

	ask(lab, "MESSAGE", "e1", "");
	far_expect(lab, &lab->far, "MESSAGE ");
	ask(lab, "SUBSCRIBE", "e2", "Event: x\n");
	far_expect(lab, &lab->far, "SUBSCRIBE ");
	assert_int_equal(lab->sip->n_relays, 2);
	assert_int_equal(lab_legs(lab), 2);
}

static const char *contact_and(struct lab *lab, const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text), "Contact: <sip:asked@%s>\n%s", lab->far_text, more);
	return text;
}

/* A request of the one subscribed to (`node_tag`: ours towards it), in its dialog. */
static void from_asked(struct lab *lab, const char *method, unsigned int cseq, const char *call_id,
		       const char *node_tag, const char *more)
{
	far_send(lab, &lab->far,
		 "%s sip:%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%u\nMax-Forwards: 70\n"
		 "From: <sip:200@%s>;tag=tt\nTo: <sip:100@%s>;tag=%s\nCall-ID: %s\nCSeq: %u %s\n"
		 "Contact: <sip:asked@%s>\nEvent: x\n%sContent-Length: 0\n\n",
		 method, lab->node_text, lab->far_text, node_tag, cseq, lab->far_text,
		 lab->node_text, node_tag, call_id, cseq, method, lab->far_text, more);
}

/* SUBSCRIBE passed on and received; what names the dialog with the one asked. */
static void subscribe(struct lab *lab, const char *call_id, char node_call_id[64], char tag[64])
{
	ask(lab, "SUBSCRIBE", call_id, "Event: x\nExpires: 600\n");
	far_expect(lab, &lab->far, "SUBSCRIBE sip:200@");
	snprintf(node_call_id, 64, "%s", far_header(&lab->far, "Call-ID"));
	snprintf(tag, 64, "%s", far_param(far_header(&lab->far, "From"), "tag"));
}

static void test_subscription_expires(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;
	char call_id[64], tag[64];

	subscribe(lab, "s1", call_id, tag);
	far_respond(lab, far, "200 OK", "tt", contact_and(lab, "Expires: 1\n"), "");
	far_expect(lab, far, "SIP/2.0 200 ");
	assert_string_equal(far_header(far, "Expires"), "1");
	assert_int_equal(lab_legs(lab), 2);
	lab_drain(lab);
	from_asked(lab, "NOTIFY", 1, call_id, tag, "Subscription-State: active\n");
	far_expect(lab, far, "SIP/2.0 481 ");
}

/* The NOTIFY that overtakes the 2xx makes the dialog; the last one ends it. */
static void test_notify_first(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;
	char call_id[64], tag[64], subscribe_text[65536];

	subscribe(lab, "s2", call_id, tag);
	strcpy(subscribe_text, far->text);
	from_asked(lab, "NOTIFY", 1, call_id, tag,
		   "Record-Route: <sip:127.0.0.1:9;lr>\nSubscription-State: active;expires=60\n");
	far_expect(lab, far, "NOTIFY sip:asking@");
	assert_string_equal(far_header(far, "Call-ID"), "s2");
	assert_string_equal(far_param(far_header(far, "To"), "tag"), "ft");
	assert_string_equal(far_header(far, "Record-Route"), "");
	far_respond(lab, far, "200 OK", "", "", "");
	far_expect(lab, far, "SIP/2.0 200 ");
	strcpy(far->text, subscribe_text);
	far_respond(lab, far, "200 OK", "tt", contact_and(lab, "Expires: 60\n"), "");
	far_expect(lab, far, "SIP/2.0 200 ");
	assert_string_equal(far_header(far, "Call-ID"), "s2");
	from_asked(lab, "NOTIFY", 2, call_id, tag, "Subscription-State: Terminated\n");
	far_expect(lab, far, "NOTIFY sip:asking@");
	assert_int_equal(lab_legs(lab), 2);
	far_respond(lab, far, "200 OK", "", "", "");
	far_expect(lab, far, "SIP/2.0 200 ");
	assert_int_equal(lab_legs(lab), 0);
	lab_drain(lab);
}

static void test_strangers_and_disorder(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;
	char call_id[64], tag[64], fork[256];

	subscribe(lab, "s3", call_id, tag);
	far_respond(lab, far, "200 OK", "tt", contact_and(lab, "Expires: 60\n"), "");
	far_expect(lab, far, "SIP/2.0 200 ");
	from_asked(lab, "NOTIFY", 9, call_id, tag, "Subscription-State: active\n");
	far_expect(lab, far, "NOTIFY ");
	far_respond(lab, far, "200 OK", "", "", "");
	far_expect(lab, far, "SIP/2.0 200 ");
	from_asked(lab, "NOTIFY", 8, call_id, tag, "");
	far_expect(lab, far, "SIP/2.0 500 ");
	snprintf(fork, sizeof(fork), "%.8s", tag);
	from_asked(lab, "NOTIFY", 10, call_id, fork, "");
	far_expect(lab, far, "SIP/2.0 481 ");
	from_asked(lab, "BYE", 10, call_id, tag, "");
	far_expect(lab, far, "SIP/2.0 405 ");
	from_asked(lab, "INVITE", 11, call_id, tag, "");
	far_expect(lab, far, "SIP/2.0 488 ");
	from_asked(lab, "OPTIONS", 12, call_id, tag, "");
	far_expect(lab, far, "SIP/2.0 200 ");
	/* 481 to a NOTIFY: the subscriber knows nothing of it any more. */
	from_asked(lab, "NOTIFY", 13, call_id, tag, "Subscription-State: active\n");
	far_expect(lab, far, "NOTIFY ");
	far_respond(lab, far, "481 Gone", "", "", "");
	far_expect(lab, far, "SIP/2.0 481 ");
	assert_int_equal(lab_legs(lab), 0);
}

static void test_refer_outside(void **state)
{
	struct lab *lab = open_with(pass_on, state);
	struct far *far = &lab->far;
	char call_id[64], tag[64];

	ask(lab, "REFER", "rf", "Refer-To: <sip:9@elsewhere.example>\nRefer-Sub: true\n");
	far_expect(lab, far, "REFER sip:200@");
	assert_string_equal(far_header(far, "Refer-To"), "<sip:9@elsewhere.example>");
	snprintf(call_id, sizeof(call_id), "%s", far_header(far, "Call-ID"));
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(far, "From"), "tag"));
	far_respond(lab, far, "202 Accepted", "tt", contact_and(lab, ""), "");
	far_expect(lab, far, "SIP/2.0 202 ");
	far_send(lab, far,
		 "NOTIFY sip:%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKn\nMax-Forwards: 70\n"
		 "From: <sip:200@a>;tag=tt\nTo: <sip:100@b>;tag=%s\nCall-ID: %s\nCSeq: 1 NOTIFY\n"
		 "Contact: <sip:asked@%s>\no: refer;id=1\nSubscription-State: terminated\n"
		 "Content-Length: 0\n\n",
		 lab->node_text, lab->far_text, tag, call_id, lab->far_text);
	far_expect(lab, far, "NOTIFY sip:asking@");
	assert_string_equal(far_header(far, "Event"), "refer;id=7");
	far_respond(lab, far, "200 OK", "", "", "");
	far_expect(lab, far, "SIP/2.0 200 ");
	assert_int_equal(lab_legs(lab), 0);
	lab_drain(lab);
}

static void requested(void *owner, struct leg *leg, struct relay *relay)
{
	lab_note(owner, "requested");
	assert_int_equal(relay_to_leg(relay, leg), 0); /* back to where it came from */
}

static void gone(void *owner, struct leg *leg, int code)
{
	lab_note(owner, "gone:%d", code);
	leg_free(leg); /* whatever the owner does */
}

/* 481 and silence tell the owner; the leg may be freed in the event, or before the answer comes. */
static void test_dialog_gone(void **state)
{
	static struct leg_events events;
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char tag[64];

	events = lab_events;
	events.requested = requested;
	events.gone = gone;
	lab_incoming_up(lab, tag);
	leg_take(lab->leg, &events, lab);
	far_request(lab, "INFO", 11, "z9hG4bKi1", "up", tag);
	far_expect(lab, far, "INFO sip:100@");
	assert_string_equal(far_header(far, "Call-ID"), "up");
	far_respond(lab, far, "481 Gone", "", "", "");
	far_expect(lab, far, "SIP/2.0 481 ");
	far_expect(lab, far, "BYE ");
	assert_string_equal(lab->log, "requested gone:481 ");
	far_respond(lab, far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
}

/* RFC 3261 15.1.2: what waits for an answer gets 487 when its dialog ends; the late one is for
 * nobody. */
static void test_leg_gone_first(void **state)
{
	static struct leg_events events;
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char tag[64], info[65536];

	events = lab_events;
	events.requested = requested;
	lab_incoming_up(lab, tag);
	leg_take(lab->leg, &events, lab);
	far_request(lab, "INFO", 11, "z9hG4bKi2", "up", tag);
	far_expect(lab, far, "INFO sip:100@");
	strcpy(info, far->text);
	leg_free(lab->leg);
	far_expect(lab, far, "BYE ");
	far_respond(lab, far, "200 OK", "", "", "");
	far_expect(lab, far, "SIP/2.0 487 Request Terminated\r\n");
	assert_string_equal(far_header(far, "CSeq"), "11 INFO");
	assert_int_equal(lab->sip->n_relays, 0);
	lab_until(lab, lab_legs(lab) == 0);
	strcpy(far->text, info);
	far_respond(lab, far, "200 Late", "", "", "");
	far_expect_nothing(lab, far);
}

#define T(f)	 cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
#define SHORT(f) cmocka_unit_test_setup_teardown(f, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHORT(test_message),
		SHORT(test_silence),
		SHORT(test_refused),
		T(test_ended_under_way),
		SHORT(test_subscription_expires),
		SHORT(test_notify_first),
		T(test_strangers_and_disorder),
		SHORT(test_refer_outside),
		T(test_dialog_gone),
		T(test_leg_gone_first),
	};

	return cmocka_run_group_tests_name("sip_relay", tests, NULL, NULL);
}
