/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames out of the userspace relay, a batch at a time. */
#ifndef RTPFWD_DATAPATH_USER_SEND_H
#define RTPFWD_DATAPATH_USER_SEND_H

#include "datapath/user_verdict.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define USER_BATCH 64 /* datagrams in one system call */

struct user_send {
	struct user_maps *maps;
	int packet, raw4, raw6; /* sockets; raw6 -1: no IPv6 here */
	unsigned int n;
	struct mmsghdr messages[USER_BATCH];
	struct sockaddr_ll to[USER_BATCH];
	struct iovec parts[USER_BATCH];
};

void user_send_init(struct user_send *send, struct user_maps *maps, const int sockets[3]);

/* Of at most USER_BATCH frames between two flushes, whose memory stays as it is until then. */
void user_send_add(struct user_send *send, const struct user_frame *frame);

/* What cannot be sent is counted as tx_failed. */
void user_send_flush(struct user_send *send);

#endif
