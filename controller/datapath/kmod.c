// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/kmod.h"

#include "lib/log.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPES	  "/sys/kernel/btf/rtpfwd"
#define SALT_CM	  14 /* RFC 3711 4.1.1 */
#define SALT_AEAD 12 /* RFC 7714 8.1 */

struct kmod {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t sequence;
	char said[128];	   /* by the kernel, of the last error */
	struct log_limit limit; /* of lines: where it is full every call has some */
	char out[512];	   /* the one request under way: it holds keys for a moment */
	/* One netlink datagram: NLMSG_GOODSIZE at most, or the longest packet. */
	char buffer[RTPFWD_MAX_PACKET + RTPFWD_MAX_GROWTH + 64];
};

bool kmod_present(void)
{
	return !access(TYPES, F_OK);
}

static bool is_aead(uint8_t suite)
{
	return suite == RTPFWD_AEAD_AES_128_GCM || suite == RTPFWD_AEAD_AES_256_GCM;
}

unsigned int kmod_overhead(uint8_t suite, bool rtcp)
{
	unsigned int word = rtcp ? 4 : 0; /* E and the index (RFC 3711 3.4) */

	if (is_aead(suite))
		return word + 16;
	return word + (suite == RTPFWD_AES_CM_128_HMAC_SHA1_32 && !rtcp ? 4 : 10);
}

static struct nlmsghdr *begin(struct kmod *k, uint16_t type, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(k->out);
	struct genlmsghdr *head;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++k->sequence;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->cmd = command;
	head->version = RTPFWD_NL_VERSION;
	return nlh;
}

struct answer {
	struct kmod *k;
	void (*each)(void *ctx, const struct nlmsghdr *nlh);
	void *ctx;
	bool alone; /* no acknowledgement was asked for */
};

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct answer *answer = data;

	if (answer->each)
		answer->each(answer->ctx, nlh);
	return answer->alone ? MNL_CB_STOP : MNL_CB_OK;
}

static int on_word(const struct nlattr *attr, void *data)
{
	struct kmod *k = data;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
		snprintf(k->said, sizeof(k->said), ": %s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

/* An acknowledgement, or an error with what the kernel says of it. */
static int on_verdict(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);
	struct answer *answer = data;
	size_t words = sizeof(*error);

	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		words += error->msg.nlmsg_len - sizeof(error->msg);
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_parse(nlh, (unsigned int)words, on_word, answer->k);
	errno = -error->error;
	return error->error ? MNL_CB_ERROR : MNL_CB_STOP;
}

static int receive(struct answer *answer)
{
	/* Not as long as NLMSG_DONE, to which libmnl has an answer of its own. */
	mnl_cb_t controls[NLMSG_ERROR + 1] = { [NLMSG_ERROR] = on_verdict };
	struct kmod *k = answer->k;
	int left = MNL_CB_OK;

	while (left > 0) {
		ssize_t n = mnl_socket_recvfrom(k->socket, k->buffer, sizeof(k->buffer));

		if (n < 0)
			return -errno;
		left = mnl_cb_run2(k->buffer, (size_t)n, k->sequence,
				   mnl_socket_get_portid(k->socket), on_message, answer, controls,
				   NLMSG_ERROR + 1);
		if (left < 0 && errno == EPROTO) /* the late answer to an earlier request */
			left = MNL_CB_OK;
	}
	return left < 0 ? -errno : 0;
}

/* Sends the request that is in k->out, and forgets it. */
static int transact(struct kmod *k, const struct nlmsghdr *nlh,
		    void (*each)(void *ctx, const struct nlmsghdr *nlh), void *ctx)
{
	struct answer answer = { k, each, ctx, false };
	ssize_t sent = mnl_socket_sendto(k->socket, nlh, nlh->nlmsg_len);
	int err = sent < 0 ? -errno : 0;

	explicit_bzero(k->out, sizeof(k->out));
	k->said[0] = '\0';
	return err ? err : receive(&answer);
}

static int complain(struct kmod *k, const char *what, int err)
{
	unsigned long missed;

	if (err && log_allowed(&k->limit, &missed))
		log_error("rtpfwd.ko: cannot %s: %s%s (%lu more unseen)", what, strerror(-err),
			  k->said, missed);
	return err;
}

static int on_family_attribute(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static void on_family(void *ctx, const struct nlmsghdr *nlh)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_family_attribute, ctx);
}

