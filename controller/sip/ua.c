// SPDX-License-Identifier: GPL-2.0-or-later
/* A datagram's way through the stack, and the requests that belong to no dialog. */
#include "sip/auth.h"
#include "sip/refer.h"
#include "sip/register.h"
#include "sip/relay_priv.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Half the time that a refused INVITE stays in the table. */
enum { OVERLOAD_S = 16 };

/* Requests that make no sense outside of a dialog. */
static bool wants_dialog(enum sip_method method)
{
	return method == SIP_BYE || method == SIP_PRACK || method == SIP_UPDATE;
}

struct sip_reply sip_refuse_method(const struct sip_msg *m)
{
	return (struct sip_reply){.code = m->method == SIP_OTHER ? 501 : 405, .capabilities = true};
}

static bool is_encoded(const struct sip_msg *m)
{
	const char *encoding = m->first[SIP_H_CONTENT_ENCODING];

	return encoding && *encoding && strcmp(encoding, "identity") != 0;
}

static bool is_sdp_range(struct slice range)
{
	size_t len = strcspn(range.p, " \t;");

	if (len < range.len)
		range.len = len;
	return !range.len || slice_is(range, "application/sdp") ||
	       slice_is(range, "application/*") || slice_is(range, "*/*");
}

/* Would a description be taken as the answer? RFC 3261 20.1: yes where nothing is said. */
static bool accepts_sdp(const struct sip_msg *m)
{
	bool said = false;
	struct slice range;

	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		if (strcasecmp(m->lines[i].name, "Accept") != 0)
			continue;
		said = true;
		while (sip_list_next(&rest, ',', &range))
			if (is_sdp_range(range))
				return true;
	}
	return !said;
}

struct sip_reply sip_refuse_content(const struct sip_msg *m)
{
	struct buf *unknown = &m->bind->sip->list;

	buf_reset(unknown);
	if (sip_pass_unknown(unknown, m) && unknown->len)
		return (struct sip_reply){
			.code = 420, .extra_name = "Unsupported", .extra_value = unknown->data};
	if (!sip_pass_fits(m))
		return (struct sip_reply){.code = 513};
	if (m->method == SIP_INVITE && m->body.len && is_encoded(m))
		return (struct sip_reply){.code = 415,
					  .accept = true,
					  .extra_name = "Accept-Encoding",
					  .extra_value = "identity"};
	if (m->method == SIP_INVITE && m->bad_parts)
		return (struct sip_reply){.code = 400, .reason = "Bad Multipart Body"};
	if (m->method == SIP_INVITE && m->body.len && !m->body_is_sdp && !m->multipart)
		return (struct sip_reply){.code = 415, .accept = true};
	if (m->method == SIP_INVITE && !accepts_sdp(m))
		return (struct sip_reply){.code = 406};
	return (struct sip_reply){0};
}

static void reject(const struct sip_msg *m, bool force_rport, const struct sip_reply *reply,
		   const char *label)
{
	sip_stats_rejected(&m->bind->sip->stats, label);
	sip_reply_stateless(m, force_rport, reply);
}

/* The texts of a sip_request, one after the other in one piece of memory. */
struct texts {
	char *memory, *next;
};

static const char *add_slice(struct texts *t, struct slice s)
{
	char *at = t->next;

	if (s.len)
		memcpy(at, s.p, s.len);
	at[s.len] = '\0';
	t->next += s.len + 1;
	return at;
}

static const char *add_user(struct texts *t, const char *uri)
{
	char *at = t->next;

	sip_uri_user(at, uri);
	t->next += strlen(at) + 1;
	return at;
}

/* The display name without its quotes and escapes. */
static const char *add_display(struct texts *t, const char *display)
{
	char *at = t->next, *out = at;

	if (display && *display == '"') {
		for (display++; *display && *display != '"'; display++) {
			if (*display == '\\' && display[1])
				display++;
			*out++ = *display;
		}
	} else if (display) {
		while (*display)
			*out++ = *display++;
	}
	while (out > at && out[-1] == ' ')
		out--;
	*out = '\0';
	t->next = out + 1;
	return at;
}

