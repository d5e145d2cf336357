// SPDX-License-Identifier: GPL-2.0-or-later
/* Asterisk's Dial() options. */
#include "conf/keys.h"
#include "conf/value.h"

#include <ctype.h>
#include <string.h>

#define ALLOWED "t T h H w W k K x X L(ms[:ms[:ms]]) S(s)"

/* Reads up to `max` numbers "(1:2:3)" at `*p` and moves it behind. How many; 0: malformed. */
static size_t read_arguments(const char **p, uint32_t *out, size_t max)
{
	const char *q = *p;
	size_t n = 0;

	if (*q++ != '(')
		return 0;
	for (;;) {
		char digits[12];
		size_t len = strspn(q, "0123456789");

		if (n == max || len == 0 || len >= sizeof(digits))
			return 0;
		memcpy(digits, q, len);
		digits[len] = '\0';
		if (!conf_value_number(digits, 1, UINT32_MAX, &out[n++]))
			return 0;
		q += len;
		if (*q++ != ':')
			break;
	}
	*p = q;
	return q[-1] == ')' ? n : 0;
}

static int read_limit(struct conf_loader *l, const struct conf_entry *e, const char **p,
		      struct conf_dial *dial)
{
	uint32_t ms[3] = { 0 };

	if (!read_arguments(p, ms, 3))
		return conf_fault(l, &e->at,
				  "options '%.60s': L needs (ms), (ms:ms) or (ms:ms:ms): the "
				  "limit, how long before it a warning comes, and how often again",
				  e->value);
	if (ms[1] >= ms[0])
		return conf_fault(l, &e->at,
				  "options '%.60s': the warning of L must come within the "
				  "limit: %u ms before the end of %u ms does not",
				  e->value, ms[1], ms[0]);
	dial->limit_ms = ms[0];
	dial->warn_ms = ms[1];
	dial->repeat_ms = ms[2];
	return 0;
}

static int read_stop(struct conf_loader *l, const struct conf_entry *e, const char **p,
		     struct conf_dial *dial)
{
	if (!read_arguments(p, &dial->stop_s, 1))
		return conf_fault(l, &e->at,
				  "options '%.60s': S needs (s): seconds after the answer",
				  e->value);
	return 0;
}

static int read_letter(struct conf_loader *l, const struct conf_entry *e, const char **p,
		       struct conf_dial *dial)
{
	char c = *(*p)++;

	if (!strchr("thwkxTHWKXLS", c))
		return conf_fault(
			l, &e->at,
			isgraph((unsigned char)c)
				? "options '%.60s': unknown letter '%c': allowed are " ALLOWED
				: "options '%.60s': unknown byte 0x%02x: allowed are " ALLOWED,
			e->value, (unsigned char)c);
	if (islower((unsigned char)c))
		dial->letters |= 1u << (c - 'a');
	else
		dial->upper |= 1u << (c - 'A');
	if (c == 'L')
		return read_limit(l, e, p, dial);
	return c == 'S' ? read_stop(l, e, p, dial) : 0;
}

CONF_SETTER(conf_set_options)
{
	struct conf_route *route = object;
	struct conf_dial dial = { .text = "" };
	const char *p = e->value;
	int rc = 0;

	(void)key;
	while (!rc && *p)
		rc = read_letter(l, e, &p, &dial);
	if (rc)
		return rc;
	route->dial = dial;
	return conf_value_keep(l, e->value, &route->dial.text);
}
