// SPDX-License-Identifier: GPL-2.0-or-later
/* How SIP is spoken: the transports of binds and peers, and the files that TLS needs. */
#include "conf/keys.h"
#include "conf/value.h"

#include <string.h>
#include <strings.h>

enum { SIP_PORT = 5060, SIPS_PORT = 5061 };

static const char *const names[CONF_TRANSPORTS] = {
	[CONF_UDP] = "udp",
	[CONF_TCP] = "tcp",
	[CONF_TLS] = "tls",
};

const char *conf_transport_name(enum conf_transport transport)
{
	return names[transport];
}

uint16_t conf_transport_port(enum conf_transport transport)
{
	return transport == CONF_TLS ? SIPS_PORT : SIP_PORT;
}

/* CONF_TRANSPORTS: it is none. */
static enum conf_transport by_name(const char *text, size_t len)
{
	enum conf_transport t;

	for (t = 0; t < CONF_TRANSPORTS; t++)
		if (strlen(names[t]) == len && strncasecmp(names[t], text, len) == 0)
			break;
	return t;
}

int conf_transport_parse_bind(struct conf_loader *l, const struct conf_entry *e, const char *text,
			      struct conf_bind *out)
{
	size_t word = strcspn(text, ":");

	out->transport = by_name(text, word);
	if (out->transport == CONF_TRANSPORTS || text[word] != ':' ||
	    addr_parse(&out->addr, text + word + 1))
		return conf_fault(l, &e->at,
				  "bind '%.80s': allowed is udp:ADDRESS[:PORT], "
				  "tcp:ADDRESS[:PORT] or tls:ADDRESS[:PORT]",
				  text);
	if (!conf_value_host_address(&out->addr))
		return conf_fault(l, &e->at,
				  "bind '%.80s': an address of this node is needed, since "
				  "it is what the other side is told",
				  text);
	if (!out->addr.port)
		out->addr.port = conf_transport_port(out->transport);
	return 0;
}

static bool lists(const struct conf_peer *peer, enum conf_transport transport)
{
	for (size_t i = 0; i < peer->n_transports; i++)
		if (peer->transports[i] == transport)
			return true;
	return false;
}

/* Asterisk's key. */
CONF_SETTER(conf_set_transport)
{
	struct conf_peer *peer = object;
	struct conf_list list;
	enum conf_transport t;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	peer->n_transports = 0;
	for (size_t i = 0; !rc && i < list.n; i++) {
		t = by_name(list.items[i], strlen(list.items[i]));
		if (t == CONF_TRANSPORTS)
			return conf_bad_value(l, e, "a list of udp, tcp, tls");
		if (!lists(peer, t))
			peer->transports[peer->n_transports++] = t;
	}
	return rc;
}

/* AF_UNSPEC: by any family, for a host whose addresses are not known before it is looked up. */
static bool binds(const struct conf_realm *realm, enum conf_transport transport, sa_family_t family)
{
	for (size_t i = 0; i < realm->n_binds; i++)
		if (realm->binds[i].transport == transport &&
		    (family == AF_UNSPEC || realm->binds[i].addr.family == family))
			return true;
	return false;
}

bool conf_transport_binds(const struct conf_realm *realm, enum conf_transport transport)
{
	return binds(realm, transport, AF_UNSPEC);
}

bool conf_transport_allowed(const struct conf_peer *peer, enum conf_transport transport)
{
	return !peer->n_transports || lists(peer, transport);
}

bool conf_transport_fits(const struct conf_peer *peer, const struct conf_realm *realm)
{
	for (size_t i = 0; i < peer->n_transports; i++)
		if (binds(realm, peer->transports[i], peer->host.family))
			return true;
	return !peer->n_transports;
}

enum conf_transport conf_transport_to(const struct conf_peer *peer, const struct conf_realm *realm)
{
	sa_family_t family = peer->host.family;
	enum conf_transport t;

	for (size_t i = 0; i < peer->n_transports; i++)
		if (binds(realm, peer->transports[i], family))
			return peer->transports[i];
	for (t = 0; t < CONF_TRANSPORTS; t++)
		if (binds(realm, t, family))
			return t;
	return CONF_UDP;
}

bool conf_transport_grows(const struct conf_peer *peer, const struct conf_realm *realm)
{
	return lists(peer, CONF_TCP) && binds(realm, CONF_TCP, peer->host.family) &&
	       conf_transport_to(peer, realm) == CONF_UDP;
}

int conf_transport_check_realm(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_realm *realm = s->object;

	if (conf_transport_binds(realm, CONF_TLS) && !realm->tls_cert)
		return conf_fault(l, conf_section_place(s, "bind"),
				  "realm '%s' binds tls: 'tlscertfile = FILE' is missing", s->name);
	if (realm->tls_verify && !realm->tls_ca)
		return conf_fault(
			l, conf_section_place(s, "tlsverify"),
			"tlsverify = yes: 'tlscafile = FILE' says whose signature counts");
	return 0;
}

int conf_transport_check_peer(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_peer *peer = s->object;

	if (!peer->realm || peer->dynamic || conf_transport_fits(peer, peer->realm))
		return 0;
	return conf_fault(l, conf_section_place(s, "transport"),
			  "peer '%s' speaks %s%s, but realm '%s' binds none of it", s->name,
			  conf_transport_name(peer->transports[0]),
			  peer->n_transports > 1 ? " and others" : "", peer->realm->name);
}
