// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int leg_login(struct leg *leg, const char *user, const char *secret)
{
	return sip_dialog_login(&leg->dialog, user, secret);
}

uint32_t leg_next_cseq(void *owner)
{
	struct leg *leg = owner;

	return ++leg->dialog.local_cseq;
}

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
	leg->way = target->way;
	leg->dialog.force_rport = target->force_rport;
	leg->dialog.grows = target->grows;
	leg->dialog.identity = target->identity;
	leg->reliability = target->reliability;
	leg_session_setup(leg, &target->session);
	if (sip_dialog_parties(&leg->dialog, target, &leg->first_hop)) {
		leg_free(leg);
		return -ENOMEM;
	}
	leg_take(leg, events, owner);
	*out = leg;
	return 0;
}

static const struct sip_client_events invite_events;

static int send_request(struct leg *leg, struct sip_client **out, const struct addr *to,
			struct sip_outgoing *r)
{
	char branch[SIP_BRANCH_LEN + 1];
	struct sip_client *c;
	int err;

	r->cseq = leg->dialog.local_cseq + 1;
	r->branch = branch;
	sip_branch_new(leg->sip, branch, leg->way);
	sip_build_request(&leg->sip->out, &leg->dialog, r);
	err = sip_client_new_in(&c, &leg->dialog, to, r->method, branch);
	if (err)
		return err;
	leg->dialog.local_cseq++;
	sip_client_login(c, leg->dialog.user, leg->dialog.secret);
	if (r->method == SIP_INVITE)
		sip_client_own(c, &invite_events, leg);
	if (out)
		*out = c;
	return 0;
}

int leg_send(struct leg *leg, struct sip_client **out, struct sip_outgoing *r)
{
	struct addr to = sip_dialog_hop(&leg->dialog);

	r->max_forwards = SIP_HOPS;
	return send_request(leg, out, &to, r);
}

int leg_invite(struct leg *leg, const char *sdp, size_t len)
{
	char session[LEG_SESSION_LINES], lines[LEG_SESSION_LINES + 32];
	const char *timer = leg_session_request(leg, session);
	struct sip_outgoing r = {
		.method = SIP_INVITE,
		.max_forwards = leg->max_forwards,
		.pass = leg->pass,
		.supported = leg->reliability ? leg_session_supported(leg) : leg_session_tag(leg),
		.lines = lines,
		.sdp = { sdp, sdp ? len : 0 },
	};
	int err;

	if (leg->phase != LEG_NEW)
		return -EINVAL;
	snprintf(lines, sizeof(lines), "%s%s",
		 leg->reliability == LEG_ONLY_RELIABLE ? "Require: 100rel\r\n" : "",
		 timer ? timer : "");
	err = send_request(leg, &leg->ict, &leg->first_hop, &r);
	sip_pass_drop(&leg->pass);
	if (err)
		return err;
	leg->ict_offer = sdp != NULL;
	leg->phase = LEG_SETUP;
	return 0;
}

void leg_cancel(struct leg *leg)
{
	if (leg->phase == LEG_NEW)
		leg->phase = LEG_OVER;
	if (leg->phase == LEG_UP)
		leg_job_withdraw(leg);
	if (!leg->ict || (leg->phase == LEG_UP && (!leg->jobs || !leg->jobs->withdrawn)))
		return;
	if (leg->phase == LEG_SETUP)
		leg->cancelled = true;
	sip_client_why(leg->ict, leg->pass);
	sip_pass_drop(&leg->pass);
	sip_client_cancel(leg->ict);
}

/* Its dialog is over. One that was answered provisionally and never again would wait for timer C,
 * three minutes. */
