// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices that do not stand re-INVITEs: when it is learned, of whom, for how long, and what is kept
 * of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/quirk.h"

#define NOW   1800000000
#define ATA   "Cisco ATA 186 v3.2"
#define DAY   QUIRK_LASTS_S
#define ALICE "alice"

struct fixture {
	char folder[32], path[64];
	struct quirks *q;
};

static void open_quirks(struct fixture *f, int64_t now_s)
{
	quirks_free(f->q);
	assert_int_equal(quirks_new(&f->q, f->folder, now_s), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/quirksXXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/quirks.json", f->folder);
	open_quirks(f, NOW);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	quirks_free(f->q);
	unlink(f->path);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

/* Calls numbered from `first` on that ended so, the last at `now_s`. */
static void calls(struct fixture *f, const char *agent, uint64_t first, const char *outcomes,
		  int64_t now_s)
{
	for (; *outcomes; outcomes++)
		quirks_note(f->q, ALICE, agent, first++,
			    *outcomes == 'R'   ? QUIRK_REFUSED
			    : *outcomes == 'I' ? QUIRK_IGNORED_C
			    : *outcomes == 'T' ? QUIRK_TIMED_OUT
					       : QUIRK_WORKED,
			    now_s);
}

static bool learned(struct fixture *f, const char *agent, int64_t now_s)
{
	return quirks_no_reinvite(f->q, ALICE, agent, now_s);
}

struct seen {
	size_t n;
	struct quirk_report last;
	char agent[128], peer[128];
};

static void see(void *ctx, const struct quirk_report *report)
{
	struct seen *seen = ctx;

	seen->n++;
	seen->last = *report;
	snprintf(seen->agent, sizeof(seen->agent), "%s", report->agent);
	snprintf(seen->peer, sizeof(seen->peer), "%s", report->peer);
}

static struct seen look(struct fixture *f, const char *peer, int64_t now_s)
{
	struct seen seen = { 0 };

	quirks_each(f->q, peer, now_s, see, &seen);
	return seen;
}

static void three_of_five_calls(void **state)
{
	static const struct {
		const char *outcomes;
		bool learned;
	} cases[] = {
		{ "RR", false },     { "RRR", true },	   { "III", true },
		{ "TTT", true },     { "RIT", true },	   { "RWRWR", true },
		{ "RWWRR", true },   { "RWWWRR", false },  { "RWRWWR", false },
		{ "WWWWRR", false }, { "WWWWWRRR", true }, { "RWWWWRWWWWR", false },
	};
	struct fixture *f = *state;
	char agent[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(agent, sizeof(agent), "ua %zu", i);
		calls(f, agent, 1, cases[i].outcomes, NOW);
		if (learned(f, agent, NOW) != cases[i].learned)
			fail_msg("%s", cases[i].outcomes);
	}
}

/* One call that is refused ten times is one call. */
static void distinct_calls(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		calls(f, ATA, 7, "R", NOW);
	calls(f, ATA, 8, "R", NOW);
	assert_false(learned(f, ATA, NOW));
	/* What went wrong once did, whatever came after. */
	calls(f, ATA, 7, "W", NOW);
	calls(f, ATA, 9, "R", NOW);
	assert_true(learned(f, ATA, NOW));
}

/* A trunk is not poisoned as a whole (canreinvite.md pitfall 70). */
static void pitfall_70_one_device_of_a_trunk(void **state)
{
	struct fixture *f = *state;

	calls(f, ATA, 1, "RRR", NOW);
	assert_true(learned(f, ATA, NOW));
	assert_false(learned(f, "Cisco ATA 186 v3.3", NOW));
	assert_false(learned(f, "", NOW));
	assert_false(quirks_no_reinvite(f->q, "bob", ATA, NOW));
	assert_false(quirks_no_reinvite(f->q, "alic", ATA, NOW));
}

static void for_a_day(void **state)
{
	struct fixture *f = *state;
	struct seen seen;

	calls(f, ATA, 1, "RRI", NOW);
	assert_true(learned(f, ATA, NOW + DAY - 1));
	assert_false(learned(f, ATA, NOW + DAY));
	seen = look(f, NULL, NOW);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.peer, ALICE);
	assert_string_equal(seen.agent, ATA);
	assert_string_equal(seen.last.cause, "ignored_c");
	assert_int_equal(seen.last.since_s, NOW);
	assert_int_equal(seen.last.until_s, NOW + DAY);
	assert_int_equal(look(f, NULL, NOW + DAY).n, 0);
	assert_int_equal(look(f, "bob", NOW).n, 0);
}

/* It crashed on our re-INVITE (canreinvite.md pitfall 2). */
static void timeout_then_register(void **state)
{
	struct fixture *f = *state;

	quirks_registered(f->q, ALICE, ATA, NOW);
	assert_false(learned(f, ATA, NOW));
	calls(f, ATA, 1, "T", NOW);
	assert_false(learned(f, ATA, NOW));
	quirks_registered(f->q, ALICE, "another", NOW + 1);
	quirks_registered(f->q, "bob", ATA, NOW + 1);
	assert_false(learned(f, ATA, NOW + 1));
	quirks_registered(f->q, ALICE, ATA, NOW + QUIRK_REBOOT_S);
	assert_true(learned(f, ATA, NOW + QUIRK_REBOOT_S));
	assert_string_equal(look(f, ALICE, NOW + QUIRK_REBOOT_S).last.cause, "crashed");
}

static void register_long_after_a_timeout(void **state)
{
	struct fixture *f = *state;

	calls(f, ATA, 1, "T", NOW);
	quirks_registered(f->q, ALICE, ATA, NOW + QUIRK_REBOOT_S + 1);
	assert_false(learned(f, ATA, NOW + QUIRK_REBOOT_S + 1));
	/* The clock was set back. */
	quirks_registered(f->q, ALICE, ATA, NOW - 1);
	assert_false(learned(f, ATA, NOW));
	/* Only refused. */
	calls(f, "other", 1, "R", NOW);
	quirks_registered(f->q, ALICE, "other", NOW + 1);
	assert_false(learned(f, "other", NOW + 1));
}

static void cleared(void **state)
{
	struct fixture *f = *state;

	calls(f, ATA, 1, "RRR", NOW);
	calls(f, "x", 1, "RR", NOW);
	assert_int_equal(quirks_clear(f->q, "bob", NOW), 0);
	assert_int_equal(quirks_clear(f->q, ALICE, NOW), 1);
	assert_false(learned(f, ATA, NOW));
	/* What was counted is gone, too. */
	calls(f, "x", 3, "R", NOW);
	assert_false(learned(f, "x", NOW));
	open_quirks(f, NOW);
	assert_int_equal(look(f, NULL, NOW).n, 0);
}

static void kept_over_restarts(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	struct stat st;

	assert_int_not_equal(stat(f->path, &st), 0);
	calls(f, ATA, 1, "RRR", NOW);
	calls(f, "over", 1, "RRR", NOW - DAY + 10);
	open_quirks(f, NOW + 20);
	assert_true(learned(f, ATA, NOW + 20));
	assert_false(learned(f, "over", NOW + 20));
	seen = look(f, ALICE, NOW + 20);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.since_s, NOW);
	assert_int_equal(seen.last.until_s, NOW + DAY);
	assert_string_equal(seen.last.cause, "refused");
	/* The clock was ahead when it was written. */
	open_quirks(f, NOW - 1000000);
	assert_int_equal(look(f, ALICE, NOW - 1000000).last.until_s, NOW - 1000000 + DAY);
}

