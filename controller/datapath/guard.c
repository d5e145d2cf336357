// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table of our own in nftables around the relay ports. It does two things that nobody else can:
 *
 * Connections of relayed media are not tracked: what XDP passes up, what the userspace relay sends
 * and hears, and music, would each take an entry for two minutes.
 *
 * What reaches a relay port and nobody takes is dropped without an answer and counted as
 * `unserved`: no XDP program on the interface by which it came (made anew, or of no realm) and no
 * socket. XDP and the userspace relay judge and count what they see, leased or not: nothing of that
 * is counted here again. No list of leased ports is kept, which would cost a system call for each
 * flow: the kernel is asked for the socket instead.
 */
#include "datapath/nft.h"
#include "datapath/priv.h"
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

struct guard {
	struct nft *nft;
	char name[NFT_TABLE_MAXNAMELEN];
	struct nft_table table; /* as it was put last; its counter as last seen */
	bool wanted;
	bool lacking; /* the kernel cannot have such a table: not tried every second */
	const char *fault; /* why it is not there; "": it is as wanted */
};

/* By the folder of the pins, which tells configurations apart, in letters that nft reads back. */
static int name_table(char name[NFT_TABLE_MAXNAMELEN], const char *folder)
{
	int n = snprintf(name, NFT_TABLE_MAXNAMELEN, "rtpfwd%s", folder);

	if (n >= NFT_TABLE_MAXNAMELEN)
		return -ENAMETOOLONG;
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("/-._", *c))
			*c = '_';
	return 0;
}

/* Interfaces on which XDP counts what it passes up. */
static void find_judged(const struct datapath *dp, struct nft_table *table)
{
	table->n_judged = 0;
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].fd >= 0 && dp->links[i].now.ifindex)
			table->judged[table->n_judged++] = dp->links[i].now.ifindex;
}

static int put(struct datapath *dp)
{
	struct guard *guard = dp->guard;

	guard->table.name = guard->name;
	guard->table.layout = &dp->layout;
	find_judged(dp, &guard->table);
	nft_unserved(guard->nft, guard->name, &guard->table.unserved);
	return nft_put(guard->nft, &guard->table);
}

static int take_away(struct nft *nft, const char *table)
{
	int err = nft_remove(nft, table);

	/* There is no such table, or there can be none. */
	return err == -ENOENT || err == -EOPNOTSUPP ? 0 : err;
}

static const char *explain(int err)
{
	if (err == -EOPNOTSUPP || err == -EPROTONOSUPPORT)
		return "this kernel has no nf_tables";
	if (err == -ENOENT)
		return "this kernel's nf_tables lacks notrack, socket or sets of ranges";
	if (err == -EPERM)
		return "not permitted: CAP_NET_ADMIN is missing, or another process owns it";
	return strerror(-err);
}

/* As wanted; -ENOTSUP, too, for what the kernel lacks. */
static int enforce(struct datapath *dp)
{
	struct guard *guard = dp->guard;
	int err = name_table(guard->name, dp->conf->bpffs);

	if (!err && !guard->nft)
		err = nft_open(&guard->nft);
	if (!err)
		err = guard->wanted ? put(dp) : take_away(guard->nft, guard->name);
	guard->fault = err ? explain(err) : "";
	guard->lacking = err == -ENOENT || err == -EPROTONOSUPPORT || err == -EOPNOTSUPP;
	return err == -ENOENT || err == -EPROTONOSUPPORT ? -ENOTSUP : err;
}

int guard_set(struct datapath *dp, enum conf_guard want, char *why, size_t why_size)
{
	struct guard *guard = dp->guard;
	int err;

	guard->wanted = want != GUARD_OFF;
	err = enforce(dp);
	if (!err)
		return 0;
	snprintf(why, why_size, "guard = %s: nftables table %s: %s", conf_guard_text(want),
		 guard->name, guard->fault);
	if (want == GUARD_ON)
		return err;
	log_warn("%s", why);
	return 0;
}

int guard_open(struct datapath *dp, char *why, size_t why_size)
{
	dp->guard = calloc(1, sizeof(*dp->guard));
	if (dp->guard)
		return guard_set(dp, dp->conf->guard, why, why_size);
	snprintf(why, why_size, "no memory");
	return -ENOMEM;
}

void guard_close(struct datapath *dp)
{
	if (!dp->guard)
		return;
	nft_close(dp->guard->nft);
	free(dp->guard);
	dp->guard = NULL;
}

int guard_remove(const char *folder)
{
	char table[NFT_TABLE_MAXNAMELEN];
	struct nft *nft;
	int err = name_table(table, folder);

	if (err) /* then there was none */
		return 0;
	err = nft_open(&nft);
	if (err)
		return err == -EPROTONOSUPPORT ? 0 : err;
	err = take_away(nft, table);
	nft_close(nft);
	return err;
}

static bool stands(const struct guard *guard)
{
	return guard->wanted && !*guard->fault;
}

static bool other_links(const struct datapath *dp)
{
	const struct nft_table *now = &dp->guard->table;
	struct nft_table next;

	find_judged(dp, &next);
	return next.n_judged != now->n_judged ||
	       memcmp(next.judged, now->judged, now->n_judged * sizeof(now->judged[0]));
}

/* `nft flush ruleset`: how distributions start their own firewall. */
static bool was_removed(struct guard *guard)
{
	return nft_unserved(guard->nft, guard->name, &guard->table.unserved) == -ENOENT;
}

/* What kept it from being made may pass: who owns it ends, or memory is there again. */
void guard_tick(struct datapath *dp)
{
	struct guard *guard = dp->guard;
	const char *was = guard->fault;
	bool missing;

	if (!guard->wanted || guard->lacking)
		return;
	missing = !stands(guard) || was_removed(guard);
	if (!missing && !other_links(dp))
		return;
	if (!enforce(dp)) {
		if (missing)
			log_notice("nftables table %s was not there: it is again", guard->name);
	} else if (strcmp(guard->fault, was)) {
		log_error("nftables table %s cannot be made again: %s", guard->name, guard->fault);
	}
}

uint64_t guard_unserved(const struct datapath *dp)
{
	struct guard *guard = dp->guard;

	if (stands(guard))
		nft_unserved(guard->nft, guard->name, &guard->table.unserved);
	return guard->table.unserved;
}

struct datapath_guard_report datapath_guard(const struct datapath *dp)
{
	const struct guard *guard = dp->guard;

	return (struct datapath_guard_report){ .wanted = guard->wanted,
					       .table = guard->name,
					       .fault = guard->fault };
}
