// SPDX-License-Identifier: GPL-2.0-or-later
/* Which realm a peer lives on that names none. */
#include "peer/home.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>
#include <unistd.h>

/* The address from which the kernel would send to `host`: connecting a UDP socket sends nothing. */
static int local_address(struct addr *out, const struct addr *host)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, host);
	int fd = socket(host->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len) != 0)
		rc = -errno;
	len = sizeof(ss);
	if (!rc && getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		rc = -errno;
	close(fd);
	return rc ? rc : addr_from_sockaddr(out, (struct sockaddr *)&ss);
}

static bool owns_address(const struct conf_realm *realm, const struct addr *a)
{
	for (size_t i = 0; i < realm->n_binds; i++)
		if (addr_same_ip(&realm->binds[i].addr, a))
			return true;
	for (size_t i = 0; i < realm->n_media; i++)
		if (addr_same_ip(&realm->media[i], a))
			return true;
	return false;
}

static bool owns_interface(const struct conf_realm *realm, const char *name)
{
	for (size_t i = 0; i < realm->n_interfaces; i++)
		if (strcmp(realm->interfaces[i], name) == 0)
			return true;
	return false;
}

static const struct conf_realm *find_by_interface(const struct conf *conf, const struct addr *local)
{
	const struct conf_realm *found = NULL;
	struct ifaddrs *all;
	struct addr a;

	if (getifaddrs(&all) != 0)
		return NULL;
	for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || addr_from_sockaddr(&a, i->ifa_addr) || !addr_same_ip(&a, local))
			continue;
		for (size_t r = 0; r < conf->n_realms && !found; r++)
			if (owns_interface(&conf->realms[r], i->ifa_name))
				found = &conf->realms[r];
	}
	freeifaddrs(all);
	return found;
}

const struct conf_realm *peer_home_find(const struct conf *conf, const struct addr *host)
{
	struct addr local;

	if (local_address(&local, host))
		return NULL;
	for (size_t i = 0; i < conf->n_realms; i++)
		if (owns_address(&conf->realms[i], &local))
			return &conf->realms[i];
	return find_by_interface(conf, &local);
}
