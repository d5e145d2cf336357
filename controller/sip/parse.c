// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/msg.h"
#include "sip/text.h"

#include <errno.h>
#include <osipparser2/osip_port.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A CSeq is below 2^31 (RFC 3261 8.1.1.5). */
#define CSEQ_MAX 0x7fffffffu

static void set_fault(struct sip_msg *m, const char *fault)
{
	if (!m->fault)
		m->fault = fault;
}

static void parse_status_line(struct sip_msg *m, char *line)
{
	char *code = line + strlen("SIP/2.0 ");
	uint32_t number;

	m->reason = "";
	if (code[0] && code[1] && code[2] && code[3] == ' ') {
		m->reason = code + 4;
		code[3] = '\0';
	}
	if (strlen(code) != 3 || !sip_number(code, 699, &number) || number < 100)
		set_fault(m, "Bad Status Line");
	else
		m->code = (int)number;
}

/* METHOD SP Request-URI SP SIP-Version, single blanks (RFC 3261 7.1). */
static void parse_request_line(struct sip_msg *m, char *line)
{
	char *uri = strchr(line, ' ');
	char *version = uri ? strchr(uri + 1, ' ') : NULL;

	m->request = true;
	if (!version) {
		set_fault(m, "Bad Request Line");
		return;
	}
	*uri++ = '\0';
	*version++ = '\0';
	m->method_name = line;
	m->method = sip_method_of(line);
	m->uri = uri;
	m->version_known = strcmp(version, "SIP/2.0") == 0;
	if (!sip_is_token(line) || !*uri || strpbrk(uri, "<>\"") ||
	    strncasecmp(version, "SIP/", 4) || strchr(version, ' '))
		set_fault(m, "Bad Request Line");
	else if (strlen(uri) > SIP_VALUE_MAX)
		set_fault(m, "Request-URI Too Long");
}

static void parse_start_line(struct sip_msg *m, char *line)
{
	if (!line)
		set_fault(m, "No Start Line");
	else if (strncmp(line, "SIP/2.0 ", 8) == 0)
		parse_status_line(m, line);
	else
		parse_request_line(m, line);
}

static const char *param_value(osip_list_t *params, const char *name)
{
	osip_generic_param_t *param = NULL;

	if (osip_generic_param_get_byname(params, (char *)(uintptr_t)name, &param) || !param ||
	    !param->gvalue)
		return "";
	return param->gvalue;
}

/* How many hops a message came over: Via elements, however they are spread over header lines. */
static size_t count_vias(const struct sip_msg *m)
{
	struct slice item;
	size_t n = 0;

	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		while (m->lines[i].kind == SIP_H_VIA && sip_list_next(&rest, ',', &item))
			n++;
	}
	return n;
}

/* A far end of another version is told so (505), not that its Via is bad. */
static bool via_version_fits(const struct sip_msg *m)
{
	bool other = m->request && m->method_name && !m->version_known;

	return other || (m->via->version && strcmp(m->via->version, "2.0") == 0);
}

static void parse_via(struct sip_msg *m)
{
	const char *rest = m->first[SIP_H_VIA];
	struct slice item;
	uint32_t port;

	if (!sip_list_next(&rest, ',', &item)) {
		set_fault(m, "No Via");
		return;
	}
	m->top_via = strndup(item.p, item.len);
	if (!m->top_via || osip_via_init(&m->via))
		set_fault(m, "No Memory");
	else if (osip_via_parse(m->via, m->top_via) || !m->via->host || !*m->via->host)
		set_fault(m, "Bad Via");
	else if (!via_version_fits(m))
		set_fault(m, "Bad Via Version");
	else if (m->via->port && (!sip_number(m->via->port, 65535, &port) || !port))
		set_fault(m, "Bad Via");
	else
		m->branch = param_value(&m->via->via_params, "branch");
	m->n_vias = count_vias(m);
	if (m->n_vias > SIP_VIAS_MAX)
		set_fault(m, "Too Many Vias");
}

static bool parse_party(osip_from_t **out, const char *value)
{
	return value && strlen(value) <= SIP_VALUE_MAX && osip_from_init(out) == 0 &&
	       osip_from_parse(*out, value) == 0 && (*out)->url && sip_addr_spec(value).len;
}

static void parse_parties(struct sip_msg *m)
{
	if (parse_party(&m->from, m->first[SIP_H_FROM]))
		m->from_tag = param_value(&m->from->gen_params, "tag");
	else
		set_fault(m, "Bad From");
	if (parse_party(&m->to, m->first[SIP_H_TO])) {
		m->to_tag = param_value(&m->to->gen_params, "tag");
	} else {
		set_fault(m, "Bad To");
		osip_to_free(m->to);
		m->to = NULL;
	}
	m->call_id = m->first[SIP_H_CALL_ID];
	if (!m->call_id || !*m->call_id || strlen(m->call_id) > SIP_VALUE_MAX ||
	    strchr(m->call_id, ' '))
		set_fault(m, "Bad Call-ID");
}

