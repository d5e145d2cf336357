// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An INVITE of ours before its answer: it may be forked, so that each To tag is a dialog of its own
 * (RFC 3261 12.1), and each of those numbers its reliable responses (RFC 3262 4). The leg's dialog
 * is the one heard last; the 2xx chooses.
 */
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>

struct leg_early *leg_early(struct leg *leg)
{
	if (!leg->early)
		leg->early = calloc(1, sizeof(*leg->early));
	return leg->early;
}

/* It may hold keys. */
static void forget(struct leg_said *said)
{
	if (said->sdp)
		explicit_bzero(said->sdp, said->len);
	free(said->sdp);
	*said = (struct leg_said){ 0 };
}

void leg_early_free(struct leg *leg)
{
	struct leg_early *early = leg->early;

	if (!early)
		return;
	leg_reliable_drop(leg);
	for (size_t i = 0; i < early->n_forks; i++) {
		free(early->forks[i].tag);
		forget(&early->forks[i].said);
	}
	forget(&early->offered);
	free(early);
	leg->early = NULL;
}

static struct leg_fork *find(const struct leg *leg, const char *tag)
{
	for (size_t i = 0; leg->early && i < leg->early->n_forks; i++)
		if (strcmp(leg->early->forks[i].tag, tag) == 0)
			return &leg->early->forks[i];
	return NULL;
}

static struct leg_fork *find_or_add(struct leg *leg, const char *tag)
{
	struct leg_early *early = leg_early(leg);
	struct leg_fork *fork = find(leg, tag);

	if (fork || !early || early->n_forks == LEG_FORKS_MAX)
		return fork;
	fork = &early->forks[early->n_forks];
	fork->tag = strdup(tag);
	if (!fork->tag)
		return NULL;
	early->n_forks++;
	return fork;
}

/* None where there is no memory. */
static void keep(struct leg_said *said, struct slice sdp, bool offer)
{
	forget(said);
	said->sdp = malloc(sdp.len);
	if (!said->sdp)
		return;
	memcpy(said->sdp, sdp.p, sdp.len);
	said->len = sdp.len;
	said->offer = offer;
}

bool leg_early_settled(const struct leg *leg)
{
	const struct leg_fork *fork = find(leg, leg->dialog.remote_tag);

	return fork && fork->settled && !leg->early->held_rseq;
}

/* What becomes of a PRACK changes nothing: the far end sends its response again, or the INVITE
 * fails. It has an owner so that it can be challenged. */
static void on_prack_over(struct leg *leg)
{
	leg_enter(leg);
	leg->pracks--;
	leg_leave(leg);
}

static void on_prack_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	(void)c;
	(void)m;
	on_prack_over(owner);
}

static void on_prack_lost(void *owner, int code)
{
	(void)code;
	on_prack_over(owner);
}

static void on_prack_again(void *owner, struct sip_client *c)
{
	(void)owner;
	(void)c;
}

static const struct sip_client_events prack_events = { .response = on_prack_response,
						       .lost = on_prack_lost,
						       .next_cseq = leg_next_cseq,
						       .again = on_prack_again };

static void send_prack(struct leg *leg, uint32_t rseq, uint32_t cseq, struct slice sdp)
{
	struct sip_client *c;
	char lines[64];

	snprintf(lines, sizeof(lines), "RAck: %u %u INVITE\r\n", rseq, cseq);
	if (leg_send(leg, &c, &(struct sip_outgoing){
				      .method = SIP_PRACK, .lines = lines, .sdp = sdp }))
		return;
	leg->pracks++;
	sip_client_own(c, &prack_events, leg);
}

/* The RSeq of a response that wants a PRACK; 0: it wants none. */
static uint32_t reliable_number(const struct sip_msg *m)
{
	uint32_t rseq;

	if (!m->first[SIP_H_RSEQ] || !sip_msg_lists(m, SIP_H_REQUIRE, "100rel") ||
	    !sip_number(m->first[SIP_H_RSEQ], UINT32_MAX, &rseq))
		return 0;
	return rseq;
}

