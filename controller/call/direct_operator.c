// SPDX-License-Identifier: GPL-2.0-or-later
/* What the operator says of a call's path; the policy has the last word on the way out. */
#include "call/call_priv.h"

#include <errno.h>

int calls_relay(struct calls *calls, const char *id)
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (err)
		return err;
	c->course.mode = POLICY_FORCE_RELAY;
	direct_step(c, "operator_relay", -1, 0);
	direct_changed(c);
	return 0;
}

int calls_auto(struct calls *calls, const char *id)
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (err)
		return err;
	c->course.mode = POLICY_AUTO;
	direct_step(c, "operator_auto", -1, 0);
	direct_changed(c);
	return 0;
}

static bool is_out(const struct call *c)
{
	return c->media.state >= MEDIA_MOVE_1 && c->media.state <= MEDIA_DIRECT;
}

/* What it would be, but for what the operator said before and for glare. */
static bool may_go(struct call *c, char reason[CALLS_REASON_TEXT])
{
	struct policy_course before = c->course;
	struct media_verdict v;

	c->course.mode = POLICY_FORCE_DIRECT;
	c->course.glare = POLICY_GLARE_NONE;
	direct_judge(c, &v);
	if (v.direct || (v.stay && is_out(c)))
		return true;
	c->course = before;
	snprintf(reason, CALLS_REASON_TEXT, "%s", v.reason);
	return false;
}

int calls_direct(struct calls *calls, const char *id, char reason[CALLS_REASON_TEXT])
{
	struct call *c;
	int err = calls_seek(calls, id, &c);

	if (err)
		return err;
	if (!may_go(c, reason))
		return -EPERM;
	direct_step(c, "operator_direct", -1, 0);
	c->media.not_before_ms = 0;
	if (direct_is_here(c))
		direct_settle(c, 0, "settle", -1, 0);
	else
		direct_changed(c);
	return 0;
}
