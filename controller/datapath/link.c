// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interfaces and the XDP program on them. All that are `xdp = auto` share one mode: a frame that a
 * native program redirects is lost where the other interface's driver takes none, so that one
 * generic interface, or one without a program, makes all of them generic. Where no program can be
 * attached at all, or none is wanted, the userspace relay has everything.
 */
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS                                                                                  \
	2000 /* after a link went up or down its refused frames tell nothing about the driver */

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
	if (link->now.ifindex)
		bpf_map_update_elem(dp->fd.tx, &link->key, &link->now.ifindex, BPF_ANY);
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
	return 0;
}

static int pin_path(const struct datapath *dp, const struct link *link, char path[PATH_MAX])
{
	return pins_path(path, dp->folder, PIN_LINK, link->name);
}

/* Who counts what comes in there: XDP, or the userspace relay alone. */
static void publish_counting(struct datapath *dp, const struct link *link)
{
	uint32_t bit = 1u << link->key;

	if (link->fd < 0)
		__atomic_fetch_or(&dp->control->user_links, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&dp->control->user_links, ~bit, __ATOMIC_RELAXED);
}

static void set_reason(struct link *link, const char *reason)
{
	if (reason != link->reason)
		snprintf(link->reason, sizeof(link->reason), "%s", reason);
}

static void detach(struct datapath *dp, struct link *link)
{
	char path[PATH_MAX];

	if (link->fd >= 0) {
		bpf_link_detach(link->fd);
		close(link->fd);
		link->fd = -1;
	}
	if (!pin_path(dp, link, path))
		pins_remove(path);
	publish_counting(dp, link);
}

static int attach(struct datapath *dp, struct link *link, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	char path[PATH_MAX];
	int err;

	err = pin_path(dp, link, path);
	if (err)
		return err;
	detach(dp, link);
	link->fd = bpf_link_create(dp->fd.xdp, (int)link->now.ifindex, BPF_XDP, &opts);
	if (link->fd < 0)
		return -errno;
	if (bpf_obj_pin(link->fd, path)) {
		err = -errno;
		detach(dp, link);
		return err;
	}
	link->native = native;
	publish_counting(dp, link);
	return 0;
}

static bool mode_of(const struct link *link, bool *native)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)link->now.ifindex, 0, &query))
		return false;
	*native = query.attach_mode == XDP_ATTACHED_DRV;
	return query.attach_mode == XDP_ATTACHED_DRV || query.attach_mode == XDP_ATTACHED_SKB;
}

/* Gives a former controller's link our program: not one packet passes by. False: there is none, or
 * not as wanted. */
static bool take_over(struct datapath *dp, struct link *link)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	int fd;

	if (pin_path(dp, link, path))
		return false;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != BPF_LINK_TYPE_XDP ||
	    info.xdp.ifindex != link->now.ifindex || !mode_of(link, &link->native) ||
	    (link->want != XDP_AUTO && link->native != (link->want == XDP_NATIVE)) ||
	    bpf_link_update(fd, dp->fd.xdp, NULL)) {
		close(fd);
		return false;
	}
	link->fd = fd;
	publish_counting(dp, link);
	return true;
}

static int explain(const struct link *link, int err, bool native, char *why, size_t why_size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (err == -EBUSY || err == -EEXIST) {
		bpf_xdp_query((int)link->now.ifindex, 0, &query);
		snprintf(why, why_size,
			 "interface = %s: an XDP program that is not ours is attached (id %u): "
			 "remove it, or the rtpfwd "
			 "of another configuration with its `rtpfwd -D`",
			 link->name, query.prog_id);
		return err;
	}
	snprintf(why, why_size, "interface = %s: cannot attach in %s mode: %s", link->name,
		 native ? "native" : "generic", strerror(-err));
	return err;
}

/* Every `auto` interface that is there, in generic mode. */
static int all_generic(struct datapath *dp, const char *because, char *why, size_t why_size)
{
	log_notice("xdp = auto: generic mode, because %s", because);
	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];
		int err;

		if (link->want != XDP_AUTO || !link->now.ifindex ||
		    (link->fd >= 0 && !link->native))
			continue;
		err = attach(dp, link, false);
		if (err)
			return explain(link, err, false, why, why_size);
		set_reason(link, because);
	}
	return 0;
}

/* Why an interface that may be native is not to be; NULL: it is. */
static const char *why_generic(const struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		const struct link *link = &dp->links[i];

		if (link->want == XDP_OFF)
			return "another interface has no XDP program";
		if (link->want == XDP_AUTO && link->fd >= 0 && !link->native)
			return link->reason;
	}
	return NULL;
}

