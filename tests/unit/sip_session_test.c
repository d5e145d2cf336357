// SPDX-License-Identifier: GPL-2.0-or-later
/* Session timers (RFC 4028), both roles, in short seconds. */
#include "sip_lab.h"

#define UPDATES "Allow: INVITE, ACK, BYE, UPDATE\n"

/* An incoming call whose INVITE has these headers; `tag` and the answer's Session-Expires. */
static const char *up(struct lab *lab, const char *more, char tag[64])
{
	const char *expires;

	far_invite(lab, "z9hG4bKup", "up", more);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, 64, "%s", far_param(far_header(&lab->far, "To"), "tag"));
	expires = far_header(&lab->far, "Session-Expires");
	far_request(lab, "ACK", 10, "z9hG4bKupack", "up", tag);
	lab_until(lab, leg_settled(lab->leg));
	return expires;
}

static void test_asked_of_us(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	assert_string_equal(up(lab, "Supported: timer\nx: 90\n" UPDATES, tag), "90;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Require"), "");
	leg_free(lab->leg);
}

static void test_not_asked(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	assert_string_equal(up(lab, "Supported: timer\n", tag), "");
	leg_free(lab->leg);
}

static void test_pitfall_60_too_small(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bKup", "up", "Supported: timer\nSession-Expires: 89\n");
	far_expect(lab, &lab->far, "SIP/2.0 422 Session Interval Too Small\r\n");
	assert_string_equal(far_header(&lab->far, "Min-SE"), "90");
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_legs(lab), 0);
}

/* A proxy asked, for a caller that knows nothing of it: we refresh, and never refuse. */
static void test_caller_without_timer(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	assert_string_equal(up(lab, "Session-Expires: 90\n" UPDATES, tag), "90;refresher=uas");
	assert_string_equal(far_header(&lab->far, "Require"), "");
	far_expect(lab, &lab->far, "UPDATE ");
	assert_string_equal(far_body(&lab->far), "");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	leg_free(lab->leg);
}

static void test_refreshed_by_update(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uas\n" UPDATES, tag);
	for (int i = 0; i < 3; i++) {
		far_expect(lab, &lab->far, "UPDATE ");
		assert_int_equal(atoi(far_header(&lab->far, "CSeq")), 1 + i);
		far_respond(lab, &lab->far, "200 OK", "", "Session-Expires: 90;refresher=uac\n",
			    "");
	}
	assert_string_equal(lab->log, "invite acked ");
	/* What has no such header ends it. */
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "200 OK", "", "", "");
	assert_true(leg_settled(lab->leg));
	leg_free(lab->leg);
}

static void test_pitfall_59_refreshed_by_reinvite(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uas\n", tag);
	far_expect(lab, &lab->far, "INVITE ");
	assert_string_equal(far_body(&lab->far), LAB_SDP);
	assert_string_equal(far_header(&lab->far, "Supported"), "timer");
	assert_int_equal(leg_reinvite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect_nothing(lab, &lab->far);
	far_respond(lab, &lab->far, "200 OK", "", "Session-Expires: 90;refresher=uac\n", LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "invite acked refreshed+sdp ");
	far_expect(lab, &lab->far, "INVITE "); /* what waited behind it */
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	leg_free(lab->leg);
}

static void test_never_by_reinvite(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	far_invite(lab, "z9hG4bKup", "up", "Supported: timer\nSession-Expires: 90;refresher=uas\n");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	leg_never_reinvite(lab->leg);
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "");
	snprintf(tag, 64, "%s", far_param(far_header(&lab->far, "To"), "tag"));
	far_request(lab, "ACK", 10, "z9hG4bKupack", "up", tag);
	leg_free(lab->leg);
}

static void test_expires(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uac\n", tag);
	lab_until(lab, strstr(lab->log, "ended"));
	assert_string_equal(lab->log, "invite acked ended:expired ");
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(far_header(&lab->far, "Reason"),
			    "SIP;cause=408;text=\"Session expired\"");
	leg_free(lab->leg);
}

static void test_refresh_unanswered(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uas\n" UPDATES, tag);
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "481 Call/Transaction Does Not Exist", "", "", "");
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(lab->log, "invite acked ended:expired ");
	leg_free(lab->leg);
}

static void test_kept_alive_by_them(void **state)
{
	struct lab *lab = *state;
	char tag[64], branch[32];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uac\n", tag);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t until = loop_now_ms(lab->loop) + 700;

		lab_until(lab, loop_now_ms(lab->loop) >= until);
		snprintf(branch, sizeof(branch), "z9hG4bKu%u", i);
		far_send(lab, &lab->far,
			 "UPDATE sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=%s\nFrom: "
			 "<sip:100@x>;tag=ft\nTo: <sip:y.example>;tag=%s\nCall-ID: up\nCSeq: %u "
			 "UPDATE\nSupported: timer\nSession-Expires: 90;refresher=uac\n\n",
			 lab->far_text, branch, tag, 11 + i);
		far_expect(lab, &lab->far, "SIP/2.0 200 ");
		assert_string_equal(far_header(&lab->far, "Session-Expires"), "90;refresher=uac");
	}
	assert_string_equal(lab->log, "invite acked ");
	leg_free(lab->leg);
}

/* The answer to our INVITE asks for it; 422 to the refresh raises the interval. */
static void test_pitfall_60_raised(void **state)
{
	struct lab *lab = *state;
	char more[512];

	lab_outgoing(lab, false);
	assert_string_equal(far_header(&lab->far, "Supported"), "timer");
	snprintf(more, sizeof(more), "%sSession-Expires: 90;refresher=uac\n" UPDATES,
		 lab_contact(lab));
	far_respond(lab, &lab->far, "200 OK", "tt", more, LAB_SDP);
	far_expect(lab, &lab->far, "ACK ");
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "422 Session Interval Too Small", "", "Min-SE: 120\n", "");
	far_expect(lab, &lab->far, "UPDATE ");
	assert_string_equal(far_header(&lab->far, "Session-Expires"), "120;refresher=uac");
	assert_string_equal(far_header(&lab->far, "CSeq"), "3 UPDATE");
	leg_free(lab->leg);
}

static void test_pitfall_60_roles_swap(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	up(lab, "Supported: timer\nSession-Expires: 90;refresher=uas\n" UPDATES, tag);
	far_expect(lab, &lab->far, "UPDATE ");
	far_respond(lab, &lab->far, "200 OK", "", "Session-Expires: 90;refresher=uas\n", "");
	/* Theirs now: we send none, and end what nobody refreshes. */
	far_expect(lab, &lab->far, "BYE ");
	assert_string_equal(lab->log, "invite acked ended:expired ");
	leg_free(lab->leg);
}

#define SHORT(name) cmocka_unit_test_setup_teardown(name, lab_setup_short, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHORT(test_asked_of_us),	  SHORT(test_not_asked),
		SHORT(test_pitfall_60_too_small), SHORT(test_caller_without_timer),
		SHORT(test_refreshed_by_update),  SHORT(test_pitfall_59_refreshed_by_reinvite),
		SHORT(test_never_by_reinvite),	  SHORT(test_expires),
		SHORT(test_refresh_unanswered),	  SHORT(test_kept_alive_by_them),
		SHORT(test_pitfall_60_raised),	  SHORT(test_pitfall_60_roles_swap),
	};

	return cmocka_run_group_tests_name("sip_session", tests, NULL, NULL);
}
