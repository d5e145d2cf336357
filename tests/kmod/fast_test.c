// SPDX-License-Identifier: GPL-2.0-or-later
/* The fast path's verdict with the module: frame in, frame out, beside libsrtp2. */
#include "fast.h"

#include <event2/event.h>
#include <linux/bpf.h>

#define CM	  RTPFWD_AES_CM_128_HMAC_SHA1_80
#define KEY_IN	  1
#define KEY_OUT	  2
#define KEY_NEXT  3
#define MIN_FRAME 60

/* How a flow's packets come and go. */
struct sort {
	bool six_in, six_out;
	bool rtcp;
	bool tag_out;	 /* VLAN 100 */
	bool no_sum;	 /* IPv4 without a UDP checksum */
	uint8_t in, out; /* suites; 0: in the clear */
};

/* A flow, and libsrtp2 at both of its ends. */
struct way {
	struct sort sort;
	struct flow_want want;
	srtp_t sender, receiver;
	uint16_t seq;
};

static void vlan_of_outside(struct lab *l)
{
	l->realms[1].vlan = 100;
}

static int start(void **state)
{
	return lab_setup(state) ? -1 : relay_start_as(vlan_of_outside);
}

static int stop(void **state)
{
	relay_stop(state);
	return lab_teardown(state);
}

static struct flow_want want_of(const struct sort *s)
{
	struct flow_want want = relay_want();

	if (s->six_in) {
		want.local = lab_addr(RELAY6);
		want.expect = lab_addr(PHONE6);
	}
	if (s->six_out) {
		want.from = lab_addr(OUT6);
		want.to = lab_addr(FAR6);
	}
	want.kind = s->rtcp ? FLOW_RTCP : FLOW_RTP;
	want.in = fast_crypt(s->in, KEY_IN);
	want.out = fast_crypt(s->out, KEY_OUT);
	return want;
}

static struct way way_of(const struct sort *s)
{
	struct way w = { .sort = *s, .want = want_of(s), .seq = 100 };

	if (s->in)
		w.sender = oracle(s->in, KEY_IN, true);
	if (s->out)
		w.receiver = oracle(s->out, KEY_OUT, false);
	return w;
}

static void way_open(struct way *w, const struct sort *s)
{
	*w = way_of(s);
	lab.realms[1].vlan = s->tag_out ? 100 : 0;
	relay_apply(&w->want);
}

static void way_close(struct way *w)
{
	relay_remove(NULL);
	if (w->sender)
		srtp_dealloc(w->sender);
	if (w->receiver)
		srtp_dealloc(w->receiver);
}

static void put(struct frame *f, const struct sort *s, const uint8_t *payload, int length)
{
	struct frame_spec spec = {
		.from = s->six_in ? PHONE6 : PHONE,
		.to = s->six_in ? RELAY6 : RELAY,
		.payload = payload,
		.length = (uint32_t)length,
		.no_sum = s->no_sum,
	};

	frame_make(f, &spec);
}

/* As the phone sends it: `clear` is encrypted where the flow arrives so. */
static void arrive(struct way *w, struct frame *f, const uint8_t *clear, int length)
{
	uint8_t packet[LAB_MAX];
	int size = length;

	memcpy(packet, clear, (size_t)length);
	if (w->sender)
		fast_oracle(w->sender, true, w->sort.rtcp, packet, &size);
	put(f, &w->sort, packet, size);
}

/* The payload of a frame that left, as its receiver reads it. */
static void read_payload(struct way *w, const struct frame *out, uint8_t *packet, int *size)
{
	uint32_t udp = frame_udp_at(out);

	*size = (out->bytes[udp + 4] << 8 | out->bytes[udp + 5]) - 8;
	assert_true(udp + 8 + (uint32_t)*size <= out->size);
	memcpy(packet, out->bytes + udp + 8, (size_t)*size);
	if (w->receiver)
		fast_oracle(w->receiver, false, w->sort.rtcp, packet, size);
}

/* Headers, sums and size of `out` must be those of a frame that had its payload from the start. */
static void expect_whole(struct way *w, const struct frame *out)
{
	uint32_t udp = frame_udp_at(out);
	struct frame in, due;

	put(&in, &w->sort, out->bytes + udp + 8,
	    (out->bytes[udp + 4] << 8 | out->bytes[udp + 5]) - 8);
	relay_due(&due, &in, &w->want, OUT_MACS);
	if (w->sort.no_sum && !w->sort.six_out)
		memset(due.bytes + frame_udp_at(&due) + 6, 0, 2);
	if (w->sort.tag_out)
		frame_tag(&due, 100);
	if (out->size > due.size) /* no shorter than Ethernet has them */
		assert_true(due.size < MIN_FRAME);
	else
		assert_int_equal(out->size, due.size);
	assert_memory_equal(out->bytes, due.bytes, due.size);
}

