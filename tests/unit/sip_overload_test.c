// SPDX-License-Identifier: GPL-2.0-or-later
/* When there is too much: what counts as that, who is refused and who is not. */
#include "sip_lab.h"

#include "sip/overload.h"

static void test_standing_queue(void **state)
{
	struct sip_overload o = {0};

	(void)state;
	overload_waited(&o, OVERLOAD_LAG_US, 1000);
	assert_false(o.on);
	overload_waited(&o, OVERLOAD_LAG_US, 1000 + OVERLOAD_STANDING_US - 1);
	assert_false(o.on);
	overload_waited(&o, OVERLOAD_LAG_US, 1000 + OVERLOAD_STANDING_US);
	assert_true(o.on);
	overload_waited(&o, OVERLOAD_LAG_US - 1, 1000 + OVERLOAD_STANDING_US + 1);
	assert_false(o.on);
	assert_int_equal(o.since_us, 0);
}

/* The machine stood still: long waits, but the queue is gone before it can be called standing. */
static void test_pause_is_none(void **state)
{
	struct sip_overload o = {0};

	(void)state;
	overload_waited(&o, 3000000, 1000);
	overload_waited(&o, 0, 1000 + OVERLOAD_STANDING_US - 1);
	overload_waited(&o, 3000000, 1000 + OVERLOAD_STANDING_US);
	assert_false(o.on);
}

/* A connection whose reads always leave something is a queue, since the first of them. */
static void test_standing_stream(void **state)
{
	struct sip_overload o = {0};
	const uint64_t on = OVERLOAD_LAG_US + OVERLOAD_STANDING_US;

	(void)state;
	overload_read(&o, false, 1000);
	overload_read(&o, true, 9000000);
	assert_int_equal(o.oldest_us, 9000000);
	overload_read(&o, true, 9000000 + OVERLOAD_LAG_US);
	overload_read(&o, true, 9000000 + on - 1);
	assert_false(o.on);
	overload_read(&o, true, 9000000 + on);
	assert_true(o.on);
	assert_int_equal(o.oldest_us, 9000000);
	overload_read(&o, false, 9000001 + on);
	assert_false(o.on);
	assert_int_equal(o.oldest_us, 9000001 + on);
}

static void test_stamps(void **state)
{
	struct lab *lab = *state;
	union overload_stamp stamp;
	char text[8];
	struct iovec vector = {text, sizeof(text)};
	struct msghdr header = {.msg_iov = &vector,
				.msg_iovlen = 1,
				.msg_control = &stamp,
				.msg_controllen = sizeof(stamp)};
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, &lab->far.at);
	uint64_t lag = 0;

	assert_int_equal(overload_stamps(lab->far.fd), 0);
	/* The kernel begins to stamp arrivals some time after it was asked: until then it stamps
	 * what it hands over. */
	for (int i = 0; i < 100 && lag < 20000; i++) {
		header.msg_controllen = sizeof(stamp);
		assert_int_equal(
			sendto(lab->far.fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
		poll(NULL, 0, 20);
		assert_int_equal(recvmsg(lab->far.fd, &header, 0), 1);
		lag = overload_lag_us(&header);
	}
	assert_in_range(lag, 20000, 60000000);
	header.msg_controllen = 0;
	assert_int_equal(overload_lag_us(&header), 0);
}

static void test_retry_after(void **state)
{
	bool seen[16] = {false};
	char call_id[16];
	int n = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		unsigned int s;

		snprintf(call_id, sizeof(call_id), "call%d", i);
		s = overload_retry_after_s(call_id);
		assert_in_range(s, 2, 9);
		assert_int_equal(s, overload_retry_after_s(call_id));
		n += !seen[s];
		seen[s] = true;
	}
	assert_int_equal(n, 8);
}

/* Past the socket, whose stamps would say that nothing waits. */
static void receive(struct lab *lab, const char *start, const char *branch, const char *call_id,
		    const char *to_tag)
{
	char text[2048];
	const char *method = strchr(start, ' ');
	int n = snprintf(text, sizeof(text),
			 "%s sip:200@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\n"
			 "Max-Forwards: 70\r\nFrom: <sip:100@%s>;tag=ft\r\nTo: <sip:200@%s>%s%s\r\n"
			 "Call-ID: %s\r\nCSeq: %s\r\nContact: <sip:100@%s>\r\n"
			 "Content-Length: 0\r\n\r\n",
			 method + 1, lab->node_text, lab->far_text, branch, lab->far_text,
			 lab->node_text, *to_tag ? ";tag=" : "", to_tag, call_id, start,
			 lab->far_text);

	sip_receive(&lab->sip->binds[0], &lab->sip->binds[0].overload, &lab->far.at, text,
		    (size_t)n);
}

