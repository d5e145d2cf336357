// SPDX-License-Identifier: GPL-2.0-or-later
/* Incoming calls: what goes out for what comes in. */
#include "sip_lab.h"

static void test_call(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char line[512], tag[64];

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, far, "SIP/2.0 100 Trying\r\n");
	snprintf(line, sizeof(line), "SIP/2.0/UDP %s;branch=z9hG4bK1", lab->far_text);
	assert_string_equal(far_header(far, "Via"), line);
	assert_string_equal(far_header(far, "Content-Length"), "0");
	assert_string_equal(far_header(far, "Contact"), "");
	assert_string_equal(lab->log, "invite ");
	snprintf(line, sizeof(line),
		 "INVITE number=200 from=100 display=Alice from_uri=sip:100@%s to=200 "
		 "to_uri=sip:200@%s ua=phone/1 mf=70 sdp=%zu",
		 lab->far_text, lab->node_text, strlen(LAB_SDP));
	assert_string_equal(lab->seen, line);
	assert_string_equal(leg_user_agent(lab->leg), "phone/1");
	assert_string_equal(leg_call_id(lab->leg), "c1");
	assert_true(leg_arrived_us(lab->leg) <= loop_now_us(lab->loop));
	assert_false(leg_settled(lab->leg));

	assert_int_equal(leg_progress(lab->leg, 180, NULL, NULL, 0), 0);
	far_expect(lab, far, "SIP/2.0 180 Ringing\r\n");
	snprintf(line, sizeof(line), "<sip:%s>", lab->node_text);
	assert_string_equal(far_header(far, "Contact"), line);
	snprintf(line, sizeof(line), "\"Alice\" <sip:100@%s>;tag=ft", lab->far_text);
	assert_string_equal(far_header(far, "From"), line);
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(far, "To"), "tag"));
	assert_int_equal(strlen(tag), 16);

	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, far, "SIP/2.0 200 OK\r\n");
	assert_string_equal(far_param(far_header(far, "To"), "tag"), tag);
	assert_string_equal(far_header(far, "CSeq"), "10 INVITE");
	assert_string_equal(far_header(far, "Allow"), LAB_ALLOW);
	assert_string_equal(far_header(far, "Server"), "rtpfwd/" RTPFWD_VERSION);
	assert_string_equal(far_header(far, "Content-Type"), "application/sdp");
	assert_string_equal(far_body(far), LAB_SDP);
	assert_false(leg_settled(lab->leg));

	far_request(lab, "ACK", 10, "z9hG4bK2", "c1", tag);
	lab_until(lab, leg_settled(lab->leg));
	far_request(lab, "BYE", 11, "z9hG4bK3", "c1", tag);
	far_expect(lab, far, "SIP/2.0 200 OK\r\n");
	assert_string_equal(far_header(far, "CSeq"), "11 BYE");
	assert_string_equal(lab->log, "invite acked ended:bye ");
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
	/* The BYE again, after the leg is gone: the same answer. */
	far_request(lab, "BYE", 11, "z9hG4bK3", "c1", tag);
	far_expect_again(lab, far);
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "INVITE", 0, "in"), 1);
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "BYE", 0, "in"), 2);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "BYE", 200, "out"), 1);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "INVITE", 180, "out"), 1);
	assert_int_equal(lab_counter(lab, SIP_RETRANSMITS, "", 0, ""), 1);
}

static void test_everything_ends(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	leg_bye(lab->leg, NULL);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_drain(lab);
}

static void test_retransmitted_invite(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, far, "SIP/2.0 100 ");
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect_again(lab, far);
	leg_progress(lab->leg, 183, "Session Progress", LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, far, "SIP/2.0 183 ");
	assert_string_equal(far_body(far), LAB_SDP);
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect_again(lab, far);
	/* RFC 6026: after the 200 it is absorbed. */
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, far, "SIP/2.0 200 ");
	far_invite(lab, "z9hG4bK1", "c1", "");
	lab_until(lab, lab_counter(lab, SIP_REQUESTS, "INVITE", 0, "in") == 4);
	far_expect_nothing(lab, far);
	assert_string_equal(lab->log, "invite ");
	assert_int_equal(lab_legs(lab), 1);
	leg_free(lab->leg);
}

