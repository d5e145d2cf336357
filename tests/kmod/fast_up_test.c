// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encrypted media that XDP leaves to the userspace relay, a process without privilege, while
 * rtpfwd.ko has the keys: fragments, options, next hops being asked for, interfaces without XDP.
 * And keys that the module cannot take.
 */
#include "fast.h"

#include "datapath/crypts.h"
#include "datapath/kmod.h"
#include "datapath/priv.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CM	 RTPFWD_AES_CM_128_HMAC_SHA1_80
#define GCM	 RTPFWD_AEAD_AES_256_GCM
#define KEY_IN	 1
#define KEY_OUT	 2
#define KEY_NEXT 3
#define FAR_KNOWN "ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent"

static struct world world;
static struct conf_peer peer = { .encryption = ENCRYPTION_SDES };
static int phone = -1, receiver = -1;
static struct nl *nl;
static srtp_t sender, listener; /* the far ends */

static bool relay_runs(void *ctx)
{
	(void)ctx;
	return lab.dp->control->relay && lab.dp->control->relay == lab.dp->user.generation;
}

static void open_lab(void)
{
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	assert_true(lab_until(&lab, relay_runs, NULL));
}

static int begin(void **state)
{
	if (lab_setup(state))
		return -1;
	srtp_shutdown(); /* the data path makes libsrtp2 ready, which goes but once */
	lab_world(&world, true);
	lab_sh(FAR_KNOWN);
	lab_enter(world.far);
	phone = lab_packet_socket("ph0");
	receiver = lab_udp_socket(FAR);
	lab_enter(world.node);
	nl = control_open();
	lab.events.relay = "/proc/self/exe";
	lab_conf(&lab, "in0", "out0", XDP_AUTO);
	lab.conf.peers = &peer;
	lab.conf.n_peers = 1;
	open_lab();
	return 0;
}

static bool is_gone(void *ctx)
{
	(void)ctx;
	return !lab.dp->flows[0] && !control_count(nl);
}

/* The next test's flow begins with a slot and a module that know nothing. */
static int clear(void **state)
{
	struct addr local = lab_addr(RELAY);

	(void)state;
	datapath_remove(lab.dp, &local, NULL);
	if (sender)
		srtp_dealloc(sender);
	if (listener)
		srtp_dealloc(listener);
	sender = listener = NULL;
	return lab_until(&lab, is_gone, NULL) ? 0 : -1;
}

static int end(void **state)
{
	lab_close(&lab);
	lab_detach(&lab);
	close(phone);
	close(receiver);
	control_close(nl);
	lab_world_end(&world);
	return lab_teardown(state);
}