/* Attaches in the mode wanted, or that of the other interfaces, or what the driver takes. */
static int attach_wanted(struct datapath *dp, struct link *link, char *why, size_t why_size)
{
	const char *generic = why_generic(dp);
	bool native = link->want == XDP_NATIVE || (link->want == XDP_AUTO && !generic);
	char because[64];
	int err = attach(dp, link, native);

	if (!err) {
		set_reason(link, native ? "" : link->want == XDP_AUTO ? generic : "xdp = generic");
		return 0;
	}
	if (!native || link->want == XDP_NATIVE || err == -EBUSY || err == -EEXIST || err == -EPERM)
		return explain(link, err, native, why, why_size);
	snprintf(because, sizeof(because), "the driver of %s has no native one", link->name);
	return all_generic(dp, because, why, why_size);
}

static int probe_all(struct datapath *dp, char *why, size_t why_size)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];
		char because[80];

		if (link->want != XDP_AUTO || !link->native || !link->now.veth ||
		    !link->now.running || trace_probe(dp, link))
			continue;
		snprintf(because, sizeof(because), "the other end of %s takes no redirected frames",
			 link->name);
		return all_generic(dp, because, why, why_size);
	}
	return 0;
}

/* Without live media generic mode is worth a second thought; native stays: some drivers reset. */
static void reconsider(struct datapath *dp)
{
	if (!why_generic(dp))
		return;
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].want == XDP_AUTO)
			detach(dp, &dp->links[i]);
}

/* Of a mode that a former controller found. */
static const char *kept_reason(const struct link *link)
{
	if (link->native)
		return "";
	return link->want == XDP_GENERIC ? "xdp = generic" : "as the former process had it";
}

/* No program is wanted; a former controller's goes. */
static bool is_off(struct datapath *dp, struct link *link)
{
	if (link->want != XDP_OFF)
		return false;
	detach(dp, link);
	set_reason(link, "xdp = off");
	return true;
}

int link_attach_all(struct datapath *dp, bool keep, char *why, size_t why_size)
{
	int err;

	pins_prune(dp);
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].want != XDP_OFF && take_over(dp, &dp->links[i]))
			set_reason(&dp->links[i], kept_reason(&dp->links[i]));
	if (!keep)
		reconsider(dp);
	for (size_t i = 0; i < dp->n_links; i++) {
		if (dp->links[i].fd >= 0 || is_off(dp, &dp->links[i]))
			continue;
		err = attach_wanted(dp, &dp->links[i], why, why_size);
		if (err)
			return err;
	}
	return keep ? 0 : probe_all(dp, why, why_size);
}

void link_close_all(struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].fd >= 0)
			close(dp->links[i].fd);
}

static void attach_again(struct datapath *dp, struct link *link)
{
	char why[256];

	if (attach_wanted(dp, link, why, sizeof(why)))
		log_warn("%s", why);
	else
		log_notice("interface %s is back, in %s mode", link->name,
			   link->native ? "native" : "generic");
}

/* The interface of that name is gone, or another one has its name now. */
static void lost(struct datapath *dp, struct link *link)
{
	log_warn("interface %s is gone: its media stops until it is back", link->name);
	detach(dp, link);
	memset(&link->now, 0, sizeof(link->now));
	publish_link(dp, link);
}

static bool same_link(const struct nl_link *a, const struct nl_link *b)
{
	return a->ifindex == b->ifindex && a->running == b->running &&
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
		if (link->want != XDP_OFF)
			attach_again(dp, link);
	}
	nexthop_all_stale(dp);
}

void link_changed(struct datapath *dp, const struct nl_link *now, bool gone)
{
	static const struct nl_link none;
	struct link *link = link_by_ifindex(dp, now->ifindex);

	if (link && (gone || strcmp(link->name, now->name)))
		update(dp, link, &none);
	link = link_by_name(dp, now->name);
	if (link && !gone && now->ethernet)
		update(dp, link, now);
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

/* A driver that refuses all frames (no way to take them, a veth whose other end polls nothing)
 * while its link is up. */
static bool refuses(struct datapath *dp, struct link *link)
{
	uint64_t refused = trace_stats(dp, link).refused;
	bool rose = refused > link->refused;

	link->refused = refused;
	return rose && link->native && link->want == XDP_AUTO && link->now.running &&
	       loop_now_ms(dp->loop) - link->changed_ms >= SETTLE_MS;
}

void link_tick(struct datapath *dp)
{
	char because[80], why[256];

	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];

		if (link->now.ifindex && link->fd < 0 && link->want != XDP_OFF)
			attach_again(dp, link);
		if (!refuses(dp, link))
			continue;
		snprintf(because, sizeof(because), "frames redirected to %s are refused",
			 link->name);
		if (all_generic(dp, because, why, sizeof(why)))
			log_error("%s", why);
	}
}
