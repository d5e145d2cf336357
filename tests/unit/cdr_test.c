// SPDX-License-Identifier: GPL-2.0-or-later
/* Call records: rotation, and every way in which they cannot be written. */
#include "call/call.h"
#include "lib/log.h"
#include "stats/cdr.h"
#include "lib/path.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct folder {
	char path[64];
};

static int folder_setup(void **state)
{
	struct folder *f = malloc(sizeof(*f));

	strcpy(f->path, "/tmp/rtpfwd-stats-XXXXXX");
	*state = f;
	return mkdtemp(f->path) ? 0 : -1;
}

static int folder_teardown(void **state)
{
	struct folder *f = *state;
	char command[128];
	int err;

	snprintf(command, sizeof(command), "rm -rf %s", f->path);
	err = system(command);
	free(f);
	return err;
}

static size_t read_text(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
	return n;
}

static size_t lines_of(const char *path, const char *cause)
{
	char text[16384], wanted[64], *rest = text;
	size_t n = 0;

	read_text(path, text, sizeof(text));
	snprintf(wanted, sizeof(wanted), "%s", cause);
	for (char *line = strsep(&rest, "\n"); line && rest; line = strsep(&rest, "\n"), n++) {
		json_t *record = json_loads(line, 0, NULL);

		assert_non_null(record);
		assert_string_equal(json_string_value(json_object_get(record, "cause")), wanted);
		json_decref(record);
	}
	return n;
}

static struct call_report call_ended(const char *cause)
{
	return (struct call_report){
		.id = "k7f3",
		.state = CALL_ENDING,
		.path = "relay",
		.reason = "POLICY_NO_B",
		.plane = "xdp",
		.from = "100",
		.to = "200",
		.from_uri = "sip:100@10.0.0.5",
		.to_uri = "sip:200@10.0.0.1",
		.end_cause = cause,
	};
}

static void assert_counts(const struct cdr *cdr, uint64_t written, uint64_t lost)
{
	struct cdr_report report;

	cdr_report(cdr, &report);
	assert_int_equal(report.written, written);
	assert_int_equal(report.lost, lost);
}

/* Rotation as logrotate does it: the file is renamed, then SIGHUP. */
static void test_cdr_reopen(void **state)
{
	struct call_report first = call_ended("bye_a"), second = call_ended("bye_b");
	struct folder *f = *state;
	char path[128], old[160];
	struct stat st;
	struct cdr *cdr;

	snprintf(path, sizeof(path), "%s/log/rtpfwd/cdr.jsonl", f->path);
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(cdr_new(&cdr, path), 0);
	cdr_ended(cdr, &first);
	cdr_ended(cdr, &first);
	assert_int_equal(rename(path, old), 0);
	cdr_ended(cdr, &first);
	cdr_reopen(cdr, path);
	cdr_ended(cdr, &second);
	assert_int_equal(lines_of(old, "bye_a"), 3);
	assert_int_equal(lines_of(path, "bye_b"), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_counts(cdr, 4, 0);
	cdr_reopen(cdr, NULL);
	cdr_ended(cdr, &second);
	assert_counts(cdr, 4, 0);
	cdr_free(cdr);
}

/* A log that swallows standard error while `what` runs, and counts its lines. */
static size_t logged(void (*what)(struct cdr *), struct cdr *cdr, const char *folder)
{
	char path[96], text[4096];
	int saved = dup(STDERR_FILENO), fd;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/stderr", folder);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	dup2(fd, STDERR_FILENO);
	close(fd);
	what(cdr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	read_text(path, text, sizeof(text));
	for (const char *p = strchr(text, '\n'); p; p = strchr(p + 1, '\n'))
		n++;
	return n;
}

static void ten_calls(struct cdr *cdr)
{
	struct call_report call = call_ended("bye_a");

	for (int i = 0; i < 10; i++)
		cdr_ended(cdr, &call);
}

static void test_cdr_disk_full(void **state)
{
	struct folder *f = *state;
	char path[128];
	struct cdr *cdr;

	assert_int_equal(cdr_new(&cdr, "/dev/full"), 0);
	assert_int_equal(logged(ten_calls, cdr, f->path), 1);
	assert_counts(cdr, 0, 10);
	snprintf(path, sizeof(path), "%s/cdr.jsonl", f->path);
	cdr_reopen(cdr, path);
	assert_int_equal(logged(ten_calls, cdr, f->path), 1);
	assert_counts(cdr, 10, 10);
	assert_int_equal(lines_of(path, "bye_a"), 10);
	cdr_free(cdr);
}

static void new_cdr(struct cdr *unused)
{
	struct cdr *cdr;

	(void)unused;
	assert_int_equal(cdr_new(&cdr, "/proc/nowhere/cdr.jsonl"), 0);
	ten_calls(cdr);
	assert_counts(cdr, 0, 10);
	cdr_free(cdr);
}

static void test_cdr_unwritable(void **state)
{
	struct folder *f = *state;

	/* Once at the start, once for the records. */
	assert_int_equal(logged(new_cdr, NULL, f->path), 2);
}

static void until_lost(struct cdr *cdr)
{
	struct call_report call = call_ended("bye_a");
	struct cdr_report report = {.lost = 0};

	for (int i = 0; i < 1000 && !report.lost; i++) {
		cdr_ended(cdr, &call);
		cdr_report(cdr, &report);
	}
}

/* A pipe whose reader sleeps: nothing waits, and the torn record does not spoil the ones after it.
 */
static void test_cdr_slow_pipe(void **state)
{
	struct call_report call = call_ended("bye_b");
	struct folder *f = *state;
	struct cdr_report report;
	char path[96], bytes[70000], *last;
	struct cdr *cdr;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/pipe", f->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(cdr_new(&cdr, path), 0);
	logged(until_lost, cdr, f->path);
	cdr_report(cdr, &report);
	assert_int_equal(report.lost, 1);
	assert_true(report.written > 10);
	n = read(fd, bytes, sizeof(bytes));
	assert_true(n > 4096);
	logged(ten_calls, cdr, f->path);
	assert_counts(cdr, report.written + 10, 1);
	cdr_ended(cdr, &call);
	n = read(fd, bytes, sizeof(bytes) - 1);
	assert_true(n > 0);
	bytes[n - 1] = '\0';
	last = strrchr(bytes, '\n');
	assert_non_null(last);
	assert_non_null(strstr(last, "\"cause\":\"bye_b\""));
	close(fd);
	/* Nobody reads: EPIPE, and no signal. */
	logged(ten_calls, cdr, f->path);
	assert_counts(cdr, report.written + 11, 11);
	cdr_free(cdr);
}

static void test_path(void **state)
{
	struct folder *f = *state;
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/a/b/file", f->path);
	assert_int_equal(path_make_parents(path), 0);
	assert_int_equal(path_make_parents(path), 0);
	assert_int_equal(stat(path, &st), -1);
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(path_make_parents("file"), 0);
	assert_int_equal(path_make_parents("/dev/null/x/y"), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cdr_reopen, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_cdr_disk_full, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_cdr_unwritable, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_cdr_slow_pipe, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_path, folder_setup, folder_teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(LOG_LEVEL_NOTICE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
