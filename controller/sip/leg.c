// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/relay_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct leg *leg)
{
	timer_stop(&leg->timer);
	timer_stop(&leg->job_timer);
	timer_stop(&leg->session.timer);
	leg_jobs_drop(leg);
	leg_early_free(leg);
	relays_end(leg);
	if (leg->hh.tbl)
		HASH_DELETE(hh, leg->sip->legs, leg);
	sip_dialog_clear(&leg->dialog);
	free(leg->ist_target);
	free(leg->ost_target);
	free(leg->ost_tag);
	free(leg->bye_reason);
	free(leg->ok);
	free(leg->user_agent);
	sip_pass_drop(&leg->pass);
	free(leg);
}

/* sip_free(): without a word to anybody. */
void sip_legs_free(struct sip *sip)
{
	struct leg *leg, *next;

	HASH_ITER(hh, sip->legs, leg, next)
		destroy(leg);
}

struct leg *leg_make(struct sip *sip, const struct sip_bind *bind, const char *call_id)
{
	struct leg *leg = calloc(1, sizeof(*leg));
	char tag[SIP_TAG_LEN + 1];

	if (!leg)
		return NULL;
	leg->sip = sip;
	leg->dialog.bind = bind;
	timer_init(&leg->timer, sip->loop, leg_timer, leg);
	timer_init(&leg->job_timer, sip->loop, leg_job_timer, leg);
	timer_init(&leg->session.timer, sip->loop, leg_session_timer, leg);
	sip_random_hex(sip, tag, SIP_TAG_LEN / 2);
	leg->dialog.local_tag = strdup(tag);
	leg->dialog.call_id = strdup(call_id);
	leg->dialog.remote_tag = strdup("");
	if (leg->dialog.local_tag && leg->dialog.call_id && leg->dialog.remote_tag) {
		leg->key = sip_dialog_key(bind, call_id, tag);
		SIP_KEY_ADD(hh, sip->legs, key, leg);
	}
	if (leg->hh.tbl)
		return leg;
	destroy(leg);
	return NULL;
}

struct leg *leg_of_key(const struct sip *sip, const struct sip_key *key)
{
	struct leg *leg;

	SIP_KEY_FIND(hh, sip->legs, key, leg);
	return leg;
}

struct leg *leg_of_dialog(const struct sip_bind *bind, const char *call_id, const char *local_tag,
			  const char *remote_tag)
{
	struct sip_key key = sip_dialog_key(bind, call_id, local_tag);
	struct leg *leg = leg_of_key(bind->sip, &key);

	if (leg && leg->phase != LEG_NEW && strcmp(leg->dialog.remote_tag, remote_tag) == 0)
		return leg;
	return NULL;
}

struct leg *leg_find(const struct sip_msg *m)
{
	return leg_of_dialog(m->bind, m->call_id, m->to_tag, m->from_tag);
}

void leg_enter(struct leg *leg)
{
	leg->busy++;
}

static bool is_idle(const struct leg *leg)
{
	return !leg->ist && !leg->ict && !leg->uct && !leg->unacked && !leg->pracks && !leg->bye &&
	       !leg->ping && !leg->ok;
}

void leg_leave(struct leg *leg)
{
	if (--leg->busy)
		return;
	if (leg->phase == LEG_OVER)
		relays_end(leg);
	if (leg->released && is_idle(leg))
		destroy(leg);
	else
		leg_jobs_kick(leg);
}

void leg_see_far(struct leg *leg, const struct sip_msg *m)
{
	const char *agent = sip_msg_agent(m);

	if (m->method == SIP_INVITE && (m->request || m->code < 300))
		leg->far_natted = sip_msg_natted(m);
	if (m->method == SIP_INVITE)
		leg_see_who(leg, m);
	if (m->first[SIP_H_ALLOW])
		leg->far_updates = sip_msg_lists(m, SIP_H_ALLOW, "UPDATE");
	if (!*agent)
		return;
	free(leg->user_agent);
	leg->user_agent = strndup(agent, 128);
}

void leg_drop_ok(struct leg *leg)
{
	if (!leg->ok)
		return;
	timer_stop(&leg->timer);
	free(leg->ok);
	leg->ok = NULL;
}

static void end_up(struct leg *leg, const char *reason)
{
	if (leg->ist)
		leg_refuse(leg, 487, NULL, 0);
	leg_jobs_drop(leg);
	if (leg->ok && leg->ok->initial) {
		/* RFC 3261 15: no BYE before the ACK, or before it is clear that none comes. */
		leg->bye_wanted = true;
		free(leg->bye_reason);
		leg->bye_reason = reason ? strdup(reason) : NULL;
		return;
	}
	leg_drop_ok(leg);
	leg_send_bye(leg, reason);
}

void leg_end(struct leg *leg, const char *reason)
{
	if (leg->ost)
		leg_disagree(leg, 487, NULL, 0);
	switch (leg->phase) {
	case LEG_NEW:
		leg->phase = LEG_OVER;
		break;
	case LEG_SETUP:
		if (leg->incoming)
			leg_refuse(leg, 500, NULL, 0);
		else
			leg_cancel(leg);
		break;
	case LEG_UP:
		if (!leg->bye_wanted)
			end_up(leg, reason);
		break;
	case LEG_OVER:
		break;
	}
}

void leg_take(struct leg *leg, const struct leg_events *events, void *owner)
{
	leg->events = events;
	leg->owner = owner;
}

void *leg_owner(const struct leg *leg)
{
	return leg->owner;
}

void leg_free(struct leg *leg)
{
	if (!leg)
		return;
	leg_enter(leg);
	leg->events = NULL;
	leg->owner = NULL;
	leg->released = true;
	leg_end(leg, NULL);
	leg_leave(leg);
}

void leg_bye(struct leg *leg, const char *reason)
{
	leg->events = NULL;
	leg_end(leg, reason);
}

struct addr leg_hop(const struct leg *leg)
{
	return sip_dialog_hop(&leg->dialog);
}

unsigned int leg_bind(const struct leg *leg)
{
	return leg->dialog.bind->index + 1;
}

const char *leg_call_id(const struct leg *leg)
{
	return leg->dialog.call_id;
}

bool leg_settled(const struct leg *leg)
{
	return leg->phase == LEG_UP && !leg->ist && !leg->ict && !leg->ok && !leg->ost &&
	       !leg->uct && !leg->unacked && !leg->jobs;
}

const char *leg_user_agent(const struct leg *leg)
{
	return leg->user_agent ? leg->user_agent : "";
}

struct addr leg_source(const struct leg *leg)
{
	return leg->dialog.source;
}

static bool is_elsewhere(const struct sip_server *request)
{
	return request && request->bind->transport != CONF_TLS;
}

bool leg_over_tls(const struct leg *leg)
{
	return leg->dialog.bind->transport == CONF_TLS && !is_elsewhere(leg->ist) &&
	       !is_elsewhere(leg->ost);
}

bool leg_will_be_over_tls(const struct sip *sip, const struct leg_target *target)
{
	const struct sip_bind *bind = sip_bind_to(sip, target);

	return bind && bind->transport == CONF_TLS;
}

bool leg_natted(const struct leg *leg)
{
	return leg->far_natted;
}

uint64_t leg_arrived_us(const struct leg *leg)
{
	return leg->arrived_us;
}
