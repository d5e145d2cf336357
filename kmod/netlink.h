/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family of rtpfwd_nl.h. */
#ifndef RTPFWD_NETLINK_H
#define RTPFWD_NETLINK_H

int netlink_init(void);	 /* at load, last: commands may come at once */
void netlink_exit(void); /* at unload, first */

#endif
