// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/keys.h"
#include "conf/ignored.h"
#include "lib/buf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IN_CONF(member)	 offsetof(struct conf, member)
#define IN_REALM(member) offsetof(struct conf_realm, member)
#define IN_PEER(member)	 offsetof(struct conf_peer, member)
#define IN_ROUTE(member) offsetof(struct conf_route, member)

enum {
	DAY_S = 86400,
	MAX_CALLS = 1000000,
	MAX_RATE = 100000,
	MAX_SUN_PATH = 107,
	MAX_PATH = 4000,
	MAX_STRIP = 64,
	MAX_TEXT = 128,
	MAX_CONTACTS = 10,
	MAX_SETTLE_MS = 10000,
	MAX_DRAIN_MS = 600000,
	SHORTEST_SESSION_S = 90, /* RFC 4028 4 */
	SECTIONS = CONF_REALM | CONF_PEER | CONF_ROUTE,
};

/* Every key there is, and those that this version refuses. In the order of the manual page. */
static const struct conf_key table[] = {
	{ "bpffs", CONF_GENERAL, conf_set_path, IN_CONF(bpffs), 1, MAX_PATH },
	{ "lease", CONF_GENERAL, conf_set_number, IN_CONF(lease_s), 1, DAY_S },
	{ "guard", CONF_GENERAL, conf_set_guard, 0, 0, 0 },
	{ "rtptimeout", CONF_GENERAL, conf_set_number, IN_CONF(rtptimeout_s), 0, DAY_S },
	{ "rtpholdtimeout", CONF_GENERAL, conf_set_number, IN_CONF(rtpholdtimeout_s), 0, DAY_S },
	{ "control", CONF_GENERAL, conf_set_path, IN_CONF(control), 1, MAX_SUN_PATH },
	{ "metrics", CONF_GENERAL, conf_set_metrics, 0, 0, 0 },
	{ "state", CONF_GENERAL, conf_set_path_or_off, IN_CONF(state), 1, MAX_PATH },
	{ "cdr", CONF_GENERAL, conf_set_path_or_off, IN_CONF(cdr), 1, MAX_PATH },
	{ "directsetup", CONF_GENERAL, conf_set_bool, IN_CONF(directsetup), 0, 0 },
	{ "directrtpsetup", CONF_GENERAL, conf_set_bool, IN_CONF(directsetup), 0, 0 },
	{ "settle", CONF_GENERAL, conf_set_span, IN_CONF(settle), 0, MAX_SETTLE_MS },
	{ "drain_idle", CONF_GENERAL, conf_set_number, IN_CONF(drain_idle_ms), 20, MAX_DRAIN_MS },
	{ "drain_max", CONF_GENERAL, conf_set_number, IN_CONF(drain_max_ms), 100, MAX_DRAIN_MS },
	{ "digest", CONF_GENERAL, conf_set_digest, 0, 0, 0 },
	{ "register", CONF_GENERAL, conf_set_register, 0, 0, 0 },
	{ "defaultexpiry", CONF_GENERAL, conf_set_number, IN_CONF(defaultexpiry_s), 10, DAY_S },
	{ "minexpiry", CONF_GENERAL, conf_set_number, IN_CONF(minexpiry_s), 1, DAY_S },
	{ "maxexpiry", CONF_GENERAL, conf_set_number, IN_CONF(maxexpiry_s), 10, DAY_S },
	{ "maxexpirey", CONF_GENERAL, conf_set_number, IN_CONF(maxexpiry_s), 10, DAY_S },
	{ "authlimit", CONF_GENERAL, conf_set_number, IN_CONF(authlimit), 0, MAX_CALLS },
	{ "dns", CONF_GENERAL, conf_set_dns, 0, 0, 0 },
	{ "max_calls", CONF_GENERAL, conf_set_number, IN_CONF(max_calls), 1, MAX_CALLS },

	{ "type", CONF_PEER, conf_set_type, 0, 0, 0 },
	{ "type", CONF_REALM | CONF_ROUTE, conf_set_nothing, 0, 0, 0 },

	{ "interface", CONF_REALM, conf_set_interface, 0, 0, 0 },
	{ "bind", CONF_REALM, conf_set_bind, 0, 0, 0 },
	{ "media", CONF_REALM, conf_set_media, 0, 0, 0 },
	{ "ports", CONF_REALM, conf_set_ports, 0, 0, 0 },
	{ "xdp", CONF_REALM, conf_set_xdp, 0, 0, 0 },
	{ "advertise", CONF_REALM, conf_set_advertise, 0, 0, 0 },
	{ "vlan", CONF_REALM, conf_set_vlan, 0, 0, 0 },
	{ "dscp", CONF_REALM, conf_set_dscp, 0, 0, 0 },
	{ "tlscertfile", CONF_REALM, conf_set_path, IN_REALM(tls_cert), 1, MAX_PATH },
	{ "tlsprivatekey", CONF_REALM, conf_set_path, IN_REALM(tls_key), 1, MAX_PATH },
	{ "tlscafile", CONF_REALM, conf_set_path, IN_REALM(tls_ca), 1, MAX_PATH },
	{ "tlsverify", CONF_REALM, conf_set_bool, IN_REALM(tls_verify), 0, 0 },
	{ "direct", CONF_REALM, conf_set_direct, 0, 0, 0 },
	{ "moh", CONF_REALM, conf_set_moh, IN_REALM(moh), 1, MAX_PATH },

	{ "realm", CONF_PEER, conf_set_realm, 0, 0, 0 },
	{ "host", CONF_PEER, conf_set_host, 0, 0, 0 },
	{ "port", CONF_PEER, conf_set_port, 0, 1, 65535 },
	{ "secret", CONF_PEER, conf_set_text, IN_PEER(secret), 1, MAX_TEXT },
	{ "remotesecret", CONF_PEER, conf_set_text, IN_PEER(remotesecret), 1, MAX_TEXT },
	{ "defaultuser", CONF_PEER, conf_set_text, IN_PEER(defaultuser), 1, MAX_TEXT },
	{ "username", CONF_PEER, conf_set_text, IN_PEER(defaultuser), 1, MAX_TEXT },
	{ "fromuser", CONF_PEER | CONF_DEFAULT, conf_set_text, IN_PEER(fromuser), 1, MAX_TEXT },
	{ "fromdomain", CONF_PEER | CONF_DEFAULT, conf_set_text, IN_PEER(fromdomain), 1, MAX_TEXT },
	{ "insecure", CONF_PEER | CONF_DEFAULT, conf_set_insecure, 0, 0, 0 },
	{ "maxcontacts", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(maxcontacts), 1,
	  MAX_CONTACTS },
	{ "qualify", CONF_PEER | CONF_DEFAULT, conf_set_qualify, 0, 100, 60000 },
	{ "qualifyfreq", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(qualifyfreq_s), 5,
	  DAY_S },
	{ "md5secret", CONF_PEER, conf_set_refused, 0, 0, 0 },
	{ "canreinvite", CONF_PEER | CONF_DEFAULT, conf_set_canreinvite, 0, 0, 0 },
	{ "directmedia", CONF_PEER | CONF_DEFAULT, conf_set_canreinvite, 0, 0, 0 },
	{ "quirk", CONF_PEER | CONF_DEFAULT, conf_set_quirk, 0, 0, 0 },
	{ "disallow", CONF_PEER | CONF_DEFAULT, conf_set_codecs, 0, 0, 0 },
	{ "allow", CONF_PEER | CONF_DEFAULT, conf_set_codecs, 0, 0, 0 },
	{ "transcode", CONF_PEER | CONF_DEFAULT, conf_set_transcode, 0, 0, 0 },
	{ "nat", CONF_PEER | CONF_DEFAULT, conf_set_nat, 0, 0, 0 },
	{ "asymmetric", CONF_PEER, conf_set_bool, IN_PEER(asymmetric), 0, 0 },
	{ "permit", CONF_PEER, conf_set_acl, IN_PEER(acl), 0, 0 },
	{ "deny", CONF_PEER, conf_set_acl, IN_PEER(acl), 0, 0 },
	{ "acl", CONF_PEER, conf_set_refused, 0, 0, 0 },
	{ "trustrpid", CONF_PEER | CONF_DEFAULT, conf_set_trustrpid, 0, 0, 0 },
	{ "sendrpid", CONF_PEER | CONF_DEFAULT, conf_set_sendrpid, 0, 0, 0 },
	{ "dtmfmode", CONF_PEER | CONF_DEFAULT, conf_set_dtmfmode, 0, 0, 0 },
	{ "moh", CONF_PEER, conf_set_moh, IN_PEER(moh), 1, MAX_PATH },
	{ "max_calls", CONF_PEER, conf_set_number, IN_PEER(call_limit), 0, MAX_CALLS },
	{ "rate", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(rate), 0, MAX_RATE },
	{ "callrate", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(callrate), 0, MAX_RATE },
	{ "session-timers", CONF_PEER | CONF_DEFAULT, conf_set_timers, 0, 0, 0 },
	{ "session-expires", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(session.expires_s),
	  SHORTEST_SESSION_S, DAY_S },
	{ "session-minse", CONF_PEER | CONF_DEFAULT, conf_set_number, IN_PEER(session.min_s),
	  SHORTEST_SESSION_S, DAY_S },
	{ "session-refresher", CONF_PEER | CONF_DEFAULT, conf_set_refresher, 0, 0, 0 },
	{ "transport", CONF_PEER | CONF_DEFAULT, conf_set_transport, 0, 0, 0 },
	{ "encryption", CONF_PEER | CONF_DEFAULT, conf_set_encryption, 0, 0, 0 },
	{ "encryption_over", CONF_PEER | CONF_DEFAULT, conf_set_encryption_over, 0, 0, 0 },
	{ "dtlsenable", CONF_PEER | CONF_DEFAULT, conf_set_off_only, 0, 0, 0 },
	{ "directmediapermit", CONF_PEER | CONF_DEFAULT, conf_set_acl, IN_PEER(direct_acl), 0, 0 },
	{ "directmediadeny", CONF_PEER | CONF_DEFAULT, conf_set_acl, IN_PEER(direct_acl), 0, 0 },
	{ "directmediaacl", CONF_PEER | CONF_DEFAULT, conf_set_refused, 0, 0, 0 },

	{ "from", CONF_ROUTE, conf_set_from, 0, 0, 0 },
	{ "match", CONF_ROUTE, conf_set_match, 0, 0, 0 },
	{ "to", CONF_ROUTE, conf_set_to, 0, 0, 0 },
	{ "strip", CONF_ROUTE, conf_set_number, IN_ROUTE(strip), 0, MAX_STRIP },
	{ "prepend", CONF_ROUTE, conf_set_prepend, 0, 0, 0 },
	{ "options", CONF_ROUTE, conf_set_options, 0, 0, 0 },
	{ "timeout", CONF_ROUTE, conf_set_number, IN_ROUTE(timeout_s), 1, DAY_S },

	{ CONF_IGNORED_KEY, CONF_GENERAL | SECTIONS, conf_set_ignored, 0, 0, 0 },
};

