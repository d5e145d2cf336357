/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: one line per event to standard error, with <N> priorities when journald reads it. */
#ifndef RTPFWD_LIB_LOG_H
#define RTPFWD_LIB_LOG_H

/* syslog(3) severities that we use. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

void log_open(enum log_level most); /* what is less severe than `most` is not written */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For lines that network input causes: at most `burst` in a row, then `per_s` a second. True: write
 * it;
 * `*missed` then says how many were not written since the last one. Zero-initialise the struct but
 * for the two figures. */
struct log_limit {
	double per_s;
	double burst;
	double tokens;
	double last_s;
	unsigned long skipped;
};

int log_allowed(struct log_limit *limit, unsigned long *missed);

#endif
