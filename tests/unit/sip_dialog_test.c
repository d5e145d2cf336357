// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests inside a dialog, either way. */
#include "sip_lab.h"

static void reinvite(struct lab *lab, unsigned int cseq, const char *branch, const char *tag,
		     const char *contact, const char *type, const char *sdp)
{
	far_send(lab, &lab->far,
		 "INVITE sip:%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=%s\nMax-Forwards: 70\nFrom: "
		 "\"Alice\" <sip:100@%s>;tag=ft\n"
		 "To: <sip:200@%s>;tag=%s\nCall-ID: up\nCSeq: %u INVITE\nContact: "
		 "<sip:%s>\n%s%sContent-Length: %zu\n\n%s",
		 lab->node_text, lab->far_text, branch, lab->far_text, lab->node_text, tag, cseq,
		 contact, *sdp ? "Content-Type: " : "", type, strlen(sdp), sdp);
}

static void offer(struct lab *lab, unsigned int cseq, const char *branch, const char *tag)
{
	reinvite(lab, cseq, branch, tag, lab->far_text, "application/sdp\n", LAB_SDP);
}

static void test_reinvite(void **state)
{
	struct lab *lab = *state;
	char tag[64], line[256];

	lab_incoming_up(lab, tag);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_string_equal(lab->log, "offered+sdp ");
	assert_false(leg_settled(lab->leg));
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "11 INVITE");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), tag);
	snprintf(line, sizeof(line), "<sip:%s>", lab->node_text);
	assert_string_equal(far_header(&lab->far, "Contact"), line);
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EINVAL);
	far_request(lab, "ACK", 11, "z9hG4bKr2", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	assert_string_equal(lab->log, "offered+sdp acked ");
	leg_free(lab->leg);
}

static void answer_at_once(void *owner, struct leg *leg, struct slice sdp)
{
	lab_note(owner, "offered");
	leg_answer(leg, sdp.p, sdp.len);
}

static void test_reinvite_answered_inside(void **state)
{
	struct lab *lab = *state;
	struct leg_events events = lab_events;
	char tag[64];

	lab_incoming_up(lab, tag);
	events.offered = answer_at_once;
	leg_take(lab->leg, &events, lab);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 "); /* no 100 before it */
	assert_string_equal(far_body(&lab->far), LAB_SDP);
	leg_free(lab->leg);
}

