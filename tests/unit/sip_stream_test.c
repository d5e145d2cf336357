// SPDX-License-Identifier: GPL-2.0-or-later
/* Transactions over connections, and what a connection may cost. */
#include "sip_lab.h"

#include "sip/conn.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Nothing ends within a test by any timer but those that a reliable transport makes 0. */
static const struct sip_timing endless = {
	.t1 = 100000, .t2 = 100000, .t4 = 1000000, .d = 1000000, .c = 1000000, .progress = 1000000};

static int setup_endless(void **state)
{
	*state = lab_open(&endless);
	return 0;
}

static void as_far(struct lab *lab, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_true(fd >= 0);
	close(lab->far.fd);
	lab->far.fd = fd;
	lab->far.stream = true;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr(&lab->far.at, (struct sockaddr *)&sa);
	addr_print(lab->far_text, &lab->far.at);
}

static size_t connections(struct lab *lab)
{
	return lab_counter(lab, SIP_CONNECTIONS, "", 0, "tcp");
}

/* A connection that the stack has accepted, or turned away. */
static int dial(struct lab *lab)
{
	struct pollfd waiting = {.fd = lab->sip->binds[1].fd, .events = POLLIN};
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&sa, &lab->node);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	lab_until(lab, poll(&waiting, 1, 0) == 0);
	return fd;
}

static int listening(const char *at, struct addr *bound)
{
	struct sockaddr_storage sa;
	socklen_t len;
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	assert_int_equal(addr_parse(&a, at), 0);
	len = addr_to_sockaddr(&sa, &a);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 5), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr(bound, (struct sockaddr *)&sa);
	return fd;
}

