// SPDX-License-Identifier: GPL-2.0-or-later
/* What decides about direct media beside canreinvite: joined realms, and devices that break. */
#include "conf/keys.h"
#include "conf/value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_QUIRKS = 64, MAX_PATTERN = 128 };

/* That the realms exist is seen when all of them are read: conf_direct_check(). */
CONF_SETTER(conf_set_direct)
{
	struct conf_realm *realm = object;
	struct conf_list list;
	int rc;

	(void)key;
	realm->direct = conf_value_array(l, e, &list, sizeof(*realm->direct), &rc);
	if (!realm->direct)
		return rc;
	realm->n_direct = list.n;
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = conf_value_keep(l, list.items[i], &realm->direct[i]);
	return rc;
}

int conf_direct_check(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_realm *realm = s->object;
	const struct conf_section *other;

	for (size_t i = 0; i < realm->n_direct; i++) {
		HASH_FIND(hh_scope, l->realms, realm->direct[i], strlen(realm->direct[i]), other);
		if (!other)
			return conf_fault(l, conf_section_place(s, "direct"),
					  "direct = '%.60s': there is no section of that name with "
					  "type = realm",
					  realm->direct[i]);
	}
	return 0;
}

/* PATTERN: no-reinvite. The name of a device may have colons itself. */
CONF_SETTER(conf_set_quirk)
{
	struct conf_peer *peer = object;
	const char *colon = strrchr(e->value, ':');
	const char *quirk = colon ? colon + 1 + strspn(colon + 1, " \t") : "";
	size_t len = colon ? (size_t)(colon - e->value) : 0;
	struct conf_quirk *q;

	(void)key;
	while (len && isspace((unsigned char)e->value[len - 1]))
		len--;
	if (!len || len > MAX_PATTERN || strcasecmp(quirk, "no-reinvite") != 0)
		return conf_bad_value(l, e, "PATTERN: no-reinvite, where PATTERN is the device's "
					    "User-Agent with * for any text, such as "
					    "Cisco ATA 186*: no-reinvite");
	if (peer->quirks && peer->quirks->n == MAX_QUIRKS)
		return conf_fault(l, &e->at, "more than %d quirks", MAX_QUIRKS);
	q = arena_alloc(l->keep, sizeof(*q));
	if (!q)
		return conf_no_memory(l);
	q->before = peer->quirks;
	q->n = peer->quirks ? peer->quirks->n + 1 : 1;
	q->pattern = arena_copy(l->keep, e->value, len);
	peer->quirks = q;
	return q->pattern ? 0 : conf_no_memory(l);
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* `*` is any text. Only the last one is ever tried again, so that no pattern costs more than its
 * length times the text's. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *from = text;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (same_letter(*pattern, *text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

bool conf_peer_has_quirk(const struct conf_peer *peer, const char *user_agent)
{
	for (const struct conf_quirk *q = peer->quirks; q; q = q->before)
		if (matches(q->pattern, user_agent))
			return true;
	return false;
}
