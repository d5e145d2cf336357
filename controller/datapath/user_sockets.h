/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the userspace relay is given by the daemon that executes it, as numbers in its arguments. */
#ifndef RTPFWD_DATAPATH_USER_SOCKETS_H
#define RTPFWD_DATAPATH_USER_SOCKETS_H

#include <stdint.h>

enum user_fd {
	USER_UDP4, /* where datagrams to relay ports arrive */
	USER_UDP6,
	USER_PACKET, /* AF_PACKET: frames out */
	USER_RAW4,   /* datagrams out, by the kernel's own way */
	USER_RAW6,
	USER_SOCKETS,
	USER_TELL = USER_SOCKETS, /* a pair: struct rtpfwd_event to the daemon, a map from it */
	USER_CONTROL,		  /* maps */
	USER_SLOTS,
	USER_RESTS,
	USER_RELAY,
	USER_UPPERS,
	USER_CRYPTS, /* -1: there are no keys; the daemon may send the map by USER_TELL later */
	USER_KMOD,   /* kmod_socket(); -1: no rtpfwd.ko is in use */
	USER_FDS
};

/* rtpfwd_event.slot: no slot, but the relay's word that it can begin. */
#define USER_READY UINT32_MAX

/* Opens the first USER_SOCKETS; those of IPv6 are -1 where the host has none. 0 or -errno, nothing
 * left open. */
int user_sockets_open(int fds[USER_SOCKETS]);
void user_sockets_close(int fds[USER_SOCKETS]);

#endif
