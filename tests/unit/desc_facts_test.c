// SPDX-License-Identifier: GPL-2.0-or-later
/* What descriptions say that decides whether their owners can do without the relay. */
#include "desc_helper.h"
#include "media/desc_facts.h"

#define CONNECTION "c=IN IP4 192.0.2.1\r\n"
#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" CONNECTION "t=0 0\r\n"
#define AUDIO(formats, lines) HEAD "m=audio 4000 RTP/AVP " formats "\r\n" lines

static struct desc_facts facts_of(const char *text)
{
	struct desc *d = parsed(text);
	struct desc_facts facts;

	desc_facts(d, &facts);
	desc_free(d);
	return facts;
}

/* The same either way round. */
static struct desc_pair compared(const char *a, const char *b)
{
	struct desc *x = parsed(a), *y = parsed(b);
	struct desc_pair pair, turned;

	desc_compare(x, y, &pair);
	desc_compare(y, x, &turned);
	assert_int_equal(pair.no_codec, turned.no_codec);
	assert_int_equal(pair.numbers_differ, turned.numbers_differ);
	assert_int_equal(pair.parameters_differ, turned.parameters_differ);
	assert_int_equal(pair.events_differ, turned.events_differ);
	assert_int_equal(pair.ptime_ms[0], turned.ptime_ms[1]);
	assert_int_equal(pair.ptime_ms[1], turned.ptime_ms[0]);
	desc_free(x);
	desc_free(y);
	return pair;
}

static void keys(void **state)
{
	(void)state;
	assert_int_equal(facts_of(AUDIO("0", "")).keys, DESC_NO_KEYS);
	assert_int_equal(
		facts_of(AUDIO("0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n")).keys,
		DESC_SDES);
	assert_int_equal(facts_of(AUDIO("0", "a=crypto:1 X inline:x\r\n"
					     "a=fingerprint:SHA-1 00\r\n"))
				 .keys,
			 DESC_DTLS);
	assert_int_equal(facts_of("v=0\r\nc=IN IP4 192.0.2.1\r\na=fingerprint:SHA-1 00\r\n"
				  "m=audio 4000 RTP/AVP 0\r\n")
				 .keys,
			 DESC_DTLS);
	assert_int_equal(facts_of(AUDIO("0", "a=zrtp-hash:1.10 00\r\n")).keys, DESC_ZRTP);
	/* Those of a line that is not relayed are not the audio's. */
	assert_int_equal(facts_of(AUDIO("0", "m=video 4002 RTP/AVP 31\r\na=crypto:1 X x\r\n")).keys,
			 DESC_NO_KEYS);
}

static void ice(void **state)
{
	(void)state;
	assert_false(facts_of(AUDIO("0", "a=rtcp-mux\r\n")).ice);
	assert_true(facts_of(AUDIO("0", "a=ice-ufrag:x\r\n")).ice);
	assert_true(facts_of(AUDIO("0", "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n")).ice);
	assert_true(facts_of("v=0\r\nc=IN IP4 192.0.2.1\r\na=ice-lite\r\n"
			     "m=audio 4000 RTP/AVP 0\r\n")
			    .ice);
}

static void live_lines(void **state)
{
	struct desc_facts f = facts_of(AUDIO("0", "m=video 4002 RTP/AVP 31\r\n"
						  "m=image 4004 udptl t38\r\n"
						  "m=audio 0 RTP/AVP 8\r\n"
						  "m=video 0 RTP/AVP 31\r\n"
						  "m=application 9 UDP/BFCP *\r\n"
						  "m=message 2855 TCP/MSRP *\r\n"));

	(void)state;
	assert_int_equal(f.live[DESC_KIND_AUDIO], 1);
	assert_int_equal(f.live[DESC_KIND_VIDEO], 1);
	assert_int_equal(f.live[DESC_KIND_IMAGE], 1);
	assert_int_equal(f.live[DESC_KIND_OTHER], 2);
}

static void telephone_event(void **state)
{
	(void)state;
	assert_false(facts_of(AUDIO("0 8", "")).telephone_event);
	assert_true(
		facts_of(AUDIO("0 101", "a=rtpmap:101 telephone-event/8000\r\n")).telephone_event);
	assert_false(facts_of(AUDIO("0", "a=rtpmap:101 telephone-event/8000\r\n")).telephone_event);
}

