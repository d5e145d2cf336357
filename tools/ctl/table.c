// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("rtpfwd-ctl: out of memory\n", stderr);
	exit(1);
}

/* ESC and its kin, in one byte or as U+0080 to U+009F in two, would be obeyed by the terminal. */
static void disarm(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* Characters, not bytes: UTF-8's continuation bytes take no place. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_add(struct table *t, const char *text)
{
	char *copy = need(strdup(text && *text ? text : "-"));

	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = need(realloc(t->cells, t->cap * sizeof(*t->cells)));
	}
	disarm(copy);
	t->cells[t->n++] = copy;
}

void table_begin(struct table *t, const char *heads)
{
	char *copy = need(strdup(heads)), *rest = copy;

	*t = (struct table){.columns = 0};
	for (char *head = strsep(&rest, " "); head; head = strsep(&rest, " "), t->columns++)
		table_add(t, head);
	free(copy);
}

static void print_cell(const char *text, int wide, bool right, bool last)
{
	int pad = wide - width(text);

	printf("%*s%s%*s", right ? pad : 0, "", text, right || last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *t)
{
	int wide[TABLE_COLUMNS_MAX] = {0};
	bool right[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < t->columns; i++) {
		right[i] = t->cells[i][0] == '>';
		if (right[i])
			memmove(t->cells[i], t->cells[i] + 1, strlen(t->cells[i]));
	}
	for (size_t i = 0; i < t->n; i++)
		if (width(t->cells[i]) > wide[i % t->columns])
			wide[i % t->columns] = width(t->cells[i]);
	for (size_t i = 0; i < t->n; i++) {
		size_t column = i % t->columns;

		print_cell(t->cells[i], wide[column], right[column], column + 1 == t->columns);
		free(t->cells[i]);
	}
	free(t->cells);
}
