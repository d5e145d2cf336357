/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request that the node passes on and does not serve: INFO, MESSAGE, REFER, NOTIFY, SUBSCRIBE and
 * PUBLISH, within a dialog and outside of one. The server transaction waits for the client
 * transaction; what that says is the answer. Whoever is handed a relay sends it on or refuses it
 * before the handler returns; all after that is done here.
 */
#ifndef RTPFWD_SIP_RELAY_H
#define RTPFWD_SIP_RELAY_H

#include "sip/leg.h"

struct relay;

/* Into the dialog of `to`. 0; -ENOTCONN: it has none; -errno of sending. */
int relay_to_leg(struct relay *r, struct leg *to);
/* To somebody, in a dialog of its own where the request makes one (SUBSCRIBE, REFER). 0 or -errno.
 */
int relay_to_target(struct relay *r, const struct leg_target *target);
/* Where a request outside of dialogs may go. */
struct relay_targets {
	/* Sends it to one that was not tried yet, by relay_to_target(). False: there are no more.
	 * Asked again, also later, where that one cannot be reached, says nothing, or answers 408
	 * or 5xx; where there are no more, that is the answer. */
	bool (*next)(void *owner, struct relay *r);
	void (*drop)(void *owner); /* it is over */
};

/* In place of relay_to_target(). */
void relay_along(struct relay *r, const struct relay_targets *targets, void *owner);
/* Outside of dialogs: what its sender is trusted with, of conf_identity. */
void relay_set_identity(struct relay *r, unsigned int identity);
/* Is it about a transfer (RFC 3515): the REFER, or a NOTIFY about it, or the last of those? */
enum relay_transfer { RELAY_NO_TRANSFER, RELAY_REFER, RELAY_REFER_GOES_ON, RELAY_REFER_ENDS };
enum relay_transfer relay_transfer(const struct relay *r);
void relay_refuse(struct relay *r, int code, const char *reason);

#endif
