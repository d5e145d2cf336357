// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/families.h"

#include "stats/expo.h"

#include <stdlib.h>
#include <string.h>

/* Methods and codes come from the network: beyond this many series new ones are not told. */
enum { SERIES_MAX = 4096 };

static const char *known_method(const char *method)
{
	static const char *const known[] = {"INVITE",	"ACK",	 "BYE",	      "CANCEL", "OPTIONS",
					    "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "UPDATE",
					    "MESSAGE",	"INFO",	 "REFER",     "PUBLISH"};

	if (!method || !*method)
		return "";
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i], method) == 0)
			return known[i];
	return "other";
}

static struct families_series *series_find(struct families_sip *s,
					   const struct families_series *like)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->series[i].counter == like->counter && s->series[i].method == like->method &&
		    s->series[i].code == like->code && strcmp(s->series[i].label, like->label) == 0)
			return &s->series[i];
	return NULL;
}

static void series_append(struct families_sip *s, const struct families_series *one)
{
	struct families_series *more;
	size_t cap = s->cap ? s->cap * 2 : 64;

	if (s->n == SERIES_MAX)
		return;
	if (s->n == s->cap) {
		more = realloc(s->series, cap * sizeof(*more));
		if (!more)
			return;
		s->series = more;
		s->cap = cap;
	}
	s->series[s->n++] = *one;
}

void families_sip_add(void *ctx, enum sip_counter counter, const char *method, int code,
		      const char *label, uint64_t value)
{
	struct families_series one = {.counter = counter, .method = "", .value = value};
	struct families_series *had;

	if (counter == SIP_REQUESTS || counter == SIP_RESPONSES)
		one.method = known_method(method);
	if (counter == SIP_RESPONSES)
		one.code = code >= 100 && code <= 699 ? code : 0;
	if (label)
		strncpy(one.label, label, sizeof(one.label) - 1);
	had = series_find(ctx, &one);
	if (had)
		had->value += value;
	else
		series_append(ctx, &one);
}

static void labelled(struct buf *out, const char *name, const struct families_series *s)
{
	char code[16];

	snprintf(code, sizeof(code), "%d", s->code);
	if (s->counter == SIP_CONNECTIONS)
		expo_count(out, name, EXPO_LABELS({"transport", s->label}), s->value);
	else if (s->counter == SIP_REQUESTS)
		expo_count(out, name, EXPO_LABELS({"method", s->method}, {"direction", s->label}),
			   s->value);
	else if (s->counter == SIP_RESPONSES)
		expo_count(
			out, name,
			EXPO_LABELS({"method", s->method}, {"code", code}, {"direction", s->label}),
			s->value);
	else
		expo_count(out, name, EXPO_LABELS({"reason", s->label}), s->value);
}

static void family(struct buf *out, const struct families_sip *in, enum sip_counter counter,
		   const char *name, const char *help)
{
	expo_family(out, name, counter == SIP_CONNECTIONS ? "gauge" : "counter", help);
	for (size_t i = 0; i < in->n; i++)
		if (in->series[i].counter == counter)
			labelled(out, name, &in->series[i]);
}

static uint64_t total(const struct families_sip *in, enum sip_counter counter)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < in->n; i++)
		if (in->series[i].counter == counter)
			sum += in->series[i].value;
	return sum;
}

void families_sip(struct buf *out, const struct families_sip *in)
{
	family(out, in, SIP_REQUESTS, "rtpfwd_sip_requests_total",
	       "SIP requests, by method and direction.");
	family(out, in, SIP_RESPONSES, "rtpfwd_sip_responses_total",
	       "SIP responses, by the method they answer.");
	expo_counter(out, "rtpfwd_sip_retransmits_total", "SIP messages that were sent again.",
		     total(in, SIP_RETRANSMITS));
	expo_counter(out, "rtpfwd_sip_malformed_total",
		     "Messages that could not be parsed as SIP.", total(in, SIP_MALFORMED));
	family(out, in, SIP_REJECTED, "rtpfwd_sip_rejected_total",
	       "Requests refused before a call was made.");
	family(out, in, SIP_CONNECTIONS, "rtpfwd_sip_connections",
	       "SIP connections now, by transport.");
	expo_counter(out, "rtpfwd_sip_connections_turned_away_total",
		     "Connections beyond a limit, closed at once.", total(in, SIP_TURNED_AWAY));
}

void families_sip_free(struct families_sip *in)
{
	free(in->series);
	*in = (struct families_sip){.n = 0};
}
