// SPDX-License-Identifier: GPL-2.0-or-later
/* rtpfwd-ctl: asks the daemon over its control socket and shows the answer. */
#include "client.h"
#include "print.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/rtpfwd/ctl.sock"

struct options {
	const char *socket;
	bool json;
};

static void usage(FILE *out)
{
	fputs("usage: rtpfwd-ctl [-s SOCKET] [-j] COMMAND\n"
	      "       rtpfwd-ctl -h | -V\n"
	      "  -s SOCKET  control socket (default " DEFAULT_SOCKET ")\n"
	      "  -j         one JSON document instead of tables\n"
	      "commands:\n",
	      out);
	for (size_t i = 0; i < GRAMMAR_N; i++)
		fprintf(out, "  %-16s  %s\n", grammar[i].words, grammar[i].help);
}

/* -1: go on; else the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:jhV")) != -1) {
		switch (c) {
		case 's':
			o->socket = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			usage(stdout);
			return STATUS_OK;
		case 'V':
			puts("rtpfwd-ctl " RTPFWD_VERSION);
			return STATUS_OK;
		default:
			usage(stderr);
			return STATUS_USAGE;
		}
	}
	return -1;
}

static int misused(char **words, size_t n)
{
	fputs(n ? "rtpfwd-ctl: unknown command '" : "rtpfwd-ctl: no command", stderr);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "%s%s%s", i ? " " : "", words[i], i + 1 == n ? "'" : "");
	fputc('\n', stderr);
	usage(stderr);
	return STATUS_USAGE;
}

static int show(const struct options *o, enum grammar_id id, const json_t *result)
{
	if (!o->json)
		print_result(id, result);
	else if (!json_dumpf(result, stdout,
			     JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)))
		putchar('\n');
	if (!fflush(stdout) && !ferror(stdout))
		return STATUS_OK;
	fprintf(stderr, "rtpfwd-ctl: standard output: %s\n", strerror(errno));
	return STATUS_REFUSED;
}

int main(int argc, char **argv)
{
	struct options o = {.socket = DEFAULT_SOCKET};
	int status = parse_options(&o, argc, argv);
	enum grammar_id id;
	const char *arg;
	char **words;
	json_t *result;
	size_t n;

	if (status >= 0)
		return status;
	words = argv + optind;
	n = (size_t)(argc - optind);
	if (grammar_find(&id, &arg, (const char *const *)words, n))
		return misused(words, n);
	status = client_ask(&result, o.socket, words, n);
	if (status)
		return status;
	status = show(&o, id, result);
	json_decref(result);
	return status;
}
