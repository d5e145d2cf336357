// SPDX-License-Identifier: GPL-2.0-or-later
/* Which payload numbers a leg sends by right. */
#include "desc_helper.h"
#include "media/desc_payloads.h"

#define HEAD "v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO(formats, lines) HEAD "m=audio 4000 RTP/AVP " formats "\r\n" lines
#define OPUS(number)	      "a=rtpmap:" number " opus/48000/2\r\n"
#define EVENTS(number)	      "a=rtpmap:" number " telephone-event/8000\r\n"

static int payloads_of(struct flow_payloads *out, const char *told, const char *said,
		       const char *wanted)
{
	struct desc *t = parsed(told), *s = said ? parsed(said) : NULL, *w = parsed(wanted);
	int err = desc_payloads(out, t, s, w);

	desc_free(t);
	desc_free(s);
	desc_free(w);
	return err;
}

/* "0>0 101>96 0>8a": in order; a, u: translated. */
static void expect_pairs(const struct flow_payloads *p, const char *expected)
{
	char text[256] = "", *at = text;

	for (size_t i = 0; i < p->n; i++)
		at += sprintf(at, "%s%u>%u%s", i ? " " : "", p->pair[i].in, p->pair[i].out,
			      p->pair[i].g711 == FLOW_TO_ALAW	? "a"
			      : p->pair[i].g711 == FLOW_TO_ULAW ? "u"
								: "");
	assert_string_equal(text, expected);
}

static void expect_payloads(const char *told, const char *said, const char *wanted,
			    const char *expected)
{
	struct flow_payloads p = { 0 };

	assert_int_equal(payloads_of(&p, told, said, wanted), 0);
	expect_pairs(&p, expected);
}

static void what_was_told_by_the_numbers_told(void **state)
{
	const char *a = AUDIO("0 8 101", EVENTS("101")), *b = AUDIO("8 101", EVENTS("101"));

	(void)state;
	expect_payloads(b, a, b, "8>8 101>101");
	/* The answerer took one of two: that comes first, the other was offered all the same. */
	expect_payloads(a, b, a, "8>8 101>101 0>0");
	expect_payloads(a, NULL, a, "0>0 8>8 101>101");
}

/* RFC 3264 5.1, 6.1: the answerer may choose numbers of its own. Whoever does as the RFC says sends
 * what was told, whoever sends what it wants to get is understood, too. */
static void offerers_and_answerers_number(void **state)
{
	const char *offer = AUDIO("111 101", OPUS("111") EVENTS("101"));
	const char *answer = AUDIO("96 97", OPUS("96") EVENTS("97"));

	(void)state;
	expect_payloads(answer, offer, answer, "96>96 97>97 111>96 101>97");
	expect_payloads(offer, answer, offer, "111>111 101>101 96>111 97>101");
}

/* What one calls opus the other calls events: the number told means what was told. */
static void numbers_that_cross(void **state)
{
	const char *offer = AUDIO("96 97", OPUS("96") EVENTS("97"));
	const char *answer = AUDIO("97 96", OPUS("97") EVENTS("96"));

	(void)state;
	expect_payloads(answer, offer, answer, "97>97 96>96");
}

/* It was told before the other side changed its mind, and not asked again. */
static void wanted_by_another_number_since(void **state)
{
	const char *told = AUDIO("111", OPUS("111")), *wanted = AUDIO("96", OPUS("96"));

	(void)state;
	expect_payloads(told, told, wanted, "111>96");
	expect_payloads(told, told, AUDIO("0", ""), "");
}

/* An answer may name a dynamic number of its offer without saying what it means. */
static void numbers_without_a_map(void **state)
{
	const char *offer = AUDIO("96 0", OPUS("96")), *answer = AUDIO("96", "");

	(void)state;
	expect_payloads(offer, answer, offer, "96>96 0>0");
	expect_payloads(AUDIO("96", OPUS("96")), offer, answer, "96>96");
}

static void several_of_one_name(void **state)
{
	const char *a = AUDIO("97 98", "a=rtpmap:97 AMR/8000\r\na=fmtp:97 octet-align=1\r\n"
				       "a=rtpmap:98 AMR/8000\r\n");

	(void)state;
	expect_payloads(a, a, a, "97>97 98>98");
}

