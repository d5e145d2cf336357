// SPDX-License-Identifier: GPL-2.0-or-later
/* What passes from one leg to the other: headers by the table, parts of a body byte for byte. */
#include "sip_lab.h"

#include "sip/multipart.h"
#include "sip/refer.h"

static struct leg *incoming, *outgoing;

/* The other side of each call: an INVITE to the same far end. */
static void call_on(struct lab *lab, struct leg *leg)
{
	struct leg_target target = {
		.realm = &lab->conf->realms[0],
		.to = lab->far.at,
		.number = "300",
		.from_user = "100",
		.from_display = "",
		.max_forwards = 69,
	};

	incoming = leg;
	assert_int_equal(leg_new(&outgoing, lab->sip, &target, &lab_events, lab), 0);
	leg_pass(outgoing, leg);
	assert_int_equal(leg_invite(outgoing, LAB_SDP, strlen(LAB_SDP)), 0);
}

static void expect_call(struct lab *lab)
{
	far_expect(lab, &lab->far, "SIP/2.0 100 ");
	far_expect(lab, &lab->far, "INVITE sip:300@");
}

static void end_call(struct lab *lab)
{
	leg_refuse(incoming, 486, NULL, 0);
	leg_free(incoming);
	leg_free(outgoing);
	(void)lab;
}

/* A header sent, and what of it is seen on the other side; value NULL: nothing; name NULL: that
 * text, anywhere. */
struct row {
	const char *line, *name, *value;
};

static const struct row rows[] = {
	{ "P-Asserted-Identity: <sip:+4989@carrier.example>", "P-Asserted-Identity",
	  "<sip:+4989@carrier.example>" },
	{ "P-Preferred-Identity: \"A\" <sip:a@b>", "P-Preferred-Identity", "\"A\" <sip:a@b>" },
	{ "Privacy: id;critical", "Privacy", "id;critical" },
	{ "Diversion: <sip:1@b>;reason=no-answer", "Diversion", "<sip:1@b>;reason=no-answer" },
	{ "History-Info: <sip:1@b>;index=1", "History-Info", "<sip:1@b>;index=1" },
	{ "Reason: Q.850;cause=16;text=\"x\"", "Reason", "Q.850;cause=16;text=\"x\"" },
	{ "Geolocation: <cid:1@b>", "Geolocation", "<cid:1@b>" },
	{ "Geolocation-Routing: yes", "Geolocation-Routing", "yes" },
	{ "s: short subject", "Subject", "short subject" },
	{ "Priority: emergency", "Priority", "emergency" },
	{ "Alert-Info: <urn:alert:service:normal>", "Alert-Info", "<urn:alert:service:normal>" },
	{ "Call-Info: <http://b/x>;purpose=icon", "Call-Info", "<http://b/x>;purpose=icon" },
	{ "Accept-Language: da, en;q=0.8", "Accept-Language", "da, en;q=0.8" },
	{ "User-to-User: 56a390;encoding=hex", "User-to-User", "56a390;encoding=hex" },
	{ "b: <sip:1@b>", "Referred-By", "<sip:1@b>" },
	{ "P-Early-Media: supported", "P-Early-Media", "supported" },
	{ "Resource-Priority: esnet.1", "Resource-Priority", "esnet.1" },
	{ "y: aa.bb.cc;info=<https://x/y>;alg=ES256", "Identity",
	  "aa.bb.cc;info=<https://x/y>;alg=ES256" },
	{ "Date: Sat, 13 Nov 2010 23:29:00 GMT", "Date", "Sat, 13 Nov 2010 23:29:00 GMT" },
	{ "u: presence", "Allow-Events", "presence" },
	{ "X-Anything: at all; <with> \"all\", of it", "X-Anything",
	  "at all; <with> \"all\", of it" },
	{ "x-folded: one\n two\n\tthree", "x-folded", "one   two   three" },
	{ "Replaces: not-ours@b;to-tag=1;from-tag=2", "Replaces",
	  "not-ours@b;to-tag=1;from-tag=2" },
	{ "Require: replaces", "Require", "replaces" },
	{ "Supported: x-1, replaces,gruu, Histinfo", NULL,
	  "\r\nSupported: replaces, Histinfo\r\n" },
	{ "Unsupported: gruu", "Unsupported", NULL },
	{ "Organization: inside", "Organization", NULL },
	{ "Proxy-Authorization: Digest username=\"u\"", "Proxy-Authorization", NULL },
	{ "authorization : Digest username=\"u\"", "Authorization", NULL },
	{ "WWW-Authenticate: Digest realm=\"r\"", "WWW-Authenticate", NULL },
	{ "Min-SE: 90", "Min-SE", NULL },
	{ "x: 1800", "Session-Expires", NULL },
	{ "x: 1800", "x", NULL },
	{ "RACK: 1 1 INVITE", "RAck", NULL },
	{ "Record-Route: <sip:10.9.9.9;lr>", "Record-Route", NULL },
	{ "ROUTE: <sip:10.9.9.9;lr>", "Route", NULL },
	{ "Path: <sip:10.9.9.9;lr>", "Path", NULL },
	{ "In-Reply-To: abc@10.9.9.9", "In-Reply-To", NULL },
	{ "Target-Dialog: abc@10.9.9.9;local-tag=1;remote-tag=2", "Target-Dialog", NULL },
	{ "Content-Disposition: session", "Content-Disposition", NULL },
	{ "mime-version: 1.0", "MIME-Version", NULL },
	{ "Timestamp: 54", "Timestamp", NULL },
	{ "Accept: text/plain, application/sdp", "Accept", NULL },
	{ "Refer-To: <sip:1@b>", "Refer-To", NULL },
	{ "Event: dialog", "Event", NULL },
};

