// SPDX-License-Identifier: GPL-2.0-or-later
/* What outlives the controller, and what the next one makes of it; the end of it all. */
#include "relay.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OTHER	  "10.77.1.1:20020" /* another call's */
#define NEW_PHONE "10.77.1.2:5008"

static struct flow_want forward(const char *local, uint64_t owner)
{
	struct flow_want want = relay_want();

	want.local = lab_addr(local);
	want.owner = owner;
	return want;
}

static void open_lab(void)
{
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
}

static void add(const char *local, uint64_t owner)
{
	struct flow_want want = forward(local, owner);

	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

static uint32_t offer(const char *from, const char *to)
{
	int program = lab_program(&lab, "in0");
	struct frame f;
	uint32_t verdict;

	frame_rtp(&f, from, to, 1);
	verdict = frame_run(program, &f, NULL, if_nametoindex("in0"));
	close(program);
	return verdict;
}

static uint64_t packets_at(const char *text)
{
	struct addr local = lab_addr(text);
	struct flow_counters c;

	assert_int_equal(datapath_counters(lab.dp, &local, &c), 0);
	return c.packets;
}

struct seen {
	int adopted, gone;
	struct addr last;
};

static void on_adopted(void *ctx, const struct addr *local)
{
	struct seen *seen = ctx;

	seen->adopted++;
	seen->last = *local;
}

static void on_gone(void *ctx, const struct addr *local)
{
	struct seen *seen = ctx;

	seen->gone++;
	seen->last = *local;
}

static int reopen(struct seen *seen)
{
	const struct datapath_events events = {.ctx = seen, .adopted_gone = on_gone};

	memset(seen, 0, sizeof(*seen));
	return lab_open_events(&lab, &events, on_adopted, seen);
}

static bool look(void *ctx, const struct flow_report *flow)
{
	struct flow_report *out = ctx;

	*out = *flow;
	return false;
}

static void media_outlives_the_controller(void **state)
{
	struct rtpfwd_slot *slots, before;
	struct flow_report report;
	struct flow_want was;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	assert_true(datapath_survives(lab.dp));
	add(RELAY, 7);
	was = forward(RELAY, 7);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	lab_close(&lab);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT); /* nobody is there */

	slots = lab_slots(&lab);
	before = slots[0];
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 1);
	assert_true(addr_equal(&seen.last, &was.local));
	assert_memory_equal(&slots[0], &before, sizeof(before));
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	assert_int_equal(packets_at(RELAY), 3);
	datapath_each(lab.dp, &(uint64_t){0}, look, &report);
	assert_true(report.adopted);
	assert_int_equal(report.want.owner, 7);
	assert_int_equal(report.want.kind, FLOW_RTP);
	assert_int_equal(report.want.mode, FLOW_FORWARD);
	assert_int_equal(report.want.egress_realm, 1);
	assert_int_equal(report.want.clock_rate, 8000);
	assert_true(addr_equal(&report.want.expect, &was.expect));
	assert_true(addr_equal(&report.want.from, &was.from));
	assert_true(addr_equal(&report.want.to, &was.to));
	assert_int_equal(report.counters.plane, PLANE_XDP);
	lab_unmap(NULL, slots);
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info.id;
}

/* Of the program that judges a frame once more. */
static uint32_t again_id(void)
{
	uint32_t zero = 0, id = 0;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/" RTPFWD_MAP_AGAIN, lab.folder);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &id), 0);
	close(fd);
	return id;
}

/* A packet that goes through the node twice never meets two of them. */
static void a_start_that_fails_changes_no_program(void **state)
{
	uint32_t id;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	id = program_id(lab_program(&lab, "in0"));
	assert_int_equal(again_id(), id);
	lab_close(&lab);
	lab.interfaces[1] = "nowhere0";
	assert_int_equal(lab_open(&lab), -ENODEV);
	assert_int_equal(program_id(lab_program(&lab, "in0")), id);
	assert_int_equal(again_id(), id);

	lab.interfaces[1] = "out0";
	open_lab();
	assert_int_not_equal(again_id(), id);
	assert_int_equal(program_id(lab_program(&lab, "in0")), again_id());
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
}

/* SIGKILL amid a change: the second copy is in force, the first half written. */
static void a_change_cut_short_is_finished(void **state)
{
	struct rtpfwd_slot *slots;
	struct rtpfwd_rest *rests;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	lab_close(&lab);
	slots = lab_slots(&lab);
	rests = lab_rests(&lab);
	rests[0].second = slots[0].first;
	rests[0].wide[1] = rests[0].wide[0];
	rests[0].extra[1] = rests[0].extra[0];
	slots[0].select = RTPFWD_SECOND;
	memset(&slots[0].first, 0xee, sizeof(slots[0].first));
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 1);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	lab_close(&lab); /* settles what is under way */
	assert_int_equal(slots[0].select, RTPFWD_FIRST);
	assert_memory_equal(&slots[0].first, &rests[0].second, sizeof(slots[0].first));
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	lab_unmap(NULL, slots);
	lab_unmap_rests(rests);
}

