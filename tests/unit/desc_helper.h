/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of session descriptions share. */
#ifndef RTPFWD_TESTS_DESC_HELPER_H
#define RTPFWD_TESTS_DESC_HELPER_H

#include "media/desc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct desc *parsed(const char *text)
{
	struct desc *d = NULL;
	const char *why = "";
	int err = desc_parse(&d, text, strlen(text), &why);

	if (err)
		fail_msg("%d %s: %s", err, why, text);
	return d;
}

static inline struct desc_audio audio_in(const struct desc *d)
{
	struct desc_audio audio;

	assert_int_equal(desc_audio(d, &audio), 0);
	return audio;
}

static inline struct desc_rewrite relay(void)
{
	struct desc_rewrite rw = { .rtcp.port = 20001 };

	assert_int_equal(addr_parse(&rw.rtp, "192.0.2.1:20000"), 0);
	return rw;
}

#endif