static void test_retransmitted_invite_after_bye(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	far_request(lab, "BYE", 11, "z9hG4bKbye", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	leg_free(lab->leg);
	far_invite(lab, "z9hG4bKup", "up", "");
	lab_until(lab, lab_counter(lab, SIP_REQUESTS, "INVITE", 0, "in") == 2);
	far_expect_nothing(lab, &lab->far);
	assert_int_equal(lab_legs(lab), 0);
}

static void test_old_invite(void **state)
{
	struct lab *lab = *state;

	/* RFC 2543: a branch without the cookie, or none: matched by all that stays the same. */
	far_invite(lab, "1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_invite(lab, "1", "c1", "");
	far_expect_again(lab, &lab->far);
	leg_refuse(lab->leg, 486, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 486 Busy Here\r\n");
	leg_free(lab->leg);
	far_send(lab, &lab->far,
		 "ACK sip:200@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=1\nFrom: \"Alice\" "
		 "<sip:100@%s>;tag=ft\n"
		 "To: %s\nCall-ID: c1\nCSeq: 10 ACK\n\n",
		 lab->node_text, lab->far_text, lab->far_text, far_header(&lab->far, "To"));
	lab_drain(lab);
	assert_string_equal(lab->log, "invite ");
}

static void test_merged(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_invite(lab, "z9hG4bKother", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 482 Merged Request\r\n");
	assert_string_equal(lab->log, "invite ");
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "merged"), 1);
	leg_free(lab->leg);
}

static void test_cancel(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char tag[64];

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, far, "SIP/2.0 100 ");
	far_request(lab, "CANCEL", 10, "z9hG4bK1", "c1", "");
	far_expect(lab, far, "SIP/2.0 200 OK\r\n");
	assert_string_equal(far_header(far, "CSeq"), "10 CANCEL");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(far, "To"), "tag"));
	far_expect(lab, far, "SIP/2.0 487 Request Terminated\r\n");
	assert_string_equal(far_header(far, "CSeq"), "10 INVITE");
	assert_string_equal(far_param(far_header(far, "To"), "tag"), tag);
	assert_string_equal(lab->log, "invite cancelled ");
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
	far_request(lab, "ACK", 10, "z9hG4bK1", "c1", tag);
	lab_drain(lab);
}

static void test_cancel_nothing(void **state)
{
	struct lab *lab = *state;

	far_request(lab, "CANCEL", 10, "z9hG4bKnone", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 481 ");
	assert_int_equal(lab->admitted, 0);
	assert_int_equal(lab_transactions(lab), 0);
}

static void test_cancel_crosses_200(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 OK");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	far_request(lab, "CANCEL", 10, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 200 OK");
	assert_string_equal(far_header(&lab->far, "CSeq"), "10 CANCEL");
	assert_string_equal(lab->log, "invite ");
	far_request(lab, "ACK", 10, "z9hG4bK2", "c1", tag);
	far_request(lab, "BYE", 11, "z9hG4bK3", "c1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 OK");
	assert_string_equal(lab->log, "invite acked ended:bye ");
	leg_free(lab->leg);
}

static void test_refusal_until_ack(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_refuse(lab->leg, 503, "No\r\nPorts: x", 30);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "SIP/2.0 503 No  Ports: x\r\n");
	assert_string_equal(far_header(&lab->far, "Retry-After"), "30");
	assert_string_equal(far_header(&lab->far, "Ports"), "");
	far_expect_again(lab, &lab->far); /* timer G */
	far_expect_again(lab, &lab->far);
	far_request(lab, "ACK", 10, "z9hG4bK1", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	lab_drain(lab);
}

static void test_refusal_without_ack(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_refuse(lab->leg, 404, NULL, 0);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "SIP/2.0 404 Not Found\r\n");
	lab_drain(lab); /* timer H */
}

