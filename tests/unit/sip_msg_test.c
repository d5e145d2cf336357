// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages outside dialogs, malformed ones, and the pieces of which messages are made. */
#include "sip_lab.h"

#include "sip/text.h"

#include <dirent.h>

/* tests/golden/sip/NAME.WHAT is one datagram, WHAT the code of the answer, "none" (malformed, no
 * answer) or "ignored". A peer that may do nothing is refused with 403, so that whoever gets there
 * was understood. */
static void send_golden(struct lab *lab, const char *name)
{
	const char *what = strrchr(name, '.') + 1;
	static char bytes[65536];
	char path[512], start[64];
	uint64_t malformed = lab_counter(lab, SIP_MALFORMED, "", 0, "");
	bool counted = strcmp(what, "none") == 0 || strcmp(what, "400") == 0;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "tests/golden/sip/%s", name);
	file = fopen(path, "rb");
	assert_non_null(file);
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	lab->far.last[0] = '\0';
	far_send_bytes(lab, &lab->far, bytes, len);
	if (atoi(what)) {
		snprintf(start, sizeof(start), "SIP/2.0 %s ", what);
		if (!far_take(lab, &lab->far, LAB_DEADLINE_MS) ||
		    strncmp(lab->far.text, start, strlen(start)) != 0)
			fail_msg("%s: expected '%s', got '%.60s'", name, start, lab->far.text);
	}
	/* What follows it was read after it: then nothing more can come. */
	far_send(lab, &lab->far,
		 "OPTIONS sip:x.example SIP/2.0\nVia: SIP/2.0/UDP "
		 "127.0.0.1;rport;branch=z9hG4bKfence\nFrom: <sip:x.example>;tag=1\n"
		 "To: <sip:x.example>\nCall-ID: fence\nCSeq: 1 OPTIONS\n\n");
	assert_true(far_take(lab, &lab->far, LAB_DEADLINE_MS));
	if (strcmp(far_header(&lab->far, "Call-ID"), "fence") != 0)
		fail_msg("%s: unexpected '%.60s'", name, lab->far.text);
	if (lab_counter(lab, SIP_MALFORMED, "", 0, "") != malformed + counted)
		fail_msg("%s: counted as malformed, or not", name);
}

static void test_golden(void **state)
{
	struct lab *lab = *state;
	DIR *dir = opendir("tests/golden/sip");
	struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	lab->verdict = (struct sip_verdict){.code = 403, .label = "unknown_peer"};
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		send_golden(lab, entry->d_name);
		n++;
	}
	closedir(dir);
	assert_in_range(n, 80, 1000);
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
}

static void test_refused_stateless(void **state)
{
	struct lab *lab = *state;

	lab->verdict =
		(struct sip_verdict){.code = 403, .label = "unknown_peer", .retry_after_s = 9};
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 403 Forbidden\r\n");
	assert_string_equal(far_header(&lab->far, "Retry-After"), "9");
	assert_int_equal(strlen(far_param(far_header(&lab->far, "To"), "tag")), 16);
	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect_again(lab, &lab->far);
	far_request(lab, "ACK", 10, "z9hG4bK1", "c1",
		    far_param(far_header(&lab->far, "To"), "tag"));
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
	assert_int_equal(lab->admitted, 2);
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "unknown_peer"), 2);
	assert_int_equal(lab_counter(lab, SIP_RESPONSES, "INVITE", 403, "out"), 2);
	far_expect_nothing(lab, &lab->far);
}

static void test_options(void **state)
{
	struct lab *lab = *state;

	far_request(lab, "OPTIONS", 1, "z9hG4bK1", "o1", "");
	far_expect(lab, &lab->far, "SIP/2.0 200 OK\r\n");
	assert_string_equal(far_header(&lab->far, "Allow"), LAB_ALLOW);
	assert_string_equal(far_header(&lab->far, "Accept"), "application/sdp");
	assert_non_null(strstr(lab->far.text, "\r\nSupported: 100rel, timer\r\n"));
	assert_int_equal(lab_transactions(lab), 0);
	assert_memory_equal(lab->seen, "OPTIONS number= from=100 display=Alice ", 39);
}

static void test_outside_dialogs(void **state)
{
	static const struct {
		const char *method, *status, *label;
	} table[] = {
		{"REGISTER", "SIP/2.0 405 Method Not Allowed\r\n", "method"},
		{"SUBSCRIBE", "SIP/2.0 405 ", "method"},
		{"MESSAGE", "SIP/2.0 405 ", "method"},
		{"BYE", "SIP/2.0 481 ", "method"},
		{"UPDATE", "SIP/2.0 481 ", "method"},
		{"WINK", "SIP/2.0 501 ", "method"},
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		far_request(lab, table[i].method, 1, "z9hG4bK1", "o1", "");
		far_expect(lab, &lab->far, table[i].status);
		assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, table[i].label), i + 1);
	}
	assert_int_equal(lab_transactions(lab), 0);
}

