// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/text.h"

#include <errno.h>
#include <osipparser2/osip_uri.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longest text of somebody else's that we write into one header of ours. */
enum { PLAIN_MAX = 256 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool sip_is_token(const char *text)
{
	const char *p = text;

	while (*p && (is_alnum(*p) || strchr("-.!%*_+`'~", *p)))
		p++;
	return p != text && !*p;
}

bool sip_number(const char *text, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = (uint32_t)value;
	return true;
}

static struct slice trim(const char *p, size_t len)
{
	while (len && is_blank(*p)) {
		p++;
		len--;
	}
	while (len && is_blank(p[len - 1]))
		len--;
	return (struct slice){p, len};
}

/* Where a quoted string that begins at `p` ends: its closing quote, or the end of the text. */
static const char *quoted_end(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return p;
}

bool sip_list_next(const char **p, char separator, struct slice *item)
{
	const char *start = *p, *at = start;
	bool angle = false;

	if (!start)
		return false;
	for (; *at && (angle || *at != separator); at++) {
		if (*at == '"') {
			at = quoted_end(at);
			if (!*at)
				break;
		} else if (*at == '<' || *at == '>') {
			angle = *at == '<';
		}
	}
	*item = trim(start, (size_t)(at - start));
	*p = *at ? at + 1 : NULL;
	return true;
}

struct slice sip_addr_spec(const char *value)
{
	const char *p = value, *end;

	while (is_blank(*p))
		p++;
	end = p;
	if (*p == '"') {
		p = quoted_end(p);
		end = p + (*p == '"');
	}
	p = strchr(end, '<');
	if (p) {
		end = strchr(p, '>');
		return end ? trim(p + 1, (size_t)(end - p - 1)) : (struct slice){0};
	}
	return *end == '\0' ? (struct slice){0} : trim(end, strcspn(end, ";,"));
}

struct slice sip_addr_param(const char *value, const char *name)
{
	size_t len = strlen(name);
	struct slice item, key;

	sip_list_next(&value, ';', &item);
	while (sip_list_next(&value, ';', &item)) {
		const char *equals = memchr(item.p, '=', item.len);

		key = trim(item.p, equals ? (size_t)(equals - item.p) : item.len);
		if (key.len == len && strncasecmp(key.p, name, len) == 0)
			return equals ? trim(equals + 1, (size_t)(item.p + item.len - equals - 1))
				      : (struct slice){item.p + item.len, 0};
	}
	return (struct slice){0};
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octet that `%XX` at `p` stands for; -1: none, or one that no text of ours may hold. */
static int unescaped(const char *p, size_t left)
{
	int high, low, octet;

	if (left < 3 || *p != '%')
		return -1;
	high = hex_value(p[1]);
	low = hex_value(p[2]);
	if (high < 0 || low < 0)
		return -1;
	octet = high << 4 | low;
	return octet < 0x20 || octet == 0x7f ? -1 : octet;
}

void sip_uri_user(char *out, const char *uri)
{
	const char *p = strchr(uri, ':'), *at;
	bool is_tel = strncasecmp(uri, "tel:", 4) == 0;
	size_t len;
	int octet;

	*out = '\0';
	if (!p)
		return;
	p++;
	at = strchr(p, '@');
	if (!at && !is_tel)
		return;
	/* Parameters may follow the user (RFC 3261 19.1.6), or a password. */
	len = strcspn(p, is_tel ? ";" : ":;@");
	for (size_t i = 0; i < len; i++) {
		octet = unescaped(p + i, len - i);
		if (octet >= 0)
			i += 2;
		*out++ = octet >= 0 ? (char)octet : p[i];
	}
	*out = '\0';
}

static int host_addr(struct addr *out, const char *host, const char *port, uint32_t usual)
{
	uint32_t number = usual;
	struct addr a;

	if (port && (!sip_number(port, 65535, &number) || !number))
		return -EINVAL;
	if (addr_parse(&a, host) == 0)
		*out = addr_with_port(&a, (uint16_t)number);
	return 0;
}

static void read_params(struct sip_uri *out, osip_uri_t *uri)
{
	osip_uri_param_t *lr = NULL, *transport = NULL;
	int t = CONF_UDP;

	out->loose = osip_uri_uparam_get_byname(uri, "lr", &lr) == 0;
	if (osip_uri_uparam_get_byname(uri, "transport", &transport) || !transport->gvalue)
		return;
	out->transport_written = true;
	while (t < CONF_TRANSPORTS &&
	       strcasecmp(transport->gvalue, conf_transport_name((enum conf_transport)t)))
		t++;
	out->transport = (enum conf_transport)t;
}

/* Length of the scheme (RFC 3986 3.1) that a URI begins with; 0: it is none. */
static size_t scheme_len(const char *text)
{
	size_t len = 0;

	while (is_alnum(text[len]) || (len && text[len] && strchr("+-.", text[len])))
		len++;
	return text[len] == ':' ? len : 0;
}

/* libosip2 takes an IPv6 address without brackets for a host and a port. */
static bool is_bare_ipv6(const osip_uri_t *uri, const char *text)
{
	return strchr(uri->host, ':') && !strchr(text, '[');
}

int sip_uri_parse(struct sip_uri *out, const char *text)
{
	struct slice scheme = {text, scheme_len(text)};
	osip_uri_t *uri;
	int err = -EINVAL;

	*out = (struct sip_uri){.sip = slice_is(scheme, "sip"), .sips = slice_is(scheme, "sips")};
	if (!out->sip && !out->sips)
		return scheme.len ? 0 : -EINVAL;
	if (osip_uri_init(&uri))
		return -EINVAL;
	if (osip_uri_parse(uri, text) || !uri->scheme)
		goto out;
	if (out->sip)
		read_params(out, uri);
	if (uri->host && *uri->host && !is_bare_ipv6(uri, text))
		err = host_addr(&out->addr, uri->host, uri->port,
				out->sips || out->transport == CONF_TLS ? 5061 : 5060);
	out->headers = osip_list_size(&uri->url_headers) > 0;
out:
	osip_uri_free(uri);
	return err;
}

void sip_add_user(struct buf *b, const char *user)
{
	char escape[4] = "%";

	for (size_t n = 0; *user && n < PLAIN_MAX; user++, n++) {
		if (is_alnum(*user) || strchr("-_.!~*'()&=+$,;?/", *user)) {
			buf_add(b, user, 1);
			continue;
		}
		escape[1] = "0123456789ABCDEF"[(unsigned char)*user >> 4];
		escape[2] = "0123456789ABCDEF"[(unsigned char)*user & 15];
		buf_add(b, escape, 3);
	}
}

/* How much of a text is taken: no UTF-8 character is cut in two. */
static size_t bounded(const char *text)
{
	size_t len = strnlen(text, PLAIN_MAX + 1);

	if (len <= PLAIN_MAX)
		return len;
	len = PLAIN_MAX;
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void add_safe(struct buf *b, const char *text, bool quoted)
{
	size_t len = bounded(text);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (quoted && (c == '"' || c == '\\'))
			buf_add(b, "\\", 1);
		buf_add(b, c < 0x20 || c == 0x7f ? " " : text + i, 1);
	}
}

void sip_add_quoted(struct buf *b, const char *text)
{
	buf_add(b, "\"", 1);
	add_safe(b, text, true);
	buf_add(b, "\"", 1);
}

void sip_add_plain(struct buf *b, const char *text)
{
	add_safe(b, text, false);
}