static void names_that_are_no_text(void **state)
{
	struct fixture *f = *state;
	char agent[400];

	calls(f, "\xff\x01\"\\ \n{", 1, "RRR", NOW);
	memset(agent, 'x', sizeof(agent));
	agent[sizeof(agent) - 1] = '\0';
	calls(f, agent, 1, "RRR", NOW);
	open_quirks(f, NOW);
	assert_true(learned(f, "\xff\x01\"\\ \n{", NOW));
	assert_true(learned(f, agent, NOW));
	assert_int_equal(look(f, ALICE, NOW).n, 2);
}

static void write_text(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

/* Nothing is known then, and the next one is written. */
static void a_damaged_file(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"\xff",
		"{\"version\":2,\"quirks\":[]}",
		"{\"version\":1}",
		"{\"version\":1,\"quirks\":[1]}",
		"{\"version\":1,\"quirks\":[{\"peer\":\"alice\",\"user_agent\":\"" ATA "\","
		"\"cause\":\"refused\",\"since\":1,\"until\":1800000100},{}]}",
		"{\"version\":1,\"quirks\":[{\"peer\":\"alice\",\"user_agent\":\"" ATA "\","
		"\"cause\":\"nonsense\",\"since\":1,\"until\":1800000100}]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		write_text(f->path, texts[i]);
		open_quirks(f, NOW);
		assert_false(learned(f, ATA, NOW));
		assert_int_equal(look(f, NULL, NOW).n, 0);
	}
	calls(f, ATA, 1, "RRR", NOW);
	open_quirks(f, NOW);
	assert_true(learned(f, ATA, NOW));
}