static void test_new_calls_are_refused(void **state)
{
	struct lab *lab = *state;

	lab->sip->binds[0].overload.on = true;
	receive(lab, "10 INVITE", "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 503 Service Unavailable\r\n");
	assert_in_range(atoi(far_header(&lab->far, "Retry-After")), 2, 9);
	receive(lab, "10 INVITE", "z9hG4bK1", "c1", "");
	far_expect_again(lab, &lab->far);
	receive(lab, "10 ACK", "z9hG4bK1", "c1", far_param(far_header(&lab->far, "To"), "tag"));
	far_expect_nothing(lab, &lab->far);
	assert_int_equal(lab->admitted, 0);
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "overload"), 2);
	assert_string_equal(lab->log, "");
	receive(lab, "1 OPTIONS", "z9hG4bK2", "o1", "");
	far_expect(lab, &lab->far, "SIP/2.0 200 OK\r\n");
}

/* Nothing is read of it but what the refusal echoes, and of the ACK not even that; a repeated
 * INVITE gets the same To tag though nothing was kept. */
static void test_refusals_are_cheap(void **state)
{
	struct lab *lab = *state;
	char tag[32];

	lab->sip->binds[0].overload.on = true;
	receive(lab, "x INVITE", "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 503 Service Unavailable\r\n");
	assert_string_equal(far_header(&lab->far, "CSeq"), "x INVITE");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	assert_int_equal(strlen(tag), SIP_TAG_LEN);
	receive(lab, "x ACK", "z9hG4bK1", "c1", tag);
	assert_int_equal(lab->sip->stats.requests[SIP_ACK][SIP_IN], 1);
	lab->sip->binds[0].overload.on = false;
	receive(lab, "x ACK", "z9hG4bK1", "c1", tag);
	assert_int_equal(lab->sip->stats.requests[SIP_ACK][SIP_IN], 2);
	assert_int_equal(lab->sip->stats.malformed, 0);
	tag[0] = 'a';
	receive(lab, "x ACK", "z9hG4bK1", "c1", tag);
	assert_int_equal(lab->sip->stats.malformed, 1);
	receive(lab, "x INVITE", "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 400 Bad CSeq\r\n");
}

/* What cannot be answered is not: no place to answer to, or nothing to echo. */
static void test_refusals_need_headers(void **state)
{
	struct lab *lab = *state;
	char text[] = "INVITE sip:1@10.0.0.1 SIP/2.0\r\nFrom: <sip:2@10.0.0.1>;tag=a\r\n"
		      "To: <sip:1@10.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";

	lab->sip->binds[0].overload.on = true;
	sip_receive(&lab->sip->binds[0], &lab->sip->binds[0].overload, &lab->far.at, text,
		    strlen(text));
	far_expect_nothing(lab, &lab->far);
	assert_int_equal(lab->sip->stats.malformed, 1);
	/* RFC 2543: the branch does not tell whether the call is under way. */
	receive(lab, "10 INVITE", "1", "c2", "");
	far_expect(lab, &lab->far, "SIP/2.0 503 ");
	assert_int_equal(lab->admitted, 0);
}

/* A call that has begun is none of those: its INVITE sent again, its re-INVITE, its BYE. */
static void test_calls_go_on(void **state)
{
	struct lab *lab = *state;
	char tag[32];

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	lab->sip->binds[0].overload.on = true;
	receive(lab, "10 INVITE", "z9hG4bK1", "c1", "");
	far_expect_again(lab, &lab->far);
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(tag, sizeof(tag), "%s", far_param(far_header(&lab->far, "To"), "tag"));
	receive(lab, "10 ACK", "z9hG4bK2", "c1", tag);
	assert_string_equal(lab->log, "invite acked ");
	receive(lab, "11 BYE", "z9hG4bK3", "c1", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	assert_string_equal(lab->log, "invite acked ended:bye ");
	leg_free(lab->leg);
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "overload"), 0);
	lab_drain(lab);
}

/* By the socket: the next datagram that did not wait ends it. */
static void test_it_ends(void **state)
{
	struct lab *lab = *state;

	lab->sip->binds[0].overload.on = true;
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_false(lab->sip->binds[0].overload.on);
}

#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standing_queue),
		cmocka_unit_test(test_pause_is_none),
		cmocka_unit_test(test_standing_stream),
		T(test_stamps, lab_setup),
		cmocka_unit_test(test_retry_after),
		T(test_new_calls_are_refused, lab_setup),
		T(test_refusals_are_cheap, lab_setup),
		T(test_refusals_need_headers, lab_setup),
		T(test_calls_go_on, lab_setup_short),
		T(test_it_ends, lab_setup),
	};

	return cmocka_run_group_tests_name("sip_overload", tests, NULL, NULL);
}
