// SPDX-License-Identifier: GPL-2.0-only
/* The family. A command is checked whole before anything of it is done. */
#include "netlink.h"

#include <linux/netlink.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "context.h"
#include "dump.h"
#include "srtp.h"

static struct netlink_range_validation any_id __ro_after_init = { .min = 1, .max = U32_MAX };
static struct netlink_range_validation any_overlap __ro_after_init = { .max = RTPFWD_MAX_OVERLAP };
static struct netlink_range_validation any_packet __ro_after_init = {
	.min = 1,
	.max = RTPFWD_MAX_PACKET,
};
static struct netlink_range_validation any_rtp __ro_after_init = { .max = INDEX_RTP_END - 1 };
static struct netlink_range_validation any_rtcp __ro_after_init = { .max = INDEX_RTCP_END - 1 };

static const struct nla_policy stream_policy[RTPFWD_S_END] = {
	[RTPFWD_S_SSRC] = { .type = NLA_U32 },
	[RTPFWD_S_RTP_INDEX] = NLA_POLICY_FULL_RANGE(NLA_U64, &any_rtp),
	[RTPFWD_S_RTCP_INDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &any_rtcp),
};

#define ID_POLICY [RTPFWD_A_ID] = NLA_POLICY_FULL_RANGE(NLA_U32, &any_id)
#define KEY_POLICIES                                                                               \
	[RTPFWD_A_SUITE] = NLA_POLICY_RANGE(NLA_U8, 1, RTPFWD_SUITE_END - 1),                      \
	[RTPFWD_A_KEY] = NLA_POLICY_RANGE(NLA_BINARY, 16, SRTP_MAX_KEY),                           \
	[RTPFWD_A_SALT] = NLA_POLICY_RANGE(NLA_BINARY, 12, SRTP_MAX_SALT)
#define SETTING_POLICIES                                                                           \
	[RTPFWD_A_COOKIE] = { .type = NLA_U64 },                                                   \
	[RTPFWD_A_PINNED] = NLA_POLICY_MAX(NLA_U8, 1),                                             \
	[RTPFWD_A_OVERLAP] = NLA_POLICY_FULL_RANGE(NLA_U32, &any_overlap)

#define DIRECTION_POLICY                                                                           \
	[RTPFWD_A_DIRECTION] = NLA_POLICY_RANGE(NLA_U8, RTPFWD_PROTECT, RTPFWD_UNPROTECT)

/* An attribute that is not in the policy of its command is an error. */
static const struct nla_policy add_policy[RTPFWD_A_END] = {
	DIRECTION_POLICY,
	KEY_POLICIES,
	SETTING_POLICIES,
	[RTPFWD_A_STREAM] = NLA_POLICY_NESTED(stream_policy),
};

static const struct nla_policy change_policy[RTPFWD_A_END] = {
	ID_POLICY,
	KEY_POLICIES,
	SETTING_POLICIES,
	[RTPFWD_A_KEEP_ROLLOVER] = { .type = NLA_FLAG },
};

static const struct nla_policy id_policy[RTPFWD_A_END] = {
	ID_POLICY,
};

static const struct nla_policy packet_policy[RTPFWD_A_END] = {
	ID_POLICY,
	DIRECTION_POLICY,
	[RTPFWD_A_PACKET] = NLA_POLICY_FULL_RANGE(NLA_BINARY, &any_packet),
};

static struct genl_family family;

static int check_size(struct genl_info *info, int attribute, u32 due)
{
	const struct nlattr *a = info->attrs[attribute];

	if (nla_len(a) == due)
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, a, "Key or salt is not as long as the suite has it");
	return -EINVAL;
}

/* The message stays in memory for a while, and goes back with an error: without its keys. */
static void wipe(struct genl_info *info)
{
	struct nlattr *a;
	int rest;

	nlmsg_for_each_attr(a, info->nlhdr, GENL_HDRLEN, rest) {
		if (nla_type(a) == RTPFWD_A_KEY || nla_type(a) == RTPFWD_A_SALT)
			memzero_explicit(nla_data(a), nla_len(a));
	}
}

