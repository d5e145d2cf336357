// SPDX-License-Identifier: GPL-2.0-or-later
/* Where messages of a stream end: cut at every byte, several at once, and lengths that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "sip/frame.h"
#include "sip/stun.h"

#define START "OPTIONS sip:x SIP/2.0\r\n"

/* A stream in pieces: what it was cut into, as text. */
struct cut {
	struct sip_frame frame;
	char in[200000];
	size_t n;
	char log[8192];
	bool over; /* after the kinds that end a connection */
};

static void note(struct cut *c, enum sip_frame_kind kind, size_t len)
{
	static const char *const names[] = {
		[FRAME_SKIP] = "skip",
		[FRAME_PING] = "ping",
		[FRAME_MESSAGE] = "message",
		[FRAME_NO_LENGTH] = "no_length",
		[FRAME_BAD_LENGTH] = "bad_length",
		[FRAME_TOO_LARGE] = "too_large",
		[FRAME_GARBAGE] = "garbage",
	};
	size_t at = strlen(c->log);

	snprintf(c->log + at, sizeof(c->log) - at, "%s:%zu ", names[kind], len);
}

static void feed(struct cut *c, const char *bytes, size_t n)
{
	enum sip_frame_kind kind;
	size_t len;

	assert_true(c->n + n <= sizeof(c->in));
	memcpy(c->in + c->n, bytes, n);
	c->n += n;
	while (!c->over) {
		kind = sip_frame_next(&c->frame, c->in, c->n, &len);
		assert_true(len <= c->n);
		if (kind == FRAME_MORE)
			break;
		note(c, kind, len);
		c->over = kind > FRAME_MESSAGE;
		memmove(c->in, c->in + len, c->n - len);
		c->n -= len;
	}
}

static const struct {
	const char *stream, *log;
} table[] = {
	{START "Content-Length: 0\r\n\r\n", "message:44 "},
	{START "Content-Length: 4\r\n\r\nabcd", "message:48 "},
	{START "l:4\r\n\r\nabcd", "message:34 "},
	{START "L \t: 004 \t\r\n\r\nabcd", "message:41 "},
	{START "cOnTeNt-LeNgTh: 4\r\n\r\nabcd", "message:48 "},
	{START "Content-Length:\r\n  4\r\n\r\nabcd", "message:51 "},
	{START "a: b\r\nContent-Length: 1\r\nc: d\r\n\r\nx", "message:57 "},
	/* Line ends alone, as scan.c takes them. */
	{"OPTIONS sip:x SIP/2.0\nl: 1\n\nx", "message:29 "},
	{"OPTIONS sip:x SIP/2.0\r\nl: 1\n\r\nx", "message:31 "},
	/* A continuation line is no header, and an empty one with a blank is no end. */
	{START "a: b\r\n l: 9\r\nl: 1\r\n\r\nx", "message:45 "},
	{START "a: b\r\n \r\nl: 1\r\n\r\nx", "message:41 "},
	/* What is called nearly so does not count. */
	{START "Content-Lengths: 9\r\nx-l: 9\r\nll: 8\r\nl: 0\r\n\r\n", "message:66 "},
	/* Several in one segment, line ends and pings between them. */
	{START "l: 0\r\n\r\n" START "l: 2\r\n\r\nhi" START "l: 0\r\n\r\n",
	 "message:31 message:33 message:31 "},
	{"\r\n", "skip:2 "},
	{"\r\n\r\n", "skip:2 ping:2 "},
	{"\r\n\r\n\r\n", "skip:2 ping:2 skip:2 "},
	{"\r\n\r\n\r\n\r\n" START "l: 0\r\n\r\n", "skip:2 ping:2 skip:2 ping:2 message:31 "},
	{"\r\n" START "l: 0\r\n\r\n\r\n" START "l: 0\r\n\r\n\r\n\r\n",
	 "skip:2 message:31 skip:2 message:31 skip:2 ping:2 "},
	{"\n" START "l: 0\r\n\r\n", "skip:1 message:31 "},
	{"\n\n\r\n\n\r\n\r\n", "skip:1 skip:1 skip:2 skip:1 skip:2 ping:2 "},
	/* A body that looks like a message is a body. */
	{START "l: 31\r\n\r\n" START "l: 0\r\n\r\n" START "l: 0\r\n\r\n", "message:63 message:31 "},
	/* No length, or none that can be believed. */
	{START "\r\n", "no_length:25 "},
	{START "From: <sip:x>\r\n\r\nv=0\r\n", "no_length:40 "},
	{START "l: -1\r\n\r\n", "bad_length:32 "},
	{START "l: +1\r\n\r\n", "bad_length:32 "},
	{START "l:\r\n\r\n", "bad_length:29 "},
	{START "l: 1 1\r\n\r\n", "bad_length:33 "},
	{START "l: 0x1\r\n\r\n", "bad_length:33 "},
	{START "l: 1, 1\r\n\r\n", "bad_length:34 "},
	{START "l: 1\r\nContent-Length: 1\r\n\r\nx", "bad_length:50 "},
	{START "l: 65600\r\n\r\n", "too_large:35 "},
	{START "l: 18446744073709551617\r\n\r\n", "too_large:50 "},
	{START "l: 99999999999999999999999999999999999999\r\n\r\n", "too_large:68 "},
	/* Not SIP at all. */
	{"\x16\x03\x01\x02", "garbage:0 "},
	{" OPTIONS", "garbage:0 "},
	{"\rOPTIONS", "garbage:0 "},
	{"<xml/>", "garbage:0 "},
};

