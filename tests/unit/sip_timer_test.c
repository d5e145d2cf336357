// SPDX-License-Identifier: GPL-2.0-or-later
/* What is configured of session timers (RFC 4028): asked for by us, refused, kept within bounds. */
#include "sip_lab.h"

#define UPDATES "Allow: INVITE, ACK, BYE, UPDATE\n"

static void configure(struct lab *lab, enum conf_session_timers timers, unsigned int expires_s)
{
	lab->verdict.session = (struct conf_session){ .timers = timers, .expires_s = expires_s };
}

/* The Session-Expires of the answer to an INVITE with these headers. */
static const char *asked(struct lab *lab, const char *more)
{
	far_invite(lab, "z9hG4bKup", "up", more);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	leg_free(lab->leg);
	return far_header(&lab->far, "Session-Expires");
}

/* Our INVITE is answered with these headers. */
static void answered(struct lab *lab, const char *headers)
{
	char more[512];

	snprintf(more, sizeof(more), "%s%s", lab_contact(lab), headers);
	far_respond(lab, &lab->far, "200 OK", "tt", more, LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
}

static void test_originate(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 0);
	lab_outgoing(lab, false);
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "1800;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "90");
	assert_string_equal(far_header(&lab->far, "Supported"), "timer");
	answered(lab, "Require: timer\nSession-Expires: 90;refresher=uas\n" UPDATES);
	/* Theirs to refresh, and nobody does. */
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(lab->log, "answered+sdp ended:expired ");
	leg_free(lab->leg);
}

static void test_originate_as_refresher(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 90);
	lab->verdict.session.by_caller = true;
	lab_outgoing(lab, false);
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	answered(lab, "Session-Expires: 90;refresher=uac\n" UPDATES);
	far_expect(lab, &lab->far, "UPDATE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	leg_free(lab->leg);
}

/* RFC 4028 7.2: it knows nothing of timers; we refresh all the same, and hear of its end so. */
static void test_originate_alone(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 90);
	lab_outgoing(lab, false);
	answered(lab, UPDATES);
	for (int i = 0; i < 2; i++) {
		far_expect(lab, &lab->far, "UPDATE ");
		assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
		far_respond(lab, &lab->far, "200 OK", "", "", "");
	}
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "481 Gone", "", "", "");
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(lab->log, "answered+sdp ended:expired ");
	leg_free(lab->leg);
}

/* Neither by UPDATE nor by re-INVITE: there is no timer, and the call lives. */
static void test_originate_never_reinvite(void **state)
{
	struct lab *lab = *state;
	uint64_t until;

	configure(lab, SESSION_ORIGINATE, 90);
	lab_outgoing(lab, false);
	leg_never_reinvite(lab->leg);
	answered(lab, "");
	until = loop_now_ms(lab->loop) + 2500;
	lab_until(lab, loop_now_ms(lab->loop) >= until);
	far_expect_nothing(lab, &lab->far);
	assert_string_equal(lab->log, "answered+sdp ");
	leg_free(lab->leg);
}

/* As UAS, with a caller that knows of timers and with one that does not. */
static void test_originate_as_uas(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 0);
	assert_string_equal(asked(lab, "Supported: timer\n" UPDATES), "1800;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Supported"), "100rel, timer");
}

static void test_originate_unknown_to_caller(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 600);
	assert_string_equal(asked(lab, ""), "600;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Require"), "");
}

static void test_refresher_uac(void **state)
{
	struct lab *lab = *state;

	lab->verdict.session.by_caller = true;
	assert_string_equal(asked(lab, "Supported: timer\nSession-Expires: 90\n" UPDATES),
			    "90;refresher=uac");
	assert_string_equal(far_header(&lab->far, "Require"), "timer");
}

/* session-expires is the longest that is granted, but for what the far end's Min-SE wants. */
static void test_expires_is_a_bound(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ACCEPT, 600);
	assert_string_equal(asked(lab, "Supported: timer\nSession-Expires: 7200\n"),
			    "600;refresher=uas");
}

static void test_expires_above_their_minimum(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ACCEPT, 600);
	assert_string_equal(
		asked(lab, "Supported: timer\nSession-Expires: 7200\nMin-SE: 900\n"),
		"900;refresher=uas");
}

static void test_expires_no_more_than_asked(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ACCEPT, 600);
	assert_string_equal(
		asked(lab, "Supported: timer\nSession-Expires: 7200\nMin-SE: 4294967295\n"),
		"7200;refresher=uas");
}

static void test_expires_not_for_ever(void **state)
{
	struct lab *lab = *state;

	assert_string_equal(asked(lab, "Supported: timer\nSession-Expires: 4294967295\n"
				       "Min-SE: 4294967295\n"),
			    "86400;refresher=uas");
}

static void test_pitfall_60_own_minimum(void **state)
{
	struct lab *lab = *state;

	lab->verdict.session.min_s = 200;
	far_invite(lab, "z9hG4bKup", "up", "Supported: timer\nSession-Expires: 199\n");
	far_expect(lab, &lab->far, "SIP/2.0 422 ");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "200");
	assert_string_equal(lab->log, "");
}

