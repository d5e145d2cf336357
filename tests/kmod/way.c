// SPDX-License-Identifier: GPL-2.0-or-later
#include "way.h"

#include <linux/bpf.h>

#define MIN_FRAME 60

static void vlan_of_outside(struct lab *l)
{
	l->realms[1].vlan = 100;
}

int way_start(void **state)
{
	return lab_setup(state) ? -1 : relay_start_as(vlan_of_outside);
}

int way_stop(void **state)
{
	relay_stop(state);
	return lab_teardown(state);
}

static struct flow_want want_of(const struct sort *s)
{
	struct flow_want want = relay_want_of(s->six_in, s->six_out);

	want.kind = s->rtcp ? FLOW_RTCP : FLOW_RTP;
	want.in = fast_crypt(s->in, KEY_IN);
	want.out = fast_crypt(s->out, KEY_OUT);
	return want;
}

struct way way_of(const struct sort *s)
{
	struct way w = { .sort = *s, .want = want_of(s), .seq = 100 };

	if (s->in)
		w.sender = oracle(s->in, KEY_IN, true);
	if (s->out)
		w.receiver = oracle(s->out, KEY_OUT, false);
	return w;
}

void way_open(struct way *w, const struct sort *s)
{
	*w = way_of(s);
	lab.realms[1].vlan = s->tag_out ? 100 : 0;
	relay_apply(&w->want);
}

void way_close(struct way *w)
{
	relay_remove(NULL);
	if (w->sender)
		srtp_dealloc(w->sender);
	if (w->receiver)
		srtp_dealloc(w->receiver);
}

void way_put(struct frame *f, const struct sort *s, const uint8_t *payload, int length)
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

void way_arrive(struct way *w, struct frame *f, const uint8_t *clear, int length)
{
	uint8_t packet[LAB_MAX];
	int size = length;

	memcpy(packet, clear, (size_t)length);
	if (w->sender)
		fast_oracle(w->sender, true, w->sort.rtcp, packet, &size);
	way_put(f, &w->sort, packet, size);
}

void way_read(struct way *w, const struct frame *out, uint8_t *packet, int *size)
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

	way_put(&in, &w->sort, out->bytes + udp + 8,
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

void way_expect_passed(struct way *w, const uint8_t *clear, int length)
{
	uint8_t packet[LAB_MAX];
	struct frame in, out;
	int size;

	way_arrive(w, &in, clear, length);
	assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
	expect_whole(w, &out);
	way_read(w, &out, packet, &size);
	assert_int_equal(size, length);
	assert_memory_equal(packet, clear, length);
}

int way_make(struct way *w, uint8_t *packet, int size)
{
	if (w->sort.rtcp)
		return rtcp_make(packet, FAST_SSRC, size % 5);
	return rtp_make(packet, FAST_SSRC, w->seq++, size);
}
