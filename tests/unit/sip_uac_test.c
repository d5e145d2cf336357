// SPDX-License-Identifier: GPL-2.0-or-later
/* Outgoing calls: INVITE client transactions and the dialogs that they make. */
#include "sip_lab.h"

static void test_call(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char line[256], call_id[64], from_tag[64], branch[64];

	lab_outgoing(lab, false);
	snprintf(line, sizeof(line), "INVITE sip:200@%s SIP/2.0\r\n", lab->far_text);
	assert_memory_equal(far->text, line, strlen(line));
	snprintf(branch, sizeof(branch), "%s", far_param(far_header(far, "Via"), "branch"));
	assert_memory_equal(branch, "z9hG4bK", 7);
	snprintf(line, sizeof(line), "SIP/2.0/UDP %s;branch=%s;rport", lab->node_text, branch);
	assert_string_equal(far_header(far, "Via"), line);
	assert_string_equal(far_header(far, "Max-Forwards"), "69");
	snprintf(from_tag, sizeof(from_tag), "%s", far_param(far_header(far, "From"), "tag"));
	assert_int_equal(strlen(from_tag), 16);
	addr_print_ip(call_id, &lab->node);
	snprintf(line, sizeof(line), "\"Alice\" <sip:100@%s>;tag=%s", call_id, from_tag);
	assert_string_equal(far_header(far, "From"), line);
	snprintf(line, sizeof(line), "<sip:200@%s>", lab->far_text);
	assert_string_equal(far_header(far, "To"), line);
	assert_string_equal(far_header(far, "CSeq"), "1 INVITE");
	snprintf(line, sizeof(line), "<sip:%s>", lab->node_text);
	assert_string_equal(far_header(far, "Contact"), line);
	assert_string_equal(far_header(far, "Allow"), LAB_ALLOW);
	assert_string_equal(far_header(far, "Content-Type"), "application/sdp");
	assert_string_equal(far_body(far), LAB_SDP);
	snprintf(call_id, sizeof(call_id), "%s", far_header(far, "Call-ID"));
	assert_string_equal(call_id, leg_call_id(lab->leg));

	far_respond(lab, far, "100 Trying", "", "", "");
	far_respond(lab, far, "180 Ringing", "tt", lab_contact(lab), "");
	far_respond(lab, far, "183 Session Progress", "tt", lab_contact(lab), LAB_SDP);
	lab_until(lab, strcmp(lab->log, "progress:180 progress:183+sdp ") == 0);
	far_respond(lab, far, "200 OK", "tt", "Server: far/2\nContact: <sip:new@127.0.0.1:9>\n",
		    LAB_SDP);
	far_expect_nothing(lab, far); /* the ACK goes to the remote target, not here */
	assert_string_equal(lab->log, "progress:180 progress:183+sdp answered+sdp ");
	assert_string_equal(leg_user_agent(lab->leg), "far/2");
	assert_true(leg_settled(lab->leg));
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "ACK", 0, "out"), 1);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "INVITE", 183, "in"), 1);
	leg_free(lab->leg);
}

static void test_ack_and_bye(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char line[256], invite_branch[64];

	lab_outgoing(lab, false);
	snprintf(invite_branch, sizeof(invite_branch), "%s",
		 far_param(far_header(far, "Via"), "branch"));
	far_respond(lab, far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	snprintf(line, sizeof(line), "ACK sip:200@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, far, line);
	assert_string_equal(far_header(far, "CSeq"), "1 ACK");
	assert_string_not_equal(far_param(far_header(far, "Via"), "branch"), invite_branch);
	snprintf(line, sizeof(line), "<sip:200@%s>;tag=tt", lab->far_text);
	assert_string_equal(far_header(far, "To"), line);
	assert_string_equal(far_header(far, "Content-Length"), "0");
	leg_bye(lab->leg, "SIP;cause=200;text=\"Call completed elsewhere\"");
	leg_free(lab->leg);
	snprintf(line, sizeof(line), "BYE sip:200@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, far, line);
	assert_string_equal(far_header(far, "CSeq"), "2 BYE");
	assert_string_equal(far_header(far, "Reason"),
			    "SIP;cause=200;text=\"Call completed elsewhere\"");
	assert_int_equal(lab_legs(lab), 1);
	far_respond(lab, far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
	assert_string_equal(lab->log, "answered+sdp ");
}

static void test_retransmission(void **state)
{
	struct lab *lab = *state;

	lab_outgoing(lab, false);
	far_expect_again(lab, &lab->far); /* timer A */
	far_expect_again(lab, &lab->far);
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "INVITE", 0, "out"), 1);
	assert_true(lab_counter(lab, SIP_RETRANSMITS, "", 0, "") >= 2);
	lab_until(lab, *lab->log); /* timer B */
	assert_string_equal(lab->log, "failed:408:Request Timeout ");
	assert_int_equal(lab_transactions(lab), 0);
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
}

static void test_duplicate_200(void **state)
{
	struct lab *lab = *state;
	char invite[65536], ack[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	strcpy(ack, lab->far.text);
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	far_expect_again(lab, &lab->far);
	assert_string_equal(lab->far.text, ack);
	assert_string_equal(lab->log, "answered+sdp ");
	/* Also when the leg is gone. */
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	strcpy(lab->far.last, ack);
	far_expect_again(lab, &lab->far);
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "ACK", 0, "out"), 1);
}

static void test_forked_200(void **state)
{
	struct lab *lab = *state;
	char invite[65536], line[256];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "other", lab_contact(lab), "");
	/* The 2xx decides, whatever rang first. */
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "tt");
	strcpy(lab->far.text, invite);
	snprintf(line, sizeof(line), "Contact: <sip:fork@%s>\n", lab->far_text);
	far_respond(lab, &lab->far, "200 OK", "other", line, LAB_SDP);
	snprintf(line, sizeof(line), "ACK sip:fork@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, &lab->far, line);
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "other");
	snprintf(line, sizeof(line), "BYE sip:fork@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, &lab->far, line);
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "other");
	assert_string_equal(far_header(&lab->far, "CSeq"), "2 BYE");
	assert_string_equal(lab->log, "progress:180 answered+sdp ");
	leg_free(lab->leg);
}

