// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reliable provisional responses of ours (RFC 3262 3): one at a time, sent again until the PRACK
 * comes; a description in one of them is the INVITE's answer, or our offer.
 */
#include "lib/log.h"
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_reliable(struct leg_reliable *r)
{
	free(r->reason);
	sip_pass_drop(&r->pass);
	free(r->sdp);
	free(r);
}

static void pop(struct leg_early *early)
{
	struct leg_reliable *r = early->reliable;

	early->reliable = r->next;
	free_reliable(r);
}

void leg_reliable_drop(struct leg *leg)
{
	while (leg->early && leg->early->reliable)
		pop(leg->early);
}

enum leg_reliability leg_reliability(const struct leg *leg)
{
	if (!leg->early)
		return LEG_UNRELIABLE;
	if (leg->incoming)
		return leg->early->wanted;
	return leg->early->reliable_now ? LEG_RELIABLE : LEG_UNRELIABLE;
}

bool leg_prack_wanted(const struct leg *leg)
{
	return leg->early && leg->early->reliable && leg->early->reliable->sdp;
}

/* The first of the queue goes out for the first time. */
static int send_first(struct leg *leg)
{
	struct leg_early *early = leg->early;
	struct leg_reliable *r = early->reliable;
	const struct sip_timing *t = &leg->sip->timing;
	char lines[64];
	struct sip_reply reply = { .code = r->code,
				   .reason = r->reason,
				   .contact = true,
				   .capabilities = true,
				   .supported = leg_session_supported(leg),
				   .lines = lines,
				   .pass = r->pass,
				   .sdp = { r->sdp, r->len } };

	/* RFC 3262 3: 1 to 2^31 - 1, then one more each. */
	if (!early->rseq)
		early->rseq = sip_random_below(leg->sip, 0x7fffff00);
	early->rseq++;
	snprintf(lines, sizeof(lines), "Require: 100rel\r\nRSeq: %u\r\n", early->rseq);
	early->interval_ms = t->t1;
	early->over_at_ms = loop_now_ms(leg->sip->loop) + 64ull * t->t1;
	timer_set(&leg->timer, t->t1);
	return sip_server_reply(leg->ist, &reply);
}

static struct leg_reliable *make(int code, const char *reason, const char *sdp, size_t len)
{
	struct leg_reliable *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->code = code;
	r->reason = reason ? strdup(reason) : NULL;
	if (sdp) {
		r->sdp = malloc(len);
		r->len = len;
		if (r->sdp)
			memcpy(r->sdp, sdp, len);
	}
	if ((!sdp || r->sdp) && (!reason || r->reason))
		return r;
	free_reliable(r);
	return NULL;
}

int leg_progress_reliably(struct leg *leg, int code, const char *reason, const char *sdp,
			  size_t len)
{
	struct leg_early *early = leg->early;
	struct leg_reliable *r, **end;
	size_t n = 0;

	if (!early || !early->wanted || leg->phase != LEG_SETUP || !leg->incoming)
		return leg_progress(leg, code, reason, sdp, len);
	if (!leg->ist || early->final || code < 101 || code > 199)
		return -EINVAL;
	for (end = &early->reliable; *end; end = &(*end)->next)
		n++;
	if (n == LEG_RELIABLE_MAX)
		return -EBUSY;
	if (early->described)
		sdp = NULL;
	r = make(code, reason, sdp, len);
	if (!r)
		return -ENOMEM;
	r->pass = leg->pass;
	leg->pass = NULL;
	early->described |= sdp != NULL;
	*end = r;
	return n || leg->ost ? 0 : send_first(leg);
}

void leg_reliable_next(struct leg *leg)
{
	struct leg_early *early = leg->early;

	if (!early || !leg->ist || leg->ost)
		return;
	if (early->final && !leg_prack_wanted(leg)) {
		leg_answer(leg, NULL, 0);
	} else if (early->reliable) {
		if (!early->interval_ms)
			send_first(leg);
	} else {
		timer_set(&leg->timer, leg->sip->timing.progress);
	}
}

/* 64*T1 without a PRACK. */
static void no_prack(struct leg *leg)
{
	log_notice("call %s: a reliable response was never acknowledged", leg->dialog.call_id);
	leg_refuse(leg, 504, NULL, 0);
	if (leg->events)
		leg->events->ended(leg->owner, leg, "no_prack");
}

void leg_reliable_timer(struct leg *leg)
{
	struct leg_early *early = leg->early;
	uint64_t now = loop_now_ms(leg->sip->loop), left;

	if (now >= early->over_at_ms) {
		no_prack(leg);
		return;
	}
	left = early->over_at_ms - now;
	sip_server_resend(leg->ist);
	early->interval_ms *= 2;
	timer_set(&leg->timer, early->interval_ms < left ? early->interval_ms : left);
}

/* The response that is out; its CSeq is that of the INVITE. */
static struct leg_rack awaited(const struct leg *leg)
{
	const struct leg_early *early = leg->early;

	if (!leg->ist || !early || !early->reliable || !early->interval_ms)
		return (struct leg_rack){ 0 };
	return (struct leg_rack){ early->rseq, leg->ist->cseq };
}

void leg_reliable_overtaken(struct leg *leg)
{
	leg->late = awaited(leg);
}

/* RAck: response number, CSeq number, method (RFC 3262 7.2). */
static bool rack_fits(const struct leg_rack *rack, const char *value)
{
	char *end;
	unsigned long rseq, cseq;

	if (!value || !rack->rseq)
		return false;
	rseq = strtoul(value, &end, 10);
	if (end == value || *end != ' ')
		return false;
	cseq = strtoul(end, &end, 10);
	end += strspn(end, " ");
	return rseq == rack->rseq && cseq == rack->cseq && strcmp(end, "INVITE") == 0;
}

/* An offer in the PRACK of our answer (RFC 3262 5). */
static void take_offer(struct leg *leg, const struct sip_msg *m)
{
	leg->ost = sip_server_new(m, NULL, leg->dialog.local_tag, leg->dialog.force_rport);
	if (leg->ost)
		leg->events->offered(leg->owner, leg, sip_msg_sdp(m));
}

void leg_prack_received(struct leg *leg, const struct sip_msg *m)
{
	struct leg_rack rack = awaited(leg);
	struct leg_early *early = leg->early;
	bool described;

	if (!rack_fits(&rack, m->first[SIP_H_RACK])) {
		/* Our 2xx overtook it (RFC 3262 3). */
		bool late = rack_fits(&leg->late, m->first[SIP_H_RACK]);

		leg_reply(leg, m, &(struct sip_reply){ .code = late ? 200 : 481 });
		return;
	}
	described = early->reliable->sdp != NULL;
	pop(early);
	early->interval_ms = 0;
	timer_stop(&leg->timer);
	early->settled |= described;
	if (m->body_is_sdp && early->settled && leg->events && (leg->ist_offer || !described)) {
		take_offer(leg, m);
	} else {
		leg_reply(leg, m, &(struct sip_reply){ .code = 200 });
		if (described && !leg->ist_offer && leg->events)
			leg->events->acked(leg->owner, leg, sip_msg_sdp(m));
	}
	leg_reliable_next(leg);
}