static void test_headers_of_invite(void **state)
{
	struct lab *lab = *state;
	char line[512], call_id[32];

	lab->on_invite = call_on;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(line, sizeof(line), "%s\n", rows[i].line);
		snprintf(call_id, sizeof(call_id), "c%zu", i);
		far_invite(lab, call_id + 0, call_id, line);
		expect_call(lab);
		if (!rows[i].name && rows[i].value)
			assert_non_null(strstr(lab->far.text, rows[i].value));
		else if (rows[i].name)
			assert_string_equal(far_header(&lab->far, rows[i].name),
					    rows[i].value ? rows[i].value : "");
		if (rows[i].name && rows[i].value)
			assert_string_equal(far_header_n(&lab->far, rows[i].name, 1), "");
		assert_null(strstr(lab->far.text, "10.9.9.9"));
		end_call(lab);
		far_expect(lab, &lab->far, "SIP/2.0 486 ");
		far_request(lab, "ACK", 10, call_id, call_id, "");
	}
}

/* Ours, whatever way a far end writes them (CVE-2020-28361). */
static void test_smuggling(void **state)
{
	struct lab *lab = *state;

	lab->on_invite = call_on;
	far_invite(lab, "z9hG4bKs", "smuggle",
		   "X-One: 1\nUSER-AGENT : evil\nuser-agent:\tevil\nSuppOrted\t: 100rel\n"
		   "k: evil\nAllow : EVIL\nRoute\t:\n <sip:10.9.9.9>\nX-Two: a\n b: c\n");
	expect_call(lab);
	assert_null(strstr(lab->far.text, "evil"));
	assert_null(strstr(lab->far.text, "EVIL"));
	assert_null(strstr(lab->far.text, "10.9.9.9"));
	assert_string_equal(far_header(&lab->far, "X-One"), "1");
	assert_string_equal(far_header(&lab->far, "X-Two"), "a   b: c");
	assert_string_equal(far_header_n(&lab->far, "Supported", 1), "");
	end_call(lab);
}

static void test_order_and_number(void **state)
{
	struct lab *lab = *state;

	lab->on_invite = call_on;
	far_invite(lab, "z9hG4bKo", "order",
		   "Diversion: <sip:1@b>\nX-B: 1\nDiversion: <sip:2@b>\nX-A: 2\n");
	expect_call(lab);
	assert_non_null(strstr(lab->far.text, "\r\nDiversion: <sip:1@b>\r\nX-B: 1\r\n"
					      "Diversion: <sip:2@b>\r\nX-A: 2\r\n"));
	end_call(lab);
}

static void test_bounds(void **state)
{
	struct lab *lab = *state;
	static char lines[65536];
	size_t n = 0;

	lab->on_invite = call_on;
	for (int i = 0; i < PASS_LINES_MAX; i++)
		n += (size_t)snprintf(lines + n, sizeof(lines) - n, "X-%d: v\n", i);
	far_invite(lab, "z9hG4bKb1", "bound1", lines);
	expect_call(lab);
	assert_string_equal(far_header(&lab->far, "X-127"), "v");
	end_call(lab);
	far_expect(lab, &lab->far, "SIP/2.0 486 ");
	far_request(lab, "ACK", 10, "z9hG4bKb1", "bound1", "");
	snprintf(lines + n, sizeof(lines) - n, "X-128: v\n");
	far_invite(lab, "z9hG4bKb2", "bound2", lines);
	far_expect(lab, &lab->far, "SIP/2.0 513 ");
	memset(lines, 'x', PASS_MAX + 16);
	memcpy(lines, "X-Long: ", 8);
	strcpy(lines + PASS_MAX, "\n");
	far_invite(lab, "z9hG4bKb3", "bound3", lines);
	far_expect(lab, &lab->far, "SIP/2.0 513 ");
}

