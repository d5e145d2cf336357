// SPDX-License-Identifier: GPL-2.0-or-later
/* Which peer a source is, which route a number takes, and where a peer without a realm lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer/peer.h"

#define REALMS                                                                                     \
	"[inside]\ntype=realm\ninterface=eth0\nbind=udp:10.0.0.1,udp:[2001:db8::1]\n"              \
	"media=10.0.0.1\n"                                                                         \
	"[outside]\ntype=realm\ninterface=eth1\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"

static struct conf *load(const char *text)
{
	struct conf *conf = NULL;
	char path[64], why[512] = "";
	int fd = memfd_create("conf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_load(&conf, path, why, sizeof(why)))
		fail_msg("%s", why);
	close(fd);
	return conf;
}

/* The tables keep the only reference. */
static struct peers *tables(const char *text)
{
	struct conf *conf = load(text);
	struct peers *peers = NULL;
	char why[512] = "";

	if (peers_new(&peers, conf, why, sizeof(why)))
		fail_msg("%s", why);
	assert_ptr_equal(peers_conf(peers), conf);
	conf_unref(conf);
	return peers;
}

static void source_finds_its_peer(void **state)
{
	struct peers *peers =
		tables(REALMS "[assumed]\ntype=peer\nrealm=outside\nhost=192.0.2.50\n"
			      "[written]\ntype=peer\nrealm=outside\nhost=192.0.2.50:5060\n"
			      "[other_port]\ntype=peer\nrealm=outside\nhost=192.0.2.50:5070\n"
			      "[twin]\ntype=peer\nrealm=outside\nhost=192.0.2.50:5070\n"
			      "[only_port]\ntype=peer\nrealm=outside\nhost=192.0.2.51:5070\n"
			      "[inner]\ntype=peer\nrealm=inside\nhost=192.0.2.50\n"
			      "[six]\ntype=peer\nrealm=inside\nhost=2001:db8::50\n"
			      "[refused]\ntype=peer\nrealm=inside\nhost=10.0.0.9\ndeny=0.0.0.0/0\n"
			      "[choosy]\ntype=peer\nrealm=inside\nhost=10.0.0.10\ndeny=0.0.0.0/0\n"
			      "permit=10.0.0.8/29\n");
	static const struct {
		unsigned int realm;
		const char *source;
		const char *peer;
	} rows[] = {
		{1, "192.0.2.50:5060", "written"}, {1, "192.0.2.50:5070", "other_port"},
		{1, "192.0.2.50:1024", "assumed"}, {1, "192.0.2.51:5060", "only_port"},
		{1, "192.0.2.52:5060", NULL},	   {0, "192.0.2.50:5060", "inner"},
		{0, "192.0.2.51:5070", NULL},	   {0, "[2001:db8::50]:7", "six"},
		{1, "[2001:db8::50]:5060", NULL},  {0, "10.0.0.9:5060", NULL},
		{0, "10.0.0.10:5060", "choosy"},
	};
	const struct conf *conf = peers_conf(peers);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct conf_peer *peer;
		struct addr source;

		assert_int_equal(addr_parse(&source, rows[i].source), 0);
		peer = peer_by_source(peers, &conf->realms[rows[i].realm], &source);
		if (rows[i].peer)
			assert_string_equal(peer ? peer->name : rows[i].source, rows[i].peer);
		else
			assert_null(peer);
	}
	peers_unref(peers);
}

static void written_realm_is_taken(void **state)
{
	struct peers *peers = tables(REALMS "[a]\ntype=peer\nrealm=outside\nhost=10.0.0.9\n");
	const struct conf *conf = peers_conf(peers);

	(void)state;
	assert_ptr_equal(peer_realm(peers, &conf->peers[0]), &conf->realms[1]);
	peers_unref(peers);
}

static void only_realm_is_taken(void **state)
{
	struct peers *peers =
		tables("[r]\ntype=realm\ninterface=x\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"
		       "[a]\ntype=peer\nhost=203.0.113.9\n");
	const struct conf *conf = peers_conf(peers);

	(void)state;
	assert_ptr_equal(peer_realm(peers, &conf->peers[0]), &conf->realms[0]);
	peers_unref(peers);
}

