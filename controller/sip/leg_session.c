// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Session timers (RFC 4028) towards one far end: kept where it asks for them, in whichever role it
 * gives us. Half the interval after the last refresh its refresher sends another one; shortly
 * before the end of it whoever heard none ends the session.
 */
#include "lib/log.h"
#include "sip/leg_priv.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>

/* RFC 4028 4: no interval is shorter. How long before its end a session is ended, at most. */
enum { SHORTEST_S = 90, MARGIN_S = 32 };

/* Session-Expires. `refresher` is cut out of it; p NULL: not said. 0: there is none. */
static uint32_t expires_of(const struct sip_msg *m, struct slice *refresher)
{
	const char *rest = m->first[SIP_H_SESSION_EXPIRES];
	char digits[11];
	struct slice item;
	uint32_t seconds;

	*refresher = (struct slice){ 0 };
	if (!rest || !sip_list_next(&rest, ';', &item) || item.len >= sizeof(digits))
		return 0;
	memcpy(digits, item.p, item.len);
	digits[item.len] = '\0';
	if (!sip_number(digits, UINT32_MAX, &seconds))
		return 0;
	while (sip_list_next(&rest, ';', &item))
		if (item.len == strlen("refresher=uac") &&
		    strncasecmp(item.p, "refresher=", strlen("refresher=")) == 0)
			*refresher = (struct slice){ item.p + strlen("refresher="), 3 };
	return seconds;
}

static bool is(struct slice refresher, const char *role)
{
	return refresher.p && strncasecmp(refresher.p, role, refresher.len) == 0;
}

/* May we refresh it at all? Never by a re-INVITE where that is not wanted (canreinvite=no). */
static bool can_refresh(const struct leg *leg)
{
	return leg->far_updates || !leg->never_reinvite;
}

static void set_timer(struct leg *leg, uint64_t seconds)
{
	timer_set(&leg->session.timer, seconds * leg->sip->timing.second);
}

static unsigned int margin_of(unsigned int interval_s)
{
	return interval_s / 3 < MARGIN_S ? interval_s / 3 : MARGIN_S;
}

void leg_session_stop(struct leg *leg)
{
	timer_stop(&leg->session.timer);
	leg->session.interval_s = 0;
}

static void run(struct leg *leg, uint32_t interval_s, bool ours)
{
	struct leg_session *s = &leg->session;

	leg_session_stop(leg);
	if (!interval_s || (ours && !can_refresh(leg)))
		return;
	s->interval_s = interval_s;
	s->ours = ours;
	s->refreshing = false;
	set_timer(leg, ours ? interval_s / 2 : interval_s - margin_of(interval_s));
}

struct sip_reply leg_session_asked(struct leg *leg, const struct sip_msg *m)
{
	struct leg_session *s = &leg->session;
	bool knows = sip_msg_lists(m, SIP_H_SUPPORTED, "timer") ||
		     sip_msg_lists(m, SIP_H_REQUIRE, "timer");
	struct slice refresher;
	uint32_t seconds = expires_of(m, &refresher);

	s->asked_s = 0;
	if (!seconds || (seconds < SHORTEST_S && !knows))
		return (struct sip_reply){ 0 };
	if (seconds < SHORTEST_S)
		return (struct sip_reply){ .code = 422, .lines = "Min-SE: 90\r\n" };
	s->asked_ours = !knows || is(refresher, "uas");
	if (s->asked_ours && !can_refresh(leg))
		return (struct sip_reply){ 0 };
	s->asked_s = seconds;
	snprintf(s->lines, sizeof(s->lines), "%sSession-Expires: %u;refresher=%s\r\n",
		 s->asked_ours ? "" : "Require: timer\r\n", seconds, s->asked_ours ? "uas" : "uac");
	return (struct sip_reply){ 0 };
}

const char *leg_session_reply(const struct leg *leg)
{
	const struct leg_session *s = &leg->session;

	return s->asked_s && (!s->asked_ours || can_refresh(leg)) ? s->lines : NULL;
}

void leg_session_answered(struct leg *leg)
{
	run(leg, leg->session.asked_s, leg->session.asked_ours);
	leg->session.asked_s = 0;
}

void leg_session_granted(struct leg *leg, const struct sip_msg *m)
{
	struct slice refresher;
	uint32_t seconds = expires_of(m, &refresher);

	if (seconds && seconds < SHORTEST_S)
		seconds = SHORTEST_S;
	run(leg, seconds, !is(refresher, "uas"));
}

const char *leg_session_request(const struct leg *leg, char lines[LEG_SESSION_LINES])
{
	const struct leg_session *s = &leg->session;

	if (!s->interval_s)
		return NULL;
	snprintf(lines, LEG_SESSION_LINES, "Session-Expires: %u;refresher=%s\r\nMin-SE: %d\r\n",
		 s->interval_s, s->ours ? "uac" : "uas", SHORTEST_S);
	return lines;
}

bool leg_session_raise(struct leg *leg, const struct sip_msg *m)
{
	uint32_t seconds;

	if (!leg->session.interval_s || !m->first[SIP_H_MIN_SE] ||
	    !sip_number(m->first[SIP_H_MIN_SE], UINT32_MAX, &seconds) ||
	    seconds <= leg->session.interval_s)
		return false;
	leg->session.interval_s = seconds;
	return true;
}

static void expire(struct leg *leg)
{
	log_notice("call %s: session expired", leg->dialog.call_id);
	leg_session_stop(leg);
	if (leg->phase != LEG_UP)
		return;
	leg_end(leg, "SIP;cause=408;text=\"Session expired\"");
	if (leg->events)
		leg->events->ended(leg->owner, leg, "expired");
}

void leg_session_refreshed(struct leg *leg, int code, struct slice sdp)
{
	if (code == 481 || code == 408)
		expire(leg);
	else if (code < 300 && sdp.p && leg->events && leg->events->refreshed)
		leg->events->refreshed(leg->owner, leg, sdp);
}

void leg_session_timer(void *owner)
{
	struct leg *leg = owner;
	struct leg_session *s = &leg->session;
	unsigned int interval_s = s->interval_s;

	leg_enter(leg);
	if (leg->phase != LEG_UP || leg->bye_wanted) {
		leg_session_stop(leg);
	} else if (s->ours && !s->refreshing) {
		s->refreshing = true;
		set_timer(leg, interval_s - margin_of(interval_s) - interval_s / 2);
		leg_job_add(leg, LEG_REFRESH, true, NULL, 0);
	} else {
		expire(leg);
	}
	leg_leave(leg);
}

void leg_never_reinvite(struct leg *leg)
{
	leg->never_reinvite = true;
}
