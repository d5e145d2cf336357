// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of bindings: order, limits, age, expiry, and what a reload leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer/registrar.h"

#define REALMS                                                                                     \
	"[inside]\ntype=realm\ninterface=eth0\nbind=udp:10.0.0.1\nmedia=10.0.0.1\n"                \
	"[outside]\ntype=realm\ninterface=eth1\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"
#define PHONES                                                                                     \
	REALMS "[a]\ntype=friend\nrealm=inside\nhost=dynamic\nsecret=x\nmaxcontacts=2\n"           \
	       "[any]\ntype=peer\nhost=dynamic\nsecret=x\n"                                        \
	       "[static]\ntype=friend\nrealm=inside\nhost=10.0.0.9\nsecret=x\n"                    \
	       "[trunk]\ntype=peer\nrealm=outside\nhost=192.0.2.9\nsecret=x\n"                     \
	       "[open]\ntype=friend\nrealm=inside\nhost=10.0.0.8\n"

struct table {
	struct loop *loop;
	struct peers *peers;
	struct registrar *r;
	uint32_t cseq;
};

static struct peers *peers_of(const char *text)
{
	struct conf *conf = NULL;
	struct peers *peers = NULL;
	char path[64], why[512] = "";
	int fd = memfd_create("conf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_load(&conf, path, why, sizeof(why)) || peers_new(&peers, conf, why, sizeof(why)))
		fail_msg("%s", why);
	close(fd);
	conf_unref(conf);
	return peers;
}

static int setup(void **state)
{
	struct table *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->loop = loop_new();
	t->peers = peers_of(PHONES);
	t->r = registrar_new(t->loop, t->peers);
	assert_non_null(t->r);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct table *t = *state;

	registrar_free(t->r);
	peers_unref(t->peers);
	loop_free(t->loop);
	free(t);
	return 0;
}

static const struct conf_peer *peer_of(struct table *t, const char *name)
{
	const struct conf *conf = peers_conf(t->peers);

	for (size_t i = 0; i < conf->n_peers; i++)
		if (strcmp(conf->peers[i].name, name) == 0)
			return &conf->peers[i];
	fail_msg("no peer %s", name);
	return NULL;
}

static int bind_one(struct table *t, const char *name, const char *call_id, uint32_t cseq,
		    const char *uri, unsigned int expires_s)
{
	struct binding_wish wish = {.uri = uri, .expires_s = expires_s};
	struct binding_request q = {.peer = peer_of(t, name),
				    .realm = &peers_conf(t->peers)->realms[0],
				    .call_id = call_id,
				    .agent = "phone/1",
				    .cseq = cseq,
				    .wishes = &wish,
				    .n = 1,
				    .bind = 3};

	assert_int_equal(addr_parse(&wish.to, "10.0.0.77:5099"), 0);
	return registrar_update(t->r, &q);
}

static int drop_all(struct table *t, const char *name, const char *call_id, uint32_t cseq)
{
	struct binding_request q = {.peer = peer_of(t, name),
				    .realm = &peers_conf(t->peers)->realms[0],
				    .call_id = call_id,
				    .agent = "",
				    .cseq = cseq,
				    .all = true};

	return registrar_update(t->r, &q);
}

/* The URIs bound, the newest first, each followed by a blank. */
static const char *bound(struct table *t, const char *name)
{
	static char text[1024];
	const struct binding *b;

	text[0] = '\0';
	for (size_t i = 0; (b = registrar_nth(t->r, peer_of(t, name), i)) != NULL; i++) {
		strcat(text, b->uri);
		strcat(text, " ");
	}
	return text;
}

static void names(void **state)
{
	struct table *t = *state;
	const struct conf_realm *inside = &peers_conf(t->peers)->realms[0], *outside = inside + 1;

	assert_ptr_equal(registrar_user(t->r, inside, "a"), peer_of(t, "a"));
	assert_null(registrar_user(t->r, outside, "a"));
	assert_ptr_equal(registrar_user(t->r, outside, "any"), peer_of(t, "any"));
	assert_ptr_equal(registrar_user(t->r, inside, "static"), peer_of(t, "static"));
	/* Of type peer, or without a secret: known by its source alone. */
	assert_null(registrar_user(t->r, outside, "trunk"));
	assert_null(registrar_user(t->r, inside, "open"));
	assert_null(registrar_user(t->r, inside, ""));
	assert_true(registrar_has_users(t->r, outside));
}

static void binding(void **state)
{
	struct table *t = *state;
	uint64_t now = loop_now_ms(t->loop);
	const struct binding *b;
	struct addr to;

	assert_int_equal(bind_one(t, "a", "c", 1, "sip:a@h", 60), 0);
	b = registrar_nth(t->r, peer_of(t, "a"), 0);
	assert_non_null(b);
	assert_int_equal(addr_parse(&to, "10.0.0.77:5099"), 0);
	assert_true(addr_equal(&b->to, &to));
	assert_string_equal(b->uri, "sip:a@h");
	assert_string_equal(b->agent, "phone/1");
	assert_int_equal(b->bind, 3);
	assert_string_equal(b->realm->name, "inside");
	assert_in_range(b->expires_ms, now + 60000, now + 61000);
	assert_int_equal(registrar_count(t->r), 1);
	assert_null(registrar_nth(t->r, peer_of(t, "a"), 1));
	assert_null(registrar_nth(t->r, peer_of(t, "any"), 0));
	assert_null(registrar_nth(t->r, peer_of(t, "trunk"), 0));
}

static void newest_first(void **state)
{
	struct table *t = *state;

	assert_int_equal(bind_one(t, "a", "c", 1, "sip:1", 60), 0);
	assert_int_equal(bind_one(t, "a", "d", 1, "sip:2", 60), 0);
	assert_string_equal(bound(t, "a"), "sip:2 sip:1 ");
	assert_int_equal(bind_one(t, "a", "c", 2, "sip:1", 60), 0);
	assert_string_equal(bound(t, "a"), "sip:1 sip:2 ");
	assert_int_equal(bind_one(t, "a", "e", 1, "sip:3", 60), 0);
	assert_string_equal(bound(t, "a"), "sip:3 sip:1 ");
	assert_int_equal(registrar_count(t->r), 2);
}

static void unbinding(void **state)
{
	struct table *t = *state;

	assert_int_equal(bind_one(t, "a", "c", 1, "sip:1", 60), 0);
	assert_int_equal(bind_one(t, "a", "c", 2, "sip:2", 60), 0);
	assert_int_equal(bind_one(t, "a", "x", 1, "sip:1", 0), 0);
	assert_string_equal(bound(t, "a"), "sip:2 ");
	assert_int_equal(bind_one(t, "a", "x", 2, "sip:none", 0), 0);
	assert_string_equal(bound(t, "a"), "sip:2 ");
	assert_int_equal(drop_all(t, "a", "x", 3), 0);
	assert_string_equal(bound(t, "a"), "");
	assert_int_equal(registrar_count(t->r), 0);
}

static void older_is_refused(void **state)
{
	struct table *t = *state;

	assert_int_equal(bind_one(t, "a", "c", 5, "sip:1", 60), 0);
	assert_int_equal(bind_one(t, "a", "c", 5, "sip:1", 0), -ESTALE);
	assert_int_equal(bind_one(t, "a", "c", 4, "sip:1", 60), -ESTALE);
	assert_int_equal(drop_all(t, "a", "c", 4), -ESTALE);
	assert_string_equal(bound(t, "a"), "sip:1 ");
	/* Another contact is no part of it; another Call-ID has numbers of its own. */
	assert_int_equal(bind_one(t, "a", "c", 4, "sip:2", 60), 0);
	assert_int_equal(bind_one(t, "a", "d", 1, "sip:1", 60), 0);
	assert_string_equal(bound(t, "a"), "sip:1 sip:2 ");
}

static void whole_or_not_at_all(void **state)
{
	struct table *t = *state;
	struct binding_wish wishes[] = {{.uri = "sip:2", .expires_s = 60},
					{.uri = "sip:1", .expires_s = 0}};
	struct binding_request q = {.peer = peer_of(t, "a"),
				    .realm = &peers_conf(t->peers)->realms[0],
				    .call_id = "c",
				    .agent = "",
				    .cseq = 5,
				    .wishes = wishes,
				    .n = 2};

	assert_int_equal(bind_one(t, "a", "c", 5, "sip:1", 60), 0);
	assert_int_equal(registrar_update(t->r, &q), -ESTALE);
	assert_string_equal(bound(t, "a"), "sip:1 ");
	q.cseq = 6;
	assert_int_equal(registrar_update(t->r, &q), 0);
	assert_string_equal(bound(t, "a"), "sip:2 ");
	q.n = REGISTRAR_CONTACTS_MAX + 1;
	assert_int_equal(registrar_update(t->r, &q), -ENOENT);
}

static void who_does_not_register(void **state)
{
	struct table *t = *state;

	assert_int_equal(bind_one(t, "static", "c", 1, "sip:1", 60), -ENOENT);
	assert_int_equal(bind_one(t, "trunk", "c", 1, "sip:1", 60), -ENOENT);
	assert_int_equal(registrar_count(t->r), 0);
}

static void expires(void **state)
{
	struct table *t = *state;
	uint64_t until = loop_now_ms(t->loop) + 10000;

	assert_int_equal(bind_one(t, "a", "c", 1, "sip:1", 1), 0);
	assert_int_equal(bind_one(t, "a", "c", 2, "sip:2", 60), 0);
	while (registrar_count(t->r) == 2) {
		assert_true(loop_now_ms(t->loop) < until);
		poll(NULL, 0, 5);
		event_base_loop(loop_base(t->loop), EVLOOP_NONBLOCK);
	}
	assert_string_equal(bound(t, "a"), "sip:2 ");
}

static void reload(struct table *t, const char *text)
{
	struct peers *next = peers_of(text);

	assert_int_equal(registrar_reload(t->r, next), 0);
	peers_unref(t->peers);
	t->peers = next;
}

static void reloaded(void **state)
{
	struct table *t = *state;

	assert_int_equal(bind_one(t, "a", "c", 1, "sip:1", 60), 0);
	assert_int_equal(bind_one(t, "a", "c", 2, "sip:2", 60), 0);
	assert_int_equal(bind_one(t, "any", "c", 1, "sip:3", 60), 0);
	reload(t, PHONES);
	assert_string_equal(bound(t, "a"), "sip:2 sip:1 ");
	assert_ptr_equal(registrar_nth(t->r, peer_of(t, "a"), 0)->realm,
			 &peers_conf(t->peers)->realms[0]);
	assert_int_equal(bind_one(t, "a", "c", 2, "sip:2", 60), -ESTALE);
	/* Fewer contacts, another realm, no phone any more. */
	reload(t, REALMS "[a]\ntype=friend\nhost=dynamic\nsecret=x\nmaxcontacts=1\n"
			 "[any]\ntype=friend\nrealm=outside\nhost=dynamic\nsecret=x\n");
	assert_string_equal(bound(t, "a"), "sip:2 ");
	assert_string_equal(bound(t, "any"), "");
	assert_int_equal(registrar_count(t->r), 1);
	reload(t, REALMS "[a]\ntype=friend\nrealm=inside\nhost=10.0.0.9\nsecret=x\n");
	assert_int_equal(registrar_count(t->r), 0);
	assert_true(registrar_has_users(t->r, &peers_conf(t->peers)->realms[0]) ||
		    registrar_has_users(t->r, &peers_conf(t->peers)->realms[1]));
	reload(t, REALMS);
	assert_false(registrar_has_users(t->r, &peers_conf(t->peers)->realms[0]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(names),
		TEST(binding),
		TEST(newest_first),
		TEST(unbinding),
		TEST(older_is_refused),
		TEST(whole_or_not_at_all),
		TEST(who_does_not_register),
		TEST(expires),
		TEST(reloaded),
	};

	return cmocka_run_group_tests_name("registrar", tests, NULL, NULL);
}
