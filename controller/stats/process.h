/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RTPFWD_STATS_PROCESS_H
#define RTPFWD_STATS_PROCESS_H

#include "lib/buf.h"

/* The process_* metrics that every exporter has, of this process, from /proc. What cannot be read
 * is left out. */
void process_metrics(struct buf *out);

#endif