static void parse_cseq(struct sip_msg *m)
{
	const char *value = m->first[SIP_H_CSEQ];
	osip_cseq_t *cseq = NULL;

	if (!value || osip_cseq_init(&cseq) || osip_cseq_parse(cseq, value) || !cseq->number ||
	    !cseq->method || !sip_number(cseq->number, CSEQ_MAX, &m->cseq)) {
		set_fault(m, "Bad CSeq");
	} else if (m->request) {
		if (m->method_name && strcmp(cseq->method, m->method_name) != 0)
			set_fault(m, "CSeq Method Mismatch");
	} else {
		m->method = sip_method_of(cseq->method);
		m->method_name = sip_method_name(m->method);
	}
	osip_cseq_free(cseq);
}

/* RFC 3261 18.3: what a datagram holds beyond Content-Length is dropped, a datagram that holds less
 * is an error. */
static void parse_body(struct sip_msg *m)
{
	const char *length = m->first[SIP_H_CONTENT_LENGTH], *type = m->first[SIP_H_CONTENT_TYPE];
	osip_content_type_t *parsed = NULL;
	uint32_t n;

	if (length) {
		if (!sip_number(length, 65535, &n) || n > m->body.len)
			set_fault(m, "Bad Content-Length");
		else
			m->body.len = n;
	}
	if (!type || !m->body.len || osip_content_type_init(&parsed))
		return;
	if (osip_content_type_parse(parsed, type) == 0 && parsed->type && parsed->subtype) {
		m->body_is_sdp = strcasecmp(parsed->type, "application") == 0 &&
				 strcasecmp(parsed->subtype, "sdp") == 0;
		m->multipart = strcasecmp(parsed->type, "multipart") == 0;
	}
	osip_content_type_free(parsed);
	if (m->multipart) {
		m->bad_parts = multipart_parse(&m->parts, m->body, type) != 0;
		m->body_is_sdp = m->parts.sdp.p != NULL;
	}
}

static void parse_hops(struct sip_msg *m)
{
	const char *value = m->first[SIP_H_MAX_FORWARDS];
	uint32_t n;

	m->max_forwards = 70;
	if (!value)
		return;
	if (sip_number(value, 255, &n))
		m->max_forwards = n;
	else
		set_fault(m, "Bad Max-Forwards");
}

static bool is_answerable(const struct sip_msg *m)
{
	const char *const *first = m->first;

	return m->request && m->method_name && m->method != SIP_ACK && m->via && m->via->host &&
	       first[SIP_H_FROM] && first[SIP_H_TO] && first[SIP_H_CALL_ID] && first[SIP_H_CSEQ] &&
	       m->n_vias <= SIP_VIAS_MAX;
}

void sip_msg_begin(struct sip_msg *m, char *text, size_t len)
{
	char *start;

	/* Not the table of lines: it is large, and filled as far as n_lines says. */
	memset(m, 0, offsetof(struct sip_msg, lines));
	memset(&m->n_lines, 0, sizeof(*m) - offsetof(struct sip_msg, n_lines));
	m->branch = m->from_tag = m->to_tag = m->call_id = "";
	start = sip_scan(m, text, len);
	parse_start_line(m, start);
	if (start) {
		parse_via(m);
		m->answerable = is_answerable(m);
	}
}

int sip_msg_finish(struct sip_msg *m)
{
	if (m->n_lines) {
		parse_parties(m);
		parse_cseq(m);
		parse_hops(m);
		parse_body(m);
	}
	return m->fault ? -EBADMSG : 0;
}

int sip_msg_parse(struct sip_msg *m, char *text, size_t len)
{
	sip_msg_begin(m, text, len);
	return sip_msg_finish(m);
}

void sip_msg_clear(struct sip_msg *m)
{
	osip_via_free(m->via);
	osip_from_free(m->from);
	osip_to_free(m->to);
	free(m->top_via);
	m->via = NULL;
	m->from = m->to = NULL;
	m->top_via = NULL;
}

struct slice sip_msg_sdp(const struct sip_msg *m)
{
	if (m->multipart)
		return m->parts.sdp;
	return m->body_is_sdp ? m->body : (struct slice){0};
}

unsigned int sip_msg_retry_after(const struct sip_msg *m)
{
	const char *value = m->first[SIP_H_RETRY_AFTER];
	char digits[11];
	uint32_t seconds;
	size_t len;

	if (!value)
		return 0;
	len = strspn(value, "0123456789");
	if (len >= sizeof(digits))
		return 0;
	memcpy(digits, value, len);
	digits[len] = '\0';
	return sip_number(digits, UINT32_MAX, &seconds) ? seconds : 0;
}

bool sip_msg_lists(const struct sip_msg *m, enum sip_header kind, const char *token)
{
	struct slice item;

	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		while (m->lines[i].kind == kind && sip_list_next(&rest, ',', &item))
			if (item.len == strlen(token) &&
			    (kind == SIP_H_ALLOW ? strncmp : strncasecmp)(item.p, token,
									  item.len) == 0)
				return true;
	}
	return false;
}

const char *sip_msg_agent(const struct sip_msg *m)
{
	const char *value = m->first[m->request ? SIP_H_USER_AGENT : SIP_H_SERVER];

	if (!value)
		value = m->first[SIP_H_USER_AGENT];
	return value ? value : "";
}
