// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/pass.h"

#include "sip/refer.h"
#include "sip/reply.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum rule {
	NEVER,	 /* of the hop or of the dialog: each side has its own */
	PASSES,	 /* as it is, like every header that is not in the table */
	CONTENT, /* goes with the body that it is about, and not without */
	RELAYED, /* about bodies: ours in a call, the far ends' in what is passed on whole */
	OPTIONS, /* a list of options, of which some are ours and some the far ends' */
	MAPPED,	 /* names something of the dialog: written by refer.c */
};

/* The policy, by name in the order of strcasecmp(). What is not listed passes: a node in the middle
 * does not know what its two sides agree upon. */
static const struct entry {
	const char *name;
	char compact; /* 0: none */
	enum rule rule;
} table[] = {
	{ "Accept", 0, RELAYED },
	{ "Accept-Contact", 'a', PASSES },
	{ "Accept-Encoding", 0, RELAYED },
	{ "Accept-Language", 0, PASSES },
	{ "Alert-Info", 0, PASSES },
	{ "Allow", 0, NEVER },
	{ "Allow-Events", 'u', PASSES },
	{ "Authentication-Info", 0, NEVER },
	{ "Authorization", 0, NEVER },
	{ "Call-ID", 'i', NEVER },
	{ "Call-Info", 0, PASSES },
	{ "Contact", 'm', NEVER },
	{ "Content-Disposition", 0, CONTENT },
	{ "Content-Encoding", 'e', CONTENT },
	{ "Content-ID", 0, CONTENT },
	{ "Content-Language", 0, CONTENT },
	{ "Content-Length", 'l', NEVER },
	{ "Content-Transfer-Encoding", 0, CONTENT },
	{ "Content-Type", 'c', CONTENT },
	{ "CSeq", 0, NEVER },
	{ "Date", 0, PASSES }, /* signed by Identity, RFC 8224 4.1 */
	{ "Diversion", 0, PASSES },
	{ "Error-Info", 0, PASSES },
	{ "Event", 'o', MAPPED },
	{ "Flow-Timer", 0, NEVER },
	{ "From", 'f', NEVER },
	{ "Geolocation", 0, PASSES },
	{ "Geolocation-Error", 0, PASSES },
	{ "Geolocation-Routing", 0, PASSES },
	{ "History-Info", 0, PASSES },
	{ "Identity", 'y', PASSES },
	{ "Identity-Info", 'n', PASSES },
	{ "In-Reply-To", 0, NEVER }, /* Call-IDs of the other side */
	{ "Join", 0, NEVER },
	{ "Max-Breadth", 0, NEVER },
	{ "Max-Forwards", 0, NEVER },
	{ "MIME-Version", 0, CONTENT },
	{ "Min-SE", 0, NEVER },
	{ "Organization", 0, NEVER },
	{ "P-Access-Network-Info", 0, PASSES },
	{ "P-Asserted-Identity", 0, PASSES },
	{ "P-Charging-Vector", 0, PASSES },
	{ "P-Early-Media", 0, PASSES },
	{ "P-Preferred-Identity", 0, PASSES },
	{ "Path", 0, NEVER },
	{ "Priority", 0, PASSES },
	{ "Privacy", 0, PASSES },
	{ "Proxy-Authenticate", 0, NEVER },
	{ "Proxy-Authentication-Info", 0, NEVER },
	{ "Proxy-Authorization", 0, NEVER },
	{ "Proxy-Require", 0, NEVER },
	{ "RAck", 0, NEVER },
	{ "Reason", 0, PASSES },
	{ "Record-Route", 0, NEVER },
	{ "Recv-Info", 0, PASSES },
	{ "Refer-Sub", 0, PASSES },
	{ "Refer-To", 'r', MAPPED },
	{ "Referred-By", 'b', PASSES },
	{ "Reject-Contact", 'j', PASSES },
	{ "Replaces", 0, MAPPED },
	{ "Request-Disposition", 'd', PASSES },
	{ "Require", 0, OPTIONS },
	{ "Resource-Priority", 0, PASSES },
	{ "Retry-After", 0, NEVER }, /* ours to write: leg_refuse() */
	{ "Route", 0, NEVER },
	{ "RSeq", 0, NEVER },
	{ "Security-Client", 0, NEVER },
	{ "Security-Server", 0, NEVER },
	{ "Security-Verify", 0, NEVER },
	{ "Server", 0, NEVER },
	{ "Service-Route", 0, NEVER },
	{ "Session-Expires", 'x', NEVER },
	{ "Subject", 's', PASSES },
	{ "Subscription-State", 0, PASSES },
	{ "Supported", 'k', OPTIONS },
	{ "Target-Dialog", 0, NEVER },
	{ "Timestamp", 0, NEVER },
	{ "To", 't', NEVER },
	{ "Unsupported", 0, OPTIONS },
	{ "User-Agent", 0, NEVER },
	{ "User-to-User", 0, PASSES },
	{ "Via", 'v', NEVER },
	{ "Warning", 0, PASSES },
	{ "WWW-Authenticate", 0, NEVER },
};