static int accepted(struct lab *lab, int fd)
{
	int conn = -1;

	lab_until(lab, (conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	return conn;
}

/* The far end sees the end of its connection. */
static bool is_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void options(struct lab *lab, const char *call_id)
{
	far_request(lab, "OPTIONS", 1, "z9hG4bKo", call_id, "");
	far_expect(lab, &lab->far, "SIP/2.0 200 OK\r\n");
	assert_string_equal(far_header(&lab->far, "Call-ID"), call_id);
}

/* Timer I is 0, and so is J of the BYE. */
static void test_uas_timers(void **state)
{
	struct lab *lab = *state;
	char tag[64];

	as_far(lab, dial(lab));
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_refuse(lab->leg, 486, NULL, 0), 0);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "SIP/2.0 486 ");
	assert_int_equal(lab_transactions(lab), 1);
	far_request(lab, "ACK", 10, "z9hG4bK1", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	lab_until(lab, lab_transactions(lab) == 0);
	lab->log[0] = '\0';
	lab_incoming_up(lab, tag);
	far_request(lab, "BYE", 11, "z9hG4bKb", "up", tag);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	leg_free(lab->leg);
	lab_until(lab, lab_legs(lab) == 0 && lab_transactions(lab) == 1);
	/* What is left is the accepted INVITE's, whose timer L stays (RFC 6026 7.1). */
	assert_int_equal(lab_counter(lab, SIP_RETRANSMITS, "", 0, ""), 0);
}

/* Timer G does not run, H does; a 2xx is sent again by the dialog all the same (13.3.1.4). */
static void test_uas_retransmission(void **state)
{
	struct lab *lab = *state;

	as_far(lab, dial(lab));
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_refuse(lab->leg, 486, NULL, 0), 0);
	leg_free(lab->leg);
	far_expect(lab, &lab->far, "SIP/2.0 486 ");
	lab_drain(lab);
	assert_int_equal(lab_counter(lab, SIP_RETRANSMITS, "", 0, ""), 0);
	far_expect_nothing(lab, &lab->far);
	far_invite(lab, "z9hG4bK2", "c2", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(leg_answer(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	far_expect_again(lab, &lab->far);
	far_request(lab, "ACK", 10, "z9hG4bK3", "c2",
		    far_param(far_header(&lab->far, "To"), "tag"));
	lab_until(lab, leg_settled(lab->leg));
	leg_free(lab->leg);
	lab_drain(lab);
}

static struct leg_target target_of(struct lab *lab)
{
	return (struct leg_target){
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "200",
		.from_user = "100",
		.from_display = "",
		.max_forwards = 69,
		.transport = CONF_TCP,
	};
}

/* An outgoing leg with a listening far end, its INVITE received there. */
static void outgoing(struct lab *lab)
{
	struct leg_target target;
	int fd = listening("127.0.0.1:0", &lab->far.at);

	target = target_of(lab);
	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	as_far(lab, accepted(lab, fd));
	close(fd);
	far_expect(lab, &lab->far, "INVITE sip:200@127.0.0.1:");
}

/* Timers D and K are 0. */
static void test_uac_timers(void **state)
{
	struct lab *lab = *state;
	char want[128];

	outgoing(lab);
	snprintf(want, sizeof(want), "SIP/2.0/TCP %s;branch=z9hG4bK", lab->node_text);
	assert_memory_equal(far_header(&lab->far, "Via"), want, strlen(want));
	snprintf(want, sizeof(want), "<sip:%s;transport=tcp>", lab->node_text);
	assert_string_equal(far_header(&lab->far, "Contact"), want);
	assert_null(strstr(far_header(&lab->far, "To"), "transport"));
	far_respond(lab, &lab->far, "486 Busy", "tt", "", "");
	far_expect(lab, &lab->far, "ACK ");
	assert_string_equal(lab->log, "failed:486:Busy ");
	leg_free(lab->leg);
	lab_until(lab, lab_transactions(lab) == 0 && lab_legs(lab) == 0);
	assert_int_equal(connections(lab), 1);
	close(lab->far.fd);
	lab->far.fd = -1;
	lab_until(lab, connections(lab) == 0);
}

/* Timers A and E do not run; B does. */
static void test_uac_no_answer(void **state)
{
	struct lab *lab = *state;

	outgoing(lab);
	lab_until(lab, strcmp(lab->log, "failed:408:Request Timeout ") == 0);
	assert_int_equal(lab_counter(lab, SIP_RETRANSMITS, "", 0, ""), 0);
	far_expect_nothing(lab, &lab->far);
	leg_free(lab->leg);
	lab_drain(lab);
}

static void test_uac_refused(void **state)
{
	struct lab *lab = *state;
	struct leg_target target;

	close(listening("127.0.0.1:0", &lab->far.at));
	target = target_of(lab);
	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, LAB_SDP, strlen(LAB_SDP)), 0);
	assert_string_equal(lab->log, "");
	lab_until(lab, strcmp(lab->log, "failed:503:Service Unavailable ") == 0);
	leg_free(lab->leg);
	lab_until(lab, lab_transactions(lab) == 0 && lab_legs(lab) == 0 && connections(lab) == 0);
}

/* Before a response the end of the connection is that of the transaction, after one it is not. */
static void test_uac_closed(void **state)
{
	struct lab *lab = *state;

	outgoing(lab);
	close(lab->far.fd);
	lab->far.fd = -1;
	lab_until(lab, strcmp(lab->log, "failed:503:Service Unavailable ") == 0);
	leg_free(lab->leg);
	lab->log[0] = '\0';
	outgoing(lab);
	far_respond(lab, &lab->far, "180 Ringing", "tt", lab_contact(lab), "");
	assert_string_equal(lab->log, "progress:180 ");
	close(lab->far.fd);
	lab->far.fd = -1;
	lab_until(lab, connections(lab) == 0);
	assert_int_equal(lab_transactions(lab), 1);
	assert_string_equal(lab->log, "progress:180 ");
	/* The answer comes by a connection of the far end's. */
	as_far(lab, dial(lab));
	far_respond(lab, &lab->far, "486 Busy", "tt", "", "");
	assert_string_equal(lab->log, "progress:180 failed:486:Busy ");
	leg_free(lab->leg);
}

/* A leg to lab->far's address over UDP, where a large INVITE may grow. */
static void start_large(struct lab *lab)
{
	struct leg_target target = target_of(lab);
	char sdp[2000];

	memset(sdp, 'x', sizeof(sdp));
	memcpy(sdp, LAB_SDP, strlen(LAB_SDP));
	target.transport = CONF_UDP;
	target.grows = true;
	assert_int_equal(leg_new(&lab->leg, lab->sip, &target, &lab_events, lab), 0);
	assert_int_equal(leg_invite(lab->leg, sdp, sizeof(sdp)), 0);
}

static void test_large(void **state)
{
	struct lab *lab = *state;
	struct addr bound;
	char branch[64];
	int fd;

	/* Refused: the same request over UDP, with its branch. */
	start_large(lab);
	far_expect(lab, &lab->far, "INVITE ");
	assert_memory_equal(far_header(&lab->far, "Via"), "SIP/2.0/UDP ", 12);
	snprintf(branch, sizeof(branch), "%s", far_param(far_header(&lab->far, "Via"), "branch"));
	assert_int_equal(strlen(branch), SIP_BRANCH_LEN);
	far_respond(lab, &lab->far, "486 Busy", "tt", "", "");
	far_expect(lab, &lab->far, "ACK ");
	leg_free(lab->leg);
	lab_until(lab, connections(lab) == 0);
	/* Taken: Via says TCP, Contact stays. */
	fd = listening(lab->far_text, &bound);
	start_large(lab);
	as_far(lab, accepted(lab, fd));
	close(fd);
	far_expect(lab, &lab->far, "INVITE ");
	assert_memory_equal(far_header(&lab->far, "Via"), "SIP/2.0/TCP ", 12);
	assert_null(strstr(far_header(&lab->far, "Contact"), "transport"));
	leg_cancel(lab->leg);
	far_respond(lab, &lab->far, "180 Ringing", "tt", lab_contact(lab), "");
	far_expect(lab, &lab->far, "CANCEL ");
	assert_memory_equal(far_header(&lab->far, "Via"), "SIP/2.0/TCP ", 12);
	leg_free(lab->leg);
}

static void test_slow(void **state)
{
	struct lab *lab = *state;
	int silent, half;

	lab->sip->limits.message_ms = 50;
	silent = dial(lab);
	half = dial(lab);
	assert_int_equal(send(half, "\r\nOPTIONS sip:x SIP/2.0\r\n", 25, 0), 25);
	as_far(lab, dial(lab));
	options(lab, "o1");
	lab_until(lab, connections(lab) == 1);
	assert_true(is_closed(silent) && is_closed(half));
	/* Who has spoken may be silent, but not stop in the middle. */
	options(lab, "o2");
	far_send(lab, &lab->far, "OPTIONS");
	lab_until(lab, connections(lab) == 0);
	close(silent);
	close(half);
}

/* Line ends one by one are no message, and buy no time. */
static void test_line_ends(void **state)
{
	struct lab *lab = *state;
	int fd;

	lab->sip->limits.message_ms = 300;
	fd = dial(lab);
	while (connections(lab)) {
		(void)!send(fd, "\n", 1, MSG_NOSIGNAL);
		lab_turn(lab);
		poll(NULL, 0, 1);
	}
	close(fd);
}

static void test_idle(void **state)
{
	struct lab *lab = *state;

	lab->sip->limits.idle_ms = 50;
	as_far(lab, dial(lab));
	options(lab, "o1");
	lab_until(lab, connections(lab) == 0);
	assert_true(is_closed(lab->far.fd));
}

static void test_per_source(void **state)
{
	struct lab *lab = *state;
	int one, two, three;

	lab->sip->limits.per_source = 2;
	one = dial(lab);
	two = dial(lab);
	three = dial(lab);
	lab_until(lab, is_closed(three));
	assert_int_equal(lab_counter(lab, SIP_TURNED_AWAY, "", 0, ""), 1);
	assert_int_equal(connections(lab), 2);
	close(three);
	close(one);
	lab_until(lab, connections(lab) == 1);
	as_far(lab, dial(lab));
	options(lab, "o1");
	close(two);
}

static void test_total(void **state)
{
	struct lab *lab = *state;
	int one, two;

	lab->sip->limits.total = 1;
	one = dial(lab);
	two = dial(lab);
	lab_until(lab, is_closed(two));
	assert_false(is_closed(one));
	close(one);
	close(two);
}

/* Of those that said nothing the oldest makes room; who did speak stays. */
static void test_unproven(void **state)
{
	struct lab *lab = *state;
	int first, second, third;

	lab->sip->limits.unproven = 2;
	as_far(lab, dial(lab));
	options(lab, "o1");
	first = dial(lab);
	second = dial(lab);
	third = dial(lab);
	lab_until(lab, connections(lab) == 3);
	assert_true(is_closed(first));
	assert_false(is_closed(second) || is_closed(third));
	options(lab, "o2");
	close(first);
	close(second);
	close(third);
}

/* Who does not read is not read from: what waits for it is bounded. Nothing is lost. */
static void test_not_reading(void **state)
{
	struct lab *lab = *state;
	char request[512];
	size_t sent = 0, answered = 0, len, at = 0;
	ssize_t n;

	as_far(lab, dial(lab));
	len = (size_t)snprintf(
		request, sizeof(request),
		"OPTIONS sip:x.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;"
		"branch=z9hG4bKx\r\nFrom: <sip:x.example>;tag=1\r\nTo: <sip:x.example>\r\n"
		"Call-ID: flood\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
	for (int stuck = 0; stuck < 50;) {
		n = send(lab->far.fd, request + at, len - at, MSG_DONTWAIT);
		lab_turn(lab);
		stuck = n < 0 ? stuck + 1 : 0;
		if (n < 0)
			continue;
		at = (at + (size_t)n) % len;
		sent += at == 0;
		assert_true(sent < 1000000);
	}
	assert_int_equal(connections(lab), 1);
	assert_true(lab_counter(lab, SIP_REQUESTS, "OPTIONS", 0, "in") < sent);
	while (answered < sent) {
		far_expect(lab, &lab->far, "SIP/2.0 200 ");
		answered++;
	}
	assert_int_equal(lab_counter(lab, SIP_REQUESTS, "OPTIONS", 0, "in"), sent);
}

/* What we have to say to somebody who never reads has a limit, too. */
static void test_output(void **state)
{
	struct lab *lab = *state;
	struct addr peer;
	struct sip_bind *bind = &lab->sip->binds[1];
	static char text[70000];
	int fd = dial(lab), small = 4096, sent = 0;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr(&peer, (struct sockaddr *)&sa);
	assert_int_equal(bind->transport, CONF_TCP);
	memset(text, 'x', sizeof(text));
	while (sip_bind_connected(bind, &peer) && sent++ < 1000)
		sip_send(bind, &peer, text, sizeof(text));
	assert_in_range(sent, 2, lab->sip->limits.output / sizeof(text) + 2);
	lab_until(lab, connections(lab) == 0);
	close(fd);
}

/* Sends `text` over and over as far as the connection takes it, from where the last time ended; at
 * the `end` only what is left of it. What came back is read away. */
static void press(int fd, const char *text, size_t len, size_t *at, bool end)
{
	char answers[4096];
	ssize_t n;

	while (!(end && *at == 0) &&
	       (n = send(fd, text + *at, len - *at, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		*at = (*at + (size_t)n) % len;
	while (recv(fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
}

/* New calls are refused to one who sends more than can be read, and only as long as he does. */
static void test_overload(void **state)
{
	struct lab *lab = *state;
	const struct sip_conn *conn;
	char invite[1024];
	size_t at = 0, len;

	as_far(lab, dial(lab));
	options(lab, "o1");
	conn = lab->sip->streams->all;
	snprintf(invite, sizeof(invite),
		 "INVITE sip:200@%s SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bKi\r\n"
		 "Max-Forwards: 0\r\nFrom: <sip:100@h>;tag=ft\r\nTo: <sip:200@h>\r\n"
		 "Call-ID: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:100@h>\r\n"
		 "Content-Length: 0\r\n\r\n",
		 lab->node_text, lab->far_text);
	len = strlen(invite);
	lab_until(lab, (press(lab->far.fd, invite, len, &at, false),
			lab_counter(lab, SIP_REJECTED, "", 0, "overload") > 0));
	lab_until(lab, (press(lab->far.fd, invite, len, &at, true),
			at == 0 && !conn->overload.more));
	assert_false(conn->overload.on);
	assert_int_equal(connections(lab), 1);
	assert_int_equal(lab->sip->stats.malformed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_uas_timers, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_uas_retransmission, lab_setup_short,
						lab_teardown),
		cmocka_unit_test_setup_teardown(test_uac_timers, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_uac_no_answer, lab_setup_short, lab_teardown),
		cmocka_unit_test_setup_teardown(test_uac_refused, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_uac_closed, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_large, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_line_ends, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_idle, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_per_source, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_total, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_unproven, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_not_reading, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_output, setup_endless, lab_teardown),
		cmocka_unit_test_setup_teardown(test_overload, setup_endless, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
