// SPDX-License-Identifier: GPL-2.0-only
/*
 * kfuncs take the program's context, not a slice of the packet: a slice would need a length that
 * the verifier can prove.
 */
#include "kfunc.h"

#include <linux/netdevice.h>
#include <net/checksum.h>
#include <net/xdp.h>

#include "compat.h"
#include "srtp.h"

struct slice {
	u8 *data;
	u32 length;
	u32 room; /* behind it, up to the end of the frame */
};

static int cut(struct slice *s, const struct xdp_buff *xdp, u32 offset, u32 length)
{
	u32 size = xdp->data_end - xdp->data;

	if (offset > size || length > size - offset)
		return -EINVAL;
	/* Memory of an AF_XDP socket is mapped anew: a scatterlist cannot name its pages. */
	if (xdp->rxq->mem.type == MEM_TYPE_XSK_BUFF_POOL)
		return -EOPNOTSUPP;
	s->data = xdp->data + offset;
	s->length = length;
	s->room = size - offset - length;
	return 0;
}

/* Of the namespace that the frame's device is in. */
static struct context *find(const struct xdp_buff *xdp, u32 id, u8 direction)
{
	struct context *c = context_find(dev_net(xdp->rxq->dev), id);

	if (!c)
		return ERR_PTR(-ENOENT);
	return c->direction == direction ? c : ERR_PTR(-EPERM);
}

__bpf_kfunc int rtpfwd_srtp_protect(struct xdp_md *ctx, u32 id, u32 offset, u32 length)
{
	struct xdp_buff *xdp = (struct xdp_buff *)ctx;
	struct context *c;
	struct slice s;
	int ret;

	ret = cut(&s, xdp, offset, length);
	if (ret)
		return ret;
	rcu_read_lock();
	c = find(xdp, id, RTPFWD_PROTECT);
	ret = IS_ERR(c) ? PTR_ERR(c) : srtp_protect(c, s.data, s.length, s.room);
	rcu_read_unlock();
	return ret;
}

__bpf_kfunc int rtpfwd_srtp_unprotect(struct xdp_md *ctx, u32 id, u32 offset, u32 length)
{
	struct xdp_buff *xdp = (struct xdp_buff *)ctx;
	struct context *c;
	struct slice s;
	int ret;

	ret = cut(&s, xdp, offset, length);
	if (ret)
		return ret;
	rcu_read_lock();
	c = find(xdp, id, RTPFWD_UNPROTECT);
	ret = IS_ERR(c) ? PTR_ERR(c) : srtp_unprotect(c, s.data, s.length);
	rcu_read_unlock();
	return ret;
}

__bpf_kfunc int rtpfwd_frame_shift(struct xdp_md *ctx, u32 by)
{
	struct xdp_buff *xdp = (struct xdp_buff *)ctx;
	u32 size = xdp->data_end - xdp->data;

	if (by > size)
		return -EINVAL;
	memmove(xdp->data, xdp->data + by, size - by);
	return 0;
}

__bpf_kfunc int rtpfwd_frame_sum(struct xdp_md *ctx, u32 offset, u32 length)
{
	struct slice s;
	int err;

	err = cut(&s, (struct xdp_buff *)ctx, offset, length);
	if (err)
		return err;
	return (__force u16)~csum_fold(csum_partial(s.data, s.length, 0));
}

BTF_KFUNCS_START(kfunc_ids)
BTF_ID_FLAGS(func, rtpfwd_srtp_protect)
BTF_ID_FLAGS(func, rtpfwd_srtp_unprotect)
BTF_ID_FLAGS(func, rtpfwd_frame_shift)
BTF_ID_FLAGS(func, rtpfwd_frame_sum)
BTF_KFUNCS_END(kfunc_ids)

static const struct btf_kfunc_id_set kfunc_set = {
	.owner = THIS_MODULE,
	.set = &kfunc_ids,
};

int kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_XDP, &kfunc_set);
}
