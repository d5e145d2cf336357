/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside conf/ only: the kinds of values that many keys share. */
#ifndef RTPFWD_CONF_VALUE_H
#define RTPFWD_CONF_VALUE_H

#include "conf/load.h"

struct conf_list {
	const char **items;
	size_t n;
};

/* Comma-separated, blanks taken off; an empty item or list is a fault. Scratch memory. */
int conf_value_list(struct conf_loader *l, const struct conf_entry *e, struct conf_list *out);
/* The same, and room in the snapshot for an object of `size` bytes, zeroed, per item. NULL: `rc`
 * says why. */
void *conf_value_array(struct conf_loader *l, const struct conf_entry *e, struct conf_list *list,
		       size_t size, int *rc);
/* Asterisk's spellings: yes no true false on off 1 0 (y n t f). False: it is none. */
bool conf_value_bool(const char *text, bool *out);
/* A no of any spelling, or "none". */
bool conf_value_off(const char *text);
/* Decimal, lo to hi. False: it is not. */
bool conf_value_number(const char *text, unsigned int lo, unsigned int hi, unsigned int *out);
/* A copy that lives as long as the snapshot. */
int conf_value_keep(struct conf_loader *l, const char *text, const char **out);
/* A host's address: not 0.0.0.0, not multicast, not broadcast. */
bool conf_value_host_address(const struct addr *a);

#endif
