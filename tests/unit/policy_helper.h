/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call that nothing keeps here, to be changed in one thing, and what is decided of it. */
#ifndef RTPFWD_TEST_POLICY_HELPER_H
#define RTPFWD_TEST_POLICY_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static inline struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static inline struct policy_leg leg_at(const char *text)
{
	struct policy_leg leg = {
		.canreinvite = CANREINVITE_YES,
		.source = address(text),
		.media = address(text),
		.learned = address(text),
		.nat_signalling = POLICY_NAT_NONE,
		.nat_media = POLICY_NAT_NONE,
		.described = true,
		.live = { [POLICY_KIND_AUDIO] = 1 },
		.ptime_ms = 20,
	};

	return leg;
}

/* An answered call that nothing keeps here. */
static inline struct policy_facts free_call(void)
{
	struct policy_facts f = {
		.leg = { leg_at("192.0.2.1:4000"), leg_at("198.51.100.1:4000") },
		.joined = true,
		.answered = true,
	};

	f.leg[0].incoming = true;
	return f;
}

/* The same before the answer, with directsetup = yes. */
static inline struct policy_facts early_call(void)
{
	struct policy_facts f = free_call();

	f.answered = false;
	f.setup_wanted = true;
	f.leg[1].described = false;
	f.leg[1].nat_media = POLICY_NAT_UNKNOWN;
	f.leg[1].fixed = true;
	return f;
}

static inline struct policy_verdict decide(const struct policy_facts *f)
{
	struct policy_verdict v;

	policy_decide(&v, f);
	return v;
}

static inline bool matches(const struct policy_facts *f, enum policy_row row)
{
	return decide(f).matched >> row & 1;
}

#define DECIDES(f, wanted)                                                                         \
	do {                                                                                       \
		struct policy_verdict v_ = decide(f);                                              \
		char text_[POLICY_REASON_TEXT];                                                    \
                                                                                                   \
		assert_string_equal(policy_reason(text_, &v_), wanted);                            \
	} while (0)
#define MATCHES(f, row)	 assert_true(matches(f, POLICY_ROW_##row))
#define DIFFERS(f, row)	 assert_false(matches(f, POLICY_ROW_##row))
#define EACH_LEG(f, leg) for (int leg = ((f) = free_call(), 0); leg < 2; leg++, (f) = free_call())

#endif
