// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/ask_priv.h"

#include "sip/client.h"
#include "sip/leg.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sip_ask {
	struct sip *sip;
	struct sip_ask *prev, *next;
	struct sip_client *client;
	void (*done)(void *owner, const struct sip_answer *answer);
	void *owner;
	char *user, *secret; /* NULL: none */
	char *contact;	     /* ours, as it is listed in a 200; NULL: none */
	uint32_t cseq;
};

static void ask_free(struct sip_ask *ask)
{
	DL_DELETE(ask->sip->asks, ask);
	free(ask->user);
	free(ask->secret);
	free(ask->contact);
	free(ask);
}

void sip_asks_free(struct sip *sip)
{
	while (sip->asks)
		ask_free(sip->asks);
}

void sip_ask_drop(struct sip_ask *ask)
{
	if (!ask)
		return;
	sip_client_free(ask->client);
	ask_free(ask);
}

static uint32_t header_number(const struct sip_msg *m, enum sip_header kind)
{
	uint32_t n;

	return m->first[kind] && sip_number(m->first[kind], UINT32_MAX, &n) ? n : 0;
}

/* `;expires=` behind a Contact's URI; -1: none. */
static int64_t contact_expires(const char *item)
{
	const char *rest = strchr(item, '>');
	struct slice param;
	char digits[11] = "";
	uint32_t n;

	rest = rest ? rest + 1 : item;
	while (sip_list_next(&rest, ';', &param)) {
		if (param.len < 9 || param.len - 8 >= sizeof(digits) ||
		    strncasecmp(param.p, "expires=", 8) != 0)
			continue;
		memcpy(digits, param.p + 8, param.len - 8);
		digits[param.len - 8] = '\0';
	}
	return sip_number(digits, UINT32_MAX, &n) ? (int64_t)n : -1;
}

/* What a 200 says of our Contact, or else of all (RFC 3261 10.2.4). */
static int64_t granted(const struct sip_ask *ask, const struct sip_msg *m)
{
	struct slice item;

	for (size_t i = 0; ask->contact && i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		while (m->lines[i].kind == SIP_H_CONTACT && sip_list_next(&rest, ',', &item)) {
			char *text = strndup(item.p, item.len);
			struct slice spec = text ? sip_addr_spec(text) : (struct slice){0};
			bool ours = spec.len >= strlen(ask->contact) &&
				    strncasecmp(spec.p, ask->contact, strlen(ask->contact)) == 0;
			int64_t s = ours ? contact_expires(text) : -1;

			free(text);
			if (s >= 0)
				return s;
		}
	}
	return m->first[SIP_H_EXPIRES] ? (int64_t)header_number(m, SIP_H_EXPIRES) : -1;
}

static void finish(struct sip_ask *ask, const struct sip_answer *answer)
{
	void (*done)(void *owner, const struct sip_answer *answer) = ask->done;
	void *owner = ask->owner;

	ask_free(ask);
	done(owner, answer);
}

static void on_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct sip_ask *ask = owner;
	struct sip_answer answer = {
		.code = m->code,
		.reason = m->reason,
		.retry_after_s = sip_msg_retry_after(m),
		.min_expires_s = header_number(m, SIP_H_MIN_EXPIRES),
		.expires_s = granted(ask, m),
		.cseq = ask->cseq,
	};

	(void)c;
	finish(ask, &answer);
}

static void on_lost(void *owner, int code)
{
	struct sip_ask *ask = owner;
	struct sip_answer answer = {.code = code,
				    .reason = sip_reason(code),
				    .lost = true,
				    .expires_s = -1,
				    .cseq = ask->cseq};

	finish(ask, &answer);
}

static uint32_t next_cseq(void *owner)
{
	struct sip_ask *ask = owner;

	return ++ask->cseq;
}

static void on_again(void *owner, struct sip_client *c)
{
	struct sip_ask *ask = owner;

	ask->client = c;
}

static const struct sip_client_events events = {
	.response = on_response, .lost = on_lost, .next_cseq = next_cseq, .again = on_again};

