/* SPDX-License-Identifier: GPL-2.0-only */
/* What is told of a context: everything but keys and salts. */
#ifndef RTPFWD_DUMP_H
#define RTPFWD_DUMP_H

#include <linux/skbuff.h>

#include "context.h"

/* Appends attributes. -EMSGSIZE: it was not room enough. */
int dump_context(struct sk_buff *msg, struct context *c);

#endif