/* Towards 127.0.0.0/8 the kernel's own address is 127.0.0.1, on lo. */
static void kernel_knows_the_realm(void **state)
{
	static const char *const realms[] = {
		"[far]\ntype=realm\ninterface=x\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"
		"[near]\ntype=realm\ninterface=y\nbind=udp:127.0.0.1\nmedia=127.0.0.9\n",
		"[far]\ntype=realm\ninterface=x\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"
		"[near]\ntype=realm\ninterface=y\nbind=udp:127.0.0.9\nmedia=127.0.0.1\n",
		"[far]\ntype=realm\ninterface=x\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"
		"[near]\ntype=realm\ninterface=y,lo\nbind=udp:127.0.0.9\nmedia=127.0.0.9\n",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
		struct peers *peers;

		snprintf(text, sizeof(text), "%s[a]\ntype=peer\nhost=127.5.5.5\n", realms[i]);
		peers = tables(text);
		assert_string_equal(peer_realm(peers, &peers_conf(peers)->peers[0])->name, "near");
		peers_unref(peers);
	}
}

static void homeless_peer_is_named(void **state)
{
	struct conf *conf = load(REALMS "[a]\ntype=peer\nrealm=inside\nhost=10.0.0.2\n"
					"[b]\ntype=peer\nhost=127.5.5.5\n");
	struct peers *peers = NULL;
	char why[512];

	(void)state;
	assert_int_equal(peers_new(&peers, conf, why, sizeof(why)), -EHOSTUNREACH);
	assert_null(peers);
	assert_non_null(strstr(why, ":15: peer 'b': no realm's interface leads to 127.5.5.5: say "
				    "which with 'realm = NAME'"));
	conf_unref(conf);
	peers_unref(NULL);
}

static void transport_fits_its_realm(void **state)
{
	struct conf *conf = load("[one]\ntype=realm\ninterface=x\nbind=udp:192.0.2.1\n"
				 "media=192.0.2.1\n[a]\ntype=peer\nhost=192.0.2.9\n"
				 "transport=udp,tls\n[b]\ntype=peer\nhost=192.0.2.9\n"
				 "transport=tls\n");
	struct peers *peers = NULL;
	char why[512];

	(void)state;
	assert_int_equal(peers_new(&peers, conf, why, sizeof(why)), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, ":10: peer 'b': realm 'one' binds none of its transports"));
	conf_unref(conf);
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern;
		const char *number;
		bool matches;
	} rows[] = {
		{"_X", "0", true},
		{"_X", "9", true},
		{"_X", "a", false},
		{"_X", "", false},
		{"_X", "00", false},
		{"_Z", "0", false},
		{"_Z", "1", true},
		{"_N", "1", false},
		{"_N", "2", true},
		{"_x", "5", true},
		{"_n", "1", false},
		{"_+X.", "+49", true},
		{"_+X.", "+4", false},
		{"_+X.", "49", false},
		{"_+X!", "+4", true},
		{"_.", "alice", true},
		{"_.", "", false},
		{"_!", "", true},
		{"_[1-3]X", "35", true},
		{"_[1-3]X", "45", false},
		{"_[1-3]X", "3", false},
		{"_[a-c9]", "b", true},
		{"_[a-c9]", "9", true},
		{"_[a-c9]", "d", false},
		{"_[1-]", "-", true},
		{"_[15-79]", "6", true},
		{"_[15-79]", "8", false},
		{"_NXX-XXXX", "5551234", true},
		{"_NXX-XXXX", "555-1234", false},
		{"_abX", "ab5", true},
		{"_abX", "AB5", false},
		{"_[1-3", "2", false},
		{"_", "", true},
		{"_", "1", false},
		{"100", "100", true},
		{"100", "1001", true},
		{"100", "10", false},
		{"100", "2100", false},
		{"X", "5", false},
		{"*8", "*81", true},
		{"_[\xc0-\xff]", "\xe4", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (route_pattern_matches(rows[i].pattern, rows[i].number) != rows[i].matches)
			fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].number);
}