/* Acknowledges the response, or keeps that for leg_accept() where it makes an offer. */
static void acknowledge(struct leg *leg, struct leg_fork *fork, uint32_t rseq,
			const struct sip_msg *m)
{
	bool described = sip_msg_sdp(m).p != NULL;

	fork->rseq = rseq;
	if (described && !fork->settled && !leg->ict_offer && !leg->cancelled) {
		leg->early->held_rseq = rseq;
		leg->early->held_cseq = m->cseq;
	} else {
		send_prack(leg, rseq, m->cseq, (struct slice){ 0 });
	}
	fork->settled |= described;
}

void leg_early_heard(struct leg *leg, const struct sip_msg *m)
{
	uint32_t rseq = reliable_number(m);
	struct leg_fork *fork = *m->to_tag ? find_or_add(leg, m->to_tag) : NULL;
	struct slice sdp = sip_msg_sdp(m);
	bool void_sdp = fork && fork->settled;

	/* One that comes again, or before the one that it follows (RFC 3262 4). */
	if (rseq && (!fork || (fork->rseq && rseq != fork->rseq + 1)))
		return;
	if (*m->to_tag && strcmp(m->to_tag, leg->dialog.remote_tag) != 0)
		leg_adopt_dialog(leg, m);
	else if (*m->to_tag)
		leg_refresh_target(leg, m);
	leg_see_far(leg, m);
	if (void_sdp || (!leg->ict_offer && !rseq))
		sdp = (struct slice){ 0 };
	else if (fork && sdp.p)
		keep(&fork->said, sdp, false);
	if (rseq)
		acknowledge(leg, fork, rseq, m);
	if (!leg->events || leg->cancelled)
		return;
	if (leg->early)
		leg->early->reliable_now = rseq != 0;
	if (leg->early && sdp.p)
		leg->early->told = fork;
	leg->events->progress(leg->owner, leg, m->code, m->reason, sdp);
}

void leg_early_offered(struct leg *leg, struct slice sdp)
{
	if (!leg->incoming && leg->phase == LEG_SETUP && leg->early)
		keep(&leg->early->offered, sdp, true);
}

/* Where there was no memory for what it said, it is not known any more. */
static struct leg_fork *update(struct leg *leg, const char *tag)
{
	struct leg_fork *fork = leg->incoming || leg->phase != LEG_SETUP ? NULL : find(leg, tag);

	if (!fork)
		return NULL;
	fork->updated = true;
	leg->early->told = fork;
	return fork;
}

void leg_early_agreed(struct leg *leg, const char *tag)
{
	struct leg_fork *fork = update(leg, tag);

	if (!fork)
		return;
	forget(&fork->said);
	fork->said = leg->early->offered;
	leg->early->offered = (struct leg_said){ 0 };
}

void leg_early_updated(struct leg *leg, const char *tag, struct slice sdp)
{
	struct leg_fork *fork = update(leg, tag);

	if (fork)
		keep(&fork->said, sdp, false);
}

struct slice leg_early_answer(struct leg *leg, const struct sip_msg *m)
{
	const struct leg_fork *fork = find(leg, m->to_tag);
	struct slice sdp = sip_msg_sdp(m);

	if (!fork || (!fork->settled && (sdp.p || !fork->said.sdp)))
		return sdp;
	if (!fork->said.sdp && !fork->updated)
		return sdp;
	if (!fork->said.sdp || (fork->updated && leg->early->told == fork))
		return (struct slice){ 0 };
	leg->early->offer_now = fork->said.offer;
	return (struct slice){ fork->said.sdp, fork->said.len };
}

bool leg_forked(const struct leg *leg)
{
	return leg->early && leg->early->n_forks > 1;
}

bool leg_answers_by_offer(const struct leg *leg)
{
	return leg->early && leg->early->offer_now;
}

/* The answer to the offer of a reliable response. */
static void accept_early(struct leg *leg, struct slice sdp)
{
	struct leg_early *early = leg->early;
	uint32_t rseq = early->held_rseq;

	early->held_rseq = 0;
	send_prack(leg, rseq, early->held_cseq, sdp);
}

int leg_accept(struct leg *leg, const char *sdp, size_t len)
{
	struct slice answer = { sdp, sdp ? len : 0 };

	if (!leg->unacked && !(leg->early && leg->early->held_rseq))
		return -EINVAL;
	leg_enter(leg);
	if (leg->unacked)
		leg_send_held_ack(leg, answer);
	else
		accept_early(leg, answer);
	leg_leave(leg);
	return 0;
}
