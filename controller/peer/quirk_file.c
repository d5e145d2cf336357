// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Learned quirks on disk: one JSON document, written whole beside the old one and put in its place,
 * so that a reader finds the one or the other. It is not forced to the disk, which would hold up
 * the loop: a power failure may cost what was learned last, as may a damaged file; the devices will
 * show it again.
 */
#include "peer/quirk_priv.h"

#include "lib/log.h"
#include "lib/path.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_VERSION = 1 };

static json_t *render(struct quirk *k)
{
	struct quirk_report r = quirk_report_of(k);

	return json_pack("{s:s,s:s,s:s,s:I,s:I}", "peer", r.peer, "user_agent", r.agent, "cause",
			 r.cause, "since", (json_int_t)r.since_s, "until", (json_int_t)r.until_s);
}

static json_t *render_all(const struct quirks *q, int64_t now_s)
{
	json_t *list = json_array();
	struct quirk *k, *next;
	int err = 0;

	HASH_ITER(hh, q->table, k, next)
		if (k->until_s > now_s)
			err |= json_array_append_new(list, render(k));
	if (!err)
		return json_pack("{s:i,s:o}", "version", FILE_VERSION, "quirks", list);
	json_decref(list);
	return NULL;
}

static int write_file(const struct quirks *q, const json_t *root, const char *beside)
{
	if (path_make_parents(q->path) || json_dump_file(root, beside, JSON_INDENT(1)) ||
	    rename(beside, q->path)) {
		unlink(beside);
		return -EIO;
	}
	return 0;
}

void quirks_save(struct quirks *q, int64_t now_s)
{
	json_t *root = q->path ? render_all(q, now_s) : NULL;
	char *beside = NULL;
	int err = -ENOMEM;

	if (!q->path)
		return;
	if (root && asprintf(&beside, "%s.new", q->path) >= 0)
		err = write_file(q, root, beside);
	free(beside);
	json_decref(root);
	if (err && !q->failing)
		log_warn("quirks cannot be kept in %s: they are forgotten when the daemon ends",
			 q->path);
	q->failing = err != 0;
}

/* One entry; what is over, or makes no sense, is left out. */
static int load_one(struct quirks *q, json_t *one, int64_t now_s)
{
	const char *peer, *agent, *text;
	enum quirk_outcome cause;
	json_int_t since, until;
	struct quirk *k;

	if (json_unpack(one, "{s:s,s:s,s:s,s:I,s:I}", "peer", &peer, "user_agent", &agent, "cause",
			&text, "since", &since, "until", &until) ||
	    quirk_cause_parse(&cause, text) || strchr(peer, QUIRK_SEPARATOR))
		return -EBADMSG;
	if (until <= now_s)
		return 0;
	k = quirk_add(q, peer, agent, now_s);
	if (!k)
		return -ENOMEM;
	k->cause = cause;
	k->since_s = since;
	/* The clock may have been wrong. */
	k->until_s = until > now_s + QUIRK_LASTS_S ? now_s + QUIRK_LASTS_S : until;
	return 0;
}

static int load_all(struct quirks *q, json_t *root, int64_t now_s)
{
	json_t *list, *one;
	int version, err = 0;
	size_t i;

	if (json_unpack(root, "{s:i,s:o}", "version", &version, "quirks", &list) ||
	    version != FILE_VERSION || !json_is_array(list))
		return -EBADMSG;
	json_array_foreach(list, i, one)
		if (!err)
			err = load_one(q, one, now_s);
	return err;
}

void quirks_load(struct quirks *q, int64_t now_s)
{
	json_error_t fault = { .text = "" };
	json_t *root;
	int err;

	if (access(q->path, F_OK) && errno == ENOENT)
		return;
	root = json_load_file(q->path, JSON_REJECT_DUPLICATES, &fault);
	err = root ? load_all(q, root, now_s) : -EBADMSG;
	json_decref(root);
	if (!err)
		return;
	while (q->table) {
		struct quirk *k = q->table;

		HASH_DEL(q->table, k);
		free(k);
	}
	log_warn("quirks: %s is damaged (%s), no device is known: it is written anew with the next",
		 q->path, root ? "not what we write" : fault.text);
}