#define ROUTES                                                                                     \
	REALMS "[a]\ntype=peer\nrealm=inside\nhost=10.0.0.2\n"                                     \
	       "[b]\ntype=peer\nrealm=inside\nhost=10.0.0.3\n"                                     \
	       "[p]\ntype=peer\nrealm=outside\nhost=192.0.2.50\n"                                  \
	       "[of_a]\ntype=route\nfrom=a\nmatch=_8XX\nto=p\nstrip=1\nprepend=+9\n"               \
	       "[inner]\ntype=route\nfrom=inside\nmatch=_8.\nto=p\n"                               \
	       "[mapped]\ntype=route\nmatch=112\nto=p\nstrip=3\nprepend=911\n"                     \
	       "[stripped]\ntype=route\nmatch=5\nto=p\nstrip=2\n"                                  \
	       "[second]\ntype=route\nfrom=outside\nmatch=5\nto=a,b\n"                             \
	       "[long]\ntype=route\nmatch=6\nto=p\nprepend=123456789\n"

static void number_finds_its_route(void **state)
{
	struct peers *peers = tables(ROUTES);
	const struct conf *conf = peers_conf(peers);
	static const struct {
		unsigned int realm, from;
		const char *number;
		const char *route;
		const char *dialled;
	} rows[] = {
		{0, 0, "812", "of_a", "+912"},
		{0, 1, "812", "inner", "812"},
		{0, 0, "8123", "inner", "8123"},
		{1, 2, "812", NULL, NULL},
		{1, 2, "112", "mapped", "911"},
		{0, 0, "500", "stripped", "0"},
		{1, 2, "50", "second", "50"}, /* nothing is left after [stripped] */
		{1, 2, "5", "second", "5"},   /* less than [stripped] strips */
		{0, 0, "50", NULL, NULL},
		{0, 0, "67", "long", "12345678967"},
		{0, 0, "6789012", NULL, NULL}, /* 17 bytes with its NUL */
		{0, 0, "678901", "long", "123456789678901"},
		{0, 0, "", NULL, NULL},
		{0, 0, "999", NULL, NULL},
	};
	char dialled[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct conf_route *route =
			route_find(peers, &conf->realms[rows[i].realm], &conf->peers[rows[i].from],
				   rows[i].number, dialled, sizeof(dialled));

		if (!rows[i].route) {
			assert_null(route);
			continue;
		}
		assert_string_equal(route ? route->name : rows[i].number, rows[i].route);
		assert_string_equal(dialled, rows[i].dialled);
	}
	peers_unref(peers);
}

/* After a reload the sockets still speak of the realms of the snapshot before. */
static void realm_of_an_older_snapshot(void **state)
{
	struct peers *old = tables(ROUTES), *now = tables(ROUTES);
	const struct conf_realm *realm = &peers_conf(old)->realms[0];
	const struct conf_peer *from;
	struct addr source;
	char dialled[16];

	(void)state;
	assert_int_equal(addr_parse(&source, "10.0.0.2:5060"), 0);
	from = peer_by_source(now, realm, &source);
	assert_ptr_equal(from, &peers_conf(now)->peers[0]);
	assert_string_equal(route_find(now, realm, from, "8999", dialled, sizeof(dialled))->name,
			    "inner");
	peers_unref(old);
	peers_unref(now);
}

static void many_peers(void **state)
{
	enum { N = 5000 };
	struct peers *peers;
	const struct conf *conf;
	size_t size = 1 << 20, len;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	len = (size_t)snprintf(text, size, "%s", REALMS);
	for (unsigned int i = 0; i < N; i++)
		len += (size_t)snprintf(text + len, size - len,
					"[n%u]\ntype=peer\nrealm=%s\nhost=10.1.%u.%u\n", i,
					i % 2 ? "inside" : "outside", i / 250, i % 250 + 1);
	assert_true(len < size);
	peers = tables(text);
	conf = peers_conf(peers);
	for (unsigned int i = 0; i < N; i++) {
		struct addr source = addr_with_port(&conf->peers[i].host, 40000);

		assert_ptr_equal(peer_by_source(peers, &conf->realms[1 - i % 2], &source),
				 &conf->peers[i]);
		assert_null(peer_by_source(peers, &conf->realms[i % 2], &source));
	}
	peers_unref(peers);
	free(text);
}