static int make_keys(struct keys **k, struct genl_info *info)
{
	const struct cipher_suite *how;
	u8 suite;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, RTPFWD_A_SUITE) || GENL_REQ_ATTR_CHECK(info, RTPFWD_A_KEY) ||
	    GENL_REQ_ATTR_CHECK(info, RTPFWD_A_SALT))
		return -EINVAL;
	suite = nla_get_u8(info->attrs[RTPFWD_A_SUITE]);
	how = cipher_suite(suite);
	err = check_size(info, RTPFWD_A_KEY, how->key_size);
	err = err ?: check_size(info, RTPFWD_A_SALT, how->salt_size);
	if (err)
		return err;
	err = keys_make(k, suite, nla_data(info->attrs[RTPFWD_A_KEY]),
			nla_data(info->attrs[RTPFWD_A_SALT]));
	if (err == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "The kernel lacks ctr(aes), gcm(aes) or hmac(sha1)");
	return err;
}

static int resume_stream(struct keys *k, const struct nlattr *nest, struct netlink_ext_ack *extack)
{
	struct nlattr *tb[RTPFWD_S_END];
	struct stream *s;
	u32 ssrc;
	int err;

	err = nla_parse_nested(tb, RTPFWD_S_END - 1, nest, stream_policy, extack);
	if (err)
		return err;
	if (NL_REQ_ATTR_CHECK(extack, nest, tb, RTPFWD_S_SSRC))
		return -EINVAL;
	ssrc = nla_get_u32(tb[RTPFWD_S_SSRC]);
	if (keys_find(k, ssrc)) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "SSRC given twice");
		return -EINVAL;
	}
	err = keys_add_stream(&s, k, ssrc);
	if (err) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "Too many senders, or out of memory");
		return err;
	}
	if (tb[RTPFWD_S_RTP_INDEX])
		index_resume(&s->rtp, nla_get_u64(tb[RTPFWD_S_RTP_INDEX]));
	if (tb[RTPFWD_S_RTCP_INDEX])
		index_resume(&s->rtcp, nla_get_u32(tb[RTPFWD_S_RTCP_INDEX]));
	return 0;
}

static int resume_streams(struct keys *k, struct genl_info *info)
{
	const struct nlattr *a;
	int rest, err = 0;

	nlmsg_for_each_attr(a, info->nlhdr, GENL_HDRLEN, rest) {
		if (nla_type(a) == RTPFWD_A_STREAM)
			err = err ?: resume_stream(k, a, info->extack);
	}
	return err;
}

static void apply_settings(struct context *c, struct genl_info *info)
{
	spin_lock_bh(&c->lock);
	if (info->attrs[RTPFWD_A_COOKIE])
		c->cookie = nla_get_u64(info->attrs[RTPFWD_A_COOKIE]);
	if (info->attrs[RTPFWD_A_OVERLAP])
		c->overlap = nla_get_u32(info->attrs[RTPFWD_A_OVERLAP]);
	spin_unlock_bh(&c->lock);
}

static int make_context(struct context **c, struct genl_info *info)
{
	struct keys *k;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, RTPFWD_A_DIRECTION))
		return -EINVAL;
	err = make_keys(&k, info);
	if (err)
		return err;
	err = resume_streams(k, info);
	if (err) {
		keys_free(k);
		return err;
	}
	err = context_make(c, nla_get_u8(info->attrs[RTPFWD_A_DIRECTION]), k);
	if (err)
		return err;
	(*c)->portid = info->snd_portid;
	if (info->attrs[RTPFWD_A_PINNED])
		(*c)->pinned = nla_get_u8(info->attrs[RTPFWD_A_PINNED]);
	apply_settings(*c, info);
	return 0;
}

static int reply(struct genl_info *info, struct context *c,
		 int (*fill)(struct sk_buff *, struct context *))
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *head;
	int err;

	if (!msg)
		return -ENOMEM;
	head = genlmsg_put_reply(msg, info, &family, 0, info->genlhdr->cmd);
	err = head ? fill(msg, c) : -EMSGSIZE;
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, head);
	return genlmsg_reply(msg, info);
}