/* An INVITE with one thing changed. */
static void invite_with(struct lab *lab, const char *uri, const char *contact, const char *hops,
			const char *more, const char *body)
{
	far_send(lab, &lab->far,
		 "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\nMax-Forwards: %s\nFrom: "
		 "<sip:100@a.example>;tag=ft\n"
		 "To: <sip:200@b.example>\nCall-ID: c1\nCSeq: 10 INVITE\n%s%sContent-Length: "
		 "%zu\n\n%s",
		 uri, lab->far_text, hops, contact, more, strlen(body), body);
}

static void test_refused_invites(void **state)
{
	static const char *const good = "Contact: <sip:100@127.0.0.1>\n";
	struct lab *lab = *state;
	struct far *far = &lab->far;

	invite_with(lab, "sip:200@b.example", good, "0", "", "");
	far_expect(lab, far, "SIP/2.0 483 Too Many Hops\r\n");
	invite_with(lab, "tel:+123", good, "70", "", "");
	far_expect(lab, far, "SIP/2.0 416 Unsupported URI Scheme\r\n");
	invite_with(lab, "sips:200@b.example", good, "70", "", "");
	far_expect(lab, far, "SIP/2.0 416 ");
	invite_with(lab, "sip:200@b.example", good, "70", "Require: 100rel, precondition\n", "");
	far_expect(lab, far, "SIP/2.0 420 Bad Extension\r\n");
	assert_string_equal(far_header(far, "Unsupported"), "precondition");
	invite_with(lab, "sip:200@b.example", good, "70",
		    "Content-Type: multipart/mixed;boundary=y\n", "--x--");
	far_expect(lab, far, "SIP/2.0 400 Bad Multipart Body\r\n");
	invite_with(lab, "sip:200@b.example", good, "70", "Content-Type: text/plain\n", "--x--");
	far_expect(lab, far, "SIP/2.0 415 Unsupported Media Type\r\n");
	assert_string_equal(far_header(far, "Accept"), "application/sdp");
	invite_with(lab, "sip:200@b.example", good, "70", "", "untyped");
	far_expect(lab, far, "SIP/2.0 415 ");
	invite_with(lab, "sip:200@b.example", good, "70", "e: gzip\nc: application/sdp\n", "x");
	far_expect(lab, far, "SIP/2.0 415 ");
	assert_string_equal(far_header(far, "Accept-Encoding"), "identity");
	invite_with(lab, "sip:200@b.example", "", "70", "", "");
	far_expect(lab, far, "SIP/2.0 400 Bad Or Missing Contact\r\n");
	invite_with(lab, "sip:200@b.example", "Contact: *\n", "70", "", "");
	far_expect(lab, far, "SIP/2.0 400 ");
	invite_with(lab, "sip:200@b.example", "Contact: <mailto:x@y.example>\n", "70", "", "");
	far_expect(lab, far, "SIP/2.0 400 ");
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
}

static void test_many_routes(void **state)
{
	struct lab *lab = *state;
	char more[4096] = "Contact: <sip:100@127.0.0.1>\n";

	for (int i = 0; i < 40; i++)
		strcat(more, "Record-Route: <sip:p.example;lr>\n");
	invite_with(lab, "sip:200@b.example", "", "70", more, "");
	far_expect(lab, &lab->far, "SIP/2.0 503 ");
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_transactions(lab) + lab_legs(lab), 0);
}

static void test_loop(void **state)
{
	struct lab *lab = *state;
	char more[512];

	lab_outgoing(lab, false);
	snprintf(more, sizeof(more), "Via: SIP/2.0/UDP p.example;branch=z9hG4bKp, %s\n",
		 far_header(&lab->far, "Via"));
	far_invite(lab, "z9hG4bK1", "c1", more);
	far_expect(lab, &lab->far, "SIP/2.0 482 Loop Detected\r\n");
	assert_string_equal(lab->log, "");
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "loop"), 1);
	far_invite(lab, "z9hG4bK2", "c2",
		   "Via: SIP/2.0/UDP p.example;branch=z9hG4bK0123456789abcdef0123456701234567\n");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
}

