// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The generated skeleton, under the warnings that its generator knows. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "rtpfwd.skel.h"
#pragma GCC diagnostic pop

#define MAPS 9

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

/* In the order in which they are looked for; the control map comes first. */
static void list_maps(struct rtpfwd_bpf *bpf, struct bpf_map *maps[MAPS])
{
	maps[0] = bpf->maps.rtpfwd_control;
	maps[1] = bpf->maps.rtpfwd_slots;
	maps[2] = bpf->maps.rtpfwd_drops;
	maps[3] = bpf->maps.rtpfwd_tx;
	maps[4] = bpf->maps.rtpfwd_links;
	maps[5] = bpf->maps.rtpfwd_rests;
	maps[6] = bpf->maps.rtpfwd_relay;
	maps[7] = bpf->maps.rtpfwd_socks;
	maps[8] = bpf->maps.rtpfwd_again;
}

static size_t page_round(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static void *map_memory(int fd, size_t size)
{
	void *memory = mmap(NULL, page_round(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Flows in `control`'s slots, 0 when the lease has ended them. */
static uint32_t count_live(const struct rtpfwd_control *control, int slots_fd)
{
	struct rtpfwd_slot *slots;
	uint32_t live = 0;

	if (slots_fd < 0 || now_ns() >= control->lease_until_ns)
		return 0;
	slots = map_memory(slots_fd, (size_t)control->slots * sizeof(*slots));
	if (!slots)
		return 0;
	for (uint32_t i = 0; i < control->slots; i++)
		live += slots_leased(&slots[i]);
	munmap(slots, page_round((size_t)control->slots * sizeof(*slots)));
	return live;
}

static bool map_fits(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == bpf_map__type(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       !((info.map_flags ^ bpf_map__map_flags(map)) &
		 BPF_F_MMAPABLE); /* the kernel adds flags of its own */
}

/* Judges what is pinned. 1: to be reused; 0: nothing, or to be replaced; -EBUSY and `why`: it may
 * be in use. */
static int judge_pinned(struct datapath *dp, struct bpf_map *maps[MAPS], const int fds[MAPS],
			char *why, size_t why_size)
{
	struct rtpfwd_control *control;
	int verdict = 1, err = 0;
	uint32_t live;

	if (fds[0] < 0)
		return 0;
	control = map_fits(fds[0], maps[0]) ? map_memory(fds[0], sizeof(*control)) : NULL;
	if (!control || control->magic != RTPFWD_ABI_MAGIC ||
	    control->version != RTPFWD_ABI_VERSION ||
	    control->slot_size != sizeof(struct rtpfwd_slot)) {
		snprintf(why, why_size,
			 "bpffs = %s: holds the maps of another version of rtpfwd, and maybe live "
			 "calls: "
			 "remove them with that version's `rtpfwd -D`",
			 dp->folder);
		err = -EBUSY;
		goto out;
	}
	for (int i = 1; i < MAPS; i++)
		verdict &= fds[i] >= 0 && map_fits(fds[i], maps[i]);
	if (verdict && layout_is(&dp->layout, control))
		goto out;
	verdict = 0;
	live = count_live(control, fds[1]);
	if (live) {
		snprintf(why, why_size,
			 "bpffs = %s: %u live flows use other relay addresses or ports than this "
			 "configuration: "
			 "go back to it until they have ended, or cut them off with `rtpfwd -D`",
			 dp->folder, live);
		err = -EBUSY;
	}
out:
	if (control)
		munmap(control, page_round(sizeof(*control)));
	return err ? err : verdict;
}

/* Takes pinned maps over where they fit, removes them where they do not. */
static int reuse_pinned(struct datapath *dp, char *why, size_t why_size)
{
	struct bpf_map *maps[MAPS];
	char path[PATH_MAX];
	int fds[MAPS], verdict;

	list_maps(dp->bpf, maps);
	for (int i = 0; i < MAPS; i++)
		fds[i] = pins_path(path, dp->folder, "", bpf_map__name(maps[i]))
				 ? -1
				 : bpf_obj_get(path);
	verdict = judge_pinned(dp, maps, fds, why, why_size);
	dp->reused = verdict == 1;
	for (int i = 0; i < MAPS; i++) {
		if (dp->reused && bpf_map__reuse_fd(maps[i], fds[i])) {
			snprintf(why, why_size, "cannot reuse the map %s: %s",
				 bpf_map__name(maps[i]), strerror(errno));
			verdict = -errno;
		}
		if (fds[i] >= 0)
			close(fds[i]);
	}
	if (verdict)
		return verdict < 0 ? verdict : 0;
	dp->made = true;
	user_dismiss(dp->folder);
	return pins_empty(dp->folder); /* it stays: the lock is on it */
}

static int pin_maps(struct datapath *dp)
{
	struct bpf_map *maps[MAPS];
	char path[PATH_MAX];
	int err = 0;

	if (dp->reused)
		return 0;
	list_maps(dp->bpf, maps);
	/* The control map last: while it is not there, the others count as nothing. */
	for (int i = MAPS - 1; i >= 0 && !err; i--) {
		err = pins_path(path, dp->folder, "", bpf_map__name(maps[i]));
		if (!err && bpf_obj_pin(bpf_map__fd(maps[i]), path))
			err = -errno;
	}
	return err;
}

/* Ports between two realms' ranges on one address are somebody else's. */
static void mark_gaps(struct datapath *dp)
{
	for (uint32_t slot = 0; slot < dp->layout.slots; slot++) {
		struct addr local = layout_addr(&dp->layout, slot);
		uint32_t same;

		if (layout_find(&dp->layout, &local, &same, NULL))
			dp->slots[slot].select = RTPFWD_FOREIGN;
	}
}

static int map_all(struct datapath *dp)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	struct stat netns;

	dp->control = map_memory(bpf_map__fd(dp->bpf->maps.rtpfwd_control), sizeof(*dp->control));
	dp->slots = map_memory(bpf_map__fd(dp->bpf->maps.rtpfwd_slots),
			       (size_t)dp->layout.slots * sizeof(*dp->slots));
	dp->rests = map_memory(bpf_map__fd(dp->bpf->maps.rtpfwd_rests),
			       (size_t)dp->layout.slots * sizeof(*dp->rests));
	dp->relay = map_memory(bpf_map__fd(dp->bpf->maps.rtpfwd_relay), sizeof(*dp->relay));
	dp->uppers = map_memory(dp->fd.uppers, sizeof(*dp->uppers));
	if (!dp->control || !dp->slots || !dp->rests || !dp->relay || !dp->uppers)
		return -errno;
	if (bpf_obj_get_info_by_fd(dp->fd.tx, &info, &size) || stat("/proc/self/ns/net", &netns))
		return -errno;
	dp->control->tx_map_id = info.id;
	dp->control->netns = (uint32_t)netns.st_ino;
	dp->control->probing = 0; /* a former controller may have died amid its probe */
	if (dp->reused)
		return 0;
	mark_gaps(dp);
	layout_write(&dp->layout, dp->control);
	dp->control->slot_size = sizeof(struct rtpfwd_slot);
	dp->control->version = RTPFWD_ABI_VERSION;
	dp->control->magic = RTPFWD_ABI_MAGIC;
	return 0;
}

/* Modulo 2^64: jiffies begin five minutes below 2^32. */
static uint64_t zero_ns(const struct rtpfwd_beat *beat, double hz)
{
	return beat->ns - (uint64_t)((double)beat->jiffies * (1e9 / hz));
}

int xdp_beat(struct datapath *dp, bool renew)
{
	struct rtpfwd_beat beat = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &beat, .ctx_size_in = sizeof(beat));

	if (renew) {
		beat.lease = (uint64_t)(dp->conf->lease_s * dp->clock.hz);
		beat.lease_ns = dp->conf->lease_s * 1000000000ULL;
	}
	if (bpf_prog_test_run_opts(dp->fd.beat, &opts))
		return -errno;
	dp->clock.jiffies = beat.jiffies;
	dp->clock.ns = beat.ns;
	if (dp->clock.hz > 0)
		__atomic_store_n(&dp->control->jiffies_zero_ns, zero_ns(&beat, dp->clock.hz),
				 __ATOMIC_RELAXED);
	return 0;
}

/* CONFIG_HZ is nowhere to be read: jiffies are counted until the usual values can be told apart. */
static int learn_hz(struct datapath *dp)
{
	static const double usual[] = { 100, 250, 300, 1000 };
	struct timespec pause = { .tv_nsec = 80000000 };
	uint64_t jiffies, ns;
	double hz, best = 1e9;
	int err;

	err = xdp_beat(dp, false);
	if (err)
		return err;
	jiffies = dp->clock.jiffies;
	ns = dp->clock.ns;
	nanosleep(&pause, NULL);
	err = xdp_beat(dp, false);
	if (err)
		return err;
	hz = (double)(dp->clock.jiffies - jiffies) * 1e9 / (double)(dp->clock.ns - ns);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (fabs(usual[i] - hz) < best) {
			best = fabs(usual[i] - hz);
			dp->clock.hz = usual[i];
		}
	}
	dp->control->hz = (uint32_t)dp->clock.hz;
	return 0;
}

static bool has_vlan(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_realms; i++)
		if (conf->realms[i].vlan)
			return true;
	return false;
}

static int prepare(struct datapath *dp, char *why, size_t why_size)
{
	dp->bpf = dp->kmod ? xdp_open_kmod() : rtpfwd_bpf__open();
	if (!dp->bpf) {
		snprintf(why, why_size, "cannot read the embedded BPF object: %s", strerror(errno));
		return -errno;
	}
	dp->bpf->rodata->rtpfwd_seed = dp->layout.seed;
	dp->bpf->rodata->rtpfwd_ipv6 = layout_has_ipv6(&dp->layout);
	dp->bpf->rodata->rtpfwd_vlan = has_vlan(dp->conf);
	bpf_map__set_max_entries(dp->bpf->maps.rtpfwd_slots, dp->layout.slots);
	bpf_map__set_max_entries(dp->bpf->maps.rtpfwd_rests, dp->layout.slots);
	return reuse_pinned(dp, why, why_size);
}

static int explain(int err, char *why, size_t why_size)
{
	if (err == -EPERM || err == -EACCES)
		snprintf(why, why_size,
			 "no privilege to load BPF programs: run as root, or with CAP_BPF, "
			 "CAP_NET_ADMIN and CAP_PERFMON");
	else if (err)
		snprintf(why, why_size,
			 "the kernel does not take the BPF programs (Linux 6.1 with BTF is needed; "
			 "-v -v tells more): %s",
			 strerror(-err));
	return err == -EACCES ? -ENOTSUP : err;
}

/* With the module's functions where they are, or else without them. */
static int load(struct datapath *dp, char *why, size_t why_size)
{
	int err = prepare(dp, why, why_size);

	if (err)
		return err;
	err = rtpfwd_bpf__load(dp->bpf);
	if (!err || !dp->kmod)
		return explain(err, why, why_size);
	log_warn("the programs that call rtpfwd.ko do not load (%s; to find its functions takes "
		 "CAP_SYS_ADMIN): encrypted media goes without it",
		 strerror(-err));
	contexts_close(dp);
	rtpfwd_bpf__destroy(dp->bpf);
	return load(dp, why, why_size);
}

static void keep_fds(struct datapath *dp)
{
	const struct rtpfwd_bpf *bpf = dp->bpf;

	dp->fd.xdp = bpf_program__fd(bpf->progs.rtpfwd_xdp);
	dp->fd.beat = bpf_program__fd(bpf->progs.rtpfwd_beat);
	dp->fd.probe = bpf_program__fd(bpf->progs.rtpfwd_probe);
	dp->fd.trace[0] = bpf_program__fd(bpf->progs.rtpfwd_xmit);
	dp->fd.trace[1] = bpf_program__fd(bpf->progs.rtpfwd_bulk_tx);
	dp->fd.trace[2] = bpf_program__fd(bpf->progs.rtpfwd_redir);
	dp->fd.steer = bpf_program__fd(bpf->progs.rtpfwd_steer);
	dp->fd.control = bpf_map__fd(bpf->maps.rtpfwd_control);
	dp->fd.slots = bpf_map__fd(bpf->maps.rtpfwd_slots);
	dp->fd.rests = bpf_map__fd(bpf->maps.rtpfwd_rests);
	dp->fd.relay = bpf_map__fd(bpf->maps.rtpfwd_relay);
	dp->fd.socks = bpf_map__fd(bpf->maps.rtpfwd_socks);
	dp->fd.uppers = bpf_map__fd(bpf->maps.rtpfwd_uppers);
	dp->fd.again = bpf_map__fd(bpf->maps.rtpfwd_again);
	dp->fd.tx = bpf_map__fd(bpf->maps.rtpfwd_tx);
	dp->fd.drops = bpf_map__fd(bpf->maps.rtpfwd_drops);
	dp->fd.links = bpf_map__fd(bpf->maps.rtpfwd_links);
	dp->fd.events = bpf_map__fd(bpf->maps.rtpfwd_events);
}

int xdp_open(struct datapath *dp, char *why, size_t why_size)
{
	int err;

	libbpf_set_print(log_libbpf);
	contexts_open(dp);
	err = load(dp, why, why_size);
	if (err)
		return err;
	keep_fds(dp);
	err = map_all(dp);
	if (!err)
		err = pin_maps(dp);
	if (!err)
		err = learn_hz(dp);
	if (err)
		snprintf(why, why_size, "cannot set up the BPF maps in %s: %s", dp->folder,
			 strerror(-err));
	return err;
}

void xdp_close(struct datapath *dp)
{
	if (dp->slots)
		munmap(dp->slots, page_round((size_t)dp->layout.slots * sizeof(*dp->slots)));
	if (dp->rests)
		munmap(dp->rests, page_round((size_t)dp->layout.slots * sizeof(*dp->rests)));
	if (dp->control)
		munmap(dp->control, page_round(sizeof(*dp->control)));
	if (dp->relay)
		munmap(dp->relay, page_round(sizeof(*dp->relay)));
	if (dp->uppers)
		munmap(dp->uppers, page_round(sizeof(*dp->uppers)));
	rtpfwd_bpf__destroy(dp->bpf);
	dp->bpf = NULL;
	contexts_close(dp);
}
