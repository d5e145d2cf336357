// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As `nft list ruleset` shows it:
 *
 *	table inet NAME {
 *		counter unserved { }
 *		set judged { type iface_index; elements = ... }
 *		set relay4 { type ipv4_addr . inet_service; flags interval; elements = ... }
 *		chain untracked { type filter hook prerouting priority raw; policy accept;
 *			ip daddr . udp dport @relay4 notrack
 *		}
 *		chain untracked_out { type filter hook output priority raw; policy accept;
 *			ip daddr . udp dport @relay4 notrack
 *			ip saddr . udp sport @relay4 notrack
 *		}
 *		chain unclaimed {
 *			socket wildcard <= 1 accept
 *			iif @judged drop
 *			counter name "unserved" drop
 *		}
 *		chain arriving { type filter hook input priority raw; policy accept;
 *			ip daddr . udp dport @relay4 goto unclaimed
 *		}
 *	}
 *
 * and the same for IPv6 where there are such relay addresses. `socket` asks as delivery itself
 * will, BPF sk_lookup programs included, and matches where there is one. What came by an interface
 * with XDP was counted there when it was passed up.
 */
#include "datapath/layout.h"
#include "datapath/nft_batch.h"

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

#define JUDGED	  "judged"
#define UNCLAIMED "unclaimed"

/* nft's numbers of data types, by which it lists a set: ipv4_addr, ipv6_addr, inet_service,
 * iface_index. */
enum { TYPE_IPV4 = 7, TYPE_IPV6 = 8, TYPE_PORT = 13, TYPE_IFINDEX = 20, TYPE_BITS = 6 };
enum { HOST_ENDIAN = 1 };		     /* its number of that byte order */
enum { SET_IPV4 = 1, SET_IPV6, SET_JUDGED }; /* their numbers within the batch */

/* What differs between the families. */
struct family {
	sa_family_t family;
	uint8_t nfproto;
	const char *set;
	uint32_t size, source, destination; /* of an address; offsets in the IP header */
	uint32_t set_id;
	uint32_t type;
	uint32_t port_register; /* the 32-bit one behind the address */
};

static const struct family families[] = {
	{ AF_INET, NFPROTO_IPV4, "relay4", 4, 12, 16, SET_IPV4, TYPE_IPV4, NFT_REG32_01 },
	{ AF_INET6, NFPROTO_IPV6, "relay6", 16, 8, 24, SET_IPV6, TYPE_IPV6, NFT_REG_2 },
};

enum { KEY_MAX = 20, FAMILIES = sizeof(families) / sizeof(families[0]) };

enum side { SOURCE, DESTINATION };

static bool has_family(const struct layout *layout, const struct family *family)
{
	for (size_t i = 0; i < layout->n_ranges; i++)
		if (layout->ranges[i].ip.family == family->family)
			return true;
	return false;
}

void nft_table_message(struct nft_batch *b, const char *name, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = nft_batch_message(b, type, flags);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	nft_batch_add(b, nlh);
}

static void put_chain(struct nft_batch *b, const char *table, const char *name, int hook)
{
	struct nlmsghdr *nlh = nft_batch_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nftnl_chain *chain = nftnl_chain_alloc();

	b->full |= !chain;
	if (!chain)
		return;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	if (hook >= 0) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, (uint32_t)hook);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, NF_IP_PRI_RAW);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	nftnl_chain_free(chain);
	nft_batch_add(b, nlh);
}

static void put_counter(struct nft_batch *b, const char *table, uint64_t packets)
{
	struct nlmsghdr *nlh = nft_batch_message(b, NFT_MSG_NEWOBJ, NLM_F_CREATE);
	struct nftnl_obj *obj = nftnl_obj_alloc();

	b->full |= !obj;
	if (!obj)
		return;
	nftnl_obj_set_str(obj, NFTNL_OBJ_TABLE, table);
	nftnl_obj_set_str(obj, NFTNL_OBJ_NAME, NFT_COUNTER);
	nftnl_obj_set_u32(obj, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_PKTS, packets);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_BYTES, 0);
	nftnl_obj_nlmsg_build_payload(nlh, obj);
	nftnl_obj_free(obj);
	nft_batch_add(b, nlh);
}

/* Sets. Those of relay ports have address and port as one key of two fields, each padded to 32
 * bits, and ranges of such. */

static struct nftnl_set *make_set(struct nft_batch *b, const char *table, const char *name,
				  uint32_t id)
{
	struct nftnl_set *set = nftnl_set_alloc();

	b->full |= !set;
	if (!set)
		return NULL;
	nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	return set;
}

