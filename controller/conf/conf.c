// SPDX-License-Identifier: GPL-2.0-or-later
/* A snapshot's life: text, then sections, then realms before peers before routes, since each kind
 * names those before it. */
#include "conf/ignored.h"
#include "conf/keys.h"
#include "conf/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 3261 16.6, timer C: no proxy on the way gives up earlier. */
enum { RING_S = 180 };

/* What conf->priv points to, itself in the arena that it holds. */
struct snapshot {
	struct conf conf;
	struct arena arena;
	unsigned int refs;
};

static int snapshot_new(struct conf_loader *l)
{
	struct arena arena = { 0 };
	struct snapshot *snapshot = arena_alloc(&arena, sizeof(*snapshot));

	if (!snapshot)
		return conf_no_memory(l);
	snapshot->arena = arena;
	snapshot->refs = 1;
	l->conf = &snapshot->conf;
	l->conf->priv = snapshot;
	l->keep = &snapshot->arena;
	l->conf->ignored = arena_alloc(l->keep, conf_n_ignored_keys * sizeof(*l->conf->ignored));
	return l->conf->ignored ? 0 : conf_no_memory(l);
}

struct conf *conf_ref(struct conf *conf)
{
	struct snapshot *snapshot = conf->priv;

	snapshot->refs++;
	return conf;
}

void conf_unref(struct conf *conf)
{
	struct snapshot *snapshot = conf ? conf->priv : NULL;
	struct arena arena;

	if (!snapshot || --snapshot->refs)
		return;
	arena = snapshot->arena;
	arena_free(&arena);
}

const char *conf_text(const struct conf *conf, const char *format, ...)
{
	struct snapshot *snapshot = conf->priv;
	char text[256];
	const char *kept;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	kept = arena_copy(&snapshot->arena, text, strlen(text));
	return kept ? kept : "realms";
}

static int type_scope(struct conf_loader *l, struct conf_section *s)
{
	const struct conf_entry *type = conf_section_entry(s, "type");

	if (!type)
		return conf_fault(l, &s->at,
				  "section '%s' has no type: allowed are realm, peer (or "
				  "friend or user) and route",
				  s->name);
	if (strcasecmp(type->value, "realm") == 0)
		s->scope = CONF_REALM;
	else if (strcasecmp(type->value, "route") == 0)
		s->scope = CONF_ROUTE;
	else if (strcasecmp(type->value, "peer") == 0 || strcasecmp(type->value, "friend") == 0 ||
		 strcasecmp(type->value, "user") == 0)
		s->scope = CONF_PEER;
	else
		return conf_fault(l, &type->at,
				  "unknown type '%.60s': allowed are realm, peer (or "
				  "friend or user) and route",
				  type->value);
	return 0;
}

static struct conf_section **scope_hash(struct conf_loader *l, enum conf_scope scope)
{
	return scope == CONF_GENERAL ? &l->general
	       : scope == CONF_REALM ? &l->realms
	       : scope == CONF_PEER  ? &l->peers
				     : &l->routes;
}

static int section_file(struct conf_loader *l, struct conf_section *s)
{
	struct conf_section **hash = scope_hash(l, s->scope), *other, *head = *hash;

	HASH_FIND(hh_scope, head, s->name, strlen(s->name), other);
	if (other)
		return conf_fault(l, &s->at, "[%s] again: the first is at %s:%d", s->name,
				  other->at.file, other->at.line);
	HASH_ADD_KEYPTR(hh_scope, head, s->name, strlen(s->name), s);
	if (!s->hh_scope.tbl)
		return conf_no_memory(l);
	*hash = head;
	return 0;
}

/* Tells what a section is, and puts it where its name is looked up. */
static int section_classify(struct conf_loader *l, struct conf_section *s)
{
	char bracketed[96];
	int rc = 0;

	s->scope = CONF_NOTHING;
	snprintf(bracketed, sizeof(bracketed), "[%s]", s->name);
	if (s->template)
		return 0;
	if (strcasecmp(s->name, "general") == 0)
		s->scope = CONF_GENERAL;
	else if (conf_ignored_find(bracketed, 0))
		conf_note_ignored(l, conf_ignored_find(bracketed, 0)->name);
	else
		rc = type_scope(l, s);
	return rc || s->scope == CONF_NOTHING ? rc : section_file(l, s);
}

static int sections_classify(struct conf_loader *l)
{
	struct conf_section *s;
	int rc = 0;

	for (s = l->sections; !rc && s; s = s->next)
		rc = section_classify(l, s);
	return rc;
}

static int allocate(struct conf_loader *l)
{
	struct conf *conf = l->conf;
	size_t realms = HASH_CNT(hh_scope, l->realms), peers = HASH_CNT(hh_scope, l->peers);
	size_t routes = HASH_CNT(hh_scope, l->routes);

	conf->realms = arena_alloc(l->keep, realms * sizeof(*conf->realms));
	conf->peers = arena_alloc(l->keep, peers * sizeof(*conf->peers));
	conf->routes = arena_alloc(l->keep, routes * sizeof(*conf->routes));
	return conf->realms && conf->peers && conf->routes ? 0 : conf_no_memory(l);
}

static int apply(struct conf_loader *l, const struct conf_section *s)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < s->n_entries; i++)
		rc = conf_key_apply(l, s->scope, s->entries[i], s->object);
	return rc;
}

