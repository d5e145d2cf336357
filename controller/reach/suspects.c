// SPDX-License-Identifier: GPL-2.0-or-later
#include "reach/suspects.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A source has its place in one row only, which nobody outside can foretell: filling the table does
 * not take more than a row's time, and does not push out one chosen source. */
enum { ROWS = 512, ROW = 8 };

struct suspect {
	uint8_t net[16];       /* addr_network() */
	uint64_t until_ms;     /* this minute's end; 0: no one */
	unsigned int failures; /* in this minute */
	bool shunned;
};

struct suspects {
	uint64_t seed[3];
	struct suspect rows[ROWS][ROW];
};

struct suspects *suspects_new(void)
{
	struct suspects *s = calloc(1, sizeof(*s));

	if (s && getrandom(s->seed, sizeof(s->seed), 0) == (ssize_t)sizeof(s->seed))
		return s;
	free(s);
	return NULL;
}

void suspects_free(struct suspects *s)
{
	free(s);
}

static size_t row_of(const struct suspects *s, const uint8_t net[16])
{
	uint64_t half[2], h;

	memcpy(half, net, 16);
	h = (half[0] ^ s->seed[0]) * (s->seed[1] | 1);
	h = ((h ^ h >> 32) + half[1]) * (s->seed[2] | 1);
	return (h >> 32) % ROWS;
}

static struct suspect *find(struct suspects *s, const uint8_t net[16], uint64_t now_ms)
{
	struct suspect *row = s->rows[row_of(s, net)];

	for (size_t i = 0; i < ROW; i++)
		if (row[i].until_ms > now_ms && memcmp(row[i].net, net, 16) == 0)
			return &row[i];
	return NULL;
}

/* The place of one whose minute is over, else of who failed least. */
static struct suspect *make_room(struct suspects *s, const uint8_t net[16], uint64_t now_ms)
{
	struct suspect *row = s->rows[row_of(s, net)], *least = row;

	for (size_t i = 0; i < ROW; i++) {
		if (row[i].until_ms <= now_ms) {
			least = &row[i];
			break;
		}
		if (row[i].failures < least->failures)
			least = &row[i];
	}
	*least = (struct suspect){.until_ms = now_ms + SUSPECTS_MINUTE_MS};
	memcpy(least->net, net, 16);
	return least;
}

bool suspects_failed(struct suspects *s, const struct addr *source, unsigned int limit,
		     uint64_t now_ms)
{
	uint8_t net[16];
	struct suspect *one;

	if (!limit)
		return false;
	addr_network(net, source);
	one = find(s, net, now_ms);
	if (!one)
		one = make_room(s, net, now_ms);
	if (one->shunned || ++one->failures < limit)
		return false;
	one->shunned = true;
	one->until_ms = now_ms + SUSPECTS_MINUTE_MS;
	return true;
}

bool suspects_shunned(struct suspects *s, const struct addr *source, uint64_t now_ms)
{
	const struct suspect *one;
	uint8_t net[16];

	addr_network(net, source);
	one = find(s, net, now_ms);
	return one && one->shunned;
}
