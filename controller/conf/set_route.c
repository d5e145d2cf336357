// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/keys.h"
#include "conf/value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_NUMBER = 64, MAX_TARGETS = 64 };

CONF_SETTER(conf_set_from)
{
	struct conf_route *route = object;
	const struct conf_section *realm, *peer;

	(void)key;
	HASH_FIND(hh_scope, l->realms, e->value, strlen(e->value), realm);
	HASH_FIND(hh_scope, l->peers, e->value, strlen(e->value), peer);
	if (realm && peer)
		return conf_fault(l, &e->at,
				  "from = '%s' is both a realm (%s:%d) and a peer (%s:%d): "
				  "give one of them another name",
				  e->value, realm->at.file, realm->at.line, peer->at.file,
				  peer->at.line);
	if (!realm && !peer)
		return conf_fault(l, &e->at,
				  "from = '%.60s': there is no realm and no peer of that name",
				  e->value);
	route->from_realm = realm ? realm->object : NULL;
	route->from_peer = peer ? peer->object : NULL;
	return 0;
}

static bool is_dialable(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("+*#-_.", *text))
			return false;
	return true;
}

/* NULL, or what is wrong with a pattern (what follows its `_`). */
static const char *pattern_fault(const char *p)
{
	if (!*p)
		return "a pattern needs something after '_'";
	for (; *p; p++) {
		if ((*p == '.' || *p == '!') && p[1])
			return "nothing may follow '.' or '!'";
		if (*p == '[') {
			size_t len = strcspn(++p, "]");

			if (!p[len])
				return "'[' without ']'";
			if (!len)
				return "'[]' matches nothing";
			p += len;
		} else if (!isalnum((unsigned char)*p) && !strchr("+*#-_.!", *p)) {
			return "allowed are X, Z, N, [1-5], '.', '!', letters, digits and + * # -";
		}
	}
	return NULL;
}

CONF_SETTER(conf_set_match)
{
	struct conf_route *route = object;
	const char *wrong = NULL;

	(void)key;
	if (strlen(e->value) > MAX_NUMBER)
		return conf_fault(l, &e->at, "match is longer than %d characters", MAX_NUMBER);
	if (e->value[0] == '_')
		wrong = pattern_fault(e->value + 1);
	else if (!e->value[0] || !is_dialable(e->value))
		wrong = "allowed is a pattern that begins with '_', or a number or its beginning";
	if (wrong)
		return conf_fault(l, &e->at, "match = '%s': %s", e->value, wrong);
	return conf_value_keep(l, e->value, &route->match);
}

static int find_target(struct conf_loader *l, const struct conf_entry *e, const char *name,
		       const struct conf_peer **out)
{
	const struct conf_section *s;

	HASH_FIND(hh_scope, l->peers, name, strlen(name), s);
	if (!s && strcasecmp(name, "registered") != 0)
		return conf_fault(l, &e->at,
				  "to = '%.60s': there is no peer of that name (`registered` is "
				  "whichever phone the called user has)",
				  name);
	*out = s ? s->object : NULL;
	return 0;
}

CONF_SETTER(conf_set_to)
{
	struct conf_route *route = object;
	struct conf_list list;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	if (rc)
		return rc;
	if (list.n > MAX_TARGETS)
		return conf_bad_value(l, e, "a list of up to 64 peers");
	route->to = arena_alloc(l->keep, list.n * sizeof(*route->to));
	if (!route->to)
		return conf_no_memory(l);
	route->n_to = list.n;
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = find_target(l, e, list.items[i], &route->to[i]);
	return rc;
}

CONF_SETTER(conf_set_prepend)
{
	struct conf_route *route = object;

	(void)key;
	if (strlen(e->value) > MAX_NUMBER || !is_dialable(e->value))
		return conf_bad_value(l, e, "up to 64 letters, digits and + * # - _ .");
	return conf_value_keep(l, e->value, &route->prepend);
}