static int make_general(struct conf_loader *l)
{
	struct conf *conf = l->conf;

	conf->bpffs = "/sys/fs/bpf/rtpfwd";
	conf->lease_s = 300;
	conf->rtptimeout_s = 60;
	conf->rtpholdtimeout_s = 1800;
	conf->control = "/run/rtpfwd/ctl.sock";
	conf->state = "/var/lib/rtpfwd";
	conf->cdr = "/var/log/rtpfwd/cdr.jsonl";
	addr_parse(&conf->metrics, "127.0.0.1:9768");
	conf->max_calls = 20000;
	conf->settle = (struct conf_span){ 1000, 2000 };
	conf->drain_idle_ms = 1000;
	conf->drain_max_ms = 10000;
	conf->digest = CONF_DIGEST_MD5 | CONF_DIGEST_SHA_256;
	conf->defaultexpiry_s = 120;
	conf->minexpiry_s = 60;
	conf->maxexpiry_s = 3600;
	conf->authlimit = 30;
	l->defaults = (struct conf_peer){
		.canreinvite = CANREINVITE_NONAT,
		.codecs = { .all = true },
		.maxcontacts = 4,
		.qualifyfreq_s = 60,
		.session = { .expires_s = 1800, .min_s = 90 },
	};
	if (!l->general)
		return 0;
	l->general->object = conf;
	return apply(l, l->general);
}

static int make_realm(struct conf_loader *l, struct conf_section *s)
{
	struct conf_realm *realm = &l->conf->realms[l->conf->n_realms];

	*realm = (struct conf_realm){
		.name = s->name,
		.index = (unsigned int)l->conf->n_realms++,
		.line = s->at.line,
		.port_lo = 10000,
		.port_hi = 59999,
		.xdp = XDP_AUTO,
	};
	s->object = realm;
	return apply(l, s);
}

/* `port` counts where `host` names none, and else what is usual. */
static void take_port(struct conf_peer *peer, const struct conf_section *s)
{
	const struct conf_entry *port = conf_section_entry(s, "port");

	if (peer->port_written || peer->dynamic)
		return;
	peer->port_written = port != NULL;
	peer->host.port = port ? (uint16_t)strtoul(port->value, NULL, 10)
			       : conf_transport_port(peer->transports[0]);
}

static int take_host_text(struct conf_loader *l, struct conf_peer *peer)
{
	char text[272];

	if (!peer->host_name)
		return 0;
	snprintf(text, sizeof(text), peer->port_written ? "%s:%u" : "%s", peer->host_name,
		 peer->host.port);
	return conf_value_keep(l, text, &peer->host_text);
}

static int make_peer(struct conf_loader *l, struct conf_section *s)
{
	struct conf_peer *peer = &l->conf->peers[l->conf->n_peers++];
	int rc;

	*peer = l->defaults;
	peer->name = s->name;
	peer->file = s->at.file;
	peer->line = s->at.line;
	s->object = peer;
	rc = apply(l, s);
	if (rc)
		return rc;
	take_port(peer, s);
	return take_host_text(l, peer);
}

static int make_route(struct conf_loader *l, struct conf_section *s)
{
	struct conf_route *route = &l->conf->routes[l->conf->n_routes++];

	*route = (struct conf_route){
		.name = s->name,
		.line = s->at.line,
		.prepend = "",
		.dial = { .text = "" },
		.timeout_s = RING_S,
	};
	s->object = route;
	return apply(l, s);
}

/* A template that no section uses may hold what this version refuses, but no unknown word. */
static int check_template(struct conf_loader *l, const struct conf_section *s)
{
	int rc = 0;

	for (size_t i = 0; !rc && s->template && i < s->n_entries; i++)
		rc = conf_key_check(l, s->entries[i]);
	return rc;
}

static int make_all(struct conf_loader *l)
{
	struct conf_section *s;
	int rc = make_general(l);

	for (s = l->realms; !rc && s; s = s->hh_scope.next)
		rc = make_realm(l, s);
	for (s = l->peers; !rc && s; s = s->hh_scope.next)
		rc = make_peer(l, s);
	for (s = l->routes; !rc && s; s = s->hh_scope.next)
		rc = make_route(l, s);
	for (s = l->sections; !rc && s; s = s->next)
		rc = check_template(l, s);
	return rc;
}

static void loader_free(struct conf_loader *l)
{
	HASH_CLEAR(hh, l->by_name);
	HASH_CLEAR(hh_scope, l->general);
	HASH_CLEAR(hh_scope, l->realms);
	HASH_CLEAR(hh_scope, l->peers);
	HASH_CLEAR(hh_scope, l->routes);
	arena_free(&l->scratch);
}

static int load(struct conf_loader *l, const char *path)
{
	char *kept = arena_copy(l->keep, path, strlen(path));
	int rc = kept ? conf_source_read(l, kept, NULL) : conf_no_memory(l);

	if (!rc)
		rc = sections_classify(l);
	if (!rc)
		rc = allocate(l);
	if (!rc)
		rc = make_all(l);
	if (!rc)
		rc = conf_check(l);
	if (!rc && !l->conf->n_realms)
		rc = conf_fault(l, &(struct conf_place){ kept, 1 },
				"no section with type = realm: a "
				"node stands on at least one network");
	return rc;
}

int conf_load(struct conf **out, const char *path, char *why, size_t why_size)
{
	struct conf_loader l = { .why = why, .why_size = why_size };
	int rc = snapshot_new(&l);

	l.sections_end = &l.sections;
	if (!rc)
		rc = load(&l, path);
	loader_free(&l);
	if (rc)
		conf_unref(l.conf);
	else
		*out = l.conf;
	return rc;
}
