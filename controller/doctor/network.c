// SPDX-License-Identifier: GPL-2.0-or-later
/* The network stack around the relay: addresses, ports, filters, neighbours. */
#include "doctor/exam.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRICT 1 /* rp_filter (RFC 3704) */

static bool is_same_ip(const struct sockaddr *sa, const struct addr *a)
{
	if (sa->sa_family != a->family)
		return false;
	if (sa->sa_family == AF_INET)
		return ((const struct sockaddr_in *)sa)->sin_addr.s_addr == a->v4.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, &a->v6, sizeof(a->v6));
}

static void relay_address(const struct exam *e, const struct ifaddrs *all, const struct addr *a)
{
	const struct ifaddrs *i = all;
	char text[ADDR_TEXT], check[ADDR_TEXT + 16];

	while (i && !(i->ifa_addr && is_same_ip(i->ifa_addr, a)))
		i = i->ifa_next;
	snprintf(check, sizeof(check), "media %s", addr_print_ip(text, a));
	exam_say(e, check, i,
		 "add it to an interface, unless it is another node's at the moment (VRRP): "
		 "nobody finds the way to it else",
		 "%s%s", i ? "on " : "on no interface", i ? i->ifa_name : "");
}

static void relay_addresses(const struct exam *e)
{
	const struct conf *conf = e->node->conf;
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return;
	for (size_t r = 0; r < conf->n_realms; r++)
		for (size_t i = 0; i < conf->realms[r].n_media; i++)
			relay_address(e, all, &conf->realms[r].media[i]);
	freeifaddrs(all);
}

/* Is each of lo..hi in one of the ranges of `reserved`, "1-2,5,7-9" in order (ip-sysctl)? */
static bool is_reserved(const char *reserved, long lo, long hi)
{
	while (*reserved) {
		char *end;
		long from = strtol(reserved, &end, 10), to = from;

		if (end == reserved)
			return false;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (from <= lo && lo <= to)
			lo = to + 1;
		if (lo > hi)
			return true;
		reserved = *end == ',' ? end + 1 : end;
	}
	return false;
}

/* Other programs of this host must not be given relay ports: what arrives there is ours. */
static void relay_ports(const struct exam *e, const struct conf_realm *realm)
{
	char range[64], reserved[4096], check[128];
	long lo, hi, from = realm->port_lo, to = realm->port_hi;

	if (!exam_text(e, range, sizeof(range), "/proc/sys/net/ipv4/ip_local_port_range") ||
	    sscanf(range, "%ld %ld", &lo, &hi) != 2)
		return;
	if (!exam_text(e, reserved, sizeof(reserved), "/proc/sys/net/ipv4/ip_local_reserved_ports"))
		reserved[0] = '\0';
	from = from < lo ? lo : from;
	to = to > hi ? hi : to;
	snprintf(check, sizeof(check), "ports %s", realm->name);
	exam_say(e, check, from > to || is_reserved(reserved, from, to),
		 "add the realm's ports to net.ipv4.ip_local_reserved_ports: other programs of "
		 "this host may be given them, and hear nothing there",
		 "%u-%u for media, %ld-%ld for anybody, reserved: %s", realm->port_lo,
		 realm->port_hi, lo, hi, *reserved ? reserved : "none");
}

/* The fast path does not ask it, signalling and the userspace relay are subject to it. */
static void path_filter(const struct exam *e, const char *interface)
{
	long all, own;
	char check[128];

	if (!exam_number(e, &all, "/proc/sys/net/ipv4/conf/all/rp_filter") ||
	    !exam_number(e, &own, "/proc/sys/net/ipv4/conf/%s/rp_filter", interface))
		return;
	own = own > all ? own : all;
	snprintf(check, sizeof(check), "rp_filter %s", interface);
	exam_say(e, check, own != STRICT,
		 "set it to 2 (loose) or 0 here and for `all`: what comes by another way than the "
		 "best one is lost else",
		 "%ld", own);
}

/* Off is somebody's decision, a table that cannot be is a lack. */
static void guarded(const struct exam *e)
{
	const struct datapath_guard_report *guard = &e->node->guard;
	bool there = guard->wanted && !*guard->fault;

	exam_say(e, "guard", !*guard->fault,
		 "relay ports are tracked as connections, and answer where nobody serves them",
		 "%s%s%s", there ? "nftables table inet " : "none",
		 there		 ? guard->table
		 : guard->wanted ? ": "
				 : ", as configured",
		 guard->fault);
}

static long count_lines(const struct exam *e, const char *path)
{
	char whole[PATH_MAX];
	long lines = 0;
	FILE *f;
	int c;

	snprintf(whole, sizeof(whole), "%s%s", e->node->root, path);
	f = fopen(whole, "re");
	if (!f)
		return 0;
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static void neighbours(const struct exam *e)
{
	long most, now = count_lines(e, "/proc/net/arp") - 1; /* a line of heads */

	if (now >= 0 && exam_number(e, &most, "/proc/sys/net/ipv4/neigh/default/gc_thresh3"))
		exam_say(
			e, "neighbours", now * 2 <= most,
			"raise net.ipv4.neigh.default.gc_thresh1, 2 and 3: who does not fit is not "
			"reached",
			"%ld of at most %ld", now, most);
}

/* The kernel's table is one for all network namespaces; the first of them alone tells its bounds.
 */
static void next_hops(const struct exam *e, const char *family, long now)
{
	char check[32], advice[256];
	long bounds[3];

	for (int i = 0; i < 3; i++)
		if (!exam_number(e, &bounds[i], "/proc/sys/net/%s/neigh/default/gc_thresh%d",
				 family, i + 1))
			return;
	snprintf(check, sizeof(check), "next_hops %s", family);
	snprintf(advice, sizeof(advice),
		 "raise net.%s.neigh.default.gc_thresh2 above that, gc_thresh3 to twice as many: "
		 "above the second the kernel forgets who is asked for again at once, above the "
		 "third it takes nobody, and media there is no_neighbour",
		 family);
	exam_say(e, check, now <= bounds[1] && now * 2 <= bounds[2], advice,
		 "media to %ld on the links; gc_thresh1, 2 and 3: %ld, %ld, %ld", now, bounds[0],
		 bounds[1], bounds[2]);
}

void exam_network(const struct exam *e)
{
	relay_addresses(e);
	for (size_t r = 0; r < e->node->conf->n_realms; r++)
		relay_ports(e, &e->node->conf->realms[r]);
	exam_interfaces(e, path_filter);
	guarded(e);
	neighbours(e);
	next_hops(e, "ipv4", (long)e->node->neighbours[0]);
	next_hops(e, "ipv6", (long)e->node->neighbours[1]);
}