/* 422 to the first INVITE: the same once more with the interval that it names; not without end. */
static void test_pitfall_60_first_invite(void **state)
{
	struct lab *lab = *state;
	char call_id[256], from[256];

	configure(lab, SESSION_ORIGINATE, 100);
	lab_outgoing(lab, false);
	snprintf(call_id, sizeof(call_id), "%s", far_header(&lab->far, "Call-ID"));
	snprintf(from, sizeof(from), "%s", far_header(&lab->far, "From"));
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "x", "Min-SE: 120\n", "");
	far_expect(lab, &lab->far, "ACK ");
	far_expect(lab, &lab->far, "INVITE ");
	assert_string_equal(far_header(&lab->far, "CSeq"), "2 INVITE");
	assert_string_equal(far_header(&lab->far, "Call-ID"), call_id);
	assert_string_equal(far_header(&lab->far, "From"), from);
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "120;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "120");
	assert_string_equal(far_header_n(&lab->far, "Session-Expires", 1), "");
	assert_string_equal(far_body(&lab->far), LAB_SDP);
	assert_string_equal(lab->log, "");
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "x", "Min-SE: 120\n", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "failed:422:Session Interval Too Small ");
	leg_free(lab->leg);
}

static void test_pitfall_60_never_so_long(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 0);
	lab_outgoing(lab, false);
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "x", "Min-SE: 4294967295\n",
		    "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "failed:422:Session Interval Too Small ");
	leg_free(lab->leg);
}

/* Each time a longer one: it ends after four. */
static void test_pitfall_60_raised_forever(void **state)
{
	struct lab *lab = *state;
	char min[64];
	int raised = 0;

	configure(lab, SESSION_ORIGINATE, 0);
	lab_outgoing(lab, false);
	while (!*lab->log && raised < 20) {
		snprintf(min, sizeof(min), "Min-SE: %d\n", 2000 + raised++);
		far_respond(lab, &lab->far, "422 Session Interval Too Small", "x", min, "");
		far_expect(lab, &lab->far, "ACK ");
		if (!*lab->log)
			far_expect(lab, &lab->far, "INVITE ");
	}
	assert_int_equal(raised, 5);
	assert_string_equal(lab->log, "failed:422:Session Interval Too Small ");
	leg_free(lab->leg);
}

/* The far end granted less than our own minimum, and refuses that later. */
static void test_pitfall_60_below_own_minimum(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 200);
	lab->verdict.session.min_s = 200;
	lab_outgoing(lab, false);
	answered(lab, "Session-Expires: 90;refresher=uac\n" UPDATES);
	far_expect(lab, &lab->far, "UPDATE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "90");
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "", "Min-SE: 150\n", "");
	far_expect(lab, &lab->far, "UPDATE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "150;refresher=uac");
	leg_free(lab->leg);
}

/* 422 to a re-INVITE, also one that is no refresh. */
static void test_pitfall_60_reinvite(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_ORIGINATE, 1800);
	lab_outgoing(lab, false);
	answered(lab, "Session-Expires: 1800;refresher=uac\n");
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "INVITE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "1800;refresher=uac");
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "", "Min-SE: 2400\n", "");
	far_expect(lab, &lab->far, "ACK ");
	far_expect(lab, &lab->far, "INVITE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "2400;refresher=uac");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "2400");
	assert_string_equal(far_header(&lab->far, "CSeq"), "3 INVITE");
	far_respond(lab, &lab->far, "200 OK", "", "Session-Expires: 2400;refresher=uac\n", LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "answered+sdp reanswered:200+sdp ");
	leg_free(lab->leg);
}

/* Nothing of timers is said, and what a far end says of them all the same is not heard. */
static void test_refuse(void **state)
{
	struct lab *lab = *state;
	uint64_t until;

	configure(lab, SESSION_REFUSE, 90);
	lab_outgoing(lab, false);
	assert_string_equal(far_header(&lab->far, "Supported"), "");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "");
	answered(lab, "Session-Expires: 90;refresher=uas\n" UPDATES);
	until = loop_now_ms(lab->loop) + 2500;
	lab_until(lab, loop_now_ms(lab->loop) >= until);
	far_expect_nothing(lab, &lab->far);
	assert_string_equal(lab->log, "answered+sdp ");
	leg_free(lab->leg);
}

static void test_refuse_as_uas(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_REFUSE, 0);
	assert_string_equal(asked(lab, "Supported: timer\nSession-Expires: 60\n"), "");
	assert_string_equal(far_header(&lab->far, "Supported"), "100rel");
}

static void test_refuse_required(void **state)
{
	struct lab *lab = *state;

	configure(lab, SESSION_REFUSE, 0);
	far_invite(lab, "z9hG4bKup", "up", "Require: timer\nSession-Expires: 1800\n");
	far_expect(lab, &lab->far, "SIP/2.0 420 ");
	assert_string_equal(far_header(&lab->far, "Unsupported"), "timer");
	assert_string_equal(lab->log, "");
}

#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHORT(test_originate),
		SHORT(test_originate_as_refresher),
		SHORT(test_originate_alone),
		SHORT(test_originate_never_reinvite),
		SHORT(test_originate_as_uas),
		SHORT(test_originate_unknown_to_caller),
		SHORT(test_refresher_uac),
		SHORT(test_expires_is_a_bound),
		SHORT(test_expires_above_their_minimum),
		SHORT(test_expires_no_more_than_asked),
		SHORT(test_expires_not_for_ever),
		SHORT(test_pitfall_60_own_minimum),
		SHORT(test_pitfall_60_first_invite),
		SHORT(test_pitfall_60_never_so_long),
		SHORT(test_pitfall_60_raised_forever),
		SHORT(test_pitfall_60_below_own_minimum),
		SHORT(test_pitfall_60_reinvite),
		SHORT(test_refuse),
		SHORT(test_refuse_as_uas),
		SHORT(test_refuse_required),
	};

	return cmocka_run_group_tests_name("sip_timer", tests, NULL, NULL);
}
