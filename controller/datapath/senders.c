// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/senders.h"

#include <stdbool.h>
#include <stddef.h>

static int place_of(const struct senders *s, uint32_t ssrc)
{
	for (int i = 0; i < SENDERS_KEPT; i++)
		if (s->used[i] && s->ssrc[i] == ssrc)
			return i;
	return -1;
}

static bool has_been(const struct senders *s, uint32_t ssrc)
{
	for (uint32_t i = 0; i < s->n && i < SENDERS_MAX; i++)
		if (s->all[i] == ssrc)
			return true;
	return false;
}

const struct index_window *senders_find(const struct senders *s, uint32_t ssrc)
{
	int place = place_of(s, ssrc);

	return place < 0 ? NULL : &s->state[place];
}

int senders_admit(const struct senders *s, uint32_t ssrc)
{
	return s->n >= SENDERS_MAX || has_been(s, ssrc) ? -EMFILE : 0;
}

static void list(struct senders *s, uint32_t ssrc)
{
	if (has_been(s, ssrc) || s->n >= SENDERS_MAX)
		return;
	s->all[s->n] = ssrc;
	senders_order();
	s->n++;
	senders_order();
}

static int make_room(struct senders *s, uint32_t ssrc)
{
	int place = 0;

	for (int i = 1; i < SENDERS_KEPT; i++)
		if (s->used[i] < s->used[place])
			place = i;
	s->used[place] = 0;
	senders_order();
	s->ssrc[place] = ssrc;
	return place;
}

void senders_keep(struct senders *s, uint32_t ssrc, const struct index_window *state)
{
	int place = place_of(s, ssrc);

	if (place < 0) {
		list(s, ssrc);
		place = make_room(s, ssrc);
	}
	s->state[place] = *state;
	senders_order();
	if (!s->used[place] || s->used[place] != s->turn)
		s->used[place] = ++s->turn;
}
