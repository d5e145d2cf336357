// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/keys.h"
#include "conf/value.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VLAN_MAX 4094
#define DSCP_MAX 63

enum { PORT_MIN = 1024, PORT_MAX = 65535 };

static bool is_interface_name(const char *name)
{
	size_t len = strlen(name);

	if (len >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (!isgraph((unsigned char)*name) || strchr("/:;", *name))
			return false;
	return true;
}

/* Whether item `i` stands in the list before. */
static bool repeats(const struct conf_list *list, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(list->items[j], list->items[i]) == 0)
			return true;
	return false;
}

CONF_SETTER(conf_set_interface)
{
	struct conf_realm *realm = object;
	struct conf_list list;
	int rc;

	(void)key;
	realm->interfaces = conf_value_array(l, e, &list, sizeof(*realm->interfaces), &rc);
	if (!realm->interfaces)
		return rc;
	realm->n_interfaces = 0;
	for (size_t i = 0; i < list.n; i++) {
		if (!is_interface_name(list.items[i]))
			return conf_fault(l, &e->at,
					  "interface '%.60s': allowed is the name of a "
					  "network interface, such as eth0",
					  list.items[i]);
		if (repeats(&list, i))
			return conf_fault(l, &e->at, "interface '%s' is named twice",
					  list.items[i]);
		rc = conf_value_keep(l, list.items[i], &realm->interfaces[realm->n_interfaces++]);
		if (rc)
			return rc;
	}
	return 0;
}

CONF_SETTER(conf_set_bind)
{
	struct conf_realm *realm = object;
	struct conf_list list;
	int rc;

	(void)key;
	realm->binds = conf_value_array(l, e, &list, sizeof(*realm->binds), &rc);
	if (!realm->binds)
		return rc;
	realm->n_binds = list.n;
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = conf_transport_parse_bind(l, e, list.items[i], &realm->binds[i]);
	return rc;
}

static int parse_relay_address(struct conf_loader *l, const struct conf_entry *e, const char *text,
			       struct addr *out)
{
	if (addr_parse(out, text) || out->port)
		return conf_fault(l, &e->at,
				  "%s '%.60s': allowed is an IP address, without a port or "
				  "brackets",
				  e->key, text);
	if (!conf_value_host_address(out))
		return conf_fault(l, &e->at, "%s '%.60s': allowed is the address of a host", e->key,
				  text);
	return 0;
}

CONF_SETTER(conf_set_media)
{
	struct conf_realm *realm = object;
	struct conf_list list;
	int rc;

	(void)key;
	realm->media = conf_value_array(l, e, &list, sizeof(*realm->media), &rc);
	if (!realm->media)
		return rc;
	realm->n_media = list.n;
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = parse_relay_address(l, e, list.items[i], &realm->media[i]);
	return rc;
}

/* RTP takes the even port and RTCP the odd one above it: the range is narrowed to whole pairs. */
CONF_SETTER(conf_set_ports)
{
	struct conf_realm *realm = object;
	const char *dash = strchr(e->value, '-');
	unsigned int lo, hi;
	char first[8] = "";

	(void)key;
	if (dash && dash - e->value < (ptrdiff_t)sizeof(first))
		memcpy(first, e->value, (size_t)(dash - e->value));
	if (!conf_value_number(first, PORT_MIN, PORT_MAX, &lo) ||
	    !conf_value_number(dash + 1, lo, PORT_MAX, &hi))
		return conf_bad_value(l, e, "LOW-HIGH within 1024-65535");
	lo += lo % 2;
	hi -= (hi + 1) % 2;
	if (lo >= hi)
		return conf_fault(l, &e->at,
				  "ports = '%.20s': no pair of an even port and the odd one "
				  "above it",
				  e->value);
	realm->port_lo = (uint16_t)lo;
	realm->port_hi = (uint16_t)hi;
	return 0;
}

CONF_SETTER(conf_set_xdp)
{
	struct conf_realm *realm = object;

	(void)key;
	if (conf_value_off(e->value))
		realm->xdp = XDP_OFF;
	else if (strcasecmp(e->value, "auto") == 0)
		realm->xdp = XDP_AUTO;
	else if (strcasecmp(e->value, "native") == 0)
		realm->xdp = XDP_NATIVE;
	else if (strcasecmp(e->value, "generic") == 0)
		realm->xdp = XDP_GENERIC;
	else
		return conf_bad_value(l, e, "auto, native, generic or off");
	return 0;
}

CONF_SETTER(conf_set_vlan)
{
	struct conf_realm *realm = object;
	unsigned int vlan;

	(void)key;
	if (strcasecmp(e->value, "none") == 0)
		realm->vlan = 0;
	else if (strcasecmp(e->value, "keep") == 0)
		realm->vlan = CONF_VLAN_KEEP;
	else if (conf_value_number(e->value, 1, VLAN_MAX, &vlan))
		realm->vlan = (uint16_t)vlan;
	else
		return conf_bad_value(l, e, "none, keep or a number from 1 to 4094");
	return 0;
}

/* RFC 2474, 2597, 3246, 5865 by name. */
static bool dscp_by_name(const char *name, unsigned int *out)
{
	unsigned int class, drop;
	char end;

	if (strcasecmp(name, "ef") == 0)
		*out = 46;
	else if (strcasecmp(name, "va") == 0)
		*out = 44;
	else if (sscanf(name, "%*1[cC]%*1[sS]%1u%c", &class, &end) == 1 && class < 8)
		*out = class * 8;
	else if (sscanf(name, "%*1[aA]%*1[fF]%1u%1u%c", &class, &drop, &end) == 2 && class &&
		 class < 5 && drop && drop < 4)
		*out = class * 8 + drop * 2;
	else
		return false;
	return true;
}

CONF_SETTER(conf_set_dscp)
{
	struct conf_realm *realm = object;
	unsigned int dscp = 0;

	(void)key;
	realm->marks = strcasecmp(e->value, "keep") != 0;
	if (realm->marks && !dscp_by_name(e->value, &dscp) &&
	    !conf_value_number(e->value, 0, DSCP_MAX, &dscp))
		return conf_bad_value(l, e,
				      "keep, ef, va, cs0 to cs7, af11 to af43, or a number from 0 "
				      "to 63");
	realm->dscp = (uint8_t)dscp;
	return 0;
}

CONF_SETTER(conf_set_advertise)
{
	struct conf_realm *realm = object;

	(void)key;
	return parse_relay_address(l, e, e->value, &realm->advertise);
}