/* An INVITE behind whose Via stands one of ours, as sent for a request that came by `way`. */
static void come_back(struct lab *lab, const char *call_id, const char *branch)
{
	char own[32], via[128];

	snprintf(own, sizeof(own), "z9hG4bK%s", call_id);
	snprintf(via, sizeof(via), "Via: SIP/2.0/UDP p.example;branch=z9hG4bKp, %s;branch=%s\n",
		 "SIP/2.0/UDP 127.0.0.1", branch);
	far_invite(lab, own, call_id, via);
}

/* RFC 3261 16.3, 4: a spiral is no loop. */
static void test_spiral(void **state)
{
	char first[SIP_BRANCH_LEN + 1], again[SIP_BRANCH_LEN + 1];
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_true(lab->way != 0);
	sip_branch_new(lab->sip, first, lab->way + 1);
	come_back(lab, "c2", first);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	sip_branch_new(lab->sip, first, lab->way);
	come_back(lab, "c3", first);
	far_expect(lab, &lab->far, "SIP/2.0 482 Loop Detected\r\n");
	sip_branch_again(lab->sip, again, first);
	assert_memory_not_equal(again, first, SIP_BRANCH_LEN);
	come_back(lab, "c4", again);
	far_expect(lab, &lab->far, "SIP/2.0 482 Loop Detected\r\n");
	again[SIP_BRANCH_LEN - 1] ^= 1; /* not ours */
	come_back(lab, "c5", again);
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "loop"), 2);
}

/* An OPTIONS whose Via is given, from lab->far. */
static void options_via(struct lab *lab, const char *via)
{
	far_send(lab, &lab->far,
		 "OPTIONS sip:x.example SIP/2.0\nVia: %s\nFrom: <sip:x.example>;tag=1\nTo: "
		 "<sip:x.example>;tag=\"\"\nCall-ID: 1\n"
		 "CSeq: 1 OPTIONS\n\n",
		 via);
}

static void test_rport(void **state)
{
	struct lab *lab = *state;
	struct far other = {0};
	char via[256];

	far_request(lab, "OPTIONS", 1, "z9hG4bK1", "o1", "");
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(via, sizeof(via), "SIP/2.0/UDP %s;branch=z9hG4bK1", lab->far_text);
	assert_string_equal(far_header(&lab->far, "Via"), via); /* as it came */
	options_via(lab, "SIP/2.0/UDP 10.9.8.7:1234;rport;branch=z9hG4bK2;received=6.6.6.6, "
			 "SIP/2.0/UDP p.example");
	far_expect(lab, &lab->far, "SIP/2.0 ");
	snprintf(via, sizeof(via),
		 "SIP/2.0/UDP 10.9.8.7:1234;branch=z9hG4bK2;received=127.0.0.1;rport=%u, "
		 "SIP/2.0/UDP p.example",
		 lab->far.at.port);
	assert_string_equal(far_header(&lab->far, "Via"), via);
	/* Without rport: the source's address, the port of Via. */
	far_open(&other, "127.0.0.1:0");
	snprintf(via, sizeof(via), "SIP/2.0/UDP name.example:%u;branch=z9hG4bK3", other.at.port);
	options_via(lab, via);
	far_expect(lab, &other, "SIP/2.0 ");
	strcat(via, ";received=127.0.0.1");
	assert_string_equal(far_header(&other, "Via"), via);
	/* Unless the peer is known to be behind NAT. */
	lab->verdict.force_rport = true;
	far_send(lab, &lab->far,
		 "OPTIONS sip:x.example SIP/2.0\nVia: SIP/2.0/UDP "
		 "127.0.0.1:%u;branch=z9hG4bK4\nFrom: <sip:x.example>;tag=1\n"
		 "To: <sip:x.example>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n",
		 other.at.port);
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	snprintf(via, sizeof(via),
		 "SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK4;received=127.0.0.1;rport=%u",
		 other.at.port, lab->far.at.port);
	assert_string_equal(far_header(&lab->far, "Via"), via);
	close(other.fd);
}

static void test_version_and_timestamp(void **state)
{
	struct lab *lab = *state;

	far_invite(lab, "z9hG4bK1", "c1", "Timestamp: 54.3\n");
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	assert_string_equal(far_header(&lab->far, "Timestamp"), "54.3");
	leg_free(lab->leg);
}

static void test_users(void **state)
{
	static const char *const table[][2] = {
		{"sip:alice@example.com", "alice"},
		{"sip:+1%28555%29@example.com:5060;user=phone", "+1(555)"},
		{"sip:a%0d%0ab@example.com", "a%0d%0ab"},
		{"sip:a%00@example.com", "a%00"},
		{"sip:a%@example.com", "a%"},
		{"sip:a%zz%4@example.com", "a%zz%4"},
		{"sip:alice:secret@example.com", "alice"},
		{"sip:123;ext=4@example.com", "123"},
		{"sip:example.com", ""},
		{"sip:", ""},
		{"tel:+123;phone-context=x", "+123"},
		{"nothing", ""},
	};
	char user[128];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		sip_uri_user(user, table[i][0]);
		assert_string_equal(user, table[i][1]);
	}
}

