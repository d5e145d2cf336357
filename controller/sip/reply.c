// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/reply.h"

#include "sip/text.h"

#include <string.h>
#include <strings.h>

static bool asked_for_rport(const struct sip_msg *m)
{
	osip_generic_param_t *param = NULL;

	return osip_via_param_get_byname(m->via, (char *)(uintptr_t) "rport", &param) == 0 && param;
}

struct addr sip_reply_fallback(const struct sip_msg *m)
{
	uint32_t port = m->bind->transport == CONF_TLS ? 5061 : 5060;

	if (m->via->port && (!sip_number(m->via->port, 65535, &port) || !port))
		return m->source;
	return addr_with_port(&m->source, (uint16_t)port);
}

struct addr sip_reply_to(const struct sip_msg *m, bool force_rport)
{
	if (force_rport || asked_for_rport(m) || sip_bind_reliable(m->bind))
		return m->source;
	return sip_reply_fallback(m);
}

static bool is_param(struct slice param, const char *name)
{
	size_t len = strlen(name);

	return param.len >= len && strncasecmp(param.p, name, len) == 0 &&
	       (param.len == len || strchr("= \t", param.p[len]));
}

/* The top Via with received and rport filled in; what a far end wrote there itself goes. */
static void build_top_via(struct buf *out, const struct sip_msg *m, bool rport)
{
	const char *rest = m->top_via;
	char ip[ADDR_TEXT];
	struct slice item;
	bool first = true;

	while (sip_list_next(&rest, ';', &item)) {
		if (!first && (is_param(item, "received") || is_param(item, "rport")))
			continue;
		if (!first)
			buf_add(out, ";", 1);
		buf_add(out, item.p, item.len);
		first = false;
	}
	buf_str(out, ";received=");
	buf_str(out, addr_print_ip(ip, &m->source));
	if (rport)
		buf_printf(out, ";rport=%u", m->source.port);
}

static void build_first_via(struct buf *out, const struct sip_msg *m, const char *value,
			    bool force_rport)
{
	bool rport = force_rport || asked_for_rport(m);
	const char *rest = value;
	struct addr sent_by;
	struct slice top;

	if (!rport && addr_parse(&sent_by, m->via->host) == 0 &&
	    addr_same_ip(&sent_by, &m->source)) {
		buf_str(out, value);
		return;
	}
	sip_list_next(&rest, ',', &top);
	build_top_via(out, m, rport);
	if (rest) {
		buf_str(out, ", ");
		buf_str(out, rest + strspn(rest, " \t"));
	}
}

static void add_header(struct buf *out, const char *name, const char *value)
{
	buf_str(out, name);
	buf_str(out, value);
	buf_add(out, "\r\n", 2);
}

void sip_build_head(struct buf *out, const struct sip_msg *m, const char *tag, bool force_rport)
{
	bool top = true;

	for (size_t i = 0; i < m->n_lines; i++) {
		if (m->lines[i].kind != SIP_H_VIA)
			continue;
		buf_str(out, "Via: ");
		if (top)
			build_first_via(out, m, m->lines[i].value, force_rport);
		else
			buf_str(out, m->lines[i].value);
		buf_add(out, "\r\n", 2);
		top = false;
	}
	add_header(out, "From: ", m->first[SIP_H_FROM]);
	buf_str(out, "To: ");
	buf_str(out, m->first[SIP_H_TO]);
	if (tag && sip_addr_spec(m->first[SIP_H_TO]).len &&
	    !sip_addr_param(m->first[SIP_H_TO], "tag").p) {
		buf_str(out, ";tag=");
		buf_str(out, tag);
	}
	buf_add(out, "\r\n", 2);
	add_header(out, "Call-ID: ", m->first[SIP_H_CALL_ID]);
	add_header(out, "CSeq: ", m->first[SIP_H_CSEQ]);
	if (m->first[SIP_H_TIMESTAMP])
		add_header(out, "Timestamp: ", m->first[SIP_H_TIMESTAMP]);
}

