// SPDX-License-Identifier: GPL-2.0-or-later
#include "print.h"

#include "table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One field as a cell, whatever its type. */
static void add_field(struct table *t, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	char text[64];

	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		table_add(t, json_string_value(v));
		return;
	case JSON_INTEGER:
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(text, sizeof(text), "%.1f", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(text, sizeof(text), "%s", json_is_true(v) ? "yes" : "no");
		break;
	default:
		text[0] = '\0';
	}
	table_add(t, text);
}

static void add_fields(struct table *t, const json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		add_field(t, object, *keys);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* "KEY  VALUE" lines. */
static void print_fields(const json_t *object, const char *const *keys)
{
	struct table t = {.columns = 2};

	for (; *keys; keys++) {
		table_add(&t, *keys);
		add_field(&t, object, *keys);
	}
	table_print(&t);
}

static void add_interfaces(struct table *t, const json_t *list)
{
	char text[256] = "";
	size_t i, at = 0;
	const json_t *one;

	json_array_foreach(list, i, one) {
		const char *reason = json_string_value(json_object_get(one, "reason"));
		int n = snprintf(text + at, sizeof(text) - at, "%s%s (%s%s%s)", i ? ", " : "",
				 json_string_value(json_object_get(one, "name")),
				 json_string_value(json_object_get(one, "xdp")), reason ? ": " : "",
				 reason ? reason : "");

		if (n < 0 || (size_t)n >= sizeof(text) - at)
			break;
		at += (size_t)n;
	}
	table_add(t, text);
}

static void print_show_status(const json_t *status)
{
	const json_t *realm;
	struct table t;
	size_t i;

	print_fields(status, FIELDS("version", "uptime_s", "calls", "flows", "draining", "kmod",
				    "survives", "guard", "events", "heap_bytes"));
	putchar('\n');
	table_begin(&t, "REALM >PORTS-USED >PORTS-FREE >RESTING INTERFACES");
	json_array_foreach(json_object_get(status, "realms"), i, realm) {
		add_fields(&t, realm,
			   FIELDS("name", "ports_used", "ports_free", "ports_quarantine"));
		add_interfaces(&t, json_object_get(realm, "interfaces"));
	}
	table_print(&t);
}

/* Local time of an RFC 3339 text of today, else its date: what a person wants to see of it. */
static void add_clock(struct table *t, const char *text)
{
	struct tm tm = {.tm_isdst = 0};
	char clock[32];
	time_t when;

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)) {
		table_add(t, text);
		return;
	}
	when = timegm(&tm);
	localtime_r(&when, &tm);
	strftime(clock, sizeof(clock), when + 86400 > time(NULL) ? "%H:%M:%S" : "%Y-%m-%d", &tm);
	table_add(t, clock);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t common_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/* How many characters of the IDs under `key` tell them apart, at least 8: a prefix serves wherever
 * an ID does. */
static size_t id_width(const json_t *list, const char *key)
{
	size_t n = 0, i, width = 8;
	const char **ids = calloc(json_array_size(list) + 1, sizeof(*ids));
	const json_t *one;

	json_array_foreach(list, i, one) {
		const char *id = json_string_value(json_object_get(one, key));

		if (ids && id)
			ids[n++] = id;
	}
	if (n)
		qsort(ids, n, sizeof(*ids), compare_texts);
	for (i = 1; i < n; i++) {
		size_t same = common_prefix(ids[i - 1], ids[i]);

		if (same >= width && strcmp(ids[i - 1], ids[i]) != 0)
			width = same + 1;
	}
	free(ids);
	return width;
}

static void add_id(struct table *t, const json_t *object, const char *key, size_t width)
{
	const char *id = json_string_value(json_object_get(object, key));
	char text[128];

	snprintf(text, sizeof(text), "%.*s", (int)width, id ? id : "");
	table_add(t, text);
}

static void print_show_calls(const json_t *calls)
{
	const json_t *call;
	size_t i, width = id_width(calls, "id");
	struct table t;

	table_begin(&t, "ID STATE PATH REASON PLANE ANSWERED FROM TO >RX-A >RX-B");
	json_array_foreach(calls, i, call) {
		add_id(&t, call, "id", width);
		add_fields(&t, call, FIELDS("state", "path", "reason", "plane"));
		add_clock(&t, json_string_value(json_object_get(call, "answered")));
		add_fields(&t, call, FIELDS("from", "to"));
		add_field(&t, json_object_get(call, "a"), "rx_packets");
		add_field(&t, json_object_get(call, "b"), "rx_packets");
	}
	table_print(&t);
}

static void print_trail(const json_t *trail)
{
	const json_t *step;
	struct table t;
	size_t i;

	if (!json_array_size(trail))
		return;
	putchar('\n');
	table_begin(&t, "AT MEDIA EVENT LEG >CODE");
	json_array_foreach(trail, i, step)
		add_fields(&t, step, FIELDS("at", "state", "event", "leg", "code"));
	table_print(&t);
}