static void test_responses(void **state)
{
	struct lab *lab = *state;
	struct far *far = &lab->far;
	char invite[65536], line[512];

	lab->on_invite = call_on;
	far_invite(lab, "z9hG4bKr", "responses", "");
	expect_call(lab);
	strcpy(invite, far->text);
	far_respond(lab, far, "183 Halfway", "tt",
		    "P-Early-Media: sendrecv\nX-One: 1\nServer: far\nRSeq: 1\n", "");
	leg_pass(incoming, outgoing); /* nothing is being served: nothing passes */
	assert_int_equal(leg_progress(incoming, 183, "Halfway", NULL, 0), 0);
	far_expect(lab, far, "SIP/2.0 183 Halfway\r\n");
	assert_string_equal(far_header(far, "X-One"), "");
	strcpy(far->text, invite);
	snprintf(line, sizeof(line), "%sX-Two: 2\n", lab_contact(lab));
	far_respond(lab, far, "200 OK", "tt", line, LAB_SDP);
	far_expect(lab, far, "ACK ");
	assert_string_equal(far_header(far, "X-Two"), "");
	end_call(lab);
}

#define PIDF	   "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\">\r\n\r\n--almost\r\n</presence>"
#define MIXED_TYPE "Content-Type: multipart/mixed;\n boundary=\"b 1\"\nMIME-Version: 1.0\n"
#define BEFORE                                                                                     \
	"preamble\r\n--b 1\r\nContent-Type: application/pidf+xml\r\nContent-ID: "                  \
	"<1@a>\r\n\r\n" PIDF "\r\n--b 1 \t\r\nc: Application/SDP;x=y\r\n"
#define AFTER "\r\n--b 1\r\nContent-Type: application/isup\r\n\r\n\x01\x02\xff\r\n--b 1--\r\nepi"

static void far_invite_with_parts(struct lab *lab, const char *call_id, const char *type,
				  const char *body, size_t len)
{
	static char text[65536];
	int n = snprintf(text, sizeof(text),
			 "INVITE sip:200@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\n"
			 "Max-Forwards: 70\r\nFrom: <sip:100@a>;tag=ft\r\nTo: <sip:200@b>\r\n"
			 "Call-ID: %s\r\nCSeq: 10 INVITE\r\nContact: <sip:100@%s>\r\n%s"
			 "Content-Length: %zu\r\n\r\n",
			 lab->node_text, lab->far_text, call_id, call_id, lab->far_text, type, len);

	memcpy(text + n, body, len);
	far_send_bytes(lab, &lab->far, text, (size_t)n + len);
	lab_turn(lab);
}

/* The description is exchanged, its own length goes, every other byte stays. */
static void test_pitfall_33_multipart(void **state)
{
	static const char sent[] = BEFORE "Content-Length: 3\r\nX-Part: 1\r\n\r\nv=0" AFTER;
	static const char want[] = BEFORE "X-Part: 1\r\n\r\n" LAB_SDP AFTER;
	struct lab *lab = *state;
	char length[16];

	lab->on_invite = call_on;
	far_invite_with_parts(lab, "parts", MIXED_TYPE, sent, sizeof(sent) - 1);
	expect_call(lab);
	assert_string_equal(far_header(&lab->far, "Content-Type"),
			    "multipart/mixed;  boundary=\"b 1\"");
	assert_string_equal(far_header(&lab->far, "MIME-Version"), "1.0");
	snprintf(length, sizeof(length), "%zu", sizeof(want) - 1);
	assert_string_equal(far_header(&lab->far, "Content-Length"), length);
	assert_memory_equal(far_body(&lab->far), want, sizeof(want));
	end_call(lab);
}

