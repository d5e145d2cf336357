// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int conf_fault(struct conf_loader *l, const struct conf_place *at, const char *format, ...)
{
	va_list ap;
	int n = snprintf(l->why, l->why_size, "%s:%d: ", at->file, at->line);

	if (n >= 0 && (size_t)n < l->why_size) {
		va_start(ap, format);
		vsnprintf(l->why + n, l->why_size - (size_t)n, format, ap);
		va_end(ap);
	}
	return -EINVAL;
}

int conf_no_memory(struct conf_loader *l)
{
	snprintf(l->why, l->why_size, "out of memory");
	return -ENOMEM;
}

int conf_bad_value(struct conf_loader *l, const struct conf_entry *e, const char *allowed)
{
	return conf_fault(l, &e->at, "%s = '%.60s': allowed is %s", e->key, e->value, allowed);
}
