// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers to offers within calls, each counted by who made the offer, what for, and its code. */
#include "call/call_priv.h"

static const char *purpose_text(enum call_purpose purpose)
{
	static const char *const texts[] = {
		[CALL_FOR_DIRECT] = "direct", [CALL_FOR_RECON] = "recon", [CALL_FOR_BACK] = "back",
		[CALL_FOR_THEM] = "pass",     [CALL_FOR_OFFER] = "ask",
	};

	return texts[purpose];
}

static void count(struct call *c, bool in, enum call_purpose purpose, int code)
{
	if (code >= CALLS_CODE_LO && code < CALLS_CODE_LO + CALLS_CODES)
		c->all->offers[in][purpose][code - CALLS_CODE_LO]++;
}

void call_offer_answered(struct call *c, enum call_purpose purpose, int code)
{
	count(c, false, purpose, code);
}

int call_agree(struct call *c, enum side side, enum call_purpose purpose)
{
	const struct call_side *s = &c->side[side];
	int err = leg_agree(s->leg, s->origin.last, s->origin.last_len);

	if (!err)
		count(c, true, purpose, 200);
	return err;
}

void call_disagree(struct call *c, enum side side, enum call_purpose purpose, int code,
		   const char *reason)
{
	if (leg_disagree(c->side[side].leg, code, reason, 0) == 0)
		count(c, true, purpose, code);
}

void calls_each_offer(const struct calls *calls,
		      void (*each)(void *ctx, const char *direction, const char *purpose, int code,
				   uint64_t n),
		      void *ctx)
{
	for (int in = 0; in < 2; in++)
		for (int purpose = 0; purpose < CALL_PURPOSES; purpose++)
			for (int i = 0; i < CALLS_CODES; i++)
				if (calls->offers[in][purpose][i])
					each(ctx, in ? "in" : "out",
					     purpose_text((enum call_purpose)purpose),
					     CALLS_CODE_LO + i, calls->offers[in][purpose][i]);
}
