// SPDX-License-Identifier: GPL-2.0-or-later
/* Control of the module as the tests use it: libmnl, and every answer looked at. */
#include "lab.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER 131072

struct nl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t sequence;
	char why[256];
	size_t told;
	uint8_t out[BUFFER], in[BUFFER];
};

uint16_t control_family(const struct nl *nl)
{
	return nl->family;
}

const char *control_why(const struct nl *nl)
{
	return nl->why;
}

bool control_has_told(const struct nl *nl, const void *bytes, size_t size)
{
	return memmem(nl->in, nl->told, bytes, size);
}

uint32_t control_portid(const struct nl *nl)
{
	return mnl_socket_get_portid(nl->socket);
}

static struct nlmsghdr *begin(struct nl *nl, uint16_t family, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->out);
	struct genlmsghdr *g;

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = ++nl->sequence;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->cmd = command;
	g->version = family == GENL_ID_CTRL ? 2 : RTPFWD_NL_VERSION;
	return h;
}

static int collect_why(const struct nlattr *a, void *data)
{
	struct nl *nl = data;

	if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG)
		snprintf(nl->why, sizeof(nl->why), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

/* An error message: 0 for an ACK. */
static int verdict(struct nl *nl, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t offset = sizeof(*e);

	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		offset += e->msg.nlmsg_len - sizeof(e->msg);
	if (h->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_parse(h, offset, collect_why, nl);
	return e->error;
}

/* Takes answers until the ACK, the error or the end of a dump. */
static int receive(struct nl *nl, int (*each)(const struct nlmsghdr *, void *), void *ctx)
{
	nl->why[0] = 0;
	for (;;) {
		int size = (int)mnl_socket_recvfrom(nl->socket, nl->in, sizeof(nl->in));
		struct nlmsghdr *h = (void *)nl->in;

		if (size < 0)
			return -errno;
		nl->told = (size_t)size;
		for (; mnl_nlmsg_ok(h, size); h = mnl_nlmsg_next(h, &size)) {
			if (h->nlmsg_type == NLMSG_ERROR)
				return verdict(nl, h);
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (each)
				each(h, ctx);
		}
	}
}

static int transact(struct nl *nl, struct nlmsghdr *h, int (*each)(const struct nlmsghdr *, void *),
		    void *ctx)
{
	if (mnl_socket_sendto(nl->socket, h, h->nlmsg_len) < 0)
		return -errno;
	return receive(nl, each, ctx);
}

int control_send_raw(struct nl *nl, const void *message, size_t size)
{
	if (mnl_socket_sendto(nl->socket, message, size) < 0)
		return -errno;
	return receive(nl, NULL, NULL);
}

static int family_attribute(const struct nlattr *a, void *data)
{
	struct nl *nl = data;

	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
		nl->family = mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int family_message(const struct nlmsghdr *h, void *data)
{
	return mnl_attr_parse(h, sizeof(struct genlmsghdr), family_attribute, data);
}

struct nl *control_try(void)
{
	struct nl *nl = calloc(1, sizeof(*nl));
	struct nlmsghdr *h;
	int on = 1;

	assert_non_null(nl);
	nl->socket = mnl_socket_open(NETLINK_GENERIC);
	assert_non_null(nl->socket);
	assert_int_equal(mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID), 0);
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	h = begin(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, RTPFWD_NL_FAMILY);
	if (!transact(nl, h, family_message, nl))
		return nl;
	control_close(nl);
	return NULL;
}

struct nl *control_open(void)
{
	struct nl *nl = control_try();

	assert_non_null(nl);
	return nl;
}

void control_close(struct nl *nl)
{
	mnl_socket_close(nl->socket);
	free(nl);
}

static void put_secret(struct nlmsghdr *h, uint16_t type, const uint8_t *bytes, int size, int due)
{
	if (bytes && size >= 0)
		mnl_attr_put(h, type, size ? size : due, bytes);
}

static void put_keys(struct nlmsghdr *h, const struct context_spec *s)
{
	bool gcm = s->suite >= RTPFWD_AEAD_AES_128_GCM;

	if (s->suite)
		mnl_attr_put_u8(h, RTPFWD_A_SUITE, s->suite);
	put_secret(h, RTPFWD_A_KEY, s->key, s->key_size,
		   s->suite == RTPFWD_AEAD_AES_256_GCM ? 32 : 16);
	put_secret(h, RTPFWD_A_SALT, s->salt, s->salt_size, gcm ? 12 : 14);
	if (s->keep)
		mnl_attr_put(h, RTPFWD_A_KEEP_ROLLOVER, 0, NULL);
}

static void put_spec(struct nlmsghdr *h, const struct context_spec *s)
{
	if (s->id)
		mnl_attr_put_u32(h, RTPFWD_A_ID, s->id);
	if (s->direction)
		mnl_attr_put_u8(h, RTPFWD_A_DIRECTION, s->direction);
	put_keys(h, s);
	if (s->cookie)
		mnl_attr_put_u64(h, RTPFWD_A_COOKIE, s->cookie);
	if (s->pinned)
		mnl_attr_put_u8(h, RTPFWD_A_PINNED, s->pinned == 1);
	if (s->overlap)
		mnl_attr_put_u32(h, RTPFWD_A_OVERLAP, (uint32_t)(s->overlap - 1));
	for (int i = 0; i < s->n_streams; i++) {
		struct nlattr *nest = mnl_attr_nest_start(h, RTPFWD_A_STREAM);

		mnl_attr_put_u32(h, RTPFWD_S_SSRC, s->streams[i].ssrc);
		if (s->streams[i].rtp >= 0)
			mnl_attr_put_u64(h, RTPFWD_S_RTP_INDEX, (uint64_t)s->streams[i].rtp);
		if (s->streams[i].rtcp >= 0)
			mnl_attr_put_u32(h, RTPFWD_S_RTCP_INDEX, (uint32_t)s->streams[i].rtcp);
		mnl_attr_nest_end(h, nest);
	}
}

static int stream_attribute(const struct nlattr *a, void *data)
{
	struct lab_stream *s = data;

	if (mnl_attr_get_type(a) == RTPFWD_S_SSRC)
		s->ssrc = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == RTPFWD_S_RTP_INDEX)
		s->rtp = (int64_t)mnl_attr_get_u64(a);
	else if (mnl_attr_get_type(a) == RTPFWD_S_RTCP_INDEX)
		s->rtcp = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int counter_attribute(const struct nlattr *a, void *data)
{
	uint64_t *counters = data;
	unsigned int type = mnl_attr_get_type(a);

	if (type >= 1 && type <= RTPFWD_C_END)
		counters[type - 1] = mnl_attr_get_u64(a);
	return MNL_CB_OK;
}

static void take_stream(struct context_info *info, const struct nlattr *a)
{
	assert_true(info->n_streams < RTPFWD_MAX_STREAMS);
	info->streams[info->n_streams] = (struct lab_stream){ .rtp = -1, .rtcp = -1 };
	mnl_attr_parse_nested(a, stream_attribute, &info->streams[info->n_streams++]);
}

static int context_attribute(const struct nlattr *a, void *data)
{
	struct context_info *info = data;

	switch (mnl_attr_get_type(a)) {
	case RTPFWD_A_ID:
		info->id = mnl_attr_get_u32(a);
		break;
	case RTPFWD_A_DIRECTION:
		info->direction = mnl_attr_get_u8(a);
		break;
	case RTPFWD_A_SUITE:
		info->suite = mnl_attr_get_u8(a);
		break;
	case RTPFWD_A_PINNED:
		info->pinned = mnl_attr_get_u8(a);
		break;
	case RTPFWD_A_COOKIE:
		info->cookie = mnl_attr_get_u64(a);
		break;
	case RTPFWD_A_OVERLAP:
		info->overlap = mnl_attr_get_u32(a);
		break;
	case RTPFWD_A_STREAM:
		take_stream(info, a);
		break;
	case RTPFWD_A_COUNTERS:
		mnl_attr_parse_nested(a, counter_attribute, info->counters);
		break;
	default:
		info->keys_told |= mnl_attr_get_type(a) != RTPFWD_A_PAD;
	}
	return MNL_CB_OK;
}

static int context_message(const struct nlmsghdr *h, void *data)
{
	memset(data, 0, sizeof(struct context_info));
	return mnl_attr_parse(h, sizeof(struct genlmsghdr), context_attribute, data);
}

int control_add(struct nl *nl, const struct context_spec *spec, uint32_t *id)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_ADD, 0);
	struct context_info info = { 0 };
	int err;

	put_spec(h, spec);
	err = transact(nl, h, context_message, &info);
	if (!err && id)
		*id = info.id;
	return err;
}

