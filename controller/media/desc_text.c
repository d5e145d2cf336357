// SPDX-License-Identifier: GPL-2.0-or-later
/* Words of a line of SDP. No line holds a NUL, CR or LF: desc_parse() saw to that. */
#include "media/desc_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice desc_word(struct slice *rest)
{
	struct slice word;

	while (rest->len && blank(*rest->p)) {
		rest->p++;
		rest->len--;
	}
	word = (struct slice){ rest->p, 0 };
	while (rest->len && !blank(*rest->p)) {
		rest->p++;
		rest->len--;
		word.len++;
	}
	return word;
}

struct slice desc_until(struct slice *rest, char separator)
{
	const char *at = rest->len ? memchr(rest->p, separator, rest->len) : NULL;
	struct slice head = *rest;

	if (!at) {
		rest->p += rest->len;
		rest->len = 0;
		return head;
	}
	head.len = (size_t)(at - head.p);
	rest->p = at + 1;
	rest->len -= head.len + 1;
	return head;
}

int desc_number(unsigned long *out, struct slice s, unsigned long max)
{
	unsigned long value = 0;

	if (!s.len)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned long)(s.p[i] - '0');
		if (value > max)
			return -EINVAL;
	}
	*out = value;
	return 0;
}

bool desc_slice_same(struct slice a, struct slice b)
{
	return a.len == b.len && (!a.len || strncasecmp(a.p, b.p, a.len) == 0);
}

bool desc_attribute(const struct desc_line *line, const char *name, struct slice *value)
{
	struct slice rest = line->value;

	if (line->type != 'a' || !slice_is(desc_until(&rest, ':'), name))
		return false;
	if (value)
		*value = rest;
	return true;
}

static const char *const direction_texts[] = {
	[DIR_SENDRECV] = "sendrecv",
	[DIR_SENDONLY] = "sendonly",
	[DIR_RECVONLY] = "recvonly",
	[DIR_INACTIVE] = "inactive",
};

const char *desc_direction_text(enum direction d)
{
	return direction_texts[d];
}

bool desc_is_direction(const struct desc_line *line, enum direction *out)
{
	struct slice rest = line->value;
	struct slice word = desc_word(&rest);

	if (line->type != 'a')
		return false;
	for (int d = DIR_SENDRECV; d <= DIR_INACTIVE; d++) {
		if (slice_is(word, direction_texts[d])) {
			*out = (enum direction)d;
			return true;
		}
	}
	return false;
}

int desc_address(struct addr *out, struct slice value)
{
	struct addr a = { 0 };
	char text[ADDR_TEXT];
	struct slice rest, ip;

	if (!slice_is(desc_word(&value), "IN"))
		return -EINVAL;
	desc_word(&value);
	rest = desc_word(&value);
	ip = desc_until(&rest, '/');
	if (ip.len >= sizeof(text))
		return -EINVAL;
	memcpy(text, ip.p, ip.len);
	text[ip.len] = '\0';
	if (addr_parse(&a, text) || a.port)
		return -EINVAL;
	*out = a;
	return 0;
}
