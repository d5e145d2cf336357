// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/families.h"

#include "stats/expo.h"

#include <string.h>

void tally_add(struct tally *t, const char *name, uint64_t n)
{
	struct tally_entry *e = t->entries, *last = e + sizeof(t->entries) / sizeof(*e) - 1;
	struct tally_entry *end = e + t->n;

	while (e < end && e < last && strncmp(e->name, name, sizeof(e->name) - 1) != 0)
		e++;
	if (e == end) {
		strncpy(e->name, e == last ? "other" : name, sizeof(e->name) - 1);
		t->n++;
	}
	e->n += n;
}

static void tally_samples(struct buf *out, const char *name, const char *label,
			  const struct tally *t)
{
	for (const struct tally_entry *e = t->entries; e < t->entries + t->n; e++)
		expo_count(out, name, EXPO_LABELS({label, e->name}), e->n);
}

void families_build(struct buf *out)
{
	expo_family(out, "rtpfwd_build_info", "gauge", "Always 1; the version is in the label.");
	expo_count(out, "rtpfwd_build_info", EXPO_LABELS({"version", RTPFWD_VERSION}), 1);
}

static void calls_totals(struct buf *out, const struct calls_report *r)
{
	const char *name = "rtpfwd_calls_total";

	expo_family(out, name, "counter", "Calls that have ended, by how.");
	expo_count(out, name, EXPO_LABELS({"result", "answered"}), r->total_answered);
	expo_count(out, name, EXPO_LABELS({"result", "failed"}), r->total_failed);
	expo_count(out, name, EXPO_LABELS({"result", "cancelled"}), r->total_cancelled);
	expo_count(out, name, EXPO_LABELS({"result", "rejected"}), r->total_rejected);
}

static void histogram(struct buf *out, const char *name, const char *help,
		      const struct calls_histogram *h)
{
	struct expo_histogram e = {
		.bounds = h->bounds, .count = h->count, .n = h->n, .sum = h->sum};

	expo_histogram(out, name, help, &e);
}

static void moves(struct buf *out, const struct calls_report *r)
{
	const char *name = "rtpfwd_direct_transitions_total";

	expo_family(out, name, "counter",
		    "Moves of media from the relay to the direct way that have ended, by how.");
	for (unsigned int i = 0; i < MEDIA_N_RESULTS; i++)
		expo_count(out, name, EXPO_LABELS({"result", media_result_text(i)}),
			   r->transitions[i]);
	expo_family(out, "rtpfwd_direct_split", "gauge",
		    "Calls now of which a leg does not come back to the relay.");
	expo_count(out, "rtpfwd_direct_split", NULL, r->split);
	histogram(out, "rtpfwd_transition_seconds",
		  "From the first direct-media offer until both legs have agreed.",
		  &r->transition_seconds);
}

static void calls_paths(struct buf *out, const struct tally *paths, const struct tally *reasons)
{
	static const char *const every[] = {"relay",  "moving",	   "draining",
					    "direct", "returning", "split"};
	struct tally by_path = {.n = 0};

	for (size_t i = 0; i < sizeof(every) / sizeof(*every); i++)
		tally_add(&by_path, every[i], 0);
	for (size_t i = 0; i < paths->n; i++)
		tally_add(&by_path, paths->entries[i].name, paths->entries[i].n);
	expo_family(out, "rtpfwd_path_calls", "gauge", "Calls now, by the path of their media.");
	tally_samples(out, "rtpfwd_path_calls", "path", &by_path);
	expo_family(out, "rtpfwd_path_reason_calls", "gauge",
		    "Calls now, by the reason of their media's path.");
	tally_samples(out, "rtpfwd_path_reason_calls", "reason", reasons);
}

