// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * On which rung an interface is: a native XDP program, a generic one, or none, and the userspace
 * relay has everything. All that are `xdp = auto` share native or generic: a frame that a native
 * program redirects is lost where the other interface's driver takes none, so that one generic
 * interface, or one without a program, makes all of them generic. Where `auto` can attach nothing
 * it goes without, and tries again.
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
#define RETRY_MS     1000  /* after the first attempt that failed, then twice as long each time */
#define RETRY_MAX_MS 64000 /* what takes its program away by netlink is heard of at once */

#define OTHER_HAS_NONE "another interface has no XDP program"
#define WHEN_QUIET     "native is tried when no call is up"

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

/* `passing`: it is not the interface's own, and may pass. */
static void set_reason(struct link *link, const char *reason, bool passing)
{
	link->passing = passing;
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
	link->fault = 0;
	link->wait_ms = 0;
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

static bool is_taken(int err)
{
	return err == -EBUSY || err == -EEXIST;
}

/* Why nothing could be attached. The kernel says the same of a program that is there and of one on
 * an interface above this. */
static void obstacle(const struct link *link, char *text, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (!is_taken(link->fault))
		snprintf(text, size, "no XDP program can be attached: %s", strerror(-link->fault));
	else if (!bpf_xdp_query((int)link->now.ifindex, 0, &query) && query.prog_id)
		snprintf(text, size, "an XDP program that is not ours is attached (id %u)",
			 query.prog_id);
	else
		snprintf(text, size, "an interface above it has an XDP program");
}

/* The kernel keeps tagged media from the sockets of an interface that is not that of the VLAN. */
static const struct conf_realm *tagged_realm(const struct datapath *dp, const struct link *link)
{
	for (size_t r = 0; r < dp->conf->n_realms; r++) {
		const struct conf_realm *realm = &dp->conf->realms[r];

		for (size_t i = 0; realm->vlan && i < realm->n_interfaces; i++)
			if (!strcmp(realm->interfaces[i], link->name))
				return realm;
	}
	return NULL;
}

static int explain(const struct datapath *dp, const struct link *link, char *why, size_t why_size)
{
	static const char *const modes[] = {
		[XDP_AUTO] = "any", [XDP_NATIVE] = "native", [XDP_GENERIC] = "generic"
	};
	const struct conf_realm *tagged = tagged_realm(dp, link);
	char text[80];

	obstacle(link, text, sizeof(text));
	snprintf(why, why_size, "interface = %s: cannot attach in %s mode: %s: %s%s", link->name,
		 modes[link->want], text,
		 is_taken(link->fault)
			 ? "remove it (that of another rtpfwd by its `rtpfwd -D`), or "
			 : "",
		 tagged ? "go without `vlan`, which needs XDP"
			: "set `xdp = auto`, which takes what there is, or `off`");
	return link->fault;
}

/* The userspace relay has what comes in there, until a program can be attached. */
static void fall(struct datapath *dp, struct link *link, int err)
{
	char text[sizeof(link->reason)];

	link->fault = err;
	obstacle(link, text, sizeof(text));
	if (!link->wait_ms || strcmp(text, link->reason))
		log_warn("interface %s: %s: the userspace relay forwards what comes in there",
			 link->name, text);
	set_reason(link, text, false);
	link->wait_ms = link->wait_ms ? link->wait_ms * 2 : RETRY_MS;
	if (link->wait_ms > RETRY_MAX_MS)
		link->wait_ms = RETRY_MAX_MS;
	link->retry_ms = loop_now_ms(dp->loop) + link->wait_ms;
}

static bool is_without(const struct link *link)
{
	return link->want == XDP_OFF || link->fault;
}

static bool any_without(const struct datapath *dp, const struct link *but)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (&dp->links[i] != but && is_without(&dp->links[i]))
			return true;
	return false;
}

/* Every `auto` interface that has a program or was not tried yet, in generic mode. */
static void all_generic(struct datapath *dp, const char *because, bool passing)
{
	bool said = false;

	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];
		int err;

		if (link->want != XDP_AUTO || !link->now.ifindex || link->fault ||
		    (link->fd >= 0 && !link->native))
			continue;
		if (!said)
			log_notice("xdp = auto: generic mode, because %s", because);
		said = true;
		err = attach(dp, link, false);
		if (err)
			fall(dp, link, err);
		else
			set_reason(link, because, passing);
	}
}

/* The `auto` interface that is generic already; NULL: none, or `but`. */
static const struct link *generic_one(const struct datapath *dp, const struct link *but)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		const struct link *link = &dp->links[i];

		if (link != but && link->want == XDP_AUTO && link->fd >= 0 && !link->native)
			return link;
	}
	return NULL;
}

/* As high as the others and its driver allow. */
static void attach_auto(struct datapath *dp, struct link *link)
{
	const struct link *other = generic_one(dp, link);
	bool none = any_without(dp, link), native = !none && !other;
	char because[64];
	int err = attach(dp, link, native);

	if (!err && native)
		set_reason(link, "", false);
	else if (!err)
		set_reason(link, none ? OTHER_HAS_NONE : other->reason, none || other->passing);
	if (!err)
		return;
	if (native && !is_taken(err)) {
		err = attach(dp, link, false);
		snprintf(because, sizeof(because), "the driver of %s has no native one",
			 link->name);
	}
	if (err)
		fall(dp, link, err);
	else
		set_reason(link, because, false);
	all_generic(dp, err ? OTHER_HAS_NONE : because, err);
}

