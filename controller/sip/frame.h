/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: where in a stream of bytes a message ends (RFC 3261 18.3). Pure. */
#ifndef RTPFWD_SIP_FRAME_H
#define RTPFWD_SIP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

enum {
	SIP_FRAME_HEAD_MAX = 16384, /* start line and headers */
	SIP_FRAME_MAX = 65535,	    /* all of a message: as much as a datagram holds */
};

enum sip_frame_kind {
	FRAME_MORE, /* bytes are missing */
	FRAME_SKIP, /* a line end between messages */
	FRAME_PING, /* the second of two, which asks for one (RFC 5626 4.4.1) */
	FRAME_MESSAGE,
	FRAME_NO_LENGTH, /* headers without Content-Length, which a stream needs (20.14) */
	FRAME_BAD_LENGTH,
	FRAME_TOO_LARGE,
	FRAME_GARBAGE, /* this is not SIP */
};

/* What is known of the message that the stream begins with. Zero-initialise. */
struct sip_frame {
	size_t seen;  /* bytes searched for the end of the headers */
	size_t total; /* headers and body; 0 not known */
	bool half;    /* one line end came, which may be half of a ping */
};

/* What lies at the beginning of `p`, where all bytes since the last message are. `*len` receives
 * how many of them it takes: for the kinds after FRAME_MESSAGE those of the headers, 0 where even
 * they have no end. But for FRAME_MORE the next call is about what follows. */
enum sip_frame_kind sip_frame_next(struct sip_frame *f, const char *p, size_t n, size_t *len);

#endif
