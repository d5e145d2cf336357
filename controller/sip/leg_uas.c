// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/log.h"
#include "sip/relay_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3261 14.2 lets us choose from 0 to 10; 0 would be the same as to say nothing. */
enum { RETRY_AFTER_MAX_S = 10 };
/* How many re-INVITEs of one dialog may be remembered, each for 64*T1 after its answer. */
enum { INVITES_MAX = 32 };

unsigned int leg_retry_after(struct leg *leg)
{
	return 1 + sip_random_below(leg->sip, RETRY_AFTER_MAX_S);
}

static bool fill_dialog(struct leg *leg, const struct sip_msg *m, const char *target)
{
	struct sip_dialog *d = &leg->dialog;
	struct buf local = { 0 };

	buf_str(&local, m->first[SIP_H_TO]);
	buf_str(&local, ";tag=");
	buf_str(&local, d->local_tag);
	d->local = buf_take(&local);
	d->remote = strdup(m->first[SIP_H_FROM]);
	free(d->remote_tag);
	d->remote_tag = strdup(m->from_tag);
	d->remote_cseq = m->cseq;
	d->remote_cseq_known = true;
	sip_dialog_heard(d, m);
	return d->local && d->remote && d->remote_tag && sip_dialog_set_target(d, target) == 0 &&
	       sip_dialog_set_routes(d, m, false) == 0;
}

static enum leg_reliability reliability_of(const struct sip_msg *m)
{
	if (sip_msg_lists(m, SIP_H_REQUIRE, "100rel"))
		return LEG_ONLY_RELIABLE;
	return sip_msg_lists(m, SIP_H_SUPPORTED, "100rel") ? LEG_RELIABLE : LEG_UNRELIABLE;
}

/* False: no memory. */
static bool remember_reliability(struct leg *leg, enum leg_reliability wanted)
{
	if (!wanted)
		return true;
	if (!leg_early(leg))
		return false;
	leg->early->wanted = wanted;
	return true;
}

static struct leg *incoming_leg(const struct sip_msg *m, const char *target,
				const struct sip_verdict *verdict)
{
	bool force_rport = verdict->force_rport;
	struct leg *leg = leg_make(m->bind->sip, m->bind, m->call_id);

	if (!leg)
		return NULL;
	leg->incoming = true;
	leg->dialog.force_rport = force_rport;
	leg->dialog.grows = verdict->grows;
	leg_session_setup(leg, &verdict->session);
	leg->ist_offer = m->body_is_sdp;
	leg->arrived_us = m->queue->oldest_us;
	leg_see_far(leg, m);
	if (fill_dialog(leg, m, target) && remember_reliability(leg, reliability_of(m)))
		leg->ist = sip_server_new(m, leg, leg->dialog.local_tag, force_rport);
	if (leg->ist) {
		leg->phase = LEG_SETUP;
		return leg;
	}
	leg_free(leg);
	return NULL;
}

static void forget_ist(struct leg *leg)
{
	leg->ist = NULL;
	free(leg->ist_target);
	leg->ist_target = NULL;
}

void leg_invited(const struct sip_msg *m, const struct sip_request *request,
		 const struct sip_verdict *verdict)
{
	bool force_rport = verdict->force_rport;
	const struct sip_handlers *handlers = &m->bind->sip->handlers;
	char *target = sip_contact_uri(m);
	struct sip_reply refusal;
	struct leg *leg;

	if (!target) {
		sip_reply_stateless(
			m, force_rport,
			&(struct sip_reply){ .code = 400, .reason = "Bad Or Missing Contact" });
		return;
	}
	leg = incoming_leg(m, target, verdict);
	free(target);
	if (!leg) {
		sip_reply_stateless(m, force_rport,
				    &(struct sip_reply){ .code = 503, .retry_after_s = 5 });
		return;
	}
	leg_enter(leg);
	refusal = leg_session_asked(leg, m);
	if (refusal.code) {
		sip_server_reply(leg->ist, &refusal);
		forget_ist(leg);
		leg->phase = LEG_OVER;
		leg_free(leg);
		leg_leave(leg);
		return;
	}
	sip_server_reply(leg->ist, &(struct sip_reply){ .code = 100 });
	handlers->invite(handlers->ctx, leg, request);
	if (!leg->events && !leg->released)
		leg_free(leg);
	leg_leave(leg);
}