static void expect_passed(struct way *w, const uint8_t *clear, int length)
{
	uint8_t packet[LAB_MAX];
	struct frame in, out;
	int size;

	arrive(w, &in, clear, length);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	expect_whole(w, &out);
	read_payload(w, &out, packet, &size);
	assert_int_equal(size, length);
	assert_memory_equal(packet, clear, length);
}

static int make(struct way *w, uint8_t *packet, int size)
{
	if (w->sort.rtcp)
		return rtcp_make(packet, FAST_SSRC, size % 5);
	return rtp_make(packet, FAST_SSRC, w->seq++, size);
}

static void all_sizes(const struct sort *s)
{
	static const int sizes[] = { 0, 1, 15, 20, 33, 160, 161, 1200, 1400 };
	struct flow_counters c;
	uint8_t packet[LAB_MAX];
	uint64_t bytes = 0;
	struct way w;

	way_open(&w, s);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int length = make(&w, packet, sizes[i]);

		bytes += (uint64_t)length;
		expect_passed(&w, packet, length);
	}
	c = relay_counters();
	assert_int_equal(c.packets, sizeof(sizes) / sizeof(*sizes));
	assert_int_equal(c.bytes, bytes);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.lost, 0);
	way_close(&w);
}

/* RTP and RTCP, with and without a tag; the families are others for each suite. */
static void all_frames(uint8_t in, uint8_t out)
{
	for (int i = 0; i < 4; i++) {
		struct sort s = {
			.six_in = (in | out) & 1,
			.six_out = (in | out) & 2,
			.rtcp = i & 1,
			.tag_out = i & 2,
			.in = in,
			.out = out,
		};

		all_sizes(&s);
	}
}

static void clear_to_encrypted(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		all_frames(0, suite);
}

static void encrypted_to_clear(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		all_frames(suite, 0);
}

static void other_keys_and_suites_on_both_legs(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++) {
		struct sort s = { .in = (uint8_t)(i / 4 + 1), .out = (uint8_t)(i % 4 + 1) };

		s.rtcp = i & 1;
		s.six_in = i & 2;
		all_sizes(&s);
	}
}

/* A datagram without a sum leaves without, but not over IPv6. */
static void a_missing_sum_is_made_where_it_must_be(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sort s = { .no_sum = true, .six_out = i & 1 };

		s.in = i & 2 ? CM : 0;
		s.out = i & 2 ? 0 : CM;
		all_sizes(&s);
	}
}

static bool look(void *ctx, const struct flow_report *flow)
{
	struct flow_report *out = ctx;

	if (flow->want.owner == 7)
		*out = *flow;
	return true;
}

static void the_plane_is_told_without_keys(void **state)
{
	static const uint8_t none[sizeof(((struct flow_crypt *)0)->key)];
	struct sort s = { .in = CM };
	struct flow_report report = { 0 };
	struct way w;

	(void)state;
	way_open(&w, &s);
	datapath_each(lab.dp, &(uint64_t){ 0 }, look, &report);
	assert_int_equal(report.counters.plane, PLANE_KMOD);
	assert_int_equal(report.want.in.suite, CM);
	assert_memory_equal(report.want.in.key, none, sizeof(none));
	way_close(&w);
}

static void damage_is_not_mended(void **state)
{
	struct sort s = { .out = CM };
	uint8_t packet[LAB_MAX];
	struct frame in, out;
	struct way w;

	(void)state;
	way_open(&w, &s);
	arrive(&w, &in, packet, make(&w, packet, 160));
	in.bytes[RTP_AT + 30] ^= 4;
	assert_false(frame_sums_right(&in));
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	assert_false(frame_sums_right(&out));
	way_close(&w);
}

/* RTCP that shares the port of its RTP is the flow's beside it, with contexts of its own. */
static void rtcp_on_the_port_of_rtp(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	struct addr beside = lab_addr("10.77.1.1:20001");
	uint8_t packet[LAB_MAX];
	struct flow_counters c;
	struct way w, rtcp;

	(void)state;
	way_open(&w, &s);
	w.want.mux = true;
	relay_apply(&w.want);
	rtcp = w;
	rtcp.sort.rtcp = true;
	rtcp.want.kind = FLOW_RTCP;
	rtcp.want.local = beside;
	rtcp.want.from.port++;
	rtcp.want.to.port++;
	assert_int_equal(datapath_apply(lab.dp, &rtcp.want), 0);
	for (int i = 0; i < 3; i++) {
		expect_passed(&w, packet, make(&w, packet, 160));
		expect_passed(&rtcp, packet, make(&rtcp, packet, i));
	}
	assert_int_equal(datapath_counters(lab.dp, &beside, &c), 0);
	assert_int_equal(c.packets, 3);
	assert_int_equal(relay_counters().packets, 3);
	datapath_remove(lab.dp, &beside, NULL);
	way_close(&w);
}

