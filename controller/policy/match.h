/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside policy/ only: one predicate per row, each blind to the others. */
#ifndef RTPFWD_POLICY_MATCH_H
#define RTPFWD_POLICY_MATCH_H

#include "policy/policy.h"

#define POLICY_MATCH(name, row, class, decision, predicate, text)                                  \
	bool policy_match_##predicate(const struct policy_facts *f);
POLICY_ROWS(POLICY_MATCH)
#undef POLICY_MATCH

#endif