static struct leg *replaced_leg(const struct sip_msg *m)
{
	for (size_t i = 0; m->method == SIP_INVITE && i < m->n_lines; i++)
		if (m->lines[i].kind == SIP_H_REPLACES)
			return sip_replaces_leg(m->bind->sip, m->lines[i].value);
	return NULL;
}

/* `texts` is to be freed whatever is returned. */
static bool view_request(struct sip_request *r, struct texts *t, const struct sip_msg *m)
{
	const char *from = m->first[SIP_H_FROM], *to = m->first[SIP_H_TO];

	t->memory = t->next = malloc(strlen(m->uri) + 3 * strlen(from) + 2 * strlen(to) + 6);
	if (!t->memory)
		return false;
	*r = (struct sip_request){
		.method = m->method_name,
		.realm = m->bind->realm,
		.transport = m->bind->transport,
		.source = m->source,
		.asker = sip_bind_asker(m->bind, &m->source),
		.number = add_user(t, m->uri),
		.from_uri = add_slice(t, sip_addr_spec(from)),
		.to_uri = add_slice(t, sip_addr_spec(to)),
		.from_display = add_display(t, m->from->displayname),
		.call_id = m->call_id,
		.user_agent = sip_msg_agent(m),
		.max_forwards = m->max_forwards,
		.way = sip_way_of(m),
		.replaces = replaced_leg(m),
		.sdp = sip_msg_sdp(m),
		.msg = m,
	};
	r->from_user = add_user(t, r->from_uri);
	r->to_user = add_user(t, r->to_uri);
	return true;
}

uint32_t sip_way_of(const struct sip_msg *m)
{
	const struct addr *from = &m->source;
	struct sip_hash h;
	uint32_t way;

	sip_hash_start(&h, m->bind->sip);
	sip_hash_bytes(&h, (const char *)&m->bind->realm->index, sizeof(m->bind->realm->index));
	if (from->family == AF_INET)
		sip_hash_bytes(&h, (const char *)&from->v4, sizeof(from->v4));
	else
		sip_hash_bytes(&h, (const char *)&from->v6, sizeof(from->v6));
	sip_hash_text(&h, m->uri);
	way = (uint32_t)sip_hash_end(&h).lo;
	return way ? way : 1;
}

/* It has been here the same way before (RFC 3261 16.3, 4): it would go on for ever. */
static bool is_loop(const struct sip_msg *m)
{
	uint32_t way = sip_way_of(m);

	for (size_t i = 0; i < m->n_lines; i++)
		if (m->lines[i].kind == SIP_H_VIA &&
		    sip_branch_seen(m->bind->sip, m->lines[i].value, way))
			return true;
	return false;
}

static bool registers(const struct sip_msg *m)
{
	return m->method == SIP_REGISTER && m->bind->sip->handlers.registration;
}

/* RFC 3261 8.2 for a request of a known source; code 0: it may go on. */
static struct sip_reply inspect(const struct sip_msg *m, const char **label)
{
	struct sip_reply refusal;
	struct sip_uri uri;

	*label = "loop";
	if (is_loop(m))
		return (struct sip_reply){.code = 482};
	*label = "merged";
	if (sip_server_merged(m))
		return (struct sip_reply){.code = 482, .reason = "Merged Request"};
	*label = "method";
	if (wants_dialog(m->method))
		return (struct sip_reply){.code = 481};
	if (m->method != SIP_INVITE && m->method != SIP_OPTIONS && !registers(m) &&
	    !(sip_is_relayed(m->method) && m->bind->sip->handlers.request))
		return sip_refuse_method(m);
	*label = "bad_uri";
	if (sip_uri_parse(&uri, m->uri) || uri.headers)
		return (struct sip_reply){.code = 400, .reason = "Bad Request-URI"};
	*label = "uri_scheme";
	if (!uri.sip)
		return (struct sip_reply){.code = 416};
	*label = "max_forwards";
	if (m->method != SIP_OPTIONS && m->max_forwards == 0)
		return (struct sip_reply){.code = 483};
	*label = "overload";
	if (m->method != SIP_OPTIONS && sip_server_full(m->bind->sip))
		return (struct sip_reply){.code = 503, .retry_after_s = OVERLOAD_S};
	refusal = sip_refuse_content(m);
	*label = refusal.code == 420 ? "extension" : "media_type";
	return refusal;
}