static const size_t n_table = sizeof(table) / sizeof(table[0]);

static const struct conf_key *find(const char *name, unsigned int scopes)
{
	for (size_t i = 0; i < n_table; i++)
		if (table[i].scopes & scopes && strcasecmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

static bool supported(const struct conf_key *key)
{
	return key->set != conf_set_refused && key->set != conf_set_off_only &&
	       key->set != conf_set_ignored;
}

static const char *scope_text(unsigned int scopes)
{
	return scopes & CONF_REALM   ? "a realm"
	       : scopes & CONF_PEER  ? "a peer"
	       : scopes & CONF_ROUTE ? "a route"
				     : "[general]";
}

/* Levenshtein's distance; names as long as no key has are far from everything. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[40], la = (unsigned int)strlen(a), lb = (unsigned int)strlen(b);

	if (la >= 40 || lb >= 40)
		return 40;
	for (unsigned int j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= la; i++) {
		unsigned int corner = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= lb; j++) {
			unsigned int above = row[j];
			unsigned int best = corner + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);

			best = above + 1 < best ? above + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			corner = above;
		}
	}
	return row[lb];
}

/* The nearest key of these scopes, or NULL if none is near. */
static const char *nearest(const char *name, unsigned int scopes)
{
	unsigned int best = 2 + (unsigned int)strlen(name) / 3, d;
	const char *found = NULL;

	for (size_t i = 0; i < n_table; i++) {
		if (!(table[i].scopes & scopes) || table[i].set == conf_set_ignored)
			continue;
		d = distance(name, table[i].name);
		if (d < best) {
			best = d;
			found = table[i].name;
		}
	}
	for (size_t i = 0; i < conf_n_ignored_keys; i++) {
		d = conf_ignored_keys[i].scope & scopes ? distance(name, conf_ignored_keys[i].name)
							: 40;
		if (d < best) {
			best = d;
			found = conf_ignored_keys[i].name;
		}
	}
	return found;
}

static int fault_list(struct conf_loader *l, const struct conf_entry *e, unsigned int scopes)
{
	struct buf list = { 0 };
	int rc;

	for (size_t i = 0; i < n_table; i++)
		if (table[i].scopes & scopes && supported(&table[i]))
			buf_printf(&list, "%s%s", list.len ? ", " : "", table[i].name);
	if (list.failed)
		rc = conf_no_memory(l);
	else
		rc = conf_fault(l, &e->at, "unknown key '%.60s': %s allows %s", e->key,
				scope_text(scopes), list.data);
	buf_free(&list);
	return rc;
}

static int fault_unknown(struct conf_loader *l, const struct conf_entry *e, unsigned int scopes)
{
	const struct conf_key *elsewhere = find(e->key, CONF_GENERAL | SECTIONS);
	const char *near;

	if (elsewhere)
		return conf_fault(l, &e->at, "'%s' is a key of %s, not of %s", elsewhere->name,
				  scope_text(elsewhere->scopes), scope_text(scopes));
	near = nearest(e->key, scopes);
	if (near)
		return conf_fault(l, &e->at, "unknown key '%.60s': did you mean '%s'?", e->key,
				  near);
	return fault_list(l, e, scopes);
}

/* Notes a key of Asterisk's for conf_print(). */
void conf_note_ignored(struct conf_loader *l, const char *name)
{
	for (size_t i = 0; i < l->conf->n_ignored; i++)
		if (l->conf->ignored[i] == name)
			return;
	l->conf->ignored[l->conf->n_ignored++] = name;
}

int conf_key_apply(struct conf_loader *l, enum conf_scope scope, const struct conf_entry *e,
		   void *object)
{
	unsigned int scopes = scope == CONF_GENERAL ? CONF_GENERAL | CONF_DEFAULT : scope;
	const struct conf_key *key = find(e->key, scopes);
	const struct conf_ignored *ignored;

	if (key)
		return key->set(l, key, e,
				key->scopes & scopes & CONF_DEFAULT ? &l->defaults : object);
	ignored = conf_ignored_find(e->key, scope);
	if (!ignored)
		return fault_unknown(l, e, scopes);
	conf_note_ignored(l, ignored->name);
	return 0;
}

int conf_key_check(struct conf_loader *l, const struct conf_entry *e)
{
	const struct conf_ignored *ignored;

	if (find(e->key, CONF_GENERAL | SECTIONS))
		return 0;
	ignored = conf_ignored_find(e->key, CONF_GENERAL | CONF_PEER);
	if (!ignored)
		return fault_unknown(l, e, CONF_PEER);
	conf_note_ignored(l, ignored->name);
	return 0;
}

/* Reads back the comment that conf_print() wrote. What is not in the table any more is passed over.
 */
CONF_SETTER(conf_set_ignored)
{
	char *name, *rest = arena_copy(&l->scratch, e->value, strlen(e->value));
	const struct conf_ignored *ignored;

	(void)key;
	(void)object;
	if (!rest)
		return conf_no_memory(l);
	while ((name = strsep(&rest, ", \t\r\f\v")) != NULL) {
		ignored = conf_ignored_find(name, *name == '[' ? 0 : CONF_GENERAL | CONF_PEER);
		if (ignored)
			conf_note_ignored(l, ignored->name);
	}
	return 0;
}
