// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/user_verdict.h"

#include "datapath/user_host.h"
#include "verdict.h"

#define NS_PER_S 1000000000ULL

uint64_t user_jiffies(const struct rtpfwd_control *control, uint64_t ns)
{
	uint64_t since = ns - __atomic_load_n(&control->jiffies_zero_ns, __ATOMIC_RELAXED);

	return since / NS_PER_S * control->hz + since % NS_PER_S * control->hz / NS_PER_S;
}

/* Does no XDP program count what comes in there, or below? */
static bool is_alone(const struct user_maps *maps, uint32_t ifindex)
{
	uint32_t links = __atomic_load_n(&maps->control->user_links, __ATOMIC_RELAXED);
	uint32_t key;

	if (!links)
		return false;
	for (key = 0; key < RTPFWD_MAX_LINKS; key++)
		if (maps->control->ifindex[key] == ifindex)
			return links & 1u << key;
	key = rtpfwd_upper_link(maps->uppers, ifindex);
	return key < RTPFWD_MAX_LINKS && links & 1u << key;
}

uint64_t user_ahead(struct host *h, uint32_t index)
{
	return flow_ahead(h, index);
}

int user_verdict(struct user_frame *frame)
{
	struct host host = { .frame = frame };
	int left;

	frame->alone = frame->from_here || is_alone(frame->maps, frame->ingress);
	frame->limit = frame->end + USER_TAILROOM;
	frame->n_learned = 0;
	frame->by_kernel = 0;
	do { /* until it leaves or its time to live ends */
		frame->again = false;
		left = verdict(&host);
	} while (frame->again);
	return left;
}