static int find_family(struct kmod *k)
{
	struct nlmsghdr *nlh = begin(k, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	int err;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, RTPFWD_NL_FAMILY);
	err = transact(k, nlh, on_family, &k->family);
	return err ? err : k->family ? 0 : -ENOENT;
}

int kmod_socket(void)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), err;

	if (fd >= 0 && !bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* Errors come with words, and without the request. */
static void set_socket(struct kmod *k)
{
	const struct timeval second = { .tv_sec = 1 };
	int on = 1;

	mnl_socket_setsockopt(k->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(k->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(k->socket), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
}

int kmod_open_given(struct kmod **out, int fd)
{
	struct kmod *k = calloc(1, sizeof(*k));
	int err;

	if (k) {
		k->limit = (struct log_limit){ .per_s = 1, .burst = 8 };
		k->socket = mnl_socket_fdopen(fd);
	}
	if (!k || !k->socket) {
		err = k ? -errno : -ENOMEM;
		close(fd);
		free(k);
		return err;
	}
	set_socket(k);
	err = find_family(k);
	if (err)
		kmod_close(k);
	else
		*out = k;
	return err;
}

int kmod_open(struct kmod **out)
{
	int fd = kmod_socket();

	return fd < 0 ? fd : kmod_open_given(out, fd);
}

void kmod_close(struct kmod *k)
{
	if (!k)
		return;
	if (k->socket)
		mnl_socket_close(k->socket);
	free(k);
}

static void put_keys(struct nlmsghdr *nlh, const struct flow_crypt *keys)
{
	size_t key = keys->suite == RTPFWD_AEAD_AES_256_GCM ? 32 : 16;

	mnl_attr_put_u8(nlh, RTPFWD_A_SUITE, keys->suite);
	mnl_attr_put(nlh, RTPFWD_A_KEY, key, keys->key);
	mnl_attr_put(nlh, RTPFWD_A_SALT, is_aead(keys->suite) ? SALT_AEAD : SALT_CM,
		     keys->key + key);
}

static int on_attribute(const struct nlattr *attr, void *data)
{
	struct kmod_context *c = data;

	switch (mnl_attr_get_type(attr)) {
	case RTPFWD_A_ID:
		c->id = mnl_attr_get_u32(attr);
		break;
	case RTPFWD_A_DIRECTION:
		c->direction = mnl_attr_get_u8(attr);
		break;
	case RTPFWD_A_SUITE:
		c->suite = mnl_attr_get_u8(attr);
		break;
	case RTPFWD_A_COOKIE:
		c->cookie = mnl_attr_get_u64(attr);
		break;
	}
	return MNL_CB_OK;
}

static struct kmod_context read_context(const struct nlmsghdr *nlh)
{
	struct kmod_context c = { 0 };

	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_attribute, &c);
	return c;
}

static void on_added(void *ctx, const struct nlmsghdr *nlh)
{
	*(uint32_t *)ctx = read_context(nlh).id;
}

int kmod_add(struct kmod *k, uint32_t *id, enum rtpfwd_direction direction,
	     const struct flow_crypt *keys, uint64_t cookie)
{
	struct nlmsghdr *nlh = begin(k, k->family, RTPFWD_CMD_ADD, NLM_F_ACK);

	mnl_attr_put_u8(nlh, RTPFWD_A_DIRECTION, (uint8_t)direction);
	put_keys(nlh, keys);
	mnl_attr_put_u64(nlh, RTPFWD_A_COOKIE, cookie);
	mnl_attr_put_u8(nlh, RTPFWD_A_PINNED, 1);
	*id = 0;
	return complain(k, "add a context", transact(k, nlh, on_added, id));
}

int kmod_change(struct kmod *k, uint32_t id, const struct flow_crypt *keys)
{
	struct nlmsghdr *nlh = begin(k, k->family, RTPFWD_CMD_CHANGE, NLM_F_ACK);

	mnl_attr_put_u32(nlh, RTPFWD_A_ID, id);
	put_keys(nlh, keys);
	return complain(k, "change the keys of a context", transact(k, nlh, NULL, NULL));
}

int kmod_delete(struct kmod *k, uint32_t id)
{
	struct nlmsghdr *nlh = begin(k, k->family, RTPFWD_CMD_DELETE, NLM_F_ACK);

	mnl_attr_put_u32(nlh, RTPFWD_A_ID, id);
	return complain(k, "delete a context", transact(k, nlh, NULL, NULL));
}

struct listener {
	void (*each)(void *ctx, const struct kmod_context *c);
	void *ctx;
};

static void on_context(void *ctx, const struct nlmsghdr *nlh)
{
	struct kmod_context c = read_context(nlh);
	struct listener *listener = ctx;

	listener->each(listener->ctx, &c);
}

int kmod_each(struct kmod *k, void (*each)(void *ctx, const struct kmod_context *c), void *ctx)
{
	struct nlmsghdr *nlh = begin(k, k->family, RTPFWD_CMD_GET, NLM_F_DUMP);
	struct listener listener = { each, ctx };

	return complain(k, "list the contexts", transact(k, nlh, on_context, &listener));
}

struct passed {
	uint8_t *packet;
	uint32_t room; /* from there on */
	int length;    /* of what came back */
};

static int on_passed_attribute(const struct nlattr *attr, void *data)
{
	uint32_t length = mnl_attr_get_payload_len(attr);
	struct passed *p = data;

	if (mnl_attr_get_type(attr) != RTPFWD_A_PACKET)
		return MNL_CB_OK;
	p->length = -ENOSPC;
	if (length > p->room)
		return MNL_CB_OK;
	memcpy(p->packet, mnl_attr_get_payload(attr), length);
	p->length = (int)length;
	return MNL_CB_OK;
}

static void on_passed(void *ctx, const struct nlmsghdr *nlh)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_passed_attribute, ctx);
}

