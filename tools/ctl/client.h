/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RTPFWD_TOOLS_CTL_CLIENT_H
#define RTPFWD_TOOLS_CTL_CLIENT_H

#include <jansson.h>

/* Exit statuses of the tool. */
enum { STATUS_OK, STATUS_REFUSED, STATUS_USAGE, STATUS_NO_DAEMON, STATUS_NO_OBJECT };

/* Asks the daemon at `path`. STATUS_OK and its result (json_decref() it), else a status; the reason
 * is then on standard error. */
int client_ask(json_t **result, const char *path, char **words, size_t n);

#endif