static void codecs_in_common(void **state)
{
	struct desc_pair p = compared(AUDIO("0 8 3", ""), AUDIO("8", ""));

	(void)state;
	assert_false(p.no_codec || p.numbers_differ || p.parameters_differ || p.events_differ);
	p = compared(AUDIO("0", ""), AUDIO("8", ""));
	assert_true(p.no_codec);
	assert_false(p.numbers_differ || p.parameters_differ);
	/* Comfort noise and digits are no codec. */
	p = compared(AUDIO("0 13 101", "a=rtpmap:101 telephone-event/8000\r\n"),
		     AUDIO("8 13 101", "a=rtpmap:101 telephone-event/8000\r\n"));
	assert_true(p.no_codec);
	/* A number without a name is only itself. */
	assert_false(compared(AUDIO("77", ""), AUDIO("77", "")).no_codec);
	assert_true(compared(AUDIO("77", ""), AUDIO("78", "")).no_codec);
	/* A static number written out. */
	assert_false(compared(AUDIO("0", ""), AUDIO("0", "a=rtpmap:0 pcmu/8000/1\r\n")).no_codec);
}

static void no_audio_is_no_codec(void **state)
{
	struct desc_pair p = compared(AUDIO("0", ""), HEAD "m=image 4000 udptl t38\r\n");

	(void)state;
	assert_true(p.no_codec);
	assert_int_equal(p.ptime_ms[0], 20);
}

static void payload_numbers(void **state)
{
	struct desc_pair p = compared(AUDIO("96", "a=rtpmap:96 opus/48000/2\r\n"),
				      AUDIO("107", "a=rtpmap:107 OPUS/48000/2\r\n"));

	(void)state;
	assert_true(p.numbers_differ);
	assert_false(p.no_codec || p.parameters_differ);
	/* Only what both name: the first is not in use. */
	assert_false(compared(AUDIO("96 0", "a=rtpmap:96 opus/48000/2\r\n"), AUDIO("0", ""))
			     .numbers_differ);
	/* Twice the same codec: the one that is most alike. */
	p = compared(AUDIO("96 97", "a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n"
				    "a=rtpmap:97 AMR/8000\r\n"),
		     AUDIO("97", "a=rtpmap:97 AMR/8000\r\n"));
	assert_false(p.numbers_differ || p.parameters_differ);
	p = compared(AUDIO("96 97", "a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n"
				    "a=rtpmap:97 AMR/8000\r\n"),
		     AUDIO("98", "a=rtpmap:98 AMR/8000\r\n"));
	assert_true(p.numbers_differ);
}

static void parameters(void **state)
{
#define ILBC(fmtp) AUDIO("97", "a=rtpmap:97 iLBC/8000\r\n" fmtp)
	(void)state;
	assert_false(
		compared(ILBC("a=fmtp:97 mode=20; x=1\r\n"), ILBC("a=fmtp:97  X=1;mode=20;\r\n"))
			.parameters_differ);
	assert_true(compared(ILBC("a=fmtp:97 mode=20\r\n"), ILBC("a=fmtp:97 mode=30\r\n"))
			    .parameters_differ);
	assert_true(compared(ILBC("a=fmtp:97 mode=20\r\n"), ILBC("")).parameters_differ);
	assert_true(compared(ILBC("a=fmtp:97 mode=20;x=1\r\n"), ILBC("a=fmtp:97 mode=20\r\n"))
			    .parameters_differ);
	/* Of another number. */
	assert_false(compared(ILBC("a=fmtp:98 mode=20\r\n"), ILBC("")).parameters_differ);
#undef ILBC
}

/* The work stays small whatever a stranger writes: long lists are compared as they stand. */
static void long_parameters(void **state)
{
	struct buf a = { 0 }, b = { 0 };

	(void)state;
	buf_str(&a, AUDIO("97", "a=rtpmap:97 x/8000\r\na=fmtp:97 y"));
	buf_str(&b, AUDIO("97", "a=rtpmap:97 x/8000\r\na=fmtp:97 "));
	for (int i = 0; i < 4000; i++) {
		buf_str(&a, ";x");
		buf_str(&b, "x;");
	}
	buf_str(&a, "\r\n");
	buf_str(&b, "y\r\n");
	assert_true(compared(a.data, b.data).parameters_differ);
	assert_false(compared(a.data, a.data).parameters_differ);
	buf_free(&a);
	buf_free(&b);
}

