/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The owner of a leg that writes down what it is told. Part of sip_lab.h, included by nothing else.
 */
#ifndef RTPFWD_TESTS_SIP_OWNER_H
#define RTPFWD_TESTS_SIP_OWNER_H

LAB_USED void lab_note(struct lab *lab, const char *format, ...)
{
	size_t len = strlen(lab->log);
	va_list ap;

	va_start(ap, format);
	vsnprintf(lab->log + len, sizeof(lab->log) - len, format, ap);
	va_end(ap);
	strncat(lab->log, " ", sizeof(lab->log) - strlen(lab->log) - 1);
}

static void lab_describe(struct lab *lab, struct slice sdp)
{
	if (sdp.p)
		snprintf(lab->told, sizeof(lab->told), "%.*s", (int)sdp.len, sdp.p);
}

static void lab_progress(void *owner, struct leg *leg, int code, const char *reason,
			 struct slice sdp)
{
	(void)leg;
	(void)reason;
	lab_describe(owner, sdp);
	lab_note(owner, "progress:%d%s", code, sdp.p ? "+sdp" : "");
}

static void lab_answered(void *owner, struct leg *leg, struct slice sdp)
{
	lab_describe(owner, sdp);
	lab_note(owner, "answered%s%s", sdp.p ? "+sdp" : "",
		 leg_answers_by_offer(leg) ? "+offer" : "");
}

static void lab_failed(void *owner, struct leg *leg, int code, const char *reason,
		       unsigned int retry_after_s)
{
	(void)leg;
	if (retry_after_s)
		lab_note(owner, "failed:%d:%s:%u", code, reason, retry_after_s);
	else
		lab_note(owner, "failed:%d:%s", code, reason);
}

static void lab_cancelled(void *owner, struct leg *leg)
{
	(void)leg;
	lab_note(owner, "cancelled");
}

static void lab_acked(void *owner, struct leg *leg, struct slice sdp)
{
	(void)leg;
	lab_note(owner, "acked%s", sdp.p ? "+sdp" : "");
}

static void lab_offered(void *owner, struct leg *leg, struct slice sdp)
{
	(void)leg;
	lab_note(owner, "offered%s", sdp.p ? "+sdp" : "");
}

static void lab_asked(void *owner, struct leg *leg)
{
	(void)leg;
	lab_note(owner, "asked");
}

static void lab_offer_cancelled(void *owner, struct leg *leg)
{
	(void)leg;
	lab_note(owner, "offer_cancelled");
}

static void lab_reanswered(void *owner, struct leg *leg, int code, const char *reason,
			   struct slice sdp)
{
	(void)leg;
	(void)reason;
	lab_note(owner, "reanswered:%d%s", code, sdp.p ? "+sdp" : "");
}

static void lab_ended(void *owner, struct leg *leg, const char *why)
{
	(void)leg;
	lab_note(owner, "ended:%s", why);
}

static struct slice lab_in_force(void *owner, const struct leg *leg)
{
	(void)owner;
	(void)leg;
	return (struct slice){LAB_SDP, strlen(LAB_SDP)};
}

static void lab_refreshed(void *owner, struct leg *leg, struct slice sdp)
{
	(void)leg;
	lab_note(owner, "refreshed%s", sdp.p ? "+sdp" : "");
}

static const struct leg_events lab_events = {
	.in_force = lab_in_force,
	.refreshed = lab_refreshed,
	.progress = lab_progress,
	.answered = lab_answered,
	.failed = lab_failed,
	.cancelled = lab_cancelled,
	.acked = lab_acked,
	.offered = lab_offered,
	.asked = lab_asked,
	.offer_cancelled = lab_offer_cancelled,
	.reanswered = lab_reanswered,
	.ended = lab_ended,
};

#endif
