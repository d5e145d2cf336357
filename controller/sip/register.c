// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/register.h"

#include "sip/server.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The texts of the Contacts, cut. */
struct texts {
	char *uris[SIP_CONTACTS_MAX];
	size_t n;
};

static void texts_free(struct texts *t)
{
	while (t->n)
		free(t->uris[--t->n]);
}

/* What cannot be read counts as an hour (RFC 3261 10.3, step 6, and 20.19). */
static int64_t seconds(struct slice value)
{
	char digits[11];
	uint32_t n;

	if (value.len >= sizeof(digits))
		return 3600;
	memcpy(digits, value.p, value.len);
	digits[value.len] = '\0';
	return sip_number(digits, UINT32_MAX, &n) ? (int64_t)n : 3600;
}

/* `;expires=` among the header's parameters; `item` is a copy of one Contact. */
static int64_t expires_of(const char *item, int64_t common)
{
	struct slice spec = sip_addr_spec(item), param;
	const char *rest = spec.p + spec.len;

	rest = strchr(rest, ';');
	while (rest && sip_list_next(&rest, ';', &param))
		if (param.len > 8 && strncasecmp(param.p, "expires=", 8) == 0)
			return seconds((struct slice){param.p + 8, param.len - 8});
	return common;
}

static bool take_contact(struct sip_registration *r, struct texts *t, struct slice item,
			 int64_t common)
{
	struct sip_contact *c = &r->contacts[r->n];
	char *text = strndup(item.p, item.len), *uri = NULL;
	struct slice spec = text ? sip_addr_spec(text) : (struct slice){0};
	struct sip_uri parsed;

	if (spec.len && spec.len <= SIP_CONTACT_MAX)
		uri = strndup(spec.p, spec.len);
	if (!uri || strpbrk(uri, " \t<>\"") || sip_uri_parse(&parsed, uri) ||
	    (!parsed.sip && !parsed.sips) || parsed.headers) {
		free(text);
		free(uri);
		return false;
	}
	*c = (struct sip_contact){
		.uri = uri, .addr = parsed.addr, .expires_s = expires_of(text, common)};
	free(text);
	t->uris[t->n++] = uri;
	r->n++;
	return true;
}

/* All Contact lines. `*` stands alone, and with Expires: 0 (10.2.2). */
static struct sip_reply take_contacts(struct sip_registration *r, struct texts *t,
				      const struct sip_msg *m, int64_t common)
{
	const struct sip_reply bad = {.code = 400, .reason = "Bad Contact"};
	struct slice item;

	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		if (m->lines[i].kind != SIP_H_CONTACT)
			continue;
		while (sip_list_next(&rest, ',', &item)) {
			if (!item.len)
				continue;
			if (r->all)
				return bad;
			if (slice_is(item, "*")) {
				r->all = true;
			} else if (r->n == SIP_CONTACTS_MAX) {
				return (struct sip_reply){.code = 403,
							  .reason = "Too Many Contacts"};
			} else if (!take_contact(r, t, item, common)) {
				return bad;
			}
		}
	}
	if (r->all && (r->n || common != 0))
		return bad;
	return (struct sip_reply){0};
}

static void print_bindings(struct buf *lines, const struct sip_registered *out)
{
	for (size_t i = 0; i < out->n; i++)
		buf_printf(lines, "Contact: <%s>;expires=%lld\r\n", out->contacts[i].uri,
			   (long long)out->contacts[i].expires_s);
}

static void answer(const struct sip_msg *m, bool force_rport, const struct sip_reply *reply)
{
	char tag[SIP_TAG_LEN + 1];

	sip_random_hex(m->bind->sip, tag, SIP_TAG_LEN / 2);
	sip_server_answer(m, tag, force_rport, reply);
}

static void ask_handler(const struct sip_msg *m, const struct sip_registration *r, bool force_rport)
{
	const struct sip_handlers *handlers = &m->bind->sip->handlers;
	struct sip_registered out = {.code = 500};
	struct sip_reply reply = {0};
	struct buf lines = {0};

	handlers->registration(handlers->ctx, r, &out);
	reply.code = out.code;
	reply.reason = out.reason;
	if (out.code == 200)
		print_bindings(&lines, &out);
	else if (out.min_expires_s)
		buf_printf(&lines, "Min-Expires: %u\r\n", out.min_expires_s);
	if (lines.failed)
		reply = (struct sip_reply){.code = 500};
	else
		reply.lines = lines.data;
	answer(m, force_rport, &reply);
	buf_free(&lines);
}

void sip_register_receive(const struct sip_msg *m, const struct sip_request *request,
			  bool force_rport)
{
	struct sip_registration r = {.request = request, .bind = m->bind->index, .cseq = m->cseq};
	const char *expires = m->first[SIP_H_EXPIRES];
	int64_t common = expires ? seconds((struct slice){expires, strlen(expires)}) : -1;
	struct texts texts = {.n = 0};
	struct sip_reply refusal = take_contacts(&r, &texts, m, common);

	if (refusal.code)
		answer(m, force_rport, &refusal);
	else
		ask_handler(m, &r, force_rport);
	texts_free(&texts);
}