static void test_target_refresh(void **state)
{
	struct lab *lab = *state;
	struct far moved = {0};
	char tag[64], at[ADDR_TEXT];

	lab_incoming_up(lab, tag);
	far_open(&moved, "127.0.0.2:0");
	addr_print(at, &moved.at);
	/* Refused: it stays. */
	reinvite(lab, 11, "z9hG4bKr1", tag, at, "application/sdp\n", LAB_SDP);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_refuse(lab->leg, 488, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 488 ");
	far_request(lab, "ACK", 11, "z9hG4bKr1", "up", tag);
	assert_true(leg_settled(lab->leg));
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE sip:100@");
	far_respond(lab, &lab->far, "488 Not Acceptable Here", "", "", "");
	far_expect(lab, &lab->far, "ACK ");
	/* Answered: it moves. */
	reinvite(lab, 12, "z9hG4bKr2", tag, at, "application/sdp\n", LAB_SDP);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_request(lab, "ACK", 12, "z9hG4bKr3", "up", tag);
	leg_free(lab->leg);
	far_expect(lab, &moved, "BYE sip:127.0.0.2:");
	close(moved.fd);
}

static void test_offerless(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	reinvite(lab, 11, "z9hG4bKr1", tag, lab->far_text, "", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_string_equal(lab->log, "asked ");
	lab->log[0] = '\0';
	leg_disagree(lab->leg, 488, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 488 Not Acceptable Here\r\n");
	far_request(lab, "ACK", 11, "z9hG4bKr1", "up", tag);
	reinvite(lab, 12, "z9hG4bKr2", tag, lab->far_text, "text/plain\n", "hello");
	far_expect(lab, &lab->far, "SIP/2.0 415 Unsupported Media Type\r\n");
	assert_string_equal(far_header(&lab->far, "Accept"), "application/sdp");
	assert_string_equal(lab->log, "");
	leg_free(lab->leg);
}

static void test_glare(void **state)
{
	struct lab *lab = *state;
	char tag[64], ours[65536];

	lab_incoming_up(lab, tag);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE sip:100@");
	assert_string_equal(far_header(&lab->far, "CSeq"), "1 INVITE");
	strcpy(ours, lab->far.text);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 491 Request Pending\r\n");
	assert_string_equal(lab->log, "");
	far_request(lab, "ACK", 11, "z9hG4bKr1", "up", tag);
	strcpy(lab->far.text, ours);
	far_respond(lab, &lab->far, "488 Not Acceptable Here", "", "", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "reanswered:488 ");
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
}

static void test_second_offer_pending(void **state)
{
	struct lab *lab = *state;
	char tag[64];
	int after;

	lab_incoming_up(lab, tag);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	offer(lab, 12, "z9hG4bKr2", tag);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	after = atoi(far_header(&lab->far, "Retry-After"));
	assert_in_range(after, 1, 10);
	assert_string_equal(far_header(&lab->far, "CSeq"), "12 INVITE");
	assert_string_equal(lab->log, "offered+sdp ");
	leg_free(lab->leg);
}

/* Those refused before are sent again meanwhile. */
static void refused_500(struct lab *lab, unsigned int cseq)
{
	do {
		far_expect(lab, &lab->far, "SIP/2.0 500 ");
		assert_in_range(atoi(far_header(&lab->far, "Retry-After")), 1, 10);
	} while ((unsigned int)atoi(far_header(&lab->far, "CSeq")) != cseq);
}

/* One re-INVITE that is open, CSeq 11, and so many more. */
static void flood(struct lab *lab, unsigned int n, const char *tag)
{
	char branch[32];

	offer(lab, 11, "z9hG4bKfirst", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	for (unsigned int i = 0; i < n; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bKf%u", i);
		offer(lab, 12 + i, branch, tag);
		refused_500(lab, 12 + i);
	}
	assert_string_equal(lab->log, "offered+sdp ");
}

/* A dialog is no way around the limits: beyond 32 in the time that answered ones linger, re-INVITEs
 * are refused and forgotten, those sent again too. */
static void test_flood_of_reinvites(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	flood(lab, 200, tag);
	/* Of the INVITE at set-up one lingers, too. */
	assert_int_equal(lab_transactions(lab), 33);
	offer(lab, 211, "z9hG4bKf199", tag);
	refused_500(lab, 211);
	assert_int_equal(lab_transactions(lab), 33);
	leg_free(lab->leg);
}

/* It has its turn again when those linger no more. */
static void test_flood_is_over(void **state)
{
	struct lab *lab = *state;
	char tag[64];
	uint64_t until;

	lab_incoming_up(lab, tag);
	flood(lab, 40, tag);
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_request(lab, "ACK", 11, "z9hG4bKfack", "up", tag);
	until = loop_now_ms(lab->loop) + 64ull * lab_short.t1;
	lab_until(lab, loop_now_ms(lab->loop) >= until);
	while (far_take(lab, &lab->far, 0))
		;
	offer(lab, 60, "z9hG4bKagain", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_free(lab->leg);
}

static void test_second_invite_in_setup(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	far_invite(lab, "z9hG4bKup", "up", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_progress(lab->leg, 180, NULL, NULL, 0);
	far_expect(lab, &lab->far, "SIP/2.0 180 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	assert_string_equal(lab->log, "invite ");
	leg_free(lab->leg);
}

static void test_old_cseq(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	offer(lab, 9, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	assert_string_equal(far_header(&lab->far, "Retry-After"), "");
	far_request(lab, "BYE", 9, "z9hG4bKr2", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	offer(lab, 10, "z9hG4bKr3", tag);
	far_expect(lab, &lab->far, "SIP/2.0 482 ");
	assert_string_equal(lab->log, "");
	leg_free(lab->leg);
}

static void test_reinvite_before_ack(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	far_invite(lab, "z9hG4bKup", "up", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_string_equal(lab->log, "invite acked offered+sdp ");
	/* The late ACK means nothing any more. */
	far_request(lab, "ACK", 10, "z9hG4bKa", "up", tag);
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_request(lab, "ACK", 11, "z9hG4bKa2", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	assert_string_equal(lab->log, "invite acked offered+sdp acked ");
	leg_free(lab->leg);
}

static void test_cancelled_reinvite(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_request(lab, "CANCEL", 11, "z9hG4bKr1", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect(lab, &lab->far, "SIP/2.0 487 ");
	assert_string_equal(lab->log, "offered+sdp offer_cancelled ");
	far_request(lab, "ACK", 11, "z9hG4bKr1", "up", tag);
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
}

static void test_bye_during_offer(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_request(lab, "BYE", 12, "z9hG4bKb", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect(lab, &lab->far, "SIP/2.0 487 ");
	assert_string_equal(lab->log, "offered+sdp ended:bye ");
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EINVAL);
	leg_free(lab->leg);
	assert_int_equal(lab_legs(lab), 0);
}

static void test_our_reinvite(void **state)
{
	struct lab *lab = *state;
	char invite[65536], line[256];

	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	snprintf(line, sizeof(line), "INVITE sip:200@%s SIP/2.0\r\n", lab->far_text);
	far_expect(lab, &lab->far, line);
	assert_string_equal(far_header(&lab->far, "CSeq"), "2 INVITE");
	assert_string_equal(far_header(&lab->far, "Max-Forwards"), "70");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "tt");
	strcpy(invite, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "", "", "");
	far_respond(lab, &lab->far, "200 OK", "", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "2 ACK");
	assert_string_equal(lab->log, "reanswered:200+sdp ");
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "200 OK", "", lab_contact(lab), LAB_SDP);
	far_expect_again(lab, &lab->far);
	assert_string_equal(lab->log, "reanswered:200+sdp ");
	leg_free(lab->leg);
}

static void test_our_reinvite_lost(void **state)
{
	struct lab *lab = *state;

	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	lab_until(lab, *lab->log);
	assert_string_equal(lab->log, "reanswered:408 ");
	leg_free(lab->leg);
	lab_drain(lab);
}

static void test_bye_during_our_reinvite(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE ");
	strcpy(invite, lab->far.text);
	leg_bye(lab->leg, NULL);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "3 BYE");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	/* The late 2xx is acknowledged, and that is all. */
	strcpy(lab->far.text, invite);
	far_respond(lab, &lab->far, "200 OK", "", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "");
	lab_until(lab, lab_legs(lab) == 0);
}

/* Whoever ends the dialog: a re-INVITE that rings in it is cancelled, and does not wait for
 * timer C. */
static void bye_while_our_reinvite_rings(struct lab *lab, bool theirs)
{
	char tag[64], expected[32];

	lab_incoming_up(lab, tag);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE ");
	snprintf(expected, sizeof(expected), "%u CANCEL",
		 (unsigned int)atoi(far_header(&lab->far, "CSeq")));
	far_respond(lab, &lab->far, "180 Ringing", "", "", "");
	lab_turn(lab);
	if (theirs)
		far_request(lab, "BYE", 11, "z9hG4bKb", "up", tag);
	else
		leg_bye(lab->leg, NULL);
	if (theirs)
		far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect(lab, &lab->far, "CANCEL ");
	assert_string_equal(far_header(&lab->far, "CSeq"), expected);
	leg_free(lab->leg);
}

static void test_our_bye_while_our_reinvite_rings(void **state)
{
	bye_while_our_reinvite_rings(*state, false);
}

static void test_their_bye_while_our_reinvite_rings(void **state)
{
	bye_while_our_reinvite_rings(*state, true);
}

static void test_crossing_byes(void **state)
{
	struct lab *lab = *state;
	char tag[64], ours[65536];

	lab_incoming_up(lab, tag);
	leg_bye(lab->leg, NULL);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "BYE ");
	strcpy(ours, lab->far.text);
	far_request(lab, "BYE", 11, "z9hG4bKb", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	strcpy(lab->far.text, ours);
	far_respond(lab, &lab->far, "481 Call/Transaction Does Not Exist", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
}

static void test_other_methods(void **state)
{
	static const struct {
		const char *method, *status;
	} table[] = {
		{"OPTIONS", "SIP/2.0 200 OK\r\n"}, {"INFO", "SIP/2.0 405 Method Not Allowed\r\n"},
		{"UPDATE", "SIP/2.0 200 OK\r\n"},  {"REFER", "SIP/2.0 405 "},
		{"PRACK", "SIP/2.0 481 "},	   {"MESSAGE", "SIP/2.0 405 "},
		{"NOTIFY", "SIP/2.0 405 "},	   {"WINK", "SIP/2.0 501 Not Implemented\r\n"},
	};
	struct lab *lab = *state;
	char tag[64], branch[64];

	lab_incoming_up(lab, tag);
	for (unsigned int i = 0; i < sizeof(table) / sizeof(*table); i++) {
		snprintf(branch, sizeof(branch), "z9hG4bKm%u", i);
		far_request(lab, table[i].method, 11 + i, branch, "up", tag);
		far_expect(lab, &lab->far, table[i].status);
		if (strcmp(table[i].method, "PRACK") != 0)
			assert_string_equal(far_header(&lab->far, "Allow"), LAB_ALLOW);
	}
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "other", 0, "in"), 1);
	leg_free(lab->leg);
}

static void test_dialog_alone(void **state)
{
	struct lab *lab = *state;
	struct far stranger = {0};
	char tag[64];

	lab_incoming_up(lab, tag);
	lab->admitted = 0;
	far_request(lab, "BYE", 11, "z9hG4bK1", "up", "another");
	far_expect(lab, &lab->far, "SIP/2.0 481 ");
	far_request(lab, "BYE", 11, "z9hG4bK2", "other", tag);
	far_expect(lab, &lab->far, "SIP/2.0 481 ");
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "no_dialog"), 2);
	/* From another address, in the dialog: nobody is asked. */
	far_open(&stranger, "127.0.0.3:0");
	far_send(lab, &stranger,
		 "BYE sip:x SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.3;rport;branch=z9hG4bK3\nFrom: "
		 "<sip:100@x>;tag=ft\n"
		 "To: <sip:y.example>;tag=%s\nCall-ID: up\nCSeq: 11 BYE\n\n",
		 tag);
	far_expect(lab, &stranger, "SIP/2.0 200 ");
	assert_string_equal(lab->log, "ended:bye ");
	assert_int_equal(lab->admitted, 0);
	close(stranger.fd);
	leg_free(lab->leg);
}

static void test_other_realm(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	lab->node = lab->conf->realms[1].binds[0].addr;
	far_request(lab, "BYE", 11, "z9hG4bK1", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 481 ");
	assert_string_equal(lab->log, "");
	leg_free(lab->leg);
}

static void test_required_extension(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	lab_incoming_up(lab, tag);
	far_send(lab, &lab->far,
		 "OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK3\nFrom: "
		 "<sip:100@x>;tag=ft\nTo: <sip:y.example>;tag=%s\n"
		 "Call-ID: up\nCSeq: 11 OPTIONS\nRequire: 100rel, foo\n\n",
		 lab->far_text, tag);
	far_expect(lab, &lab->far, "SIP/2.0 420 Bad Extension\r\n");
	assert_string_equal(far_header(&lab->far, "Unsupported"), "foo");
	leg_free(lab->leg);
}

static void test_offer_in_answer(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	/* An INVITE without an offer: our 200 carries it, the ACK the answer. */
	far_request(lab, "INVITE", 10, "z9hG4bKup", "up", "");
	far_expect(lab, &lab->far, "SIP/2.0 400 Bad Or Missing Contact\r\n");
	far_send(lab, &lab->far,
		 "INVITE sip:200@%s SIP/2.0\nv: SIP/2.0/UDP %s;branch=z9hG4bKup2\nf: "
		 "<sip:100@%s>;tag=ft\n"
		 "t: <sip:200@%s>\ni: up\nCSeq: 10 INVITE\nm: <sip:100@%s>\nl: 0\n\n",
		 lab->node_text, lab->far_text, lab->far_text, lab->node_text, lab->far_text);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	offer(lab, 11, "z9hG4bKr1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 500 ");
	far_send(lab, &lab->far,
		 "ACK sip:200@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa\nFrom: "
		 "<sip:100@%s>;tag=ft\n"
		 "To: <sip:200@%s>;tag=%s\nCall-ID: up\nCSeq: 10 ACK\nContent-Type: Application / "
		 "SDP;x=y\n\n%s",
		 lab->node_text, lab->far_text, lab->far_text, lab->node_text, tag, LAB_SDP);
	assert_string_equal(lab->log, "invite acked+sdp ");
	leg_free(lab->leg);
}

#define T(name)	    cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)
#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reinvite),
		T(test_reinvite_answered_inside),
		T(test_target_refresh),
		T(test_offerless),
		T(test_glare),
		T(test_second_offer_pending),
		T(test_flood_of_reinvites),
		SHORT(test_flood_is_over),
		T(test_second_invite_in_setup),
		T(test_old_cseq),
		T(test_reinvite_before_ack),
		T(test_cancelled_reinvite),
		T(test_bye_during_offer),
		T(test_our_reinvite),
		SHORT(test_our_reinvite_lost),
		T(test_bye_during_our_reinvite),
		T(test_our_bye_while_our_reinvite_rings),
		T(test_their_bye_while_our_reinvite_rings),
		T(test_crossing_byes),
		T(test_other_methods),
		T(test_dialog_alone),
		T(test_other_realm),
		T(test_required_extension),
		T(test_offer_in_answer),
	};

	return cmocka_run_group_tests_name("sip_dialog", tests, NULL, NULL);
}
