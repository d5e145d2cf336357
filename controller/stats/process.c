// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/process.h"

#include "stats/expo.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Of proc(5) /proc/PID/stat: ticks, ticks since boot, bytes, pages. */
struct usage {
	unsigned long long user, system, start, vsize;
	long rss;
};

static int read_usage(struct usage *out)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char line[1024];
	const char *rest;
	int n = 0;

	if (!file)
		return -1;
	if (fgets(line, sizeof(line), file)) {
		/* The second field is the name in parentheses, and may hold blanks and parentheses.
		 */
		rest = strrchr(line, ')');
		if (rest)
			n = sscanf(rest + 1,
				   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
				   " %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %ld",
				   &out->user, &out->system, &out->start, &out->vsize, &out->rss);
	}
	fclose(file);
	return n == 5 ? 0 : -1;
}

/* Wall-clock time of the start: now, less the time since then on the clock that runs from boot. */
static double start_time(const struct usage *u, double hz)
{
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
	       (double)u->start / hz;
}

static void usage_metrics(struct buf *out)
{
	double hz = (double)sysconf(_SC_CLK_TCK);
	struct usage u;

	if (read_usage(&u))
		return;
	expo_family(out, "process_cpu_seconds_total", "counter",
		    "User and system CPU time in seconds.");
	expo_real(out, "process_cpu_seconds_total", NULL, (double)(u.user + u.system) / hz);
	expo_gauge(out, "process_start_time_seconds",
		   "Start of the process since the epoch in seconds.",
		   (double)(uint64_t)(start_time(&u, hz) * 100) / 100);
	expo_gauge(out, "process_virtual_memory_bytes", "Virtual memory in bytes.",
		   (double)u.vsize);
	expo_gauge(out, "process_resident_memory_bytes", "Resident memory in bytes.",
		   (double)u.rss * (double)sysconf(_SC_PAGESIZE));
}

static void descriptor_metrics(struct buf *out)
{
	DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	double n = -1; /* the one of this folder is not counted */

	if (dir) {
		for (struct dirent *e = readdir(dir); e; e = readdir(dir))
			n += e->d_name[0] != '.';
		closedir(dir);
		expo_gauge(out, "process_open_fds", "Open file descriptors.", n);
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		expo_gauge(out, "process_max_fds", "Most file descriptors that may be open.",
			   (double)limit.rlim_cur);
}

void process_metrics(struct buf *out)
{
	usage_metrics(out);
	descriptor_metrics(out);
}
