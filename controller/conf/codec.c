// SPDX-License-Identifier: GPL-2.0-or-later
/* Codecs by Asterisk's names and by those of SDP (IANA's encoding names), and allow/disallow. */
#include "conf/keys.h"
#include "conf/value.h"
#include "lib/buf.h"

#include <string.h>
#include <strings.h>

/* The first row of an encoding gives the name that is printed. */
static const struct {
	const char *name;
	const char *encoding;
} codecs[] = {
	{ "ulaw", "PCMU" },	  { "alaw", "PCMA" },	  { "g722", "G722" },
	{ "g729", "G729" },	  { "g729a", "G729" },	  { "g723", "G723" },
	{ "g723.1", "G723" },	  { "g726", "G726-32" },  { "g726aal2", "AAL2-G726-32" },
	{ "g719", "G719" },	  { "gsm", "GSM" },	  { "ilbc", "iLBC" },
	{ "speex", "speex" },	  { "speex16", "speex" }, { "speex32", "speex" },
	{ "opus", "opus" },	  { "slin", "L16" },	  { "slin16", "L16" },
	{ "siren7", "G7221" },	  { "siren14", "G7221" }, { "silk", "SILK" },
	{ "silk8", "SILK" },	  { "silk12", "SILK" },	  { "silk16", "SILK" },
	{ "silk24", "SILK" },	  { "amr", "AMR" },	  { "amrwb", "AMR-WB" },
	{ "evs", "EVS" },	  { "codec2", "CODEC2" }, { "adpcm", "DVI4" },
	{ "lpc10", "LPC" },	  { "h261", "H261" },	  { "h263", "H263" },
	{ "h263p", "H263-1998" }, { "h264", "H264" },	  { "h265", "H265" },
	{ "mpeg4", "MP4V-ES" },	  { "vp8", "VP8" },	  { "vp9", "VP9" },
	{ "red", "red" },	  { "t140", "t140" },	  { "t140red", "red" },
};

static const size_t n_codecs = sizeof(codecs) / sizeof(codecs[0]);

static const char *encoding_of(const char *name)
{
	for (size_t i = 0; i < n_codecs; i++)
		if (strcasecmp(codecs[i].name, name) == 0)
			return codecs[i].encoding;
	for (size_t i = 0; i < n_codecs; i++)
		if (strcasecmp(codecs[i].encoding, name) == 0)
			return codecs[i].encoding;
	return NULL;
}

const char *conf_codec_name(const char *encoding)
{
	for (size_t i = 0; i < n_codecs; i++)
		if (strcasecmp(codecs[i].encoding, encoding) == 0)
			return codecs[i].name;
	return encoding;
}

static int fault_unknown(struct conf_loader *l, const struct conf_entry *e, const char *name)
{
	struct buf list = { 0 };
	int rc;

	for (size_t i = 0; i < n_codecs; i++)
		buf_printf(&list, ", %s", codecs[i].name);
	if (list.failed)
		rc = conf_no_memory(l);
	else
		rc = conf_fault(l, &e->at, "%s: unknown codec '%.40s': allowed are all%s", e->key,
				name, list.data);
	buf_free(&list);
	return rc;
}

static size_t position(const char *const *list, size_t n, const char *encoding)
{
	size_t i = 0;

	while (i < n && strcasecmp(list[i], encoding) != 0)
		i++;
	return i;
}

/* Both work on a copy: the list may be that of [general], which other peers share. */
static int list_add(struct conf_loader *l, const char ***list, size_t *n, const char *encoding)
{
	const char **more;

	if (position(*list, *n, encoding) < *n)
		return 0;
	more = arena_alloc(l->keep, (*n + 1) * sizeof(*more));
	if (!more)
		return conf_no_memory(l);
	if (*n)
		memcpy(more, *list, *n * sizeof(*more));
	more[(*n)++] = encoding;
	*list = more;
	return 0;
}

static int list_remove(struct conf_loader *l, const char ***list, size_t *n, const char *encoding)
{
	size_t at = position(*list, *n, encoding);
	const char **less;

	if (at == *n)
		return 0;
	less = arena_alloc(l->keep, *n * sizeof(*less));
	if (!less)
		return conf_no_memory(l);
	memcpy(less, *list, at * sizeof(*less));
	memcpy(less + at, *list + at + 1, (*n - at - 1) * sizeof(*less));
	(*n)--;
	*list = less;
	return 0;
}

static int apply(struct conf_loader *l, struct conf_codecs *c, const char *encoding, bool allow)
{
	if (c->all && allow)
		return list_remove(l, &c->except, &c->n_except, encoding);
	if (c->all)
		return list_add(l, &c->except, &c->n_except, encoding);
	if (allow)
		return list_add(l, &c->only, &c->n_only, encoding);
	return list_remove(l, &c->only, &c->n_only, encoding);
}

/* Like Asterisk, a `!` before a name turns allow into disallow and back. */
CONF_SETTER(conf_set_codecs)
{
	struct conf_codecs *c = &((struct conf_peer *)object)->codecs;
	bool allowing = strcasecmp(key->name, "allow") == 0;
	struct conf_list list;
	int rc = conf_value_list(l, e, &list);

	for (size_t i = 0; !rc && i < list.n; i++) {
		bool inverted = list.items[i][0] == '!';
		const char *name = list.items[i] + inverted, *encoding = encoding_of(name);
		bool allow = allowing != inverted;

		if (strcasecmp(name, "all") == 0)
			*c = (struct conf_codecs){ .all = allow };
		else if (encoding)
			rc = apply(l, c, encoding, allow);
		else
			rc = fault_unknown(l, e, name);
	}
	return rc;
}

CONF_SETTER(conf_set_transcode)
{
	struct conf_peer *peer = object;
	bool yes = false;

	(void)key;
	peer->transcode = strcasecmp(e->value, "g711") == 0;
	if (!peer->transcode && (!conf_value_bool(e->value, &yes) || yes))
		return conf_bad_value(l, e, "g711 or off");
	return 0;
}

bool conf_codec_allowed(const struct conf_codecs *c, const char *encoding)
{
	if (c->all)
		return position(c->except, c->n_except, encoding) == c->n_except;
	return position(c->only, c->n_only, encoding) < c->n_only;
}