/* Every bit that is changed on the way is noticed; nothing was learned from such a packet. */
static void srtp_auth(void **state)
{
	struct sort s = { .in = CM };
	uint8_t packet[LAB_MAX];
	struct flow_counters c;
	struct frame good, bad;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	length = make(&w, packet, 20);
	arrive(&w, &good, packet, length);
	for (uint32_t at = 2; at < (uint32_t)length + 10; at += 3) {
		bad = good;
		bad.bytes[RTP_AT + at] ^= 0x10;
		frame_resum(&bad);
		relay_expect_drop(&bad, "srtp_auth", true);
	}
	c = relay_counters();
	assert_int_equal(c.packets, 0);
	assert_int_equal(c.ssrc, 0);
	assert_int_equal(c.lost, 0);
	assert_int_equal(relay_run(&good, &bad), XDP_REDIRECT);
	assert_memory_equal(bad.bytes + RTP_AT, packet, length);
	way_close(&w);
}

static void srtp_auth_of_rtcp_in_the_clear(void **state)
{
	struct sort s = { .in = CM, .rtcp = true };
	uint8_t packet[LAB_MAX];
	struct frame f;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	length = make(&w, packet, 1);
	put(&f, &s, packet, length); /* its last bytes count as index and tag */
	relay_expect_drop(&f, "srtp_auth", true);
	way_close(&w);
}

static void srtp_replay(void **state)
{
	struct sort s = { .in = CM };
	uint8_t packet[LAB_MAX];
	struct frame f, out;
	struct way w;

	(void)state;
	way_open(&w, &s);
	arrive(&w, &f, packet, make(&w, packet, 160));
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	for (int i = 0; i < 3; i++) {
		uint64_t before = lab_drops(&lab, "srtp_replay");

		assert_int_equal(relay_run(&f, NULL), XDP_DROP);
		assert_int_equal(lab_drops(&lab, "srtp_replay"), before + 1);
	}
	assert_int_equal(relay_counters().packets, 1);
	assert_int_equal(relay_counters().dropped, 3);
	assert_int_equal(relay_counters().duplicates, 0);
	way_close(&w);
}

/* What is sent twice cannot be encrypted twice: it would be the same key stream. */
static void srtp_replay_of_a_sender(void **state)
{
	struct sort s = { .out = CM };
	uint64_t before = lab_drops(&lab, "srtp_replay");
	uint8_t packet[LAB_MAX];
	struct frame f, out;
	struct way w;

	(void)state;
	way_open(&w, &s);
	arrive(&w, &f, packet, make(&w, packet, 160));
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	assert_int_equal(relay_run(&f, NULL), XDP_DROP);
	assert_int_equal(lab_drops(&lab, "srtp_replay"), before + 1);
	way_close(&w);
}

static int told;

static bool is_told(void *ctx)
{
	(void)ctx;
	return told;
}

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	(void)ctx, (void)owner, (void)local, (void)source;
	told++;
}

static void only_authentic_packets_are_learned_from(void **state)
{
	struct sort s = { .in = CM };
	struct way w = way_of(&s);
	uint8_t packet[LAB_MAX];
	struct frame f;

	(void)state;
	told = 0;
	w.want.learning = true;
	w.want.learn = w.want.expect;
	w.want.expect.port = 9;
	relay_apply(&w.want);
	for (int i = 0; i < 20; i++) {
		arrive(&w, &f, packet, make(&w, packet, 160));
		f.bytes[f.size - 1] ^= 1;
		frame_resum(&f);
		relay_expect_drop(&f, "srtp_auth", true);
	}
	assert_int_equal(relay_counters().packets, 0);
	event_base_loop(loop_base(lab.loop), EVLOOP_NONBLOCK);
	assert_int_equal(told, 0);
	for (int i = 0; i < 5; i++) {
		arrive(&w, &f, packet, make(&w, packet, 160));
		relay_expect_drop(&f, "learning", true);
	}
	assert_true(lab_until(&lab, is_told, NULL));
	assert_int_equal(told, 1);
	way_close(&w);
}

