// SPDX-License-Identifier: GPL-2.0-or-later
/* Session timers (RFC 4028), as Asterisk's sip.conf says them. */
#include "conf/keys.h"

#include <strings.h>

CONF_SETTER(conf_set_timers)
{
	struct conf_peer *peer = object;

	(void)key;
	if (strcasecmp(e->value, "accept") == 0)
		peer->session.timers = SESSION_ACCEPT;
	else if (strcasecmp(e->value, "originate") == 0)
		peer->session.timers = SESSION_ORIGINATE;
	else if (strcasecmp(e->value, "refuse") == 0)
		peer->session.timers = SESSION_REFUSE;
	else
		return conf_bad_value(l, e, "accept, originate or refuse");
	return 0;
}

CONF_SETTER(conf_set_refresher)
{
	struct conf_peer *peer = object;

	(void)key;
	if (strcasecmp(e->value, "uac") != 0 && strcasecmp(e->value, "uas") != 0)
		return conf_bad_value(l, e, "uac or uas");
	peer->session.by_caller = strcasecmp(e->value, "uac") == 0;
	return 0;
}

int conf_session_check(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_peer *peer = s->object;
	const struct conf_session *session = &peer->session;

	if (session->min_s <= session->expires_s)
		return 0;
	return conf_fault(l, conf_section_place(s, "session-minse"),
			  "peer '%s': session-minse = %u is longer than session-expires = %u",
			  s->name, session->min_s, session->expires_s);
}
