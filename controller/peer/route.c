// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/peer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* One character against `[...]`, of which `set` is the inside: single characters and ranges. */
static bool in_set(const char *set, size_t len, char c)
{
	unsigned char u = (unsigned char)c;

	for (size_t i = 0; i < len; i++) {
		if (i + 2 < len && set[i + 1] == '-') {
			if (u >= (unsigned char)set[i] && u <= (unsigned char)set[i + 2])
				return true;
			i += 2;
		} else if (set[i] == c) {
			return true;
		}
	}
	return false;
}

/* One character against one place of a pattern that is neither a set nor a wildcard. */
static bool place_matches(char place, char c)
{
	switch (toupper((unsigned char)place)) {
	case 'X':
		return c >= '0' && c <= '9';
	case 'Z':
		return c >= '1' && c <= '9';
	case 'N':
		return c >= '2' && c <= '9';
	default:
		return place == c;
	}
}

static bool pattern_matches(const char *p, const char *number)
{
	for (; *p; p++) {
		size_t len;

		if (*p == '!')
			return true;
		if (*p == '.')
			return *number != '\0';
		if (*p == '-') /* between groups of digits, for the reader */
			continue;
		if (!*number)
			return false;
		if (*p != '[') {
			if (!place_matches(*p, *number++))
				return false;
			continue;
		}
		len = strcspn(++p, "]");
		if (!p[len] || !in_set(p, len, *number++))
			return false;
		p += len;
	}
	return *number == '\0';
}

bool route_pattern_matches(const char *pattern, const char *number)
{
	if (*pattern == '_')
		return pattern_matches(pattern + 1, number);
	return strncmp(pattern, number, strlen(pattern)) == 0;
}

static bool comes_from(const struct conf_route *route, const struct conf_realm *realm,
		       const struct conf_peer *from)
{
	if (route->from_realm)
		return realm && route->from_realm->index == realm->index;
	return !route->from_peer || route->from_peer == from;
}

static bool dial(const struct conf_route *route, const char *number, char *out, size_t size)
{
	size_t len = strlen(number);
	int n;

	if (route->strip > len)
		return false;
	n = snprintf(out, size, "%s%s", route->prepend, number + route->strip);
	return n > 0 && (size_t)n < size;
}

const struct conf_route *route_find(const struct peers *peers, const struct conf_realm *realm,
				    const struct conf_peer *from, const char *number, char *dialled,
				    size_t dialled_size)
{
	const struct conf *conf = peers_conf(peers);

	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (comes_from(route, realm, from) &&
		    (!route->match || route_pattern_matches(route->match, number)) &&
		    dial(route, number, dialled, dialled_size))
			return route;
	}
	return NULL;
}