int leg_progress(struct leg *leg, int code, const char *reason, const char *sdp, size_t len)
{
	struct leg_early *early = leg->early;
	struct sip_reply reply = { .code = code,
				   .reason = reason,
				   .contact = true,
				   .pass = leg->pass,
				   .sdp = { sdp, sdp ? len : 0 } };
	int err;

	if (!leg->ist || code < 101 || code > 199)
		return -EINVAL;
	if (early && (early->wanted == LEG_ONLY_RELIABLE || early->reliable))
		return leg_progress_reliably(leg, code, reason, sdp, len);
	if (early && early->described)
		reply.sdp = (struct slice){ 0 };
	err = sip_server_reply(leg->ist, &reply);
	sip_pass_drop(&leg->pass);
	timer_set(&leg->timer, leg->sip->timing.progress);
	return err;
}

static void keep_ok(struct leg *leg, const struct sip_server *ist, bool described)
{
	struct buf *out = &leg->sip->out;
	struct leg_ok *ok = malloc(sizeof(*ok) + out->len);

	leg_drop_ok(leg);
	if (!ok)
		return;
	leg->ok = ok;
	memcpy(ok->bytes, out->data, out->len);
	ok->len = out->len;
	ok->bind = ist->bind;
	ok->to = ist->to;
	ok->fallback = ist->fallback;
	ok->cseq = ist->cseq;
	ok->initial = leg->phase == LEG_SETUP;
	ok->offer = !leg->ist_offer && described;
	ok->interval_ms = leg->sip->timing.t1;
	ok->over_at_ms = loop_now_ms(leg->sip->loop) + 64ull * leg->sip->timing.t1;
	timer_set(&leg->timer, ok->interval_ms);
}

int leg_answer(struct leg *leg, const char *sdp, size_t len)
{
	struct sip_reply reply = { .code = 200,
				   .contact = true,
				   .capabilities = true,
				   .supported = leg_session_supported(leg),
				   .lines = leg_session_reply(leg),
				   .pass = leg->pass,
				   .sdp = { sdp, len } };
	struct sip_server *ist = leg->ist;
	int err;

	if (!ist)
		return -EINVAL;
	if (leg_prack_wanted(leg)) {
		leg->early->final = true;
		return 0;
	}
	if (leg->early && leg->early->described)
		reply.sdp = (struct slice){ 0 };
	err = sip_server_reply(ist, &reply);
	sip_pass_drop(&leg->pass);
	if (err)
		return err;
	timer_stop(&leg->timer);
	leg_reliable_overtaken(leg);
	leg_early_free(leg);
	keep_ok(leg, ist, reply.sdp.p != NULL);
	if (leg->phase == LEG_UP)
		sip_dialog_set_target(&leg->dialog, leg->ist_target);
	leg->phase = LEG_UP;
	forget_ist(leg);
	leg_session_answered(leg);
	return 0;
}

int leg_refuse(struct leg *leg, int code, const char *reason, unsigned int retry_after_s)
{
	struct sip_reply reply = {
		.code = code, .reason = reason, .retry_after_s = retry_after_s, .pass = leg->pass
	};
	int err;

	if (!leg->ist || code < 300 || code > 699)
		return -EINVAL;
	err = sip_server_reply(leg->ist, &reply);
	sip_pass_drop(&leg->pass);
	if (err)
		return err;
	timer_stop(&leg->timer);
	forget_ist(leg);
	if (leg->phase == LEG_SETUP)
		leg->phase = LEG_OVER;
	if (!leg->busy)
		leg_jobs_kick(leg);
	return 0;
}

/* 64*T1 without an ACK (RFC 3261 13.3.1.4). */
static void no_ack(struct leg *leg)
{
	leg_drop_ok(leg);
	if (leg->phase != LEG_UP)
		return;
	log_notice("call %s: our 200 was never acknowledged", leg->dialog.call_id);
	leg_send_bye(leg, leg->bye_wanted ? leg->bye_reason : NULL);
	if (leg->events)
		leg->events->ended(leg->owner, leg, "no_ack");
}