/* Contact, Expires, Accept. */
static void build_lines(struct buf *lines, const struct sip_ask *ask, const struct sip_question *q)
{
	if (ask->contact)
		buf_printf(lines, "Contact: <%s>\r\n", ask->contact);
	if (q->expires_s >= 0)
		buf_printf(lines, "Expires: %lld\r\n", (long long)q->expires_s);
	if (strcmp(q->method, "OPTIONS") == 0)
		buf_str(lines, "Accept: application/sdp\r\n");
}

static void build(struct sip_ask *ask, const struct sip_bind *bind, const struct sip_question *q,
		  const char *branch)
{
	struct sip *sip = ask->sip;
	struct buf from = {0}, to = {0}, lines = {0};
	char call_id[SIP_CALL_ID_LEN + 1], tag[SIP_TAG_LEN + 1];
	struct sip_dialog d = {
		.bind = bind, .call_id = call_id, .target = (char *)(uintptr_t)q->uri};
	struct sip_outgoing r = {.method = sip_method_of(q->method),
				 .cseq = ask->cseq,
				 .max_forwards = SIP_HOPS,
				 .branch = branch};

	sip_random_hex(sip, call_id, SIP_CALL_ID_LEN / 2);
	sip_random_hex(sip, tag, SIP_TAG_LEN / 2);
	if (q->call_id)
		d.call_id = (char *)(uintptr_t)q->call_id;
	buf_printf(&from, "<%s>;tag=%s", q->from_uri ? q->from_uri : ask->contact, tag);
	buf_printf(&to, "<%s>", q->to_uri);
	build_lines(&lines, ask, q);
	d.local = from.data;
	d.remote = to.data;
	r.lines = lines.data;
	buf_reset(&sip->out);
	if (from.failed || to.failed || lines.failed)
		sip->out.failed = true;
	else
		sip_build_request(&sip->out, &d, &r);
	buf_free(&from);
	buf_free(&to);
	buf_free(&lines);
}

static int fill(struct sip_ask *ask, const struct sip_bind *bind, const struct sip_question *q)
{
	struct buf contact = {0};

	if (q->secret) {
		ask->user = strdup(q->user);
		ask->secret = strdup(q->secret);
		if (!ask->user || !ask->secret)
			return -ENOMEM;
	}
	if (!q->contact_user)
		return 0;
	buf_str(&contact, "sip:");
	sip_add_user(&contact, q->contact_user);
	buf_printf(&contact, "@%s%s", bind->hostport, bind->params);
	ask->contact = buf_take(&contact);
	return ask->contact ? 0 : -ENOMEM;
}

int sip_ask(struct sip_ask **out, struct sip *sip, const struct sip_question *q,
	    void (*done)(void *owner, const struct sip_answer *answer), void *owner)
{
	const struct leg_target to = {
		.realm = q->realm, .to = q->to, .bind = q->bind, .transport = q->transport};
	const struct sip_bind *bind = sip_bind_to(sip, &to);
	struct sip_ask *ask = bind ? calloc(1, sizeof(*ask)) : NULL;
	char branch[SIP_BRANCH_LEN + 1];
	int err;

	if (!ask)
		return bind ? -ENOMEM : -EADDRNOTAVAIL;
	ask->sip = sip;
	ask->done = done;
	ask->owner = owner;
	ask->cseq = q->cseq + 1;
	DL_APPEND(sip->asks, ask);
	err = fill(ask, bind, q);
	if (!err) {
		sip_branch_new(sip, branch, 0);
		build(ask, bind, q, branch);
		err = sip_client_new(&ask->client, bind, &q->to, sip_method_of(q->method), branch);
	}
	if (err) {
		ask_free(ask);
		return err;
	}
	sip_client_own(ask->client, &events, ask);
	sip_client_login(ask->client, ask->user, ask->secret);
	*out = ask;
	return 0;
}

void sip_keepalive(const struct sip *sip, unsigned int bind, const struct addr *to)
{
	if (bind < sip->n_binds)
		sip_send(&sip->binds[bind], to, "\r\n\r\n", 4);
}