void leg_forget_reinvite(struct leg *leg)
{
	if (leg->ict)
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

static void on_bye_again(void *owner, struct sip_client *c)
{
	struct leg *leg = owner;

	leg->bye = c;
}

static const struct sip_client_events bye_events = {.response = on_bye_response,
						    .lost = on_bye_lost,
						    .next_cseq = leg_next_cseq,
						    .again = on_bye_again};

void leg_send_bye(struct leg *leg, const char *reason)
{
	struct addr to = sip_dialog_hop(&leg->dialog);
	struct sip_outgoing r = {
		.method = SIP_BYE, .max_forwards = SIP_HOPS, .reason = reason, .pass = leg->pass
	};
	int err;

	if (leg->unacked)
		leg_send_held_ack(leg, (struct slice){ 0 });
	leg->phase = LEG_OVER;
	leg_forget_reinvite(leg);
	leg_jobs_drop(leg);
	leg_session_stop(leg);
	err = send_request(leg, &leg->bye, &to, &r);
	sip_pass_drop(&leg->pass);
	if (err == 0)
		sip_client_own(leg->bye, &bye_events, leg);
	else
		leg->bye = NULL;
}

int leg_refresh_target(struct leg *leg, const struct sip_msg *m)
{
	char *target = sip_contact_uri(m);
	int err = sip_dialog_set_target(&leg->dialog, target);

	free(target);
	return err;
}

/* The dialog that a response makes (RFC 3261 12.1.2, 13.2.2.4). */
int leg_adopt_dialog(struct leg *leg, const struct sip_msg *m)
{
	int err;

	if (strcmp(leg->dialog.remote_tag, m->to_tag) != 0)
		leg->dialog.remote_cseq_known = false;
	err = sip_dialog_set_remote(&leg->dialog, m);
	if (!err)
		err = leg_refresh_target(leg, m);
	if (!err)
		err = sip_dialog_set_routes(&leg->dialog, m, true);
	return err;
}

/* `credentials`: those of the INVITE (RFC 3261 22.1); NULL: none. */
static struct addr build_ack(struct leg *leg, uint32_t cseq, const char *credentials,
			     struct slice sdp)
{
	char branch[SIP_BRANCH_LEN + 1];
	struct sip_outgoing r = {
		.method = SIP_ACK,
		.cseq = cseq,
		.max_forwards = SIP_HOPS,
		.branch = branch,
		.sdp = sdp,
		.lines = credentials,
	};

	sip_branch_new(leg->sip, branch, leg->way);
	sip_build_request(&leg->sip->out, &leg->dialog, &r);
	return sip_dialog_hop(&leg->dialog);
}

static void send_ack(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	struct addr to = build_ack(leg, m->cseq, c->credentials, (struct slice){ 0 });

	sip_client_ack(c, m->to_tag, leg->dialog.bind, &to);
}

void leg_send_held_ack(struct leg *leg, struct slice sdp)
{
	struct sip_client *c = leg->unacked;
	struct addr to = build_ack(leg, leg->unacked_cseq, c->credentials, sdp);

	leg->unacked = NULL;
	sip_client_ack(c, leg->dialog.remote_tag, leg->dialog.bind, &to);
}

/* The far end gave up waiting for our ACK, which waited for an answer. */
static void on_unacked_lost(void *owner, int code)
{
	struct leg *leg = owner;
	struct addr to;

	(void)code;
	leg_enter(leg);
	leg->unacked = NULL;
	if (leg->phase == LEG_UP) {
		to = build_ack(leg, leg->unacked_cseq, NULL, (struct slice){ 0 });
		sip_send(leg->dialog.bind, &to, leg->sip->out.data, leg->sip->out.len);
		leg_send_bye(leg, NULL);
		if (leg->events)
			leg->events->ended(leg->owner, leg, "no_answer");
	}
	leg_leave(leg);
}

static const struct sip_client_events unacked_events = { .lost = on_unacked_lost };

static void hold_ack(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	leg->unacked = c;
	leg->unacked_cseq = m->cseq;
	sip_client_hold_ack(c, m, &unacked_events, leg);
}

void leg_late_success(struct leg *leg, const struct sip_msg *m)
{
	struct addr to;

	if (leg->phase != LEG_UP)
		return;
	leg_enter(leg);
	to = build_ack(leg, m->cseq, NULL, (struct slice){ 0 });
	leg->sip->stats.requests[SIP_ACK][SIP_OUT]++;
	sip_send(leg->dialog.bind, &to, leg->sip->out.data, leg->sip->out.len);
	if (leg->events && leg->events->late)
		leg->events->late(leg->owner, leg, sip_msg_sdp(m));
	leg_leave(leg);
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
	int err = leg_adopt_dialog(leg, m);
	bool settled = leg_early_settled(leg);
	struct slice sdp = leg_early_answer(leg, m);

	leg->phase = LEG_UP;
	leg_see_far(leg, m);
	leg_session_granted(leg, m);
	if (!leg->ict_offer && settled)
		sdp = (struct slice){ 0 };
	if (!leg->ict_offer && sdp.p && !leg->cancelled && !err)
		hold_ack(leg, c, m);
	else
		send_ack(leg, c, m);
	if (leg->cancelled || err) {
		/* The CANCEL came too late, or the dialog cannot be held. */
		leg_send_bye(leg, NULL);
		fail(leg, leg->cancelled ? 487 : 500, sip_reason(leg->cancelled ? 487 : 500), 0);
	} else if (leg->events) {
		leg->events->answered(leg->owner, leg, sdp);
	}
	leg_early_free(leg);
}

static void on_success(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	if (leg->phase == LEG_SETUP) {
		on_first_success(leg, c, m);
		return;
	}
	leg_refresh_target(leg, m);
	leg_see_far(leg, m);
	if (leg->phase == LEG_UP)
		leg_session_granted(leg, m);
	if (leg->phase == LEG_UP && !leg->ict_offer && m->body_is_sdp)
		hold_ack(leg, c, m);
	else
		send_ack(leg, c, m);
	leg_job_done(leg, m->code, m);
}

/* RFC 4028 7.3: the same INVITE with the interval that the 422 names. */
static bool invite_for_longer(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	char lines[LEG_SESSION_LINES];

	return m->code == 422 && !leg->cancelled && leg_session_raise(leg, m) &&
	       sip_client_repeat(c, leg, leg_session_request(leg, lines));
}

static void on_refusal(struct leg *leg, struct sip_client *c, const struct sip_msg *m)
{
	/* A CANCEL that only timer C asked for: nobody answered in time. */
	bool expired = c->cancelled && !leg->cancelled && m->code == 487;

	if (leg->phase == LEG_SETUP && invite_for_longer(leg, c, m))
		return;
	if (leg->phase == LEG_SETUP)
		fail(leg, expired ? 408 : m->code, expired ? sip_reason(408) : m->reason,
		     sip_msg_retry_after(m));
	else
		leg_job_done(leg, m->code, m);
}

static void on_invite_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct leg *leg = owner;

	leg_enter(leg);
	sip_dialog_heard(&leg->dialog, m);
	if (m->code >= 200)
		leg->ict = NULL;
	if (m->code >= 300)
		on_refusal(leg, c, m);
	else if (m->code >= 200)
		on_success(leg, c, m);
	else if (m->code > 100 && leg->phase == LEG_SETUP)
		leg_early_heard(leg, m);
	leg_leave(leg);
}

static void on_invite_lost(void *owner, int code)
{
	struct leg *leg = owner;

	leg_enter(leg);
	leg->ict = NULL;
	if (leg->phase == LEG_SETUP)
		fail(leg, code, sip_reason(code), 0);
	else
		leg_job_done(leg, code, NULL);
	leg_leave(leg);
}

static void on_invite_again(void *owner, struct sip_client *c)
{
	struct leg *leg = owner;

	leg->ict = c;
}

static const struct sip_client_events invite_events = {.response = on_invite_response,
						       .lost = on_invite_lost,
						       .next_cseq = leg_next_cseq,
						       .again = on_invite_again};
