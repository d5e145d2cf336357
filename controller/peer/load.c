// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/load.h"

#include <errno.h>
#include <stdlib.h>

struct peer_load *peer_load_new(void)
{
	struct peer_load *load = calloc(1, sizeof(*load));

	if (load)
		load->refs = 1;
	return load;
}

struct peer_load *peer_load_ref(struct peer_load *load)
{
	load->refs++;
	return load;
}

void peer_load_unref(struct peer_load *load)
{
	if (load && --load->refs == 0)
		free(load);
}

/* `rate` calls a second; the bucket never holds more than a second of them. */
static void fill_bucket(struct peer_load *load, unsigned int rate, uint64_t now_ms)
{
	uint64_t full = rate * 1000ull, passed = now_ms - load->bucket_ms;

	if (!load->bucket_used || passed >= 1000)
		load->bucket = full;
	else
		load->bucket += passed * rate;
	if (load->bucket > full)
		load->bucket = full;
	load->bucket_ms = now_ms;
	load->bucket_used = true;
}

int peer_load_ask(struct peer_load *load, const struct conf_peer *peer, uint64_t now_ms)
{
	if (peer->call_limit && load->calls >= peer->call_limit)
		return -EUSERS;
	if (!peer->callrate)
		return 0;
	fill_bucket(load, peer->callrate, now_ms);
	if (load->bucket < 1000)
		return -EAGAIN;
	load->bucket -= 1000;
	return 0;
}

void peer_load_begin(struct peer_load *load)
{
	load->calls++;
	peer_load_ref(load);
}

void peer_load_end(struct peer_load *load)
{
	load->calls--;
	peer_load_unref(load);
}

void peer_load_rest(struct peer_load *load, uint64_t now_ms, unsigned int seconds)
{
	if (seconds > PEER_REST_MAX_S)
		seconds = PEER_REST_MAX_S;
	load->rests_until_ms = seconds ? now_ms + seconds * 1000ull : 0;
}

unsigned int peer_load_rests(const struct peer_load *load, uint64_t now_ms)
{
	if (load->rests_until_ms <= now_ms)
		return 0;
	return (unsigned int)((load->rests_until_ms - now_ms + 999) / 1000);
}
