/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grace periods: after one, no XDP program is left that was running when it began, and the
 * userspace relay is out of what it was reading. Waited for in a thread, told to the loop. */
#ifndef RTPFWD_DATAPATH_GRACE_H
#define RTPFWD_DATAPATH_GRACE_H

#include "lib/loop.h"
#include "rtpfwd_abi.h"

struct grace;

int grace_new(struct grace **out, struct loop *loop, struct rtpfwd_relay *relay,
	      void (*over)(void *owner), void *owner);
void grace_free(struct grace *grace); /* waits for the running period; NULL-safe */
void grace_begin(
	struct grace *grace); /* not while one is running; `over` is called in the loop after it */
bool grace_running(const struct grace *grace);
void grace_wait(struct rtpfwd_relay *relay); /* one grace period, here and now */

#endif