static void refused_with(struct lab *lab, const char *status, const char *more, const char *event)
{
	char invite[65536], via[256];

	lab->log[0] = '\0';
	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	snprintf(via, sizeof(via), "%s", far_header(&lab->far, "Via"));
	far_respond(lab, &lab->far, status, "tt", more, "");
	far_expect(lab, &lab->far, "ACK sip:200@");
	assert_string_equal(far_header(&lab->far, "Via"), via);
	assert_string_equal(far_header(&lab->far, "CSeq"), "1 ACK");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "tt");
	assert_string_equal(lab->log, event);
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
	/* The refusal comes again: so does the ACK, and nobody hears of it. */
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, status, "tt", more, "");
	far_expect_again(lab, &lab->far);
	assert_string_equal(lab->log, event);
}

static void test_refusals(void **state)
{
	struct lab *lab = *state;

	refused_with(lab, "302 Moved Temporarily", "Contact: <sip:elsewhere@127.0.0.1>\n",
		     "failed:302:Moved Temporarily ");
	refused_with(lab, "486 Busy Here", "", "failed:486:Busy Here ");
	refused_with(lab, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\n",
		     "failed:401:Unauthorized ");
	refused_with(lab, "503 Full", "Retry-After: 17 (soon);duration=3\n", "failed:503:Full:17 ");
	refused_with(lab, "603 Decline", "", "failed:603:Decline ");
	lab_drain(lab); /* timer D */
}

static void test_cancel_before_1xx(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char invite[65536], via[256], cseq_to[256];

	lab_outgoing(lab, false);
	strcpy(invite, far->text);
	snprintf(via, sizeof(via), "%s", far_header(far, "Via"));
	snprintf(cseq_to, sizeof(cseq_to), "%s", far_header(far, "To"));
	leg_cancel(lab->leg);
	far_expect_nothing(lab, far);
	far_respond(lab, far, "180 Ringing", "tt", "", "");
	far_expect(lab, far, "CANCEL sip:200@");
	assert_string_equal(far_header(far, "Via"), via);
	assert_string_equal(far_header(far, "To"), cseq_to);
	assert_string_equal(far_header(far, "CSeq"), "1 CANCEL");
	assert_string_equal(lab->log, "");
	far_respond(lab, far, "200 OK", "tt", "", "");
	strcpy(far->text, invite);
	far_respond(lab, far, "487 Request Terminated", "tt", "", "");
	far_expect(lab, far, "ACK ");
	assert_string_equal(lab->log, "failed:487:Request Terminated ");
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
}

static void test_free_while_ringing(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "tt", "", "");
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "CANCEL ");
	far_respond(lab, &lab->far, "200 OK", "tt", "", "");
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "487 Request Terminated", "tt", "", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "progress:180 ");
	lab_drain(lab);
}

static void test_cancel_crosses_200(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "tt", "", "");
	leg_cancel(lab->leg);
	far_expect(lab, &lab->far, "CANCEL ");
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(lab->log, "progress:180 failed:487:Request Terminated ");
	leg_free(lab->leg);
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
}

static void test_cancel_never_answered(void **state)
{
	struct lab *lab = *state;

	lab_outgoing(lab, false);
	far_respond(lab, &lab->far, "180 Ringing", "tt", "", "");
	leg_cancel(lab->leg);
	far_expect(lab, &lab->far, "CANCEL ");
	lab_until(lab, strstr(lab->log, "failed"));
	assert_string_equal(lab->log, "progress:180 failed:408:Request Timeout ");
	leg_free(lab->leg);
	lab_drain(lab);
}

