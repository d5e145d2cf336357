/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's side of the userspace relay: its sockets, the program that steers to them, the
 * process. */
#ifndef RTPFWD_DATAPATH_USER_H
#define RTPFWD_DATAPATH_USER_H

#include "datapath/user_sockets.h"
#include "lib/loop.h"

#include <sys/types.h>

struct datapath;

struct user {
	const char *program; /* NULL: there is no relay */
	int fds[USER_FDS];   /* of maps: xdp.c's, not to be closed; USER_TELL: the relay's end */
	int tell;	     /* our end; -1: none */
	pid_t pid;	     /* 0: none */
	int pidfd;	     /* readable when it has ended */
	int steer;	     /* BPF link */
	uint32_t generation; /* of `pid` */
	uint64_t started_ms;
	bool watched;
	struct watch heard, ended;
	struct timer again;
};

void user_init(struct datapath *dp);

/* Opens the sockets, steers to them, starts the process; what a former daemon started ends when
 * this one is ready. 0, or -errno and `why`. */
int user_open(struct datapath *dp, char *why, size_t why_size);

/* The map of keys is there now: so will be every relay's, and so is that of the one that runs. 0 or
 * -errno. */
int user_give_crypts(struct datapath *dp);

/* The process stays, with media. */
void user_close(struct datapath *dp);

/* `-D`, or other maps are to come: ends the process that the maps pinned in `folder` name. */
void user_dismiss(const char *folder);

#endif