static void halves_of_g711(void **state)
{
	const char *u = AUDIO("0 101", EVENTS("101")), *a = AUDIO("8 101", EVENTS("101"));
	const char *both = AUDIO("0 8 101", EVENTS("101"));
	const char *odd = AUDIO("100 101", "a=rtpmap:100 PCMU/8000\r\n" EVENTS("101"));

	(void)state;
	expect_payloads(u, u, a, "0>8a 101>101");
	expect_payloads(a, a, u, "8>0u 101>101");
	expect_payloads(both, a, u, "8>0u 101>101 0>0");
	expect_payloads(both, both, u, "0>0 8>0u 101>101");
	expect_payloads(odd, odd, a, "100>8a 101>101");
	/* One number's samples are translated, and no more. */
	expect_payloads(AUDIO("0 100", "a=rtpmap:100 PCMU/8000\r\n"), NULL, a, "0>8a");
}

static void the_clock_of_what_is_agreed_upon(void **state)
{
	const char *offer = AUDIO("96 0 101", OPUS("96") EVENTS("101"));
	struct flow_payloads p = { 0 }, q = { 0 };

	(void)state;
	assert_int_equal(payloads_of(&p, AUDIO("0", ""), offer, AUDIO("0", "")), 0);
	assert_int_equal(p.clock_rate, 8000);
	assert_int_equal(payloads_of(&q, AUDIO("101 96", OPUS("96") EVENTS("101")), offer, offer),
			 0);
	assert_int_equal(q.clock_rate, 48000);
}

#define MANY "20 21 22 23 24 25 26 27 28 29 30 31"

static void more_than_an_entry_holds(void **state)
{
	struct flow_payloads p = { 0 };

	(void)state;
	assert_int_equal(FLOW_PAYLOADS, 12);
	expect_payloads(AUDIO(MANY, ""), AUDIO(MANY, ""), AUDIO(MANY, ""),
			"20>20 21>21 22>22 23>23 24>24 25>25 26>26 27>27 28>28 29>29 30>30 31>31");
	assert_int_equal(payloads_of(&p, AUDIO(MANY " 32", ""), AUDIO(MANY " 32", ""),
				     AUDIO(MANY " 32", "")),
			 -ENOSPC);
	assert_int_equal(p.n, 0);
	/* What only one of them names gives way. */
	expect_payloads(AUDIO(MANY " 32", ""), AUDIO("32", ""), AUDIO(MANY " 32", ""),
			"32>32 20>20 21>21 22>22 23>23 24>24 25>25 26>26 27>27 28>28 29>29 30>30");
}

static void joined(void **state)
{
	struct flow_payloads p = { 2, { { 0, 0, 0 }, { 8, 0, FLOW_TO_ULAW } }, 8000 };
	struct flow_payloads q = { 3, { { 9, 9, 0 }, { 0, 5, 0 }, { 7, 8, FLOW_TO_ALAW } }, 16000 };
	struct flow_payloads full = { FLOW_PAYLOADS, { { 1, 1, 0 } }, 0 }, was = full;

	(void)state;
	assert_int_equal(desc_payloads_join(&p, &q), 0);
	expect_pairs(&p, "0>0 8>0u 9>9");
	assert_int_equal(p.clock_rate, 8000);
	assert_int_equal(desc_payloads_join(&full, &q), -ENOSPC);
	assert_memory_equal(&full, &was, sizeof(was));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_told_by_the_numbers_told),
		cmocka_unit_test(offerers_and_answerers_number),
		cmocka_unit_test(numbers_that_cross),
		cmocka_unit_test(wanted_by_another_number_since),
		cmocka_unit_test(numbers_without_a_map),
		cmocka_unit_test(several_of_one_name),
		cmocka_unit_test(halves_of_g711),
		cmocka_unit_test(the_clock_of_what_is_agreed_upon),
		cmocka_unit_test(more_than_an_entry_holds),
		cmocka_unit_test(joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
