// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits to be sent in a dialog: one queue, so that never two offers are open. The first job is
 * on its way, or waits for its turn again; BYE asks nobody and drops them all (leg_send_bye()).
 */
#include "sip/leg_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often a job is tried again after 491, and how long its Retry-After may let it wait. */
enum { GLARES_MAX = 4, POSTPONE_MAX_S = 10 };

static bool by_update(const struct leg *leg, const struct leg_job *job)
{
	return job->update && leg_can_update(leg);
}

/* Is what is in force said again? */
static bool repeats(const struct leg_job *job)
{
	return job->work == LEG_REFRESH || job->work == LEG_WHO;
}

static bool may_start(const struct leg *leg, const struct leg_job *job)
{
	if (leg->uct || leg->ost || leg->unacked || leg->ok || leg->bye_wanted)
		return false;
	if (leg->phase == LEG_SETUP)
		return by_update(leg, job);
	return leg->phase == LEG_UP && !leg->ict && !leg->ist;
}

static int start(struct leg *leg, struct leg_job *job)
{
	struct slice sdp = { job->len ? job->sdp : NULL, job->len };
	char lines[LEG_SESSION_LINES];
	int err;

	if (by_update(leg, job))
		return leg_send_update(leg, sdp, job->pass);
	if (repeats(job)) {
		if (leg->never_reinvite || !leg->events || !leg->events->in_force)
			return -ENOTSUP;
		sdp = leg->events->in_force(leg->owner, leg);
	}
	err = leg_send(leg, &leg->ict,
		       &(struct sip_outgoing){ .method = SIP_INVITE,
					       .lines = leg_session_request(leg, lines),
					       .supported = leg_session_tag(leg),
					       .sdp = sdp,
					       .pass = job->pass });
	if (!err) {
		leg->ict_offer = sdp.len > 0;
		/* Provisional responses may keep the transaction alive for ever (AST-2012-010). */
		timer_set(&leg->job_timer,
			  (job->work == LEG_MOVE ? 32ull : 64ull) * leg->sip->timing.t1);
	}
	return err;
}

static void pop(struct leg *leg)
{
	struct leg_job *job = leg->jobs;

	timer_stop(&leg->job_timer);
	leg->jobs = job->next;
	sip_pass_drop(&job->pass);
	free(job);
}

void leg_jobs_drop(struct leg *leg)
{
	while (leg->jobs)
		pop(leg);
}

int leg_job_add(struct leg *leg, enum leg_work work, bool update, const char *sdp, size_t len)
{
	struct leg_job *job, **end = &leg->jobs;
	size_t n = 0;
	int err;

	for (; *end; end = &(*end)->next)
		n++;
	if (n == LEG_JOBS_MAX)
		return -EBUSY;
	job = calloc(1, sizeof(*job) + len + 1);
	if (!job)
		return -ENOMEM;
	job->work = work;
	job->update = update;
	job->len = len;
	if (work != LEG_REFRESH) {
		job->pass = leg->pass;
		leg->pass = NULL;
	}
	if (len)
		memcpy(job->sdp, sdp, len);
	*end = job;
	if (n || !may_start(leg, job))
		return 0;
	job->sent = true;
	err = start(leg, job);
	if (err)
		pop(leg);
	return err;
}

void leg_jobs_kick(struct leg *leg)
{
	if (leg->jobs && !leg->jobs->sent && !timer_running(&leg->job_timer) &&
	    may_start(leg, leg->jobs))
		timer_set(&leg->job_timer, 0);
}

void leg_job_timer(void *owner)
{
	struct leg *leg = owner;
	struct leg_job *job = leg->jobs;
	int err;

	leg_enter(leg);
	if (job && job->sent && leg->ict) {
		job->expired = true;
		sip_client_cancel(leg->ict);
	} else if (job && !job->sent && job->withdrawn) {
		job->sent = true;
		leg_job_done(leg, 487, NULL);
	} else if (job && !job->sent && may_start(leg, job)) {
		job->sent = true;
		err = start(leg, job);
		if (err)
			leg_job_done(leg, 503, NULL);
	}
	leg_leave(leg);
}