static void clock_of_the_same_codec(void **state)
{
	struct desc_pair p = compared(AUDIO("97", "a=rtpmap:97 speex/8000\r\n"),
				      AUDIO("97", "a=rtpmap:97 speex/16000\r\n"));

	(void)state;
	assert_true(p.parameters_differ);
	assert_false(p.no_codec);
	p = compared(AUDIO("97 98", "a=rtpmap:97 speex/8000\r\na=rtpmap:98 speex/16000\r\n"),
		     AUDIO("98", "a=rtpmap:98 speex/16000\r\n"));
	assert_false(p.parameters_differ || p.numbers_differ);
}

static void events(void **state)
{
#define EVENTS(number, fmtp) AUDIO("0 " number, "a=rtpmap:" number " telephone-event/8000\r\n" fmtp)
	(void)state;
	assert_false(compared(EVENTS("101", ""), EVENTS("101", "")).events_differ);
	assert_true(compared(EVENTS("101", ""), EVENTS("96", "")).events_differ);
	assert_true(compared(EVENTS("101", ""), AUDIO("0", "")).events_differ);
	assert_false(compared(AUDIO("8", ""), AUDIO("8", "")).events_differ);
	/* Nothing written is 0-15; a flash (16) is no digit. */
	assert_false(
		compared(EVENTS("101", "a=fmtp:101 0-16,70\r\n"), EVENTS("101", "")).events_differ);
	assert_false(compared(EVENTS("101", "a=fmtp:101 0-11, 12-15\r\n"), EVENTS("101", ""))
			     .events_differ);
	assert_true(
		compared(EVENTS("101", "a=fmtp:101 0-11\r\n"), EVENTS("101", "")).events_differ);
	/* Another clock is another event stream. */
	assert_true(compared(EVENTS("101", ""),
			     AUDIO("0 101", "a=rtpmap:101 telephone-event/48000\r\n"))
			    .events_differ);
	assert_false(compared(EVENTS("101", "a=fmtp:101 nonsense\r\n"), EVENTS("101", ""))
			     .events_differ);
#undef EVENTS
}

static void wished_ptime(void **state)
{
	struct desc_pair p = compared(AUDIO("0", ""), AUDIO("0", "a=ptime:30\r\n"));

	(void)state;
	assert_int_equal(p.ptime_ms[0], 20);
	assert_int_equal(p.ptime_ms[1], 30);
	assert_int_equal(compared(AUDIO("0", "a=maxptime:10\r\n"), AUDIO("0", "")).ptime_ms[0], 10);
	assert_int_equal(compared(AUDIO("0", "a=maxptime:60\r\n"), AUDIO("0", "")).ptime_ms[0], 20);
	assert_int_equal(compared(AUDIO("0", "a=ptime:0\r\n"), AUDIO("0", "")).ptime_ms[0], 20);
	assert_int_equal(compared(AUDIO("0", "a=ptime:99999\r\n"), AUDIO("0", "")).ptime_ms[0], 20);
	/* Of the codec in use, not of the first that the offer names. */
	p = compared(AUDIO("4 0", ""), AUDIO("0", ""));
	assert_int_equal(p.ptime_ms[0], 20);
	p = compared(AUDIO("0 4", ""), AUDIO("4", ""));
	assert_int_equal(p.ptime_ms[0], 30);
	assert_int_equal(p.ptime_ms[1], 30);
	p = compared(AUDIO("97", "a=rtpmap:97 iLBC/8000\r\n"),
		     AUDIO("97", "a=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20\r\n"));
	assert_int_equal(p.ptime_ms[0], 30);
	assert_int_equal(p.ptime_ms[1], 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(ice),
		cmocka_unit_test(live_lines),
		cmocka_unit_test(telephone_event),
		cmocka_unit_test(codecs_in_common),
		cmocka_unit_test(no_audio_is_no_codec),
		cmocka_unit_test(payload_numbers),
		cmocka_unit_test(parameters),
		cmocka_unit_test(long_parameters),
		cmocka_unit_test(clock_of_the_same_codec),
		cmocka_unit_test(events),
		cmocka_unit_test(wished_ptime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
