// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/render.h"

#include "stats/mos.h"

#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at `p`, by its first byte; 0: none begins here. */
static size_t utf8_len(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* jansson is the judge of what is UTF-8 (overlong forms, surrogates), one character at a time. */
static bool utf8_is(const char *p, size_t len)
{
	json_t *character = len && strnlen(p, len) == len ? json_stringn(p, len) : NULL;

	json_decref(character);
	return character != NULL;
}

static json_t *render_broken_text(const char *text)
{
	char *copy = strdup(text);
	json_t *string = NULL;

	if (!copy)
		return NULL;
	for (char *p = copy; *p;) {
		size_t len = utf8_len((unsigned char)*p);

		if (utf8_is(p, len))
			p += len;
		else
			*p++ = '?';
	}
	string = json_string(copy);
	free(copy);
	return string;
}

json_t *render_text(const char *text)
{
	json_t *string;

	if (!text)
		return json_null();
	string = json_string(text);
	return string ? string : render_broken_text(text);
}

/* For what is not known yet: reports say so by "". */
static json_t *text_or_null(const char *text)
{
	return render_text(text && *text ? text : NULL);
}

json_t *render_addr(const struct addr *a)
{
	char text[ADDR_TEXT];

	return text_or_null(addr_print(text, a));
}

json_t *render_time(const struct timespec *wall)
{
	char text[40];
	struct tm tm;
	size_t n;

	if (!wall->tv_sec || !gmtime_r(&wall->tv_sec, &tm))
		return json_null();
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ",
		 (unsigned int)(wall->tv_nsec / 1000000) % 1000);
	return json_string(text);
}

/* One field. Without memory the whole object goes and stays NULL, so that one check at the end
 * does. */
