/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside conf/ only: the keys of Asterisk's sip.conf that mean nothing here. */
#ifndef RTPFWD_CONF_IGNORED_H
#define RTPFWD_CONF_IGNORED_H

#include <stdbool.h>
#include <stddef.h>

/* The comment in which conf_print() lists them begins so; the key under which it is read back. */
#define CONF_IGNORED_MARK "; ignored: "
#define CONF_IGNORED_KEY "; ignored"

struct conf_ignored {
	const char *name;
	unsigned int scope;	/* CONF_GENERAL, CONF_PEER; 0: a section, its name in brackets */
};

extern const struct conf_ignored conf_ignored_keys[];
extern const size_t conf_n_ignored_keys;

/* The list after the mark, or NULL: `line` does not begin with it. */
const char *conf_ignored_mark(const char *line);
/* NULL: no such key in any of the scopes. Case ignored. */
const struct conf_ignored *conf_ignored_find(const char *name, unsigned int scope);

#endif
