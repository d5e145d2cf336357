/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned columns for people. What comes from the network cannot speak to the terminal. */
#ifndef RTPFWD_TOOLS_CTL_TABLE_H
#define RTPFWD_TOOLS_CTL_TABLE_H

#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table {
	size_t columns;
	char **cells; /* row by row, the heads first */
	size_t n, cap;
};

/* `heads`: separated by blanks; one that begins with '>' stands to the right. */
void table_begin(struct table *t, const char *heads);
/* The next cell, copied; NULL: "-". No memory ends the program. */
void table_add(struct table *t, const char *text);
void table_print(struct table *t); /* and frees it */

#endif
