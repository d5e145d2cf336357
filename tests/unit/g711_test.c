// SPDX-License-Identifier: GPL-2.0-or-later
/* The tables between the laws of G.711, against the laws themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "g711.h"

/* ITU-T G.711 tables 2a and 1a: values of the decoders, in units of mu-law's 14 bits. */
static int from_ulaw(uint8_t c)
{
	int segment = ~c >> 4 & 7, step = ~c & 15;
	int value = ((2 * step + 33) << segment) - 33;

	return c & 0x80 ? value : -value;
}

static int from_alaw(uint8_t c)
{
	int segment = (c ^ 0x55) >> 4 & 7, step = (c ^ 0x55) & 15;
	int value = 2 * (segment ? (2 * step + 33) << (segment - 1) : 2 * step + 1);

	return c & 0x80 ? value : -value;
}

static int distance(int a, int b)
{
	return abs(a - b);
}

static int nearest(int value, int (*decode)(uint8_t))
{
	int best = distance(value, decode(0));

	for (int c = 1; c < 256; c++)
		if (distance(value, decode((uint8_t)c)) < best)
			best = distance(value, decode((uint8_t)c));
	return best;
}

/* Two values that are as near but for the laws' different zero (2 units of 14 bits) are a tie, in
 * which the tables keep the number of the interval. */
static void each_character_becomes_the_nearest(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		uint8_t a = g711_table[G711_TO_ALAW][c], u = g711_table[G711_TO_ULAW][c];
		int ulaw = from_ulaw((uint8_t)c), alaw = from_alaw((uint8_t)c);

		assert_in_range(distance(ulaw, from_alaw(a)), 0, nearest(ulaw, from_alaw) + 2);
		assert_in_range(distance(alaw, from_ulaw(u)), 0, nearest(alaw, from_ulaw) + 2);
		assert_int_equal(a & 0x80, c & 0x80);
		assert_int_equal(u & 0x80, c & 0x80);
	}
}

/* Louder never becomes softer, and what has an equal comes back as itself. */
static void order_is_kept(void **state)
{
	int kept = 0;

	(void)state;
	for (int c = 0; c < 256; c++)
		for (int d = 0; d < 256; d++)
			if (from_ulaw((uint8_t)c) < from_ulaw((uint8_t)d))
				assert_true(from_alaw(g711_table[G711_TO_ALAW][c]) <=
					    from_alaw(g711_table[G711_TO_ALAW][d]));
	for (int c = 0; c < 256; c++)
		kept += g711_table[G711_TO_ULAW][g711_table[G711_TO_ALAW][c]] == c;
	assert_int_equal(kept, 240);
}

static void known_characters(void **state)
{
	(void)state;
	assert_int_equal(g711_table[G711_TO_ALAW][0xff], 0xd5); /* silence */
	assert_int_equal(g711_table[G711_TO_ALAW][0x7f], 0x55);
	assert_int_equal(g711_table[G711_TO_ALAW][0x80], 0xaa); /* the loudest */
	assert_int_equal(g711_table[G711_TO_ALAW][0x00], 0x2a);
	assert_int_equal(g711_table[G711_TO_ULAW][0xaa], 0x80);
	assert_int_equal(g711_table[G711_TO_ULAW][0x2a], 0x00);
	assert_int_equal(g711_table[G711_TO_ULAW][0xd5], 0xfe);
}

static uint32_t sum_of(const uint8_t *data, uint32_t length)
{
	uint32_t sum = 0;
	uint16_t word;

	for (uint32_t i = 0; i < length; i += 2) {
		word = 0;
		memcpy(&word, data + i, i + 1 < length ? 2 : 1);
		sum += word;
	}
	return sum;
}

/* Nothing beyond is touched, and the sum of what was and what is differs by what is returned. */
static void a_block_and_its_rest(void **state)
{
	uint8_t was[64], is[64];

	(void)state;
	for (uint32_t length = 0; length <= 48; length++) {
		uint32_t rest = length % G711_BLOCK, difference;

		for (uint32_t i = 0; i < sizeof(was); i++)
			was[i] = is[i] = (uint8_t)(i * 37 + length);
		difference = g711_blocks(is, is + length, length / G711_BLOCK, G711_TO_ULAW) +
			     g711_rest(is + length - rest, is + length, rest, G711_TO_ULAW);
		for (uint32_t i = 0; i < sizeof(was); i++)
			assert_int_equal(is[i],
					 i < length ? g711_table[G711_TO_ULAW][was[i]] : was[i]);
		assert_int_equal((sum_of(was, length) + difference) % 0xffff,
				 sum_of(is, length) % 0xffff);
	}
}

static void the_end_is_the_end(void **state)
{
	uint8_t *data = malloc(20), was[20];

	(void)state;
	memset(data, 0x11, 20);
	memcpy(was, data, 20);
	assert_int_equal(g711_blocks(data, data + 15, 1, G711_TO_ALAW), 0);
	assert_int_equal(g711_rest(data, data, 1, G711_TO_ALAW), 0);
	assert_int_equal(g711_rest(data, data + 1, 2, G711_TO_ALAW), 0);
	assert_memory_equal(data, was, 20);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_character_becomes_the_nearest),
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(known_characters),
		cmocka_unit_test(a_block_and_its_rest),
		cmocka_unit_test(the_end_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