static void on_admitted(const struct sip_msg *m, const struct sip_request *request,
			const struct sip_verdict *verdict)
{
	bool force_rport = verdict->force_rport;
	const char *label;
	struct sip_reply reply = inspect(m, &label);

	if (reply.code) {
		reject(m, force_rport, &reply, label);
	} else if (m->method == SIP_OPTIONS) {
		reply = (struct sip_reply){.code = 200, .capabilities = true, .accept = true};
		sip_reply_stateless(m, force_rport, &reply);
	} else if (m->method == SIP_REGISTER) {
		sip_register_receive(m, request, force_rport);
	} else if (m->method != SIP_INVITE) {
		relay_from_outside(m, request, force_rport);
	} else {
		leg_invited(m, request, verdict);
	}
}

/* A challenge is no refusal, but what comes of it is counted. */
static void challenge(const struct sip_msg *m, const struct sip_verdict *verdict)
{
	struct sip_reply reply = {.code = 401};
	struct buf lines = {0};

	sip_build_challenge(&lines, m, verdict);
	reply.lines = lines.data;
	if (!lines.failed)
		reject(m, verdict->force_rport, &reply,
		       verdict->stale ? "stale_nonce" : "unauthenticated");
	buf_free(&lines);
}

/* RFC 3261 21.5.4, before anything is made of the request. */
static void refuse_for_overload(const struct sip_msg *m)
{
	struct sip_reply reply = {
		.code = 503,
		.retry_after_s = overload_retry_after_s(m->first[SIP_H_CALL_ID])};

	reject(m, false, &reply, "overload");
}

static void on_new_request(const struct sip_msg *m)
{
	const struct sip_handlers *handlers = &m->bind->sip->handlers;
	struct sip_verdict verdict = {0};
	struct sip_reply reply;
	struct sip_request request;
	struct texts texts;

	if (!view_request(&request, &texts, m)) {
		sip_reply_stateless(m, false, &(struct sip_reply){.code = 503});
		return;
	}
	handlers->admit(handlers->ctx, &request, &verdict);
	reply = (struct sip_reply){.code = verdict.code,
				   .reason = verdict.reason,
				   .retry_after_s = verdict.retry_after_s};
	request.caller = verdict.caller;
	if (verdict.silent)
		sip_stats_rejected(&m->bind->sip->stats, verdict.label);
	else if (verdict.challenge)
		challenge(m, &verdict);
	else if (verdict.code)
		reject(m, verdict.force_rport, &reply, verdict.label ? verdict.label : "refused");
	else
		on_admitted(m, &request, &verdict);
	free(texts.memory);
}

static void on_cancel(const struct sip_msg *m)
{
	struct sip_server *s = sip_server_find(m, SIP_CANCEL), *invite;

	if (s) {
		sip_server_again(s);
		return;
	}
	invite = sip_server_find(m, SIP_INVITE);
	if (!invite) {
		sip_reply_stateless(m, false, &(struct sip_reply){.code = 481});
		return;
	}
	sip_server_answer(m, invite->tag, invite->force_rport, &(struct sip_reply){.code = 200});
	if (invite->leg && invite->state == SERVER_PROCEEDING)
		leg_cancel_received(invite->leg);
}

static void on_ack(const struct sip_msg *m)
{
	struct sip_server *s = sip_server_find(m, SIP_INVITE);
	struct leg *leg;

	if (s && sip_server_acked(s))
		return;
	leg = leg_find(m);
	if (leg)
		leg_ack_received(leg, m);
}

/* No transaction of ours knows it. Who accepts our re-INVITE late sends that until its ACK. */
static void on_stray_response(const struct sip_msg *m)
{
	struct leg *leg;

	if (m->method != SIP_INVITE || m->code < 200 || m->code >= 300 || m->n_vias > 1)
		return;
	leg = leg_of_dialog(m->bind, m->call_id, m->from_tag, m->to_tag);
	if (leg)
		leg_late_success(leg, m);
}