static void test_timer_c(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "tt", "", "");
	far_expect(lab, &lab->far, "CANCEL ");
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "487 Request Terminated", "tt", "", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "progress:180 failed:408:Request Timeout ");
	leg_free(lab->leg);
}

static void test_bye_unanswered(void **state)
{
	struct lab *lab = *state;

	lab_outgoing_up(lab);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
	far_expect_again(lab, &lab->far); /* timer E */
	lab_drain(lab);			  /* timer F */
	assert_string_equal(lab->log, "");
}

static void test_unreachable(void **state)
{
	struct lab *lab = *state;
	struct leg_target target = {.realm = &lab->conf->realms[0],
				    .number = "1",
				    .from_user = "",
				    .from_display = "",
				    .max_forwards = 70};
	struct leg *leg;

	/* From a socket of 127.0.0.0/8 nothing leaves for another network. */
	assert_int_equal(addr_parse(&target.to, "192.0.2.1:5060"), 0);
	assert_int_equal(leg_new(&leg, lab->sip, &target, &lab_events, lab), 0);
	assert_true(leg_invite(leg, LAB_SDP, strlen(LAB_SDP)) < 0);
	leg_free(leg);
	assert_int_equal(addr_parse(&target.to, "[::1]:5060"), 0);
	assert_int_equal(leg_new(&leg, lab->sip, &target, &lab_events, lab), -EADDRNOTAVAIL);
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
	assert_string_equal(lab->log, "");
}

static void test_record_route_reversed(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char more[512], line[256];

	lab_outgoing(lab, false);
	snprintf(more, sizeof(more),
		 "Record-Route: <sip:p3.example;lr>\nRecord-Route: "
		 "<sip:p2.example;lr>,<sip:%s;lr>\nContact: <sip:c@phone.example>\n",
		 lab->far_text);
	far_respond(lab, far, "200 OK", "tt", more, LAB_SDP);
	far_expect(lab, far, "ACK sip:c@phone.example SIP/2.0\r\n");
	snprintf(line, sizeof(line), "<sip:%s;lr>", lab->far_text);
	assert_string_equal(far_header(far, "Route"), line);
	assert_string_equal(far_header_n(far, "Route", 1), "<sip:p2.example;lr>");
	assert_string_equal(far_header_n(far, "Route", 2), "<sip:p3.example;lr>");
	leg_free(lab->leg);
}

static void test_named_target_goes_to_source(void **state)
{
	struct lab *lab = *state;

	lab_outgoing(lab, false);
	far_respond(lab, &lab->far, "200 OK", "tt", "Contact: <sip:c@phone.example>\n", LAB_SDP);
	far_expect(lab, &lab->far, "ACK sip:c@phone.example SIP/2.0\r\n");
	leg_free(lab->leg);
}

/* Its transport parameter is of no use without an address to go with. */
static void test_named_target_of_other_transport(void **state)
{
	struct lab *lab = *state;

	lab_outgoing(lab, false);
	far_respond(lab, &lab->far, "200 OK", "tt",
		    "Contact: <sip:c@phone.example;transport=tcp>\n"
		    "Record-Route: <sip:proxy.example;transport=tcp;lr>\n",
		    LAB_SDP);
	far_expect(lab, &lab->far, "ACK sip:c@phone.example;transport=tcp SIP/2.0\r\n");
	assert_string_equal(far_header(&lab->far, "Route"), "<sip:proxy.example;transport=tcp;lr>");
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE sip:c@phone.example;transport=tcp SIP/2.0\r\n");
}

static void test_force_rport_goes_to_source(void **state)
{
	struct lab *lab = *state;

	lab_outgoing(lab, true);
	far_respond(lab, &lab->far, "200 OK", "tt", "Contact: <sip:c@10.1.2.3:5062>\n", LAB_SDP);
	far_expect(lab, &lab->far, "ACK sip:c@10.1.2.3:5062 SIP/2.0\r\n");
	leg_free(lab->leg);
}

static void test_hostile_texts(void **state)
{
	struct lab *lab = *state;
	struct leg_target target = {
		.realm = &lab->conf->realms[1],
		.to = lab->far.at,
		.number = "1 2\r\nX: y@#%;ok",
		.from_user = "a\"b<c>",
		.from_display = "Eve \"\\\r\nX: y",
		.max_forwards = 5,
	};
	char line[256];

	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	snprintf(line, sizeof(line),
		 "INVITE sip:1%%202%%0D%%0AX%%3A%%20y%%40%%23%%25;ok@%s SIP/2.0\r\n",
		 lab->far_text);
	far_expect(lab, &lab->far, line);
	assert_string_equal(far_header(&lab->far, "X"), "");
	assert_memory_equal(far_header(&lab->far, "From"),
			    "\"Eve \\\"\\\\  X: y\" <sip:a%22b%3Cc%3E@192.0.2.7:5070>;tag=", 53);
	/* The realm is known elsewhere by another address. */
	assert_string_equal(far_header(&lab->far, "Contact"), "<sip:192.0.2.7:5070>");
	assert_memory_equal(far_header(&lab->far, "Via"), "SIP/2.0/UDP 192.0.2.7:5070;branch=", 34);
	leg_free(lab->leg);
}

