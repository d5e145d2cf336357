/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: binding requests on the socket of SIP, with which phones keep their
 * NAT open and see what it made of their address (RFC 5389, RFC 5626 4.4.2). Pure. */
#ifndef RTPFWD_SIP_STUN_H
#define RTPFWD_SIP_STUN_H

#include "lib/addr.h"

#include <stddef.h>

enum { SIP_STUN_ANSWER_MAX = 64 };

/* The answer to a binding request from `source`; its length, 0: this is none. */
size_t sip_stun_answer(char answer[SIP_STUN_ANSWER_MAX], const char *in, size_t len,
		       const struct addr *source);

#endif
