// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/keys.h"
#include "conf/value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Which section this is was decided before; a peer remembers how it was written. */
CONF_SETTER(conf_set_type)
{
	static const char *const types[] = { "peer", "friend", "user" };
	struct conf_peer *peer = object;

	(void)l;
	(void)key;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(e->value, types[i]) == 0)
			peer->type = types[i];
	return 0;
}

CONF_SETTER(conf_set_realm)
{
	struct conf_peer *peer = object;
	const struct conf_section *s;

	(void)key;
	HASH_FIND(hh_scope, l->realms, e->value, strlen(e->value), s);
	if (!s)
		return conf_fault(l, &e->at,
				  "realm = '%.60s': there is no section of that name with "
				  "type = realm",
				  e->value);
	peer->realm = s->object;
	return 0;
}

/* A host's name (RFC 1123 2.1): labels of letters, digits and hyphens (and the underscores that the
 * DNS has), the last of them no number, or it would be an address that was mistyped. */
static bool is_host_name(const char *text, size_t len)
{
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t at = 0, label = 0, last = 0;

	for (; at < len; at += label + 1) {
		label = strspn(text + at, allowed);
		if (label == 0 || label > 63 || text[at] == '-')
			return false;
		if (at + label < len && text[at + label] != '.')
			return false;
		last = at;
	}
	return len > 0 && len <= 253 && strspn(text + last, "0123456789") != label;
}

/* NAME[:PORT] */
static int set_name(struct conf_loader *l, const struct conf_entry *e, struct conf_peer *peer)
{
	size_t len = strcspn(e->value, ":");
	unsigned int port = 0;
	char name[256];

	if (!is_host_name(e->value, len) ||
	    (e->value[len] && !conf_value_number(e->value + len + 1, 1, 65535, &port)))
		return conf_fault(l, &e->at,
				  "host = '%.60s': allowed is ADDRESS[:PORT], IPv4 or IPv6, "
				  "NAME[:PORT], or dynamic",
				  e->value);
	snprintf(name, sizeof(name), "%.*s", (int)len, e->value);
	peer->host = (struct addr){ .port = (uint16_t)port };
	peer->port_written = port != 0;
	return conf_value_keep(l, name, &peer->host_name);
}

CONF_SETTER(conf_set_host)
{
	struct conf_peer *peer = object;
	struct addr a;

	(void)key;
	peer->host_name = NULL;
	peer->dynamic = strcasecmp(e->value, "dynamic") == 0;
	if (peer->dynamic) {
		peer->host = (struct addr){ 0 };
		peer->port_written = false;
		return 0;
	}
	if (addr_parse(&a, e->value))
		return set_name(l, e, peer);
	if (!conf_value_host_address(&a))
		return conf_bad_value(l, e, "the address of a host");
	peer->port_written = a.port != 0;
	peer->host = a;
	return 0;
}

/* Asterisk's key; taken up when the section is whole, since `host` may come after it. */
CONF_SETTER(conf_set_port)
{
	unsigned int port;

	(void)object;
	if (!conf_value_number(e->value, key->lo, key->hi, &port))
		return conf_bad_value(l, e, "a port from 1 to 65535");
	return 0;
}

static unsigned int canreinvite_bit(const char *word)
{
	bool yes;

	if (strcasecmp(word, "nonat") == 0)
		return CANREINVITE_NONAT;
	if (strcasecmp(word, "update") == 0)
		return CANREINVITE_UPDATE;
	if (strcasecmp(word, "outgoing") == 0)
		return CANREINVITE_OUTGOING;
	return conf_value_bool(word, &yes) && yes ? CANREINVITE_YES : 0;
}

CONF_SETTER(conf_set_canreinvite)
{
	struct conf_peer *peer = object;
	struct conf_list list;
	unsigned int bits = 0, bit;
	bool yes;
	int rc;

	(void)key;
	if (conf_value_bool(e->value, &yes)) {
		peer->canreinvite = yes ? CANREINVITE_YES : 0;
		return 0;
	}
	rc = conf_value_list(l, e, &list);
	for (size_t i = 0; !rc && i < list.n; i++) {
		bit = canreinvite_bit(list.items[i]);
		if (!(bit & ~CANREINVITE_YES))
			return conf_bad_value(l, e,
					      "yes, no, or a list of nonat, update, outgoing");
		bits |= bit;
	}
	if (!rc)
		peer->canreinvite = bits;
	return rc;
}

