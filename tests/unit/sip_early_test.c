// SPDX-License-Identifier: GPL-2.0-or-later
/* Before the answer and between offers: reliable responses, offers in responses, the queue of jobs;
 * what the far end never does. */
#include "sip_lab.h"

/* Requires reliable responses. */
static void invite_reliably(struct lab *lab, char tag[64])
{
	far_invite(lab, "z9hG4bKup", "up", "Require: 100rel\n");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_reliability(lab->leg), LEG_ONLY_RELIABLE);
	leg_progress_reliably(lab->leg, 183, NULL, LAB_SDP, strlen(LAB_SDP));
	far_expect(lab, &lab->far, "SIP/2.0 183 ");
	snprintf(tag, 64, "%s", far_param(far_header(&lab->far, "To"), "tag"));
}

static void prack(struct lab *lab, const char *tag, const char *branch, unsigned int cseq,
		  const char *rack)
{
	far_send(lab, &lab->far,
		 "PRACK sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\nFrom: "
		 "<sip:100@x>;tag=ft\nTo: <sip:y.example>;tag=%s\n"
		 "Call-ID: up\nCSeq: %u PRACK\nRAck: %s\n\n",
		 lab->far_text, branch, tag, cseq, rack);
}

static void test_no_prack(void **state)
{
	struct lab *lab = *state;
	char tag[64];
	int copies = 0;

	invite_reliably(lab, tag);
	do {
		assert_true(far_take(lab, &lab->far, LAB_DEADLINE_MS));
		copies++;
	} while (strcmp(lab->far.text, lab->far.last) == 0);
	/* After T1, 3, 7, 15, 31, 63 of it, and no more within 64. */
	assert_in_range(copies, 6, 7);
	assert_memory_equal(lab->far.text, "SIP/2.0 504 Server Time-out\r\n", 29);
	assert_string_equal(lab->log, "invite ended:no_prack ");
	leg_free(lab->leg);
	far_request(lab, "ACK", 10, "z9hG4bKup", "up", tag);
	lab_drain(lab);
}

static void test_queue_of_responses(void **state)
{
	struct lab *lab = *state;
	char tag[64], first[32];

	invite_reliably(lab, tag);
	snprintf(first, sizeof(first), "%s 10 INVITE", far_header(&lab->far, "RSeq"));
	for (int i = 1; i < 8; i++)
		assert_int_equal(leg_progress(lab->leg, 180, NULL, NULL, 0), 0);
	assert_int_equal(leg_progress(lab->leg, 180, NULL, NULL, 0), -EBUSY);
	/* The answer waits for the PRACK of the description, not for the rest. */
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect_nothing(lab, &lab->far);
	prack(lab, tag, "p", 11, first);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "11 PRACK");
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "10 INVITE");
	assert_string_equal(far_body(&lab->far), "");
	far_request(lab, "ACK", 10, "z9hG4bKa", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	leg_free(lab->leg);
}

/* RFC 3262 3: the PRACK of a response without a description may come behind the 2xx. */
static void test_overtaken_prack(void **state)
{
	struct lab *lab = *state;
	char tag[64], rack[32];

	far_invite(lab, "z9hG4bKup", "up", "Supported: 100rel\n");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_progress_reliably(lab->leg, 180, NULL, NULL, 0), 0);
	far_expect(lab, &lab->far, "SIP/2.0 180 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	snprintf(rack, sizeof(rack), "%s 10 INVITE", far_header(&lab->far, "RSeq"));
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	prack(lab, tag, "p1", 11, "1 10 INVITE");
	far_expect(lab, &lab->far, "SIP/2.0 481 ");
	prack(lab, tag, "p2", 12, rack);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "12 PRACK");
	far_request(lab, "ACK", 10, "z9hG4bKa", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	leg_free(lab->leg);
}

