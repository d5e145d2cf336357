// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random packets through random flows. What leaves must be, byte by byte, what a model says that
 * knows addresses, marks and payload but nothing of checksums by difference or headers in place:
 * it makes every frame anew. Then the same packets, bent: nothing malformed may leave.
 *
 * Another course: SEED=number; the one that ran is told.
 */
#include "relay.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS	    48
#define FLOWS_FEW   12 /* QUICK is set: a virtual machine */
#define PACKETS	    50 /* through each of them */
#define BENT	    200
#define MAX_PAYLOAD 1400
#define ETH	    14
#define UDP	    8

/* A frame by what it means. */
struct meaning {
	bool six, tagged, no_sum;
	uint16_t tag;
	uint8_t macs[12];
	uint8_t class, hops;
	uint32_t label;	 /* IPv6 */
	uint16_t id;	 /* IPv4 */
	uint16_t dont;	 /* the same: DF or 0 */
	struct addr from, to;
	uint8_t payload[MAX_PAYLOAD];
	uint32_t length;
	uint8_t trailer[24]; /* behind the datagram */
	uint32_t trailer_length;
};

static uint32_t flows(void)
{
	return getenv("QUICK") ? FLOWS_FEW : FLOWS;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

static void scatter(uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)random();
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value & 0xffff);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* RFC 1071, from the definition. */
static uint16_t sum_of(uint32_t sum, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint8_t *write_header(uint8_t *ip, const struct meaning *m)
{
	if (m->six) {
		put32(ip, 6u << 28 | (uint32_t)m->class << 20 | m->label);
		put16(ip + 4, UDP + m->length);
		ip[6] = 17;
		ip[7] = m->hops;
		memcpy(ip + 8, &m->from.v6, 16);
		memcpy(ip + 24, &m->to.v6, 16);
		return ip + 40;
	}
	ip[0] = 0x45;
	ip[1] = m->class;
	put16(ip + 2, 20 + UDP + m->length);
	put16(ip + 4, m->id);
	put16(ip + 6, m->dont);
	ip[8] = m->hops;
	ip[9] = 17;
	put16(ip + 10, 0);
	memcpy(ip + 12, &m->from.v4, 4);
	memcpy(ip + 16, &m->to.v4, 4);
	put16(ip + 10, (uint16_t)~sum_of(0, ip, 20));
	return ip + 20;
}

/* Of the datagram at `udp`, with the addresses in front of it. */
static uint16_t udp_sum(const uint8_t *udp, bool six)
{
	uint32_t size = get16(udp + 4), addresses = six ? 32 : 8;

	return sum_of(sum_of(17 + size, udp - addresses, addresses), udp, size);
}

static void write_udp(uint8_t *udp, const struct meaning *m)
{
	uint16_t sum;

	put16(udp, m->from.port);
	put16(udp + 2, m->to.port);
	put16(udp + 4, UDP + m->length);
	put16(udp + 6, 0);
	memcpy(udp + UDP, m->payload, m->length);
	if (m->no_sum)
		return;
	sum = (uint16_t)~udp_sum(udp, m->six);
	put16(udp + 6, sum ? sum : 0xffff);
}

static void express(struct frame *f, const struct meaning *m)
{
	uint8_t *at = f->bytes + 12, *udp;

	memcpy(f->bytes, m->macs, 12);
	if (m->tagged) {
		put16(at, 0x8100);
		put16(at + 2, m->tag);
		at += 4;
	}
	put16(at, m->six ? 0x86dd : 0x0800);
	udp = write_header(at + 2, m);
	write_udp(udp, m);
	memcpy(udp + UDP + m->length, m->trailer, m->trailer_length);
	f->size = (uint32_t)(udp + UDP + m->length + m->trailer_length - f->bytes);
}

/* RTP with any sources, extension and marker; all of it but the header's shape is random. */
static void random_rtp(struct meaning *m)
{
	uint32_t sources = one_in(3) ? below(16) : 0, need = 12 + sources * 4;
	bool extended = one_in(3);
	uint32_t words = below(one_in(5) ? 60 : 4);

	m->payload[0] = (uint8_t)(0x80 | (one_in(9) ? 0x20 : 0) | (extended ? 0x10 : 0) | sources);
	while ((m->payload[1] & 0xe0) == 0xc0)
		m->payload[1] = (uint8_t)random();
	if (extended) {
		put16(m->payload + need + 2, words);
		need += 4 + words * 4;
	}
	m->length = need + below(one_in(4) ? MAX_PAYLOAD - need + 1 : 200);
}

static void random_rtcp(struct meaning *m)
{
	m->payload[0] = (uint8_t)(0x80 | below(64));
	m->payload[1] = (uint8_t)(0xc0 | below(32));
	m->length = 8 + below(one_in(4) ? MAX_PAYLOAD - 7 : 100);
}

/* A packet that the flow must forward. */
static void random_meaning(struct meaning *m, const struct flow_want *want)
{
	scatter(m->payload, sizeof(m->payload));
	if (want->kind == FLOW_RTP)
		random_rtp(m);
	else
		random_rtcp(m);
	m->six = want->local.family == AF_INET6;
	m->no_sum = !m->six && one_in(4);
	m->tagged = one_in(2);
	m->tag = (uint16_t)(one_in(4) ? below(8) << 13 : (uint32_t)random());
	scatter(m->macs, sizeof(m->macs));
	m->class = (uint8_t)random();
	m->hops = (uint8_t)(2 + below(one_in(4) ? 3 : 254));
	m->label = below(1 << 20);
	m->id = (uint16_t)random();
	m->dont = one_in(2) ? 0x4000 : 0;
	m->from = want->expect;
	if (want->any_port)
		m->from.port = (uint16_t)(1 + below(65535));
	m->to = want->local;
	m->trailer_length = one_in(3) ? 1 + below(sizeof(m->trailer)) : 0;
	scatter(m->trailer, sizeof(m->trailer));
}

/* What must become of it. */
static void due(struct meaning *m, const struct flow_want *want)
{
	const struct conf_realm *realm = &lab.realms[want->egress_realm];
	bool was_six = m->six;

	memcpy(m->macs, OUT_MACS, 12);
	m->from = want->from;
	m->to = want->to;
	m->hops--;
	m->six = want->to.family == AF_INET6;
	m->no_sum = m->no_sum && !m->six;
	if (realm->marks)
		m->class = (uint8_t)(realm->dscp << 2 | (m->class & 3));
	if (realm->vlan == 0)
		m->tagged = false;
	if (realm->vlan && realm->vlan != CONF_VLAN_KEEP) {
		m->tag = (uint16_t)((m->tagged ? m->tag & 0xe000 : 0) | realm->vlan);
		m->tagged = true;
	}
	if (m->six && !was_six)
		m->label = 0;
	if (was_six && !m->six) {
		m->id = 0;
		m->dont = 0x4000;
	}
}

static void random_source(struct addr *a, bool six)
{
	*a = lab_addr(six ? PHONE6 : PHONE);
	if (six)
		scatter((uint8_t *)&a->v6, sizeof(a->v6));
	else
		scatter((uint8_t *)&a->v4, sizeof(a->v4));
	a->port = (uint16_t)(1 + below(65535));
}

static void random_realm(struct conf_realm *realm)
{
	static const uint16_t vlans[] = { 0, CONF_VLAN_KEEP, 1, 100, 4094 };

	realm->vlan = vlans[below(5)];
	realm->marks = one_in(2);
	realm->dscp = realm->marks ? (uint8_t)below(64) : 0;
}

static struct flow_want random_flow(uint32_t number)
{
	bool six = number & 1, out6 = number & 2;
	struct flow_want want = relay_want();

	random_realm(&lab.realms[1]);
	want.kind = one_in(3) ? FLOW_RTCP : FLOW_RTP;
	want.local = lab_addr(six ? RELAY6 : RELAY);
	want.local.port = (uint16_t)(LAB_LO + 2 * below(40) + (want.kind == FLOW_RTCP));
	want.from = lab_addr(out6 ? OUT6 : OUT);
	want.from.port = (uint16_t)(LAB_LO + below(80));
	want.to = lab_addr(out6 ? FAR6 : FAR);
	want.to.port = (uint16_t)(1 + below(65535));
	random_source(&want.expect, six);
	want.any_port = one_in(4);
	want.clock_rate = one_in(2) ? 8000 : 0;
	return want;
}

static void one_flow(uint32_t number)
{
	struct flow_want want = random_flow(number);
	static struct frame in, out, wanted;
	static struct meaning m;
	struct flow_counters c;
	uint64_t bytes = 0;

	relay_apply(&want);
	for (int i = 0; i < PACKETS; i++) {
		random_meaning(&m, &want);
		express(&in, &m);
		assert_int_equal(relay_run(&in, &out), XDP_REDIRECT);
		due(&m, &want);
		express(&wanted, &m);
		assert_int_equal(out.size, wanted.size);
		assert_memory_equal(out.bytes, wanted.bytes, wanted.size);
		bytes += m.length;
	}
	c = relay_counters();
	assert_int_equal(c.packets, PACKETS);
	assert_int_equal(c.bytes, bytes);
	assert_int_equal(c.dropped, 0);
	relay_remove(NULL); /* a change would wait for its turn */
}

static void valid_packets_leave_as_the_model_says(void **state)
{
	(void)state;
	NEED_ROOT;
	for (uint32_t i = 0; i < flows(); i++)
		one_flow(i);
}

/* Where IP begins in a frame that left, behind one tag or none; its family is `six`. */
static const uint8_t *ip_of(const struct frame *f, bool six)
{
	const uint8_t *type = f->bytes + 12;

	if (get16(type) == 0x8100)
		type += 4;
	assert_int_equal(get16(type), six ? 0x86dd : 0x0800);
	return type + 2;
}

static const uint8_t *udp_of(const struct frame *f, bool six)
{
	return ip_of(f, six) + (six ? 40 : 20);
}

/* Lengths of a frame that left: each header within the one around it, all within the frame. */
static void lengths_hold(const struct frame *f, bool six)
{
	const uint8_t *ip = ip_of(f, six), *udp = udp_of(f, six);
	uint32_t datagram = get16(udp + 4);

	assert_true(datagram >= UDP && udp + datagram <= f->bytes + f->size);
	assert_int_equal(ip[0] >> 4, six ? 6 : 4);
	assert_int_equal(ip[six ? 6 : 9], 17);
	assert_int_equal(get16(ip + (six ? 4 : 2)), six ? datagram : datagram + 20);
	assert_true(ip[six ? 7 : 8] > 0);
	if (!six)
		assert_int_equal(ip[0] & 15, 5);
}

/* Right sums stay right, and wrong ones wrong: damage is not made to look whole. */
static void sums_hold(const struct frame *in, bool six, const struct frame *out, bool out6)
{
	bool ip_was = six || sum_of(0, ip_of(in, six), 20) == 0xffff,
	     ip_is = out6 || sum_of(0, ip_of(out, out6), 20) == 0xffff;
	const uint8_t *was = udp_of(in, six), *is = udp_of(out, out6);

	assert_int_equal(ip_is, ip_was);
	assert_int_equal(!get16(is + 6), !get16(was + 6) && !out6);
	if (get16(was + 6))
		assert_int_equal(udp_sum(is, out6) == 0xffff, udp_sum(was, six) == 0xffff);
	else if (out6)
		assert_int_equal(udp_sum(is, out6), 0xffff);
}

static void is_well_formed(const struct frame *in, const struct frame *out,
			   const struct flow_want *want)
{
	bool six = want->local.family == AF_INET6, out6 = want->to.family == AF_INET6;
	const uint8_t *was = udp_of(in, six), *is = udp_of(out, out6);

	assert_memory_equal(out->bytes, OUT_MACS, 12);
	lengths_hold(out, out6);
	assert_memory_equal(is - (out6 ? 32 : 8), &want->from.v4, out6 ? 16 : 4);
	assert_memory_equal(is - (out6 ? 16 : 4), &want->to.v4, out6 ? 16 : 4);
	assert_int_equal(get16(is), want->from.port);
	assert_int_equal(get16(is + 2), want->to.port);
	assert_int_equal(get16(is + 4), get16(was + 4));
	assert_memory_equal(is + UDP, was + UDP, get16(was + 4) - UDP);
	sums_hold(in, six, out, out6);
}

/* Bits flipped, bytes set, cut off or put behind, anywhere in the first 120. */
static void bend(struct frame *f)
{
	uint32_t times = 1 + below(3);

	while (times--) {
		uint32_t at = below(f->size < 120 ? f->size : 120);

		switch (below(5)) {
		case 0:
			f->bytes[at] = (uint8_t)random();
			break;
		case 1:
			f->size = 1 + below(f->size);
			break;
		case 2: /* a length: of UDP, of IP */
			f->bytes[ETH + (one_in(2) ? 2 : 4) + below(22)] ^= (uint8_t)random();
			break;
		default:
			f->bytes[at] ^= (uint8_t)(1 << below(8));
		}
	}
	if (f->size < ETH) /* the kernel runs no program on less */
		f->size = ETH;
}

static uint64_t refused, passed_up;

static void add_counted(void *ctx, const char *reason, const char *help, bool up, uint64_t packets)
{
	(void)ctx;
	(void)reason;
	(void)help;
	*(up ? &passed_up : &refused) += packets;
}

static void take_counts(void)
{
	refused = passed_up = 0;
	datapath_drops(lab.dp, add_counted, NULL);
}

/* One bent packet; true: it was forwarded. */
static bool bent_packet(const struct frame *in, const struct flow_want *want)
{
	uint64_t refused_before, up_before;
	static struct frame out;
	uint32_t verdict;

	take_counts();
	refused_before = refused;
	up_before = passed_up;
	verdict = relay_run(in, &out);
	take_counts();
	assert_int_equal(refused - refused_before, verdict == XDP_DROP);
	if (verdict == XDP_REDIRECT) {
		assert_int_equal(passed_up, up_before);
		is_well_formed(in, &out, want);
		return true;
	}
	if (verdict == XDP_PASS) {
		assert_true(passed_up - up_before <= 1);
		assert_int_equal(out.size, in->size);
		assert_memory_equal(out.bytes, in->bytes, in->size);
		return false;
	}
	assert_int_equal(verdict, XDP_DROP);
	return false;
}

static uint32_t one_bent_flow(uint32_t number)
{
	struct flow_want want = random_flow(number);
	uint32_t forwarded = 0;
	static struct frame in;
	static struct meaning m;

	relay_apply(&want);
	for (int i = 0; i < BENT; i++) {
		random_meaning(&m, &want);
		express(&in, &m);
		bend(&in);
		forwarded += bent_packet(&in, &want);
	}
	assert_int_equal(relay_counters().packets, forwarded);
	relay_remove(NULL);
	return forwarded;
}

static void bent_packets_never_leave_malformed(void **state)
{
	uint32_t forwarded = 0;

	(void)state;
	NEED_ROOT;
	for (uint32_t i = 0; i < flows(); i++)
		forwarded += one_bent_flow(i);
	/* Neither were all of them ruined nor all of them harmless. */
	assert_in_range(forwarded, 1, flows() * BENT - 1);
}

static void make_tagged(struct lab *l)
{
	l->realms[1].vlan = 100;
}

static int start(void **state)
{
	const char *seed = getenv("SEED");
	unsigned int number = seed ? (unsigned int)strtoul(seed, NULL, 0) : (unsigned int)getpid();

	(void)state;
	print_message("SEED=%u\n", number);
	srandom(number);
	return relay_start_as(make_tagged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(valid_packets_leave_as_the_model_says),
		T(bent_packets_never_leave_malformed),
	};

	return relay_run_tests(tests, start, relay_stop);
}