static void attach_wanted(struct datapath *dp, struct link *link)
{
	int err;

	if (link->want == XDP_AUTO) {
		attach_auto(dp, link);
		return;
	}
	err = attach(dp, link, link->want == XDP_NATIVE);
	if (err)
		fall(dp, link, err);
	else
		set_reason(link, link->native ? "" : "xdp = generic", false);
}

static void probe_all(struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];
		char because[80];

		if (link->want != XDP_AUTO || link->fd < 0 || !link->native || !link->now.veth ||
		    !link->now.running || trace_probe(dp, link))
			continue;
		snprintf(because, sizeof(because), "the other end of %s takes no redirected frames",
			 link->name);
		all_generic(dp, because, false);
		return;
	}
}

/* Without live media generic mode is worth a second thought; native stays: some drivers reset. */
static void reconsider(struct datapath *dp)
{
	if (!generic_one(dp, NULL) && !any_without(dp, NULL))
		return;
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].want == XDP_AUTO)
			detach(dp, &dp->links[i]);
}

/* A mode that a former controller found. */
static void keep_reason(struct link *link)
{
	bool found = !link->native && link->want == XDP_AUTO;

	set_reason(link,
		   link->native ? ""
		   : found	? "as the former process had it"
				: "xdp = generic",
		   found);
}

/* No program is wanted; a former controller's goes. */
static bool is_off(struct datapath *dp, struct link *link)
{
	if (link->want != XDP_OFF)
		return false;
	detach(dp, link);
	set_reason(link, "xdp = off", false);
	return true;
}

/* A start goes without a program only where it may, and media can do without. */
static int check_all(const struct datapath *dp, char *why, size_t why_size)
{
	for (size_t i = 0; i < dp->n_links; i++) {
		const struct link *link = &dp->links[i];

		if (link->fault && (link->want != XDP_AUTO || tagged_realm(dp, link)))
			return explain(dp, link, why, why_size);
	}
	return 0;
}

/* A packet that goes through the node twice is judged by one program: this one is switched together
 * with those of the links, not when it is loaded, for a start may fail between. */
static int judge_again(struct datapath *dp, char *why, size_t why_size)
{
	__u32 zero = 0;
	int err;

	if (!bpf_map_update_elem(dp->fd.again, &zero, &dp->fd.xdp, BPF_ANY))
		return 0;
	err = -errno;
	snprintf(why, why_size, "cannot set the program of the map " RTPFWD_MAP_AGAIN ": %s",
		 strerror(-err));
	return err;
}

int rung_attach_all(struct datapath *dp, bool keep, char *why, size_t why_size)
{
	int err = judge_again(dp, why, why_size);

	if (err)
		return err;
	pins_prune(dp);
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].want != XDP_OFF && take_over(dp, &dp->links[i]))
			keep_reason(&dp->links[i]);
	if (!keep)
		reconsider(dp);
	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];

		if (link->fd < 0 && !link->fault && !is_off(dp, link))
			attach_wanted(dp, link);
	}
	err = check_all(dp, why, why_size);
	if (!err && !keep)
		probe_all(dp);
	return err;
}

void rung_close_all(struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].fd >= 0)
			close(dp->links[i].fd);
}

void rung_leave(struct datapath *dp, struct link *link)
{
	detach(dp, link);
	link->fault = 0;
	link->wait_ms = 0;
	if (link->want != XDP_OFF)
		set_reason(link, "there is no such interface", false);
}

void rung_again(struct datapath *dp, struct link *link)
{
	if (link->want == XDP_OFF)
		return;
	attach_wanted(dp, link);
	if (link->fd >= 0)
		log_notice("interface %s: XDP is back, in %s mode", link->name,
			   link->native ? "native" : "generic");
}

void rung_news(struct datapath *dp, struct link *link)
{
	if (link->fault)
		link->retry_ms = loop_now_ms(dp->loop);
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

/* Is there an interface that is generic for a reason that may have passed, and none for another? */
static bool may_climb(const struct datapath *dp)
{
	bool may = false;

	for (size_t i = 0; i < dp->n_links; i++) {
		const struct link *link = &dp->links[i];

		if (link->want != XDP_AUTO || link->fd < 0 || link->native)
			continue;
		if (!link->passing)
			return false;
		may = true;
	}
	return may && !any_without(dp, NULL);
}

static void wait_for_quiet(struct datapath *dp)
{
	for (size_t i = 0; i < dp->n_links; i++)
		if (dp->links[i].passing)
			set_reason(&dp->links[i], WHEN_QUIET, true);
}

/* Not while calls are up: between two modes there is none, and some drivers reset. */
static void climb(struct datapath *dp)
{
	if (!may_climb(dp))
		return;
	if (dp->n_flows) {
		wait_for_quiet(dp);
		return;
	}
	reconsider(dp);
	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];

		if (link->fd < 0 && link->want == XDP_AUTO && link->now.ifindex)
			attach_auto(dp, link);
	}
	probe_all(dp);
}

void rung_tick(struct datapath *dp)
{
	char because[80];

	for (size_t i = 0; i < dp->n_links; i++) {
		struct link *link = &dp->links[i];

		if (link->fault && loop_now_ms(dp->loop) >= link->retry_ms)
			rung_again(dp, link);
		if (!refuses(dp, link))
			continue;
		snprintf(because, sizeof(because), "frames redirected to %s are refused",
			 link->name);
		all_generic(dp, because, false);
	}
	climb(dp);
}
