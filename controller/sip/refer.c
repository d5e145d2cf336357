// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/refer.h"

#include "sip/leg_priv.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A Replaces value: `call-id;to-tag=x;from-tag=y`. The texts lie in `text`, a copy. */
struct replaces {
	char *text;
	const char *call_id, *to_tag, *from_tag;
	bool early_only;
};

static char *end_at(struct slice item)
{
	char *p = (char *)(uintptr_t)item.p;

	p[item.len] = '\0';
	return p;
}

static const char *value_of(char *param, const char *name)
{
	size_t len = strlen(name);
	char *p = param + len;

	if (strncasecmp(param, name, len) != 0)
		return NULL;
	p += strspn(p, " \t");
	return *p == '=' ? p + 1 + strspn(p + 1, " \t") : NULL;
}

/* `r->text` is to be freed either way. */
static bool parse_replaces(struct replaces *r, const char *value)
{
	const char *rest, *tag;
	struct slice item;

	*r = (struct replaces){.text = strdup(value)};
	rest = r->text;
	if (!sip_list_next(&rest, ';', &item) || !item.len)
		return false;
	r->call_id = end_at(item);
	while (sip_list_next(&rest, ';', &item)) {
		char *param = end_at(item);

		tag = value_of(param, "to-tag");
		if (tag)
			r->to_tag = tag;
		tag = value_of(param, "from-tag");
		if (tag)
			r->from_tag = tag;
		if (strcasecmp(param, "early-only") == 0)
			r->early_only = true;
	}
	return r->to_tag && r->from_tag;
}

static struct leg *twin_of(struct leg *leg)
{
	return leg->events && leg->events->twin ? leg->events->twin(leg->owner, leg) : NULL;
}

static struct leg *named_leg(const struct sip *sip, const struct replaces *r)
{
	struct leg *leg = NULL;

	for (size_t i = 0; !leg && i < sip->n_binds; i++) {
		/* Whoever is to replace the dialog sees it from our end, or from the far end. */
		leg = leg_of_dialog(&sip->binds[i], r->call_id, r->to_tag, r->from_tag);
		if (leg)
			leg = twin_of(leg);
		else
			leg = leg_of_dialog(&sip->binds[i], r->call_id, r->from_tag, r->to_tag);
	}
	return leg && leg->phase != LEG_OVER && *leg->dialog.remote_tag ? leg : NULL;
}

struct leg *sip_replaces_leg(const struct sip *sip, const char *value)
{
	struct replaces r;
	struct leg *leg = parse_replaces(&r, value) ? named_leg(sip, &r) : NULL;

	free(r.text);
	return leg;
}

/* The value as the leg's far end knows its dialog. False: none of ours. */
static bool add_replaces(struct buf *out, const struct sip *sip, const char *value)
{
	struct replaces r;
	struct leg *leg = parse_replaces(&r, value) ? named_leg(sip, &r) : NULL;

	if (leg)
		buf_printf(out, "%s;to-tag=%s;from-tag=%s%s", leg->dialog.call_id,
			   leg->dialog.remote_tag, leg->dialog.local_tag,
			   r.early_only ? ";early-only" : "");
	free(r.text);
	return leg != NULL;
}

void sip_replaces_line(struct buf *out, const struct sip *sip, const char *value)
{
	buf_str(out, "Replaces: ");
	if (!add_replaces(out, sip, value))
		buf_str(out, value);
	buf_str(out, "\r\n");
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	if (c >= '0' && c <= '9')
		return c - '0';
	return at && at - digits >= 10 ? (int)(at - digits) : -1;
}

