/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* One frame that is made anew before each run of the program that is measured. */
#ifndef RTPFWD_PATH_H
#define RTPFWD_PATH_H

#include <linux/types.h>

#define PATH_HEAD 96 /* bytes that a forwarded frame may have changed */

struct path_state {
	__s32 shift;  /* bytes that the program has added in front, and that go again */
	__u32 seq_at; /* where RTP's sequence number lies; 0: there is none */
	__u64 seq;
	__u8 head[PATH_HEAD];
};

#endif