/* RFC 3261 14.1: who owns the Call-ID waits longer. In units of 10 ms. */
unsigned int leg_glare_ms(struct leg *leg)
{
	unsigned int units = leg->incoming ? sip_random_below(leg->sip, 201)
					   : 210 + sip_random_below(leg->sip, 191);

	return units * leg->sip->timing.glare;
}

void leg_job_withdraw(struct leg *leg)
{
	struct leg_job *job = NULL;

	for (struct leg_job *j = leg->jobs; j; j = j->next)
		if (!repeats(j))
			job = j;
	if (!job)
		return;
	job->withdrawn = true;
	if (job == leg->jobs && !job->sent)
		timer_set(&leg->job_timer, 0);
}

static bool again_in(struct leg *leg, unsigned int ms)
{
	leg->jobs->sent = false;
	timer_set(&leg->job_timer, ms);
	return true;
}

/* Is the job tried once more? 491 (pitfalls 34, 35), 500 with Retry-After (pitfall 36), and UPDATE
 * that its Allow promised in vain. */
static bool try_again(struct leg *leg, int code, const struct sip_msg *m, bool update)
{
	struct leg_job *job = leg->jobs;
	unsigned int later_s = m ? sip_msg_retry_after(m) : 0;
	bool patient = job->work != LEG_MOVE;

	leg->later_s = later_s;
	if (leg->phase == LEG_OVER || leg->bye_wanted || job->withdrawn)
		return false;
	if (patient && code == 491 && job->glares < GLARES_MAX) {
		job->glares++;
		return again_in(leg, leg_glare_ms(leg));
	}
	if (patient && code == 500 && later_s && later_s <= POSTPONE_MAX_S && !job->postponed) {
		job->postponed = true;
		return again_in(leg, later_s * leg->sip->timing.second);
	}
	if (code == 422 && m && leg_session_raise(leg, m))
		return again_in(leg, 0);
	if (update && (code == 405 || code == 501)) {
		leg->far_updates = false;
		return leg->phase == LEG_UP && again_in(leg, 0);
	}
	return false;
}

/* The end of a LEG_WHO. */
static void told_who(struct leg *leg, int code, struct slice sdp)
{
	if (leg->phase == LEG_OVER || !leg->events)
		return;
	if ((code == 481 || code == 408) && leg->events->gone)
		leg->events->gone(leg->owner, leg, code);
	else if (code < 300 && sdp.p && leg->events->refreshed)
		leg->events->refreshed(leg->owner, leg, sdp);
}

void leg_job_done(struct leg *leg, int code, const struct sip_msg *m)
{
	struct leg_job *job = leg->jobs;
	bool update = m ? m->method == SIP_UPDATE : false;
	enum leg_work work;
	struct slice sdp = m && code < 300 ? sip_msg_sdp(m) : (struct slice){ 0 };

	if (!job || !job->sent)
		return;
	timer_stop(&leg->job_timer);
	if (try_again(leg, code, m, update))
		return;
	if (job->expired && code == 487 && job->work != LEG_MOVE)
		code = 408;
	work = job->work;
	pop(leg);
	if (work == LEG_REFRESH)
		leg_session_refreshed(leg, code, sdp);
	else if (work == LEG_WHO)
		told_who(leg, code, sdp);
	else if (leg->phase != LEG_OVER && leg->events)
		leg->events->reanswered(leg->owner, leg, code,
					m && code == m->code ? m->reason : sip_reason(code), sdp);
}

int leg_reinvite(struct leg *leg, const char *sdp, size_t len)
{
	if (leg->phase != LEG_UP || leg->bye_wanted)
		return -ENOTCONN;
	return leg_job_add(leg, sdp ? LEG_OFFER : LEG_ASK, false, sdp, sdp ? len : 0);
}

int leg_update(struct leg *leg, const char *sdp, size_t len)
{
	if ((leg->phase != LEG_UP && !leg_can_update(leg)) || leg->bye_wanted)
		return -ENOTCONN;
	return leg_job_add(leg, LEG_OFFER, true, sdp, len);
}

int leg_move(struct leg *leg, bool update, const char *sdp, size_t len)
{
	if (leg->phase != LEG_UP || leg->bye_wanted)
		return -ENOTCONN;
	return leg_job_add(leg, LEG_MOVE, update, sdp, len);
}

unsigned int leg_later_s(const struct leg *leg)
{
	return leg->later_s;
}
