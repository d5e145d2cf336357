// SPDX-License-Identifier: GPL-2.0-or-later
/* Counting, and what follows from it. quirk_file.c keeps it. */
#include "peer/quirk_priv.h"

#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const causes[] = {
	[QUIRK_REFUSED] = "refused",
	[QUIRK_IGNORED_C] = "ignored_c",
	[QUIRK_TIMED_OUT] = "timeout",
	[QUIRK_CRASHED] = "crashed",
};

const char *quirk_cause_text(enum quirk_outcome cause)
{
	return causes[cause];
}

int quirk_cause_parse(enum quirk_outcome *out, const char *text)
{
	for (enum quirk_outcome i = QUIRK_REFUSED; i <= QUIRK_CRASHED; i++) {
		if (strcmp(causes[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* "peer\nagent": what is no printable ASCII of either is one letter, cut to a bounded length. */
static void make_key(char key[QUIRK_KEY_MAX], const char *peer, const char *agent)
{
	int n = snprintf(key, QUIRK_KEY_MAX, "%.127s%c%.127s", peer, QUIRK_SEPARATOR, agent);
	int separator = (int)strnlen(peer, 127);

	for (int i = 0; i < n; i++)
		if (i != separator && (key[i] < ' ' || key[i] > '~'))
			key[i] = '?';
}

static struct quirk *find(const struct quirks *q, const char *peer, const char *agent)
{
	char key[QUIRK_KEY_MAX];
	struct quirk *found;

	make_key(key, peer, agent);
	HASH_FIND_STR(q->table, key, found);
	return found;
}

static bool in_force(const struct quirk *k, int64_t now_s)
{
	return k->until_s > now_s;
}

static bool is_of(const struct quirk *k, const char *peer)
{
	size_t len = strlen(peer);

	return strncmp(k->key, peer, len) == 0 && k->key[len] == QUIRK_SEPARATOR;
}

static void drop(struct quirks *q, struct quirk *k)
{
	HASH_DEL(q->table, k);
	free(k);
}

/* Is `a` missed less than `b`? Who has no quirk goes first, then who was heard of longest ago. */
static bool goes_before(const struct quirk *a, const struct quirk *b, int64_t now_s)
{
	if (in_force(a, now_s) != in_force(b, now_s))
		return in_force(b, now_s);
	return a->touched_s < b->touched_s;
}

/* Neither one peer with a thousand names nor a thousand peers take more than their room. */
static void make_room(struct quirks *q, const char *peer, int64_t now_s)
{
	struct quirk *oldest = NULL, *oldest_of_peer = NULL, *k, *next;
	size_t n = 0;

	HASH_ITER(hh, q->table, k, next) {
		if (!oldest || goes_before(k, oldest, now_s))
			oldest = k;
		if (!is_of(k, peer))
			continue;
		n++;
		if (!oldest_of_peer || goes_before(k, oldest_of_peer, now_s))
			oldest_of_peer = k;
	}
	if (n >= QUIRK_DEVICES_OF_PEER_MAX)
		drop(q, oldest_of_peer);
	else if (HASH_COUNT(q->table) >= QUIRK_DEVICES_MAX)
		drop(q, oldest);
}

struct quirk *quirk_add(struct quirks *q, const char *peer, const char *agent, int64_t now_s)
{
	struct quirk *k;

	make_room(q, peer, now_s);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	make_key(k->key, peer, agent);
	k->touched_s = now_s;
	HASH_ADD_STR(q->table, key, k);
	if (k->hh.tbl)
		return k;
	free(k);
	return NULL;
}

static unsigned int count_bad(const struct quirk *k)
{
	unsigned int n = 0;

	for (size_t i = 0; i < k->n_calls; i++)
		n += k->calls[i].bad;
	return n;
}

/* The last few distinct calls; one that went wrong did, whatever came after. */
static void count_call(struct quirk *k, uint64_t call, bool bad)
{
	for (size_t i = 0; i < k->n_calls; i++) {
		if (k->calls[i].call == call) {
			k->calls[i].bad |= bad;
			return;
		}
	}
	if (k->n_calls == QUIRK_CALLS)
		memmove(&k->calls[0], &k->calls[1], --k->n_calls * sizeof(k->calls[0]));
	k->calls[k->n_calls++] = (struct quirk_call){ .call = call, .bad = bad };
}

static void learn(struct quirks *q, struct quirk *k, enum quirk_outcome cause, int64_t now_s)
{
	struct quirk_report r = quirk_report_of(k);

	if (in_force(k, now_s) && k->cause == cause && k->until_s == now_s + QUIRK_LASTS_S)
		return;
	k->cause = cause;
	k->since_s = now_s;
	k->until_s = now_s + QUIRK_LASTS_S;
	log_notice("quirk peer=%s agent='%s' no-reinvite cause=%s: for 24 h it gets no re-INVITE "
		   "of ours",
		   r.peer, r.agent, quirk_cause_text(cause));
	quirks_save(q, now_s);
}

void quirks_note(struct quirks *q, const char *peer, const char *agent, uint64_t call,
		 enum quirk_outcome outcome, int64_t now_s)
{
	struct quirk *k = find(q, peer, agent);

	/* Good news of a device without bad news need not be remembered: it would only fall out of
	 * the last calls again. */
	if (!k && outcome != QUIRK_WORKED)
		k = quirk_add(q, peer, agent, now_s);
	if (!k)
		return;
	k->touched_s = now_s;
	count_call(k, call, outcome != QUIRK_WORKED);
	if (outcome == QUIRK_TIMED_OUT)
		k->timed_out_s = now_s;
	if (outcome != QUIRK_WORKED && count_bad(k) >= QUIRK_BAD_CALLS)
		learn(q, k, outcome, now_s);
}

void quirks_registered(struct quirks *q, const char *peer, const char *agent, int64_t now_s)
{
	struct quirk *k = find(q, peer, agent);

	if (!k || !k->timed_out_s || now_s < k->timed_out_s ||
	    now_s - k->timed_out_s > QUIRK_REBOOT_S)
		return;
	k->timed_out_s = 0;
	k->touched_s = now_s;
	learn(q, k, QUIRK_CRASHED, now_s);
}

bool quirks_no_reinvite(const struct quirks *q, const char *peer, const char *agent, int64_t now_s)
{
	const struct quirk *k = q->table ? find(q, peer, agent) : NULL;

	return k && in_force(k, now_s);
}

struct quirk_report quirk_report_of(struct quirk *k)
{
	char *separator = strchr(k->key, QUIRK_SEPARATOR);
	size_t len = (size_t)(separator - k->key);

	memcpy(k->peer, k->key, len);
	k->peer[len] = '\0';
	return (struct quirk_report){ .peer = k->peer,
				      .agent = separator + 1,
				      .cause = k->until_s ? quirk_cause_text(k->cause) : "",
				      .since_s = k->since_s,
				      .until_s = k->until_s };
}

void quirks_each(const struct quirks *q, const char *peer, int64_t now_s,
		 void (*each)(void *ctx, const struct quirk_report *report), void *ctx)
{
	struct quirk *k, *next;

	HASH_ITER(hh, q->table, k, next) {
		struct quirk_report report = quirk_report_of(k);

		if (in_force(k, now_s) && (!peer || is_of(k, peer)))
			each(ctx, &report);
	}
}

size_t quirks_clear(struct quirks *q, const char *peer, int64_t now_s)
{
	struct quirk *k, *next;
	size_t n = 0;

	HASH_ITER(hh, q->table, k, next) {
		if (!is_of(k, peer))
			continue;
		n += in_force(k, now_s);
		drop(q, k);
	}
	if (n)
		quirks_save(q, now_s);
	return n;
}

int quirks_new(struct quirks **out, const char *folder, int64_t now_s)
{
	struct quirks *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	if (folder && asprintf(&q->path, "%s/quirks.json", folder) < 0) {
		free(q);
		return -ENOMEM;
	}
	if (q->path)
		quirks_load(q, now_s);
	*out = q;
	return 0;
}

void quirks_free(struct quirks *q)
{
	struct quirk *k, *next;

	if (!q)
		return;
	HASH_ITER(hh, q->table, k, next)
		drop(q, k);
	free(q->path);
	free(q);
}
