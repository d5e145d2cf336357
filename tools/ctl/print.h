/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RTPFWD_TOOLS_CTL_PRINT_H
#define RTPFWD_TOOLS_CTL_PRINT_H

#include "ctl/grammar.h"

#include <jansson.h>

/* The result of a command for people. */
void print_result(enum grammar_id id, const json_t *result);

#endif
