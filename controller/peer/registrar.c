// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/registrar.h"

#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	struct binding b;
	struct user *user;
	char *uri, *call_id, *agent;
	uint32_t cseq;
	struct timer timer;
};

/* Somebody who is known by his name. */
struct user {
	const struct conf_peer *peer;
	struct registrar *all;
	struct entry *entries[REGISTRAR_CONTACTS_MAX]; /* the newest first */
	size_t n;
	UT_hash_handle hh;
};

struct registrar {
	struct loop *loop;
	struct peers *peers;
	struct user *users; /* by the peer's name */
	bool *known;	    /* for each realm: somebody may be on it */
	size_t count;
};

static void entry_free(struct entry *e)
{
	timer_stop(&e->timer);
	free(e->uri);
	free(e->call_id);
	free(e->agent);
	free(e);
}

/* Takes the ith binding out of its user's list. */
static struct entry *unlink_entry(struct user *user, size_t i)
{
	struct entry *e = user->entries[i];

	user->n--;
	user->all->count--;
	memmove(&user->entries[i], &user->entries[i + 1], (user->n - i) * sizeof(user->entries[0]));
	return e;
}

static void drop_entry(struct user *user, size_t i)
{
	entry_free(unlink_entry(user, i));
}

static void user_free(struct user *user)
{
	while (user->n)
		drop_entry(user, user->n - 1);
	free(user);
}

static void users_free(struct user *users)
{
	struct user *user, *next;

	HASH_ITER (hh, users, user, next) {
		HASH_DEL(users, user);
		user_free(user);
	}
}

static bool has_name(const struct conf_peer *peer)
{
	return peer->secret && (peer->dynamic || strcasecmp(peer->type, "peer") != 0);
}

static int add_user(struct registrar *r, struct user **users, const struct conf_peer *peer)
{
	struct user *user = calloc(1, sizeof(*user));

	if (!user)
		return -ENOMEM;
	user->peer = peer;
	user->all = r;
	HASH_ADD_KEYPTR(hh, *users, peer->name, strlen(peer->name), user);
	if (user->hh.tbl)
		return 0;
	free(user);
	return -ENOMEM;
}

static int make_users(struct registrar *r, struct peers *peers, struct user **users)
{
	const struct conf *conf = peers_conf(peers);
	int err = 0;

	for (size_t i = 0; !err && i < conf->n_peers; i++)
		if (has_name(&conf->peers[i]))
			err = add_user(r, users, &conf->peers[i]);
	if (err)
		users_free(*users);
	return err;
}

static struct user *find(struct user *users, const char *name)
{
	struct user *user;

	HASH_FIND(hh, users, name, strlen(name), user);
	return user;
}

static void note_realms(bool *known, struct peers *peers, const struct user *users)
{
	size_t n = peers_conf(peers)->n_realms;

	for (; users; users = users->hh.next) {
		const struct conf_realm *realm = peer_realm(peers, users->peer);

		for (size_t i = 0; i < n; i++)
			known[i] = known[i] || !realm || realm->index == i;
	}
}

/* A binding may stay with its phone under another configuration. */
static bool still_fits(struct peers *peers, const struct conf_peer *peer, const struct binding *b)
{
	const struct conf_realm *realm = peer_realm(peers, peer);

	return (!realm || realm->index == b->realm->index) && conf_acl_permits(&peer->acl, &b->to);
}

/* Hands the bindings of a phone over to what it is called now; those that do not fit are left. */
static void move_entries(struct user *to, struct user *from, struct peers *peers)
{
	const struct conf *conf = peers_conf(peers);
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		struct entry *e = from->entries[i];

		if (to->n < to->peer->maxcontacts && still_fits(peers, to->peer, &e->b)) {
			e->user = to;
			e->b.realm = &conf->realms[e->b.realm->index];
			to->entries[to->n++] = e;
		} else {
			from->entries[n++] = e;
		}
	}
	from->n = n;
}

int registrar_reload(struct registrar *r, struct peers *peers)
{
	bool *known = calloc(peers_conf(peers)->n_realms + 1, sizeof(*known));
	struct user *users = NULL, *user, *old;

	if (!known || make_users(r, peers, &users)) {
		free(known);
		return -ENOMEM;
	}
	note_realms(known, peers, users);
	for (user = users; user; user = user->hh.next) {
		old = find(r->users, user->peer->name);
		if (old && user->peer->dynamic)
			move_entries(user, old, peers);
	}
	users_free(r->users);
	free(r->known);
	peers_unref(r->peers);
	r->users = users;
	r->known = known;
	r->peers = peers_ref(peers);
	return 0;
}

struct registrar *registrar_new(struct loop *loop, struct peers *peers)
{
	struct registrar *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = loop;
	if (registrar_reload(r, peers) == 0)
		return r;
	free(r);
	return NULL;
}

void registrar_free(struct registrar *r)
{
	if (!r)
		return;
	users_free(r->users);
	peers_unref(r->peers);
	free(r->known);
	free(r);
}

const struct conf_peer *registrar_user(const struct registrar *r, const struct conf_realm *realm,
				       const char *name)
{
	const struct user *user = find(r->users, name);
	const struct conf_realm *home = user ? peer_realm(r->peers, user->peer) : NULL;

	return user && (!home || home->index == realm->index) ? user->peer : NULL;
}

