// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every NAME.conf of tests/golden/conf beside a NAME.out (what conf_print() says) or a NAME.err
 * (the exact fault), the round trip of every good one, and what goldens cannot say. Run from the
 * top.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"

enum { WHY = 1024 };

#define REALMS                                                                                     \
	"[inside]\ntype=realm\ninterface=eth0\nbind=udp:10.0.0.1\nmedia=10.0.0.1\n"                \
	"[outside]\ntype=realm\ninterface=eth1\nbind=udp:192.0.2.1\nmedia=192.0.2.1\n"

static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;

	assert_non_null(file);
	if (getdelim(&text, &cap, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

static char *printed(const struct conf *conf)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	conf_print(conf, out);
	fclose(out);
	return text;
}

/* Loads bytes that lie in no folder. */
static int load_bytes(struct conf **conf, const char *bytes, size_t len, char why[WHY])
{
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = conf_load(conf, path, why, WHY);
	close(fd);
	return rc;
}

static struct conf *load_text(const char *text)
{
	struct conf *conf = NULL;
	char why[WHY] = "";

	if (load_bytes(&conf, text, strlen(text), why))
		fail_msg("%s", why);
	return conf;
}

static void assert_round_trip(const struct conf *conf)
{
	char *first = printed(conf), *second;
	struct conf *again = load_text(first);

	second = printed(again);
	assert_string_equal(first, second);
	assert_int_equal(conf->n_ignored, again->n_ignored);
	assert_null(conf_reload_obstacle(conf, again));
	conf_unref(again);
	free(first);
	free(second);
}

static void golden_good(const char *path, const char *expected)
{
	struct conf *conf = NULL;
	char why[WHY] = "", *text;

	if (conf_load(&conf, path, why, sizeof(why)))
		fail_msg("%s", why);
	text = printed(conf);
	assert_string_equal(text, expected);
	free(text);
	assert_round_trip(conf);
	conf_unref(conf);
}

static void golden_bad(const char *path, const char *expected)
{
	struct conf *conf = NULL;
	char why[WHY] = "";

	assert_int_equal(conf_load(&conf, path, why, sizeof(why)), -EINVAL);
	assert_null(conf);
	strcat(why, "\n");
	assert_string_equal(why, expected);
}

static void golden(void **state)
{
	const char *path = *state;
	size_t stem = strlen(path) - strlen(".conf");
	char out[256], err[256], *expected;
	bool good;

	snprintf(out, sizeof(out), "%.*s.out", (int)stem, path);
	snprintf(err, sizeof(err), "%.*s.err", (int)stem, path);
	good = access(out, R_OK) == 0;
	assert_int_not_equal(good, access(err, R_OK) == 0);
	expected = slurp(good ? out : err);
	if (good)
		golden_good(path, expected);
	else
		golden_bad(path, expected);
	free(expected);
}

static void unreadable_file_is_named(void **state)
{
	struct conf *conf = NULL;
	char why[WHY];

	(void)state;
	assert_int_equal(conf_load(&conf, "nowhere.conf", why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "nowhere.conf: No such file or directory");
	assert_int_equal(conf_load(&conf, ".", why, sizeof(why)), -EISDIR);
	assert_string_equal(why, ".: Is a directory");
	assert_null(conf);
}

static void short_reason_is_cut(void **state)
{
	struct conf *conf = NULL;
	char why[8];

	(void)state;
	assert_int_equal(conf_load(&conf, "bad_realm_xdp.conf", why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "bad_rea");
}

static void values_of_a_snapshot(void **state)
{
	struct conf *conf = load_text(
		"[general]\nlease=7\nmax_calls=9\ncdr=/c\n" REALMS
		"[p]\ntype=friend\nhost=192.0.2.50\nallow=!all,ulaw\ncanreinvite=update,nonat\n"
		"asymmetric=1\nnat=force_rport\ndtmfmode=info\n"
		"[q]\ntype=peer\nrealm=outside\nhost=192.0.2.51:5070\n"
		"[r]\ntype=route\nfrom=inside\nmatch=_X.\nto=q,p\nstrip=2\nprepend=0\n"
		"options=tKL(9000:3000:1000)S(5)\ntimeout=20\n[s]\ntype=route\nfrom=q\nto=p\n");
	const struct conf_peer *p = &conf->peers[0], *q = &conf->peers[1];
	const struct conf_route *r = &conf->routes[0];

	(void)state;
	assert_int_equal(conf->lease_s, 7);
	assert_int_equal(conf->max_calls, 9);
	assert_string_equal(conf->cdr, "/c");
	assert_int_equal(conf->n_realms, 2);
	assert_int_equal(conf->realms[1].index, 1);
	assert_int_equal(conf->realms[1].line, 10);
	assert_int_equal(conf->realms[1].binds[0].addr.port, 5060);
	assert_int_equal(conf->realms[0].media[0].port, 0);
	assert_string_equal(p->type, "friend");
	assert_null(p->realm);
	assert_int_equal(p->host.port, 5060);
	assert_false(p->port_written);
	assert_int_equal(p->canreinvite, CANREINVITE_UPDATE | CANREINVITE_NONAT);
	assert_true(p->asymmetric);
	assert_int_equal(p->nat, NAT_FORCE_RPORT);
	assert_int_equal(p->dtmf, DTMF_INFO);
	assert_int_equal(p->codecs.n_only, 1);
	assert_string_equal(p->codecs.only[0], "PCMU");
	assert_ptr_equal(q->realm, &conf->realms[1]);
	assert_true(q->port_written);
	assert_ptr_equal(r->from_realm, &conf->realms[0]);
	assert_null(r->from_peer);
	assert_int_equal(r->n_to, 2);
	assert_ptr_equal(r->to[0], q);
	assert_ptr_equal(r->to[1], p);
	assert_int_equal(r->dial.letters, 1u << ('t' - 'a'));
	assert_int_equal(r->dial.upper, 1u << ('K' - 'A') | 1u << ('L' - 'A') | 1u << ('S' - 'A'));
	assert_int_equal(r->dial.limit_ms, 9000);
	assert_int_equal(r->dial.warn_ms, 3000);
	assert_int_equal(r->dial.repeat_ms, 1000);
	assert_int_equal(r->dial.stop_s, 5);
	assert_ptr_equal(conf->routes[1].from_peer, q);
	conf_unref(conf);
}

static void codecs_by_sdp_name(void **state)
{
	struct conf *conf = load_text(REALMS "[a]\ntype=peer\nhost=10.0.0.2\n"
					     "[b]\ntype=peer\nhost=10.0.0.3\ndisallow=g729,ulaw\n"
					     "allow=ulaw\n[c]\ntype=peer\nhost=10.0.0.4\n"
					     "disallow=all\nallow=ilbc,alaw,gsm\ndisallow=gsm\n");
	static const struct {
		const char *encoding;
		bool allowed[3];
	} rows[] = {
		{"PCMU", {true, true, false}},	{"pcma", {true, true, true}},
		{"G729", {true, false, false}}, {"ILBC", {true, true, true}},
		{"GSM", {true, true, false}},	{"x-unheard-of", {true, true, false}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t p = 0; p < 3; p++)
			assert_int_equal(
				conf_codec_allowed(&conf->peers[p].codecs, rows[i].encoding),
				rows[i].allowed[p]);
	conf_unref(conf);
}

static void last_matching_rule_decides(void **state)
{
	struct conf *conf =
		load_text(REALMS "[a]\ntype=peer\nhost=10.0.0.2\n"
				 "deny=0.0.0.0/0.0.0.0\npermit=10.0.0.0/8,!10.1.0.0/16\n"
				 "permit=10.1.2.3\n[b]\ntype=peer\nhost=10.0.0.3\n");
	static const struct {
		const char *address;
		bool permitted;
	} rows[] = {
		{"192.0.2.1", false}, {"10.9.9.9", true},    {"10.1.2.2", false},
		{"10.1.2.3", true},   {"2001:db8::1", true},
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(addr_parse(&a, rows[i].address), 0);
		assert_int_equal(conf_acl_permits(&conf->peers[0].acl, &a), rows[i].permitted);
		assert_true(conf_acl_permits(&conf->peers[1].acl, &a));
	}
	conf_unref(conf);
}

static void quirk_patterns(void **state)
{
	static const struct {
		const char *pattern, *agent;
		bool matches;
	} rows[] = {
		{"Cisco ATA 186*", "Cisco ATA 186  v3.2.0", true},
		{"cisco ata 186*", "Cisco ATA 186", true},
		{"Cisco ATA 186*", "Cisco ATA 18", false},
		{"Cisco ATA 186*", "A Cisco ATA 186", false},
		{"Cisco", "Cisco ATA", false},
		{"*", "", true},
		{"*", "x", true},
		{"a*b*c", "aXbXbc", true},
		{"a*b*c", "aXbXbcX", false},
		{"*.2", "v1.2.3.2", true},
		{"a[b]?", "a[b]?", true},
		{"a[b]?", "abc", false},
		{"**x**", "yxy", true},
		{"x", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf_quirk first = {.pattern = rows[i].pattern},
				  second = {.pattern = "none such", .before = &first};
		struct conf_peer peer = {.quirks = &second};

		if (conf_peer_has_quirk(&peer, rows[i].agent) != rows[i].matches)
			fail_msg("'%s' '%s'", rows[i].pattern, rows[i].agent);
	}
	assert_false(conf_peer_has_quirk(&(struct conf_peer){.quirks = NULL}, "x"));
}

static void canreinvite_texts(void **state)
{
	static const struct {
		unsigned int bits;
		const char *text;
	} rows[] = {
		{0, "no"},
		{CANREINVITE_YES, "yes"},
		{CANREINVITE_NONAT, "nonat"},
		{CANREINVITE_UPDATE | CANREINVITE_NONAT, "update,nonat"},
		{CANREINVITE_OUTGOING, "outgoing"},
		{15, "yes,update,nonat,outgoing"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(conf_canreinvite_text(rows[i].bits, text), rows[i].text);
}

#define LAN(extra) "[lan]\ntype=realm\ninterface=e\nbind=udp:10.0.0.1\nmedia=10.0.0.1\n" extra

static void reload_obstacles(void **state)
{
	static const struct {
		const char *next;
		const char *obstacle;
	} rows[] = {
		{LAN(""), NULL},
		{LAN("[general]\nlease=9\ncdr=/x\nmax_calls=1\nrtptimeout=1\n"), NULL},
		{LAN("[p]\ntype=peer\nhost=10.0.0.2\n[r]\ntype=route\nto=p\n"), NULL},
		{LAN("ports=10001-59999\nports=10000-59999\n"), NULL},
		{LAN("[general]\nbpffs=/x\n"), "bpffs"},
		{LAN("[general]\ncontrol=/x\n"), "control"},
		{LAN("[general]\nmetrics=off\n"), "metrics"},
		{LAN("[general]\nstate=off\n"), "state"},
		{LAN("direct=lan\n[general]\nquirk=x*:no-reinvite\n"), NULL},
		{LAN("interface=e,f\n"), "realm 'lan': interface"},
		{LAN("bind=udp:10.0.0.1:5061\n"), "realm 'lan': bind"},
		{LAN("media=10.0.0.2\n"), "realm 'lan': media"},
		{LAN("media=10.0.0.1,10.0.0.2\n"), "realm 'lan': media"},
		{LAN("ports=10000-59997\n"), "realm 'lan': ports"},
		{LAN("xdp=generic\n"), "realm 'lan': xdp"},
		{LAN("advertise=10.0.0.1\n"), "realm 'lan': advertise"},
		{REALMS, "realm 'inside' stands where 'lan' was"},
		{LAN("[b]\ntype=realm\ninterface=f\nbind=udp:10.0.0.2\nmedia=10.0.0.2\n"),
		 "realm 'b' is new"},
	};
	struct conf *now = load_text(LAN("")), *two;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *next = load_text(rows[i].next);
		const char *obstacle = conf_reload_obstacle(now, next);

		if (rows[i].obstacle)
			assert_string_equal(obstacle, rows[i].obstacle);
		else
			assert_null(obstacle);
		conf_unref(next);
	}
	two = load_text(LAN("[b]\ntype=realm\ninterface=f\nbind=udp:10.0.0.2\nmedia=10.0.0.2\n"));
	assert_string_equal(conf_reload_obstacle(two, now), "realm 'b' is gone");
	conf_unref(two);
	conf_unref(now);
}

/* The sanitizer is the judge: used after the last one it would say so, freed too late it leaks. */
static void references_are_counted(void **state)
{
	struct conf *conf = load_text(REALMS);

	(void)state;
	assert_ptr_equal(conf_ref(conf), conf);
	conf_unref(conf);
	assert_string_equal(conf->realms[1].name, "outside");
	conf_unref(conf);
	conf_unref(NULL);
}

/* Each level takes the keys of the one before twice. */
static void inheritance_is_bounded(void **state)
{
	struct conf *conf = NULL;
	char text[4096] = "[t0](!)\ntype = peer\n", why[WHY];
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "[t%d](!,t%d,t%d)\n", i,
					i - 1, i - 1);
	assert_int_equal(load_bytes(&conf, text, len, why), -EINVAL);
	assert_non_null(strstr(why, ":16: [t14] has more than 10000 keys"));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A chain of files too deep, and a flat file that includes too often. */
/* There is room for each name of the table once. */
static void ignored_sections_count_once(void **state)
{
	static const char section[] = "[authentication]\nauth = x\n";
	char *text = calloc(1, sizeof(REALMS) + 1000 * sizeof(section)), *end;
	struct conf *conf;

	(void)state;
	assert_non_null(text);
	end = stpcpy(text, REALMS);
	for (int i = 0; i < 1000; i++)
		end = stpcpy(end, section);
	conf = load_text(text);
	assert_int_equal(conf->n_ignored, 1);
	assert_round_trip(conf);
	conf_unref(conf);
	free(text);
}

static void includes_are_bounded(void **state)
{
	char dir[] = "/tmp/conf_test.XXXXXX", path[128], line[64], why[WHY];
	struct conf *conf = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 13; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		snprintf(line, sizeof(line), "\n#include \"%d\"\n", i + 1);
		write_file(path, line);
	}
	snprintf(path, sizeof(path), "%s/0", dir);
	assert_int_equal(conf_load(&conf, path, why, sizeof(why)), -EINVAL);
	snprintf(path, sizeof(path), "%s/10:2: #include '11': nested more than 10 deep", dir);
	assert_string_equal(why, path);

	snprintf(path, sizeof(path), "%s/12", dir);
	write_file(path, "");
	snprintf(path, sizeof(path), "%s/0", dir);
	write_file(path, "");
	for (int i = 0; i < 1001; i++) {
		FILE *file = fopen(path, "a");

		assert_non_null(file);
		fputs("#include <12>\n", file);
		fclose(file);
	}
	assert_int_equal(conf_load(&conf, path, why, sizeof(why)), -EINVAL);
	snprintf(path, sizeof(path), "%s/0:1000: #include '12': more than 1000 files", dir);
	assert_string_equal(why, path);
	for (int i = 0; i < 13; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

/* A small generator with a fixed seed: the same bytes in every run. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void mutate(char *bytes, size_t *len, uint32_t *seed)
{
	static const char marks[] = ";[](),=>!\\\"#-\n\n.:/ L";
	size_t n = 1 + next_random(seed) % 3;

	for (; n && *len; n--) {
		size_t at = next_random(seed) % *len, run = 1 + next_random(seed) % 9;

		switch (next_random(seed) % 4) {
		case 0:
			bytes[at] = (char)next_random(seed);
			break;
		case 1:
			bytes[at] = marks[next_random(seed) % (sizeof(marks) - 1)];
			break;
		case 2:
			run = run > *len - at ? *len - at : run;
			memmove(bytes + at, bytes + at + run, *len - at - run);
			*len -= run;
			break;
		default:
			run = run > *len - at ? *len - at : run;
			memmove(bytes + next_random(seed) % (*len - run + 1), bytes + at, run);
		}
	}
}

/* Whatever the bytes: a fault with a reason, or a snapshot that survives its own print. */
static void damaged_files_never_crash(void **state)
{
	char why[WHY], *base, *bytes;
	uint32_t seed = 20240607;
	size_t len, base_len;
	glob_t found;
	unsigned int good = 0, bad = 0;

	(void)state;
	assert_int_equal(glob("*.out", 0, NULL, &found), 0);
	for (size_t i = 0; i < 6000; i++) {
		struct conf *conf = NULL;

		base = slurp(found.gl_pathv[i % found.gl_pathc]);
		base_len = len = strlen(base);
		bytes = malloc(base_len + 1);
		assert_non_null(bytes);
		memcpy(bytes, base, base_len);
		mutate(bytes, &len, &seed);
		why[0] = '\0';
		if (load_bytes(&conf, bytes, len, why)) {
			assert_true(strlen(why) > 0);
			bad++;
		} else {
			assert_round_trip(conf);
			conf_unref(conf);
			good++;
		}
		free(bytes);
		free(base);
	}
	globfree(&found);
	assert_true(good > 50);
	assert_true(bad > 50);
}

static void example_is_good(void **state)
{
	struct conf *conf = NULL;
	char why[WHY] = "";

	(void)state;
	if (conf_load(&conf, "../../../controller/conf/rtpfwd.conf.example", why, sizeof(why)))
		fail_msg("%s", why);
	assert_round_trip(conf);
	conf_unref(conf);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(unreadable_file_is_named),
		cmocka_unit_test(short_reason_is_cut),
		cmocka_unit_test(values_of_a_snapshot),
		cmocka_unit_test(codecs_by_sdp_name),
		cmocka_unit_test(last_matching_rule_decides),
		cmocka_unit_test(quirk_patterns),
		cmocka_unit_test(canreinvite_texts),
		cmocka_unit_test(reload_obstacles),
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(inheritance_is_bounded),
		cmocka_unit_test(ignored_sections_count_once),
		cmocka_unit_test(includes_are_bounded),
		cmocka_unit_test(damaged_files_never_crash),
		cmocka_unit_test(example_is_good),
	};
	const size_t n_fixed = sizeof(fixed) / sizeof(fixed[0]);
	struct CMUnitTest *tests;
	glob_t found;
	int rc;

	if (chdir("tests/golden/conf") != 0 || glob("*.conf", 0, NULL, &found) != 0) {
		fprintf(stderr, "no tests/golden/conf/*.conf below this folder\n");
		return 1;
	}
	tests = calloc(n_fixed + found.gl_pathc, sizeof(*tests));
	if (!tests)
		return 1;
	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < found.gl_pathc; i++)
		tests[n_fixed + i] = (struct CMUnitTest){
			.name = found.gl_pathv[i],
			.test_func = golden,
			.initial_state = found.gl_pathv[i],
		};
	rc = _cmocka_run_group_tests("conf", tests, n_fixed + found.gl_pathc, NULL, NULL);
	free(tests);
	globfree(&found);
	return rc;
}
