/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which payload numbers a leg sends by right, and what the other one knows them as. Pure. */
#ifndef RTPFWD_MEDIA_DESC_PAYLOADS_H
#define RTPFWD_MEDIA_DESC_PAYLOADS_H

#include "datapath/datapath.h"
#include "media/desc.h"

/*
 * Adds what a leg may send that was told `told` to one that says `wanted`: the numbers told (RFC
 * 3264 5.1: who describes a stream chooses the numbers by which he wants it), and those by which
 * the leg itself wants the same formats, which many phones send whatever they were told. `said`:
 * its own description; NULL: none yet. What both name comes first.
 *
 * -ENOSPC: more than an entry holds was agreed upon; `out` is as it was then. Of what only one of
 * them names, as much as there is room for.
 */
int desc_payloads(struct flow_payloads *out, const struct desc *told, const struct desc *said,
		  const struct desc *wanted);

/* The same of numbers that are known; those of `out` count. */
int desc_payloads_join(struct flow_payloads *out, const struct flow_payloads *more);

#endif