static void test_bad_racks(void **state)
{
	static const char *const racks[] = {
		"",
		"RAck: \n",
		"RAck: 1\n",
		"RAck: x 10 INVITE\n",
		"RAck: 1 10 INVITE\n",
		"RAck: 4294967296 10 INVITE\n",
	};
	struct lab *lab = *state;
	char tag[64];

	invite_reliably(lab, tag);
	for (unsigned int i = 0; i < sizeof(racks) / sizeof(*racks); i++) {
		far_send(lab, &lab->far,
			 "PRACK sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKp%u\nFrom: "
			 "<sip:100@x>;tag=ft\nTo: <sip:y.example>;tag=%s\n"
			 "Call-ID: up\nCSeq: %u PRACK\n%s\n",
			 lab->far_text, i, tag, 11 + i, racks[i]);
		far_expect(lab, &lab->far, "SIP/2.0 481 ");
	}
	assert_string_equal(lab->log, "invite ");
	leg_free(lab->leg);
}

/* An outgoing INVITE without an offer. */
static void ask(struct lab *lab)
{
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "200",
		.from_user = "100",
		.from_display = "",
		.max_forwards = 69,
	};

	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, NULL, 0), 0);
	far_expect(lab, &lab->far, "INVITE sip:200@");
	assert_string_equal(far_body(&lab->far), "");
}

static void test_offer_never_answered(void **state)
{
	struct lab *lab = *state;

	ask(lab);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	assert_string_equal(lab->log, "answered+sdp ");
	assert_false(leg_settled(lab->leg));
	far_expect_nothing(lab, &lab->far);
	lab_until(lab, strcmp(lab->log, "answered+sdp ") != 0);
	assert_string_equal(lab->log, "answered+sdp ended:no_answer ");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_body(&lab->far), "");
	far_expect(lab, &lab->far, "BYE ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	assert_int_equal(leg_accept(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EINVAL);
	leg_free(lab->leg);
	lab_drain(lab);
}

static void test_bye_before_answer(void **state)
{
	struct lab *lab = *state;

	ask(lab);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	leg_bye(lab->leg, NULL);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_body(&lab->far), "");
	far_expect(lab, &lab->far, "BYE ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	lab_until(lab, lab_legs(lab) == 0);
}

static void test_offer_answered(void **state)
{
	struct lab *lab = *state;

	ask(lab);
	assert_int_equal(leg_accept(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EINVAL);
	far_respond(lab, &lab->far, "200 OK", "tt", lab_contact(lab), LAB_SDP);
	assert_int_equal(leg_accept(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_body(&lab->far), LAB_SDP);
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
}

static void test_one_after_the_other(void **state)
{
	struct lab *lab = *state;

	lab_outgoing_up(lab);
	for (int i = 0; i < 8; i++)
		assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), -EBUSY);
	for (int i = 0; i < 8; i++) {
		char cseq[32];

		far_expect(lab, &lab->far, "INVITE ");
		snprintf(cseq, sizeof(cseq), "%d INVITE", 2 + i);
		assert_string_equal(far_header(&lab->far, "CSeq"), cseq);
		far_expect_nothing(lab, &lab->far);
		far_respond(lab, &lab->far, "200 OK", "", lab_contact(lab), LAB_SDP);
		far_expect(lab, &lab->far, "ACK ");
	}
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
}

/* Pitfall 47: provisional responses and never a final one. */
static void test_pitfall_47_never_final(void **state)
{
	struct lab *lab = *state;

	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE ");
	strcpy(lab->far.last, lab->far.text);
	far_respond(lab, &lab->far, "180 Ringing", "", "", "");
	far_expect(lab, &lab->far, "CANCEL ");
	lab_until(lab, *lab->log);
	assert_string_equal(lab->log, "reanswered:408 ");
	leg_free(lab->leg);
	lab_drain(lab);
}

static void test_pitfall_35_gives_up(void **state)
{
	struct lab *lab = *state;

	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	for (int i = 0; i < 5; i++) {
		far_expect(lab, &lab->far, "INVITE ");
		assert_int_equal(atoi(far_header(&lab->far, "CSeq")), 2 + i);
		assert_string_equal(lab->log, "");
		far_respond(lab, &lab->far, "491 Request Pending", "", "", "");
		far_expect(lab, &lab->far, "ACK ");
	}
	assert_string_equal(lab->log, "reanswered:491 ");
	leg_free(lab->leg);
	lab_drain(lab);
}

