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

/* Where no memory is to be had, the oldest step goes. NULL: not even for the first one. */
static struct media_step *next_step(struct media_trail **trail)
{
	struct media_trail *t = *trail;
	size_t n = t ? t->n : 0, room = t ? t->room : 0;

	if (n == room && room < MEDIA_STEPS) {
		room = room ? 2 * room : MEDIA_STEPS_FIRST;
		t = realloc(*trail, sizeof(*t) + room * sizeof(t->steps[0]));
		if (t) {
			t->n = n;
			t->room = room;
			*trail = t;
		}
	}
	t = *trail;
	return t ? &t->steps[t->n++ % t->room] : NULL;
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
	step = next_step(&c->media.trail);
	if (!step)
		return;
	*step = (struct media_step){ .state = media_state_text(c->media.state),
				     .event = event,
				     .side = side,
				     .code = code };
	clock_gettime(CLOCK_REALTIME, &step->at);
}