void families_calls(struct buf *out, const struct calls_report *report, const struct tally *paths,
		    const struct tally *reasons)
{
	expo_family(out, "rtpfwd_calls", "gauge", "Calls now, by state.");
	for (unsigned int i = CALL_SETUP; i <= CALL_ENDING; i++)
		expo_count(out, "rtpfwd_calls", EXPO_LABELS({"state", call_state_text(i)}),
			   report->live[i]);
	expo_gauge(out, "rtpfwd_oneway_calls",
		   "Answered calls now of which one side has not been heard for five seconds.",
		   (double)report->oneway);
	expo_gauge(out, "rtpfwd_nortp_calls",
		   "Answered calls now of which neither side has been heard for five seconds.",
		   (double)report->nortp);
	calls_totals(out, report);
	calls_paths(out, paths, reasons);
	moves(out, report);
	histogram(out, "rtpfwd_setup_seconds", "From the caller's INVITE to ours to the callee.",
		  &report->setup_seconds);
	histogram(out, "rtpfwd_call_seconds", "From the answer to the end of a call.",
		  &report->call_seconds);
}

void families_offers_begin(struct buf *out)
{
	expo_family(out, "rtpfwd_reinvites_total", "counter",
		    "Offers within calls, by who made them, what for, and their answer.");
}

void families_offer(void *out, const char *direction, const char *purpose, int code, uint64_t n)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", code);
	expo_count(out, "rtpfwd_reinvites_total",
		   EXPO_LABELS({"direction", direction}, {"purpose", purpose}, {"code", text}), n);
}

void families_policy(struct buf *out, const struct tally *relayed, const struct tally *decisions)
{
	expo_family(out, "rtpfwd_not_offloaded_streams", "gauge",
		    "Streams now whose media is here and not direct, by the reason.");
	tally_samples(out, "rtpfwd_not_offloaded_streams", "reason", relayed);
	expo_family(out, "rtpfwd_decisions_total", "counter",
		    "Times that a reason came to decide a call's path.");
	tally_samples(out, "rtpfwd_decisions_total", "reason", decisions);
}

static void by_plane(struct buf *out, const char *name, const char *realm,
		     const uint64_t values[PLANES])
{
	for (enum datapath_plane plane = 0; plane < PLANES; plane++)
		expo_count(
			out, name,
			EXPO_LABELS({"realm", realm}, {"plane", datapath_plane_text(plane)}),
			values[plane]);
}

static void realm_media(struct buf *out, const struct families_realm *realms, size_t n)
{
	const struct families_realm *end = realms + n;

	expo_family(out, "rtpfwd_rtp_packets_total", "counter",
		    "RTP packets forwarded, by the realm they came from.");
	for (const struct families_realm *r = realms; r < end; r++)
		by_plane(out, "rtpfwd_rtp_packets_total", r->name, r->media.packets);
	expo_family(out, "rtpfwd_rtp_bytes_total", "counter",
		    "UDP payload bytes of the RTP packets forwarded.");
	for (const struct families_realm *r = realms; r < end; r++)
		by_plane(out, "rtpfwd_rtp_bytes_total", r->name, r->media.bytes);
	expo_family(out, "rtpfwd_rtp_lost_total", "counter",
		    "RTP packets that never came, by sequence number (RFC 3550 A.3).");
	for (const struct families_realm *r = realms; r < end; r++)
		expo_count(out, "rtpfwd_rtp_lost_total", EXPO_LABELS({"realm", r->name}),
			   r->media.lost);
}

static void realm_ports(struct buf *out, const struct families_realm *r)
{
	const char *name = "rtpfwd_ports";

	expo_count(out, name, EXPO_LABELS({"realm", r->name}, {"state", "used"}), r->ports.used);
	expo_count(out, name, EXPO_LABELS({"realm", r->name}, {"state", "free"}), r->ports.free);
	expo_count(out, name, EXPO_LABELS({"realm", r->name}, {"state", "quarantine"}),
		   r->ports.quarantine);
}

void families_realms(struct buf *out, const struct families_realm *realms, size_t n)
{
	realm_media(out, realms, n);
	expo_family(out, "rtpfwd_ports", "gauge", "Relay ports, two for each stream and side.");
	for (size_t i = 0; i < n; i++)
		realm_ports(out, &realms[i]);
}