static void add(json_t **object, const char *key, json_t *value)
{
	if (*object && value && !json_object_set_new(*object, key, value))
		return;
	if (!*object)
		json_decref(value);
	json_decref(*object);
	*object = NULL;
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* To the thousandth: more digits are noise. */
static json_t *rounded(double x)
{
	return json_real(x > 0 && x < 1e12 ? (double)(uint64_t)(x * 1000 + 0.5) / 1000 : 0);
}

static json_t *seconds_since(double s)
{
	return s < 0 ? json_null() : rounded(s);
}

static json_t *score(double mos)
{
	return mos < 0 ? json_null() : rounded(mos);
}

static double trip_ms(const struct call_leg_report *leg)
{
	return leg->media.rtcp.round_trip_ms > 0 ? leg->media.rtcp.round_trip_ms : 0;
}

/* What the other side hears of `leg`. */
static json_t *render_mos(const struct call_leg_report *leg, const struct call_leg_report *other)
{
	const struct flow_counters *rtp = &leg->media.rtp;

	if (leg->media.opaque)
		return json_null();
	return score(mos(leg->codec, rtp->packets, rtp->lost, rtp->jitter_ms,
			 trip_ms(leg) + trip_ms(other)));
}

static json_t *render_stream(const struct call_stream_report *stream)
{
	const struct flow_counters *rtp = &stream->media.rtp, *rtcp = &stream->media.rtcp;
	json_t *o = json_object();

	add(&o, "index", count(stream->index));
	add(&o, "kind", render_text(stream->kind));
	add(&o, "opaque", json_boolean(stream->media.opaque));
	add(&o, "crypto", text_or_null(stream->crypto));
	add(&o, "relay", render_addr(&stream->media.relay));
	add(&o, "signalled", render_addr(&stream->media.signalled));
	add(&o, "rx_packets", count(rtp->packets));
	add(&o, "rx_bytes", count(rtp->bytes));
	add(&o, "lost", count(rtp->lost));
	add(&o, "jitter_ms", rounded(rtp->jitter_ms));
	add(&o, "wrong_source", count(rtp->wrong_source + rtcp->wrong_source));
	add(&o, "last_rx_s", seconds_since(rtp->last_s));
	return o;
}

static json_t *render_streams(const struct call_leg_report *leg)
{
	json_t *list = json_array();

	for (size_t i = 0; i < leg->n_streams; i++)
		json_array_append_new(list, render_stream(&leg->streams[i]));
	return list;
}

static json_t *render_leg(const struct call_leg_report *leg, const struct call_leg_report *other)
{
	const struct flow_counters *rtp = &leg->media.rtp, *rtcp = &leg->media.rtcp;
	json_t *o = json_object();

	add(&o, "peer", text_or_null(leg->peer));
	add(&o, "realm", text_or_null(leg->realm));
	add(&o, "call_id", text_or_null(leg->call_id));
	add(&o, "canreinvite", text_or_null(leg->canreinvite));
	add(&o, "signalled", render_addr(&leg->media.signalled));
	add(&o, "learned", render_addr(&rtp->seen));
	add(&o, "relay", render_addr(&leg->media.relay));
	add(&o, "told", render_addr(&leg->told));
	add(&o, "direct", json_boolean(leg->direct));
	add(&o, "offer", text_or_null(leg->offer));
	add(&o, "codec", text_or_null(leg->codec));
	add(&o, "crypto", text_or_null(leg->crypto));
	add(&o, "rx_packets", count(rtp->packets));
	add(&o, "rx_bytes", count(rtp->bytes));
	add(&o, "lost", count(rtp->lost));
	add(&o, "jitter_ms", rounded(rtp->jitter_ms));
	add(&o, "reordered", count(rtp->reordered));
	add(&o, "duplicates", count(rtp->duplicates));
	add(&o, "gap_ms", rounded(rtp->gap_ms));
	add(&o, "ssrc_changes", count(rtp->ssrc_changes));
	add(&o, "rtt_ms", trip_ms(leg) > 0 ? rounded(trip_ms(leg)) : json_null());
	add(&o, "far_lost", count(rtcp->far_lost));
	add(&o, "mos", render_mos(leg, other));
	add(&o, "wrong_source", count(rtp->wrong_source + rtcp->wrong_source));
	add(&o, "last_rx_s", seconds_since(rtp->last_s));
	add(&o, "user_agent", text_or_null(leg->user_agent));
	add(&o, "music", json_boolean(leg->music));
	add(&o, "streams", render_streams(leg));
	return o;
}

static json_t *render_step(const struct media_step *step)
{
	json_t *o = json_object();

	add(&o, "at", render_time(&step->at));
	add(&o, "event", render_text(step->event));
	add(&o, "state", render_text(step->state));
	add(&o, "leg", render_text(step->side < 0 ? NULL : step->side == SIDE_A ? "a" : "b"));
	add(&o, "code", step->code ? json_integer(step->code) : json_null());
	return o;
}

/* Oldest first. */
static json_t *render_trail(const struct media_trail *trail)
{
	json_t *list = json_array();
	size_t n = trail ? trail->n : 0;

	for (size_t i = n && n > trail->room ? n - trail->room : 0; i < n; i++)
		json_array_append_new(list, render_step(&trail->steps[i % trail->room]));
	return list;
}

json_t *render_call(const struct call_report *call)
{
	json_t *o = json_object();

	add(&o, "id", render_text(call->id));
	add(&o, "state", render_text(call_state_text(call->state)));
	add(&o, "path", render_text(call->path));
	add(&o, "media", render_text(call->media));
	add(&o, "reason", render_text(call->reason));
	add(&o, "plane", render_text(call->plane));
	add(&o, "started", render_time(&call->started));
	add(&o, "answered", render_time(&call->answered));
	add(&o, "from", render_text(call->from));
	add(&o, "to", render_text(call->to));
	add(&o, "from_uri", render_text(call->from_uri));
	add(&o, "to_uri", render_text(call->to_uri));
	add(&o, "route", text_or_null(call->route));
	add(&o, "direct_s", rounded(call->direct_s));
	add(&o, "trail", render_trail(call->trail));
	add(&o, "a", render_leg(&call->leg[SIDE_A], &call->leg[SIDE_B]));
	add(&o, "b", render_leg(&call->leg[SIDE_B], &call->leg[SIDE_A]));
	return o;
}

json_t *render_cdr(const struct call_report *call, const struct timespec *ended)
{
	json_t *o = render_call(call);

	if (o)
		json_object_del(o, "state");
	add(&o, "ended", render_time(ended));
	add(&o, "duration_s", rounded(call->duration_s));
	add(&o, "code", json_integer(call->end_code));
	add(&o, "q850", json_integer(call->end_q850));
	add(&o, "cause", text_or_null(call->end_cause));
	return o;
}

json_t *render_verdict(const struct policy_verdict *verdict)
{
	char reason[POLICY_REASON_TEXT];
	json_t *list = json_array();

	for (enum policy_row i = 0; i < POLICY_ROW_COUNT; i++) {
		json_t *o = json_object();

		add(&o, "row", json_string(policy_row_number(i)));
		add(&o, "reason", json_string(policy_row_reason(reason, verdict, i)));
		add(&o, "matched", json_boolean(verdict->matched >> i & 1));
		add(&o, "text", json_string(policy_row_text(i)));
		json_array_append_new(list, o);
	}
	return list;
}

/* No reason is one, too. */
static json_t *or_null(const char *reason)
{
	return render_text(reason && *reason ? reason : NULL);
}

json_t *render_flow(const struct flow_report *flow, const char *call_id)
{
	const struct flow_want *want = &flow->want;
	const struct flow_counters *counters = &flow->counters;
	json_t *o = json_object();

	add(&o, "call", render_text(call_id));
	add(&o, "local", render_addr(&want->local));
	add(&o, "expect", render_addr(&want->expect));
	add(&o, "to", render_addr(&want->to));
	add(&o, "from", render_addr(&want->from));
	add(&o, "kind", json_string(want->kind == FLOW_RTP ? "rtp" : "rtcp"));
	add(&o, "opaque", json_boolean(want->opaque));
	add(&o, "plane", json_string(datapath_plane_text(counters->plane)));
	add(&o, "reason", or_null(flow->reason));
	add(&o, "packets", count(counters->packets));
	add(&o, "bytes", count(counters->bytes));
	add(&o, "dropped", count(counters->dropped));
	add(&o, "last_s", seconds_since(counters->last_s));
	return o;
}

static json_t *render_contacts(const struct reach_peer_report *reach)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reach->n_contacts; i++) {
		const struct reach_contact *c = &reach->contacts[i];
		json_t *o = json_object();

		add(&o, "uri", render_text(c->uri));
		add(&o, "address", render_addr(&c->to));
		add(&o, "expires_s", count(c->expires_s));
		add(&o, "user_agent", text_or_null(c->agent));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *render_addresses(const struct reach_peer_report *reach)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reach->n_addresses; i++)
		json_array_append_new(list, render_addr(&reach->addresses[i]));
	return list;
}

