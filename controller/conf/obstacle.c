// SPDX-License-Identifier: GPL-2.0-or-later
/* What a reload cannot change: sockets, pinned objects and relay ports stand as they are. */
#include "conf/load.h"

#include <stdio.h>
#include <string.h>

static bool same_names(const char **a, size_t n_a, const char **b, size_t n_b)
{
	bool same = n_a == n_b;

	for (size_t i = 0; same && i < n_a; i++)
		same = strcmp(a[i], b[i]) == 0;
	return same;
}

static bool same_binds(const struct conf_realm *a, const struct conf_realm *b)
{
	bool same = a->n_binds == b->n_binds;

	for (size_t i = 0; same && i < a->n_binds; i++)
		same = addr_equal(&a->binds[i].addr, &b->binds[i].addr) &&
		       a->binds[i].transport == b->binds[i].transport;
	return same;
}

static bool same_media(const struct conf_realm *a, const struct conf_realm *b)
{
	bool same = a->n_media == b->n_media;

	for (size_t i = 0; same && i < a->n_media; i++)
		same = addr_same_ip(&a->media[i], &b->media[i]);
	return same;
}

static bool same_path(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *tls_difference(const struct conf_realm *a, const struct conf_realm *b)
{
	if (!same_path(a->tls_cert, b->tls_cert))
		return "tlscertfile";
	if (!same_path(a->tls_key, b->tls_key))
		return "tlsprivatekey";
	if (!same_path(a->tls_ca, b->tls_ca))
		return "tlscafile";
	return a->tls_verify != b->tls_verify ? "tlsverify" : NULL;
}

/* The key that differs, or NULL. */
static const char *realm_difference(const struct conf_realm *a, const struct conf_realm *b)
{
	if (!same_names(a->interfaces, a->n_interfaces, b->interfaces, b->n_interfaces))
		return "interface";
	if (!same_binds(a, b))
		return "bind";
	if (!same_media(a, b))
		return "media";
	if (a->port_lo != b->port_lo || a->port_hi != b->port_hi)
		return "ports";
	if (a->xdp != b->xdp)
		return "xdp";
	if (!addr_same_ip(&a->advertise, &b->advertise))
		return "advertise";
	if (a->vlan != b->vlan)
		return "vlan";
	if (a->marks != b->marks || a->dscp != b->dscp)
		return "dscp";
	return tls_difference(a, b);
}

static const char *realms_obstacle(const struct conf *now, const struct conf *next)
{
	const struct conf_realm *a, *b;
	const char *key;

	for (size_t i = 0; i < now->n_realms && i < next->n_realms; i++) {
		a = &now->realms[i];
		b = &next->realms[i];
		if (strcmp(a->name, b->name) != 0)
			return conf_text(next, "realm '%s' stands where '%s' was", b->name,
					 a->name);
		key = realm_difference(a, b);
		if (key)
			return conf_text(next, "realm '%s': %s", b->name, key);
	}
	if (now->n_realms > next->n_realms)
		return conf_text(next, "realm '%s' is gone", now->realms[next->n_realms].name);
	if (now->n_realms < next->n_realms)
		return conf_text(next, "realm '%s' is new", next->realms[now->n_realms].name);
	return NULL;
}

const char *conf_reload_obstacle(const struct conf *now, const struct conf *next)
{
	if (strcmp(now->bpffs, next->bpffs) != 0)
		return "bpffs";
	if (strcmp(now->control, next->control) != 0)
		return "control";
	if (!addr_equal(&now->metrics, &next->metrics))
		return "metrics";
	if (!same_path(now->state, next->state))
		return "state";
	if (strcmp(now->dns ? now->dns : "", next->dns ? next->dns : "") != 0)
		return "dns";
	return realms_obstacle(now, next);
}
