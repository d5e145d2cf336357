// SPDX-License-Identifier: GPL-2.0-or-later
/* Sources that the data path has found where flow_want.learning asked for them. */
#include "datapath/priv.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

/* The address of which the data path keeps a digest: one of the two that it was given. */
static struct addr find_ip6(const struct flow_want *want, uint32_t digest)
{
	const struct addr *known[] = { &want->learn, &want->expect };

	for (size_t i = 0; i < 2; i++) {
		struct addr found = { .family = AF_INET6, .v6 = known[i]->v6 };

		if (known[i]->family == AF_INET6 && !addr_is_any(&found) &&
		    rtpfwd_digest6(found.v6.s6_addr32) == digest)
			return found;
	}
	return (struct addr){ 0 };
}

static struct addr source_of(const struct flow_want *want, uint64_t learned)
{
	struct addr source = { .family = AF_INET, .v4.s_addr = (__be32)learned };

	if (learned & RTPFWD_SEEN_IPV6)
		source = find_ip6(want, (uint32_t)learned);
	source.port = ntohs((__be16)(learned >> 32));
	return source;
}

void learn_found(struct datapath *dp, uint32_t slot)
{
	struct flow *flow = slot < dp->layout.slots ? dp->flows[slot] : NULL;
	struct addr source;

	if (!flow || !flow->live || !flow->want.learning || !dp->events.learned)
		return;
	source = source_of(&flow->want, dp->rests[slot].heard.learned);
	if (source.family == flow->want.local.family && source.port && !addr_is_any(&source))
		dp->events.learned(dp->events.ctx, flow->want.owner, &flow->want.local, &source);
}

static int on_event(void *owner, void *data, size_t size)
{
	const struct rtpfwd_event *event = data;
	struct datapath *dp = owner;

	if (size >= sizeof(*event))
		learn_found(dp, event->slot);
	return ++dp->ring_taken < LEARN_PER_TURN ? 0 : -EAGAIN;
}

/* What is left waits for a turn. */
static void on_ring(void *owner)
{
	struct datapath *dp = owner;

	dp->ring_taken = 0;
	ring_buffer__consume(dp->ring);
}

int learn_open(struct datapath *dp)
{
	dp->ring = ring_buffer__new(dp->fd.events, on_event, dp, NULL);
	if (!dp->ring)
		return -errno;
	return loop_watch(&dp->ring_watch, dp->loop, ring_buffer__epoll_fd(dp->ring), on_ring, dp);
}

void learn_close(struct datapath *dp)
{
	if (!dp->ring)
		return;
	loop_unwatch(&dp->ring_watch);
	ring_buffer__free(dp->ring);
	dp->ring = NULL;
}
