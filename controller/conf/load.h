/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside conf/ only: what the files that turn text into a snapshot share. */
#ifndef RTPFWD_CONF_LOAD_H
#define RTPFWD_CONF_LOAD_H

#include "conf/arena.h"
#include "conf/conf.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* What a section describes; the bits are the columns of the key table. */
enum conf_scope {
	CONF_GENERAL = 1,
	CONF_REALM = 2,
	CONF_PEER = 4,
	CONF_ROUTE = 8,
	CONF_NOTHING = 16,	/* a template, or a section of Asterisk's that means nothing here */
};

struct conf_place {
	const char *file;
	int line;
};

struct conf_entry {
	struct conf_place at;
	const char *key;
	const char *value;
};

struct conf_section {
	struct conf_place at;
	const char *name;
	bool template;
	enum conf_scope scope;
	const struct conf_entry **entries;	/* in order, those of its templates first */
	size_t n_entries;
	void *object;		/* the conf_realm, conf_peer or conf_route made of it */
	struct conf_section *next;	/* in file order */
	UT_hash_handle hh;		/* the last section of that name seen so far */
	UT_hash_handle hh_scope;	/* the section of that name and scope */
};

struct conf_loader {
	struct conf *conf;
	struct arena *keep;	/* lives as long as the snapshot */
	struct arena scratch;	/* until conf_load() returns */
	struct conf_section *sections, **sections_end;
	struct conf_section *section;	/* the one being read; NULL: before the first */
	struct conf_section *by_name;
	struct conf_section *general, *realms, *peers, *routes;	/* hashes by hh_scope */
	struct conf_open *open;	/* the files being read, the innermost first */
	unsigned int n_files;
	struct conf_peer defaults;	/* what [general] says of every peer */
	char *why;
	size_t why_size;
};

/* fault.c: the text of an error. Both return what conf_load() will. */
int conf_fault(struct conf_loader *l, const struct conf_place *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int conf_no_memory(struct conf_loader *l);
/* "KEY = 'VALUE': allowed is ALLOWED" */
int conf_bad_value(struct conf_loader *l, const struct conf_entry *e, const char *allowed);

/* source.c: reads `path` and what it includes into l->sections. `from`: the #include, or NULL. */
int conf_source_read(struct conf_loader *l, const char *path, const struct conf_entry *from);

/* check.c: what only the whole can tell: overlaps, what a section must have. */
int conf_check(struct conf_loader *l);

/* The last entry with that key, or where the section begins. */
const struct conf_place *conf_section_place(const struct conf_section *s, const char *key);
const struct conf_entry *conf_section_entry(const struct conf_section *s, const char *key);

/* conf.c: a text that lives as long as the snapshot; a shorter one where memory is short. */
const char *conf_text(const struct conf *conf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
