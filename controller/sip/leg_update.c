// SPDX-License-Identifier: GPL-2.0-or-later
/* UPDATE (RFC 3311), and the answer to an offer that came in one or in a PRACK. */
#include "sip/leg_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool leg_can_update(const struct leg *leg)
{
	if (!leg->far_updates)
		return false;
	if (leg->phase == LEG_SETUP)
		return leg->incoming ? leg->early && leg->early->settled : leg_early_settled(leg);
	return leg->phase == LEG_UP;
}

bool leg_offer_by_update(const struct leg *leg)
{
	return leg->ost != NULL;
}

/* Before the answer another dialog may have been heard since. */
static bool is_present(const struct leg *leg, const char *tag)
{
	return tag && strcmp(tag, leg->dialog.remote_tag) == 0;
}

static void on_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct leg *leg = owner;

	(void)c;
	leg_enter(leg);
	leg->uct = NULL;
	sip_dialog_heard(&leg->dialog, m);
	if (m->code < 300 && leg->phase == LEG_UP)
		leg_session_granted(leg, m);
	if (m->code < 300 && leg->phase != LEG_OVER && is_present(leg, m->to_tag))
		leg_refresh_target(leg, m);
	if (m->code < 300 && m->body_is_sdp)
		leg_early_updated(leg, m->to_tag, sip_msg_sdp(m));
	leg_job_done(leg, m->code, m);
	leg_leave(leg);
}

static void on_lost(void *owner, int code)
{
	struct leg *leg = owner;

	leg_enter(leg);
	leg->uct = NULL;
	leg_job_done(leg, code, NULL);
	leg_leave(leg);
}

static void on_again(void *owner, struct sip_client *c)
{
	struct leg *leg = owner;

	leg->uct = c;
}

static const struct sip_client_events update_events = { .response = on_response,
							.lost = on_lost,
							.next_cseq = leg_next_cseq,
							.again = on_again };

int leg_send_update(struct leg *leg, struct slice sdp, const struct sip_pass *pass)
{
	char lines[LEG_SESSION_LINES];
	struct sip_outgoing r = { .method = SIP_UPDATE,
				  .lines = leg_session_request(leg, lines),
				  .supported = leg_session_tag(leg),
				  .sdp = sdp,
				  .pass = pass };
	int err = leg_send(leg, &leg->uct, &r);

	if (!err)
		sip_client_own(leg->uct, &update_events, leg);
	return err;
}

void leg_forget_ost(struct leg *leg)
{
	leg->ost = NULL;
	free(leg->ost_target);
	free(leg->ost_tag);
	leg->ost_target = leg->ost_tag = NULL;
}

/* UPDATE without an offer: for the session timer, or the remote target. */
static void serve_plain(struct leg *leg, const struct sip_msg *m)
{
	struct sip_reply reply = { .code = 200,
				   .contact = true,
				   .capabilities = true,
				   .supported = leg_session_supported(leg),
				   .lines = leg_session_reply(leg) };

	leg_refresh_target(leg, m);
	leg_reply(leg, m, &reply);
	if (leg->phase == LEG_UP)
		leg_session_answered(leg);
	leg_pass_who(leg);
}

void leg_update_received(struct leg *leg, const struct sip_msg *m)
{
	struct sip_reply refusal = { 0 };

	leg_see_far(leg, m);
	if (leg->phase == LEG_UP)
		refusal = leg_session_asked(leg, m);
	if (!refusal.code && m->body_is_sdp)
		refusal = leg_refuse_offer(leg, m);
	if (!refusal.code && m->body_is_sdp && !leg->events)
		refusal.code = 481;
	if (refusal.code) {
		leg_reply(leg, m, &refusal);
		return;
	}
	leg_see_who(leg, m);
	if (!m->body_is_sdp) {
		serve_plain(leg, m);
		return;
	}
	leg->ost = sip_server_new(m, NULL, leg->dialog.local_tag, leg->dialog.force_rport);
	if (!leg->ost)
		return;
	leg->ost_target = sip_contact_uri(m);
	leg->ost_tag = strdup(m->from_tag);
	leg_early_offered(leg, sip_msg_sdp(m));
	leg->events->offered(leg->owner, leg, sip_msg_sdp(m));
}

int leg_agree(struct leg *leg, const char *sdp, size_t len)
{
	struct sip_reply reply = { .code = 200,
				   .contact = true,
				   .capabilities = true,
				   .supported = leg_session_supported(leg),
				   .lines = leg->phase == LEG_UP ? leg_session_reply(leg) : NULL,
				   .pass = leg->pass,
				   .sdp = { sdp, len } };
	int err;

	if (!leg->ost)
		return leg->phase == LEG_UP ? leg_answer(leg, sdp, len) : -EINVAL;
	leg_enter(leg);
	err = sip_server_reply(leg->ost, &reply);
	sip_pass_drop(&leg->pass);
	if (!err) {
		if (is_present(leg, leg->ost_tag))
			sip_dialog_set_target(&leg->dialog, leg->ost_target);
		if (leg->ost_tag)
			leg_early_agreed(leg, leg->ost_tag);
		leg_forget_ost(leg);
		if (leg->phase == LEG_UP)
			leg_session_answered(leg);
		leg_reliable_next(leg);
	}
	leg_leave(leg);
	return err;
}

int leg_disagree(struct leg *leg, int code, const char *reason, unsigned int retry_after_s)
{
	struct sip_reply reply = {
		.code = code, .reason = reason, .retry_after_s = retry_after_s, .pass = leg->pass
	};
	int err;

	if (!leg->ost)
		return leg->phase == LEG_UP ? leg_refuse(leg, code, reason, retry_after_s)
					    : -EINVAL;
	leg_enter(leg);
	err = sip_server_reply(leg->ost, &reply);
	sip_pass_drop(&leg->pass);
	if (!err) {
		leg_forget_ost(leg);
		leg_reliable_next(leg);
	}
	leg_leave(leg);
	return err;
}
