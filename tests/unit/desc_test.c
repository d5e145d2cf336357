// SPDX-License-Identifier: GPL-2.0-or-later
/* Session descriptions: what golden pairs cannot show. */
#include "desc_helper.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
#define AUDIO HEAD "m=audio 4000 RTP/AVP 0 8\r\n"

static struct desc_audio audio_of(const char *text)
{
	struct desc *d = parsed(text);
	struct desc_audio audio = audio_in(d);

	desc_free(d);
	return audio;
}

static void refuses(const char *text, size_t len, int expected)
{
	struct desc *d = NULL;
	const char *why = NULL;

	/* A copy of its very size: a byte read past the end is seen. */
	char *copy = malloc(len ? len : 1);

	memcpy(copy, text, len);
	assert_int_equal(desc_parse(&d, copy, len, &why), expected);
	assert_null(d);
	assert_non_null(why);
	assert_int_equal(desc_parse(&d, copy, len, NULL), expected);
	free(copy);
}

static void what_is_no_description(void **state)
{
	static const char *const texts[] = {
		"", "\r\n", "v", "v=", "v=1\r\n", "o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n", "hello\r\n",
		" v=0\r\n", "V=0\r\n", HEAD "audio\r\n", HEAD "=x\r\n", HEAD "m=audio\r\n",
		HEAD "m=\n", HEAD "m=audio 1\n", HEAD "m=audio x RTP/AVP 0\n",
		HEAD "m=audio 65536 RTP/AVP 0\n", HEAD "m=audio -1 RTP/AVP 0\n",
		HEAD "a=x\rc=IN IP4 6.6.6.6\r\n",
		HEAD "m=audio 99999999999999999999 RTP/AVP 0\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		refuses(texts[i], strlen(texts[i]), -EBADMSG);
	refuses(AUDIO "\0a=x\r\n", sizeof(AUDIO "\0a=x\r\n") - 1, -EBADMSG);
}

static void what_is_too_large(void **state)
{
	struct buf text = { 0 };
	struct desc *d;

	(void)state;
	buf_str(&text, HEAD);
	for (int i = 0; i < DESC_MAX_MEDIA; i++)
		buf_str(&text, "m=audio 1 X 0\r\n");
	d = parsed(text.data);
	assert_int_equal(desc_media_count(d), DESC_MAX_MEDIA);
	desc_free(d);
	buf_str(&text, "m=audio 1 X 0\r\n");
	refuses(text.data, text.len, -E2BIG);
	for (int i = 0; i < 983; i++)
		buf_str(&text, "m=audio 1 X 0\r\n");
	refuses(text.data, text.len, -E2BIG);
	buf_reset(&text);
	buf_str(&text, AUDIO);
	for (int i = 0; i < 10000; i++)
		buf_str(&text, "a=x\r\n");
	refuses(text.data, text.len, -E2BIG);
	refuses(text.data, DESC_MAX_BYTES + 1, -E2BIG);
	text.data[DESC_MAX_BYTES] = '\0';
	d = parsed(text.data);
	desc_free(d);
	buf_free(&text);
}

static void ends_of_text(void **state)
{
	static const char *const without_codec[] = {
		HEAD "m=audio 1 RTP/AVP", HEAD "m=audio 1 RTP/AVP\n", HEAD "m=audio 1 RTP/AVP \n",
		HEAD "m=audio 1 RTP/AVP x 128 999", HEAD "m=audio 1 RTP/AVP 101\na=rtpmap:101",
		HEAD "m=audio 1 RTP/AVP 101\na=rtpmap:",
		HEAD "m=audio 1 RTP/AVP 101\na=rtpmap:101 ",
		HEAD "m=audio 1 RTP/AVP 101\na=rtpmap:101 /8000\na=rtcp:\na=",
	};
	struct desc_audio audio;

	(void)state;
	for (size_t i = 0; i < sizeof(without_codec) / sizeof(*without_codec); i++) {
		size_t len = strlen(without_codec[i]);
		char *copy = malloc(len);
		struct desc *d;

		memcpy(copy, without_codec[i], len);
		assert_int_equal(desc_parse(&d, copy, len, NULL), 0);
		free(copy);
		assert_int_equal(desc_audio(d, &audio), 0);
		assert_string_equal(audio.codec, "");
		assert_int_equal(audio.clock_rate, 0);
		assert_int_equal(audio.rtp.port, 1);
		desc_free(d);
	}
}

static void address_text(char text[ADDR_TEXT], const struct addr *a, const char *expected)
{
	assert_string_equal(addr_print(text, a), expected);
}

static void audio_fields(void **state)
{
	char text[ADDR_TEXT];
	struct desc_audio a;

	(void)state;
	a = audio_of("v=0\nm=video 9 RTP/AVP 31\nc=IN IP4 9.9.9.9\n"
		     "m=audio 0 RTP/AVP 0\nc=IN IP4 9.9.9.9\n"
		     "m=audio 4000/2  RTP/AVP\t101 13 9 0\nc=IN IP4 10.0.0.2/127\n"
		     "a=rtpmap:101 telephone-event/8000\na=sendonly\n");
	assert_int_equal(a.index, 2);
	address_text(text, &a.rtp, "10.0.0.2:4000");
	address_text(text, &a.rtcp, "10.0.0.2:4001");
	assert_string_equal(a.codec, "G722");
	assert_int_equal(a.clock_rate, 8000);
	assert_int_equal(a.direction, DIR_SENDONLY);

	a = audio_of(HEAD "a=recvonly\r\nm=audio 4000 RTP/AVPF 96\r\nc=IN IP6 2001:db8::2\r\n"
		     "a=rtpmap:96 opus/48000/2\r\na=rtcp:53020 IN IP4 126.16.64.4\r\n");
	address_text(text, &a.rtp, "[2001:db8::2]:4000");
	address_text(text, &a.rtcp, "126.16.64.4:53020");
	assert_string_equal(a.codec, "opus");
	assert_int_equal(a.clock_rate, 48000);
	assert_int_equal(a.direction, DIR_RECVONLY);

	a = audio_of(AUDIO "a=rtcp:53020\r\na=sendrecv\r\n");
	address_text(text, &a.rtcp, "10.0.0.1:53020");
	a = audio_of(AUDIO "a=rtcp:70000\r\n");
	address_text(text, &a.rtcp, "10.0.0.1:4001");
	a = audio_of(HEAD "m=audio 65535 RTP/AVP 0\r\n");
	address_text(text, &a.rtcp, "10.0.0.1");
}

static void static_payload_types(void **state)
{
	static const struct {
		int number;
		const char *codec;
		uint32_t rate;
	} known[] = {
		{ 0, "PCMU", 8000 }, { 3, "GSM", 8000 }, { 4, "G723", 8000 }, { 5, "DVI4", 8000 },
		{ 6, "DVI4", 16000 }, { 7, "LPC", 8000 }, { 8, "PCMA", 8000 }, { 9, "G722", 8000 },
		{ 10, "L16", 44100 }, { 11, "L16", 44100 }, { 12, "QCELP", 8000 },
		{ 14, "MPA", 90000 }, { 15, "G728", 8000 }, { 16, "DVI4", 11025 },
		{ 17, "DVI4", 22050 }, { 18, "G729", 8000 }, { 1, "", 0 }, { 2, "", 0 },
		{ 13, "", 0 }, { 19, "", 0 }, { 96, "", 0 }, { 127, "", 0 },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct desc_audio a;

		snprintf(text, sizeof(text), HEAD "m=audio 4000 RTP/AVP %d\r\n", known[i].number);
		a = audio_of(text);
		assert_string_equal(a.codec, known[i].codec);
		assert_int_equal(a.clock_rate, known[i].rate);
	}
}

static void pitfall_17_hold_spellings(void **state)
{
	static const struct {
		const char *address, *line;
		bool holds;
		enum direction out;
	} cases[] = {
		{ "IP4 10.0.0.1", "a=sendrecv\n", false, DIR_SENDRECV },
		{ "IP4 10.0.0.1", "", false, DIR_SENDRECV },
		{ "IP4 10.0.0.1", "a=recvonly\n", false, DIR_RECVONLY },
		{ "IP4 10.0.0.1", "a=sendonly\n", true, DIR_SENDONLY },
		{ "IP4 10.0.0.1", "a=inactive\n", true, DIR_INACTIVE },
		{ "IP4 0.0.0.0", "", true, DIR_SENDONLY },
		{ "IP4 0.0.0.0", "a=sendonly\n", true, DIR_SENDONLY },
		{ "IP4 0.0.0.0", "a=recvonly\n", true, DIR_INACTIVE },
		{ "IP4 0.0.0.0", "a=inactive\n", true, DIR_INACTIVE },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct desc_audio a;

		snprintf(text, sizeof(text), "v=0\nm=audio 4000 RTP/AVP 0\nc=IN %s\n%s",
			 cases[i].address, cases[i].line);
		a = audio_of(text);
		assert_int_equal(desc_holds(&a), cases[i].holds);
		assert_int_equal(desc_direction_out(&a), cases[i].out);
	}
	assert_int_equal(direction_reverse(DIR_SENDONLY), DIR_RECVONLY);
	assert_int_equal(direction_reverse(DIR_RECVONLY), DIR_SENDONLY);
	assert_int_equal(direction_reverse(DIR_SENDRECV), DIR_SENDRECV);
	assert_int_equal(direction_reverse(DIR_INACTIVE), DIR_INACTIVE);
}

static void pitfall_18_hold_of_ipv6(void **state)
{
	struct desc_audio a = audio_of("v=0\nm=audio 4000 RTP/AVP 0\nc=IN IP6 ::\na=sendrecv\n");

	(void)state;
	assert_true(desc_holds(&a));
	assert_int_equal(desc_direction_out(&a), DIR_SENDONLY);
	a = audio_of("v=0\nm=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\na=sendrecv\n");
	assert_false(desc_holds(&a));
}

/* The first half of G.711 that both descriptions have, under the number of the first. */
static void g711_in_common(void **state)
{
	static const struct {
		const char *d, *told;
		int number;	/* -1: none */
		bool alaw;
	} cases[] = {
		{ "0 8", "0 8", 0, false },
		{ "8 0", "0 8", 8, true },
		{ "9 8", "9 8", 8, true },
		{ "0 8", "8", 8, true },
		{ "96 0\na=rtpmap:96 PCMA/8000", "0 8", 96, true },
		{ "96\na=rtpmap:96 PCMU/16000", "0 8", -1, false },
		{ "96\na=rtpmap:96 PCMU/8000/2", "0 8", -1, false },
		{ "9 101\na=rtpmap:101 telephone-event/8000", "0", -1, false },
		{ "0", "8", -1, false },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *form = "v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP %s\n";
		struct desc *d, *told;
		uint8_t number = 0;
		bool alaw;
		int err;

		snprintf(text, sizeof(text), form, cases[i].d);
		d = parsed(text);
		snprintf(text, sizeof(text), form, cases[i].told);
		told = parsed(text);
		err = desc_g711(d, told, &number, &alaw);
		assert_int_equal(err ? -1 : number, cases[i].number);
		if (!err)
			assert_int_equal(alaw, cases[i].alaw);
		desc_free(d);
		desc_free(told);
	}
}

static void check_equal(const char *a, const char *b, bool expected)
{
	struct desc *x = parsed(a), *y = parsed(b);

	if (desc_equal(x, y) != expected || desc_equal(y, x) != expected)
		fail_msg("expected %s:\n%s\n%s", expected ? "equal" : "different", a, b);
	desc_free(x);
	desc_free(y);
}

static void equality(void **state)
{
	(void)state;
	check_equal(AUDIO, AUDIO, true);
	check_equal(AUDIO, AUDIO "a=sendrecv\r\n", true);
	check_equal(AUDIO, HEAD "a=sendrecv\r\nm=audio  4000 RTP/AVP 0 8\n", true);
	check_equal(AUDIO, "v=0\ns=other\nm=audio 4000 RTP/AVP 0 8\nc=IN IP4 10.0.0.1\n", true);
	check_equal(AUDIO, "v=0\no=x 9 9 IN IP4 1.1.1.1\ns=y\nc=IN IP4 10.0.0.1\nt=1 2\n"
			   "m=audio 4000 RTP/AVP 0 8\n", true);
	check_equal(AUDIO, HEAD "m=audio 4000 RTP/AVP 8 0\r\n", false);
	check_equal(AUDIO, HEAD "m=audio 4000 RTP/AVP 0 8 3\r\n", false);
	check_equal(AUDIO, HEAD "m=audio 4000 RTP/AVP 0\r\n", false);
	check_equal(AUDIO, HEAD "m=audio 4000 RTP/AVPF 0 8\r\n", false);
	check_equal(AUDIO, HEAD "m=video 4000 RTP/AVP 0 8\r\n", false);
	check_equal(AUDIO, HEAD "m=audio 4002 RTP/AVP 0 8\r\n", false);
	check_equal(AUDIO, AUDIO "a=sendonly\r\n", false);
	check_equal(AUDIO, AUDIO "a=ptime:20\r\n", false);
	check_equal(AUDIO "a=ptime:20\r\n", AUDIO "a=ptime:30\r\n", false);
	check_equal(AUDIO, AUDIO "c=IN IP4 10.0.0.2\r\n", false);
	check_equal(AUDIO, HEAD "b=AS:64\r\nm=audio 4000 RTP/AVP 0 8\r\n", false);
	check_equal(AUDIO, AUDIO "m=video 0 RTP/AVP 31\r\n", false);
	check_equal(HEAD "a=x\r\nm=audio 4000 RTP/AVP 0\r\n",
		    HEAD "m=audio 4000 RTP/AVP 0\r\na=x\r\n", false);
}

/* RFC 3264 8: one more exactly when the text changes; the identity outlives the address. */
static void origin_version(void **state)
{
	struct desc *in = parsed(AUDIO), *same = parsed(HEAD "m=audio 9 RTP/AVP 0 8\r\n");
	struct desc *other = parsed(HEAD "m=audio 9 RTP/AVP 0\r\n");
	struct desc_origin o = { 0 };
	struct desc_rewrite rw = relay();
	char *first;

	(void)state;
	assert_int_equal(desc_render(&o, in, &rw), 0);
	assert_int_equal(o.version, 1);
	assert_in_range(o.id, 1, INT32_MAX);
	first = strdup(o.last);
	assert_int_equal(desc_render(&o, same, &rw), 0);
	assert_int_equal(o.version, 1);
	assert_string_equal(o.last, first);
	rw.direction = DIR_SENDONLY;
	assert_int_equal(desc_render(&o, in, &rw), 0);
	assert_int_equal(o.version, 2);
	assert_string_not_equal(o.last, first);
	assert_int_equal(desc_render(&o, other, &rw), 0);
	assert_int_equal(o.version, 3);
	assert_int_equal(addr_parse(&rw.rtp, "192.0.2.9:20000"), 0);
	o.id = 5;
	assert_int_equal(desc_render(&o, other, &rw), 0);
	assert_string_equal(o.last,
			    "v=0\r\no=rtpfwd 5 4 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
			    "t=0 0\r\nm=audio 20000 RTP/AVP 0\r\na=sendonly\r\n");
	free(first);
	desc_origin_free(&o);
	desc_free(in);
	desc_free(same);
	desc_free(other);
}

static void failure_leaves_origin(void **state)
{
	struct desc *in = parsed(AUDIO), *bad = parsed(HEAD "m=audio 9 RTP/AVP 101\r\n");
	struct conf_codecs none = { .all = false };
	struct desc_origin o = { .id = 5 };
	struct desc_rewrite rw = relay();
	char *last;

	(void)state;
	assert_int_equal(desc_render(&o, in, &rw), 0);
	last = o.last;
	rw.allow[1] = &none;
	assert_int_equal(desc_render(&o, in, &rw), -ENOTSUP);
	rw.allow[1] = NULL;
	assert_int_equal(desc_answer(&o, bad, in, &rw), -ENOTSUP);
	assert_ptr_equal(o.last, last);
	assert_int_equal(o.version, 1);
	desc_origin_free(&o);
	desc_free(in);
	desc_free(bad);
}

/* Of the m= line, else of the session, else sendrecv. */
static void pitfall_28_directions(void **state)
{
	static const struct {
		const char *session, *media;
		enum direction expected;
	} rows[] = {
		{ "", "", DIR_SENDRECV },
		{ "", "a=sendonly\n", DIR_SENDONLY },
		{ "a=inactive\n", "", DIR_INACTIVE },
		{ "a=inactive\n", "a=recvonly\n", DIR_RECVONLY },
		{ "a=sendonly\n", "a=sendrecv\n", DIR_SENDRECV },
		{ "", "a=sendonlyx\n", DIR_SENDRECV },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct desc_audio audio;
		struct desc *d;
		char text[256];

		snprintf(text, sizeof(text),
			 "v=0\no=- 1 1 IN IP4 10.0.0.3\ns=-\nc=IN IP4 10.0.0.3\nt=0 0\n%s"
			 "m=audio 6000 RTP/AVP 0\n%s", rows[i].session, rows[i].media);
		d = parsed(text);
		assert_int_equal(desc_audio(d, &audio), 0);
		assert_int_equal(audio.direction, rows[i].expected);
		desc_free(d);
	}
}

/* Formats in force that the offer names, in the order in force (canreinvite.md, pitfall 11). */
static void pitfall_11_own_answer(void **state)
{
	struct desc *force = parsed(HEAD "m=image 0 udptl t38\r\n"
					 "m=audio 7000 RTP/AVP 8 0 101\r\n"
					 "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n");
	struct desc *offer = parsed(HEAD "m=image 5000 udptl t38\r\n"
					 "m=audio 4000 RTP/AVP 0 3 8 101\r\n"
					 "a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n");
	struct desc *without = parsed(HEAD "m=image 0 udptl t38\r\n"
					   "m=audio 4000 RTP/AVP 3 101\r\n"
					   "a=rtpmap:101 telephone-event/8000\r\n");
	struct desc *no_audio = parsed(HEAD "m=audio 0 RTP/AVP 8\r\n");
	struct desc_origin o = { .id = 5 };
	struct desc_rewrite rw = relay();

	(void)state;
	rw.direction = DIR_RECVONLY;
	assert_int_equal(desc_answer(&o, offer, force, &rw), 0);
	assert_string_equal(o.last,
			    "v=0\r\no=rtpfwd 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"
			    "t=0 0\r\nm=image 0 udptl t38\r\nm=audio 20000 RTP/AVP 8 0 101\r\n"
			    "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=recvonly\r\n");
	assert_int_equal(desc_answer(&o, without, force, &rw), -ENOTSUP);
	assert_int_equal(desc_answer(&o, no_audio, force, &rw), -ENOENT);
	assert_int_equal(desc_answer(&o, offer, no_audio, &rw), -ENOENT);
	desc_origin_free(&o);
	desc_free(force);
	desc_free(offer);
	desc_free(without);
	desc_free(no_audio);
}

/* What a leg is told of the other one's own address: RTCP elsewhere, and only what both know. */
static void told_the_peer(void **state)
{
	struct desc *in = parsed(HEAD "m=audio 5000 RTP/AVP 0 8 3\r\n"
				      "a=rtcp:7001 IN IP4 10.0.0.9\r\n");
	struct desc *other = parsed(HEAD "m=audio 4000 RTP/AVP 3 0\r\n");
	struct desc_origin o = { .id = 5 };
	struct desc_rewrite rw = { .common = other };

	(void)state;
	assert_int_equal(addr_parse(&rw.rtp, "10.0.0.1:5000"), 0);
	assert_int_equal(addr_parse(&rw.rtcp, "10.0.0.9:7001"), 0);
	assert_int_equal(desc_render(&o, in, &rw), 0);
	assert_string_equal(o.last,
			    "v=0\r\no=rtpfwd 5 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
			    "t=0 0\r\nm=audio 5000 RTP/AVP 0 3\r\n"
			    "a=rtcp:7001 IN IP4 10.0.0.9\r\na=sendrecv\r\n");
	desc_origin_free(&o);
	desc_free(in);
	desc_free(other);
}

static void still_true(void **state)
{
	static const struct {
		const char *said;
		bool still;
	} cases[] = {
		{ "m=audio 5000 RTP/AVP 0 8\r\n", true },
		{ "m=audio 5000 RTP/AVP 8 0 3\r\na=recvonly\r\n", true },
		{ "m=audio 5000 RTP/AVP 0\r\n", false },
		{ "m=audio 5002 RTP/AVP 0 8\r\n", false },
		{ "m=audio 5000 RTP/AVP 0 8\r\nc=IN IP4 10.0.0.2\r\n", false },
		{ "m=audio 5000 RTP/AVP 0 8\r\na=rtcp:5003\r\n", false },
	};
	struct desc *told = parsed(HEAD "m=audio 5000 RTP/AVP 0 8\r\n");
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct desc *said;

		snprintf(text, sizeof(text), HEAD "%s", cases[i].said);
		said = parsed(text);
		if (desc_still_true(told, said) != cases[i].still)
			fail_msg("case %zu", i);
		desc_free(said);
	}
	desc_free(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_description),
		cmocka_unit_test(what_is_too_large),
		cmocka_unit_test(ends_of_text),
		cmocka_unit_test(audio_fields),
		cmocka_unit_test(static_payload_types),
		cmocka_unit_test(pitfall_17_hold_spellings),
		cmocka_unit_test(pitfall_18_hold_of_ipv6),
		cmocka_unit_test(g711_in_common),
		cmocka_unit_test(equality),
		cmocka_unit_test(origin_version),
		cmocka_unit_test(failure_leaves_origin),
		cmocka_unit_test(pitfall_28_directions),
		cmocka_unit_test(pitfall_11_own_answer),
		cmocka_unit_test(told_the_peer),
		cmocka_unit_test(still_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
