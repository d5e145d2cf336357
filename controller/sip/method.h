/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the methods that have a name here. */
#ifndef RTPFWD_SIP_METHOD_H
#define RTPFWD_SIP_METHOD_H

#include <stdbool.h>

enum sip_method {
	SIP_INVITE,
	SIP_ACK,
	SIP_CANCEL,
	SIP_BYE,
	SIP_OPTIONS,
	SIP_REGISTER,
	SIP_INFO,
	SIP_UPDATE,
	SIP_PRACK,
	SIP_REFER,
	SIP_NOTIFY,
	SIP_SUBSCRIBE,
	SIP_MESSAGE,
	SIP_PUBLISH,
	SIP_OTHER,
	SIP_METHODS
};

/* Methods are case-sensitive (RFC 3261 7.1). */
enum sip_method sip_method_of(const char *name);
/* It makes a dialog or refreshes the remote target: it has a Contact. */
bool sip_method_has_contact(enum sip_method method);
const char *sip_method_name(enum sip_method method); /* "other" for SIP_OTHER */

#endif
