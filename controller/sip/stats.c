// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/stats.h"

#include "sip/stack.h"

#include <stdio.h>
#include <string.h>

static const char *const directions[SIP_DIRECTIONS] = {[SIP_IN] = "in", [SIP_OUT] = "out"};

void sip_stats_response(struct sip_stats *stats, enum sip_method method,
			enum sip_direction direction, int code)
{
	if (code >= 100 && code < 700)
		stats->responses[method][direction][code - 100]++;
}

void sip_stats_rejected(struct sip_stats *stats, const char *label)
{
	size_t n = sizeof(stats->rejected) / sizeof(*stats->rejected), i;

	for (i = 0; i < n - 1; i++) {
		struct sip_rejected *r = &stats->rejected[i];

		if (!r->label[0])
			snprintf(r->label, sizeof(r->label), "%s", label);
		if (strncmp(r->label, label, sizeof(r->label) - 1) == 0)
			break;
	}
	if (i == n - 1)
		snprintf(stats->rejected[i].label, sizeof(stats->rejected[i].label), "other");
	stats->rejected[i].value++;
}

void sip_report(const struct sip *sip,
		void (*each)(void *ctx, enum sip_counter counter, const char *method, int code,
			     const char *label, uint64_t value),
		void *ctx)
{
	const struct sip_stats *s = &sip->stats;

	for (int m = 0; m < SIP_METHODS; m++) {
		for (int d = 0; d < SIP_DIRECTIONS; d++) {
			const char *method = sip_method_name((enum sip_method)m);

			if (s->requests[m][d])
				each(ctx, SIP_REQUESTS, method, 0, directions[d],
				     s->requests[m][d]);
			for (int c = 0; c < 600; c++)
				if (s->responses[m][d][c])
					each(ctx, SIP_RESPONSES, method, c + 100, directions[d],
					     s->responses[m][d][c]);
		}
	}
	each(ctx, SIP_RETRANSMITS, "", 0, "", s->retransmits);
	each(ctx, SIP_MALFORMED, "", 0, "", s->malformed);
	each(ctx, SIP_CONNECTIONS, "", 0, "tcp", s->connections[CONF_TCP]);
	each(ctx, SIP_CONNECTIONS, "", 0, "tls", s->connections[CONF_TLS]);
	each(ctx, SIP_TURNED_AWAY, "", 0, "", s->turned_away);
	for (size_t i = 0; i < sizeof(s->rejected) / sizeof(*s->rejected); i++)
		if (s->rejected[i].value)
			each(ctx, SIP_REJECTED, "", 0, s->rejected[i].label, s->rejected[i].value);
}
