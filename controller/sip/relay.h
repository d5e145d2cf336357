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
/* Outside of dialogs: what its sender is trusted with, of conf_identity. */
void relay_set_identity(struct relay *r, unsigned int identity);
void relay_refuse(struct relay *r, int code, const char *reason);

#endif