enum { ENTRIES = sizeof(table) / sizeof(*table) };

/* Options about what the far ends do with headers and bodies that pass. */
static const char *const options[] = {
	"answermode",
	"eventlist",
	"explicitsub",
	"geolocation-http",
	"geolocation-sip",
	"histinfo",
	"multiple-refer",
	"norefersub",
	"nosub",
	"policy",
	"pref",
	"privacy",
	"recipient-list-invite",
	"recipient-list-message",
	"recipient-list-subscribe",
	"record-aware",
	"replaces",
	"resource-priority",
	"siprec",
	"uui",
};

static int by_name(const void *name, const void *entry)
{
	return strcasecmp(name, ((const struct entry *)entry)->name);
}

static const struct entry *by_letter(char letter)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (table[i].compact == (letter | 0x20))
			return &table[i];
	return NULL;
}

/* The name that a header gets from us, and what becomes of it. What every message has is not looked
 * up. */
static const char *find(const struct sip_line *line, enum rule *rule)
{
	const struct entry *entry;
	const char *name = line->name;

	*rule = NEVER;
	switch (line->kind) {
	case SIP_H_CALL_ID:
	case SIP_H_CONTACT:
	case SIP_H_CONTENT_LENGTH:
	case SIP_H_CSEQ:
	case SIP_H_FROM:
	case SIP_H_MAX_FORWARDS:
	case SIP_H_RECORD_ROUTE:
	case SIP_H_TO:
	case SIP_H_USER_AGENT:
	case SIP_H_VIA:
		return name;
	default:
		break;
	}
	entry = name[1] ? bsearch(name, table, ENTRIES, sizeof(*table), by_name)
			: by_letter(name[0]);
	*rule = entry ? entry->rule : PASSES;
	return entry ? entry->name : name;
}

bool sip_pass_fits(const struct sip_msg *m)
{
	size_t lines = 0, bytes = 0;
	enum rule rule;

	for (size_t i = 0; i < m->n_lines; i++) {
		find(&m->lines[i], &rule);
		if (rule == NEVER || rule == CONTENT)
			continue;
		lines++;
		bytes += strlen(m->lines[i].name) + strlen(m->lines[i].value) + 4;
	}
	return lines <= PASS_LINES_MAX && bytes <= PASS_MAX;
}

bool sip_pass_option(struct slice option)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (slice_is(option, options[i]))
			return true;
	return false;
}

/* What we ourselves do, towards either side. */
static bool is_ours(struct slice option)
{
	return slice_is(option, "100rel") || slice_is(option, "timer");
}

/* Of a list of options those that pass, or those that do not and are not ours either. */
static void add_options(struct buf *out, const char *list, bool passing)
{
	const char *rest = list;
	struct slice item;

	while (sip_list_next(&rest, ',', &item)) {
		if (!item.len || is_ours(item) || sip_pass_option(item) != passing)
			continue;
		if (out->len)
			buf_str(out, ", ");
		buf_add(out, item.p, item.len);
	}
}

