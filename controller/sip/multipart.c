// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/multipart.h"

#include "sip/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* A boundary has at most 70 characters (RFC 2046 5.1.1). */
enum { BOUNDARY_MAX = 70, VALUE_MAX = 512, PARTS_MAX = 32, DEPTH_MAX = 3 };

/* A part's headers that matter here. */
struct part {
	struct slice content;
	char type[VALUE_MAX];
	char encoding[64], transfer[64];
	struct slice length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool multipart_param(const char *value, const char *name, char *out, size_t size)
{
	size_t len = strlen(name), n = 0;
	const char *rest = value;
	struct slice item;

	while (sip_list_next(&rest, ';', &item)) {
		const char *p = item.p + len, *end = item.p + item.len;
		bool quoted;

		if (item.p == value || item.len <= len || strncasecmp(item.p, name, len) != 0)
			continue;
		while (p < end && is_blank(*p))
			p++;
		if (p == end || *p++ != '=')
			continue;
		while (p < end && is_blank(*p))
			p++;
		quoted = p < end && *p == '"';
		for (p += quoted; p < end && !(quoted && *p == '"'); p++) {
			if (quoted && *p == '\\' && p + 1 < end)
				p++;
			if (n + 1 >= size)
				return false;
			out[n++] = *p;
		}
		out[n] = '\0';
		return n > 0;
	}
	return false;
}

/* One header of a part, unfolded. */
static void take_header(struct part *part, const char *line, const char *value, const char *end)
{
	static const char *const names[] = {"Content-Type", "Content-Encoding",
					    "Content-Transfer-Encoding"};
	char *const to[] = {part->type, part->encoding, part->transfer};
	const size_t sizes[] = {sizeof(part->type), sizeof(part->encoding), sizeof(part->transfer)};
	struct slice name = {line, (size_t)(value - 1 - line)};

	while (name.len && is_blank(name.p[name.len - 1]))
		name.len--;
	if (slice_is(name, "Content-Length") || slice_is(name, "l"))
		part->length = (struct slice){line, (size_t)(end - line)};
	for (size_t i = 0; i < 3; i++) {
		size_t n = 0;

		if (!slice_is(name, names[i]) && !(i == 0 && slice_is(name, "c")) &&
		    !(i == 1 && slice_is(name, "e")))
			continue;
		for (const char *p = value; p < end && n + 1 < sizes[i]; p++)
			if (n || !strchr(" \t\r\n", *p))
				to[i][n++] = strchr("\t\r\n", *p) ? ' ' : *p;
		while (n && to[i][n - 1] == ' ')
			n--;
		to[i][n] = '\0';
	}
}

/* Where the line that begins at `p` ends, continuation lines drawn in; behind its line end. */
static const char *line_end(const char *p, const char *limit)
{
	const char *lf;

	do {
		lf = memchr(p, '\n', (size_t)(limit - p));
		if (!lf)
			return limit;
		p = lf + 1;
	} while (p < limit && is_blank(*p));
	return p;
}

static void read_part(struct part *part, const char *p, const char *limit)
{
	*part = (struct part){0};
	while (p < limit) {
		const char *end = line_end(p, limit);
		const char *colon = memchr(p, ':', (size_t)(end - p));

		if (*p == '\n' || (*p == '\r' && p + 1 < limit && p[1] == '\n')) {
			p += *p == '\r' ? 2 : 1;
			break;
		}
		if (colon)
			take_header(part, p, colon + 1, end);
		p = end;
	}
	part->content = (struct slice){p, (size_t)(limit - p)};
}

/* A delimiter line: where it begins, its line end before it included, and where it ends. */
struct delimiter {
	const char *begin, *end;
	bool last;
};

static bool is_delimiter(struct delimiter *d, const char *p, const char *limit,
			 const char *boundary)
{
	size_t len = strlen(boundary);

	if ((size_t)(limit - p) < len + 2 || memcmp(p, "--", 2) != 0 ||
	    memcmp(p + 2, boundary, len) != 0)
		return false;
	p += 2 + len;
	d->last = limit - p >= 2 && memcmp(p, "--", 2) == 0;
	p += d->last ? 2 : 0;
	while (p < limit && is_blank(*p))
		p++;
	if (p < limit && *p == '\r')
		p++;
	if (p < limit && *p != '\n')
		return false;
	d->end = p < limit ? p + 1 : p;
	return true;
}

/* The next delimiter line from `p` on, which is the beginning of a line. */
static bool find_delimiter(struct delimiter *d, const char *body, const char *p, const char *limit,
			   const char *boundary)
{
	while (p < limit) {
		if (is_delimiter(d, p, limit, boundary)) {
			d->begin = p;
			if (d->begin > body)
				d->begin--;
			if (d->begin > body && d->begin[-1] == '\r')
				d->begin--;
			return true;
		}
		p = memchr(p, '\n', (size_t)(limit - p));
		if (!p)
			return false;
		p++;
	}
	return false;
}

static bool is_type(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);

	return strncasecmp(type, wanted, len) == 0 && (!type[len] || strchr("; ", type[len]));
}

static bool is_plain(const struct part *part)
{
	const char *t = part->transfer;

	return (!*part->encoding || strcasecmp(part->encoding, "identity") == 0) &&
	       (!*t || strcasecmp(t, "7bit") == 0 || strcasecmp(t, "8bit") == 0 ||
		strcasecmp(t, "binary") == 0);
}

static int parse_at(struct multipart *out, struct slice body, const char *type, int depth);

static int take_part(struct multipart *out, const struct part *part, int depth)
{
	if (strncasecmp(part->type, "multipart/", 10) == 0)
		return parse_at(out, part->content, part->type, depth + 1);
	if (!is_type(part->type, "application/sdp"))
		return 0;
	if (out->sdp.p || !is_plain(part))
		return -EBADMSG;
	out->sdp = part->content;
	out->length = part->length;
	return 0;
}

static int parse_at(struct multipart *out, struct slice body, const char *type, int depth)
{
	const char *limit = body.p + body.len;
	char boundary[BOUNDARY_MAX + 1];
	struct delimiter from, to;
	struct part part;
	int err;

	if (depth > DEPTH_MAX || !multipart_param(type, "boundary", boundary, sizeof(boundary)) ||
	    !find_delimiter(&from, body.p, body.p, limit, boundary))
		return -EBADMSG;
	for (int i = 0; !from.last; i++) {
		if (i == PARTS_MAX || !find_delimiter(&to, from.end, from.end, limit, boundary))
			return -EBADMSG;
		read_part(&part, from.end, to.begin);
		err = take_part(out, &part, depth);
		if (err)
			return err;
		from = to;
	}
	return 0;
}

int multipart_parse(struct multipart *out, struct slice body, const char *type)
{
	int err;

	*out = (struct multipart){0};
	err = parse_at(out, body, type, 1);
	if (err)
		*out = (struct multipart){0};
	return err;
}