json_t *render_peer(const struct conf_peer *peer, const struct reach_peer_report *reach,
		    const struct peer_load *load, unsigned int rests_s, bool quirk)
{
	const struct addr *host = reach->n_contacts ? &reach->contacts[0].to : &peer->host;
	bool asked = reach->reachable >= 0;
	char canreinvite[32];
	json_t *o = json_object();

	add(&o, "name", render_text(peer->name));
	add(&o, "realm", render_text(reach->realm ? reach->realm->name : NULL));
	add(&o, "host", peer->host_text ? render_text(peer->host_text) : render_addr(host));
	add(&o, "canreinvite", json_string(conf_canreinvite_text(peer->canreinvite, canreinvite)));
	add(&o, "registered", json_boolean(reach->registered));
	add(&o, "reachable", asked ? json_boolean(reach->reachable) : json_null());
	add(&o, "rtt_ms", reach->reachable > 0 ? count(reach->rtt_ms) : json_null());
	add(&o, "registration", render_text(reach->registration));
	add(&o, "contacts", render_contacts(reach));
	add(&o, "addresses", render_addresses(reach));
	add(&o, "calls", count(load->calls));
	add(&o, "call_limit", peer->call_limit ? count(peer->call_limit) : json_null());
	add(&o, "callrate", peer->callrate ? count(peer->callrate) : json_null());
	add(&o, "rests_s", count(rests_s));
	add(&o, "quirk", quirk ? json_string("no-reinvite") : json_null());
	return o;
}

