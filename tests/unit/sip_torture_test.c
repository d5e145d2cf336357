// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages in the manner of RFC 4475 and RFC 5118, under the names that they have there. */
#include "sip_lab.h"

#include <dirent.h>

/* What became of one: the final response, and how far it got. */
struct outcome {
	int code; /* 0: none */
	bool admitted;
	bool malformed; /* as counted */
};

/* A response to something of before, sent again, is not this one's. */
static bool is_of(struct lab *lab, const char *name)
{
	size_t len = (size_t)(strchr(name, '.') - name);
	const char *call_id = far_header(&lab->far, "Call-ID");

	return strncmp(call_id, name, len) == 0 && (call_id[len] == '@' || call_id[len] == '.');
}

/* What follows the message was read after it: when its answer is here, so is all that comes. */
static struct outcome send_one(struct lab *lab, const char *name, const char *bytes, size_t len)
{
	uint64_t malformed = lab_counter(lab, SIP_MALFORMED, "", 0, "");
	int admitted = lab->admitted;
	struct outcome o = {0};

	far_send_bytes(lab, &lab->far, bytes, len);
	lab_turn(lab);
	o.admitted = lab->admitted != admitted;
	o.malformed = lab_counter(lab, SIP_MALFORMED, "", 0, "") != malformed;
	far_send(lab, &lab->far,
		 "OPTIONS sip:x.example SIP/2.0\nVia: SIP/2.0/UDP "
		 "127.0.0.1;rport;branch=z9hG4bKfence\nFrom: <sip:x.example>;tag=1\n"
		 "To: <sip:x.example>\nCall-ID: fence-%s\nCSeq: 1 OPTIONS\n\n",
		 name);
	for (;;) {
		if (!far_take(lab, &lab->far, LAB_DEADLINE_MS))
			fail_msg("%s: no answer to what followed", name);
		if (strcmp(far_header(&lab->far, "Call-ID") + 6, name) == 0)
			return o;
		assert_memory_equal(lab->far.text, "SIP/2.0 ", 8);
		if (is_of(lab, name) && atoi(lab->far.text + 8) >= 200)
			o.code = atoi(lab->far.text + 8);
	}
}

/* NAME.WHAT: the code of its answer; "none": malformed, no answer; "ignored": not even that;
 * "answered": any answer; "ok": understood, and given to whoever decides about calls. */
static bool judge(const char *name, const struct outcome *o)
{
	const char *what = strchr(name, '.') + 1;
	bool good;

	if (strcmp(what, "none") == 0)
		good = o->malformed && !o->code;
	else if (strcmp(what, "ignored") == 0)
		good = !o->malformed && !o->code && !o->admitted;
	else if (strcmp(what, "answered") == 0)
		good = o->code != 0;
	else if (strcmp(what, "ok") == 0)
		good = o->admitted && o->code && o->code != 400;
	else
		good = o->code == atoi(what);
	if (!good)
		print_error("%s: got %d%s%s\n", name, o->code, o->admitted ? ", admitted" : "",
			    o->malformed ? ", malformed" : "");
	return good;
}

static void on_invite(struct lab *lab, struct leg *leg)
{
	leg_refuse(leg, 480, NULL, 0);
	leg_free(leg);
	lab->leg = NULL;
}

static bool read_and_send(struct lab *lab, const char *name)
{
	static char bytes[65536];
	struct outcome o;
	char path[512];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "tests/golden/torture/%s", name);
	file = fopen(path, "rb");
	assert_non_null(file);
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	o = send_one(lab, name, bytes, len);
	return judge(name, &o);
}

static void test_torture(void **state)
{
	struct lab *lab = *state;
	DIR *dir = opendir("tests/golden/torture");
	struct dirent *entry;
	int n = 0, bad = 0;

	assert_non_null(dir);
	lab->on_invite = on_invite;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		bad += !read_and_send(lab, entry->d_name);
		n++;
	}
	closedir(dir);
	assert_int_equal(bad, 0);
	assert_in_range(n, 55, 1000);
	lab_drain(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_torture, lab_setup_short, lab_teardown),
	};

	return cmocka_run_group_tests_name("sip_torture", tests, NULL, NULL);
}