static void limits_of_a_peer(void **state)
{
	struct conf_peer peer = {.call_limit = 2, .callrate = 2};
	struct peer_load *load = peer_load_new();

	(void)state;
	assert_non_null(load);
	assert_int_equal(peer_load_ask(load, &peer, 5000), 0);
	assert_int_equal(peer_load_ask(load, &peer, 5000), 0);
	assert_int_equal(peer_load_ask(load, &peer, 5499), -EAGAIN);
	assert_int_equal(peer_load_ask(load, &peer, 5500), 0);
	assert_int_equal(peer_load_ask(load, &peer, 5999), -EAGAIN);
	/* A long pause saves up no more than one second's calls. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(peer_load_ask(load, &peer, 3600000), 0);
	assert_int_equal(peer_load_ask(load, &peer, 3600000), -EAGAIN);
	peer_load_begin(load);
	peer_load_begin(load);
	assert_int_equal(peer_load_ask(load, &peer, 7200000), -EUSERS);
	/* The call goes on counting in what nothing else holds any more. */
	peer_load_unref(load);
	peer_load_end(load);
	assert_int_equal(load->calls, 1);
	assert_int_equal(peer_load_ask(load, &peer, 7200000), 0);
	peer_load_end(load);
}

static void rest_is_bounded(void **state)
{
	struct peer_load *load = peer_load_new();

	(void)state;
	assert_non_null(load);
	assert_int_equal(peer_load_rests(load, 0), 0);
	peer_load_rest(load, 1000, 5);
	assert_int_equal(peer_load_rests(load, 1000), 5);
	assert_int_equal(peer_load_rests(load, 5001), 1);
	assert_int_equal(peer_load_rests(load, 6000), 0);
	peer_load_rest(load, 1000, 86400);
	assert_int_equal(peer_load_rests(load, 1000), PEER_REST_MAX_S);
	peer_load_unref(load);
}

static void load_survives_a_reload(void **state)
{
	struct peers *before = tables(REALMS "[a]\ntype=peer\nhost=10.0.0.9\nrealm=inside\n"
					     "[gone]\ntype=peer\nhost=10.0.0.8\nrealm=inside\n");
	struct peers *after = tables(REALMS "[new]\ntype=peer\nhost=10.0.0.8\nrealm=inside\n"
					    "[a]\ntype=peer\nhost=10.0.0.7\nrealm=inside\n");
	struct peer_load *load = peer_load_of(before, &peers_conf(before)->peers[0]);

	(void)state;
	peer_load_begin(load);
	peers_inherit(after, before);
	peers_unref(before);
	assert_ptr_equal(peer_load_of(after, &peers_conf(after)->peers[1]), load);
	assert_int_equal(load->calls, 1);
	assert_int_equal(peer_load_of(after, &peers_conf(after)->peers[0])->calls, 0);
	peer_load_end(load);
	peers_unref(after);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_finds_its_peer),
		cmocka_unit_test(written_realm_is_taken),
		cmocka_unit_test(only_realm_is_taken),
		cmocka_unit_test(kernel_knows_the_realm),
		cmocka_unit_test(homeless_peer_is_named),
		cmocka_unit_test(transport_fits_its_realm),
		cmocka_unit_test(patterns),
		cmocka_unit_test(number_finds_its_route),
		cmocka_unit_test(realm_of_an_older_snapshot),
		cmocka_unit_test(many_peers),
		cmocka_unit_test(limits_of_a_peer),
		cmocka_unit_test(rest_is_bounded),
		cmocka_unit_test(load_survives_a_reload),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
