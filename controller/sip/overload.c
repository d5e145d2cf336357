// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/overload.h"

#include <errno.h>
#include <string.h>

enum { RETRY_LEAST_S = 2, RETRY_SPREAD_S = 8 };

void overload_waited(struct sip_overload *o, uint64_t lag_us, uint64_t now_us)
{
	o->oldest_us = now_us - lag_us;
	if (lag_us < OVERLOAD_LAG_US) {
		o->since_us = 0;
		o->on = false;
		return;
	}
	if (!o->since_us)
		o->since_us = now_us;
	else if (now_us - o->since_us >= OVERLOAD_STANDING_US)
		o->on = true;
}

void overload_read(struct sip_overload *o, bool more, uint64_t now_us)
{
	uint64_t lag_us = more && o->more ? now_us - o->oldest_us : 0;

	o->more = more;
	overload_waited(o, lag_us, now_us);
}

int overload_stamps(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ? -errno : 0;
}

/* The kernel's clock may be set while a datagram lies there: then the wait is not known. */
uint64_t overload_lag_us(struct msghdr *header)
{
	struct timespec now, then;
	int64_t lag_us;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&then, CMSG_DATA(c), sizeof(then));
		clock_gettime(CLOCK_REALTIME, &now);
		lag_us = (int64_t)(now.tv_sec - then.tv_sec) * 1000000 +
			 (now.tv_nsec - then.tv_nsec) / 1000;
		return lag_us > 0 ? (uint64_t)lag_us : 0;
	}
	return 0;
}

unsigned int overload_retry_after_s(const char *call_id)
{
	unsigned int sum = 0;

	while (*call_id)
		sum = sum * 31 + (unsigned char)*call_id++;
	return RETRY_LEAST_S + sum % RETRY_SPREAD_S;
}
