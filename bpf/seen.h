/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. Where a packet came from, in one word; kept as the last source seen. */
#ifndef RTPFWD_SEEN_H
#define RTPFWD_SEEN_H

#include "flow.h"

static __always_inline __u64 seen_of(const struct packet *p)
{
	__u64 port = (__u64)p->udp->source << 32;

	if (!p->six)
		return p->ip->saddr | port;
	return rtpfwd_digest6(p->ip6->saddr.s6_addr32) | port | RTPFWD_SEEN_IPV6;
}

/* Written only when it changes: a leg's packets all come from one place. */
static __always_inline void count_seen(const struct flow *f, const struct packet *p)
{
	struct rtpfwd_rest *rest;
	__u64 seen = seen_of(p);

	if (f->slot->counters.seen == seen)
		return;
	if (p->six) {
		rest = flow_rest(f);
		if (rest)
			__builtin_memcpy(rest->refused.seen_ip, &p->ip6->saddr,
					 sizeof(p->ip6->saddr));
	}
	f->slot->counters.seen = seen;
}

#endif
