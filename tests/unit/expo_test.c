// SPDX-License-Identifier: GPL-2.0-or-later
/* What the node tells about itself as metrics text: its families, each series of them. */
#include "stats/expo.h"
#include "stats/families.h"
#include "stats/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_text(struct buf *b, const char *expected)
{
	assert_false(b->failed);
	assert_string_equal(b->data, expected);
	buf_free(b);
}

static void test_expo_escapes(void **state)
{
	struct buf b = {.data = NULL};

	(void)state;
	expo_count(&b, "x", EXPO_LABELS({"realm", "a\"b\\c\nd"}, {"k", "\x1b\xff"}), 1);
	expo_real(&b, "x", NULL, 0.25);
	expo_count(&b, "x", NULL, UINT64_MAX);
	assert_text(&b,
		    "x{realm=\"a\\\"b\\\\c\\nd\",k=\"??\"} 1\nx 0.25\nx 18446744073709551615\n");
}

static void test_expo_histogram(void **state)
{
	static const double bounds[] = {0.005, 1, 2.5};
	static const uint64_t counts[] = {3, 0, 2, 4};
	struct expo_histogram h = {.bounds = bounds, .count = counts, .n = 3, .sum = 40.5};
	struct buf b = {.data = NULL};

	(void)state;
	expo_histogram(&b, "h_seconds", "Help.", &h);
	assert_text(&b, "# HELP h_seconds Help.\n"
			"# TYPE h_seconds histogram\n"
			"h_seconds_bucket{le=\"0.005\"} 3\n"
			"h_seconds_bucket{le=\"1\"} 3\n"
			"h_seconds_bucket{le=\"2.5\"} 5\n"
			"h_seconds_bucket{le=\"+Inf\"} 9\n"
			"h_seconds_sum 40.5\n"
			"h_seconds_count 9\n");
}

static void test_tally_is_bounded(void **state)
{
	struct tally t = {.n = 0};
	uint64_t sum = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "reason%d", i);
		tally_add(&t, name, 1);
		tally_add(&t, name, 1);
	}
	assert_int_equal(t.n, 64);
	assert_string_equal(t.entries[0].name, "reason0");
	assert_int_equal(t.entries[0].n, 2);
	assert_string_equal(t.entries[62].name, "reason62");
	assert_int_equal(t.entries[62].n, 2);
	assert_string_equal(t.entries[63].name, "other");
	for (size_t i = 0; i < t.n; i++)
		sum += t.entries[i].n;
	assert_int_equal(sum, 400);
}

static void sip_series(struct families_sip *sip)
{
	families_sip_add(sip, SIP_REQUESTS, "INVITE", 0, "in", 3);
	families_sip_add(sip, SIP_RESPONSES, "INVITE", 200, "out", 2);
	families_sip_add(sip, SIP_REQUESTS, "EVIL1", 0, "in", 1);
	families_sip_add(sip, SIP_MALFORMED, "", 0, "", 5);
	families_sip_add(sip, SIP_REQUESTS, "EVIL2", 0, "in", 1);
	families_sip_add(sip, SIP_RESPONSES, "INVITE", 9999, "out", 1);
	families_sip_add(sip, SIP_REJECTED, "INVITE", 0, "unknown_peer", 4);
	families_sip_add(sip, SIP_REJECTED, "OPTIONS", 0, "unknown_peer", 1);
	families_sip_add(sip, SIP_RETRANSMITS, "", 0, "", 6);
}

static void test_sip_families(void **state)
{
	struct families_sip sip = {.n = 0};
	struct buf b = {.data = NULL};

	(void)state;
	sip_series(&sip);
	families_sip(&b, &sip);
	families_sip_free(&sip);
	assert_non_null(strstr(b.data, "\nrtpfwd_sip_requests_total{method=\"INVITE\","
				       "direction=\"in\"} 3\n"
				       "rtpfwd_sip_requests_total{method=\"other\","
				       "direction=\"in\"} 2\n# "));
	assert_non_null(strstr(b.data, "\nrtpfwd_sip_responses_total{method=\"INVITE\","
				       "code=\"200\",direction=\"out\"} 2\n"
				       "rtpfwd_sip_responses_total{method=\"INVITE\",code=\"0\","
				       "direction=\"out\"} 1\n# "));
	assert_non_null(strstr(b.data, "\nrtpfwd_sip_retransmits_total 6\n# "));
	assert_non_null(strstr(b.data, "\nrtpfwd_sip_malformed_total 5\n# "));
	assert_non_null(strstr(b.data, "\nrtpfwd_sip_rejected_total{reason=\"unknown_peer\"} 5\n"));
	buf_free(&b);
}

