// SPDX-License-Identifier: GPL-2.0-only
#include "dump.h"

#include <net/netlink.h>

static int put_stream(struct sk_buff *msg, const struct stream *s)
{
	struct nlattr *nest = nla_nest_start(msg, RTPFWD_A_STREAM);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = nla_put_u32(msg, RTPFWD_S_SSRC, s->ssrc);
	if (!err && s->rtp.next)
		err = nla_put_u64_64bit(msg, RTPFWD_S_RTP_INDEX, s->rtp.next - 1, RTPFWD_S_PAD);
	if (!err && s->rtcp.next)
		err = nla_put_u32(msg, RTPFWD_S_RTCP_INDEX, s->rtcp.next - 1);
	nla_nest_end(msg, nest);
	return err;
}

static int put_counters(struct sk_buff *msg, const struct context *c)
{
	struct nlattr *nest = nla_nest_start(msg, RTPFWD_A_COUNTERS);
	int err = 0;

	if (!nest)
		return -EMSGSIZE;
	for (int i = 0; i < RTPFWD_C_END && !err; i++)
		err = nla_put_u64_64bit(msg, i + 1, c->counters[i], 0);
	nla_nest_end(msg, nest);
	return err;
}

static int put_locked(struct sk_buff *msg, struct context *c)
{
	struct stream *s;
	int err;

	err = nla_put_u8(msg, RTPFWD_A_SUITE, c->keys->suite);
	err = err ?: nla_put_u64_64bit(msg, RTPFWD_A_COOKIE, c->cookie, RTPFWD_A_PAD);
	err = err ?: nla_put_u32(msg, RTPFWD_A_OVERLAP, c->overlap);
	err = err ?: put_counters(msg, c);
	list_for_each_entry(s, &c->keys->streams, entry)
		err = err ?: put_stream(msg, s);
	return err;
}

int dump_context(struct sk_buff *msg, struct context *c)
{
	int err;

	err = nla_put_u32(msg, RTPFWD_A_ID, c->id);
	err = err ?: nla_put_u8(msg, RTPFWD_A_DIRECTION, c->direction);
	err = err ?: nla_put_u8(msg, RTPFWD_A_PINNED, READ_ONCE(c->pinned));
	if (err)
		return err;
	spin_lock_bh(&c->lock);
	err = put_locked(msg, c);
	spin_unlock_bh(&c->lock);
	return err;
}