static void resend_ok(struct leg *leg)
{
	struct leg_ok *ok = leg->ok;
	uint64_t now = loop_now_ms(leg->sip->loop);
	unsigned int t2 = leg->sip->timing.t2;

	if (now >= ok->over_at_ms) {
		no_ack(leg);
		return;
	}
	leg->sip->stats.retransmits++;
	sip_send_back(ok->bind, &ok->to, &ok->fallback, ok->bytes, ok->len);
	ok->interval_ms = 2 * ok->interval_ms < t2 ? 2 * ok->interval_ms : t2;
	timer_set(&leg->timer,
		  ok->over_at_ms - now < ok->interval_ms ? ok->over_at_ms - now : ok->interval_ms);
}

void leg_timer(void *owner)
{
	struct leg *leg = owner;

	leg_enter(leg);
	if (leg->ok) {
		resend_ok(leg);
	} else if (leg->ist && leg->early && leg->early->reliable) {
		leg_reliable_timer(leg);
	} else if (leg->ist) {
		sip_server_resend(leg->ist);
		timer_set(&leg->timer, leg->sip->timing.progress);
	}
	leg_leave(leg);
}

static void acked(struct leg *leg, struct slice sdp)
{
	struct slice answer = leg->ok->offer ? sdp : (struct slice){ 0 };

	leg_drop_ok(leg);
	if (leg->bye_wanted && leg->phase == LEG_UP)
		leg_send_bye(leg, leg->bye_reason);
	else if (leg->events)
		leg->events->acked(leg->owner, leg, answer);
}

void leg_ack_received(struct leg *leg, const struct sip_msg *m)
{
	leg_enter(leg);
	if (leg->ok && leg->ok->cseq == m->cseq) {
		sip_dialog_heard(&leg->dialog, m);
		acked(leg, sip_msg_sdp(m));
	}
	leg_leave(leg);
}

void leg_cancel_received(struct leg *leg)
{
	bool initial = leg->phase == LEG_SETUP;

	leg_enter(leg);
	leg_refuse(leg, 487, NULL, 0);
	if (leg->events && initial)
		leg->events->cancelled(leg->owner, leg);
	else if (leg->events)
		leg->events->offer_cancelled(leg->owner, leg);
	leg_leave(leg);
}

void leg_reply(struct leg *leg, const struct sip_msg *m, const struct sip_reply *reply)
{
	struct sip_server *s;

	if (m->method != SIP_INVITE) {
		sip_server_answer(m, leg->dialog.local_tag, leg->dialog.force_rport, reply);
		return;
	}
	s = sip_server_new(m, NULL, leg->dialog.local_tag, leg->dialog.force_rport);
	if (s && sip_server_reply(s, reply))
		sip_server_free(s);
}

static void on_bye(struct leg *leg, const struct sip_msg *m)
{
	if (leg->phase == LEG_SETUP && !leg->incoming) {
		leg_reply(leg, m, &(struct sip_reply){ .code = 481 });
		return;
	}
	leg_reply(leg, m, &(struct sip_reply){ .code = 200 });
	if (leg->phase == LEG_OVER)
		return;
	if (leg->ist)
		leg_refuse(leg, 487, NULL, 0); /* RFC 3261 15.1.2 */
	if (leg->ost)
		leg_disagree(leg, 487, NULL, 0);
	if (leg->unacked)
		leg_send_held_ack(leg, (struct slice){ 0 });
	leg_forget_reinvite(leg);
	leg_jobs_drop(leg);
	leg_session_stop(leg);
	leg_drop_ok(leg);
	leg->phase = LEG_OVER;
	if (leg->events)
		leg->events->ended(leg->owner, leg, "bye");
}

/* An offer of ours, in either kind of message, is not answered. */
static bool ours_is_open(const struct leg *leg)
{
	if (leg->uct || leg->unacked || (leg_prack_wanted(leg) && !leg->ist_offer))
		return true;
	if (leg->phase == LEG_SETUP)
		return !leg->incoming && !leg_early_settled(leg);
	return leg->ict != NULL;
}

static bool theirs_is_open(const struct leg *leg)
{
	if (leg->ost || (leg->ok && leg->ok->offer))
		return true;
	if (leg->phase == LEG_SETUP)
		return leg->incoming && !(leg->early && leg->early->settled);
	return leg->ist != NULL;
}

struct sip_reply leg_refuse_offer(struct leg *leg, const struct sip_msg *m)
{
	if (ours_is_open(leg))
		return (struct sip_reply){ .code = 491 };
	if (theirs_is_open(leg) || (m->method == SIP_INVITE && leg->ist))
		return (struct sip_reply){ .code = 500, .retry_after_s = leg_retry_after(leg) };
	return sip_refuse_content(m);
}