static void on_request(const struct sip_msg *m)
{
	struct sip_server *s;
	struct sip_end *end;
	struct leg *leg;

	m->bind->sip->stats.requests[m->method][SIP_IN]++;
	if (m->method == SIP_ACK) {
		on_ack(m);
		return;
	}
	if (!m->version_known) {
		sip_reply_stateless(m, false, &(struct sip_reply){.code = 505});
		return;
	}
	if (m->method == SIP_CANCEL) {
		on_cancel(m);
		return;
	}
	s = sip_server_find(m, m->method);
	if (s) {
		sip_server_again(s);
		return;
	}
	if (!*m->to_tag && m->method == SIP_INVITE && m->queue->on) {
		refuse_for_overload(m);
		return;
	}
	if (!*m->to_tag) {
		on_new_request(m);
		return;
	}
	leg = leg_find(m);
	end = leg ? NULL : sip_end_find(m);
	if (leg)
		leg_request(leg, m);
	else if (end)
		subscription_request(end, m);
	else
		reject(m, false, &(struct sip_reply){.code = 481}, "no_dialog");
}

static void refuse_malformed(const struct sip_msg *m, int code)
{
	struct sip *sip = m->bind->sip;
	char text[ADDR_TEXT];
	unsigned long missed;

	sip->stats.malformed++;
	if (log_allowed(&sip->malformed_log, &missed))
		log_info("malformed message from %s: %s (%lu more unseen)",
			 addr_print(text, &m->source), m->fault, missed);
	if (m->answerable)
		sip_reply_stateless(m, false,
				    &(struct sip_reply){.code = code, .reason = m->fault});
}

/* CRLF and NUL datagrams keep NAT bindings open and mean nothing. */
static bool is_keepalive(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r' && text[i] != '\n' && text[i] != '\0' && text[i] != ' ')
			return false;
	return true;
}

/* Under overload whatever a refusal costs is taken from the calls in progress: it is given before
 * more is read of an INVITE than its headers' places and its top Via, and the ACK to it is not read
 * either. True: the message is done with. */
static bool shed(const struct sip_msg *m)
{
	struct slice to_tag = sip_addr_param(m->first[SIP_H_TO], "tag");

	if (m->method == SIP_ACK && sip_tag_is_stateless(to_tag)) {
		m->bind->sip->stats.requests[SIP_ACK][SIP_IN]++;
		return true;
	}
	if (!m->queue->on || m->method != SIP_INVITE || to_tag.p || !m->answerable ||
	    !m->version_known || !sip_server_by_branch(m) || sip_server_find(m, SIP_INVITE))
		return false;
	m->bind->sip->stats.requests[SIP_INVITE][SIP_IN]++;
	refuse_for_overload(m);
	return true;
}

static void on_message(struct sip_msg *m)
{
	if (!m->fault && m->request && shed(m))
		return;
	if (sip_msg_finish(m)) {
		refuse_malformed(m, 400);
	} else if (m->request) {
		on_request(m);
	} else {
		sip_stats_response(&m->bind->sip->stats, m->method, SIP_IN, m->code);
		if (!sip_client_receive(m))
			on_stray_response(m);
	}
}

void sip_receive_endless(const struct sip_bind *bind, const struct addr *source, char *text,
			 size_t len, const struct sip_unframed *why)
{
	struct sip_msg m;

	sip_msg_parse(&m, text, len);
	m.bind = bind;
	m.source = *source;
	m.fault = why->reason ? why->reason : sip_reason(why->code);
	refuse_malformed(&m, why->code);
	sip_msg_clear(&m);
}

void sip_receive(const struct sip_bind *bind, const struct sip_overload *queue,
		 const struct addr *source, char *text, size_t len)
{
	struct sip_msg m;

	if (is_keepalive(text, len))
		return;
	sip_msg_begin(&m, text, len);
	m.bind = bind;
	m.source = *source;
	m.queue = queue;
	bind->sip->now = &m;
	on_message(&m);
	bind->sip->now = NULL;
	sip_msg_clear(&m);
}