/* Undoes %XX; control characters do not come out of it. */
static char *unescape(struct slice s)
{
	char *out = malloc(s.len + 1), *to = out;

	for (size_t i = 0; out && i < s.len; i++) {
		int high = s.p[i] == '%' && i + 2 < s.len ? hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex(s.p[i + 2]) : -1;
		int octet = low >= 0 ? high << 4 | low : (unsigned char)s.p[i];

		i += low >= 0 ? 2 : 0;
		if (octet >= 0x20 && octet != 0x7f)
			*to++ = (char)octet;
	}
	if (out)
		*to = '\0';
	return out;
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		bool plain = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
			     (*text >= 'A' && *text <= 'Z') || strchr("-_.!~*'()[]/?:+$", *text);

		if (plain)
			buf_add(out, text, 1);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

/* The headers of a URI with Replaces mapped. True: it names a dialog of ours. */
static bool add_uri_headers(struct buf *out, const struct sip *sip, const char *headers)
{
	struct buf mapped = {0};
	const char *rest = headers;
	struct slice item;
	bool ours = false;

	while (sip_list_next(&rest, '&', &item)) {
		char *value = NULL;

		buf_str(out, out->len ? "&" : "");
		mapped.len = 0;
		if (item.len > 9 && strncasecmp(item.p, "Replaces=", 9) == 0)
			value = unescape((struct slice){item.p + 9, item.len - 9});
		if (value && add_replaces(&mapped, sip, value)) {
			ours = true;
			buf_str(out, "Replaces=");
			add_escaped(out, mapped.data);
		} else {
			buf_add(out, item.p, item.len);
		}
		free(value);
	}
	buf_free(&mapped);
	return ours;
}

/* An address at which we are reached: what is written into our Contacts, or what is behind it. */
static bool is_ours(const struct sip *sip, const char *uri)
{
	struct sip_uri parsed;
	struct addr shown;

	if (sip_uri_parse(&parsed, uri) || parsed.addr.family == AF_UNSPEC)
		return false;
	for (size_t i = 0; i < sip->n_binds; i++)
		if (addr_equal(&parsed.addr, &sip->binds[i].local) ||
		    (addr_parse(&shown, sip->binds[i].hostport) == 0 &&
		     addr_equal(&parsed.addr, &shown)))
			return true;
	return false;
}

/* Parameters that say how to get to a host, which is another one now. */
static bool is_of_hop(struct slice param)
{
	static const char *const names[] = {"transport", "maddr", "ttl", "lr", "ob", "comp"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t len = strlen(names[i]);

		if (param.len >= len && strncasecmp(param.p, names[i], len) == 0 &&
		    (param.len == len || param.p[len] == '='))
			return true;
	}
	return false;
}

/* The same URI at our own address as the far end of that bind knows it. */
static void add_through_us(struct buf *out, const struct sip_bind *to, const char *uri)
{
	const char *user = strchr(uri, ':') + 1, *at = strchr(uri, '@');
	const char *rest = at ? at + 1 : user;
	struct slice item;

	buf_str(out, "sip:");
	if (at)
		buf_add(out, user, (size_t)(at + 1 - user));
	buf_str(out, to->hostport);
	buf_str(out, to->params);
	sip_list_next(&rest, ';', &item);
	while (sip_list_next(&rest, ';', &item)) {
		if (is_of_hop(item))
			continue;
		buf_add(out, ";", 1);
		buf_add(out, item.p, item.len);
	}
}

static void add_refer_uri(struct buf *out, const struct sip_bind *to, char *uri)
{
	char *headers = strchr(uri, '?');
	struct buf mapped = {0};
	bool ours = false;

	if (headers)
		*headers++ = '\0';
	if (headers)
		ours = add_uri_headers(&mapped, to->sip, headers);
	if (strchr(uri, ':') &&
	    (is_ours(to->sip, uri) || (ours && strncasecmp(uri, "sip", 3) == 0)))
		add_through_us(out, to, uri);
	else
		buf_str(out, uri);
	if (mapped.len)
		buf_printf(out, "?%s", mapped.data);
	out->failed |= mapped.failed;
	buf_free(&mapped);
}

void sip_refer_to_line(struct buf *out, const struct sip_bind *to, const char *value)
{
	struct slice spec = sip_addr_spec(value);
	char *uri = spec.p ? strndup(spec.p, spec.len) : NULL;
	bool bare = spec.p && memchr(value, '<', (size_t)(spec.p - value)) == NULL;

	buf_str(out, "Refer-To: ");
	if (!uri) {
		buf_str(out, value);
	} else {
		buf_add(out, value, (size_t)(spec.p - value));
		buf_str(out, bare ? "<" : "");
		add_refer_uri(out, to, uri);
		buf_str(out, bare ? ">" : "");
		buf_str(out, spec.p + spec.len);
	}
	buf_str(out, "\r\n");
	free(uri);
}

int sip_refers_note(struct sip_dialog *to, uint32_t sent, uint32_t asked)
{
	struct sip_refers *r = to->refers;

	if (!r)
		r = to->refers = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->pairs[r->n++ % 4] = (struct sip_refer_pair){sent, asked};
	return 0;
}

/* `back`: from the number that we gave to the one that was asked for. 0: none. */
static uint32_t refer_number(const struct sip_refers *r, uint32_t number, bool back)
{
	for (unsigned int i = 0; r && i < 4 && i < r->n; i++) {
		if (back && r->pairs[i].sent == number)
			return r->pairs[i].asked;
		if (!back && r->pairs[i].asked == number)
			return r->pairs[i].sent;
	}
	return 0;
}

void sip_event_line(struct buf *out, const struct sip_dialog *from, const struct sip_dialog *to,
		    const char *value)
{
	char id[16];
	const char *at;
	uint32_t number, mapped = 0;

	if (strncasecmp(value, "refer", 5) == 0 && multipart_param(value, "id", id, sizeof(id)) &&
	    sip_number(id, UINT32_MAX, &number)) {
		mapped = refer_number(from ? from->refers : NULL, number, true);
		if (!mapped)
			mapped = refer_number(to->refers, number, false);
	}
	at = strchr(value, ';');
	if (mapped && at)
		buf_printf(out, "Event: %.*s;id=%u\r\n", (int)(at - value), value, mapped);
	else
		buf_printf(out, "Event: %s\r\n", value);
}
