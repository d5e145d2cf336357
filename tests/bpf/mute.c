// SPDX-License-Identifier: GPL-2.0-or-later
/* Preloaded by a daemon under test: while the file that MUTE names is there, no question about a
 * route gets to the kernel. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *buffer, size_t size)
{
	ssize_t (*next)(const struct mnl_socket *nl, const void *buffer, size_t size);
	const struct nlmsghdr *nlh = buffer;

	if (nlh->nlmsg_type == RTM_GETROUTE && access(getenv("MUTE"), F_OK) == 0) {
		errno = ENOBUFS;
		return -1;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "mnl_socket_sendto");
	return next(nl, buffer, size);
}
