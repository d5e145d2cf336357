// SPDX-License-Identifier: GPL-2.0-or-later
/* The conversation with the kernel's nf_tables: a batch there, its faults or its end back. */
#include "datapath/nft.h"
#include "datapath/nft_batch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <sys/time.h>

struct nft {
	struct mnl_socket *socket;
	struct nft_batch batch;
	_Alignas(struct nlmsghdr) char answer[8192];
};

static void *room(struct nft_batch *b)
{
	return b->bytes + b->length;
}

static void begin(struct nft_batch *b)
{
	b->length = 0;
	b->full = false;
	nftnl_batch_begin(room(b), b->seq++);
	nft_batch_add(b, room(b));
}

struct nlmsghdr *nft_batch_message(struct nft_batch *b, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(room(b), type, NFPROTO_INET, flags, b->seq++);
}

void nft_batch_add(struct nft_batch *b, const struct nlmsghdr *nlh)
{
	b->length += MNL_ALIGN(nlh->nlmsg_len);
}

/*
 * Waits for what the kernel says to the messages `first` to `last`: the first fault, or that the
 * last one is done. What is left of an earlier answer is passed over.
 */
static int heed(struct nft *nft, uint32_t first, uint32_t last, mnl_cb_t parse, void *out)
{
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nft->socket, nft->answer, sizeof(nft->answer));
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)nft->answer;

		if (n < 0)
			return -errno;
		for (int left = (int)n; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *fault = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_seq < first || nlh->nlmsg_seq > last)
				continue;
			if (nlh->nlmsg_type != NLMSG_ERROR)
				return parse(nlh, out) == MNL_CB_ERROR ? -EPROTO : 0;
			if (fault->error || nlh->nlmsg_seq == last)
				return fault->error;
		}
	}
}

/* Sends the batch, whose first message has that number; the last one is to be acknowledged. */
static int commit(struct nft *nft, uint32_t first)
{
	struct nft_batch *b = &nft->batch;
	uint32_t last = b->seq - 1;

	if (b->full)
		return -ENOMEM;
	nftnl_batch_end(room(b), b->seq++);
	nft_batch_add(b, room(b));
	if (mnl_socket_sendto(nft->socket, b->bytes, b->length) < 0)
		return -errno;
	return heed(nft, first, last, NULL, NULL);
}

int nft_put(struct nft *nft, const struct nft_table *table)
{
	uint32_t first = nft->batch.seq;

	begin(&nft->batch);
	nft_table_write(&nft->batch, table);
	return commit(nft, first);
}

int nft_remove(struct nft *nft, const char *name)
{
	uint32_t first = nft->batch.seq;

	begin(&nft->batch);
	nft_table_message(&nft->batch, name, NFT_MSG_DELTABLE, NLM_F_ACK);
	return commit(nft, first);
}

static int read_counter(const struct nlmsghdr *nlh, void *out)
{
	struct nftnl_obj *obj = nftnl_obj_alloc();
	int verdict = MNL_CB_ERROR;

	if (obj && !nftnl_obj_nlmsg_parse(nlh, obj)) {
		*(uint64_t *)out = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_PKTS);
		verdict = MNL_CB_OK;
	}
	nftnl_obj_free(obj);
	return verdict;
}

int nft_unserved(struct nft *nft, const char *name, uint64_t *packets)
{
	struct nftnl_obj *obj = nftnl_obj_alloc();
	struct nft_batch *b = &nft->batch;
	struct nlmsghdr *nlh;

	if (!obj)
		return -ENOMEM;
	b->length = 0;
	nlh = nft_batch_message(b, NFT_MSG_GETOBJ, 0);
	nftnl_obj_set_str(obj, NFTNL_OBJ_TABLE, name);
	nftnl_obj_set_str(obj, NFTNL_OBJ_NAME, NFT_COUNTER);
	nftnl_obj_set_u32(obj, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_nlmsg_build_payload(nlh, obj);
	nftnl_obj_free(obj);
	if (mnl_socket_sendto(nft->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	return heed(nft, b->seq - 1, b->seq - 1, read_counter, packets);
}

int nft_open(struct nft **out)
{
	struct nft *nft = calloc(1, sizeof(*nft));
	struct timeval second = { .tv_sec = 1 };
	int err;

	if (!nft)
		return -ENOMEM;
	nft->batch.seq = 1;
	nft->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nft->socket || mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		nft_close(nft);
		return err;
	}
	setsockopt(mnl_socket_get_fd(nft->socket), SOL_SOCKET, SO_RCVTIMEO, &second,
		   sizeof(second));
	*out = nft;
	return 0;
}

void nft_close(struct nft *nft)
{
	if (nft && nft->socket)
		mnl_socket_close(nft->socket);
	free(nft);
}