static void apply_keys(uint8_t in, unsigned int key_in, uint8_t out, unsigned int key_out)
{
	struct flow_want want = relay_want();

	want.in = fast_crypt(in, key_in);
	want.out = fast_crypt(out, key_out);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

/* The flow, and both far ends anew. */
static void set_up(uint8_t in, uint8_t out)
{
	apply_keys(in, KEY_IN, out, KEY_OUT);
	sender = in ? oracle(in, KEY_IN, true) : NULL;
	listener = out ? oracle(out, KEY_OUT, false) : NULL;
}

static void make(struct frame *f, uint16_t seq, int payload)
{
	uint8_t packet[LAB_MAX];
	int size = rtp_make(packet, FAST_SSRC, seq, payload);
	struct frame_spec spec = { .from = PHONE, .to = RELAY, .payload = packet };

	if (sender)
		fast_oracle(sender, true, false, packet, &size);
	spec.length = (uint32_t)size;
	frame_make(f, &spec);
	memcpy(f->bytes, "\x02\0\0\0\x01\x01", 6);
}

static void put(const struct frame *f)
{
	fast_put(phone, f);
}

static void hear(uint16_t seq, int payload)
{
	uint8_t packet[LAB_MAX], due[LAB_MAX];
	int size = (int)recv(receiver, packet, sizeof(packet), 0);

	assert_true(size > 0);
	if (listener)
		fast_oracle(listener, false, false, packet, &size);
	assert_int_equal(size, rtp_make(due, FAST_SSRC, seq, payload));
	assert_memory_equal(packet, due, size);
}

static void talk(uint16_t first, uint16_t n)
{
	struct frame f;

	for (uint16_t i = 0; i < n; i++) {
		make(&f, (uint16_t)(first + i), 160);
		put(&f);
		hear((uint16_t)(first + i), 160);
	}
}

static bool look(void *ctx, const struct flow_report *flow)
{
	struct flow_report *out = ctx;

	if (flow->want.owner == 7)
		*out = *flow;
	return true;
}

static struct flow_report report(void)
{
	struct flow_report found = { .reason = "no flow" };

	datapath_each(lab.dp, &(uint64_t){ 0 }, look, &found);
	return found;
}

static void expect_plane(enum datapath_plane plane, const char *reason)
{
	struct flow_report r = report();

	assert_int_equal(r.counters.plane, plane);
	assert_string_equal(r.reason, reason);
}

static bool is_dropped(void *ctx)
{
	return report().counters.dropped == *(uint64_t *)ctx;
}

/* Fragments and whole packets in turn, over a rollover; the first fragments once more. */
static void fragments(uint8_t in, uint8_t out)
{
	uint64_t before = lab_drops(&lab, "up_fragment"), failed = lab_drops(&lab, "srtp_failed");
	uint64_t refused = 20;
	struct frame f[40];

	set_up(in, out);
	for (uint16_t i = 0; i < 40; i++) {
		uint16_t seq = (uint16_t)(65520 + i);

		make(&f[i], seq, 1200);
		if (i % 2)
			put(&f[i]);
		else
			fast_put_in_fragments(phone, &f[i], (uint16_t)(i + 1));
		hear(seq, 1200);
	}
	for (uint16_t i = 0; i < 40; i += 2) /* some that XDP has heard, some the relay */
		fast_put_in_fragments(phone, &f[i + (i & 4) / 4], (uint16_t)(i + 101));
	assert_true(lab_until(&lab, is_dropped, &refused));
	assert_int_equal(report().counters.packets, 40);
	assert_int_equal(report().counters.lost, 0);
	assert_int_equal(lab_drops(&lab, "up_fragment"), before + 40);
	assert_int_equal(lab_drops(&lab, "srtp_failed"), failed);
	expect_plane(PLANE_KMOD, "");
}

static void fragments_of_srtp(void **state)
{
	(void)state;
	fragments(CM, 0);
}

static void fragments_to_srtp(void **state)
{
	(void)state;
	fragments(0, GCM);
}

static void fragments_from_key_to_key(void **state)
{
	(void)state;
	fragments(GCM, CM);
}

static void options(void **state)
{
	uint64_t before = lab_drops(&lab, "up_options");
	struct frame f;

	(void)state;
	set_up(CM, GCM);
	for (uint16_t i = 0; i < 20; i++) {
		make(&f, (uint16_t)(65530 + i), 160);
		if (i % 3)
			fast_put_with_options(phone, &f);
		else
			put(&f);
		hear((uint16_t)(65530 + i), 160);
	}
	assert_int_equal(report().counters.packets, 20);
	assert_int_equal(lab_drops(&lab, "up_options"), before + 13);
}

static bool is_resolved(void *ctx)
{
	struct action action;

	(void)ctx;
	return slots_action(lab.dp, 0, &action) && !(action.act.flags & RTPFWD_F_UNRESOLVED);
}

/* A flow's next hop is what netlink has told. */
static bool is_forgotten(void *ctx)
{
	(void)ctx;
	return !lab.dp->neighbours;
}

/* XDP has touched neither keys nor indices of what it leaves to who can ask for the next hop. */
static void next_hops_being_asked_for(void **state)
{
	uint64_t before = lab_drops(&lab, "up_unresolved");
	struct frame f;

	(void)state;
	lab_sh("ip neigh del 10.77.2.2 dev out0");
	assert_true(lab_until(&lab, is_forgotten, NULL));
	set_up(CM, GCM);
	assert_false(is_resolved(NULL));
	make(&f, 65535, 160);
	put(&f);
	hear(65535, 160);
	assert_true(lab_drops(&lab, "up_unresolved") > before);
	assert_true(lab_until(&lab, is_resolved, NULL));
	talk(0, 20);
	assert_int_equal(report().counters.packets, 21);
	expect_plane(PLANE_KMOD, "");
	lab_sh(FAR_KNOWN);
}

static int pass_program(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

static bool has_xdp(void *ctx)
{
	const struct link *link = link_by_name(lab.dp, "in0");

	return (link->fd >= 0) == *(bool *)ctx && link->now.ifindex == if_nametoindex("in0");
}

/* The interface is another one of its name, and somebody was there before us. */
static void exchange_interface(int program)
{
	close(phone);
	lab_sh("ip link del in0;"
	       "ip link add in0 address 02:00:00:00:01:01 type veth peer name ph0 address "
	       "02:00:00:00:01:02; ethtool -K ph0 gro on >/dev/null;"
	       "ip addr add 10.77.1.1/24 dev in0");
	if (program >= 0)
		assert_int_equal(bpf_xdp_attach((int)if_nametoindex("in0"), program,
						XDP_FLAGS_DRV_MODE, NULL),
				 0);
	lab_sh("ip link set in0 up");
	lab_sh("ip link set ph0 up");
	phone = lab_packet_socket("ph0");
}

/* Rollover, replay window and SRTCP index go on where they were: the module still has them. */
static void an_interface_without_xdp(void **state)
{
	int program = pass_program();
	bool with = false;
	struct frame old;

	(void)state;
	set_up(CM, GCM);
	talk(65500, 30);
	make(&old, 65530, 160);
	put(&old);
	hear(65530, 160);
	exchange_interface(program);
	assert_true(lab_until(&lab, has_xdp, &with));
	expect_plane(PLANE_USER, "encrypted, and no XDP: rtpfwd.ko is asked for each packet");
	talk(65531, 20);
	put(&old);
	assert_true(lab_until(&lab, is_dropped, &(uint64_t){ 1 }));
	assert_int_equal(report().counters.packets, 51);
	bpf_xdp_detach((int)if_nametoindex("in0"), XDP_FLAGS_DRV_MODE, NULL);
	with = true;
	assert_true(lab_until(&lab, has_xdp, &with));
	talk(15, 20);
	assert_int_equal(report().counters.plane, PLANE_KMOD);
	close(program);
}

static void mute(bool muted)
{
	struct flow_want want = relay_want();

	want.in = fast_crypt(CM, KEY_IN);
	want.out = fast_crypt(GCM, KEY_OUT);
	want.mode = muted ? FLOW_MUTED : FLOW_FORWARD;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
}

/* What nobody hears for so long, over a rollover, is followed nevertheless: its number alone would
 * be taken for that of before (RFC 3711 3.3.1). */
static void a_muted_sender_is_followed(void **state)
{
	const uint64_t muted = 40000;
	uint16_t seq = 30000;
	struct frame f;

	(void)state;
	set_up(CM, GCM);
	talk(seq, 10);
	mute(true);
	seq += 10;
	for (uint64_t n = 1; n <= muted; n++) {
		make(&f, seq++, 160);
		put(&f);
		if (n % 100 == 0)
			assert_true(lab_until(&lab, is_dropped, &n));
	}
	srtp_dealloc(listener); /* to whom so many are lost: he is another one */
	listener = oracle(GCM, KEY_NEXT, false);
	apply_keys(CM, KEY_IN, GCM, KEY_NEXT);
	talk(seq, 40);
	assert_int_equal(report().counters.packets, 50);
	expect_plane(PLANE_KMOD, "");
}

static void set_xdp(enum conf_xdp xdp)
{
	lab_close(&lab);
	lab.realms[0].xdp = lab.realms[1].xdp = xdp;
	open_lab();
}

/* The module has the keys of a flow that was set up under XDP, and nobody else: the relay asks it,
 * with the very indices. What is set up now is the relay's. */
static void xdp_switched_off_at_a_restart(void **state)
{
	struct frame old;

	(void)state;
	set_up(CM, GCM);
	talk(65500, 30);
	make(&old, 65530, 160);
	put(&old);
	hear(65530, 160);
	set_xdp(XDP_OFF);
	expect_plane(PLANE_USER, "encrypted, and no XDP: rtpfwd.ko is asked for each packet");
	talk(65531, 20);
	put(&old);
	assert_true(lab_until(&lab, is_dropped, &(uint64_t){ 1 }));
	assert_int_equal(report().counters.packets, 51);
	assert_int_equal(control_count(nl), 2);
	assert_int_equal(clear(NULL), 0);
	set_up(CM, GCM);
	expect_plane(PLANE_USER, "xdp = off");
	assert_int_equal(control_count(nl), 0);
	talk(1, 20);
	assert_int_equal(clear(NULL), 0);
	set_xdp(XDP_AUTO);
}

#define NO_MEMORY "encrypted, and rtpfwd.ko had no memory for its keys"
#define REFUSED	  "encrypted, and rtpfwd.ko did not take its keys"

static int contexts(void)
{
	return control_count(nl);
}

static bool relay_has(enum rtpfwd_direction direction)
{
	return crypts_have(lab.dp, 0, direction);
}

/* Allocation `nth` below the module fails while the flow gets these keys. */
static void apply_hindered(int nth, uint8_t in, unsigned int key_in, uint8_t out,
			   unsigned int key_out)
{
	lab_hinder(nth);
	apply_keys(in, key_in, out, key_out);
	assert_true(lab_hindered());
}

/* One direction's are the relay's, the other one's the module's: each where they were added. */
static void keys_without_memory_go_to_the_relay(void **state)
{
	(void)state;
	apply_hindered(1, GCM, KEY_IN, CM, KEY_OUT);
	expect_plane(PLANE_USER, NO_MEMORY);
	assert_int_equal(contexts(), 1);
	assert_true(relay_has(RTPFWD_UNPROTECT));
	assert_false(relay_has(RTPFWD_PROTECT));
	set_up(GCM, CM); /* the same again changes nothing */
	expect_plane(PLANE_USER, NO_MEMORY);
	assert_int_equal(contexts(), 1);
	talk(65500, 60);
	assert_int_equal(report().counters.packets, 60);
	assert_int_equal(report().counters.dropped, 0);
}

/* Set up anew it climbs; the map has nothing of it any more. */
static void a_flow_climbs_when_it_is_set_up_anew(void **state)
{
	(void)state;
	apply_hindered(1, 0, 0, CM, KEY_OUT);
	expect_plane(PLANE_USER, NO_MEMORY);
	assert_int_equal(contexts(), 0);
	assert_int_equal(clear(NULL), 0);
	assert_false(relay_has(RTPFWD_PROTECT));
	set_up(0, CM);
	expect_plane(PLANE_KMOD, "");
	talk(1, 10);
}

/* A cipher that the kernel lacks is no matter of memory. */
static void keys_that_are_refused_go_to_the_relay(void **state)
{
	(void)state;
	assert_int_equal(lab_unload_other("gcm"), 0);
	set_up(GCM, GCM);
	assert_int_equal(lab_load_other("gcm"), 0);
	expect_plane(PLANE_USER, REFUSED);
	assert_int_equal(contexts(), 0);
	talk(65500, 60);
	assert_int_equal(report().counters.dropped, 0);
}

static bool one_is_left(void *ctx)
{
	(void)ctx;
	return contexts() == 1;
}

static void new_ends(uint8_t in, unsigned int key_in)
{
	srtp_dealloc(sender);
	sender = oracle(in, key_in, true);
}

/* New keys amid a call: what goes the other way keeps its context, and its rollover. */
static void new_keys_without_memory_go_to_the_relay(void **state)
{
	(void)state;
	set_up(CM, CM);
	talk(65500, 60);
	assert_int_equal(contexts(), 2);
	apply_hindered(1, CM, KEY_NEXT, CM, KEY_OUT);
	expect_plane(PLANE_USER, NO_MEMORY);
	assert_true(relay_has(RTPFWD_UNPROTECT));
	assert_false(relay_has(RTPFWD_PROTECT));
	new_ends(CM, KEY_NEXT);
	talk(24, 60);
	assert_int_equal(report().counters.packets, 120);
	assert_int_equal(report().counters.dropped, 0);
	assert_true(lab_until(&lab, one_is_left, NULL));
}

/* The next daemon finds both: what is in the map, and what is in the module. */
static void it_stays_so_behind_a_restart(void **state)
{
	(void)state;
	apply_hindered(1, GCM, KEY_IN, CM, KEY_OUT);
	set_up(GCM, CM);
	talk(65500, 40);
	lab_close(&lab);
	open_lab();
	expect_plane(PLANE_USER, "encrypted, and set up without rtpfwd.ko");
	assert_int_equal(contexts(), 1);
	talk(4, 40);
	assert_int_equal(report().counters.packets, 80);
	assert_int_equal(report().counters.dropped, 0);
}

static int hindering(void **state)
{
	(void)state;
	return lab_hinder_open();
}

static int no_more(void **state)
{
	return clear(state) || lab_hinder_close();
}

#define T_UP(name)	 cmocka_unit_test_teardown(name, clear)
#define T_HINDERED(name) cmocka_unit_test_setup_teardown(name, hindering, no_more)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T_UP(fragments_of_srtp),
		T_UP(fragments_to_srtp),
		T_UP(fragments_from_key_to_key),
		T_UP(options),
		T_UP(next_hops_being_asked_for),
		T_HINDERED(keys_without_memory_go_to_the_relay),
		T_HINDERED(a_flow_climbs_when_it_is_set_up_anew),
		T_UP(keys_that_are_refused_go_to_the_relay),
		T_HINDERED(new_keys_without_memory_go_to_the_relay),
		T_HINDERED(it_stays_so_behind_a_restart),
		T_UP(a_muted_sender_is_followed),
		T_UP(xdp_switched_off_at_a_restart),
		T_UP(an_interface_without_xdp),
	};

	if (argc > 0 && !strcmp(argv[0], DATAPATH_RELAY))
		return datapath_relay(argc, argv);
	return cmocka_run_group_tests(tests, begin, end);
}
