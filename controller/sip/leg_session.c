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

enum {
	SHORTEST_S = 90,   /* RFC 4028 4: no interval is shorter */
	USUAL_S = 1800,	   /* and this is what it recommends */
	LONGEST_S = 86400, /* that their Min-SE makes us ask for or grant */
	RAISES_MAX = 4,
	MARGIN_S = 32, /* how long before its end a session is ended, at most */
};

void leg_session_setup(struct leg *leg, const struct conf_session *wanted)
{
	struct conf_session *conf = &leg->session.conf;

	*conf = *wanted;
	if (conf->min_s < SHORTEST_S)
		conf->min_s = SHORTEST_S;
	if (!conf->expires_s)
		conf->expires_s = USUAL_S;
}

const char *leg_session_tag(const struct leg *leg)
{
	return leg->session.conf.timers == SESSION_REFUSE ? NULL : "timer";
}

const char *leg_session_supported(const struct leg *leg)
{
	return leg->session.conf.timers == SESSION_REFUSE ? "100rel" : SIP_SUPPORTED;
}

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

/* The interval of the 2xx to a request that asks for `seconds`, of which no more is granted (RFC
 * 4028 9); 0: no timer. */
static unsigned int granted_s(const struct conf_session *conf, uint32_t seconds, uint32_t min_s)
{
	unsigned int bound = conf->expires_s;

	if (seconds < conf->min_s)
		return conf->timers == SESSION_ORIGINATE ? conf->expires_s : 0;
	if (bound < min_s)
		bound = min_s < LONGEST_S ? min_s : LONGEST_S;
	if (bound < conf->min_s)
		bound = conf->min_s;
	return seconds < bound ? seconds : bound;
}

/* 0: there is none. */
static uint32_t min_of(const struct sip_msg *m)
{
	const char *value = m->first[SIP_H_MIN_SE];
	uint32_t seconds;

	return value && sip_number(value, UINT32_MAX, &seconds) ? seconds : 0;
}

struct sip_reply leg_session_asked(struct leg *leg, const struct sip_msg *m)
{
	struct leg_session *s = &leg->session;
	bool required = sip_msg_lists(m, SIP_H_REQUIRE, "timer");
	struct slice refresher;
	uint32_t seconds = expires_of(m, &refresher);
	char *lines = leg->sip->session;

	s->asked_s = 0;
	s->asked_knows = required || sip_msg_lists(m, SIP_H_SUPPORTED, "timer");
	if (s->conf.timers == SESSION_REFUSE)
		return required ? (struct sip_reply){ .code = 420,
						      .extra_name = "Unsupported",
						      .extra_value = "timer" }
				: (struct sip_reply){ 0 };
	if (seconds && seconds < s->conf.min_s && s->asked_knows) {
		snprintf(lines, LEG_SESSION_LINES, "Min-SE: %u\r\n", s->conf.min_s);
		return (struct sip_reply){ .code = 422, .lines = lines };
	}
	s->asked_s = granted_s(&s->conf, seconds, min_of(m));
	s->asked = !refresher.p ? LEG_EITHER : is(refresher, "uas") ? LEG_UAS : LEG_UAC;
	return (struct sip_reply){ 0 };
}

/* Are we to refresh, where that is ours to say? */
static bool prefers_us(const struct leg *leg)
{
	return leg->session.conf.by_caller != leg->incoming;
}

/* Do we refresh what the far end asks for (RFC 4028 9, table 2)? */
static bool asked_of_us(const struct leg *leg)
{
	const struct leg_session *s = &leg->session;

	if (!s->asked_knows || s->asked == LEG_UAS)
		return true;
	return s->asked == LEG_EITHER && prefers_us(leg) && can_refresh(leg);
}

const char *leg_session_reply(struct leg *leg)
{
	struct leg_session *s = &leg->session;
	bool ours = asked_of_us(leg);
	char *lines = leg->sip->session;

	if (!s->asked_s || (ours && !can_refresh(leg)))
		return NULL;
	snprintf(lines, LEG_SESSION_LINES, "%sSession-Expires: %u;refresher=%s\r\n",
		 ours ? "" : "Require: timer\r\n", s->asked_s, ours ? "uas" : "uac");
	return lines;
}

void leg_session_answered(struct leg *leg)
{
	run(leg, leg->session.asked_s, asked_of_us(leg));
	leg->session.asked_s = 0;
}

void leg_session_granted(struct leg *leg, const struct sip_msg *m)
{
	struct leg_session *s = &leg->session;
	struct slice refresher;
	uint32_t seconds = expires_of(m, &refresher);

	if (s->conf.timers == SESSION_REFUSE)
		return;
	if (seconds && seconds < SHORTEST_S)
		seconds = SHORTEST_S;
	/* RFC 4028 7.2: who asked may keep it alone. */
	if (!seconds && s->conf.timers == SESSION_ORIGINATE)
		run(leg, s->interval_s ? s->interval_s : s->conf.expires_s, true);
	else
		run(leg, seconds, !is(refresher, "uas"));
}

const char *leg_session_request(const struct leg *leg, char lines[LEG_SESSION_LINES])
{
	const struct leg_session *s = &leg->session;
	unsigned int interval_s = s->interval_s ? s->interval_s : s->conf.expires_s;
	bool ours = s->interval_s ? s->ours : prefers_us(leg);

	if (!s->interval_s && s->conf.timers != SESSION_ORIGINATE)
		return NULL;
	snprintf(lines, LEG_SESSION_LINES, "Session-Expires: %u;refresher=%s\r\nMin-SE: %u\r\n",
		 interval_s, ours ? "uac" : "uas",
		 interval_s < s->conf.min_s ? interval_s : s->conf.min_s);
	return lines;
}

bool leg_session_raise(struct leg *leg, const struct sip_msg *m)
{
	struct leg_session *s = &leg->session;
	unsigned int *interval_s = s->interval_s ? &s->interval_s : &s->conf.expires_s;
	uint32_t min_s = min_of(m);

	if ((!s->interval_s && s->conf.timers != SESSION_ORIGINATE) || min_s <= *interval_s ||
	    min_s > LONGEST_S || s->raises == RAISES_MAX)
		return false;
	s->raises++;
	*interval_s = min_s;
	if (s->conf.min_s < min_s)
		s->conf.min_s = min_s;
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

bool leg_has_session(const struct leg *leg)
{
	return leg->session.interval_s != 0;
}

void leg_never_reinvite(struct leg *leg)
{
	leg->never_reinvite = true;
}