bool sip_pass_unknown(struct buf *out, const struct sip_msg *m)
{
	for (size_t i = 0; i < m->n_lines; i++)
		if (m->lines[i].kind == SIP_H_REQUIRE)
			add_options(out, m->lines[i].value, false);
	return !out->failed;
}

static void add_line(struct buf *out, const char *name, const char *value)
{
	buf_str(out, name);
	buf_str(out, ": ");
	buf_str(out, value);
	buf_str(out, "\r\n");
}

static void add_option_line(struct buf *out, const char *name, const char *value)
{
	struct buf list = { 0 };

	add_options(&list, value, true);
	if (list.len)
		add_line(out, name, list.data);
	out->failed |= list.failed;
	buf_free(&list);
}

/* Of these the node writes the description itself. */
static bool is_call(enum sip_method method)
{
	return method == SIP_INVITE || method == SIP_BYE || method == SIP_PRACK ||
	       method == SIP_UPDATE || method == SIP_ACK;
}

static bool body_passes(const struct sip_msg *m)
{
	if (!m->body.len || m->method == SIP_CANCEL || m->method == SIP_BYE)
		return false;
	return !is_call(m->method) || (m->multipart && !m->bad_parts && m->code < 300);
}

static void collect_line(const struct sip_msg *m, const struct sip_line *line, struct buf *headers,
			 struct buf *content)
{
	enum rule rule;
	const char *name = find(line, &rule);

	if (rule == PASSES || (rule == RELAYED && !is_call(m->method)))
		add_line(headers, name, line->value);
	else if (rule == OPTIONS)
		add_option_line(headers, name, line->value);
	else if (rule == CONTENT && body_passes(m))
		add_line(content, name, line->value);
	else if (rule == MAPPED && m->request && m->method == SIP_INVITE &&
		 strcasecmp(name, "Replaces") == 0)
		sip_replaces_line(headers, m->bind->sip, line->value);
}

static void collect_lines(const struct sip_msg *m, struct buf *headers, struct buf *content)
{
	for (size_t i = 0; i < m->n_lines; i++)
		/* A CANCEL is of one hop; only why it came matters to the next (RFC 3326). */
		if (m->method != SIP_CANCEL || strcasecmp(m->lines[i].name, "Reason") == 0)
			collect_line(m, &m->lines[i], headers, content);
}

static bool keep(char **out, size_t *len, const char *from, const char *to)
{
	*len = (size_t)(to - from);
	*out = malloc(*len + 1);
	if (!*out)
		return false;
	memcpy(*out, from, *len);
	(*out)[*len] = '\0';
	return true;
}

/* What stands around the description; its own Content-Length would be of the one that came. */
static bool keep_around(struct sip_pass *p, const struct sip_msg *m)
{
	const struct slice *sdp = &m->parts.sdp, *own = &m->parts.length;
	const char *end = m->body.p + m->body.len;
	size_t cut = own->p ? (size_t)(own->p - m->body.p) : 0;

	if (!keep(&p->before, &p->before_len, m->body.p, sdp->p) ||
	    !keep(&p->after, &p->after_len, sdp->p + sdp->len, end))
		return false;
	if (own->p) {
		memmove(p->before + cut, p->before + cut + own->len,
			p->before_len - cut - own->len);
		p->before_len -= own->len;
	}
	return true;
}

static bool keep_body(struct sip_pass *p, const struct sip_msg *m)
{
	p->around = is_call(m->method) && m->parts.sdp.p;
	if (p->around)
		return keep_around(p, m);
	return keep(&p->before, &p->before_len, m->body.p, m->body.p + m->body.len);
}

struct sip_pass *sip_pass_of(const struct sip_msg *m)
{
	struct buf headers = { 0 }, content = { 0 };
	struct sip_pass *p;

