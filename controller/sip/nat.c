// SPDX-License-Identifier: GPL-2.0-or-later
/* Does a far end know by which address it is seen? A NAT writes into packets, not into messages. */
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <stdlib.h>

/* The first Via is the sender's own only where no proxy is in between, and it is no name. The port
 * is as telling over UDP alone: a connection comes from any. */
static bool via_differs(const struct sip_msg *m)
{
	struct addr sent_by;
	uint32_t port = 5060;

	if (m->n_vias != 1 || m->first[SIP_H_RECORD_ROUTE] || !m->via || !m->via->host ||
	    addr_parse(&sent_by, m->via->host))
		return false;
	if (m->via->port)
		sip_number(m->via->port, 65535, &port);
	return !addr_same_ip(&sent_by, &m->source) ||
	       (m->bind->transport == CONF_UDP && port != m->source.port);
}

static bool contact_is_private(const struct sip_msg *m)
{
	char *contact = sip_contact_uri(m);
	struct sip_uri uri;
	bool private = contact && sip_uri_parse(&uri, contact) == 0 && addr_is_private(&uri.addr);

	free(contact);
	return private;
}

bool sip_msg_natted(const struct sip_msg *m)
{
	if (m->request && via_differs(m))
		return true;
	return contact_is_private(m) && !addr_is_private(&m->source);
}