/* Puts a re-INVITE to the owner. */
static void take_reinvite(struct leg *leg, const struct sip_msg *m)
{
	leg->ist = sip_server_new(m, leg, leg->dialog.local_tag, leg->dialog.force_rport);
	if (!leg->ist)
		return;
	leg->ist_offer = m->body_is_sdp;
	leg->ist_target = sip_contact_uri(m);
	leg_see_far(leg, m);
	if (leg->events && leg->ist_offer)
		leg->events->offered(leg->owner, leg, sip_msg_sdp(m));
	else if (leg->events)
		leg->events->asked(leg->owner, leg);
	if (leg->ist && !leg->ist->sent)
		sip_server_reply(leg->ist, &(struct sip_reply){ .code = 100 });
}

static void on_reinvite(struct leg *leg, const struct sip_msg *m)
{
	struct sip_reply refusal = leg_refuse_offer(leg, m);

	if (!refusal.code)
		refusal = leg_session_asked(leg, m);
	if (!refusal.code && !m->body_is_sdp && leg->events && !leg->events->asked)
		refusal.code = 488;
	if (!refusal.code && leg->ok) {
		/* Whoever offers anew has seen our answer: its ACK is lost or late. */
		log_info("call %s: re-INVITE before the ACK", leg->dialog.call_id);
		acked(leg, (struct slice){ 0 });
		if (leg->phase == LEG_OVER)
			refusal.code = 481;
	}
	if (refusal.code)
		leg_reply(leg, m, &refusal);
	else
		take_reinvite(leg, m);
}

static void serve(struct leg *leg, const struct sip_msg *m)
{
	struct sip_reply reply;

	switch (m->method) {
	case SIP_INVITE:
		on_reinvite(leg, m);
		break;
	case SIP_BYE:
		on_bye(leg, m);
		break;
	case SIP_UPDATE:
		leg_update_received(leg, m);
		break;
	case SIP_PRACK:
		leg_prack_received(leg, m);
		break;
	case SIP_OPTIONS:
		reply = (struct sip_reply){ .code = 200, .capabilities = true, .accept = true };
		leg_reply(leg, m, &reply);
		break;
	default:
		if (sip_is_relayed(m->method) && leg->events && leg->events->requested) {
			relay_from_leg(leg, m);
			break;
		}
		reply = sip_refuse_method(m);
		leg_reply(leg, m, &reply);
	}
}

/* RFC 3261 12.2.2: 0 go on, else how it is refused. An equal number that is no retransmission came
 * by two ways. */
static int out_of_order(const struct leg *leg, const struct sip_msg *m)
{
	const struct sip_dialog *d = &leg->dialog;

	if (d->remote_cseq_known && m->cseq < d->remote_cseq)
		return 500;
	if (d->remote_cseq_known && m->cseq == d->remote_cseq && m->method == SIP_INVITE)
		return 482;
	return 0;
}

/* One is open at a time; those that are answered linger. Beyond a count in that time the next is
 * refused without being remembered: a dialog is no way around the limits of new calls. */
static bool may_remember(struct leg *leg)
{
	uint64_t now = loop_now_ms(leg->sip->loop);

	if (now - leg->invites_since_ms >= 64ull * leg->sip->timing.t1) {
		leg->invites_since_ms = now;
		leg->invites = 0;
	}
	return leg->invites++ < INVITES_MAX;
}

void leg_request(struct leg *leg, const struct sip_msg *m)
{
	struct sip_reply refusal = { .code = out_of_order(leg, m) };

	if (m->method == SIP_INVITE && !may_remember(leg)) {
		sip_reply_stateless(m, leg->dialog.force_rport,
				    &(struct sip_reply){ .code = 500,
							 .retry_after_s = leg_retry_after(leg) });
		return;
	}
	leg_enter(leg);
	if (leg->phase == LEG_OVER && m->method != SIP_BYE)
		refusal = (struct sip_reply){ .code = 481 };
	if (!refusal.code && m->first[SIP_H_REQUIRE])
		refusal = sip_refuse_content(m);
	if (refusal.code) {
		leg_reply(leg, m, &refusal);
	} else {
		leg->dialog.remote_cseq = m->cseq;
		leg->dialog.remote_cseq_known = true;
		sip_dialog_heard(&leg->dialog, m);
		serve(leg, m);
	}
	leg_leave(leg);
}
