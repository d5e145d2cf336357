// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int leg_new(struct leg **out, struct sip *sip, const struct leg_target *target,
	    const struct leg_events *events, void *owner)
{
	const struct sip_bind *bind = sip_bind_to(sip, target);
	char call_id[SIP_CALL_ID_LEN + 1];
	struct leg *leg;

	if (!bind)
		return -EADDRNOTAVAIL;
	sip_random_hex(sip, call_id, SIP_CALL_ID_LEN / 2);
	leg = leg_make(sip, bind, call_id);
	if (!leg)
		return -ENOMEM;
	leg->phase = LEG_NEW;
	leg->first_hop = addr_with_port(&target->to, target->to.port ? target->to.port : 5060);
	leg->max_forwards = target->max_forwards;
	leg->dialog.force_rport = target->force_rport;
	leg->dialog.grows = target->grows;
	leg->dialog.identity = target->identity;
	if (sip_dialog_parties(&leg->dialog, target, &leg->first_hop)) {
		leg_free(leg);
		return -ENOMEM;
	}
	leg_take(leg, events, owner);
	*out = leg;
	return 0;
}

static const struct sip_client_events invite_events;

static int send_invite(struct leg *leg, const struct addr *to, unsigned int max_forwards,
		       struct slice sdp)
{
	char branch[SIP_BRANCH_LEN + 1];
	struct sip_outgoing r = {
		.method = SIP_INVITE,
		.cseq = leg->dialog.local_cseq + 1,
		.max_forwards = max_forwards,
		.branch = branch,
		.pass = leg->pass,
		.sdp = sdp,
	};
	int err;

	sip_branch_new(leg->sip, branch);
	sip_build_request(&leg->sip->out, &leg->dialog, &r);
	sip_pass_drop(&leg->pass);
	err = sip_client_new_in(&leg->ict, &leg->dialog, to, SIP_INVITE, branch);
	if (err)
		return err;
	leg->dialog.local_cseq++;
	sip_client_own(leg->ict, &invite_events, leg);
	return 0;
}

int leg_invite(struct leg *leg, const char *sdp, size_t len)
{
	int err;

	if (leg->phase != LEG_NEW)
		return -EINVAL;
	err = send_invite(leg, &leg->first_hop, leg->max_forwards, (struct slice){sdp, len});
	if (!err)
		leg->phase = LEG_SETUP;
	return err;
}

int leg_reinvite(struct leg *leg, const char *sdp, size_t len)
{
	struct addr to;

	if (leg->phase != LEG_UP || leg->bye_wanted)
		return -ENOTCONN;
	if (leg->ict || leg->ist || leg->ok.bytes)
		return -EBUSY;
	to = sip_dialog_hop(&leg->dialog);
	return send_invite(leg, &to, SIP_HOPS, (struct slice){sdp, len});
}

void leg_cancel(struct leg *leg)
{
	if (leg->phase == LEG_NEW)
		leg->phase = LEG_OVER;
	if (!leg->ict)
		return;
	if (leg->phase == LEG_SETUP)
		leg->cancelled = true;
	sip_client_why(leg->ict, leg->pass);
	sip_pass_drop(&leg->pass);
	sip_client_cancel(leg->ict);
}

static void on_bye_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct leg *leg = owner;

	(void)c;
	(void)m;
	leg_enter(leg);
	leg->bye = NULL;
	leg_leave(leg);
}

static void on_bye_lost(void *owner, int code)
{
	struct leg *leg = owner;

	(void)code;
	leg_enter(leg);
	leg->bye = NULL;
	leg_leave(leg);
}

static const struct sip_client_events bye_events = {.response = on_bye_response,
						    .lost = on_bye_lost};

void leg_send_bye(struct leg *leg, const char *reason)
{
	char branch[SIP_BRANCH_LEN + 1];
	struct addr to = sip_dialog_hop(&leg->dialog);
	struct sip_outgoing r = {
		.method = SIP_BYE,
		.cseq = ++leg->dialog.local_cseq,
		.max_forwards = SIP_HOPS,
		.branch = branch,
		.reason = reason,
		.pass = leg->pass,
	};

	leg->phase = LEG_OVER;
	sip_branch_new(leg->sip, branch);
	sip_build_request(&leg->sip->out, &leg->dialog, &r);
	sip_pass_drop(&leg->pass);
	if (sip_client_new_in(&leg->bye, &leg->dialog, &to, SIP_BYE, branch) == 0)
		sip_client_own(leg->bye, &bye_events, leg);
}