static void every_family(struct buf *b)
{
	static const double bounds[] = {0.01, 0.1};
	struct calls_report calls = {
		.live = {1, 2, 3, 4},
		.oneway = 2, .nortp = 1, .total_answered = 5,
		.total_failed = 6,
		.total_cancelled = 7,
		.total_rejected = 8,
		.setup_seconds = {.bounds = bounds, .count = {1, 2, 3}, .n = 2, .sum = 0.5},
		.call_seconds = {.bounds = bounds, .count = {0, 0, 1}, .n = 2, .sum = 90},
	};
	struct families_realm realms[] = {
		{"inside",
		 {.packets = {10, 0, 3}, .bytes = {1720, 0, 516}, .lost = 1},
		 {.used = 4, .free = 9, .quarantine = 2}},
		{"outside",
		 {.packets = {11}, .bytes = {1892}, .lost = 0},
		 {.used = 4, .free = 8, .quarantine = 0}},
	};
	struct datapath_interface_report interfaces[] = {{0, "eth0", "native", ""},
						       {1, "eth1", "off", "xdp = off"}};
	struct tally paths = {.n = 0}, reasons = {.n = 0}, dropped = {.n = 0}, up = {.n = 0};
	struct families_sip sip = {.n = 0};
	struct cdr_report cdr = {.written = 12, .lost = 1};

	tally_add(&paths, "relay", 10);
	tally_add(&reasons, "POLICY_NO_A", 10);
	tally_add(&dropped, "unleased", 0);
	tally_add(&dropped, "ttl", 2);
	tally_add(&up, "up_options", 1);
	sip_series(&sip);
	families_build(b);
	families_calls(b, &calls, &paths, &reasons);
	families_policy(b, &reasons, &paths);
	families_realms(b, realms, 2);
	families_flows(b, (const size_t[PLANES]){40, 0, 2}, 3);
	families_drops(b, &dropped, &up);
	families_interfaces(b, interfaces, 2);
	families_sip(b, &sip);
	families_quirks(b, 2);
	families_cdr(b, &cdr);
	process_metrics(b);
	families_sip_free(&sip);
}

/* Each line must stand in the text, on a line of its own. */
static void assert_lines(const char *text, const char *const *lines)
{
	for (; *lines; lines++) {
		const char *at = strstr(text, *lines);
		size_t len = strlen(*lines);

		while (at && ((at != text && at[-1] != '\n') || at[len] != '\n'))
			at = strstr(at + 1, *lines);
		if (!at)
			fail_msg("missing: %s", *lines);
	}
}

