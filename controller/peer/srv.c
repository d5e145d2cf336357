// SPDX-License-Identifier: GPL-2.0-or-later
/* c-ares has a parser of these, too, but it keeps their time to live to itself. */
#include "peer/srv.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>

enum { HEADER = 12, TYPE_SRV = 33, CLASS_IN = 1 };

struct reader {
	const unsigned char *bytes;
	size_t len, at;
};

static int skip_name(struct reader *r, size_t end, char *out, size_t size)
{
	char *name;
	long used;

	if (r->at >= end || ares_expand_name(r->bytes + r->at, r->bytes, (int)r->len, &name, &used))
		return -EBADMSG;
	if (out)
		snprintf(out, size, "%s", name);
	ares_free_string(name);
	r->at += (size_t)used;
	return r->at > end ? -EBADMSG : 0;
}

/* Big endian, `n` bytes up to 4. */
static int read_number(struct reader *r, size_t end, unsigned int n, uint32_t *out)
{
	if (r->at + n > end)
		return -EBADMSG;
	for (*out = 0; n; n--)
		*out = *out << 8 | r->bytes[r->at++];
	return 0;
}

static int read_srv(struct reader *r, size_t end, struct srv *out)
{
	uint32_t priority, weight, port;

	if (read_number(r, end, 2, &priority) || read_number(r, end, 2, &weight) ||
	    read_number(r, end, 2, &port) ||
	    skip_name(r, end, out->target, sizeof(out->target)))
		return -EBADMSG;
	out->priority = (uint16_t)priority;
	out->weight = (uint16_t)weight;
	out->port = (uint16_t)port;
	return 0;
}

/* One record: 1: it was SRV, 0: it was not. */
static int read_record(struct reader *r, struct srv *out)
{
	uint32_t type, class, ttl, len;
	size_t end;

	if (skip_name(r, r->len, NULL, 0) || read_number(r, r->len, 2, &type) ||
	    read_number(r, r->len, 2, &class) || read_number(r, r->len, 4, &ttl) ||
	    read_number(r, r->len, 2, &len) || r->at + len > r->len)
		return -EBADMSG;
	end = r->at + len;
	if (type == TYPE_SRV && class == CLASS_IN) {
		out->ttl_s = ttl;
		if (read_srv(r, end, out))
			return -EBADMSG;
	}
	r->at = end;
	return type == TYPE_SRV && class == CLASS_IN;
}

int srv_parse(struct srv *out, size_t max, const unsigned char *bytes, size_t len)
{
	struct reader r = {.bytes = bytes, .len = len, .at = 4};
	uint32_t questions, answers;
	size_t n = 0;

	if (len < HEADER || read_number(&r, len, 2, &questions) ||
	    read_number(&r, len, 2, &answers))
		return -EBADMSG;
	r.at = HEADER;
	for (; questions; questions--) {
		if (skip_name(&r, len, NULL, 0) || r.at + 4 > len)
			return -EBADMSG;
		r.at += 4;
	}
	for (; answers && n < max; answers--) {
		int found = read_record(&r, &out[n]);

		if (found < 0)
			return found;
		n += (size_t)found;
	}
	return (int)n;
}