bool registrar_has_users(const struct registrar *r, const struct conf_realm *realm)
{
	return r->known[realm->index];
}

size_t registrar_count(const struct registrar *r)
{
	return r->count;
}

const struct binding *registrar_nth(const struct registrar *r, const struct conf_peer *peer,
				    size_t nth)
{
	const struct user *user = find(r->users, peer->name);

	return user && nth < user->n ? &user->entries[nth]->b : NULL;
}

static size_t position(const struct user *user, const struct entry *e)
{
	size_t i = 0;

	while (user->entries[i] != e)
		i++;
	return i;
}

static void on_expired(void *owner)
{
	struct entry *e = owner;
	struct user *user = e->user;

	log_notice("peer %s: contact %s expired", user->peer->name, e->b.uri);
	drop_entry(user, position(user, e));
}

/* Contacts are told apart by their text: RFC 3261's comparison of URIs (19.1.4) would join what is
 * one, and a phone writes its own the same way each time. */
static size_t find_uri(const struct user *user, const char *uri)
{
	size_t i = 0;

	while (i < user->n && strcmp(user->entries[i]->uri, uri) != 0)
		i++;
	return i;
}

static bool is_older(const struct entry *e, const struct binding_request *q)
{
	return strcmp(e->call_id, q->call_id) == 0 && q->cseq <= e->cseq;
}

/* Is any binding that the request would touch newer than it? */
static bool outdated(const struct user *user, const struct binding_request *q)
{
	size_t i;

	for (i = 0; q->all && i < user->n; i++)
		if (is_older(user->entries[i], q))
			return true;
	for (size_t w = 0; w < q->n; w++) {
		i = find_uri(user, q->wishes[w].uri);
		if (i < user->n && is_older(user->entries[i], q))
			return true;
	}
	return false;
}

static struct entry *entry_new(struct user *user, const struct binding_request *q,
			       const struct binding_wish *w)
{
	struct registrar *r = user->all;
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	timer_init(&e->timer, r->loop, on_expired, e);
	e->user = user;
	e->uri = strdup(w->uri);
	e->call_id = strdup(q->call_id);
	e->agent = strndup(q->agent, 128);
	e->cseq = q->cseq;
	if (!e->uri || !e->call_id || !e->agent) {
		entry_free(e);
		return NULL;
	}
	e->b = (struct binding){
		.uri = e->uri,
		.to = w->to,
		/* The request's may be of an older snapshot. */
		.realm = &peers_conf(r->peers)->realms[q->realm->index],
		.bind = q->bind,
		.natted = w->natted,
		.agent = e->agent,
		.call_id = e->call_id,
		.since_ms = loop_now_ms(r->loop),
		.expires_ms = loop_now_ms(r->loop) + w->expires_s * 1000ull,
	};
	return e;
}

/* In front, where the newest is. A refresh is as good as a new registration, but it keeps the time
 * since when the phone has been there. */
static void put_entry(struct user *user, struct entry *e)
{
	size_t old = find_uri(user, e->uri);

	if (old < user->n) {
		e->b.since_ms = user->entries[old]->b.since_ms;
		drop_entry(user, old);
	} else {
		log_notice("peer %s: registered %s", user->peer->name, e->uri);
	}
	while (user->n >= user->peer->maxcontacts)
		drop_entry(user, user->n - 1);
	memmove(&user->entries[1], &user->entries[0], user->n * sizeof(user->entries[0]));
	user->entries[0] = e;
	user->n++;
	user->all->count++;
	timer_set(&e->timer, e->b.expires_ms - loop_now_ms(user->all->loop));
}

static void remove_uri(struct user *user, const char *uri)
{
	size_t i = find_uri(user, uri);

	if (i == user->n)
		return;
	log_notice("peer %s: unregistered %s", user->peer->name, uri);
	drop_entry(user, i);
}

/* Makes all that is to be added before anything is changed. */
static int make_entries(struct user *user, const struct binding_request *q, struct entry **made)
{
	for (size_t w = 0; w < q->n; w++) {
		made[w] = NULL;
		if (!q->wishes[w].expires_s)
			continue;
		made[w] = entry_new(user, q, &q->wishes[w]);
		if (made[w])
			continue;
		while (w--)
			if (made[w])
				entry_free(made[w]);
		return -ENOMEM;
	}
	return 0;
}

int registrar_update(struct registrar *r, const struct binding_request *q)
{
	struct user *user = find(r->users, q->peer->name);
	struct entry *made[REGISTRAR_CONTACTS_MAX];

	if (!user || !user->peer->dynamic || q->n > REGISTRAR_CONTACTS_MAX)
		return -ENOENT;
	if (outdated(user, q))
		return -ESTALE;
	if (make_entries(user, q, made))
		return -ENOMEM;
	while (q->all && user->n)
		remove_uri(user, user->entries[user->n - 1]->uri);
	for (size_t w = 0; w < q->n; w++) {
		if (made[w])
			put_entry(user, made[w]);
		else
			remove_uri(user, q->wishes[w].uri);
	}
	return 0;
}