void sip_build_record_routes(struct buf *out, const struct sip_msg *m)
{
	for (size_t i = 0; i < m->n_lines; i++)
		if (m->lines[i].kind == SIP_H_RECORD_ROUTE)
			add_header(out, "Record-Route: ", m->lines[i].value);
}

void sip_build_body(struct buf *out, struct slice sdp)
{
	if (sdp.len)
		buf_str(out, "Content-Type: application/sdp\r\n");
	buf_printf(out, "Content-Length: %zu\r\n\r\n", sdp.len);
	if (sdp.len)
		buf_add(out, sdp.p, sdp.len);
}

void sip_build_capabilities(struct buf *out, const char *supported)
{
	buf_str(out, "Allow: " SIP_ALLOW "\r\nSupported:");
	if (supported && *supported) {
		buf_add(out, " ", 1);
		buf_str(out, supported);
	}
	buf_add(out, "\r\n", 2);
}

void sip_build_reply(struct buf *out, const struct sip_bind *bind, const char *head,
		     const struct sip_reply *reply)
{
	buf_reset(out);
	buf_printf(out, "SIP/2.0 %d ", reply->code);
	sip_add_plain(out, reply->reason ? reply->reason : sip_reason(reply->code));
	buf_add(out, "\r\n", 2);
	buf_str(out, head);
	if (reply->record_routes)
		buf_str(out, reply->record_routes);
	if (reply->contact)
		buf_printf(out, "Contact: <sip:%s%s>\r\n", bind->hostport, bind->params);
	buf_str(out, "Server: " SIP_AGENT "\r\n");
	if (reply->capabilities)
		sip_build_capabilities(out, reply->supported ? reply->supported : SIP_SUPPORTED);
	if (reply->lines)
		buf_str(out, reply->lines);
	if (reply->accept)
		buf_str(out, "Accept: application/sdp\r\n");
	if (reply->retry_after_s)
		buf_printf(out, "Retry-After: %u\r\n", reply->retry_after_s);
	if (reply->extra_name) {
		buf_printf(out, "%s: ", reply->extra_name);
		sip_add_plain(out, reply->extra_value);
		buf_add(out, "\r\n", 2);
	}
	sip_pass_headers(out, reply->pass);
	sip_pass_body(out, reply->pass, reply->sdp);
}

/* What no tag of a dialog begins with: those are hexadecimal. */
enum { STATELESS = 's' };

bool sip_tag_is_stateless(struct slice tag)
{
	return tag.len == SIP_TAG_LEN && tag.p[0] == STATELESS;
}

/* Derived from what stays the same when a request is sent again. */
static void stateless_tag(const struct sip_msg *m, char tag[SIP_TAG_LEN + 1])
{
	struct sip_hash h;

	sip_hash_start(&h, m->bind->sip);
	sip_hash_text(&h, "tag");
	sip_hash_text(&h, m->first[SIP_H_CALL_ID]);
	sip_hash_text(&h, m->first[SIP_H_FROM]);
	sip_hash_text(&h, m->first[SIP_H_CSEQ]);
	sip_hash_text(&h, m->top_via);
	snprintf(tag, SIP_TAG_LEN + 1, "%c%015llx", STATELESS,
		 (unsigned long long)sip_hash_end(&h).lo >> 4);
}

void sip_reply_stateless(const struct sip_msg *m, bool force_rport, const struct sip_reply *reply)
{
	struct sip *sip = m->bind->sip;
	struct addr to = sip_reply_to(m, force_rport), fallback = sip_reply_fallback(m);
	char tag[SIP_TAG_LEN + 1];

	stateless_tag(m, tag);
	buf_reset(&sip->head);
	sip_build_head(&sip->head, m, tag, force_rport);
	if (sip->head.failed)
		return;
	sip_build_reply(&sip->out, m->bind, sip->head.data, reply);
	if (sip->out.failed)
		return;
	sip_stats_response(&sip->stats, m->method, SIP_OUT, reply->code);
	sip_send_back(m->bind, &to, &fallback, sip->out.data, sip->out.len);
}