static void test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct cut *c = calloc(1, sizeof(*c));

		feed(c, table[i].stream, strlen(table[i].stream));
		if (strcmp(c->log, table[i].log) != 0)
			fail_msg("row %zu: '%s', not '%s'", i, c->log, table[i].log);
		free(c);
	}
}

/* Every stream in two pieces, cut at each of its bytes, and byte by byte. */
static void test_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const char *stream = table[i].stream;
		size_t n = strlen(stream);
		struct cut *c = malloc(sizeof(*c));

		for (size_t at = 0; at <= n; at++) {
			memset(c, 0, sizeof(*c));
			feed(c, stream, at);
			feed(c, stream + at, n - at);
			if (strcmp(c->log, table[i].log) != 0)
				fail_msg("row %zu cut at %zu: '%s', not '%s'", i, at, c->log,
					 table[i].log);
		}
		memset(c, 0, sizeof(*c));
		for (size_t at = 0; at < n; at++)
			feed(c, stream + at, 1);
		assert_string_equal(c->log, table[i].log);
		free(c);
	}
}

static void test_empty(void **state)
{
	struct sip_frame frame = {0};
	size_t len = 9;

	(void)state;
	assert_int_equal(sip_frame_next(&frame, "", 0, &len), FRAME_MORE);
	assert_int_equal(len, 0);
	assert_int_equal(sip_frame_next(&frame, "\0abc", 4, &len), FRAME_GARBAGE);
}

/* The largest message there may be, and one byte more; headers likewise. */
static void test_limits(void **state)
{
	struct cut *c = calloc(1, sizeof(*c));
	char *text = malloc(SIP_FRAME_MAX + 1), head[64], want[64];
	int n;

	(void)state;
	memset(text, 'x', SIP_FRAME_MAX + 1);
	n = snprintf(head, sizeof(head), START "l: %d\r\n\r\n", SIP_FRAME_MAX - 35);
	assert_int_equal(n, 35);
	feed(c, head, (size_t)n);
	feed(c, text, SIP_FRAME_MAX - 35);
	snprintf(want, sizeof(want), "message:%d ", SIP_FRAME_MAX);
	assert_string_equal(c->log, want);
	memset(c, 0, sizeof(*c));
	n = snprintf(head, sizeof(head), START "l: %d\r\n\r\n", SIP_FRAME_MAX - 34);
	feed(c, head, (size_t)n);
	assert_string_equal(c->log, "too_large:35 ");

	memset(c, 0, sizeof(*c));
	feed(c, START "l: 0\r\na: ", 32);
	feed(c, text, SIP_FRAME_HEAD_MAX - 36);
	feed(c, "\r\n\r\n", 4);
	snprintf(want, sizeof(want), "message:%d ", SIP_FRAME_HEAD_MAX);
	assert_string_equal(c->log, want);
	memset(c, 0, sizeof(*c));
	feed(c, START "l: 0\r\na: ", 32);
	feed(c, text, SIP_FRAME_HEAD_MAX - 32);
	assert_string_equal(c->log, "");
	feed(c, text, 1);
	assert_string_equal(c->log, "too_large:0 ");
	free(text);
	free(c);
}

