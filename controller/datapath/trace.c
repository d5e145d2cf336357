// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/priv.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* IEEE 802 local experimental Ethertype 1, 0x88B5: nobody acts on it. */
#define PROBE_TYPE_HI 0x88
#define PROBE_TYPE_LO 0xb5
#define PROBE_SIZE    60

static const char *const pin_names[TRACES] = { "xmit", "bulk_tx", "redirect" };

/* A tracing link cannot be given another program: the former controller's goes, ours comes. */
static int attach(struct datapath *dp, int i)
{
	char path[PATH_MAX];
	int err;

	err = pins_path(path, dp->folder, PIN_TRACE, pin_names[i]);
	if (err)
		return err;
	pins_remove(path);
	dp->traces[i] = bpf_raw_tracepoint_open(NULL, dp->fd.trace[i]);
	if (dp->traces[i] < 0)
		return -errno;
	return bpf_obj_pin(dp->traces[i], path) ? -errno : 0;
}

int trace_attach(struct datapath *dp, char *why, size_t why_size)
{
	for (int i = 0; i < TRACES; i++) {
		int err = attach(dp, i);

		if (err) {
			snprintf(why, why_size, "cannot attach to the tracepoint for %s: %s",
				 pin_names[i], strerror(-err));
			return err;
		}
	}
	return 0;
}

void trace_close(struct datapath *dp)
{
	for (int i = 0; i < TRACES; i++)
		if (dp->traces[i] >= 0)
			close(dp->traces[i]);
}

struct rtpfwd_link_stats trace_stats(const struct datapath *dp, const struct link *link)
{
	struct rtpfwd_link_stats stats = { 0 };

	bpf_map_lookup_elem(dp->fd.links, &link->key, &stats);
	return stats;
}

bool trace_probe(struct datapath *dp, const struct link *link)
{
	uint64_t failed = trace_stats(dp, link).probe_failed;
	uint8_t frame[PROBE_SIZE] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .repeat = 1);
	int err;

	memcpy(frame, link->now.mac, sizeof(link->now.mac));
	memcpy(frame + 6, link->now.mac, sizeof(link->now.mac));
	frame[12] = PROBE_TYPE_HI;
	frame[13] = PROBE_TYPE_LO;
	frame[PROBE_SIZE - 1] = (uint8_t)link->key;
	dp->control->probing = 1;
	err = bpf_prog_test_run_opts(dp->fd.probe, &opts);
	dp->control->probing = 0;
	return err || trace_stats(dp, link).probe_failed == failed;
}
