// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel: its version, BPF, limits and clocks. */
#include "doctor/exam.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#define OLDEST_MAJOR 6
#define OLDEST_MINOR 1
#define FEW_FILES    4096
#define FEW_TICKS    250 /* in a second: 4 ms, of packets 20 ms apart */

static void version(const struct exam *e)
{
	unsigned int major, minor;
	char release[128];

	if (!exam_text(e, release, sizeof(release), "/proc/sys/kernel/osrelease") ||
	    sscanf(release, "%u.%u", &major, &minor) != 2)
		return;
	exam_say(e, "kernel",
		 major > OLDEST_MAJOR || (major == OLDEST_MAJOR && minor >= OLDEST_MINOR),
		 "tested with Linux 6.1 and later", "%s", release);
}

static void btf(const struct exam *e)
{
	char path[PATH_MAX];
	bool there;

	snprintf(path, sizeof(path), "%s/sys/kernel/btf/vmlinux", e->node->root);
	there = access(path, R_OK) == 0;
	exam_say(e, "btf", there, "a kernel with CONFIG_DEBUG_INFO_BTF is needed", "%s",
		 there ? "present" : "absent");
}

/* Nobody must have it: no advice. It is looked for at the start of the daemon. */
static void module(const struct exam *e)
{
	exam_say(e, "kmod", true, NULL, "%s",
		 e->node->kmod ? "rtpfwd.ko: encrypted media in the fast path"
			       : "none: encrypted media is not in the fast path");
}

static void jit(const struct exam *e)
{
	long on, harden;

	if (!exam_number(e, &on, "/proc/sys/net/core/bpf_jit_enable"))
		return;
	if (!exam_number(e, &harden, "/proc/sys/net/core/bpf_jit_harden"))
		harden = 0;
	/* 1 spares programs of the privileged, which ours is. */
	exam_say(e, "bpf_jit", on && harden < 2,
		 "set net.core.bpf_jit_enable=1 and net.core.bpf_jit_harden=0 or 1: without, the "
		 "fast path takes several times as long",
		 "enabled %ld, hardened %ld", on, harden);
}

static void statistics(const struct exam *e)
{
	long on;

	if (exam_number(e, &on, "/proc/sys/kernel/bpf_stats_enabled"))
		exam_say(e, "bpf_stats", !on,
			 "set kernel.bpf_stats_enabled=0: it costs as much as forwarding does",
			 "%s", on ? "on" : "off");
}

static void survival(const struct exam *e)
{
	exam_say(e, "bpffs", e->node->survives,
		 "mount a bpf filesystem before the daemon starts, outside of its mount namespace: "
		 "media ends with the daemon else",
		 "%s: media %s", e->node->conf->bpffs,
		 e->node->survives ? "outlives the daemon" : "does not outlive the daemon");
}

/* The fine clock is read for sampled packets in the fast path. */
static void clock_source(const struct exam *e)
{
	char name[64];

	if (!exam_text(e, name, sizeof(name),
		       "/sys/devices/system/clocksource/clocksource0/current_clocksource"))
		return;
	exam_say(e, "clocksource", strcmp(name, "hpet") && strcmp(name, "acpi_pm"),
		 "this one is slow to read: find out why the kernel does not trust tsc", "%s",
		 name);
}

static void ticks(const struct exam *e)
{
	exam_say(e, "hz", e->node->hz >= FEW_TICKS,
		 "use a kernel with CONFIG_HZ=250 or more: gaps between packets are told, and "
		 "rates of peers limited, to a tick",
		 "%u ticks a second", e->node->hz);
}

static void wall_clock(const struct exam *e)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state >= 0)
		exam_say(e, "clock", state != TIME_ERROR && !(t.status & STA_UNSYNC),
			 "run an NTP client: times in call records may be wrong", "%s",
			 t.status & STA_UNSYNC ? "not synchronised" : "synchronised");
}

static void files(const struct exam *e)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	exam_say(e, "files", limit.rlim_cur >= FEW_FILES,
		 "raise LimitNOFILE: each TCP or TLS connection takes one", "at most %llu open",
		 (unsigned long long)limit.rlim_cur);
}

void exam_kernel(const struct exam *e)
{
	version(e);
	btf(e);
	module(e);
	jit(e);
	statistics(e);
	survival(e);
	clock_source(e);
	ticks(e);
	wall_clock(e);
	files(e);
}
