/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: names of dialogs in headers (RFC 3515, 3891), which mean another
 * dialog on the other side of the node.
 */
#ifndef RTPFWD_SIP_REFER_H
#define RTPFWD_SIP_REFER_H

#include "sip/dialog.h"

struct leg;

/* Of the last REFERs that went out in a dialog: their number there, and in the dialog of whoever
 * asked. An Event `refer;id=NUMBER` is about one of them (RFC 3515 2.4.6). */
struct sip_refers {
	struct sip_refer_pair {
		uint32_t sent, asked;
	} pairs[4];
	unsigned int n; /* of all; the last ones are kept */
};

/* The leg whose far end has the dialog that a Replaces value names, told by that far end or,
 * through us, by the one of the other leg. NULL: it is no dialog of ours. */
struct leg *sip_replaces_leg(const struct sip *sip, const char *value);
/* The header line, as that leg's far end knows the dialog; as it came where it is none of ours. */
void sip_replaces_line(struct buf *out, const struct sip *sip, const char *value);

/* Refer-To for the far end of `to`: what led through us on one side leads through us on the other.
 */
void sip_refer_to_line(struct buf *out, const struct sip_bind *to, const char *value);

int sip_refers_note(struct sip_dialog *to, uint32_t sent, uint32_t asked); /* 0 or -ENOMEM */
/* Event in a request that came in `from` (NULL: in no dialog) and goes out in `to`. */
void sip_event_line(struct buf *out, const struct sip_dialog *from, const struct sip_dialog *to,
		    const char *value);

#endif