/* Digits and reports are read where they are in the clear, on either side. */
static void what_is_encrypted_is_measured_too(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_256_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;
	int length;

	(void)state;
	for (int leg = 0; leg < 2; leg++) {
		s.in = leg ? CM : 0;
		s.out = leg ? 0 : CM;
		way_open(&w, &s);
		w.want.event = 101;
		relay_apply(&w.want);
		length = make(&w, packet, 4);
		packet[1] = 101;
		packet[13] = 0;
		expect_passed(&w, packet, length);
		assert_true(relay_counters().event);
		w.seq += 10;
		length = make(&w, packet, 4);
		packet[1] = 101;
		packet[13] = 0x80; /* the end */
		expect_passed(&w, packet, length);
		assert_false(relay_counters().event);
		assert_int_equal(relay_counters().lost, 10);
		way_close(&w);
	}
}

/* Keys change; what is under way under the former ones still arrives. */
static void new_keys_lose_nothing(void **state)
{
	struct sort s = { .in = CM, .out = CM };
	uint8_t packet[LAB_MAX], late[LAB_MAX];
	struct frame f, out;
	struct way w;
	int length;

	(void)state;
	way_open(&w, &s);
	expect_passed(&w, packet, make(&w, packet, 160));
	length = make(&w, late, 160);
	arrive(&w, &f, late, length);
	srtp_dealloc(w.sender);
	srtp_dealloc(w.receiver);
	w.sender = oracle(CM, KEY_NEXT, true);
	w.receiver = oracle(CM, KEY_NEXT, false);
	w.want.in = w.want.out = fast_crypt(CM, KEY_NEXT);
	relay_apply(&w.want);
	expect_passed(&w, packet, make(&w, packet, 160));
	assert_int_equal(relay_run(&f, &out), XDP_REDIRECT);
	read_payload(&w, &out, packet, &length);
	assert_memory_equal(packet, late, length);
	assert_int_equal(relay_counters().dropped, 0);
	way_close(&w);
}

static void sequence_numbers_roll_over(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;

	(void)state;
	way_open(&w, &s);
	for (int round = 0; round < 3; round++) {
		for (w.seq = 65530; w.seq != 6;)
			expect_passed(&w, packet, make(&w, packet, 160));
		for (w.seq = 6; w.seq < 65500; w.seq += 15000)
			expect_passed(&w, packet, make(&w, packet, 160));
	}
	way_close(&w);
}

/* What XDP passes up the relay asks the module for: each packet has the next index, whoever sends
 * it on, and no index passes twice. */
static void planes_share_what_was_sent_and_heard(void **state)
{
	struct sort s = { .in = CM, .out = RTPFWD_AEAD_AES_128_GCM };
	uint8_t packet[LAB_MAX];
	struct way w;

	(void)state;
	for (int rtcp = 0; rtcp < 2; rtcp++) {
		s.rtcp = rtcp;
		way_open(&w, &s);
		w.seq = 65500; /* rolls over */
		for (int i = 0; i < 200; i++) {
			relay_go_up(i % 3 == 1);
			expect_passed(&w, packet, make(&w, packet, 160));
		}
		assert_int_equal(relay_counters().packets, 200);
		assert_int_equal(relay_counters().lost, 0);
		way_close(&w);
	}
}

static void srtp_replay_on_the_other_plane(void **state)
{
	const struct sort legs[] = { { .in = CM }, { .out = CM } };
	uint8_t packet[LAB_MAX];
	struct frame f;
	struct way w;

	(void)state;
	for (int leg = 0; leg < 2; leg++) {
		way_open(&w, &legs[leg]);
		for (int i = 0; i < 4; i++) {
			arrive(&w, &f, packet, make(&w, packet, 160));
			relay_go_up(i & 1);
			assert_int_equal(relay_run(&f, NULL), XDP_REDIRECT);
			relay_go_up(!(i & 1));
			assert_int_equal(relay_run(&f, NULL), XDP_DROP);
		}
		assert_int_equal(relay_counters().packets, 4);
		assert_int_equal(relay_counters().dropped, 4);
		way_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(clear_to_encrypted),
		T(encrypted_to_clear),
		T(other_keys_and_suites_on_both_legs),
		T(a_missing_sum_is_made_where_it_must_be),
		T(the_plane_is_told_without_keys),
		T(damage_is_not_mended),
		T(rtcp_on_the_port_of_rtp),
		T(srtp_auth),
		T(srtp_auth_of_rtcp_in_the_clear),
		T(srtp_replay),
		T(srtp_replay_of_a_sender),
		T(only_authentic_packets_are_learned_from),
		T(what_is_encrypted_is_measured_too),
		T(new_keys_lose_nothing),
		T(sequence_numbers_roll_over),
		T_XDP(planes_share_what_was_sent_and_heard),
		T_XDP(srtp_replay_on_the_other_plane),
	};

	lab.events.learned = on_learned;
	return relay_run_tests(tests, start, stop);
}
