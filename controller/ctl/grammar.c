// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/grammar.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define GRAMMAR_ROW(name, words, help) [GRAMMAR_##name] = {words, help},
const struct grammar grammar[GRAMMAR_N] = {GRAMMAR_COMMANDS(GRAMMAR_ROW)};

static bool word_matches(const char *expected, size_t len, const char *word, const char **arg)
{
	if (isupper((unsigned char)*expected)) {
		*arg = word;
		return *word != '\0';
	}
	return strlen(word) == len && memcmp(expected, word, len) == 0;
}

static bool words_match(const char *expected, const char **arg, const char *const *words, size_t n)
{
	size_t i = 0;

	*arg = NULL;
	while (*expected && i < n) {
		size_t len = strcspn(expected, " ");

		if (!word_matches(expected, len, words[i++], arg))
			return false;
		expected += len + strspn(expected + len, " ");
	}
	return !*expected && i == n;
}

int grammar_find(enum grammar_id *id, const char **arg, const char *const *words, size_t n)
{
	for (enum grammar_id i = 0; i < GRAMMAR_N; i++)
		if (words_match(grammar[i].words, arg, words, n)) {
			*id = i;
			return 0;
		}
	return -ENOENT;
}