static uint32_t make_key(uint8_t key[KEY_MAX], const struct family *family, const struct addr *ip,
			 uint16_t port)
{
	__be16 wire = htons(port);

	memset(key, 0, KEY_MAX);
	memcpy(key, &ip->v4, family->size);
	memcpy(key + family->size, &wire, sizeof(wire));
	return family->size + sizeof(uint32_t);
}

/* One key, or all from it to `end`. */
static bool add_elem(struct nftnl_set *set, const void *key, const void *end, uint32_t size)
{
	struct nftnl_set_elem *elem = nftnl_set_elem_alloc();

	if (!elem)
		return false;
	nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, key, size);
	if (end)
		nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY_END, end, size);
	nftnl_set_elem_add(set, elem);
	return true;
}

static bool add_range(struct nftnl_set *set, const struct family *family,
		      const struct layout_range *range)
{
	uint8_t key[KEY_MAX], end[KEY_MAX];
	uint32_t size = make_key(key, family, &range->ip, range->lo);

	make_key(end, family, &range->ip, range->hi);
	return add_elem(set, key, end, size);
}

static void put_set(struct nft_batch *b, struct nftnl_set *set)
{
	struct nlmsghdr *nlh = nft_batch_message(b, NFT_MSG_NEWSET, NLM_F_CREATE);

	nftnl_set_nlmsg_build_payload(nlh, set);
	nft_batch_add(b, nlh);
}

static void put_elems(struct nft_batch *b, struct nftnl_set *set)
{
	struct nlmsghdr *nlh = nft_batch_message(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);

	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	nft_batch_add(b, nlh);
}

static void put_relay(struct nft_batch *b, const struct nft_table *table,
		      const struct family *family)
{
	struct nftnl_set *set = make_set(b, table->name, family->set, family->set_id);
	const struct layout *layout = table->layout;
	uint8_t fields[] = { (uint8_t)family->size, sizeof(uint16_t) };

	if (!set)
		return;
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, NFT_SET_INTERVAL | NFT_SET_CONCAT);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, family->type << TYPE_BITS | TYPE_PORT);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, family->size + sizeof(uint32_t));
	nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, fields, sizeof(fields));
	put_set(b, set);
	for (size_t i = 0; i < layout->n_ranges; i++)
		if (layout->ranges[i].ip.family == family->family)
			b->full |= !add_range(set, family, &layout->ranges[i]);
	put_elems(b, set);
	nftnl_set_free(set);
}

/* As nft notes it: these keys are numbers in the order of this machine. */
static bool note_host_order(struct nftnl_set *set)
{
	struct nftnl_udata_buf *notes = nftnl_udata_buf_alloc(32);
	bool done = notes && nftnl_udata_put_u32(notes, NFTNL_UDATA_SET_KEYBYTEORDER, HOST_ENDIAN);

	if (done)
		nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(notes),
				   nftnl_udata_buf_len(notes));
	if (notes)
		nftnl_udata_buf_free(notes);
	return done;
}

static void put_judged(struct nft_batch *b, const struct nft_table *table)
{
	struct nftnl_set *set = make_set(b, table->name, JUDGED, SET_JUDGED);

	if (!set)
		return;
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, TYPE_IFINDEX);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, sizeof(table->judged[0]));
	b->full |= !note_host_order(set);
	put_set(b, set);
	for (size_t i = 0; i < table->n_judged; i++)
		b->full |= !add_elem(set, &table->judged[i], NULL, sizeof(table->judged[0]));
	if (table->n_judged)
		put_elems(b, set);
	nftnl_set_free(set);
}

/* Rules, expression by expression. */

static struct nftnl_expr *expr(struct nft_batch *b, struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *e = rule ? nftnl_expr_alloc(name) : NULL;

	b->full |= !e;
	if (e)
		nftnl_rule_add_expr(rule, e);
	return e;
}

static void compare(struct nft_batch *b, struct nftnl_rule *rule, uint32_t op, uint8_t value)
{
	struct nftnl_expr *e = expr(b, rule, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, &value, sizeof(value));
}