static int refresh_target(struct leg *leg, const struct sip_msg *m)
{
	char *target = sip_contact_uri(m);
	int err = sip_dialog_set_target(&leg->dialog, target);

	free(target);
	return err;
}

/* The dialog that a response makes (RFC 3261 12.1.2, 13.2.2.4). */
static int adopt_dialog(struct leg *leg, const struct sip_msg *m)
{
	int err = sip_dialog_set_remote(&leg->dialog, m);

	if (!err)
		err = refresh_target(leg, m);
	if (!err)
		err = sip_dialog_set_routes(&leg->dialog, m, true);
	return err;
}

static void on_provisional(struct leg *leg, const struct sip_msg *m)
{
	if (leg->phase != LEG_SETUP || m->code == 100)
		return;
	if (*m->to_tag && !*leg->dialog.remote_tag)
		adopt_dialog(leg, m);
	if (leg->events && !leg->cancelled)
		leg->events->progress(leg->owner, leg, m->code, m->reason, sip_msg_sdp(m));
}

static void send_ack(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	char branch[SIP_BRANCH_LEN + 1];
	struct addr to = sip_dialog_hop(&leg->dialog);
	struct sip_outgoing r = {
		.method = SIP_ACK,
		.cseq = m->cseq,
		.max_forwards = SIP_HOPS,
		.branch = branch,
	};

	sip_branch_new(leg->sip, branch);
	sip_build_request(&leg->sip->out, &leg->dialog, &r);
	sip_client_ack(c, m, leg->dialog.bind, &to);
}

static void fail(struct leg *leg, int code, const char *reason, unsigned int retry_after_s)
{
	if (leg->phase == LEG_SETUP)
		leg->phase = LEG_OVER;
	if (leg->events)
		leg->events->failed(leg->owner, leg, code, reason, retry_after_s);
}

static void on_first_success(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	int err = adopt_dialog(leg, m);

	leg->phase = LEG_UP;
	leg_see_agent(leg, m);
	send_ack(leg, c, m);
	if (leg->cancelled || err) {
		/* The CANCEL came too late, or the dialog cannot be held. */
		leg_send_bye(leg, NULL);
		fail(leg, leg->cancelled ? 487 : 500, sip_reason(leg->cancelled ? 487 : 500), 0);
		return;
	}
	if (leg->events)
		leg->events->answered(leg->owner, leg, sip_msg_sdp(m));
}

static void on_success(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	if (leg->phase == LEG_SETUP) {
		on_first_success(leg, c, m);
		return;
	}
	refresh_target(leg, m);
	leg_see_agent(leg, m);
	send_ack(leg, c, m);
	if (leg->phase == LEG_UP && leg->events)
		leg->events->reanswered(leg->owner, leg, m->code, m->reason, sip_msg_sdp(m));
}

static void on_refusal(struct leg *leg, const struct sip_client *c, const struct sip_msg *m)
{
	/* A CANCEL that only timer C asked for: nobody answered in time. */
	bool expired = c->cancelled && !leg->cancelled && m->code == 487;

	if (leg->phase == LEG_SETUP)
		fail(leg, expired ? 408 : m->code, expired ? sip_reason(408) : m->reason,
		     sip_msg_retry_after(m));
	else if (leg->phase == LEG_UP && leg->events)
		leg->events->reanswered(leg->owner, leg, m->code, m->reason, (struct slice){0});
}

static void on_invite_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct leg *leg = owner;

	leg_enter(leg);
	sip_dialog_heard(&leg->dialog, m);
	if (m->code >= 200)
		leg->ict = NULL;
	if (m->code < 200)
		on_provisional(leg, m);
	else if (m->code < 300)
		on_success(leg, c, m);
	else
		on_refusal(leg, c, m);
	leg_leave(leg);
}

static void on_invite_lost(void *owner, int code)
{
	struct leg *leg = owner;

	leg_enter(leg);
	leg->ict = NULL;
	if (leg->phase == LEG_SETUP)
		fail(leg, code, sip_reason(code), 0);
	else if (leg->phase == LEG_UP && leg->events)
		leg->events->reanswered(leg->owner, leg, code, sip_reason(code), (struct slice){0});
	leg_leave(leg);
}

static const struct sip_client_events invite_events = {.response = on_invite_response,
						       .lost = on_invite_lost};