static void test_lost_ack(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect_again(lab, &lab->far);
	far_expect_again(lab, &lab->far);
	far_request(lab, "ACK", 10, "z9hG4bK2", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	lab_until(lab, leg_settled(lab->leg));
	assert_string_equal(lab->log, "invite acked ");
	leg_free(lab->leg);
}

static void test_no_ack(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect(lab, &lab->far, "BYE sip:100@");
	assert_string_equal(far_header(&lab->far, "CSeq"), "1 BYE");
	assert_string_equal(lab->log, "invite ended:no_ack ");
	leg_free(lab->leg);
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_drain(lab);
}

static void test_bye_waits_for_ack(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	leg_bye(lab->leg, "Q.850;cause=16");
	leg_free(lab->leg);
	far_expect_nothing(lab, &lab->far);
	assert_int_equal(lab_legs(lab), 1);
	far_request(lab, "ACK", 10, "z9hG4bK2", "c1", tag);
	far_expect(lab, &lab->far, "BYE sip:100@");
	assert_string_equal(far_header(&lab->far, "Reason"), "Q.850;cause=16");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
	assert_string_equal(lab->log, "invite ");
}

static void refuse_at_once(struct lab *lab, struct leg *leg)
{
	leg_refuse(leg, 404, NULL, 0);
	leg_free(leg);
	lab->leg = NULL;
}

static void test_refused_inside_event(void **state)
{
	struct lab *lab = *state;

	lab->on_invite = refuse_at_once;
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_expect(lab, &lab->far, "SIP/2.0 404 Not Found\r\n");
	assert_int_equal(lab_legs(lab), 0);
}

static void leave_at_once(struct lab *lab, struct leg *leg)
{
	leg_take(leg, NULL, NULL);
	lab->leg = NULL;
}

static void test_not_taken(void **state)
{
	struct lab *lab = *state;

	lab->on_invite = leave_at_once;
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_expect(lab, &lab->far, "SIP/2.0 500 Server Internal Error\r\n");
	assert_int_equal(lab_legs(lab), 0);
}

static void test_freed_unanswered(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	assert_int_equal(lab_legs(lab), 0);
}

static void test_bye_before_answer(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_progress(lab->leg, 180, NULL, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 180 ");
	far_request(lab, "BYE", 11, "z9hG4bK3", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	far_expect(lab, &lab->far, "SIP/2.0 200 OK");
	assert_string_equal(far_header(&lab->far, "CSeq"), "11 BYE");
	far_expect(lab, &lab->far, "SIP/2.0 487 ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "10 INVITE");
	assert_string_equal(lab->log, "invite ended:bye ");
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
}

static void test_progress_is_repeated(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_progress(lab->leg, 180, NULL, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 180 ");
	far_expect_again(lab, &lab->far);
	far_expect_again(lab, &lab->far);
	leg_free(lab->leg);
}

static void test_record_route(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char more[256], line[256], tag[64];

	snprintf(more, sizeof(more),
		 "Record-Route: <sip:%s;lr>, <sip:p2.example;lr>\nRecord-Route: "
		 "<sip:p3.example;lr>\n",
		 lab->far_text);
	far_invite(lab, "z9hG4bK1", "c1", more);
	far_expect(lab, far, "SIP/2.0 100 ");
	assert_string_equal(far_header(far, "Record-Route"), "");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, far, "SIP/2.0 200 ");
	snprintf(line, sizeof(line), "<sip:%s;lr>, <sip:p2.example;lr>", lab->far_text);
	assert_string_equal(far_header(far, "Record-Route"), line);
	assert_string_equal(far_header_n(far, "Record-Route", 1), "<sip:p3.example;lr>");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(far, "To"), "tag"));
	far_request(lab, "ACK", 10, "z9hG4bK2", "c1", tag);
	lab_until(lab, leg_settled(lab->leg));
	leg_bye(lab->leg, NULL);
	leg_free(lab->leg);
	snprintf(line, sizeof(line), "BYE sip:100@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, far, line);
	snprintf(line, sizeof(line), "<sip:%s;lr>", lab->far_text);
	assert_string_equal(far_header(far, "Route"), line);
	assert_string_equal(far_header_n(far, "Route", 1), "<sip:p2.example;lr>");
	assert_string_equal(far_header_n(far, "Route", 2), "<sip:p3.example;lr>");
	snprintf(line, sizeof(line), "<sip:200@%s>;tag=%s", lab->node_text, tag);
	assert_string_equal(far_header(far, "From"), line);
	snprintf(line, sizeof(line), "\"Alice\" <sip:100@%s>;tag=ft", lab->far_text);
	assert_string_equal(far_header(far, "To"), line);
}

static void test_strict_route(void **state)
{
	struct lab *lab = *state;
	char more[256], line[256];

	snprintf(more, sizeof(more), "Record-Route: <sip:%s>\nRecord-Route: <sip:p2.example;lr>\n",
		 lab->far_text);
	far_invite(lab, "z9hG4bK1", "c1", more);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_request(lab, "ACK", 10, "z9hG4bK2", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	lab_until(lab, leg_settled(lab->leg));
	leg_free(lab->leg);
	snprintf(line, sizeof(line), "BYE sip:%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, &lab->far, line);
	assert_string_equal(far_header(&lab->far, "Route"), "<sip:p2.example;lr>");
	snprintf(line, sizeof(line), "<sip:100@%s>", lab->far_text);
	assert_string_equal(far_header_n(&lab->far, "Route", 1), line);
}

#define T(name)	    cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)
#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_call),
		SHORT(test_everything_ends),
		T(test_retransmitted_invite),
		T(test_retransmitted_invite_after_bye),
		SHORT(test_old_invite),
		T(test_merged),
		SHORT(test_cancel),
		T(test_cancel_nothing),
		T(test_cancel_crosses_200),
		SHORT(test_refusal_until_ack),
		SHORT(test_refusal_without_ack),
		SHORT(test_lost_ack),
		SHORT(test_no_ack),
		T(test_bye_waits_for_ack),
		T(test_refused_inside_event),
		T(test_not_taken),
		T(test_freed_unanswered),
		T(test_bye_before_answer),
		SHORT(test_progress_is_repeated),
		T(test_record_route),
		T(test_strict_route),
	};

	return cmocka_run_group_tests_name("sip_uas", tests, NULL, NULL);
}
