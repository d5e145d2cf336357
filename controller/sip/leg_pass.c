// SPDX-License-Identifier: GPL-2.0-or-later
/* What passes from one leg to the other. */
#include "sip/leg_priv.h"

#include <string.h>

/* The message being served is of this leg's dialog, and is not the INVITE that it keeps. */
static bool heard_now(const struct leg *leg)
{
	const struct sip_msg *m = leg->sip->now;

	return m && strcmp(m->call_id, leg->dialog.call_id) == 0 &&
	       !(m->request && m->method == SIP_INVITE);
}

void leg_set_identity(struct leg *leg, unsigned int identity)
{
	leg->dialog.identity = identity;
}

void leg_pass(struct leg *to, const struct leg *from)
{
	if (!to)
		return;
	sip_pass_drop(&to->pass);
	if (from && heard_now(from))
		to->pass = sip_pass_of(from->sip->now);
	else if (from && from->ist)
		to->pass = sip_pass_ref(from->ist->pass);
	if (from && sip_dialog_strips(from->dialog.identity, to->dialog.identity))
		sip_pass_strip(&to->pass);
}