	if (!sip_pass_fits(m))
		return NULL;
	collect_lines(m, &headers, &content);
	if (!headers.len && !body_passes(m)) {
		buf_free(&headers);
		buf_free(&content);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || headers.failed || content.failed)
		goto fail;
	p->refs = 1;
	p->headers = buf_take(&headers);
	p->content = buf_take(&content);
	if (body_passes(m) && !keep_body(p, m))
		sip_pass_drop(&p);
	return p;
fail:
	buf_free(&headers);
	buf_free(&content);
	free(p);
	return NULL;
}

struct sip_pass *sip_pass_ref(struct sip_pass *p)
{
	if (p)
		p->refs++;
	return p;
}

void sip_pass_drop(struct sip_pass **at)
{
	struct sip_pass *p = *at;

	*at = NULL;
	if (!p || --p->refs)
		return;
	free(p->headers);
	free(p->content);
	free(p->before);
	free(p->after);
	free(p);
}

static bool is_identity(struct slice name)
{
	return slice_is(name, "P-Asserted-Identity") || slice_is(name, "Remote-Party-ID");
}

static bool says_identity(const char *line)
{
	return is_identity((struct slice){ line, strcspn(line, ":") });
}

uint64_t sip_pass_who(const struct sip_msg *m)
{
	struct sip_hash h;
	bool said = false;

	sip_hash_start(&h, m->bind->sip);
	for (size_t i = 0; i < m->n_lines; i++) {
		const struct sip_line *line = &m->lines[i];
		struct slice name = { line->name, strlen(line->name) };
		bool identity = is_identity(name);

		said |= identity;
		if (identity || slice_is(name, "Privacy"))
			sip_hash_text(&h, line->value);
	}
	return said ? sip_hash_end(&h).lo | 1 : 0;
}

bool sip_pass_says_who(const struct sip_pass *p)
{
	for (const char *line = p ? p->headers : NULL; line && *line;
	     line = strstr(line, "\r\n") + 2)
		if (says_identity(line))
			return true;
	return false;
}

/* The header lines without them. */
static void add_other_lines(struct buf *out, const char *headers)
{
	for (const char *line = headers, *end; *line; line = end) {
		end = strstr(line, "\r\n") + 2;
		if (!says_identity(line))
			buf_add(out, line, (size_t)(end - line));
	}
}

/* A copy: others may hold the same. */
static struct sip_pass *copy(const struct sip_pass *p)
{
	struct sip_pass *c = malloc(sizeof(*c));
	size_t len;

	if (!c)
		return NULL;
	*c = *p;
	c->refs = 1;
	c->headers = NULL;
	c->content = p->content ? strdup(p->content) : NULL;
	c->before = c->after = NULL;
	if ((p->before && !keep(&c->before, &len, p->before, p->before + p->before_len)) ||
	    (p->after && !keep(&c->after, &len, p->after, p->after + p->after_len)))
		sip_pass_drop(&c);
	return c;
}

void sip_pass_strip(struct sip_pass **at)
{
	struct sip_pass *p = *at, *c;
	struct buf headers = { 0 };

	if (!p || !p->headers)
		return;
	c = copy(p);
	add_other_lines(&headers, p->headers);
	if (c)
		c->headers = buf_take(&headers);
	else
		buf_free(&headers);
	sip_pass_drop(at);
	*at = c;
}

void sip_pass_headers(struct buf *out, const struct sip_pass *p)
{
	if (p && p->headers)
		buf_str(out, p->headers);
}

void sip_pass_body(struct buf *out, const struct sip_pass *p, struct slice sdp)
{
	if (!p || !p->before || p->around != (sdp.len > 0)) {
		sip_build_body(out, sdp);
		return;
	}
	if (p->content)
		buf_str(out, p->content);
	buf_printf(out, "Content-Length: %zu\r\n\r\n", p->before_len + sdp.len + p->after_len);
	buf_add(out, p->before, p->before_len);
	if (sdp.len)
		buf_add(out, sdp.p, sdp.len);
	if (p->after_len)
		buf_add(out, p->after, p->after_len);
}
