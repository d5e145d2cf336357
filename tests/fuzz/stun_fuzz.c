// SPDX-License-Identifier: GPL-2.0-or-later
/* STUN in: what comes to the socket of SIP and begins as no SIP does. The first byte says from
 * which family it came. An answer is a whole STUN message with the request's transaction. */
#include "fuzz.h"

#include "sip/stun.h"

#include <string.h>

enum { HEADER = 20, COOKIE_AT = 4 };

static void check(const char *answer, size_t n, const char *in)
{
	size_t said = (size_t)(unsigned char)answer[2] << 8 | (unsigned char)answer[3];

	if (n > SIP_STUN_ANSWER_MAX || n < HEADER || n % 4)
		fuzz_die("an answer of no length");
	if (said != n - HEADER)
		fuzz_die("an answer that lies about its length");
	if (memcmp(answer + COOKIE_AT, in + COOKIE_AT, HEADER - COOKIE_AT) != 0)
		fuzz_die("an answer to something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char answer[SIP_STUN_ANSWER_MAX], *in;
	struct addr source;
	size_t n;

	if (!size)
		return 0;
	addr_parse(&source, *data & 1 ? "[2001:db8::1]:5062" : "192.0.2.1:5062");
	/* Of its own size: a byte read past the end is seen. */
	in = malloc(size - 1);
	if (!in && size > 1)
		return 0;
	memcpy(in, data + 1, size - 1);
	n = sip_stun_answer(answer, in, size - 1, &source);
	if (n)
		check(answer, n, in);
	free(in);
	return 0;
}
