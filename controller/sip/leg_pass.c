// SPDX-License-Identifier: GPL-2.0-or-later
/* What passes from one leg to the other. */
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <string.h>
#include <strings.h>

/* The message being served is of this leg's dialog, and is not the INVITE that it keeps. */
static bool heard_now(const struct leg *leg)
{
	const struct sip_msg *m = leg->sip->now;

	return m && strcmp(m->call_id, leg->dialog.call_id) == 0 &&
	       !(m->request && m->method == SIP_INVITE);
}

/* One value of a list: `Q.850;cause=N`. */
static unsigned int q850_of(struct slice reason)
{
	char text[128];
	const char *rest = text;
	struct slice item;
	uint32_t cause;

	if (reason.len >= sizeof(text))
		return 0;
	memcpy(text, reason.p, reason.len);
	text[reason.len] = '\0';
	if (!sip_list_next(&rest, ';', &item) || !slice_is(item, "Q.850"))
		return 0;
	while (sip_list_next(&rest, ';', &item)) {
		char number[8];

		if (item.len < 7 || item.len - 6 >= sizeof(number) ||
		    strncasecmp(item.p, "cause=", 6) != 0)
			continue;
		memcpy(number, item.p + 6, item.len - 6);
		number[item.len - 6] = '\0';
		return sip_number(number, 127, &cause) ? cause : 0;
	}
	return 0;
}

unsigned int leg_heard_q850(const struct leg *leg)
{
	const struct sip_msg *m = leg->sip->now;

	if (!heard_now(leg))
		return 0;
	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;
		struct slice item;

		if (strcasecmp(m->lines[i].name, "Reason") != 0)
			continue;
		while (sip_list_next(&rest, ',', &item))
			if (q850_of(item))
				return q850_of(item);
	}
	return 0;
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

void leg_see_who(struct leg *leg, const struct sip_msg *m)
{
	uint64_t who = sip_pass_who(m);

	leg->who_changed = who && who != leg->who;
	if (who)
		leg->who = who;
}

void leg_pass_who(struct leg *from)
{
	struct leg *to = from->who_changed && from->events && from->events->twin
				 ? from->events->twin(from->owner, from)
				 : NULL;

	from->who_changed = false;
	if (!to || to->phase != LEG_UP || to->bye_wanted)
		return;
	leg_pass(to, from);
	if (sip_pass_says_who(to->pass))
		leg_job_add(to, LEG_WHO, true, NULL, 0);
	sip_pass_drop(&to->pass);
}