int control_change(struct nl *nl, const struct context_spec *spec)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_CHANGE, 0);

	put_spec(h, spec);
	return transact(nl, h, NULL, NULL);
}

int control_delete(struct nl *nl, uint32_t id)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_DELETE, 0);

	mnl_attr_put_u32(h, RTPFWD_A_ID, id);
	return transact(nl, h, NULL, NULL);
}

int control_get(struct nl *nl, uint32_t id, struct context_info *info)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_GET, 0);

	mnl_attr_put_u32(h, RTPFWD_A_ID, id);
	return transact(nl, h, context_message, info);
}

struct passed {
	uint8_t *packet;
	int length;
};

static int packet_attribute(const struct nlattr *a, void *data)
{
	struct passed *p = data;

	assert_int_equal(mnl_attr_get_type(a), RTPFWD_A_PACKET);
	p->length = mnl_attr_get_payload_len(a);
	memcpy(p->packet, mnl_attr_get_payload(a), (size_t)p->length);
	return MNL_CB_OK;
}

static int packet_message(const struct nlmsghdr *h, void *data)
{
	return mnl_attr_parse(h, sizeof(struct genlmsghdr), packet_attribute, data);
}

int control_packet(struct nl *nl, uint32_t id, uint8_t direction, uint8_t *packet, int length)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_PACKET, 0);
	struct passed p = { packet, -1 };
	int err;

	if (id)
		mnl_attr_put_u32(h, RTPFWD_A_ID, id);
	if (direction)
		mnl_attr_put_u8(h, RTPFWD_A_DIRECTION, direction);
	if (packet)
		mnl_attr_put(h, RTPFWD_A_PACKET, (size_t)length, packet);
	err = transact(nl, h, packet_message, &p);
	return err ? err : p.length;
}

static int count_message(const struct nlmsghdr *h, void *data)
{
	struct context_info info;

	context_message(h, &info);
	assert_int_not_equal(info.id, 0);
	assert_false(info.keys_told);
	++*(int *)data;
	return MNL_CB_OK;
}

int control_count(struct nl *nl)
{
	struct nlmsghdr *h = begin(nl, nl->family, RTPFWD_CMD_GET, NLM_F_DUMP);
	int count = 0, err;

	err = transact(nl, h, count_message, &count);
	return err ? err : count;
}

uint32_t lab_add(struct nl *nl, uint8_t direction, uint8_t suite, unsigned int key)
{
	struct context_spec spec = {
		.direction = direction,
		.suite = suite,
		.key = lab_key(key),
		.salt = lab_salt(key),
	};
	uint32_t id = 0;

	assert_int_equal(control_add(nl, &spec, &id), 0);
	assert_int_not_equal(id, 0);
	return id;
}

uint64_t lab_counter(struct nl *nl, uint32_t id, enum rtpfwd_counter counter)
{
	struct context_info info;

	assert_int_equal(control_get(nl, id, &info), 0);
	return info.counters[counter];
}