/* RFC 5769 2.2 and 2.3 have the addresses; their attributes beyond the mapped address are not ours
 * to give. */
static const char stun_id[] = "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

static size_t stun_request(char *out, const char *attributes, size_t len)
{
	memcpy(out, "\x00\x01\x00", 3);
	out[3] = (char)len;
	memcpy(out + 4, stun_id, 16);
	if (len)
		memcpy(out + 20, attributes, len);
	return 20 + len;
}

static void test_stun_address(void **state)
{
	static const char v4[] = "\x01\x01\x00\x0c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86"
				 "\xfa\x87\xdf\xae\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
	static const char v6[] = "\x01\x01\x00\x18\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86"
				 "\xfa\x87\xdf\xae\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa"
				 "\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";
	char in[64], out[SIP_STUN_ANSWER_MAX];
	struct addr source;
	size_t n = stun_request(in, NULL, 0);

	(void)state;
	assert_int_equal(addr_parse(&source, "192.0.2.1:32853"), 0);
	assert_int_equal(sip_stun_answer(out, in, n, &source), 32);
	assert_memory_equal(out, v4, 32);
	assert_int_equal(addr_parse(&source, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"), 0);
	assert_int_equal(sip_stun_answer(out, in, n, &source), 44);
	assert_memory_equal(out, v6, 44);
}

static void test_stun_attributes(void **state)
{
	static const char error[] = "\x01\x11\x00\x10\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6"
				    "\x86\xfa\x87\xdf\xae\x00\x09\x00\x04\x00\x00\x04\x14"
				    "\x00\x0a\x00\x02\x00\x03\x00\x00";
	char in[64], out[SIP_STUN_ANSWER_MAX];
	struct addr source;
	size_t n;

	(void)state;
	assert_int_equal(addr_parse(&source, "192.0.2.1:32853"), 0);
	n = stun_request(in,
			 "\x80\x22\x00\x03"
			 "abc\0"
			 "\x00\x06\x00\x04user",
			 16);
	assert_int_equal(sip_stun_answer(out, in, n, &source), 32);
	n = stun_request(in,
			 "\x80\x22\x00\x01"
			 "a\0\0\0"
			 "\x00\x03\x00\x04\0\0\0\2",
			 16);
	assert_int_equal(sip_stun_answer(out, in, n, &source), 36);
	assert_memory_equal(out, error, 36);
}

static void test_stun_none(void **state)
{
	char in[64], out[SIP_STUN_ANSWER_MAX];
	struct addr source = {.family = AF_INET, .port = 1};
	size_t n = stun_request(in, NULL, 0);

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sip_stun_answer(out, in, i, &source), 0);
	for (size_t i = 0; i < 8; i++) { /* type, length and cookie must be right */
		in[i] ^= 0x20;
		assert_int_equal(sip_stun_answer(out, in, n, &source), 0);
		in[i] ^= 0x20;
	}
	/* An attribute that claims more than there is. */
	n = stun_request(in, "\x00\x06\xff\xff", 4);
	assert_int_equal(sip_stun_answer(out, in, n, &source), 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	     cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_empty),	     cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stun_address), cmocka_unit_test(test_stun_attributes),
		cmocka_unit_test(test_stun_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