void families_interfaces(struct buf *out, const struct datapath_interface_report *interfaces,
			 size_t n)
{
	static const char *const modes[] = {"native", "generic", "off"};

	expo_family(out, "rtpfwd_xdp_mode", "gauge",
		    "1 for the mode in which the program is attached, else 0.");
	for (size_t i = 0; i < n; i++)
		for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++)
			expo_count(
				out, "rtpfwd_xdp_mode",
				EXPO_LABELS({"interface", interfaces[i].name}, {"mode", modes[m]}),
				strcmp(interfaces[i].mode, modes[m]) == 0);
}

void families_drops(struct buf *out, const struct tally *dropped, const struct tally *up)
{
	expo_family(out, "rtpfwd_rtp_dropped_total", "counter",
		    "Packets refused at the relay ports, by reason.");
	tally_samples(out, "rtpfwd_rtp_dropped_total", "reason", dropped);
	expo_family(out, "rtpfwd_rtp_up_total", "counter",
		    "Packets passed up from the fast path, by reason.");
	tally_samples(out, "rtpfwd_rtp_up_total", "reason", up);
}

void families_flows(struct buf *out, const size_t flows[PLANES], uint64_t keys_refused)
{
	expo_family(out, "rtpfwd_flows", "gauge",
		    "Forwarding entries, one for each direction and kind.");
	for (enum datapath_plane plane = 0; plane < PLANES; plane++)
		expo_count(out, "rtpfwd_flows", EXPO_LABELS({"plane", datapath_plane_text(plane)}),
			   flows[plane]);
	expo_family(out, "rtpfwd_srtp_keys_refused_total", "counter",
		    "Keys that rtpfwd.ko could not take: their flows are the userspace relay's.");
	expo_count(out, "rtpfwd_srtp_keys_refused_total", NULL, keys_refused);
}

void families_music(struct buf *out, const struct music_report *report)
{
	expo_family(out, "rtpfwd_music_listeners", "gauge", "Legs that hear music on hold.");
	expo_count(out, "rtpfwd_music_listeners", NULL, report->players);
	expo_family(out, "rtpfwd_music_packets_total", "counter",
		    "Packets of music, RTP and RTCP, by what became of them.");
	expo_count(out, "rtpfwd_music_packets_total", EXPO_LABELS({"result", "sent"}),
		   report->wire.sent);
	expo_count(out, "rtpfwd_music_packets_total", EXPO_LABELS({"result", "failed"}),
		   report->wire.failed);
}

void families_reach(struct buf *out, const struct reach_report *report)
{
	expo_family(out, "rtpfwd_registrations", "gauge", "Contacts that phones have registered.");
	expo_count(out, "rtpfwd_registrations", NULL, report->registrations);
	expo_family(out, "rtpfwd_own_registrations", "gauge",
		    "Our registrations with others, by state.");
	for (unsigned int i = 0; i < REACH_STATES; i++)
		expo_count(out, "rtpfwd_own_registrations",
			   EXPO_LABELS({"state", reach_state_text((enum reach_state)i)}),
			   report->ours[i]);
	expo_family(out, "rtpfwd_peers", "gauge", "Peers that are asked whether they are there.");
	expo_count(out, "rtpfwd_peers", EXPO_LABELS({"state", "reachable"}), report->reachable);
	expo_count(out, "rtpfwd_peers", EXPO_LABELS({"state", "unreachable"}),
		   report->unreachable);
}

void families_quirks(struct buf *out, uint64_t devices)
{
	expo_family(out, "rtpfwd_quirk_peers", "gauge",
		    "Devices of peers that were found to break on re-INVITE.");
	expo_count(out, "rtpfwd_quirk_peers", NULL, devices);
}

void families_cdr(struct buf *out, const struct cdr_report *report)
{
	expo_counter(out, "rtpfwd_cdr_written_total", "Call detail records written.",
		     report->written);
	expo_counter(out, "rtpfwd_cdr_lost_total", "Call detail records that could not be written.",
		     report->lost);
}