/* RFC 3261 14.1: who made the Call-ID waits 2.1 s or more. */
static void test_pitfall_34_waits(void **state)
{
	struct lab *lab = *state;
	uint64_t since;

	sip_set_timing(lab->sip, &(struct sip_timing){.t1 = 500,
						      .t2 = 4000,
						      .t4 = 5000,
						      .d = 32000,
						      .c = 181000,
						      .progress = 60000,
						      .glare = 1,
						      .second = 1000});
	lab_outgoing_up(lab);
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE ");
	far_respond(lab, &lab->far, "491 Request Pending", "", "", "");
	far_expect(lab, &lab->far, "ACK ");
	since = loop_now_ms(lab->loop);
	far_expect(lab, &lab->far, "INVITE ");
	assert_true(loop_now_ms(lab->loop) - since >= 209);
	leg_free(lab->leg);
}

static void test_forks_beyond_count(void **state)
{
	struct lab *lab = *state;
	char tag[16];

	lab_outgoing(lab, false);
	for (int i = 0; i < 20; i++) {
		snprintf(tag, sizeof(tag), "f%d", i);
		far_respond(lab, &lab->far, "180 Ringing", tag, lab_contact(lab), "");
	}
	far_respond(lab, &lab->far, "200 OK", "f19", lab_contact(lab), LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), "f19");
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
}

/* One of the dialogs of an INVITE of ours; `invite` is that, as it came. */
static void fork_responds(struct lab *lab, const char *invite, const char *status, const char *tag,
			  const char *more, const char *sdp)
{
	char lines[512];

	strcpy(lab->far.text, invite);
	snprintf(lines, sizeof(lines), "%s%s", lab_contact(lab), more);
	far_respond(lab, &lab->far, status, tag, lines, sdp);
}

/* The one that was heard last is not the one that has described itself last: its 2xx says nothing
 * new, and the owner is told what it said. */
