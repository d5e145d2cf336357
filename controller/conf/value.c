// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static size_t count_items(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

static char *copy_trimmed(struct arena *arena, const char *text, size_t len)
{
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return arena_copy(arena, text, len);
}

int conf_value_list(struct conf_loader *l, const struct conf_entry *e, struct conf_list *out)
{
	const char *p = e->value;

	out->n = 0;
	out->items = arena_alloc(&l->scratch, count_items(p) * sizeof(*out->items));
	if (!out->items)
		return conf_no_memory(l);
	for (;; p++) {
		size_t len = strcspn(p, ",");
		char *item = copy_trimmed(&l->scratch, p, len);

		if (!item)
			return conf_no_memory(l);
		if (!*item)
			return conf_fault(l, &e->at, "%s = '%.60s': an empty item in the list",
					  e->key, e->value);
		out->items[out->n++] = item;
		p += len;
		if (!*p)
			return 0;
	}
}

void *conf_value_array(struct conf_loader *l, const struct conf_entry *e, struct conf_list *list,
		       size_t size, int *rc)
{
	void *objects;

	*rc = conf_value_list(l, e, list);
	if (*rc)
		return NULL;
	objects = arena_alloc(l->keep, list->n * size);
	if (!objects)
		*rc = conf_no_memory(l);
	return objects;
}

bool conf_value_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "y", "t" };
	static const char *const no[] = { "no", "false", "off", "0", "n", "f" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

bool conf_value_off(const char *text)
{
	bool value;

	return (conf_value_bool(text, &value) && !value) || strcasecmp(text, "none") == 0;
}

bool conf_value_number(const char *text, unsigned int lo, unsigned int hi, unsigned int *out)
{
	unsigned long long value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned int)(*text - '0');
		if (value > hi)
			return false;
	}
	*out = (unsigned int)value;
	return value >= lo;
}

int conf_value_keep(struct conf_loader *l, const char *text, const char **out)
{
	char *copy = arena_copy(l->keep, text, strlen(text));

	if (!copy)
		return conf_no_memory(l);
	*out = copy;
	return 0;
}

bool conf_value_host_address(const struct addr *a)
{
	uint32_t v4;

	if (addr_is_any(a))
		return false;
	if (a->family == AF_INET6)
		return !IN6_IS_ADDR_MULTICAST(&a->v6);
	v4 = ntohl(a->v4.s_addr);
	return !IN_MULTICAST(v4) && !IN_BADCLASS(v4);
}