/* The request, its last attribute's payload from where it lies. */
static int send_packet(const struct kmod *k, struct nlmsghdr *nlh, uint8_t *packet, uint32_t length)
{
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	uint8_t padding[MNL_ALIGNTO] = { 0 };
	struct nlattr *attr = mnl_nlmsg_get_payload_tail(nlh);
	struct iovec parts[] = { { nlh, nlh->nlmsg_len + MNL_ATTR_HDRLEN },
				 { packet, length },
				 { padding, MNL_ALIGN(length) - length } };
	const struct msghdr msg = { .msg_name = (void *)&kernel,
				    .msg_namelen = sizeof(kernel),
				    .msg_iov = parts,
				    .msg_iovlen = 3 };

	attr->nla_type = RTPFWD_A_PACKET;
	attr->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + length);
	nlh->nlmsg_len += MNL_ATTR_HDRLEN + MNL_ALIGN(length);
	return sendmsg(mnl_socket_get_fd(k->socket), &msg, 0) < 0 ? -errno : 0;
}

int kmod_packet(struct kmod *k, uint32_t id, enum rtpfwd_direction direction, uint8_t *packet,
		uint32_t length, uint32_t room)
{
	struct nlmsghdr *nlh = begin(k, k->family, RTPFWD_CMD_PACKET, 0);
	struct passed passed = { packet, length + room, -EPROTO };
	struct answer answer = { k, on_passed, &passed, true };
	int err;

	if (length > RTPFWD_MAX_PACKET)
		return -EPROTO;
	mnl_attr_put_u32(nlh, RTPFWD_A_ID, id);
	mnl_attr_put_u8(nlh, RTPFWD_A_DIRECTION, (uint8_t)direction);
	err = send_packet(k, nlh, packet, length);
	if (!err)
		err = receive(&answer);
	return err ? err : passed.length;
}
