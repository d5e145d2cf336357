// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines end here exactly where scan.c ends them, so that both mean the same message. */
#include "sip/frame.h"

#include "lib/buf.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The first byte of a method or of "SIP/2.0". */
static bool begins_message(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-.!%*_+`'~", c);
}

static enum sip_frame_kind line_end(struct sip_frame *f, const char *p, size_t n, size_t *len)
{
	bool half = f->half;

	if (*p == '\r' && n < 2)
		return FRAME_MORE;
	if (*p == '\r' && p[1] != '\n')
		return FRAME_GARBAGE;
	*len = *p == '\r' ? 2 : 1;
	half = half && *len == 2;
	f->half = !half && *len == 2;
	return half ? FRAME_PING : FRAME_SKIP;
}

/* The length of the headers with the empty line behind them; 0: it has not come. */
static size_t head_end(struct sip_frame *f, const char *p, size_t n)
{
	const char *lf;

	while ((lf = memchr(p + f->seen, '\n', n - f->seen)) != NULL) {
		size_t at = (size_t)(lf - p) + 1;

		if (at < n && p[at] == '\n')
			return at + 1;
		if (at + 1 < n && p[at] == '\r' && p[at + 1] == '\n')
			return at + 2;
		if (at == n || (at + 1 == n && p[at] == '\r')) {
			f->seen = at - 1;
			return 0;
		}
		f->seen = at;
	}
	f->seen = n;
	return 0;
}

/* The value of a header line whose name is Content-Length or l; p NULL: it is another. */
static struct slice length_value(struct slice line)
{
	const char *colon = memchr(line.p, ':', line.len), *end = line.p + line.len;
	struct slice name, value;

	if (!colon)
		return (struct slice){0};
	name = (struct slice){line.p, (size_t)(colon - line.p)};
	while (name.len && is_blank(name.p[name.len - 1]))
		name.len--;
	if (!slice_is(name, "content-length") && !slice_is(name, "l"))
		return (struct slice){0};
	value.p = colon + 1;
	while (value.p < end && strchr(" \t\r\n", *value.p))
		value.p++;
	value.len = (size_t)(end - value.p);
	while (value.len && strchr(" \t\r\n", value.p[value.len - 1]))
		value.len--;
	return value;
}

/* One header line with its continuations. False: no more. */
static bool next_line(const char **p, const char *end, struct slice *line)
{
	const char *lf = *p - 1;

	if (*p >= end)
		return false;
	do
		lf = memchr(lf + 1, '\n', (size_t)(end - lf - 1));
	while (lf && lf + 1 < end && is_blank(lf[1]));
	if (!lf)
		lf = end - 1;
	*line = (struct slice){*p, (size_t)(lf + 1 - *p)};
	*p = lf + 1;
	return true;
}

/* Decimal digits and nothing else; what is too large stays so. */
static bool parse_length(struct slice value, size_t *out)
{
	*out = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		if (*out <= SIP_FRAME_MAX)
			*out = *out * 10 + (size_t)(value.p[i] - '0');
	}
	return value.len > 0;
}

static enum sip_frame_kind read_length(const char *p, size_t head, size_t *body)
{
	enum sip_frame_kind kind = FRAME_NO_LENGTH;
	const char *at = p, *end = p + head;
	struct slice line, value;

	while (next_line(&at, end, &line)) {
		value = length_value(line);
		if (!value.p)
			continue;
		if (kind == FRAME_MESSAGE || !parse_length(value, body))
			return FRAME_BAD_LENGTH;
		kind = FRAME_MESSAGE;
	}
	if (kind == FRAME_MESSAGE && *body > SIP_FRAME_MAX - head)
		return FRAME_TOO_LARGE;
	return kind;
}

static enum sip_frame_kind message(struct sip_frame *f, const char *p, size_t n, size_t *len)
{
	enum sip_frame_kind kind;
	size_t head, body = 0;

	if (!f->total) {
		head = head_end(f, p, n);
		if (head > SIP_FRAME_HEAD_MAX || (!head && n > SIP_FRAME_HEAD_MAX)) {
			*len = head;
			return FRAME_TOO_LARGE;
		}
		if (!head)
			return FRAME_MORE;
		kind = read_length(p, head, &body);
		if (kind != FRAME_MESSAGE) {
			*len = head;
			return kind;
		}
		f->total = head + body;
	}
	if (n < f->total)
		return FRAME_MORE;
	*len = f->total;
	*f = (struct sip_frame){0};
	return FRAME_MESSAGE;
}

enum sip_frame_kind sip_frame_next(struct sip_frame *f, const char *p, size_t n, size_t *len)
{
	*len = 0;
	if (!n)
		return FRAME_MORE;
	if (f->seen || f->total)
		return message(f, p, n, len);
	if (*p == '\r' || *p == '\n')
		return line_end(f, p, n, len);
	if (!*p || !begins_message(*p))
		return FRAME_GARBAGE;
	f->half = false;
	return message(f, p, n, len);
}
