// SPDX-License-Identifier: GPL-2.0-or-later
/* The doctor on hosts made for it: a folder stands for /proc and /sys. What drivers say is asked of
 * the real ones, in tests/netns/doctor_test.py. */
#include "doctor/doctor.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FINDINGS 64

struct host {
	char root[64];
	struct addr media[2];
	const char *interfaces[1];
	struct conf_realm realm;
	struct conf conf;
	struct datapath_interface_report interface;
	struct doctor_node node;
	struct kept {
		char check[64], found[256], advice[256];
		bool ok;
	} kept[FINDINGS];
	size_t n;
};

static void put(const struct host *h, const char *path, const char *text)
{
	char whole[256], *slash;
	FILE *f;

	snprintf(whole, sizeof(whole), "%s%s", h->root, path);
	for (slash = strchr(whole + strlen(h->root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(whole, 0755))
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	f = fopen(whole, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* As it should be. */
static void make_host(const struct host *h)
{
	put(h, "/proc/sys/kernel/osrelease", "6.1.0-44-amd64\n");
	put(h, "/sys/kernel/btf/vmlinux", "BTF");
	put(h, "/proc/sys/net/core/bpf_jit_enable", "1\n");
	put(h, "/proc/sys/net/core/bpf_jit_harden", "0\n");
	put(h, "/proc/sys/kernel/bpf_stats_enabled", "0\n");
	put(h, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put(h, "/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
	put(h, "/proc/sys/net/ipv4/ip_local_reserved_ports", "10000-59999\n");
	put(h, "/proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
	put(h, "/proc/sys/net/ipv4/conf/lo/rp_filter", "2\n");
	put(h, "/proc/net/arp", "heads\none\ntwo\n");
	put(h, "/proc/sys/net/ipv4/neigh/default/gc_thresh1", "1\n");
	put(h, "/proc/sys/net/ipv4/neigh/default/gc_thresh2", "3\n");
	put(h, "/proc/sys/net/ipv4/neigh/default/gc_thresh3", "4\n");
	put(h, "/proc/sys/net/ipv6/neigh/default/gc_thresh1", "128\n");
	put(h, "/proc/sys/net/ipv6/neigh/default/gc_thresh2", "512\n");
	put(h, "/proc/sys/net/ipv6/neigh/default/gc_thresh3", "1024\n");
}

static int set_up(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	strcpy(h->root, "/tmp/doctor.XXXXXX");
	assert_non_null(mkdtemp(h->root));
	make_host(h);
	assert_int_equal(addr_parse(&h->media[0], "127.0.0.1"), 0);
	assert_int_equal(addr_parse(&h->media[1], "192.0.2.77"), 0);
	h->interfaces[0] = "lo";
	h->realm = (struct conf_realm){ .name = "inside",
					.interfaces = h->interfaces,
					.n_interfaces = 1,
					.media = h->media,
					.n_media = 1,
					.port_lo = 10000,
					.port_hi = 59999 };
	h->conf = (struct conf){ .realms = &h->realm, .n_realms = 1, .bpffs = "/sys/fs/bpf/x" };
	h->interface = (struct datapath_interface_report){ .name = "lo", .mode = "native" };
	h->node = (struct doctor_node){ .conf = &h->conf,
					.root = h->root,
					.interfaces = &h->interface,
					.n_interfaces = 1,
					.survives = true,
					.guard = { true, "rtpfwd/x", "" },
					.hz = 250,
					.neighbours = { 2, 512 } };
	*state = h;
	return 0;
}

static int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct host *h = *state;

	nftw(h->root, rm, 16, FTW_DEPTH | FTW_PHYS);
	free(h);
	return 0;
}

static void keep(void *ctx, const struct doctor_finding *finding)
{
	struct host *h = ctx;
	struct kept *kept = &h->kept[h->n++];

	assert_true(h->n < FINDINGS);
	kept->ok = finding->ok;
	snprintf(kept->check, sizeof(kept->check), "%s", finding->check);
	snprintf(kept->found, sizeof(kept->found), "%s", finding->found);
	snprintf(kept->advice, sizeof(kept->advice), "%s", finding->advice ? finding->advice : "");
	assert_true(finding->ok == !finding->advice);
}

static const struct kept *find(struct host *h, const char *check)
{
	h->n = 0;
	doctor_run(&h->node, keep, h);
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->kept[i].check, check) == 0)
			return &h->kept[i];
	return NULL;
}

static void expect(struct host *h, const char *check, bool ok, const char *found)
{
	const struct kept *kept = find(h, check);

	if (!kept)
		fail_msg("no finding '%s'", check);
	assert_string_equal(kept->found, found);
	assert_int_equal(kept->ok, ok);
}

static void what_is_well_is_said(void **state)
{
	struct host *h = *state;

	expect(h, "kernel", true, "6.1.0-44-amd64");
	expect(h, "btf", true, "present");
	expect(h, "bpf_jit", true, "enabled 1, hardened 0");
	expect(h, "bpf_stats", true, "off");
	expect(h, "bpffs", true, "/sys/fs/bpf/x: media outlives the daemon");
	expect(h, "clocksource", true, "tsc");
	expect(h, "media 127.0.0.1", true, "on lo");
	expect(h, "ports inside", true,
	       "10000-59999 for media, 32768-60999 for anybody, reserved: 10000-59999");
	expect(h, "rp_filter lo", true, "2");
	expect(h, "guard", true, "nftables table inet rtpfwd/x");
	expect(h, "neighbours", true, "2 of at most 4");
	expect(h, "next_hops ipv4", true,
	       "media to 2 on the links; gc_thresh1, 2 and 3: 1, 3, 4");
	expect(h, "next_hops ipv6", true,
	       "media to 512 on the links; gc_thresh1, 2 and 3: 128, 512, 1024");
	expect(h, "hz", true, "250 ticks a second");
}

/* Above the second bound, or above half of the third. */
static void more_next_hops_than_the_table_keeps(void **state)
{
	struct host *h = *state;
	char file[128];

	h->node.neighbours[0] = 3;
	expect(h, "next_hops ipv4", false,
	       "media to 3 on the links; gc_thresh1, 2 and 3: 1, 3, 4");
	assert_non_null(strstr(find(h, "next_hops ipv4")->advice, "net.ipv4.neigh"));
	h->node.neighbours[1] = 513;
	expect(h, "next_hops ipv6", false,
	       "media to 513 on the links; gc_thresh1, 2 and 3: 128, 512, 1024");
	assert_non_null(strstr(find(h, "next_hops ipv6")->advice, "net.ipv6.neigh"));
	put(h, "/proc/sys/net/ipv6/neigh/default/gc_thresh2", "2048\n");
	put(h, "/proc/sys/net/ipv6/neigh/default/gc_thresh3", "4096\n");
	expect(h, "next_hops ipv6", true,
	       "media to 513 on the links; gc_thresh1, 2 and 3: 128, 2048, 4096");
	snprintf(file, sizeof(file), "%s/proc/sys/net/ipv6/neigh/default/gc_thresh3", h->root);
	assert_int_equal(unlink(file), 0);
	assert_null(find(h, "next_hops ipv6"));
}

static void faults_of_the_kernel(void **state)
{
	struct host *h = *state;
	char btf[128];

	put(h, "/proc/sys/kernel/osrelease", "5.19.0\n");
	expect(h, "kernel", false, "5.19.0");
	put(h, "/proc/sys/kernel/osrelease", "6.0.12\n");
	expect(h, "kernel", false, "6.0.12");
	put(h, "/proc/sys/kernel/osrelease", "7.0.0\n");
	expect(h, "kernel", true, "7.0.0");
	snprintf(btf, sizeof(btf), "%s/sys/kernel/btf/vmlinux", h->root);
	assert_int_equal(unlink(btf), 0);
	expect(h, "btf", false, "absent");
	put(h, "/proc/sys/net/core/bpf_jit_harden", "2\n");
	expect(h, "bpf_jit", false, "enabled 1, hardened 2");
	put(h, "/proc/sys/net/core/bpf_jit_enable", "0\n");
	expect(h, "bpf_jit", false, "enabled 0, hardened 2");
	put(h, "/proc/sys/kernel/bpf_stats_enabled", "1\n");
	expect(h, "bpf_stats", false, "on");
	put(h, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
	expect(h, "clocksource", false, "hpet");
	h->node.hz = 100;
	expect(h, "hz", false, "100 ticks a second");
	h->node.survives = false;
	expect(h, "bpffs", false, "/sys/fs/bpf/x: media does not outlive the daemon");
}

static void faults_of_the_network(void **state)
{
	struct host *h = *state;

	h->realm.n_media = 2;
	expect(h, "media 127.0.0.1", true, "on lo");
	expect(h, "media 192.0.2.77", false, "on no interface");
	put(h, "/proc/sys/net/ipv4/conf/lo/rp_filter", "1\n");
	expect(h, "rp_filter lo", false, "1");
	put(h, "/proc/sys/net/ipv4/conf/all/rp_filter", "2\n");
	expect(h, "rp_filter lo", true, "2"); /* the larger counts (ip-sysctl) */
	put(h, "/proc/net/arp", "heads\none\ntwo\nthree\n");
	expect(h, "neighbours", false, "3 of at most 4");
	h->node.guard.fault = "this kernel has no nf_tables";
	expect(h, "guard", false, "none: this kernel has no nf_tables");
	h->node.guard = (struct datapath_guard_report){ false, "rtpfwd/x", "" };
	expect(h, "guard", true, "none, as configured");
	expect(h, "kmod", true, "none: encrypted media is not in the fast path");
	h->node.kmod = true;
	expect(h, "kmod", true, "rtpfwd.ko: encrypted media in the fast path");
}

static void expect_ports(struct host *h, const char *range, const char *reserved, bool ok)
{
	const struct kept *kept;

	put(h, "/proc/sys/net/ipv4/ip_local_port_range", range);
	put(h, "/proc/sys/net/ipv4/ip_local_reserved_ports", reserved);
	kept = find(h, "ports inside");
	assert_non_null(kept);
	if (kept->ok != ok)
		fail_msg("%s reserved %s: %s", range, reserved, kept->found);
}

static void ports_that_others_may_get(void **state)
{
	struct host *h = *state;

	expect_ports(h, "32768 60999", "\n", false);
	expect_ports(h, "32768 60999", "32768-59999\n", true);
	expect_ports(h, "32768 60999", "32768-40000,40001-59999\n", true);
	expect_ports(h, "32768 60999", "32768-40000,40002-59999\n", false);
	expect_ports(h, "32768 60999", "8080,32768-40000,40001,40002-59999,60500\n", true);
	expect_ports(h, "32768 60999", "32769-59999\n", false);
	expect_ports(h, "32768 60999", "32768-59998\n", false);
	expect_ports(h, "60000 60999", "\n", true); /* beside one another */
	expect_ports(h, "1024 9999", "\n", true);
	expect_ports(h, "1024 10000", "10000\n", true);
	expect_ports(h, "1024 10000", "rubbish\n", false);
}

static void what_is_not_told_is_no_finding(void **state)
{
	struct host *h = *state;

	h->node.root = "/nonexistent";
	assert_null(find(h, "kernel"));
	assert_null(find(h, "bpf_jit"));
	assert_null(find(h, "ports inside"));
	assert_null(find(h, "rp_filter lo"));
	assert_null(find(h, "rings lo")); /* no driver */
	assert_non_null(find(h, "mtu"));
}

static void a_shared_interface_is_asked_once(void **state)
{
	struct host *h = *state;
	struct datapath_interface_report both[2] = { h->interface, h->interface };
	size_t times = 0;

	h->node.interfaces = both;
	h->node.n_interfaces = 2;
	assert_non_null(find(h, "rp_filter lo"));
	for (size_t i = 0; i < h->n; i++)
		times += strcmp(h->kept[i].check, "rp_filter lo") == 0;
	assert_int_equal(times, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_well_is_said),	      TEST(faults_of_the_kernel),
		TEST(faults_of_the_network),	      TEST(ports_that_others_may_get),
		TEST(more_next_hops_than_the_table_keeps),
		TEST(what_is_not_told_is_no_finding), TEST(a_shared_interface_is_asked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
