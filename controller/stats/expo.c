// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/expo.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void expo_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The format escapes these three; what is not printable ASCII would be its reader's guess. */
static void add_value(struct buf *out, const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '\\' || c == '"')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_str(out, "\\n");
		else
			buf_printf(out, "%c", c < 0x20 || c >= 0x7f ? '?' : c);
	}
}

static void add_name(struct buf *out, const char *name, const struct expo_label *labels)
{
	buf_str(out, name);
	if (!labels || !labels->key)
		return;
	for (const char *before = "{"; labels->key; labels++, before = ",") {
		buf_printf(out, "%s%s=\"", before, labels->key);
		add_value(out, labels->value ? labels->value : "");
		buf_str(out, "\"");
	}
	buf_str(out, "}");
}

void expo_count(struct buf *out, const char *name, const struct expo_label *labels, uint64_t value)
{
	add_name(out, name, labels);
	buf_printf(out, " %" PRIu64 "\n", value);
}

void expo_real(struct buf *out, const char *name, const struct expo_label *labels, double value)
{
	add_name(out, name, labels);
	if (isfinite(value))
		buf_printf(out, " %.15g\n", value);
	else
		buf_str(out, isnan(value) ? " NaN\n" : value > 0 ? " +Inf\n" : " -Inf\n");
}

void expo_counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	expo_family(out, name, "counter", help);
	expo_count(out, name, NULL, value);
}

void expo_gauge(struct buf *out, const char *name, const char *help, double value)
{
	expo_family(out, name, "gauge", help);
	expo_real(out, name, NULL, value);
}

void expo_histogram(struct buf *out, const char *name, const char *help,
		    const struct expo_histogram *h)
{
	uint64_t total = 0;
	char part[96], bound[32];

	expo_family(out, name, "histogram", help);
	snprintf(part, sizeof(part), "%s_bucket", name);
	for (size_t i = 0; i < h->n; i++) {
		total += h->count[i];
		snprintf(bound, sizeof(bound), "%.15g", h->bounds[i]);
		expo_count(out, part, EXPO_LABELS({"le", bound}), total);
	}
	total += h->count[h->n];
	expo_count(out, part, EXPO_LABELS({"le", "+Inf"}), total);
	snprintf(part, sizeof(part), "%s_sum", name);
	expo_real(out, part, NULL, h->sum);
	snprintf(part, sizeof(part), "%s_count", name);
	expo_count(out, part, NULL, total);
}