/* SIGKILL amid the probe: from then on no failure would be media's. */
static void a_probe_cut_short_is_over(void **state)
{
	struct rtpfwd_control *control;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	lab_close(&lab);
	control = lab_control(&lab);
	control->probing = 1;
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(control->probing, 0);
	lab_unmap(control, NULL);
}

static void an_adopted_flow_is_taken_over(void **state)
{
	struct flow_want want = forward(RELAY, 9);
	struct flow_report report;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	lab_close(&lab);
	assert_int_equal(reopen(&seen), 0);
	want.expect = lab_addr(NEW_PHONE);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	assert_int_equal(offer(NEW_PHONE, RELAY), XDP_REDIRECT);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT); /* late */
	assert_int_equal(packets_at(RELAY), 3);
	datapath_each(lab.dp, &(uint64_t){0}, look, &report);
	assert_false(report.adopted);
	assert_int_equal(report.want.owner, 9);
	datapath_remove(lab.dp, &want.local, NULL);
	assert_int_equal(offer(NEW_PHONE, RELAY), XDP_DROP);
	assert_int_equal(datapath_flow_count(lab.dp), 0);
}

static bool one_gone(void *ctx)
{
	return ((struct seen *)ctx)->gone > 0;
}

static bool two_gone(void *ctx)
{
	return ((struct seen *)ctx)->gone > 1;
}

static void adopted_flows_end_with_their_stream(void **state)
{
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	add("10.77.2.1:20010", 7);
	lab_close(&lab);
	lab.conf.lease_s = 1;
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 2);
	assert_true(lab_until(&lab, one_gone, &seen));
	assert_int_equal(seen.gone, 2); /* together */
	assert_int_equal(datapath_flow_count(lab.dp), 0);
	assert_int_equal(offer(PHONE, RELAY), XDP_DROP);
}

static void adopted_flows_in_use_are_kept(void **state)
{
	struct addr local = lab_addr(OTHER);
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	add(OTHER, 8);
	lab_close(&lab);
	lab.conf.lease_s = 2;
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 2);
	/* Packets at one of them, until the other has ended. */
	while (!seen.gone) {
		assert_int_equal(offer(PHONE, OTHER), XDP_REDIRECT);
		event_base_loop(loop_base(lab.loop), EVLOOP_ONCE);
	}
	assert_int_equal(seen.gone, 1);
	assert_int_equal(seen.last.port, lab_addr(RELAY).port);
	assert_int_equal(datapath_flow_count(lab.dp), 1);
	assert_true(lab_until(&lab, two_gone, &seen)); /* now nobody speaks */
	assert_true(addr_equal(&seen.last, &local));
}

static void a_lease_that_ran_out_ends_all(void **state)
{
	struct rtpfwd_control *control;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	lab_close(&lab);
	control = lab_control(&lab);
	control->lease_until = 1;
	control->lease_until_ns = 1;
	assert_int_equal(offer(PHONE, RELAY), XDP_DROP);
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 0);
	assert_true(control->lease_until > 1);
	assert_int_equal(lab_drops(&lab, "expired"), 1);
	assert_int_equal(offer(PHONE, RELAY), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "unleased"), 1);
	add(RELAY, 8);
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT);
	lab_unmap(control, NULL);
}

/* The heartbeat, seen in the map. */
static bool renewed(void *ctx)
{
	const struct rtpfwd_control *control = ctx;

	return control->lease_until > 1 && control->lease_until_ns > 1;
}

static void the_lease_is_renewed(void **state)
{
	struct rtpfwd_control *control;

	(void)state;
	NEED_ROOT;
	open_lab();
	control = lab_control(&lab);
	control->lease_until = 1;
	control->lease_until_ns = 1;
	assert_true(lab_until(&lab, renewed, control));
	lab_unmap(control, NULL);
}

static void another_layout_with_live_media_is_refused(void **state)
{
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	add(RELAY, 7);
	lab_close(&lab);
	lab.realms[1].port_hi = LAB_HI + 2;
	assert_int_equal(reopen(&seen), -EBUSY);
	assert_non_null(strstr(lab.why, "1 live flows"));
	assert_non_null(strstr(lab.why, "rtpfwd -D"));
	assert_int_equal(offer(PHONE, RELAY), XDP_REDIRECT); /* untouched */
	lab.realms[1].port_hi = LAB_HI;
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(seen.adopted, 1);
}

