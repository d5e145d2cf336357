// SPDX-License-Identifier: GPL-2.0-or-later
/* OPTIONS of our own in a dialog: is the far end still in it? */
#include "sip/leg_priv.h"

#include <errno.h>

static void end(struct leg *leg, int code)
{
	leg_enter(leg);
	leg->ping = NULL;
	if (leg->phase == LEG_UP && leg->events && (code == 481 || code == 408))
		leg->events->gone(leg->owner, leg, code);
	leg_leave(leg);
}

static void on_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	(void)c;
	if (m->code >= 200)
		end(owner, m->code);
}

static void on_lost(void *owner, int code)
{
	end(owner, code);
}

static void on_again(void *owner, struct sip_client *c)
{
	struct leg *leg = owner;

	leg->ping = c;
}

static const struct sip_client_events ping_events = { .response = on_response,
						      .lost = on_lost,
						      .next_cseq = leg_next_cseq,
						      .again = on_again };

int leg_ping(struct leg *leg)
{
	struct sip_outgoing r = { .method = SIP_OPTIONS };
	int err;

	if (leg->phase != LEG_UP || leg->bye_wanted)
		return -ENOTCONN;
	if (leg->ping)
		return 0;
	err = leg_send(leg, &leg->ping, &r);
	if (!err)
		sip_client_own(leg->ping, &ping_events, leg);
	return err;
}
