// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What changes of the routes, and which next hops are asked for again for it: news of a route
 * concern those whose destination it covers, any other news every one. They are asked in slices, so
 * that 20,000 of them do not stop the loop; and once more when it is quiet, since some routes go
 * after the news of why they go, and without any of their own.
 */
#include "datapath/priv.h"

#define SLICE	 128 /* routes asked for in one turn of the loop */
#define AGAIN_MS 300 /* within which such routes have gone */

void news_concern(struct datapath *dp, struct nexthop *hop)
{
	if (hop->stale)
		return;
	hop->stale = true;
	DL_APPEND2(dp->stale_hops, hop, stale_prev, stale_next);
}

void news_forget(struct datapath *dp, struct nexthop *hop)
{
	if (!hop->stale)
		return;
	hop->stale = false;
	DL_DELETE2(dp->stale_hops, hop, stale_prev, stale_next);
}

static bool concerns(const struct route_news *news, const struct nexthop *hop)
{
	for (size_t i = 0; i < news->n; i++)
		if (addr_prefix_has(&news->only[i], &hop->key.to))
			return true;
	return news->all;
}

static bool has_news(const struct route_news *news)
{
	return news->all || news->n;
}

static bool is_told(const struct route_news *news, const struct addr_prefix *only)
{
	for (size_t i = 0; i < news->n; i++)
		if (news->only[i].bits == only->bits &&
		    addr_equal(&news->only[i].net, &only->net))
			return true;
	return news->all;
}

/* NULL: of every route. More than there is room for are that, too; a route that comes and goes
 * takes the room of one. */
static void add_news(struct route_news *news, const struct addr_prefix *only)
{
	if (only && is_told(news, only))
		return;
	if (!news->all && only && news->n < ROUTE_NEWS)
		news->only[news->n++] = *only;
	else
		*news = (struct route_news){ .all = true };
}

/* What they concern is to be asked for; they are none any more. */
static void mark_concerned(struct datapath *dp, struct route_news *news)
{
	struct nexthop *hop, *next;

	HASH_ITER(hh, dp->hops, hop, next)
		if (concerns(news, hop))
			news_concern(dp, hop);
	*news = (struct route_news){ 0 };
}

/* Once more behind at least AGAIN_MS, however much news comes meanwhile. */
static void take_news(struct datapath *dp)
{
	struct route_news *again = has_news(&dp->again) ? &dp->later : &dp->again;
	const struct route_news *news = &dp->news;

	if (again == &dp->again)
		dp->again_ms = loop_now_ms(dp->loop);
	for (size_t i = 0; i < news->n; i++)
		add_news(again, &news->only[i]);
	if (news->all)
		add_news(again, NULL);
	mark_concerned(dp, &dp->news);
}

static void take_again(struct datapath *dp)
{
	uint64_t now_ms = loop_now_ms(dp->loop);

	if (!has_news(&dp->again) || now_ms - dp->again_ms < AGAIN_MS)
		return;
	mark_concerned(dp, &dp->again);
	dp->again = dp->later;
	dp->again_ms = now_ms;
	dp->later = (struct route_news){ 0 };
}

/* A slice of them; -errno: the kernel does not answer just now. */
static int ask_stale(struct datapath *dp)
{
	int err = 0;

	for (int i = 0; i < SLICE && dp->stale_hops && !err; i++) {
		struct nexthop *hop = dp->stale_hops;

		news_forget(dp, hop);
		err = nexthop_ask(dp, hop);
	}
	return err;
}

static void on_refresh(void *owner)
{
	struct datapath *dp = owner;
	int err;

	dp->refreshing = false;
	take_again(dp);
	if (has_news(&dp->news))
		take_news(dp);
	err = ask_stale(dp);
	if (dp->stale_hops && !err)
		timer_set(&dp->refresh, 1);
	else if (err || has_news(&dp->again))
		timer_set(&dp->refresh, AGAIN_MS);
}

/* News that come without a pause do not put it off. */
static void refresh_soon(struct datapath *dp)
{
	if (!dp->refreshing)
		timer_set(&dp->refresh, 1);
	dp->refreshing = true;
}

void news_route(struct datapath *dp, const struct addr_prefix *only)
{
	add_news(&dp->news, only);
	refresh_soon(dp);
}

void news_retry(struct datapath *dp)
{
	if (!timer_running(&dp->refresh))
		timer_set(&dp->refresh, AGAIN_MS);
}

void news_open(struct datapath *dp)
{
	timer_init(&dp->refresh, dp->loop, on_refresh, dp);
}

void news_close(struct datapath *dp)
{
	timer_stop(&dp->refresh);
}