static int put_id(struct sk_buff *msg, struct context *c)
{
	return nla_put_u32(msg, RTPFWD_A_ID, c->id);
}

static int add(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct context *c;
	int err;

	err = make_context(&c, info);
	wipe(info);
	if (err)
		return err;
	err = context_insert(net, c);
	if (err == -ENOSPC)
		NL_SET_ERR_MSG(info->extack, "Too many contexts in this network namespace");
	if (!err) {
		err = reply(info, c, put_id);
		if (err) /* its id is not known to anyone */
			context_remove(net, c);
	}
	context_put(c);
	return err;
}

/* The context that a command names, with a reference. */
static int named(struct context **c, struct genl_info *info)
{
	const struct nlattr *id = info->attrs[RTPFWD_A_ID];

	if (GENL_REQ_ATTR_CHECK(info, RTPFWD_A_ID))
		return -EINVAL;
	*c = context_get(genl_info_net(info), nla_get_u32(id));
	if (*c)
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, id, "No such context in this network namespace");
	return -ENOENT;
}

static bool changes_keys(const struct genl_info *info)
{
	return info->attrs[RTPFWD_A_SUITE] || info->attrs[RTPFWD_A_KEY] ||
	       info->attrs[RTPFWD_A_SALT] || info->attrs[RTPFWD_A_KEEP_ROLLOVER];
}

static int change_context(struct context *c, struct genl_info *info)
{
	const struct nlattr *keep = info->attrs[RTPFWD_A_KEEP_ROLLOVER];
	const struct nlattr *pinned = info->attrs[RTPFWD_A_PINNED];
	struct keys *k = NULL;
	int err = 0;

	if (keep && c->direction != RTPFWD_PROTECT) {
		NL_SET_ERR_MSG_ATTR(info->extack, keep, "Only a sender decides that");
		return -EINVAL;
	}
	if (changes_keys(info))
		err = make_keys(&k, info);
	if (!err && pinned)
		err = context_own(genl_info_net(info), c, nla_get_u8(pinned), info->snd_portid);
	if (err) {
		keys_free(k);
		return err;
	}
	apply_settings(c, info);
	if (k)
		context_rekey(c, k, keep);
	return 0;
}

static int change(struct sk_buff *skb, struct genl_info *info)
{
	struct context *c;
	int err;

	err = named(&c, info);
	if (!err) {
		err = change_context(c, info);
		context_put(c);
	}
	wipe(info);
	return err;
}

static int remove(struct sk_buff *skb, struct genl_info *info)
{
	struct context *c;
	int err;

	err = named(&c, info);
	if (err)
		return err;
	context_remove(genl_info_net(info), c);
	context_put(c);
	return 0;
}

static int get(struct sk_buff *skb, struct genl_info *info)
{
	struct context *c;
	int err;

	err = named(&c, info);
	if (err)
		return err;
	err = reply(info, c, dump_context);
	context_put(c);
	return err;
}

/* A socket that an administrator opened is all that this needs: see RTPFWD_CMD_PACKET. */
static bool is_admins(struct sk_buff *skb, struct genl_info *info)
{
	return file_ns_capable(NETLINK_CB(skb).sk->sk_socket->file, genl_info_net(info)->user_ns,
			       CAP_NET_ADMIN);
}

/* In the answer's memory: a long request's may be no one piece, which is what ciphers ask for. */
static int put_packet(struct sk_buff *msg, struct context *c, const struct nlattr *packet)
{
	u32 length = nla_len(packet);
	struct nlattr *out;
	int now;

	out = nla_reserve(msg, RTPFWD_A_PACKET, length + RTPFWD_MAX_GROWTH);
	if (!out)
		return -EMSGSIZE;
	memcpy(nla_data(out), nla_data(packet), length);
	memset(nla_data(out) + length, 0, RTPFWD_MAX_GROWTH);
	if (c->direction == RTPFWD_PROTECT)
		now = srtp_protect(c, nla_data(out), length, RTPFWD_MAX_GROWTH);
	else
		now = srtp_unprotect(c, nla_data(out), length);
	if (now < 0)
		return now;
	out->nla_len = nla_attr_size(now);
	nlmsg_trim(msg, (u8 *)out + nla_total_size(now));
	return 0;
}

