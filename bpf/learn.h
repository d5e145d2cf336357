/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Both planes. The source of a leg behind an address translator, which its description does not
 * name. Nothing is admitted here: who has sent enough is told to the controller, which decides. */
#ifndef RTPFWD_LEARN_H
#define RTPFWD_LEARN_H

#include "crypt.h"
#include "flow.h"
#include "payload.h"
#include "rtpfwd_rtp.h"
#include "seen.h"

#define TELL_EVERY 16

/* Only the address that the leg signals from, or that it signalled, may be learned. */
static __always_inline bool may_be_learned(const struct flow *f, const struct packet *p)
{
	const struct rtpfwd_wide *wide = flow_wide(f);

	if (!wide || !(f->flags & RTPFWD_F_LEARN))
		return false;
	if (from_expected(f, p) && f->flags & RTPFWD_F_EXPECT)
		return true;
	return p->six ? same_ip6(wide->learn_ip, p->ip6->saddr.s6_addr32)
		      : wide->learn_ip[0] == p->ip->saddr;
}

static __always_inline bool has_qualified(struct rtpfwd_heard *heard, const struct flow *f,
					  const struct packet *p)
{
	const __u8 *data = p->payload;

	/* No sender is named: so many in a row of one source. */
	if (f->flags & RTPFWD_F_OPAQUE)
		return rtpfwd_learn(heard, seen_of(p), 0, heard->candidate_seq + 1,
				    RTPFWD_LEARN_RTP);
	if (f->flags & RTPFWD_F_RTCP) {
		if ((void *)(data + RTPFWD_RTCP_HEADER) > p->end)
			return false;
		return rtpfwd_learn(heard, seen_of(p), 0, 0, RTPFWD_LEARN_RTCP);
	}
	if ((void *)(data + RTPFWD_RTP_HEADER) > p->end)
		return false;
	return rtpfwd_learn(heard, seen_of(p), rtpfwd_get32(data + 8), rtpfwd_get16(data + 2),
			    RTPFWD_LEARN_RTP);
}

static __always_inline void tell_learned(struct rtpfwd_heard *heard, const struct flow *f,
					 __u64 source)
{
	heard->learned = source;
	tell(f->host, f->index);
}

/* What comes from the very source that was signalled ends the search: nobody else can be meant.
 * Told again now and then, for the same source may be signalled and looked for once more. */
static __always_inline void learn_signalled(const struct flow *f, const struct packet *p)
{
	struct rtpfwd_rest *rest;

	if (!(f->flags & RTPFWD_F_LEARN) || f->act->expect_port != p->udp->source ||
	    !from_expected(f, p))
		return;
	rest = flow_rest(f);
	if (rest &&
	    (rest->heard.learned != seen_of(p) || !(f->slot->counters.packets % TELL_EVERY)))
		tell_learned(&rest->heard, f, seen_of(p));
}

/* Why a packet that is not admitted is refused; it may make its source a learned one. */
static __always_inline __u32 learn(struct flow *f, struct packet *p, int length, __u64 now)
{
	struct rtpfwd_rest *rest;
	__u32 reason = 0;

	if (!may_be_learned(f, p) || length < 0 || !content_admitted(f, p, length) ||
	    !payload_admitted(f, p, now))
		return RTPFWD_R_wrong_source;
	if (f->flags & RTPFWD_F_UNPROTECT)
		reason = crypt_unprotect(f, p, &length);
	if (reason)
		return reason;
	rest = flow_rest(f);
	if (rest && has_qualified(&rest->heard, f, p))
		tell_learned(&rest->heard, f, seen_of(p));
	return RTPFWD_R_learning;
}

#endif
