// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a call ended, in the numbers of the telephone network (Q.850). */
#include "call/call_priv.h"

/* Normal clearing; normal, unspecified. */
enum { CLEARED = 16, UNSPECIFIED = 31 };

/* RFC 3398 8.2.6.1. 487 has none there, since CANCEL is what is mapped: to 16; 488 and 606 would go
 * by a Warning header. */
static unsigned int of_code(int code)
{
	static const struct {
		int code;
		unsigned int q850;
	} map[] = {
		{ 400, 41 },  { 401, 21 },  { 402, 21 },  { 403, 21 },	{ 404, 1 },   { 405, 63 },
		{ 406, 79 },  { 407, 21 },  { 408, 102 }, { 410, 22 },	{ 413, 127 }, { 414, 127 },
		{ 415, 79 },  { 416, 127 }, { 420, 127 }, { 421, 127 }, { 423, 127 }, { 480, 18 },
		{ 481, 41 },  { 482, 25 },  { 483, 25 },  { 484, 28 },	{ 485, 1 },   { 486, 17 },
		{ 487, 16 },  { 500, 41 },  { 501, 79 },  { 502, 38 },	{ 503, 41 },  { 504, 102 },
		{ 505, 127 }, { 513, 127 }, { 600, 17 },  { 603, 21 },	{ 604, 1 },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (map[i].code == code)
			return map[i].q850;
	return UNSPECIFIED;
}

unsigned int call_q850(const struct call *c, int code)
{
	for (int i = 0; i < 2; i++) {
		const struct leg *leg = c->side[i].leg;
		unsigned int said = leg ? leg_heard_q850(leg) : 0;

		if (said)
			return said;
	}
	/* Somebody hung up: no failure. */
	if (c->answered_ms && (!code || code == 480 || code == 487))
		return CLEARED;
	return of_code(code);
}

const char *call_bye_reason(const char *cause)
{
	if (strcmp(cause, "rtp_timeout") == 0)
		return "SIP;cause=408;text=\"RTP timeout\"";
	if (strncmp(cause, "gone_", strlen("gone_")) == 0)
		return "SIP;cause=481;text=\"The other dialog is gone\"";
	if (strcmp(cause, "limit") == 0)
		return "Q.850;cause=16;text=\"Call limit\"";
	return NULL;
}
