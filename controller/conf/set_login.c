// SPDX-License-Identifier: GPL-2.0-or-later
/* Who somebody is, and whether he is there: secrets, registrations with others, probes. */
#include "conf/keys.h"
#include "conf/value.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { QUALIFY_MS = 2000 };

static const char register_form[] =
	"register: allowed is USER[:SECRET[:AUTHUSER]]@PEER[/EXTENSION][~SECONDS]";

/* Asterisk's spellings; `very` is that of its oldest versions. */
CONF_SETTER(conf_set_insecure)
{
	struct conf_peer *peer = object;
	struct conf_list list;
	unsigned int bits = 0;
	bool yes;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	for (size_t i = 0; !rc && i < list.n; i++) {
		const char *word = list.items[i];

		if (strcasecmp(word, "port") == 0)
			bits |= INSECURE_PORT;
		else if (strcasecmp(word, "invite") == 0)
			bits |= INSECURE_INVITE;
		else if (strcasecmp(word, "very") == 0)
			bits |= INSECURE_PORT | INSECURE_INVITE;
		else if (!conf_value_bool(word, &yes) || yes || list.n > 1)
			return conf_bad_value(l, e, "no, port, invite or port,invite");
	}
	if (!rc)
		peer->insecure = bits;
	return rc;
}

CONF_SETTER(conf_set_digest)
{
	struct conf *conf = object;
	struct conf_list list;
	unsigned int bits = 0;
	int rc = conf_value_list(l, e, &list);

	(void)key;
	for (size_t i = 0; !rc && i < list.n; i++) {
		if (strcasecmp(list.items[i], "md5") == 0)
			bits |= CONF_DIGEST_MD5;
		else if (strcasecmp(list.items[i], "sha256") == 0)
			bits |= CONF_DIGEST_SHA_256;
		else
			return conf_bad_value(l, e, "md5, sha256 or both");
	}
	if (!rc)
		conf->digest = bits;
	return rc;
}

CONF_SETTER(conf_set_qualify)
{
	struct conf_peer *peer = object;
	unsigned int ms;
	bool yes;

	if (conf_value_number(e->value, key->lo, key->hi, &ms))
		peer->qualify_ms = ms;
	else if (conf_value_bool(e->value, &yes))
		peer->qualify_ms = yes ? QUALIFY_MS : 0;
	else
		return conf_bad_value(l, e, "yes, no, or milliseconds from 100 to 60000");
	return 0;
}

/* Cuts `text` at the last `mark`; NULL: there is none. */
static char *cut_last(char *text, char mark)
{
	char *at = strrchr(text, mark);

	if (at)
		*at++ = '\0';
	return at;
}

static char *cut_first(char *text, char mark)
{
	char *at = text ? strchr(text, mark) : NULL;

	if (at)
		*at++ = '\0';
	return at;
}

static bool is_user(const char *text)
{
	return *text && !strpbrk(text, " <>\"@;");
}

/* The peer's name goes where the peer will: it is looked up when there are peers. */
static int parse_register(struct conf_loader *l, const struct conf_entry *e,
			  struct conf_register *r, const char **peer)
{
	char *text = arena_copy(l->keep, e->value, strlen(e->value));
	char *host, *expiry;
	unsigned int lo = 10, hi = 86400;

	if (!text)
		return conf_no_memory(l);
	host = cut_last(text, '@');
	if (!host)
		return conf_fault(l, &e->at, "%s", register_form);
	expiry = cut_last(host, '~');
	r->extension = cut_first(host, '/');
	r->user = text;
	r->secret = cut_first(text, ':');
	r->authuser = cut_first((char *)(uintptr_t)r->secret, ':');
	if (!r->authuser)
		r->authuser = r->user;
	if (!r->extension)
		r->extension = r->user;
	if (!is_user(r->user) || !is_user(r->extension) || !*r->authuser || !*host ||
	    (expiry && !conf_value_number(expiry, lo, hi, &r->expiry_s)))
		return conf_fault(l, &e->at, "%s", register_form);
	*peer = host;
	return 0;
}

/* The room doubles whenever the count reaches a power of two. */
static struct conf_register *grow(struct conf_loader *l, struct conf *conf)
{
	size_t n = conf->n_registers;
	struct conf_register *more;

	if ((n & (n - 1)) != 0)
		return conf->registers;
	more = arena_alloc(l->keep, (n ? 2 * n : 1) * sizeof(*more));
	if (more && n)
		memcpy(more, conf->registers, n * sizeof(*more));
	return more;
}

CONF_SETTER(conf_set_register)
{
	struct conf *conf = object;
	struct conf_register *r = grow(l, conf);
	const char *peer;

	(void)key;
	if (!r)
		return conf_no_memory(l);
	conf->registers = r;
	r = &r[conf->n_registers++];
	*r = (struct conf_register){.file = e->at.file, .line = e->at.line};
	if (conf_value_keep(l, e->value, &r->text))
		return -ENOMEM;
	return parse_register(l, e, r, &peer);
}

/* Asterisk's own registrations name hosts: the first peer with that address is meant. */
static const struct conf_peer *find_peer(const struct conf *conf, const char *name)
{
	struct addr a = {0};

	for (size_t i = 0; i < conf->n_peers; i++)
		if (strcmp(conf->peers[i].name, name) == 0)
			return &conf->peers[i];
	if (addr_parse(&a, name))
		return NULL;
	for (size_t i = 0; i < conf->n_peers; i++)
		if (addr_same_ip(&conf->peers[i].host, &a) &&
		    (!a.port || a.port == conf->peers[i].host.port))
			return &conf->peers[i];
	return NULL;
}

int conf_register_resolve(struct conf_loader *l)
{
	for (size_t i = 0; i < l->conf->n_registers; i++) {
		struct conf_register *r = &l->conf->registers[i];
		struct conf_place at = {r->file, r->line};
		struct conf_entry e = {at, "register", r->text};
		struct conf_register again = {0};
		const char *name = "";
		int rc = parse_register(l, &e, &again, &name);

		if (rc)
			return rc;
		r->peer = find_peer(l->conf, name);
		if (!r->peer)
			return conf_fault(l, &at, "register: there is no peer '%.60s'", name);
		if (r->peer->dynamic)
			return conf_fault(l, &at,
					  "register: peer '%.60s' has host = dynamic: it registers "
					  "with us",
					  name);
	}
	return 0;
}

bool conf_peer_login(const struct conf_peer *peer, const char **user, const char **secret)
{
	*secret = peer->remotesecret;
	if (!*secret && !peer->dynamic)
		*secret = peer->secret;
	*user = peer->defaultuser ? peer->defaultuser
		: peer->fromuser  ? peer->fromuser
				  : peer->name;
	return *secret != NULL;
}
