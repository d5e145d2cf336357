// SPDX-License-Identifier: GPL-2.0-or-later
/* Who talks to whom in a dialog that we begin. */
#include "sip/dialog.h"
#include "sip/leg.h"
#include "sip/text.h"

#include <errno.h>
#include <string.h>

static void print_parties(const struct sip_dialog *d, const struct leg_target *target,
			  const struct addr *first_hop, struct buf *from, struct buf *to)
{
	char hostport[ADDR_TEXT];
	const struct sip_bind *bind = d->bind;
	const char *user = *target->from_user ? target->from_user : "anonymous";

	if (*target->from_display) {
		sip_add_quoted(from, target->from_display);
		buf_str(from, " ");
	}
	buf_str(from, "<sip:");
	sip_add_user(from, user);
	buf_printf(from, "@%s>;tag=%s",
		   target->from_host		? target->from_host
		   : bind->local.port == 5060 ? bind->host
					      : bind->hostport,
		   d->local_tag);
	buf_str(to, "sip:");
	if (*target->number) {
		sip_add_user(to, target->number);
		buf_str(to, "@");
	}
	buf_str(to, target->host ? target->host : addr_print(hostport, first_hop));
}

int sip_dialog_parties(struct sip_dialog *d, const struct leg_target *target,
		       const struct addr *first_hop)
{
	struct buf from = {0}, uri = {0}, to = {0};

	print_parties(d, target, first_hop, &from, &uri);
	if (!uri.failed)
		buf_printf(&to, "<%s>", uri.data);
	buf_str(&uri, d->bind->params);
	d->local = buf_take(&from);
	d->remote = buf_take(&to);
	d->target = target->uri ? strdup(target->uri) : buf_take(&uri);
	buf_free(&uri);
	if (!d->local || !d->remote || !d->target)
		return -ENOMEM;
	return target->secret ? sip_dialog_login(d, target->user, target->secret) : 0;
}

bool sip_dialog_strips(unsigned int from, unsigned int to)
{
	return (from & IDENTITY_DISTRUST) || (to & IDENTITY_WITHHOLD);
}

int sip_dialog_begin(struct sip_dialog *d, const struct sip_bind *bind,
		     const struct leg_target *target, const struct addr *first_hop)
{
	char tag[SIP_TAG_LEN + 1], call_id[SIP_CALL_ID_LEN + 1];

	*d = (struct sip_dialog){.bind = bind,
				 .force_rport = target->force_rport,
				 .grows = target->grows,
				 .identity = target->identity};
	sip_random_hex(bind->sip, tag, SIP_TAG_LEN / 2);
	sip_random_hex(bind->sip, call_id, SIP_CALL_ID_LEN / 2);
	d->local_tag = strdup(tag);
	d->call_id = strdup(call_id);
	d->remote_tag = strdup("");
	if (!d->local_tag || !d->call_id || !d->remote_tag)
		return -ENOMEM;
	return sip_dialog_parties(d, target, first_hop);
}
