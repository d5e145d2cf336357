// SPDX-License-Identifier: GPL-2.0-or-later
/* Encrypted media: whether, and over what its keys may pass. */
#include "conf/keys.h"
#include "conf/value.h"

#include <strings.h>

/* Asterisk's yes means what is said here by sdes. */
CONF_SETTER(conf_set_encryption)
{
	struct conf_peer *peer = object;
	bool yes;

	(void)key;
	if (strcasecmp(e->value, "sdes") == 0)
		peer->encryption = ENCRYPTION_SDES;
	else if (strcasecmp(e->value, "optional") == 0)
		peer->encryption = ENCRYPTION_OPTIONAL;
	else if (conf_value_bool(e->value, &yes))
		peer->encryption = yes ? ENCRYPTION_SDES : ENCRYPTION_NO;
	else
		return conf_bad_value(l, e, "no, sdes or optional");
	return 0;
}

CONF_SETTER(conf_set_encryption_over)
{
	struct conf_peer *peer = object;

	(void)key;
	if (strcasecmp(e->value, "tls") != 0 && strcasecmp(e->value, "any") != 0)
		return conf_bad_value(l, e, "tls or any");
	peer->keys_over_any = strcasecmp(e->value, "any") == 0;
	return 0;
}

/* Every call of such a peer would be refused. */
int conf_encryption_check(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_peer *peer = s->object;

	if (peer->encryption != ENCRYPTION_SDES || peer->keys_over_any)
		return 0;
	if (!conf_transport_allowed(peer, CONF_TLS))
		return conf_fault(l, conf_section_place(s, "transport"),
				  "peer '%s': encryption = sdes, but its keys may pass over TLS "
				  "only, which it does not speak: 'transport = tls', or "
				  "'encryption_over = any'",
				  s->name);
	if (peer->realm && !conf_transport_binds(peer->realm, CONF_TLS))
		return conf_fault(l, conf_section_place(s, "encryption"),
				  "peer '%s': encryption = sdes, but its keys may pass over TLS "
				  "only, which realm '%s' does not bind: 'bind = tls:ADDRESS', or "
				  "'encryption_over = any'",
				  s->name, peer->realm->name);
	return 0;
}
