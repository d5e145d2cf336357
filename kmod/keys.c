// SPDX-License-Identifier: GPL-2.0-only
#include "keys.h"

#include <linux/slab.h>

#include "compat.h"
#include "rtpfwd_nl.h"

static struct workqueue_struct *reaper;
static struct kmem_cache *cache;

int keys_init(void)
{
	cache = kmem_cache_create("rtpfwd_stream", sizeof(struct stream), 0, SLAB_ACCOUNT, NULL);
	if (!cache)
		return -ENOMEM;
	reaper = alloc_workqueue("rtpfwd", WQ_UNBOUND, 0);
	if (!reaper) {
		kmem_cache_destroy(cache);
		return -ENOMEM;
	}
	return 0;
}

void keys_exit(void)
{
	rcu_barrier(); /* puts into the queue what was waiting for its grace period */
	destroy_workqueue(reaper);
	kmem_cache_destroy(cache);
}

static void destroy(struct keys *k)
{
	struct stream *s, *next;

	list_for_each_entry_safe(s, next, &k->streams, entry)
		kmem_cache_free(cache, s);
	cipher_end(&k->rtp);
	cipher_end(&k->rtcp);
	kfree_sensitive(k);
}

/* In process context: freeing a cipher may be the end of a module's algorithm. */
static void die(struct work_struct *work)
{
	destroy(container_of(to_rcu_work(work), struct keys, death));
}

int keys_make(struct keys **k, u8 suite, const u8 *key, const u8 *salt)
{
	const struct cipher_suite *how = cipher_suite(suite);
	struct keys *made;
	int err;

	made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT);
	if (!made)
		return -ENOMEM;
	INIT_LIST_HEAD(&made->streams);
	INIT_RCU_WORK(&made->death, die);
	made->suite = suite;
	err = cipher_init(&made->rtp, how, false, key, salt);
	err = err ?: cipher_init(&made->rtcp, how, true, key, salt);
	if (err)
		destroy(made);
	else
		*k = made;
	return err;
}

void keys_free(struct keys *k)
{
	if (k)
		queue_rcu_work(reaper, &k->death);
}

/* Session salts are what the master key and salt say of them, at least 96 bits each. */
bool keys_same(const struct keys *a, const struct keys *b)
{
	return !crypto_memneq(a->rtp.salt, b->rtp.salt, SRTP_MAX_SALT) &&
	       !crypto_memneq(a->rtcp.salt, b->rtcp.salt, SRTP_MAX_SALT);
}

struct stream *keys_find(struct keys *k, u32 ssrc)
{
	struct stream *s;

	list_for_each_entry(s, &k->streams, entry) {
		if (s->ssrc == ssrc) {
			list_move(&s->entry, &k->streams);
			return s;
		}
	}
	return NULL;
}

int keys_add_stream(struct stream **s, struct keys *k, u32 ssrc)
{
	struct stream *made;

	if (k->n_streams >= RTPFWD_MAX_STREAMS)
		return -EMFILE;
	made = kmem_cache_zalloc(cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!made)
		return -ENOMEM;
	made->ssrc = ssrc;
	list_add(&made->entry, &k->streams);
	k->n_streams++;
	*s = made;
	return 0;
}

void keys_inherit(struct keys *k, struct keys *from)
{
	list_splice_init(&from->streams, &k->streams);
	k->n_streams += from->n_streams;
	from->n_streams = 0;
}