static int answer_packet(struct genl_info *info, struct context *c)
{
	const struct nlattr *packet = info->attrs[RTPFWD_A_PACKET];
	struct sk_buff *msg;
	void *head;
	int err;

	if (c->direction != nla_get_u8(info->attrs[RTPFWD_A_DIRECTION]))
		return -EPERM;
	msg = genlmsg_new(nla_total_size(nla_len(packet) + RTPFWD_MAX_GROWTH), GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	head = genlmsg_put_reply(msg, info, &family, 0, info->genlhdr->cmd);
	err = head ? put_packet(msg, c, packet) : -EMSGSIZE;
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, head);
	return genlmsg_reply(msg, info);
}

static int packet(struct sk_buff *skb, struct genl_info *info)
{
	struct context *c;
	int err;

	if (!is_admins(skb, info))
		return -EPERM;
	if (GENL_REQ_ATTR_CHECK(info, RTPFWD_A_DIRECTION) ||
	    GENL_REQ_ATTR_CHECK(info, RTPFWD_A_PACKET))
		return -EINVAL;
	err = named(&c, info);
	if (err)
		return err;
	err = answer_packet(info, c);
	context_put(c);
	return err;
}

static int put_one(struct sk_buff *msg, struct netlink_callback *cb, struct context *c)
{
	void *head = genlmsg_put(msg, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &family,
				 NLM_F_MULTI, RTPFWD_CMD_GET);

	if (!head)
		return -EMSGSIZE;
	if (dump_context(msg, c)) {
		genlmsg_cancel(msg, head);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, head);
	return 0;
}

/* cb->args[0]: the id to go on with. */
static int get_all(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct net *net = sock_net(msg->sk);
	unsigned long id = cb->args[0];
	struct context *c;

	rcu_read_lock();
	for (; (c = context_next(net, &id)); id++) {
		if (put_one(msg, cb, c))
			break;
	}
	rcu_read_unlock();
	cb->args[0] = c ? id : CONTEXT_MAX_ID + 1UL;
	return msg->len;
}

static const struct genl_ops ops[] = {
	{
		.cmd = RTPFWD_CMD_ADD,
		.doit = add,
		.policy = add_policy,
		.maxattr = RTPFWD_A_END - 1,
		.flags = GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd = RTPFWD_CMD_CHANGE,
		.doit = change,
		.policy = change_policy,
		.maxattr = RTPFWD_A_END - 1,
		.flags = GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd = RTPFWD_CMD_DELETE,
		.doit = remove,
		.policy = id_policy,
		.maxattr = RTPFWD_A_END - 1,
		.flags = GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd = RTPFWD_CMD_GET,
		.doit = get,
		.dumpit = get_all,
		.policy = id_policy,
		.maxattr = RTPFWD_A_END - 1,
		.flags = GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd = RTPFWD_CMD_PACKET,
		.doit = packet,
		.policy = packet_policy,
		.maxattr = RTPFWD_A_END - 1,
	},
};

static struct genl_family family __ro_after_init = {
	.name = RTPFWD_NL_FAMILY,
	.version = RTPFWD_NL_VERSION,
	.netnsok = true,
	.module = THIS_MODULE,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.resv_start_op = RTPFWD_CMD_END,
	.parallel_ops = true, /* packets do not wait for other families; all here has locks */
};

static int closed(struct notifier_block *block, unsigned long event, void *data)
{
	const struct netlink_notify *n = data;

	if (event == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC)
		context_orphan(n->net, n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block on_close = { .notifier_call = closed };

int netlink_init(void)
{
	int err;

	err = netlink_register_notifier(&on_close);
	if (err)
		return err;
	err = genl_register_family(&family);
	if (err)
		netlink_unregister_notifier(&on_close);
	return err;
}

void netlink_exit(void)
{
	genl_unregister_family(&family);
	netlink_unregister_notifier(&on_close);
}