/* Body in, description found ("" none), or -EBADMSG. */
static void test_multipart_forms(void **state)
{
	static const struct {
		const char *type, *body, *sdp;
		int err;
	} table[] = {
		{ "multipart/mixed;boundary=x",
		  "--x\r\nContent-Type: application/sdp\r\n\r\nv\r\n--x--", "v", 0 },
		{ "MULTIPART/Mixed ; BOUNDARY = \"x\"",
		  "--x\nCONTENT-type:\n application/sdp\n\nv\n--x--\n", "v", 0 },
		{ "multipart/mixed;boundary=x", "--x\r\n\r\nplain\r\n--x--", "", 0 },
		{ "multipart/mixed;boundary=x",
		  "--x\r\nContent-Type: application/sdpx\r\n\r\nv\r\n--x--", "", 0 },
		{ "multipart/mixed;boundary=x",
		  "--x\r\nContent-Type: multipart/related;boundary=xy\r\n\r\n--xy\r\n"
		  "Content-Type: application/sdp\r\n\r\nv\r\nw\r\n--xy--\r\n--x--",
		  "v\r\nw", 0 },
		{ "multipart/mixed;boundary=x", "--x\r\nc: application/sdp\r\n\r\n\r\n--x--", "",
		  0 },
		{ "multipart/mixed", "--x\r\nc: application/sdp\r\n\r\nv\r\n--x--", "", -EBADMSG },
		{ "multipart/mixed;boundary=", "--\r\n\r\n--", "", -EBADMSG },
		{ "multipart/mixed;boundary=x", "--y\r\nc: application/sdp\r\n\r\nv\r\n--y--", "",
		  -EBADMSG },
		{ "multipart/mixed;boundary=x", "--x\r\nc: application/sdp\r\n\r\nv", "",
		  -EBADMSG },
		{ "multipart/mixed;boundary=x", "--x\r\nc: application/sdp\r\n\r\nv\r\n--x\r\n", "",
		  -EBADMSG },
		{ "multipart/alternative;boundary=x",
		  "--x\r\nc: application/sdp\r\n\r\nv\r\n--x\r\nc: "
		  "application/sdp\r\n\r\nw\r\n--x--",
		  "", -EBADMSG },
		{ "multipart/mixed;boundary=x",
		  "--x\r\nc: application/sdp\r\nContent-Transfer-Encoding: "
		  "base64\r\n\r\ndj0=\r\n--x--",
		  "", -EBADMSG },
		{ "multipart/mixed;boundary=x",
		  "--x\r\nc: multipart/mixed;boundary=x\r\n\r\n--x\r\n--x--", "", -EBADMSG },
		{ "multipart/mixed;boundary=x", "", "", -EBADMSG },
		{ "multipart/mixed;boundary=x", "--x", "", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct slice body = { table[i].body, strlen(table[i].body) };
		struct multipart parts;

		assert_int_equal(multipart_parse(&parts, body, table[i].type), table[i].err);
		assert_int_equal(parts.sdp.len, strlen(table[i].sdp));
		if (parts.sdp.len)
			assert_memory_equal(parts.sdp.p, table[i].sdp, parts.sdp.len);
	}
}

static void test_parts_are_bounded(void **state)
{
	char body[4096] = "";
	struct multipart parts;

	(void)state;
	for (int i = 0; i < 32; i++)
		strcat(body, "--x\r\n\r\na\r\n");
	strcat(body, "--x--");
	assert_int_equal(multipart_parse(&parts, (struct slice){ body, strlen(body) },
					 "multipart/mixed;boundary=x"),
			 0);
	strcpy(body + strlen(body) - 5, "--x\r\n\r\na\r\n--x--");
	assert_int_equal(multipart_parse(&parts, (struct slice){ body, strlen(body) },
					 "multipart/mixed;boundary=x"),
			 -EBADMSG);
}

static const char *refer_line(const struct lab *lab, const char *value)
{
	static char text[1024];
	struct buf out = { 0 };

	sip_refer_to_line(&out, sip_bind_of(lab->sip, "two", AF_INET), value);
	snprintf(text, sizeof(text), "%s", out.data);
	buf_free(&out);
	return text;
}

/* What leads through us leads through us on the other side, too; all else is somebody else's. */
static void test_refer_to(void **state)
{
	struct lab *lab = *state;
	char value[512];

	snprintf(value, sizeof(value), "\"B\" <sip:7100@%s;transport=udp;user=phone>;x=1",
		 lab->node_text);
	assert_string_equal(refer_line(lab, value),
			    "Refer-To: \"B\" <sip:7100@192.0.2.7:5070;user=phone>;x=1\r\n");
	snprintf(value, sizeof(value), "sip:7100@%s", lab->node_text);
	assert_string_equal(refer_line(lab, value), "Refer-To: <sip:7100@192.0.2.7:5070>\r\n");
	snprintf(value, sizeof(value), "<sip:%s?Replaces=a%%40b%%3Bto-tag%%3D1&X=y>",
		 lab->node_text);
	assert_string_equal(refer_line(lab, value), "Refer-To: <sip:192.0.2.7:5070?Replaces="
						    "a%40b%3Bto-tag%3D1&X=y>\r\n");
	assert_string_equal(refer_line(lab, "<sip:9@elsewhere.example;transport=tcp>"),
			    "Refer-To: <sip:9@elsewhere.example;transport=tcp>\r\n");
	assert_string_equal(refer_line(lab, "<tel:+1234>"), "Refer-To: <tel:+1234>\r\n");
	assert_string_equal(refer_line(lab, "<>"), "Refer-To: <>\r\n");
	assert_string_equal(refer_line(lab, "<:"), "Refer-To: <:\r\n");
}

static struct leg *twin_of_up(void *owner, const struct leg *leg)
{
	(void)leg;
	return ((struct lab *)owner)->leg;
}

/* A dialog of ours gets the name that the far end of its other leg has for it. */
static void test_replaces(void **state)
{
	static struct leg_events events;
	struct lab *lab = *state;
	struct leg *up;
	char tag[64], value[256], want[256];
	struct buf out = { 0 };

	lab_incoming_up(lab, tag);
	up = lab->leg;
	events = lab_events;
	events.twin = twin_of_up;
	leg_take(up, &events, lab);
	snprintf(value, sizeof(value), "up;to-tag=%s;from-tag=ft", tag);
	assert_ptr_equal(sip_replaces_leg(lab->sip, value), up); /* its own twin here */
	sip_replaces_line(&out, lab->sip, value);
	snprintf(want, sizeof(want), "Replaces: up;to-tag=ft;from-tag=%s\r\n", tag);
	assert_string_equal(out.data, want);
	buf_reset(&out);
	snprintf(value, sizeof(value), "up;early-only;FROM-tag=%s;to-tag = ft", tag);
	assert_ptr_equal(sip_replaces_leg(lab->sip, value), up);
	sip_replaces_line(&out, lab->sip, value);
	snprintf(want, sizeof(want), "Replaces: up;to-tag=ft;from-tag=%s;early-only\r\n", tag);
	assert_string_equal(out.data, want);
	buf_free(&out);
	assert_null(sip_replaces_leg(lab->sip, "up;to-tag=ft;from-tag=ft"));
	assert_null(sip_replaces_leg(lab->sip, "up;to-tag=ft"));
	assert_null(sip_replaces_leg(lab->sip, ""));
	leg_free(up);
}

/* What is sent without a description where `method` came with that body. */
static void body_instead(char *out, size_t size, const char *method, const char *type,
			 const char *body)
{
	char text[2048];
	struct sip_msg m;
	struct sip_pass *pass;
	struct buf b = { 0 };

	snprintf(text, sizeof(text),
		 "%s sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: "
		 "<sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 %s\r\n"
		 "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
		 method, method, type, strlen(body), body);
	assert_int_equal(sip_msg_parse(&m, text, strlen(text)), 0);
	pass = sip_pass_of(&m);
	sip_pass_body(&b, pass, (struct slice){ 0 });
	snprintf(out, size, "%s", b.data);
	sip_pass_drop(&pass);
	sip_msg_clear(&m);
	buf_free(&b);
}

/* A description never gets to the other side as it came. */
static void test_descriptions_stay(void **state)
{
	static const char *const calls[] = { "INVITE", "ACK", "UPDATE", "PRACK", "BYE" };
	char out[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		body_instead(out, sizeof(out), calls[i], "application/sdp", LAB_SDP);
		assert_string_equal(out, "Content-Length: 0\r\n\r\n");
		body_instead(out, sizeof(out), calls[i], "multipart/mixed;boundary=x",
			     "--x\r\nc: application/sdp\r\n\r\n" LAB_SDP "\r\n--x--");
		assert_string_equal(out, "Content-Length: 0\r\n\r\n");
	}
	body_instead(out, sizeof(out), "UPDATE", "multipart/mixed;boundary=x",
		     "--x\r\n\r\na\r\n--x--");
	assert_string_equal(out, "Content-Type: multipart/mixed;boundary=x\r\n"
				 "Content-Length: 15\r\n\r\n--x\r\n\r\na\r\n--x--");
	body_instead(out, sizeof(out), "MESSAGE", "application/sdp", "v=0");
	assert_string_equal(out, "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0");
}

#define T(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_headers_of_invite),
		T(test_smuggling),
		T(test_order_and_number),
		T(test_bounds),
		T(test_responses),
		T(test_pitfall_33_multipart),
		cmocka_unit_test(test_multipart_forms),
		cmocka_unit_test(test_parts_are_bounded),
		cmocka_unit_test(test_descriptions_stay),
		T(test_refer_to),
		T(test_replaces),
	};

	return cmocka_run_group_tests_name("sip_pass", tests, NULL, NULL);
}