static void meta(struct nft_batch *b, struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *e = expr(b, rule, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void meta_is(struct nft_batch *b, struct nftnl_rule *rule, uint32_t key, uint8_t value)
{
	meta(b, rule, key);
	compare(b, rule, NFT_CMP_EQ, value);
}

static void payload(struct nft_batch *b, struct nftnl_rule *rule, uint32_t base, uint32_t offset,
		    uint32_t size, uint32_t to)
{
	struct nftnl_expr *e = expr(b, rule, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, to);
}

static void in_set(struct nft_batch *b, struct nftnl_rule *rule, const char *name, uint32_t id)
{
	struct nftnl_expr *e = expr(b, rule, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

static void verdict(struct nft_batch *b, struct nftnl_rule *rule, int code, const char *chain)
{
	struct nftnl_expr *e = expr(b, rule, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
}

static struct nftnl_rule *make_rule(struct nft_batch *b, const char *table, const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	b->full |= !rule;
	if (!rule)
		return NULL;
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	return rule;
}

/* Takes `rule`. */
static void put_rule(struct nft_batch *b, struct nftnl_rule *rule, uint16_t flags)
{
	struct nlmsghdr *nlh =
		nft_batch_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | flags);

	if (!rule)
		return;
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	nftnl_rule_free(rule);
	nft_batch_add(b, nlh);
}

/* UDP whose `side` is a relay port. */
static struct nftnl_rule *relay_rule(struct nft_batch *b, const char *table, const char *chain,
				     const struct family *family, enum side side)
{
	struct nftnl_rule *rule = make_rule(b, table, chain);

	meta_is(b, rule, NFT_META_NFPROTO, family->nfproto);
	meta_is(b, rule, NFT_META_L4PROTO, IPPROTO_UDP);
	payload(b, rule, NFT_PAYLOAD_NETWORK_HEADER,
		side == SOURCE ? family->source : family->destination, family->size, NFT_REG_1);
	payload(b, rule, NFT_PAYLOAD_TRANSPORT_HEADER, side == SOURCE ? 0 : 2, sizeof(uint16_t),
		family->port_register);
	in_set(b, rule, family->set, family->set_id);
	return rule;
}

static void put_untracked(struct nft_batch *b, const char *table, const char *chain,
			  const struct family *family, enum side side)
{
	struct nftnl_rule *rule = relay_rule(b, table, chain, family, side);

	expr(b, rule, "notrack");
	put_rule(b, rule, 0);
}

static void put_unclaimed(struct nft_batch *b, const char *table)
{
	struct nftnl_rule *rule = make_rule(b, table, UNCLAIMED);
	struct nftnl_expr *e = expr(b, rule, "socket");

	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_WILDCARD);
		nftnl_expr_set_u32(e, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
	}
	compare(b, rule, NFT_CMP_LTE, 1);
	verdict(b, rule, NF_ACCEPT, NULL);
	put_rule(b, rule, 0);
	rule = make_rule(b, table, UNCLAIMED);
	meta(b, rule, NFT_META_IIF);
	in_set(b, rule, JUDGED, SET_JUDGED);
	verdict(b, rule, NF_DROP, NULL);
	put_rule(b, rule, 0);
	rule = make_rule(b, table, UNCLAIMED);
	e = expr(b, rule, "objref");
	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
		nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, NFT_COUNTER);
	}
	verdict(b, rule, NF_DROP, NULL);
	put_rule(b, rule, NLM_F_ACK); /* the last of the batch */
}

static void put_family(struct nft_batch *b, const struct nft_table *table,
		       const struct family *family)
{
	struct nftnl_rule *rule;

	put_relay(b, table, family);
	put_untracked(b, table->name, "untracked", family, DESTINATION);
	put_untracked(b, table->name, "untracked_out", family, DESTINATION);
	put_untracked(b, table->name, "untracked_out", family, SOURCE);
	rule = relay_rule(b, table->name, "arriving", family, DESTINATION);
	verdict(b, rule, NFT_GOTO, UNCLAIMED);
	put_rule(b, rule, 0);
}

void nft_table_write(struct nft_batch *b, const struct nft_table *table)
{
	const char *name = table->name;

	/* Made if it is missing, so that the removal cannot fail. */
	nft_table_message(b, name, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	nft_table_message(b, name, NFT_MSG_DELTABLE, 0);
	nft_table_message(b, name, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	put_counter(b, name, table->unserved);
	put_judged(b, table);
	put_chain(b, name, "untracked", NF_INET_PRE_ROUTING);
	put_chain(b, name, "untracked_out", NF_INET_LOCAL_OUT);
	put_chain(b, name, UNCLAIMED, -1);
	put_chain(b, name, "arriving", NF_INET_LOCAL_IN);
	for (size_t i = 0; i < FAMILIES; i++)
		if (has_family(table->layout, &families[i]))
			put_family(b, table, &families[i]);
	put_unclaimed(b, name);
}