static void test_addr_specs(void **state)
{
	static const char *const table[][2] = {
		{"<sip:a@b>;tag=1", "sip:a@b"},
		{"\"x <sip:no> \\\" y\" <sip:a@b;c=d>", "sip:a@b;c=d"},
		{"sip:a@b;tag=1", "sip:a@b"},
		{"  Bob < sip:a@b >", "sip:a@b"},
		{"\"unclosed <sip:a@b>", ""},
		{"<sip:a@b", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct slice s = sip_addr_spec(table[i][0]);

		assert_int_equal(s.len, strlen(table[i][1]));
		assert_memory_equal(s.p ? s.p : "", table[i][1], s.len);
	}
}

static void test_lists(void **state)
{
	const char *rest = " a , \"b,\\\",c\" <x,y>;q , ,<z,";
	static const char *const items[] = {"a", "\"b,\\\",c\" <x,y>;q", "", "<z,"};
	struct slice item;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(sip_list_next(&rest, ',', &item));
		assert_int_equal(item.len, strlen(items[i]));
		assert_memory_equal(item.p, items[i], item.len);
	}
	assert_false(sip_list_next(&rest, ',', &item));
}

static void test_uris(void **state)
{
	struct sip_uri uri;
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(sip_uri_parse(&uri, "sip:a@10.0.0.1;lr"), 0);
	assert_true(uri.sip && uri.loose);
	assert_string_equal(addr_print(text, &uri.addr), "10.0.0.1:5060");
	assert_int_equal(sip_uri_parse(&uri, "sip:a@[2001:db8::1]:5070"), 0);
	assert_false(uri.loose);
	assert_string_equal(addr_print(text, &uri.addr), "[2001:db8::1]:5070");
	assert_int_equal(sip_uri_parse(&uri, "sip:a@host.example"), 0);
	assert_int_equal(uri.addr.family, AF_UNSPEC);
	assert_int_equal(sip_uri_parse(&uri, "tel:+1"), 0);
	assert_false(uri.sip);
	assert_int_equal(sip_uri_parse(&uri, "sip:a@host.example:70000"), -EINVAL);
	assert_int_equal(sip_uri_parse(&uri, "nonsense"), -EINVAL);
	assert_int_equal(sip_uri_parse(&uri, ""), -EINVAL);
}

static void test_reasons(void **state)
{
	(void)state;
	assert_string_equal(sip_reason(486), "Busy Here");
	assert_string_equal(sip_reason(499), "Refused");
	assert_string_equal(sip_reason(699), "Declined");
	assert_string_equal(sip_reason(7), "Unknown");
}

/* A label that far ends could multiply must not: what does not fit is "other". */
static void test_labels_are_bounded(void **state)
{
	struct lab *lab = *state;
	char label[32];

	for (int i = 0; i < 40; i++) {
		snprintf(label, sizeof(label), "label%d", i);
		lab->verdict = (struct sip_verdict){.code = 403, .label = label};
		far_request(lab, "OPTIONS", 1, "z9hG4bK1", "o1", "");
		far_expect(lab, &lab->far, "SIP/2.0 403 ");
	}
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "label30"), 1);
	assert_int_equal(lab_counter(lab, SIP_REJECTED, "", 0, "other"), 9);
}

static void test_bind_fault(void **state)
{
	struct lab *lab = *state;
	struct sip_handlers handlers = {.admit = lab_admit, .invite = lab_invite, .ctx = lab};
	char why[256], expected[256];
	struct sip *second;

	assert_int_equal(sip_new(&second, lab->conf, lab->loop, &handlers, why, sizeof(why)),
			 -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "realm 'one': cannot bind udp:%s: Address already in use", lab->node_text);
	assert_string_equal(why, expected);
}

#define T(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_golden),
		T(test_refused_stateless),
		T(test_options),
		T(test_outside_dialogs),
		T(test_refused_invites),
		T(test_many_routes),
		T(test_loop),
		T(test_spiral),
		T(test_rport),
		T(test_version_and_timestamp),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_addr_specs),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_reasons),
		T(test_labels_are_bounded),
		T(test_bind_fault),
	};

	return cmocka_run_group_tests_name("sip_msg", tests, NULL, NULL);
}
