// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The process's one output; set once at start, before any thread. */
static enum log_level most_verbose = LOG_LEVEL_NOTICE;
static bool to_journal;

void log_open(enum log_level most)
{
	most_verbose = most;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",   [LOG_LEVEL_WARN] = "warning",
		[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	char line[2048];
	int head, n;
	va_list ap;

	if (level > most_verbose)
		return;
	if (to_journal)
		head = snprintf(line, sizeof(line), "<%d>", level);
	else
		head = snprintf(line, sizeof(line), "rtpfwd: %s: ", names[level]);
	va_start(ap, format);
	n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	n += head;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = head; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

int log_allowed(struct log_limit *limit, unsigned long *missed)
{
	struct timespec ts;
	double now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	if (limit->last_s == 0)
		limit->tokens = limit->burst;
	else
		limit->tokens += (now - limit->last_s) * limit->per_s;
	if (limit->tokens > limit->burst)
		limit->tokens = limit->burst;
	limit->last_s = now;
	if (limit->tokens < 1) {
		limit->skipped++;
		return 0;
	}
	limit->tokens -= 1;
	*missed = limit->skipped;
	limit->skipped = 0;
	return 1;
}
