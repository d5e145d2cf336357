/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: when there is more to do than can be done. The kernel stamps each
 * datagram; how long it lay in the socket is what everyone waits. Of a connection it is not known
 * when its bytes came, but since when there are always more than were read. A pause of the machine
 * is no overload: only a queue that stands for a while is. New calls are refused then, before
 * anything is kept of them; all that belongs to a call goes on, and among datagrams first.
 */
#ifndef RTPFWD_SIP_OVERLOAD_H
#define RTPFWD_SIP_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

enum {
	OVERLOAD_LAG_US = 50000, /* what a datagram may wait */
	/* For how long all may wait longer: well within the 500 ms after which far ends send again
	 * and make it worse. */
	OVERLOAD_STANDING_US = 150000,
};

/* Of one socket. Zero-initialise. */
struct sip_overload {
	uint64_t oldest_us; /* when the oldest of what was read last arrived */
	uint64_t since_us;  /* when the queue was first seen to be long; 0: it is not */
	bool more;	    /* of a connection: its last read left something */
	bool on;
};

/* A datagram waited so long; `now_us` of any clock that does not jump. */
void overload_waited(struct sip_overload *o, uint64_t lag_us, uint64_t now_us);
/* A connection was read, to its end or not. */
void overload_read(struct sip_overload *o, bool more, uint64_t now_us);

/* Room for the stamp of one datagram. */
union overload_stamp {
	char bytes[CMSG_SPACE(sizeof(struct timespec))];
	struct cmsghdr align;
};

/* Has the kernel stamp what comes in. */
int overload_stamps(int fd);
/* How long the datagram of `header`, just read, had waited; 0: not known. */
uint64_t overload_lag_us(struct msghdr *header);

/* Seconds after which one who was refused may try again; not the same for everybody, or they would
 * all be back at once. The same for the same Call-ID. */
unsigned int overload_retry_after_s(const char *call_id);

#endif