static void print_show_call(const json_t *call)
{
	const json_t *a = json_object_get(call, "a"), *b = json_object_get(call, "b");
	struct table t;
	const char *const *keys =
		FIELDS("peer", "realm", "call_id", "canreinvite", "signalled", "learned", "relay",
		       "told", "direct", "offer", "codec", "crypto", "rx_packets", "rx_bytes",
		       "lost", "jitter_ms", "reordered", "duplicates", "gap_ms", "ssrc_changes",
		       "rtt_ms", "far_lost", "mos",
		       "wrong_source", "last_rx_s", "user_agent", "music");

	print_fields(call, FIELDS("id", "state", "path", "media", "reason", "plane", "started",
				  "answered", "direct_s", "from", "to", "from_uri", "to_uri",
				  "route"));
	putchar('\n');
	table_begin(&t, "LEG A B");
	for (; *keys; keys++) {
		table_add(&t, *keys);
		add_field(&t, a, *keys);
		add_field(&t, b, *keys);
	}
	table_print(&t);
	print_trail(json_object_get(call, "trail"));
}

/* "decides": the first of those that match. */
static void print_explain(const json_t *rows)
{
	bool decided = false;
	const json_t *row;
	struct table t;
	size_t i;

	table_begin(&t, "ROW REASON MATCHES TEXT");
	json_array_foreach(rows, i, row) {
		bool matched = json_is_true(json_object_get(row, "matched"));

		add_fields(&t, row, FIELDS("row", "reason"));
		table_add(&t, !matched ? "" : decided ? "yes" : "decides");
		add_field(&t, row, "text");
		decided = decided || matched;
	}
	table_print(&t);
}

static void print_show_flows(const json_t *flows)
{
	const json_t *flow;
	size_t i, width = id_width(flows, "call");
	struct table t;

	table_begin(&t, "CALL KIND EXPECT LOCAL TO PLANE >PACKETS >DROPPED >LAST");
	json_array_foreach(flows, i, flow) {
		add_id(&t, flow, "call", width);
		add_fields(&t, flow,
			   FIELDS("kind", "expect", "local", "to", "plane", "packets", "dropped",
				  "last_s"));
	}
	table_print(&t);
}

static void print_show_peers(const json_t *peers)
{
	const json_t *peer;
	struct table t;
	size_t i;

	table_begin(&t, "PEER REALM HOST CANREINVITE REGISTERED REACHABLE >CALLS QUIRK");
	json_array_foreach(peers, i, peer)
		add_fields(&t, peer,
			   FIELDS("name", "realm", "host", "canreinvite", "registered", "reachable",
				  "calls", "quirk"));
	table_print(&t);
}

static void print_peer_quirk_show(const json_t *peer)
{
	const json_t *one;
	struct table t;
	size_t i;

	table_begin(&t, "QUIRK DEVICE CAUSE SINCE UNTIL");
	json_array_foreach(json_object_get(peer, "configured"), i, one) {
		add_fields(&t, one, FIELDS("quirk", "pattern"));
		table_add(&t, "configured");
		add_fields(&t, one, FIELDS("since", "until"));
	}
	json_array_foreach(json_object_get(peer, "learned"), i, one)
		add_fields(&t, one, FIELDS("quirk", "user_agent", "cause", "since", "until"));
	table_print(&t);
}

static void print_show_drops(const json_t *drops)
{
	const char *reason;
	json_t *packets;
	struct table t;

	table_begin(&t, "REASON >PACKETS");
	json_object_foreach((json_t *)drops, reason, packets) {
		table_add(&t, reason);
		add_field(&t, drops, reason);
	}
	table_print(&t);
}

static void print_doctor(const json_t *findings)
{
	const json_t *one;
	struct table t;
	size_t i;

	table_begin(&t, "CHECK OK FOUND ADVICE");
	json_array_foreach(findings, i, one)
		add_fields(&t, one, FIELDS("check", "ok", "found", "advice"));
	table_print(&t);
}

/* What was done needs no words: the exit status says it. */
static void print_nothing(const json_t *result)
{
	(void)result;
}

#define print_peer_quirk_clear	   print_nothing
#define print_call_relay	   print_nothing
#define print_call_direct	   print_nothing
#define print_call_auto		   print_nothing
#define print_call_hangup	   print_nothing
#define print_reload		   print_nothing
#define print_drain		   print_nothing
#define print_undrain		   print_nothing
#define PRINTER(name, words, help) [GRAMMAR_##name] = print_##name,

void print_result(enum grammar_id id, const json_t *result)
{
	static void (*const printers[GRAMMAR_N])(const json_t *) = {GRAMMAR_COMMANDS(PRINTER)};

	printers[id](result);
}