static void another_layout_without_media_is_replaced(void **state)
{
	struct flow_want want = forward("10.77.2.1:20101", 7);
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	lab_close(&lab);
	lab.realms[1].port_hi = LAB_HI + 2;
	assert_int_equal(reopen(&seen), 0);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	assert_int_equal(offer(PHONE, "10.77.2.1:20101"), XDP_REDIRECT);
}

static void pitfall_77_another_version_is_refused(void **state)
{
	struct rtpfwd_control *control;
	struct seen seen;

	(void)state;
	NEED_ROOT;
	open_lab();
	lab_close(&lab);
	control = lab_control(&lab);
	control->version++;
	assert_int_equal(reopen(&seen), -EBUSY);
	assert_non_null(strstr(lab.why, "another version"));
	assert_non_null(strstr(lab.why, "rtpfwd -D"));
	lab_unmap(control, NULL);
}

static void detach_removes_everything_and_may_be_repeated(void **state)
{
	struct stat st;

	(void)state;
	NEED_ROOT;
	lab_detach(&lab); /* nothing there yet */
	open_lab();
	add(RELAY, 7);
	lab_close(&lab);
	assert_int_not_equal(lab_attached("in0"), 0);
	lab_detach(&lab);
	assert_int_equal(lab_attached("in0"), 0);
	assert_int_equal(lab_attached("out0"), 0);
	assert_int_not_equal(stat(lab.folder, &st), 0);
	lab_detach(&lab);
}

static void detach_works_when_the_interface_is_gone(void **state)
{
	struct stat st;

	(void)state;
	NEED_ROOT;
	lab_sh("ip link add brief0 type veth peer name brief1; ip link set brief0 up");
	lab_conf(&lab, "in0", "brief0", XDP_GENERIC);
	open_lab();
	lab_close(&lab);
	lab_sh("ip link del brief0");
	lab_detach(&lab);
	assert_int_not_equal(stat(lab.folder, &st), 0);
	assert_int_equal(lab_attached("in0"), 0);
}

static void an_interface_of_no_realm_any_more_is_let_go(void **state)
{
	(void)state;
	NEED_ROOT;
	lab_sh("ip link add brief0 type veth peer name brief1; ip link set brief0 up");
	lab.interfaces[1] = "brief0";
	open_lab();
	lab_close(&lab);
	assert_int_not_equal(lab_attached("brief0"), 0);
	lab.interfaces[1] = "out0";
	open_lab();
	assert_int_equal(lab_attached("brief0"), 0);
	assert_int_not_equal(lab_attached("out0"), 0);
	lab_sh("ip link del brief0");
}

/* Two realms on one address: what lies between their ranges is somebody else's. */
static void a_gap_between_two_ranges_is_not_ours(void **state)
{
	(void)state;
	NEED_ROOT;
	lab.media[1] = lab.media[0];
	lab.realms[1].port_lo = 20200;
	lab.realms[1].port_hi = 20299;
	open_lab();
	assert_int_equal(offer(PHONE, "10.77.1.1:20150"), XDP_PASS);
	assert_int_equal(lab_drops(&lab, "unleased"), 0);
	assert_int_equal(offer(PHONE, "10.77.1.1:20099"), XDP_DROP);
	assert_int_equal(offer(PHONE, "10.77.1.1:20200"), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "unleased"), 2);
	assert_int_equal(
		datapath_apply(lab.dp, &(struct flow_want){.local = lab_addr("10.77.1.1:20150")}),
		-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_FRESH(media_outlives_the_controller),
		T_FRESH(a_start_that_fails_changes_no_program),
		T_FRESH(a_change_cut_short_is_finished),
		T_FRESH(a_probe_cut_short_is_over),
		T_FRESH(an_adopted_flow_is_taken_over),
		T_FRESH(adopted_flows_end_with_their_stream),
		T_FRESH(adopted_flows_in_use_are_kept),
		T_FRESH(a_lease_that_ran_out_ends_all),
		T_FRESH(the_lease_is_renewed),
		T_FRESH(another_layout_with_live_media_is_refused),
		T_FRESH(another_layout_without_media_is_replaced),
		T_FRESH(pitfall_77_another_version_is_refused),
		T_FRESH(detach_removes_everything_and_may_be_repeated),
		T_FRESH(detach_works_when_the_interface_is_gone),
		T_FRESH(an_interface_of_no_realm_any_more_is_let_go),
		T_FRESH(a_gap_between_two_ranges_is_not_ours),
	};

	return cmocka_run_group_tests(tests, relay_world, relay_world_end);
}
