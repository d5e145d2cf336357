// SPDX-License-Identifier: GPL-2.0-or-later
/* The interfaces of the realms: their names, keys and addresses, and what netlink says of them. */
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

struct link *link_by_ifindex(struct datapath *dp, uint32_t ifindex)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].now.ifindex == ifindex)
			return &dp->links[i];
	return NULL;
}

struct link *link_by_name(const struct datapath *dp, const char *name)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (!strcmp(dp->links[i].name, name))
			return (struct link *)&dp->links[i];
	return NULL;
}

static int find_interface(struct datapath *dp, struct link *link, char *why, size_t why_size)
{
	int err = nl_link_get(dp->netlink, link->name, &link->now);

	if (err) {
		snprintf(why, why_size, "interface = %s: %s", link->name,
			 err == -ENODEV ? "there is no such interface" : strerror(-err));
		return err;
	}
	if (!link->now.ethernet) {
		snprintf(why, why_size, "interface = %s: not an Ethernet interface", link->name);
		return -ENOTSUP;
	}
	return 0;
}

static int add_link(struct datapath *dp, const struct conf_realm *realm, const char *name,
		    char *why, size_t why_size)
{
	struct link *link = link_by_name(dp, name);

	if (!link) {
		if (dp->n_links == RTPFWD_MAX_LINKS) {
			snprintf(why, why_size, "interface = %s: more than %d interfaces", name,
				 RTPFWD_MAX_LINKS);
			return -EINVAL;
		}
		link = &dp->links[dp->n_links++];
		*link = (struct link){ .fd = -1, .key = RTPFWD_MAX_LINKS };
		snprintf(link->name, sizeof(link->name), "%s", name);
	}
	if (realm->xdp == XDP_AUTO)
		return 0;
	if (link->want != XDP_AUTO && link->want != realm->xdp) {
		snprintf(why, why_size, "realm '%s': xdp: another realm on %s wants another mode",
			 realm->name, name);
		return -EINVAL;
	}
	link->want = realm->xdp;
	return 0;
}

/* Keys are kept from the former controller: the live flows refer to them. */
static void assign_keys(struct datapath *dp)
{
	bool taken[RTPFWD_MAX_LINKS] = { false };

	for (uint32_t key = 0; key < RTPFWD_MAX_LINKS; key++) {
		uint32_t ifindex = 0;
		struct link *link;

		bpf_map_lookup_elem(dp->fd.tx, &key, &ifindex);
		link = ifindex ? link_by_ifindex(dp, ifindex) : NULL;
		if (link && link->key == RTPFWD_MAX_LINKS) {
			link->key = key;
			taken[key] = true;
		} else if (ifindex) {
			bpf_map_delete_elem(dp->fd.tx, &key);
		}
	}
	for (size_t i = 0; i < dp->n_links; i++) {
		uint32_t key = 0;

		if (dp->links[i].key < RTPFWD_MAX_LINKS)
			continue;
		while (taken[key])
			key++;
		taken[key] = true;
		dp->links[i].key = key;
	}
}

static void publish_mac(struct datapath *dp, const struct link *link)
{
	uint64_t mac = 0;

	memcpy(&mac, link->now.mac, sizeof(link->now.mac));
	__atomic_store_n(&dp->control->mac[link->key], mac, __ATOMIC_RELAXED);
}

static void publish_link(struct datapath *dp, const struct link *link)
{
	/* One that has another name now is still there, and was the kernel's to take out if not. */
	if (link->now.ifindex)
		bpf_map_update_elem(dp->fd.tx, &link->key, &link->now.ifindex, BPF_ANY);
	else
		bpf_map_delete_elem(dp->fd.tx, &link->key);
	dp->control->ifindex[link->key] = link->now.ifindex;
	publish_mac(dp, link);
}

/* Interfaces of a former controller that are not ours. The others are not taken away for a moment:
 * the former userspace relay forwards by them. */
static void forget_others(struct datapath *dp)
{
	uint32_t now[RTPFWD_MAX_LINKS] = { 0 };

	for (size_t i = 0; i < dp->n_links; i++)
		now[dp->links[i].key] = dp->links[i].now.ifindex;
	for (uint32_t key = 0; key < RTPFWD_MAX_LINKS; key++)
		if (dp->control->ifindex[key] != now[key])
			dp->control->ifindex[key] = now[key];
}

int link_open_all(struct datapath *dp, char *why, size_t why_size)
{
	for (size_t r = 0; r < dp->conf->n_realms; r++) {
		const struct conf_realm *realm = &dp->conf->realms[r];

		for (size_t i = 0; i < realm->n_interfaces; i++) {
			int err = add_link(dp, realm, realm->interfaces[i], why, why_size);

			if (err)
				return err;
		}
	}
	for (size_t i = 0; i < dp->n_links; i++) {
		int err = find_interface(dp, &dp->links[i], why, why_size);

		if (err)
			return err;
	}
	assign_keys(dp);
	forget_others(dp);
	for (size_t i = 0; i < dp->n_links; i++) {
		publish_link(dp, &dp->links[i]);
		dp->links[i].refused = trace_stats(dp, &dp->links[i]).refused;
	}
	dp->uppers_stale = true;
	uppers_tick(dp);
	return 0;
}

/* The interface of that name is gone, or another one has its name now. */
static void lost(struct datapath *dp, struct link *link)
{
	log_warn("interface %s is gone: its media stops until it is back", link->name);
	rung_leave(dp, link);
	memset(&link->now, 0, sizeof(link->now));
	publish_link(dp, link);
}

static bool same_link(const struct nl_link *a, const struct nl_link *b)
{
	return a->ifindex == b->ifindex && a->running == b->running && a->mtu == b->mtu &&
	       !memcmp(a->mac, b->mac, sizeof(a->mac));
}

static void update(struct datapath *dp, struct link *link, const struct nl_link *now)
{
	bool other = link->now.ifindex != now->ifindex;

	if (same_link(&link->now, now))
		return;
	if (other && link->now.ifindex)
		lost(dp, link);
	link->now = *now;
	link->changed_ms = loop_now_ms(dp->loop);
	publish_mac(dp, link);
	if (other && now->ifindex) {
		publish_link(dp, link);
		rung_again(dp, link);
	}
	news_route(dp, NULL);
}

void link_changed(struct datapath *dp, const struct nl_link *now, bool gone)
{
	static const struct nl_link none;
	struct link *link = link_by_ifindex(dp, now->ifindex);

	if (link && (gone || strcmp(link->name, now->name)))
		update(dp, link, &none);
	link = link_by_name(dp, now->name);
	if (!link || gone || !now->ethernet)
		return;
	update(dp, link, now);
	rung_news(dp, link);
}

void link_resync(struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		struct nl_link now;
		int err = nl_link_get(dp->netlink, dp->links[i].name, &now);

		if (!err || err == -ENODEV) /* else nothing is known: it is as it was */
			update(dp, &dp->links[i], &now);
	}
}
