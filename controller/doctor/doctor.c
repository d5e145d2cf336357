// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor/exam.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void exam_say(const struct exam *e, const char *check, bool ok, const char *advice,
	      const char *found, ...)
{
	struct doctor_finding finding = { .check = check, .ok = ok, .advice = ok ? NULL : advice };
	char text[512];
	va_list args;

	va_start(args, found);
	vsnprintf(text, sizeof(text), found, args);
	va_end(args);
	finding.found = text;
	e->each(e->ctx, &finding);
}

static bool first_line(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	bool got;

	if (!f)
		return false;
	got = fgets(out, (int)size, f);
	fclose(f);
	if (got)
		out[strcspn(out, "\n")] = '\0';
	return got;
}

static bool read_below(const struct exam *e, char *out, size_t size, const char *path, va_list args)
{
	char whole[PATH_MAX];
	size_t at = (size_t)snprintf(whole, sizeof(whole), "%s", e->node->root);

	if (at >= sizeof(whole))
		return false;
	vsnprintf(whole + at, sizeof(whole) - at, path, args);
	return first_line(whole, out, size);
}

bool exam_text(const struct exam *e, char *out, size_t size, const char *path, ...)
{
	va_list args;
	bool got;

	va_start(args, path);
	got = read_below(e, out, size, path, args);
	va_end(args);
	return got;
}

bool exam_number(const struct exam *e, long *out, const char *path, ...)
{
	char text[64], *end;
	va_list args;
	bool got;

	va_start(args, path);
	got = read_below(e, text, sizeof(text), path, args);
	va_end(args);
	if (!got)
		return false;
	*out = strtol(text, &end, 10);
	return end != text;
}

/* Several realms may share one. */
static bool is_first(const struct doctor_node *node, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(node->interfaces[j].name, node->interfaces[i].name) == 0)
			return false;
	return true;
}

void exam_interfaces(const struct exam *e,
		     void (*check)(const struct exam *e, const char *interface))
{
	for (size_t i = 0; i < e->node->n_interfaces; i++)
		if (is_first(e->node, i))
			check(e, e->node->interfaces[i].name);
}

void doctor_run(const struct doctor_node *node, doctor_each each, void *ctx)
{
	struct exam e = { node, each, ctx };

	exam_kernel(&e);
	exam_cards(&e);
	exam_network(&e);
}
