/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: counters, in tables of fixed size. */
#ifndef RTPFWD_SIP_STATS_H
#define RTPFWD_SIP_STATS_H

#include "conf/conf.h"
#include "sip/method.h"

#include <stdint.h>

enum sip_direction { SIP_IN, SIP_OUT, SIP_DIRECTIONS };

struct sip_stats {
	uint64_t requests[SIP_METHODS][SIP_DIRECTIONS];
	uint64_t responses[SIP_METHODS][SIP_DIRECTIONS][600]; /* code - 100 */
	uint64_t retransmits;
	uint64_t malformed;
	uint64_t connections[CONF_TRANSPORTS]; /* that there are */
	uint64_t turned_away;		       /* beyond a limit */
	struct sip_rejected {
		char label[32];
		uint64_t value;
	} rejected[32]; /* what does not fit counts under the last, "other" */
};

void sip_stats_response(struct sip_stats *stats, enum sip_method method,
			enum sip_direction direction, int code);
void sip_stats_rejected(struct sip_stats *stats, const char *label);

#endif
