// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of a call's path: one line of log and one entry of the trail for each event. */
#include "call/call_priv.h"

#include <stdlib.h>

const char *media_state_text(enum media_state state)
{
	static const char *const texts[] = {
		[MEDIA_SETUP] = "setup",   [MEDIA_RELAY] = "relay",   [MEDIA_SETTLE] = "settle",
		[MEDIA_MOVE_1] = "move_1", [MEDIA_MOVE_2] = "move_2", [MEDIA_RECON] = "recon",
		[MEDIA_DRAIN] = "drain",   [MEDIA_DIRECT] = "direct", [MEDIA_BACK_1] = "back_1",
		[MEDIA_BACK_2] = "back_2", [MEDIA_SPLIT] = "split",   [MEDIA_LOCKED] = "locked",
	};

	return texts[state];
}

const char *media_state_path(enum media_state state)
{
	static const char *const paths[] = {
#define MEDIA_STATE_PATH(name, path) [MEDIA_##name] = path,
		MEDIA_STATES(MEDIA_STATE_PATH)
#undef MEDIA_STATE_PATH
	};

	return paths[state];
}

const char *media_result_text(enum media_result result)
{
	static const char *const texts[] = {
#define MEDIA_RESULT_TEXT(name) [MEDIA_RESULT_##name] = #name,
		MEDIA_RESULTS(MEDIA_RESULT_TEXT)
#undef MEDIA_RESULT_TEXT
	};

	return texts[result];
}

void direct_step(struct call *c, const char *event, int side, int code)
{
	struct media_step *step;

	log_info("call %s media=%s event=%s leg=%s code=%d reason=%s", c->id,
		 media_state_text(c->media.state), event,
		 side == SIDE_A	  ? "a"
		 : side == SIDE_B ? "b"
				  : "-",
		 code, c->media.reason);
	if (!c->media.trail)
		c->media.trail = calloc(1, sizeof(*c->media.trail));
	if (!c->media.trail)
		return;
	step = &c->media.trail->steps[c->media.trail->n++ % MEDIA_STEPS];
	*step = (struct media_step){ .state = media_state_text(c->media.state),
				     .event = event,
				     .side = side,
				     .code = code };
	clock_gettime(CLOCK_REALTIME, &step->at);
}
