// SPDX-License-Identifier: GPL-2.0-or-later
/* Which messages show that their sender is behind a NAT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "sip/leg_priv.h"

#define HOP(host) "Via: SIP/2.0/UDP " host ";branch=z9hG4bKx\r\n"
#define AT(host)  "Contact: <sip:a@" host ">\r\n"

/* A message with these lines, as it came from `source`. */
static bool natted(const char *start, const char *lines, const char *source,
		   enum conf_transport transport)
{
	struct sip_bind bind = { .transport = transport };
	struct sip_msg m;
	char text[2048];
	bool found;
	int len = snprintf(text, sizeof(text) - 1,
			   "%s\r\n%sFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\n"
			   "CSeq: 1 INVITE\r\n\r\n",
			   start, lines);

	if (sip_msg_parse(&m, text, (size_t)len))
		fail_msg("%s: %s", lines, m.fault);
	m.bind = &bind;
	assert_int_equal(addr_parse(&m.source, source), 0);
	found = sip_msg_natted(&m);
	sip_msg_clear(&m);
	return found;
}

static bool asks(const char *lines, const char *source)
{
	return natted("INVITE sip:b@h SIP/2.0", lines, source, CONF_UDP);
}

static bool answers(const char *lines, const char *source)
{
	return natted("SIP/2.0 200 OK", lines, source, CONF_UDP);
}

static void via_and_source(void **state)
{
	(void)state;
	assert_false(asks(HOP("192.0.2.9:5060"), "192.0.2.9:5060"));
	assert_false(asks(HOP("192.0.2.9"), "192.0.2.9:5060"));
	assert_false(asks(HOP("[2001:db8::9]:5062"), "[2001:db8::9]:5062"));
	assert_true(asks(HOP("192.0.2.8"), "192.0.2.9:5060"));
	assert_true(asks(HOP("192.0.2.9:5062"), "192.0.2.9:5060"));
	assert_true(asks(HOP("192.0.2.9"), "192.0.2.9:1024"));
	assert_true(asks(HOP("10.0.0.9:5062;rport"), "10.1.0.9:5062"));
}

/* A connection comes from any port. */
static void connections(void **state)
{
	const char *invite = "INVITE sip:b@h SIP/2.0";

	(void)state;
	assert_false(natted(invite, HOP("192.0.2.9:5060"), "192.0.2.9:40000", CONF_TCP));
	assert_true(natted(invite, HOP("192.0.2.8:5060"), "192.0.2.9:40000", CONF_TLS));
}

/* Behind a proxy the first Via is the proxy's, or the last of several is the phone's. */
static void proxies(void **state)
{
	(void)state;
	assert_false(asks(HOP("192.0.2.8") HOP("10.0.0.9"), "192.0.2.9:5060"));
	assert_false(
		asks(HOP("192.0.2.8") "Record-Route: <sip:192.0.2.9;lr>\r\n", "192.0.2.9:5060"));
	assert_false(asks(HOP("phone.example"), "192.0.2.9:5060"));
}

/* The Via of an answer is ours. */
static void via_of_answers(void **state)
{
	(void)state;
	assert_false(answers(HOP("192.0.2.1") AT("192.0.2.9"), "192.0.2.9:5060"));
}

static void private_contact(void **state)
{
	(void)state;
	assert_true(answers(HOP("192.0.2.1") AT("10.0.0.9:5060"), "192.0.2.9:5060"));
	assert_true(asks(HOP("192.0.2.9") AT("192.168.0.9"), "192.0.2.9:5060"));
	assert_true(answers(HOP("192.0.2.1") AT("[fd00::9]"), "192.0.2.9:5060"));
	assert_false(answers(HOP("192.0.2.1") AT("10.0.0.9"), "10.7.7.7:5060"));
	assert_false(answers(HOP("192.0.2.1") AT("phone.example"), "192.0.2.9:5060"));
	assert_false(answers(HOP("192.0.2.1"), "192.0.2.9:5060"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(via_and_source),  cmocka_unit_test(connections),
		cmocka_unit_test(proxies),	   cmocka_unit_test(via_of_answers),
		cmocka_unit_test(private_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