static void test_pitfall_55_described_before(void **state)
{
	static const char reliably[] = "Require: 100rel\nRSeq: 7\n";
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_responds(lab, invite, "183 Progress", "one", reliably, LAB_SDP);
	far_expect(lab, &lab->far, "PRACK ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	fork_responds(lab, invite, "183 Progress", "two", reliably, LAB_SDP);
	far_expect(lab, &lab->far, "PRACK ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	fork_responds(lab, invite, "180 Ringing", "one", "", "");
	fork_responds(lab, invite, "200 OK", "one", "", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log,
			    "progress:183+sdp progress:183+sdp progress:180 answered+sdp ");
	leg_free(lab->leg);
}

/* LAB_SDP of another port. */
#define AT(port)                                                                                   \
	"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio "       \
	#port " RTP/AVP 0\r\n"

/* A reliable 183 that describes, and its PRACK. */
static void fork_settles(struct lab *lab, const char *invite, const char *tag, const char *sdp)
{
	fork_responds(lab, invite, "183 Progress", tag,
		      "Require: 100rel\nRSeq: 7\nAllow: UPDATE\n", sdp);
	far_expect(lab, &lab->far, "PRACK ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
}

/* The fork of that tag, which was heard last, offers by UPDATE. */
static void fork_updates(struct lab *lab, const char *invite, const char *tag, const char *sdp)
{
	strcpy(lab->far.text, invite);
	far_send(lab, &lab->far,
		 "UPDATE sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKu%s\nFrom: "
		 "<sip:200@x>;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: 1 UPDATE\n"
		 "Contact: <sip:moved@%s>\nContent-Type: application/sdp\n"
		 "Content-Length: %zu\n\n%s",
		 lab->far_text, tag, tag, far_header(&lab->far, "From"),
		 far_header(&lab->far, "Call-ID"), lab->far_text, strlen(sdp), sdp);
}

static void fork_answers(struct lab *lab, const char *invite, const char *tag)
{
	fork_responds(lab, invite, "200 OK", tag, "", "");
	far_expect(lab, &lab->far, "ACK ");
	leg_free(lab->leg);
}

/* The present dialog is that one, and where it said first. */
static void update_goes_to(struct lab *lab, const char *tag)
{
	assert_int_equal(leg_update(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "UPDATE sip:200@");
	assert_string_equal(far_param(far_header(&lab->far, "To"), "tag"), tag);
	far_respond(lab, &lab->far, "488 Not Acceptable Here", "", "", "");
}

/* What it said in an UPDATE counts where it was agreed upon, by whoever offered. */
static void test_update_then_another_fork(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_settles(lab, invite, "one", AT(5000));
	fork_updates(lab, invite, "one", AT(5002));
	assert_int_equal(leg_agree(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	fork_responds(lab, invite, "183 Progress", "two", "", AT(6000));
	assert_string_equal(lab->told, AT(6000));
	fork_answers(lab, invite, "one");
	assert_string_equal(lab->log,
			    "progress:183+sdp offered+sdp progress:183+sdp answered+sdp+offer ");
	assert_string_equal(lab->told, AT(5002));
}

static void test_our_update_then_another_fork(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_settles(lab, invite, "one", AT(5000));
	assert_int_equal(leg_update(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "200 OK", "", "", AT(5002));
	fork_responds(lab, invite, "183 Progress", "two", "", AT(6000));
	fork_answers(lab, invite, "one");
	assert_string_equal(
		lab->log,
		"progress:183+sdp reanswered:200+sdp progress:183+sdp answered+sdp ");
	assert_string_equal(lab->told, AT(5002));
}

/* Nobody was heard since: what the owner has is right, and no answer to the INVITE. */
static void test_update_of_the_one_fork(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_settles(lab, invite, "one", AT(5000));
	fork_updates(lab, invite, "one", AT(5002));
	assert_int_equal(leg_agree(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	fork_answers(lab, invite, "one");
	assert_string_equal(lab->log, "progress:183+sdp offered+sdp answered ");
}

/* It ends after another fork was heard: it is still the first one's, and so is its target. */
static void test_update_ends_after_another_fork(void **state)
{
	struct lab *lab = *state;
	char invite[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_settles(lab, invite, "one", AT(5000));
	fork_updates(lab, invite, "one", AT(5002));
	fork_settles(lab, invite, "two", AT(6000));
	assert_int_equal(leg_agree(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	update_goes_to(lab, "two");
	fork_answers(lab, invite, "two");
	assert_string_equal(lab->log, "progress:183+sdp offered+sdp progress:183+sdp "
				      "reanswered:488 answered+sdp ");
	assert_string_equal(lab->told, AT(6000));
}

static void test_our_update_ends_after_another_fork(void **state)
{
	struct lab *lab = *state;
	char invite[65536], update[65536];

	lab_outgoing(lab, false);
	strcpy(invite, lab->far.text);
	fork_settles(lab, invite, "one", AT(5000));
	assert_int_equal(leg_update(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "UPDATE ");
	strcpy(update, lab->far.text);
	fork_settles(lab, invite, "two", AT(6000));
	strcpy(lab->far.text, update);
	far_respond(lab, &lab->far, "200 OK", "", "Contact: <sip:moved@192.0.2.1>\n",
		    AT(5002));
	update_goes_to(lab, "two");
	fork_answers(lab, invite, "two");
	assert_string_equal(lab->log, "progress:183+sdp progress:183+sdp reanswered:200+sdp "
				      "reanswered:488 answered+sdp ");
	assert_string_equal(lab->told, AT(6000));
}

#define T(name)	    cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)
#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHORT(test_no_prack),
		T(test_queue_of_responses),
		T(test_overtaken_prack),
		T(test_bad_racks),
		SHORT(test_offer_never_answered),
		T(test_bye_before_answer),
		T(test_offer_answered),
		T(test_one_after_the_other),
		SHORT(test_pitfall_47_never_final),
		SHORT(test_pitfall_35_gives_up),
		T(test_pitfall_34_waits),
		T(test_forks_beyond_count),
		T(test_pitfall_55_described_before),
		T(test_update_then_another_fork),
		T(test_our_update_then_another_fork),
		T(test_update_of_the_one_fork),
		T(test_update_ends_after_another_fork),
		T(test_our_update_ends_after_another_fork),
	};

	return cmocka_run_group_tests_name("sip_early", tests, NULL, NULL);
}