CONF_SETTER(conf_set_nat)
{
	struct conf_peer *peer = object;
	struct conf_list list;
	unsigned int bits = 0;
	bool yes;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	for (size_t i = 0; !rc && i < list.n; i++) {
		const char *word = list.items[i];
		bool is_bool = conf_value_bool(word, &yes);

		if (strcasecmp(word, "force_rport") == 0)
			bits |= NAT_FORCE_RPORT;
		else if (strcasecmp(word, "comedia") == 0)
			bits |= NAT_COMEDIA;
		else if (is_bool && yes)
			bits |= NAT_FORCE_RPORT | NAT_COMEDIA;
		else if ((!is_bool && strcasecmp(word, "never") != 0) || list.n > 1)
			return conf_bad_value(l, e, "no, yes, force_rport, comedia, or a list");
	}
	if (!rc)
		peer->nat = bits;
	return rc;
}

static void set_identity(struct conf_peer *peer, unsigned int bit, bool passes)
{
	peer->identity = passes ? peer->identity & ~bit : peer->identity | bit;
}

CONF_SETTER(conf_set_trustrpid)
{
	bool yes;

	(void)key;
	if (!conf_value_bool(e->value, &yes))
		return conf_bad_value(l, e, "yes or no");
	set_identity(object, IDENTITY_DISTRUST, yes);
	return 0;
}

/* Asterisk's words for which header it makes; here they pass as they come. */
CONF_SETTER(conf_set_sendrpid)
{
	bool yes = true;

	(void)key;
	if (strcasecmp(e->value, "pai") != 0 && strcasecmp(e->value, "rpid") != 0 &&
	    !conf_value_bool(e->value, &yes))
		return conf_bad_value(l, e, "yes, no, pai or rpid");
	set_identity(object, IDENTITY_WITHHOLD, yes);
	return 0;
}

CONF_SETTER(conf_set_dtmfmode)
{
	struct conf_peer *peer = object;

	(void)key;
	if (strcasecmp(e->value, "rfc2833") == 0)
		peer->dtmf = DTMF_RFC2833;
	else if (strcasecmp(e->value, "info") == 0)
		peer->dtmf = DTMF_INFO;
	else if (strcasecmp(e->value, "inband") == 0)
		peer->dtmf = DTMF_INBAND;
	else if (strcasecmp(e->value, "auto") == 0)
		peer->dtmf = DTMF_AUTO;
	else
		return conf_bad_value(l, e, "rfc2833, info, inband or auto");
	return 0;
}

static size_t room_for(size_t n)
{
	size_t room = 1;

	while (room < n)
		room *= 2;
	return room;
}

/* The room doubles whenever the count reaches a power of two. What [general] said of every peer is
 * not written to by one of them. */
static int acl_add(struct conf_loader *l, struct conf_acl *acl, const struct conf_acl_rule *rule)
{
	const struct conf_acl *common = &l->defaults.direct_acl;
	bool shared = acl != common && acl->n && acl->rules == common->rules;
	struct conf_acl_rule *more;

	if (shared || (acl->n & (acl->n - 1)) == 0) {
		more = arena_alloc(l->keep, room_for(acl->n + 1) * sizeof(*more));
		if (!more)
			return conf_no_memory(l);
		if (acl->n)
			memcpy(more, acl->rules, acl->n * sizeof(*more));
		acl->rules = more;
	}
	acl->rules[acl->n++] = *rule;
	return 0;
}

/* Like Asterisk, a `!` before an address turns permit into deny and back. */
CONF_SETTER(conf_set_acl)
{
	struct conf_acl *acl = (struct conf_acl *)((char *)object + key->offset);
	bool permit = strstr(key->name, "permit") != NULL;
	struct conf_list list;
	int rc = conf_value_list(l, e, &list);

	for (size_t i = 0; !rc && i < list.n; i++) {
		bool inverted = list.items[i][0] == '!';
		struct conf_acl_rule rule = { .permit = permit != inverted };

		if (addr_prefix_parse(&rule.prefix, list.items[i] + inverted))
			return conf_fault(l, &e->at,
					  "%s '%.60s': allowed is ADDRESS, ADDRESS/BITS or "
					  "ADDRESS/NETMASK",
					  e->key, list.items[i]);
		rc = acl_add(l, acl, &rule);
	}
	return rc;
}
