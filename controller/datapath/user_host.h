/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verdict asks of where it runs, in the userspace relay: the same functions as
 * bpf/host.h. Included once, by user_verdict.c. */
#ifndef RTPFWD_DATAPATH_USER_HOST_H
#define RTPFWD_DATAPATH_USER_HOST_H

#include "datapath/kmod.h"
#include "datapath/user_srtp.h"
#include "datapath/user_verdict.h"
#include "g711.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

/* All of it is there: what nobody uses costs a branch. */
enum { rtpfwd_measure = true, rtpfwd_ipv6 = true, rtpfwd_vlan = true };

struct host {
	struct user_frame *frame;
};

static inline void *frame_begin(const struct host *h)
{
	return h->frame->begin;
}

static inline void *frame_end(const struct host *h)
{
	return h->frame->end;
}

static inline bool frame_grow(struct host *h, int bytes)
{
	h->frame->begin -= bytes;
	return true;
}

static inline bool frame_fit(struct host *h, uint32_t size)
{
	if (h->frame->begin + size > h->frame->limit)
		return false;
	h->frame->end = h->frame->begin + size;
	return true;
}

static inline bool has_crypt(const struct host *h)
{
	return h->frame->maps->srtp || h->frame->maps->kmod;
}

/* Behind the payload at `offset`: the key may be newer than what the slot says it grows by. */
static inline uint32_t room_behind(const struct host *h, uint32_t offset, uint32_t length)
{
	return (uint32_t)(h->frame->limit - h->frame->begin) - offset - length;
}

/*
 * Where the flow has a context of rtpfwd.ko that one is asked, for XDP may use it, too: what was
 * sent and heard under a key is remembered in one place. Else the slot has the key.
 */
static inline int srtp_protect(const struct host *h, uint32_t index, uint32_t id, uint32_t offset,
			       uint32_t length)
{
	const struct user_maps *maps = h->frame->maps;
	uint32_t room = room_behind(h, offset, length);
	uint8_t *packet = h->frame->begin + offset;

	if (id && maps->kmod)
		return kmod_packet(maps->kmod, id, RTPFWD_PROTECT, packet, length, room);
	if (id || !maps->srtp)
		return -ENOENT;
	return user_srtp_protect(maps->srtp, index, packet, length, room);
}

static inline int srtp_unprotect(const struct host *h, uint32_t index, uint32_t id, uint32_t offset,
				 uint32_t length)
{
	const struct user_maps *maps = h->frame->maps;
	uint8_t *packet = h->frame->begin + offset;

	if (id && maps->kmod)
		return kmod_packet(maps->kmod, id, RTPFWD_UNPROTECT, packet, length, 0);
	if (id || !maps->srtp)
		return -ENOENT;
	return user_srtp_unprotect(maps->srtp, index, packet, length, h->frame->ns);
}

static inline bool frame_sum(const struct host *h, uint32_t offset, uint32_t length, __u64 *sum)
{
	const uint8_t *data = h->frame->begin + offset;
	uint16_t word;

	for (; length > 1; length -= 2, data += 2) {
		memcpy(&word, data, sizeof(word));
		*sum += word;
	}
	if (length) {
		word = 0;
		memcpy(&word, data, 1);
		*sum += word;
	}
	return true;
}

static inline __u32 frame_translate(const struct host *h, uint32_t offset, uint32_t length,
				    uint32_t way)
{
	uint8_t *data = h->frame->begin + offset;
	uint32_t rest = length % G711_BLOCK;

	return g711_blocks(data, h->frame->end, length / G711_BLOCK, way) +
	       g711_rest(data + length - rest, h->frame->end, rest, way);
}

static inline uint8_t frame_byte(const struct host *h, uint32_t offset)
{
	const uint8_t *at = h->frame->begin + offset;

	return at < h->frame->end ? *at : 0;
}

static inline int frame_leave(const struct host *h, const struct rtpfwd_control *control,
			      uint8_t link, uint32_t flags)
{
	h->frame->link = link % RTPFWD_MAX_LINKS;
	(void)flags;
	return control->ifindex[h->frame->link] ? XDP_REDIRECT : XDP_DROP;
}

static inline int frame_again(const struct host *h)
{
	h->frame->again = true;
	return XDP_REDIRECT;
}

uint64_t user_ahead(struct host *h, uint32_t index); /* user_verdict.c */

static inline uint64_t look_ahead(struct host *h, uint32_t index)
{
	return user_ahead(h, index);
}

static inline struct rtpfwd_control *control_get(const struct host *h)
{
	return h->frame->maps->control;
}

static inline struct rtpfwd_slot *slot_at(const struct host *h, uint32_t index)
{
	const struct user_maps *maps = h->frame->maps;

	return index < maps->control->slots ? &maps->slots[index] : NULL;
}

static inline struct rtpfwd_rest *rest_at(const struct host *h, uint32_t index)
{
	const struct user_maps *maps = h->frame->maps;

	return index < maps->control->slots ? &maps->rests[index] : NULL;
}

static inline uint32_t seed_of(const struct host *h)
{
	return h->frame->maps->control->seed;
}

static inline uint64_t now_jiffies(const struct host *h)
{
	return user_jiffies(h->frame->maps->control, h->frame->ns);
}

static inline uint64_t now_ns(const struct host *h)
{
	return h->frame->ns;
}

/* Where XDP counts, too, it has counted this packet as passed up. */
static inline void count_reason(const struct host *h, uint32_t reason)
{
	struct rtpfwd_drops *drops = &h->frame->maps->relay->drops;

	if (h->frame->alone)
		__atomic_fetch_add(&drops->packets[reason % RTPFWD_MAX_REASONS], 1,
				   __ATOMIC_RELAXED);
}

static inline void tell(const struct host *h, uint32_t index)
{
	struct user_frame *frame = h->frame;

	if (frame->n_learned < sizeof(frame->learned) / sizeof(frame->learned[0]))
		frame->learned[frame->n_learned++] = index;
}

static inline bool takes_user_flow(struct host *h)
{
	h->frame->alone = true;
	return true;
}

static inline bool has_kernel(const struct host *h)
{
	(void)h;
	return true;
}

static inline int frame_leave_by_kernel(const struct host *h, uint8_t link,
					const struct rtpfwd_path *path)
{
	h->frame->link = link % RTPFWD_MAX_LINKS;
	h->frame->by_kernel = path ? path->ifindex : 0;
	return h->frame->by_kernel ? XDP_REDIRECT : XDP_DROP;
}

/* A datagram that came in fragments. */
static inline bool asks_every_length(const struct host *h)
{
	(void)h;
	return true;
}

static inline bool counts_alone(const struct host *h)
{
	return h->frame->alone;
}

#endif
