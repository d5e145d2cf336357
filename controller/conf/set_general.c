// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/keys.h"
#include "conf/value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void *member(const struct conf_key *key, void *object)
{
	return (char *)object + key->offset;
}

/* `type` of a realm or a route: it was read to know which of them the section is. */
CONF_SETTER(conf_set_nothing)
{
	(void)l;
	(void)key;
	(void)e;
	(void)object;
	return 0;
}

CONF_SETTER(conf_set_number)
{
	char allowed[48];

	if (conf_value_number(e->value, key->lo, key->hi, member(key, object)))
		return 0;
	snprintf(allowed, sizeof(allowed), "a number from %u to %u", key->lo, key->hi);
	return conf_bad_value(l, e, allowed);
}

/* "1000-2000" or "1000", in milliseconds. */
CONF_SETTER(conf_set_span)
{
	struct conf_span *span = member(key, object);
	const char *dash = strchr(e->value, '-');
	size_t len = dash ? (size_t)(dash - e->value) : strlen(e->value);
	char first[12] = "", allowed[64];

	if (len < sizeof(first))
		memcpy(first, e->value, len);
	if (conf_value_number(first, key->lo, key->hi, &span->lo_ms) &&
	    conf_value_number(dash ? dash + 1 : first, span->lo_ms, key->hi, &span->hi_ms))
		return 0;
	snprintf(allowed, sizeof(allowed), "LOW-HIGH or one number, within %u-%u", key->lo,
		 key->hi);
	return conf_bad_value(l, e, allowed);
}

CONF_SETTER(conf_set_bool)
{
	return conf_value_bool(e->value, member(key, object)) ? 0
							      : conf_bad_value(l, e, "yes or no");
}

/* Text of SIP's: quoted strings and user names hold no control characters. Empty is as good as not
 * written. */
CONF_SETTER(conf_set_text)
{
	if (strlen(e->value) > key->hi)
		return conf_fault(l, &e->at, "%s: allowed is a text of up to %u bytes", e->key,
				  key->hi);
	for (const char *p = e->value; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return conf_fault(l, &e->at, "%s: a control character", e->key);
	if (*e->value)
		return conf_value_keep(l, e->value, member(key, object));
	*(const char **)member(key, object) = NULL;
	return 0;
}

CONF_SETTER(conf_set_path)
{
	if (e->value[0] != '/' || !e->value[1])
		return conf_bad_value(l, e, "a path that begins with '/'");
	if (strlen(e->value) > key->hi)
		return conf_fault(l, &e->at, "%s: the path is longer than %u bytes", e->key,
				  key->hi);
	return conf_value_keep(l, e->value, member(key, object));
}

CONF_SETTER(conf_set_path_or_off)
{
	if (conf_value_off(e->value)) {
		*(const char **)member(key, object) = NULL;
		return 0;
	}
	if (e->value[0] != '/')
		return conf_bad_value(l, e, "a path that begins with '/', or off");
	return conf_set_path(l, key, e, object);
}

CONF_SETTER(conf_set_dns)
{
	struct conf *conf = object;
	struct conf_list list;
	struct addr a;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	for (size_t i = 0; !rc && i < list.n; i++)
		if (addr_parse(&a, list.items[i]) || !conf_value_host_address(&a))
			return conf_bad_value(l, e, "a list of ADDRESS[:PORT]");
	return rc ? rc : conf_value_keep(l, e->value, &conf->dns);
}

CONF_SETTER(conf_set_metrics)
{
	struct conf *conf = object;
	struct addr a;

	(void)key;
	if (conf_value_off(e->value)) {
		conf->metrics = (struct addr){ 0 };
		return 0;
	}
	if (addr_parse(&a, e->value) || !a.port)
		return conf_bad_value(l, e, "ADDRESS:PORT such as 127.0.0.1:9768, or off");
	conf->metrics = a;
	return 0;
}

const char *conf_guard_text(enum conf_guard guard)
{
	static const char *const texts[] = { "auto", "on", "off" };

	return texts[guard];
}

CONF_SETTER(conf_set_guard)
{
	struct conf *conf = object;
	bool on;

	(void)key;
	if (strcasecmp(e->value, "auto") == 0)
		conf->guard = GUARD_AUTO;
	else if (conf_value_bool(e->value, &on))
		conf->guard = on ? GUARD_ON : GUARD_OFF;
	else
		return conf_bad_value(l, e, "auto, on or off");
	return 0;
}

CONF_SETTER(conf_set_off_only)
{
	(void)key;
	(void)object;
	if (conf_value_off(e->value))
		return 0;
	return conf_fault(l, &e->at,
			  "%s = '%.60s' is not supported by this version: allowed is off", e->key,
			  e->value);
}

CONF_SETTER(conf_set_refused)
{
	(void)key;
	(void)object;
	return conf_fault(l, &e->at, "%s is not supported by this version: leave it out", e->key);
}