static void test_families(void **state)
{
	static const char *const lines[] = {
		"rtpfwd_build_info{version=\"" RTPFWD_VERSION "\"} 1",
		"rtpfwd_calls{state=\"setup\"} 1",
		"rtpfwd_calls{state=\"early\"} 2",
		"rtpfwd_calls{state=\"up\"} 3",
		"rtpfwd_calls{state=\"ending\"} 4",
		"rtpfwd_calls_total{result=\"answered\"} 5",
		"rtpfwd_calls_total{result=\"failed\"} 6",
		"rtpfwd_calls_total{result=\"cancelled\"} 7",
		"rtpfwd_calls_total{result=\"rejected\"} 8",
		"rtpfwd_oneway_calls 2",
		"rtpfwd_nortp_calls 1",
		"rtpfwd_path_calls{path=\"relay\"} 10",
		"rtpfwd_path_calls{path=\"direct\"} 0",
		"rtpfwd_path_calls{path=\"split\"} 0",
		"rtpfwd_path_reason_calls{reason=\"POLICY_NO_A\"} 10",
		"rtpfwd_not_offloaded_streams{reason=\"POLICY_NO_A\"} 10",
		"rtpfwd_decisions_total{reason=\"relay\"} 10",
		"rtpfwd_setup_seconds_bucket{le=\"0.1\"} 3",
		"rtpfwd_setup_seconds_count 6",
		"rtpfwd_call_seconds_sum 90",
		"rtpfwd_call_seconds_bucket{le=\"+Inf\"} 1",
		"rtpfwd_rtp_packets_total{realm=\"inside\",plane=\"xdp\"} 10",
		"rtpfwd_rtp_bytes_total{realm=\"outside\",plane=\"xdp\"} 1892",
		"rtpfwd_rtp_lost_total{realm=\"inside\"} 1",
		"rtpfwd_ports{realm=\"inside\",state=\"used\"} 4",
		"rtpfwd_ports{realm=\"outside\",state=\"free\"} 8",
		"rtpfwd_ports{realm=\"inside\",state=\"quarantine\"} 2",
		"rtpfwd_flows{plane=\"xdp\"} 40",
		"rtpfwd_flows{plane=\"user\"} 2",
		"rtpfwd_srtp_keys_refused_total 3",
		"rtpfwd_rtp_packets_total{realm=\"inside\",plane=\"user\"} 3",
		"rtpfwd_rtp_dropped_total{reason=\"unleased\"} 0",
		"rtpfwd_rtp_dropped_total{reason=\"ttl\"} 2",
		"rtpfwd_rtp_up_total{reason=\"up_options\"} 1",
		"rtpfwd_xdp_mode{interface=\"eth0\",mode=\"native\"} 1",
		"rtpfwd_xdp_mode{interface=\"eth0\",mode=\"off\"} 0",
		"rtpfwd_xdp_mode{interface=\"eth1\",mode=\"off\"} 1",
		"rtpfwd_quirk_peers 2",
		"rtpfwd_cdr_written_total 12",
		"rtpfwd_cdr_lost_total 1",
		"# TYPE process_cpu_seconds_total counter",
		NULL,
	};
	struct buf b = {.data = NULL};

	(void)state;
	every_family(&b);
	assert_false(b.failed);
	assert_lines(b.data, lines);
	buf_free(&b);
}

static double metric(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	while (at && (at == text || at[-1] != '\n' || at[strlen(name)] != ' '))
		at = strstr(at + 1, name);
	assert_non_null(at);
	return strtod(at + strlen(name), NULL);
}

static void test_process(void **state)
{
	struct buf before = {.data = NULL}, after = {.data = NULL};
	double now = (double)time(NULL), start;
	int fd;

	(void)state;
	process_metrics(&before);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	process_metrics(&after);
	close(fd);
	start = metric(before.data, "process_start_time_seconds");
	assert_true(start <= now + 1 && start > now - 3600);
	assert_true(metric(before.data, "process_resident_memory_bytes") > 65536);
	assert_true(metric(before.data, "process_virtual_memory_bytes") >
		    metric(before.data, "process_resident_memory_bytes"));
	assert_true(metric(after.data, "process_open_fds") ==
		    metric(before.data, "process_open_fds") + 1);
	assert_true(metric(before.data, "process_max_fds") > 3);
	buf_free(&before);
	buf_free(&after);
}

/* The judge that dashboards' makers use. It is silent and 0 only without a warning. */
static void test_promtool(void **state)
{
	struct buf b = {.data = NULL};
	FILE *tool;

	(void)state;
	if (system("command -v promtool >/dev/null"))
		skip();
	every_family(&b);
	tool = popen("promtool check metrics", "w");
	assert_non_null(tool);
	assert_int_equal(fwrite(b.data, 1, b.len, tool), b.len);
	assert_int_equal(pclose(tool), 0);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expo_escapes),
		cmocka_unit_test(test_expo_histogram),
		cmocka_unit_test(test_tally_is_bounded),
		cmocka_unit_test(test_sip_families),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_promtool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
