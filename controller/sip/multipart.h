/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: bodies of several parts (RFC 2046 5.1), of which only the description
 * is looked at. */
#ifndef RTPFWD_SIP_MULTIPART_H
#define RTPFWD_SIP_MULTIPART_H

#include "lib/buf.h"

struct multipart {
	struct slice sdp;    /* the description, in the body; p NULL: none */
	struct slice length; /* the line of its own Content-Length with its end; p NULL: none */
};

/* `type`: the value of Content-Type. 0; -EBADMSG: not well formed, two descriptions, or one that is
 * encoded. */
int multipart_parse(struct multipart *out, struct slice body, const char *type);

/* The value of `;name=` in a header's value, quotes taken off. False: none, or too long. */
bool multipart_param(const char *value, const char *name, char *out, size_t size);

#endif
