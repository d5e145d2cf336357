/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The place of the control socket in the file system. */
#ifndef RTPFWD_CTL_SOCKET_H
#define RTPFWD_CTL_SOCKET_H

#include <stddef.h>
#include <sys/stat.h>

struct ctl_socket {
	int fd;
	char *path;
	dev_t dev; /* of the file that we made: only that is removed at the end */
	ino_t ino;
};

/* As ctl_new() says. Listens, does not block. */
int ctl_socket_open(struct ctl_socket *s, const char *path, char *why, size_t why_size);
void ctl_socket_close(struct ctl_socket *s);

#endif
