// SPDX-License-Identifier: GPL-2.0-or-later
/* A request outside of dialogs along its route: like INVITEs it goes to the next target where one
 * does not serve it. */
#include "sip/relay_priv.h"

/* A far end that made the dialog by its NOTIFY has served the request, whatever it answers. */
static bool has_dialog(const struct relay *r)
{
	const struct sip_end *end = sip_end_of_key(r->sip, &r->to);

	return end && *end->dialog.remote_tag;
}

bool relay_goes_on(struct relay *r, int code)
{
	if (!r->targets || (code != 408 && (code < 500 || code > 599)) || has_dialog(r))
		return false;
	return r->targets->next(r->owner, r);
}

/* Whoever sent what is no INVITE hears for 64*T1 (RFC 3261 17.1.2.2), which is how long we would
 * wait for a silent target, too: only a shorter patience leaves time for another. What the silent
 * one may say later is not heard. */
void relay_lose_patience(struct relay *r)
{
	struct sip_client *silent = r->client;

	if (!silent || silent->state != CLIENT_CALLING || !relay_goes_on(r, 408))
		return;
	silent->owner = NULL;
}

void relay_along(struct relay *r, const struct relay_targets *targets, void *owner)
{
	r->targets = targets;
	r->owner = owner;
	if (!targets->next(owner, r))
		relay_refuse(r, 503, NULL);
}