static void test_anonymous(void **state)
{
	struct lab *lab = *state;
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "",
		.from_user = "",
		.from_display = "",
	};
	char line[256], ip[ADDR_TEXT];

	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	snprintf(line, sizeof(line), "INVITE sip:%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, &lab->far, line);
	snprintf(line, sizeof(line), "<sip:anonymous@%s>;tag=", addr_print_ip(ip, &lab->node));
	assert_memory_equal(far_header(&lab->far, "From"), line, strlen(line));
	leg_free(lab->leg);
}

static void test_ipv6(void **state)
{
	struct lab *lab = *state;
	struct leg_target target = {
		.realm = &lab->conf->realms[2],
		.number = "200",
		.from_user = "100",
		.from_display = "",
		.max_forwards = 70,
	};
	struct far six = {0};
	char line[256], at[ADDR_TEXT];

	lab->node = lab->conf->realms[2].binds[0].addr;
	addr_print(lab->node_text, &lab->node);
	far_open(&six, "[::1]:0");
	target.to = six.at;
	addr_print(at, &six.at);
	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	snprintf(line, sizeof(line), "INVITE sip:200@%s SIP/2.0\r\n", at);
	far_expect(lab, &six, line);
	snprintf(line, sizeof(line), "SIP/2.0/UDP %s;branch=", lab->node_text);
	assert_memory_equal(far_header(&six, "Via"), line, strlen(line));
	snprintf(line, sizeof(line), "<sip:%s>", lab->node_text);
	assert_string_equal(far_header(&six, "Contact"), line);
	snprintf(line, sizeof(line), "Contact: <sip:c@%s>\n", at);
	far_respond(lab, &six, "200 OK", "tt", line, LAB_SDP);
	snprintf(line, sizeof(line), "ACK sip:c@%s SIP/2.0\r\n", at);
	far_expect(lab, &six, line);
	leg_free(lab->leg);
	far_expect(lab, &six, "BYE ");
	snprintf(line, sizeof(line), "SIP/2.0/UDP %s;branch=z9hG4bK1", at);
	far_send(lab, &six,
		 "OPTIONS sip:x.example SIP/2.0\nVia: %s\nFrom: <sip:x.example>;tag=1\n"
		 "To: <sip:x.example>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n",
		 line);
	far_expect(lab, &six, "SIP/2.0 200 ");
	assert_string_equal(far_header(&six, "Via"), line);
	close(six.fd);
}

static void test_free_before_invite(void **state)
{
	struct lab *lab = *state;
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "1",
		.from_user = "",
		.from_display = "",
	};

	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(lab_legs(lab), 1);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), -ENOTCONN);
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EINVAL);
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
	far_expect_nothing(lab, &lab->far);
}

static void test_response_with_two_vias(void **state)
{
	struct lab *lab = *state;
	char line[512];

	lab_outgoing(lab, false);
	snprintf(line, sizeof(line), "Via: SIP/2.0/UDP 127.0.0.9\n%s", lab_contact(lab));
	far_respond(lab, &lab->far, "200 OK", "tt", line, LAB_SDP);
	lab_until(lab, lab_counter(lab, SIP_RESPONSES, "INVITE", 200, "in") == 1);
	assert_string_equal(lab->log, "");
	leg_free(lab->leg);
}

#define T(name)	    cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)
#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_call),
		T(test_ack_and_bye),
		SHORT(test_retransmission),
		T(test_duplicate_200),
		T(test_forked_200),
		SHORT(test_refusals),
		T(test_cancel_before_1xx),
		SHORT(test_free_while_ringing),
		T(test_cancel_crosses_200),
		SHORT(test_cancel_never_answered),
		SHORT(test_timer_c),
		SHORT(test_bye_unanswered),
		T(test_unreachable),
		T(test_record_route_reversed),
		T(test_named_target_goes_to_source),
		T(test_named_target_of_other_transport),
		T(test_force_rport_goes_to_source),
		T(test_hostile_texts),
		T(test_anonymous),
		T(test_ipv6),
		T(test_free_before_invite),
		T(test_response_with_two_vias),
	};

	return cmocka_run_group_tests_name("sip_uac", tests, NULL, NULL);
}
