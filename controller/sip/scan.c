// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/msg.h"
#include "sip/text.h"

#include <string.h>
#include <strings.h>

#define NAME(text) {text, sizeof(text) - 1}

static const struct {
	struct slice name;
	char compact; /* RFC 3261 7.3.3 */
	enum sip_header kind;
} known[] = {
	{NAME("Via"), 'v', SIP_H_VIA},
	{NAME("From"), 'f', SIP_H_FROM},
	{NAME("To"), 't', SIP_H_TO},
	{NAME("Call-ID"), 'i', SIP_H_CALL_ID},
	{NAME("CSeq"), 0, SIP_H_CSEQ},
	{NAME("Contact"), 'm', SIP_H_CONTACT},
	{NAME("Max-Forwards"), 0, SIP_H_MAX_FORWARDS},
	{NAME("Allow"), 0, SIP_H_ALLOW},
	{NAME("Min-SE"), 0, SIP_H_MIN_SE},
	{NAME("RAck"), 0, SIP_H_RACK},
	{NAME("RSeq"), 0, SIP_H_RSEQ},
	{NAME("Session-Expires"), 'x', SIP_H_SESSION_EXPIRES},
	{NAME("Supported"), 'k', SIP_H_SUPPORTED},
	{NAME("Content-Type"), 'c', SIP_H_CONTENT_TYPE},
	{NAME("Content-Length"), 'l', SIP_H_CONTENT_LENGTH},
	{NAME("Content-Encoding"), 'e', SIP_H_CONTENT_ENCODING},
	{NAME("Record-Route"), 0, SIP_H_RECORD_ROUTE},
	{NAME("Replaces"), 0, SIP_H_REPLACES},
	{NAME("Require"), 0, SIP_H_REQUIRE},
	{NAME("Retry-After"), 0, SIP_H_RETRY_AFTER},
	{NAME("Server"), 0, SIP_H_SERVER},
	{NAME("User-Agent"), 0, SIP_H_USER_AGENT},
	{NAME("Timestamp"), 0, SIP_H_TIMESTAMP},
	{NAME("Authorization"), 0, SIP_H_AUTHORIZATION},
	{NAME("Expires"), 0, SIP_H_EXPIRES},
	{NAME("Min-Expires"), 0, SIP_H_MIN_EXPIRES},
	{NAME("Proxy-Authenticate"), 0, SIP_H_PROXY_AUTHENTICATE},
	{NAME("Proxy-Authorization"), 0, SIP_H_PROXY_AUTHORIZATION},
	{NAME("WWW-Authenticate"), 0, SIP_H_WWW_AUTHENTICATE},
};

static enum sip_header kind_of(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (len == 1 ? (name[0] | 0x20) == known[i].compact
			     : known[i].name.len == len &&
				       strncasecmp(known[i].name.p, name, len) == 0)
			return known[i].kind;
	}
	return SIP_H_OTHER;
}

/* Headers that a message has once, or not at all. */
static bool is_single(enum sip_header kind)
{
	switch (kind) {
	case SIP_H_CALL_ID:
	case SIP_H_CONTENT_LENGTH:
	case SIP_H_CONTENT_TYPE:
	case SIP_H_CSEQ:
	case SIP_H_FROM:
	case SIP_H_MAX_FORWARDS:
	case SIP_H_TO:
		return true;
	default:
		return false;
	}
}

static void set_fault(struct sip_msg *m, const char *fault)
{
	if (!m->fault)
		m->fault = fault;
}

static void add_line(struct sip_msg *m, enum sip_header kind, const char *name,
		     const char *value)
{
	if (m->n_lines == SIP_HEADERS_MAX) {
		set_fault(m, "Too Many Headers");
		return;
	}
	if (m->first[kind] && is_single(kind))
		set_fault(m, "Repeated Header");
	if (!m->first[kind])
		m->first[kind] = value;
	m->lines[m->n_lines++] = (struct sip_line){kind, name, value};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* `line` is `name: value`, NUL-terminated at `end`. */
static void cut_header(struct sip_msg *m, char *line, char *end)
{
	char *colon = strchr(line, ':');
	char *name_end = colon;

	while (name_end && name_end > line && is_blank(name_end[-1]))
		name_end--;
	if (!name_end || name_end == line || is_blank(*line)) {
		set_fault(m, "Bad Header Line");
		return;
	}
	*name_end = '\0';
	if (!sip_is_token(line)) {
		set_fault(m, "Bad Header Name");
		return;
	}
	do
		colon++;
	while (is_blank(*colon));
	while (end > colon && is_blank(end[-1]))
		*--end = '\0';
	add_line(m, kind_of(line, (size_t)(name_end - line)), line, colon);
}

/* No header may hold a control character, but TAB, which becomes a blank. */
static bool clean(char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\t')
			*p = ' ';
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	}
	return true;
}

/* The line that begins at `*p`, continuation lines drawn in, NUL in place of its end; `*end` is
 * there. NULL: no line end. */
static char *cut_line(char **p, char *limit, char **end)
{
	char *start = *p, *lf, *eol;

	for (lf = start;; *lf = ' ') {
		lf = memchr(lf, '\n', (size_t)(limit - lf));
		if (!lf)
			return NULL;
		eol = lf > start && lf[-1] == '\r' ? lf - 1 : lf;
		if (eol == start || lf + 1 == limit || !is_blank(lf[1]))
			break;
		*eol = ' ';
	}
	*eol = '\0';
	*end = eol;
	*p = lf + 1;
	return start;
}

char *sip_scan(struct sip_msg *m, char *text, size_t len)
{
	char *p = text, *limit = text + len, *start = NULL, *line, *end;

	*limit = '\0';
	while (p < limit && (*p == '\r' || *p == '\n'))
		p++;
	for (;;) {
		line = cut_line(&p, limit, &end);
		if (!line) {
			set_fault(m, "No End Of Headers");
			return start;
		}
		if (line == end)
			break;
		if (!clean(line, end))
			set_fault(m, "Control Character");
		else if (!start)
			start = line;
		else
			cut_header(m, line, end);
		if (!start)
			return NULL;
	}
	m->body = (struct slice){p, (size_t)(limit - p)};
	return start;
}
