// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void discard(struct buf *b)
{
	if (b->secret && b->data)
		explicit_bzero(b->data, b->cap);
	free(b->data);
}

static char *move(struct buf *b, size_t cap)
{
	char *data = malloc(cap);

	if (data && b->data)
		memcpy(data, b->data, b->len + 1);
	if (data)
		discard(b);
	return data;
}

static bool reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed)
		return false;
	if (b->len + more + 1 <= b->cap)
		return true;
	while (cap < b->len + more + 1)
		cap *= 2;
	data = b->secret ? move(b, cap) : realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const char *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	int n;

	if (!reserve(b, 64))
		return;
	va_start(ap, format);
	n = vsnprintf(b->data + b->len, b->cap - b->len, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= b->cap - b->len && reserve(b, (size_t)n)) {
		va_start(ap, format);
		n = vsnprintf(b->data + b->len, b->cap - b->len, format, ap);
		va_end(ap);
	}
	if (n < 0 || b->failed) {
		b->failed = true;
		b->data[b->len] = '\0';
		return;
	}
	b->len += (size_t)n;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
	discard(b);
	*b = (struct buf){0};
}

char *buf_take(struct buf *b)
{
	char *data = b->data, *fit;

	if (b->failed || !data) {
		buf_free(b);
		return NULL;
	}
	/* What is taken is kept: without the room to grow. */
	fit = b->secret ? move(b, b->len + 1) : realloc(data, b->len + 1);
	*b = (struct buf){0};
	return fit ? fit : data;
}

bool slice_is(struct slice s, const char *text)
{
	return strlen(text) == s.len && strncasecmp(s.p, text, s.len) == 0;
}
