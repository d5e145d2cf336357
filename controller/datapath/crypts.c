// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's side of the userspace relay's keys. */
#include "datapath/crypts.h"

#include "../kmod/rtpfwd_nl.h"
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FORMER_MS 10000 /* how long a former key of what is heard is taken, too */

/* Some peer is encrypted. With rtpfwd.ko, too: what that cannot take goes here. */
bool crypts_wanted(const struct conf *conf)
{
	bool encrypted = false;

	for (size_t i = 0; i < conf->n_peers; i++)
		encrypted |= conf->peers[i].encryption != ENCRYPTION_NO;
	return encrypted;
}

static int create(uint32_t slots)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "rtpfwd_crypts", sizeof(uint32_t),
			      sizeof(struct crypt_keys), slots, &opts);
}

static bool fits(int fd, uint32_t slots)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == BPF_MAP_TYPE_ARRAY &&
	       info.value_size == sizeof(struct crypt_keys) && info.max_entries == slots &&
	       info.map_flags & BPF_F_MMAPABLE;
}

/* That of a former daemon, if it is there; else, if it is wanted, a new one. 0, and -1 as `fd`:
 * there is none. */
static int open_map(int *fd, const struct datapath *dp, const struct conf *conf)
{
	char path[PATH_MAX];
	int err = pins_path(path, dp->folder, PIN_MAP, CRYPTS_NAME);

	*fd = err ? -1 : bpf_obj_get(path);
	if (err || (*fd >= 0 && fits(*fd, dp->layout.slots)))
		return err;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	unlink(path);
	if (!crypts_wanted(conf))
		return 0;
	*fd = create(dp->layout.slots);
	return *fd < 0 || bpf_obj_pin(*fd, path) ? -errno : 0;
}

static size_t map_size(const struct datapath *dp)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (dp->layout.slots * sizeof(struct crypt_keys) + page - 1) / page * page;
}

int crypts_open(struct datapath *dp, const struct conf *conf)
{
	void *memory;
	int err = dp->crypts ? 0 : open_map(&dp->fd.crypts, dp, conf);

	if (err || dp->crypts || dp->fd.crypts < 0)
		return err;
	memory = mmap(NULL, map_size(dp), PROT_READ | PROT_WRITE, MAP_SHARED, dp->fd.crypts, 0);
	if (memory == MAP_FAILED)
		return -errno;
	dp->crypts = memory;
	return 0;
}

int crypts_reload(struct datapath *dp, const struct conf *next)
{
	bool had = dp->crypts;
	int err = crypts_open(dp, next);

	if (!err && dp->crypts && !had)
		err = user_give_crypts(dp);
	if (err && !had)
		crypts_close(dp); /* pinned, it is there for the next attempt */
	return err;
}

void crypts_close(struct datapath *dp)
{
	if (dp->crypts)
		munmap(dp->crypts, map_size(dp));
	if (dp->fd.crypts >= 0)
		close(dp->fd.crypts);
	dp->crypts = NULL;
	dp->fd.crypts = -1;
}

static void begin_writing(struct crypt_keys *keys)
{
	__atomic_store_n(&keys->generation, keys->generation | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Nothing where none was begun. */
static void end_writing(struct crypt_keys *keys)
{
	if (keys->generation & 1)
		__atomic_store_n(&keys->generation, keys->generation + 1, __ATOMIC_RELEASE);
}

bool crypts_have(const struct datapath *dp, uint32_t slot, enum rtpfwd_direction direction)
{
	const struct crypt_keys *keys = dp->crypts ? &dp->crypts[slot] : NULL;

	return keys && (direction == RTPFWD_PROTECT ? keys->out.suite : keys->in.suite);
}

static bool same(const struct flow_crypt *a, const struct flow_crypt *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void set_in(struct crypt_keys *keys, const struct flow_crypt *next, uint64_t now_ms)
{
	keys->former = keys->in;
	keys->former_until_ns = (now_ms + FORMER_MS) * 1000000;
	keys->in = *next;
	senders_order();
	keys->in_generation++;
}

static void set_out(struct crypt_keys *keys, const struct flow_crypt *next)
{
	keys->out = *next;
	senders_order();
	keys->out_generation++;
}

/* The map itself says which keys there are, so that those of an adopted flow are known, and go on
 * where they are the same. */
void crypts_set(struct datapath *dp, uint32_t slot, enum rtpfwd_direction direction,
		const struct flow_crypt *next)
{
	struct crypt_keys *keys = dp->crypts ? &dp->crypts[slot] : NULL;

	if (!keys)
		return;
	if (!same(direction == RTPFWD_PROTECT ? &keys->out : &keys->in, next)) {
		begin_writing(keys);
		if (direction == RTPFWD_PROTECT)
			set_out(keys, next);
		else
			set_in(keys, next, loop_now_ms(dp->loop));
	}
	end_writing(keys);
}

/* The next flow of the slot has neither these keys nor, by a number once used, their state. */
static void forget(struct crypt_keys *keys)
{
	if (!(keys->in.suite || keys->out.suite || keys->former.suite)) {
		end_writing(keys);
		return;
	}
	begin_writing(keys);
	keys->in = keys->former = keys->out = (struct flow_crypt){ 0 };
	keys->former_until_ns = 0;
	keys->in_generation++;
	keys->out_generation++;
	end_writing(keys);
}

void crypts_end(struct datapath *dp, const struct flow *flow)
{
	if (dp->crypts)
		forget(&dp->crypts[flow->slot]);
}

void crypts_read(const struct datapath *dp, struct flow *flow)
{
	if (crypts_have(dp, flow->slot, RTPFWD_UNPROTECT))
		flow->want.in = dp->crypts[flow->slot].in;
	if (crypts_have(dp, flow->slot, RTPFWD_PROTECT))
		flow->want.out = dp->crypts[flow->slot].out;
}

/*
 * A former daemon may have been killed amid its writing, which is ended here: the generation of a
 * key, behind which its senders begin anew, was raised only when the key was there. So either the
 * former key goes on, or the new one behind the indices of the former. A key of which a part was
 * there authenticates nothing, and nobody has it.
 */
void crypts_adopt(struct datapath *dp)
{
	for (uint32_t slot = 0; dp->crypts && slot < dp->layout.slots; slot++)
		if (dp->flows[slot])
			end_writing(&dp->crypts[slot]);
		else
			forget(&dp->crypts[slot]);
}
