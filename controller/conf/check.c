// SPDX-License-Identifier: GPL-2.0-or-later
/* What no single key can tell: what a section must have, and what must not meet. */
#include "conf/keys.h"

#include <string.h>
#include <strings.h>

const struct conf_entry *conf_section_entry(const struct conf_section *s, const char *key)
{
	for (size_t i = s->n_entries; i-- > 0;)
		if (strcasecmp(s->entries[i]->key, key) == 0)
			return s->entries[i];
	return NULL;
}

const struct conf_place *conf_section_place(const struct conf_section *s, const char *key)
{
	const struct conf_entry *e = conf_section_entry(s, key);

	return e ? &e->at : &s->at;
}

static const struct conf_realm *as_realm(const struct conf_section *s)
{
	return s->object;
}

static int check_complete(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_realm *realm = as_realm(s);

	if (!realm->n_interfaces)
		return conf_fault(l, &s->at,
				  "realm '%s' has no interface: 'interface = NAME' says "
				  "where XDP attaches",
				  s->name);
	if (!realm->n_binds)
		return conf_fault(l, &s->at,
				  "realm '%s' has no bind: 'bind = udp:ADDRESS:PORT' says "
				  "where SIP is spoken",
				  s->name);
	if (!realm->n_media)
		return conf_fault(l, &s->at,
				  "realm '%s' has no media: 'media = ADDRESS' says which "
				  "addresses relay",
				  s->name);
	if (realm->xdp == XDP_OFF && realm->vlan)
		return conf_fault(l, &s->at,
				  "realm '%s': vlan needs XDP on the interface that carries the "
				  "VLANs: with xdp = off, 'interface' names the VLAN's own and "
				  "vlan is none",
				  s->name);
	return 0;
}

static bool ranges_meet(const struct conf_realm *a, const struct conf_realm *b)
{
	return a->port_lo <= b->port_hi && b->port_lo <= a->port_hi;
}

/* Every port of a relay address belongs to one realm: `s` against `before` or against itself. */
static int check_media(struct conf_loader *l, const struct conf_section *s,
		       const struct conf_section *before)
{
	const struct conf_realm *a = as_realm(s), *b = as_realm(before);
	char text[ADDR_TEXT];

	for (size_t i = 0; i < a->n_media; i++) {
		size_t n = a == b ? i : b->n_media;

		for (size_t j = 0; j < n; j++) {
			if (!addr_same_ip(&a->media[i], &b->media[j]) || !ranges_meet(a, b))
				continue;
			addr_print(text, &a->media[i]);
			if (a == b)
				return conf_fault(l, conf_section_place(s, "media"),
						  "media address %s is named twice", text);
			return conf_fault(l, conf_section_place(s, "ports"),
					  "ports %u-%u of %s overlap "
					  "ports %u-%u of realm '%s' (%s:%d) on the same address",
					  a->port_lo, a->port_hi, text, b->port_lo, b->port_hi,
					  before->name, before->at.file, before->at.line);
		}
	}
	return 0;
}

/* TLS is TCP to the kernel. */
static bool same_socket(const struct conf_bind *a, const struct conf_bind *b)
{
	return addr_equal(&a->addr, &b->addr) &&
	       (a->transport == CONF_UDP) == (b->transport == CONF_UDP);
}

static int check_bind(struct conf_loader *l, const struct conf_section *s,
		      const struct conf_section *before)
{
	const struct conf_realm *a = as_realm(s), *b = as_realm(before);
	char text[ADDR_TEXT];

	for (size_t i = 0; i < a->n_binds; i++) {
		size_t n = a == b ? i : b->n_binds;

		for (size_t j = 0; j < n; j++)
			if (same_socket(&a->binds[i], &b->binds[j]))
				return conf_fault(l, conf_section_place(s, "bind"),
						  "%s:%s is bound by realm '%s' (%s:%d) already",
						  conf_transport_name(a->binds[i].transport),
						  addr_print(text, &a->binds[i].addr), before->name,
						  before->at.file, before->at.line);
	}
	return 0;
}