json_t *render_finding(const struct doctor_finding *finding)
{
	json_t *o = json_object();

	add(&o, "check", render_text(finding->check));
	add(&o, "ok", json_boolean(finding->ok));
	add(&o, "found", render_text(finding->found));
	add(&o, "advice", render_text(finding->advice));
	return o;
}

json_t *render_quirk(const struct quirk_report *quirk)
{
	struct timespec since = {.tv_sec = quirk->since_s}, until = {.tv_sec = quirk->until_s};
	json_t *o = json_object();

	add(&o, "quirk", json_string("no-reinvite"));
	add(&o, "user_agent", render_text(quirk->agent));
	add(&o, "cause", render_text(quirk->cause));
	add(&o, "since", render_time(&since));
	add(&o, "until", render_time(&until));
	return o;
}

/* In the order in which they were written. */
static void add_patterns(json_t *list, const struct conf_quirk *q)
{
	json_t *o;

	if (!q)
		return;
	add_patterns(list, q->before);
	o = json_object();
	add(&o, "quirk", json_string("no-reinvite"));
	add(&o, "pattern", render_text(q->pattern));
	json_array_append_new(list, o);
}

json_t *render_quirks(const struct conf_peer *peer, json_t *learned)
{
	json_t *configured = json_array(), *o = json_object();

	add_patterns(configured, peer->quirks);
	add(&o, "peer", render_text(peer->name));
	add(&o, "learned", learned);
	add(&o, "configured", configured);
	return o;
}

static json_t *render_interface(const struct datapath_interface_report *interface)
{
	json_t *o = json_object();

	add(&o, "name", render_text(interface->name));
	add(&o, "xdp", render_text(interface->mode));
	add(&o, "reason", or_null(interface->reason));
	return o;
}

json_t *render_realm(const struct conf_realm *realm, const struct ports_report *ports,
		     const struct datapath_interface_report *interfaces, size_t n)
{
	json_t *list = json_array(), *o = json_object();

	for (size_t i = 0; i < n; i++)
		if (interfaces[i].realm == realm->index)
			json_array_append_new(list, render_interface(&interfaces[i]));
	add(&o, "name", render_text(realm->name));
	add(&o, "interfaces", list);
	add(&o, "ports_used", count(ports->used));
	add(&o, "ports_free", count(ports->free));
	add(&o, "ports_quarantine", count(ports->quarantine));
	return o;
}

json_t *render_status(const struct render_status *status, json_t *realms)
{
	json_t *o = json_object();

	add(&o, "version", json_string(RTPFWD_VERSION));
	add(&o, "uptime_s", count(status->uptime_s));
	add(&o, "calls", count(status->calls));
	add(&o, "flows", count(status->flows));
	add(&o, "draining", json_boolean(status->draining));
	add(&o, "realms", realms);
	add(&o, "kmod", json_string(status->kmod ? "loaded" : "absent"));
	add(&o, "survives", json_boolean(status->survives));
	add(&o, "guard", json_string(status->guard));
	add(&o, "events", count(status->events));
	add(&o, "heap_bytes", count(status->heap_bytes));
	return o;
}
