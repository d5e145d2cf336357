// SPDX-License-Identifier: GPL-2.0-only
#include "context.h"

#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <net/netns/generic.h>

#define OWNED	   XA_MARK_1 /* by a socket; pinned ones are not looked at when one closes */
#define OVERLAP_MS 10000

struct table {
	struct mutex lock; /* of writers */
	struct xarray contexts;
	u32 last; /* id given last */
	u32 count;
};

static unsigned int table_id;

static struct table *table_of(struct net *net)
{
	return net_generic(net, table_id);
}

int context_make(struct context **c, u8 direction, struct keys *keys)
{
	struct context *made;

	made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT);
	if (!made) {
		keys_free(keys);
		return -ENOMEM;
	}
	made->direction = direction;
	made->keys = keys;
	made->overlap = OVERLAP_MS;
	refcount_set(&made->users, 1);
	spin_lock_init(&made->lock);
	*c = made;
	return 0;
}

void context_put(struct context *c)
{
	if (!refcount_dec_and_test(&c->users))
		return;
	/* A packet that found it before may be at letting the former keys expire. */
	spin_lock_bh(&c->lock);
	keys_free(c->former);
	c->former = NULL;
	keys_free(c->keys);
	spin_unlock_bh(&c->lock);
	kfree_rcu(c, rcu);
}

static void mark(struct table *t, struct context *c, bool pinned, u32 portid)
{
	WRITE_ONCE(c->pinned, pinned); /* listed without the mutex */
	c->portid = portid;
	if (pinned)
		xa_clear_mark(&t->contexts, c->id, OWNED);
	else
		xa_set_mark(&t->contexts, c->id, OWNED);
}

int context_insert(struct net *net, struct context *c)
{
	struct table *t = table_of(net);
	int err = -ENOSPC;

	mutex_lock(&t->lock);
	if (t->count < RTPFWD_MAX_CONTEXTS) {
		err = xa_alloc_cyclic(&t->contexts, &c->id, NULL, XA_LIMIT(1, CONTEXT_MAX_ID),
				      &t->last, GFP_KERNEL_ACCOUNT);
	}
	if (err >= 0) {
		refcount_inc(&c->users);
		t->count++;
		/* Only now: a reader must not see one without its id. */
		xa_store(&t->contexts, c->id, c, GFP_KERNEL);
		mark(t, c, c->pinned, c->portid);
		err = 0;
	}
	mutex_unlock(&t->lock);
	return err;
}

static void erase(struct table *t, struct context *c)
{
	xa_erase(&t->contexts, c->id);
	t->count--;
	context_put(c);
}

void context_remove(struct net *net, struct context *c)
{
	struct table *t = table_of(net);

	mutex_lock(&t->lock);
	if (xa_load(&t->contexts, c->id) == c)
		erase(t, c);
	mutex_unlock(&t->lock);
}

int context_own(struct net *net, struct context *c, bool pinned, u32 portid)
{
	struct table *t = table_of(net);
	int err = -ENOENT;

	mutex_lock(&t->lock);
	if (xa_load(&t->contexts, c->id) == c) {
		mark(t, c, pinned, portid);
		err = 0;
	}
	mutex_unlock(&t->lock);
	return err;
}

struct context *context_find(struct net *net, u32 id)
{
	return xa_load(&table_of(net)->contexts, id);
}

struct context *context_get(struct net *net, u32 id)
{
	struct context *c;

	rcu_read_lock();
	c = context_find(net, id);
	if (c && !refcount_inc_not_zero(&c->users))
		c = NULL;
	rcu_read_unlock();
	return c;
}

struct context *context_next(struct net *net, unsigned long *id)
{
	return xa_find(&table_of(net)->contexts, id, ULONG_MAX, XA_PRESENT);
}

void context_orphan(struct net *net, u32 portid)
{
	struct table *t = table_of(net);
	struct context *c;
	unsigned long id;

	mutex_lock(&t->lock);
	xa_for_each_marked(&t->contexts, id, c, OWNED) {
		if (c->portid == portid)
			erase(t, c);
	}
	mutex_unlock(&t->lock);
}

void context_rekey(struct context *c, struct keys *keys, bool keep)
{
	struct keys *obsolete;
	bool same;

	spin_lock_bh(&c->lock);
	same = keys_same(keys, c->keys);
	if (same || c->direction == RTPFWD_PROTECT) {
		obsolete = c->keys;
		if (same || keep)
			keys_inherit(keys, obsolete);
	} else {
		obsolete = c->former;
		c->former = c->keys;
		c->former_until = 0;
	}
	c->keys = keys;
	spin_unlock_bh(&c->lock);
	keys_free(obsolete);
}

static int __net_init table_init(struct net *net)
{
	struct table *t = table_of(net);

	mutex_init(&t->lock);
	xa_init_flags(&t->contexts, XA_FLAGS_ALLOC1);
	return 0;
}

static void __net_exit table_exit(struct net *net)
{
	struct table *t = table_of(net);
	struct context *c;
	unsigned long id;

	xa_for_each(&t->contexts, id, c)
		erase(t, c);
	xa_destroy(&t->contexts);
}

/* As a subsystem: its end comes after that of the devices, hence of packets. */
static struct pernet_operations table_ops = {
	.init = table_init,
	.exit = table_exit,
	.id = &table_id,
	.size = sizeof(struct table),
};

int context_init(void)
{
	return register_pernet_subsys(&table_ops);
}

void context_exit(void)
{
	unregister_pernet_subsys(&table_ops);
}