/* XDP takes every packet to a relay port: SIP would never arrive there. */
static int check_bind_outside(struct conf_loader *l, const struct conf_section *s,
			      const struct conf_section *other)
{
	const struct conf_realm *a = as_realm(s), *b = as_realm(other);
	char text[ADDR_TEXT];

	for (size_t i = 0; i < a->n_binds; i++) {
		const struct addr *bind = &a->binds[i].addr;

		if (a->binds[i].transport != CONF_UDP || bind->port < b->port_lo ||
		    bind->port > b->port_hi)
			continue;
		for (size_t j = 0; j < b->n_media; j++)
			if (addr_same_ip(bind, &b->media[j]))
				return conf_fault(l, conf_section_place(s, "bind"),
						  "udp:%s lies within "
						  "the relay ports %u-%u of realm '%s'",
						  addr_print(text, bind), b->port_lo, b->port_hi,
						  other->name);
	}
	return 0;
}

static int check_realm(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_section *other;
	int rc = check_complete(l, s);

	if (!rc)
		rc = conf_transport_check_realm(l, s);
	if (!rc)
		rc = conf_direct_check(l, s);
	/* The hash keeps the order of the file. */
	for (other = l->realms; !rc && other; other = other->hh_scope.next) {
		rc = check_media(l, s, other);
		if (!rc)
			rc = check_bind(l, s, other);
		if (!rc)
			rc = check_bind_outside(l, s, other);
		if (!rc)
			rc = check_bind_outside(l, other, s);
		if (other == s)
			break;
	}
	return rc;
}

static bool binds_family(const struct conf_realm *realm, sa_family_t family)
{
	for (size_t i = 0; i < realm->n_binds; i++)
		if (realm->binds[i].addr.family == family)
			return true;
	return false;
}

static int check_peer(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_peer *peer = s->object;
	const struct addr *host = &peer->host;
	int rc;

	if (host->family == AF_UNSPEC && !peer->dynamic && !peer->host_name)
		return conf_fault(l, &s->at,
				  "peer '%s' has no host: needed is 'host = ADDRESS[:PORT]' or "
				  "'host = dynamic'",
				  s->name);
	if (peer->dynamic && !peer->secret)
		return conf_fault(l, conf_section_place(s, "host"),
				  "peer '%s' has host = dynamic, but no secret: anybody could "
				  "register as it",
				  s->name);
	if (!peer->codecs.all && !peer->codecs.n_only)
		return conf_fault(l, conf_section_place(s, "disallow"),
				  "peer '%s' is left without a codec: an 'allow' is missing",
				  s->name);
	if (peer->realm && !peer->dynamic && !peer->host_name &&
	    !binds_family(peer->realm, host->family))
		return conf_fault(l, conf_section_place(s, "host"),
				  "peer '%s' has an %s address, but realm '%s' binds none", s->name,
				  host->family == AF_INET6 ? "IPv6" : "IPv4", peer->realm->name);
	rc = conf_session_check(l, s);
	if (!rc)
		rc = conf_encryption_check(l, s);
	return rc ? rc : conf_transport_check_peer(l, s);
}

static int check_route(struct conf_loader *l, const struct conf_section *s)
{
	const struct conf_route *route = s->object;

	if (!route->n_to)
		return conf_fault(l, &s->at, "route '%s' leads nowhere: 'to = PEER' is missing",
				  s->name);
	return 0;
}

/* Registrations that say nothing get what lies between. */
static int check_expiry(struct conf_loader *l)
{
	struct conf *conf = l->conf;

	if (conf->minexpiry_s > conf->maxexpiry_s)
		return conf_fault(l, conf_section_place(l->general, "minexpiry"),
				  "minexpiry = %u is more than maxexpiry = %u", conf->minexpiry_s,
				  conf->maxexpiry_s);
	if (conf->defaultexpiry_s < conf->minexpiry_s)
		conf->defaultexpiry_s = conf->minexpiry_s;
	if (conf->defaultexpiry_s > conf->maxexpiry_s)
		conf->defaultexpiry_s = conf->maxexpiry_s;
	return 0;
}

int conf_check(struct conf_loader *l)
{
	const struct conf_section *s;
	int rc = 0;

	for (s = l->realms; !rc && s; s = s->hh_scope.next)
		rc = check_realm(l, s);
	for (s = l->peers; !rc && s; s = s->hh_scope.next)
		rc = check_peer(l, s);
	if (!rc)
		rc = check_expiry(l);
	if (!rc)
		rc = conf_register_resolve(l);
	for (s = l->routes; !rc && s; s = s->hh_scope.next)
		rc = check_route(l, s);
	return rc;
}