/* It works all the same; and works again when it can be written. */
static void a_file_that_cannot_be_written(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->path, 0700), 0);
	open_quirks(f, NOW);
	calls(f, ATA, 1, "RRR", NOW);
	assert_true(learned(f, ATA, NOW));
	assert_int_equal(rmdir(f->path), 0);
	calls(f, "x", 1, "RRR", NOW);
	open_quirks(f, NOW);
	assert_true(learned(f, ATA, NOW) && learned(f, "x", NOW));
}

static void without_a_folder(void **state)
{
	struct fixture *f = *state;

	quirks_free(f->q);
	assert_int_equal(quirks_new(&f->q, NULL, NOW), 0);
	calls(f, ATA, 1, "RRR", NOW);
	assert_true(learned(f, ATA, NOW));
	quirks_free(NULL);
}

/* A device with a new name in each call does not push others out. */
static void bounded_by_peer(void **state)
{
	struct fixture *f = *state;
	char agent[32];

	calls(f, ATA, 1, "RRR", NOW);
	for (int i = 0; i < 3 * QUIRK_DEVICES_OF_PEER_MAX; i++) {
		snprintf(agent, sizeof(agent), "flood %d", i);
		calls(f, agent, 1, "RR", NOW + i);
	}
	assert_true(learned(f, ATA, NOW + 1));
	/* The last ones are counted on, the first are forgotten. */
	calls(f, agent, 3, "R", NOW + 1000);
	assert_true(learned(f, agent, NOW + 1000));
	calls(f, "flood 0", 3, "R", NOW + 1000);
	assert_false(learned(f, "flood 0", NOW + 1000));
}

static void bounded_in_all(void **state)
{
	struct fixture *f = *state;
	char peer[32];
	size_t n;

	quirks_free(f->q);
	assert_int_equal(quirks_new(&f->q, NULL, NOW), 0);
	for (int i = 0; i < 2 * QUIRK_DEVICES_MAX; i++) {
		snprintf(peer, sizeof(peer), "peer%d", i);
		for (uint64_t call = 0; call < 3; call++)
			quirks_note(f->q, peer, ATA, call, QUIRK_REFUSED, NOW + i);
	}
	n = look(f, NULL, NOW + 2 * QUIRK_DEVICES_MAX).n;
	assert_int_equal(n, QUIRK_DEVICES_MAX);
	assert_true(quirks_no_reinvite(f->q, peer, ATA, NOW + 3000));
	assert_false(quirks_no_reinvite(f->q, "peer0", ATA, NOW + 3000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(three_of_five_calls),
		TEST(distinct_calls),
		TEST(pitfall_70_one_device_of_a_trunk),
		TEST(for_a_day),
		TEST(timeout_then_register),
		TEST(register_long_after_a_timeout),
		TEST(cleared),
		TEST(kept_over_restarts),
		TEST(names_that_are_no_text),
		TEST(a_damaged_file),
		TEST(a_file_that_cannot_be_written),
		TEST(without_a_folder),
		TEST(bounded_by_peer),
		TEST(bounded_in_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
