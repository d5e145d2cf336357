/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of streams share. The datapath here is a table of flows. */
#ifndef RTPFWD_TESTS_UNIT_STREAM_LAB_H
#define RTPFWD_TESTS_UNIT_STREAM_LAB_H

#include "media/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLOWS = 8 };

struct datapath {
	struct flow_want flows[FLOWS];
	uint64_t packets[FLOWS];
	size_t n;
	uint32_t ssrc; /* counted of every flow */
	int applies_left; /* then -EINVAL; negative: never */
	struct ports *ports;
	struct loop *loop;
	uint64_t resting; /* ports given back at the time of the last removal */
};

static inline size_t place_of(const struct datapath *dp, const struct addr *local)
{
	size_t i = 0;

	while (i < dp->n && !addr_equal(&dp->flows[i].local, local))
		i++;
	return i;
}

int datapath_apply(struct datapath *dp, const struct flow_want *want)
{
	size_t i = place_of(dp, &want->local);

	if (dp->applies_left == 0)
		return -EINVAL;
	dp->applies_left--;
	assert_true(i < FLOWS);
	if (i == dp->n)
		dp->packets[dp->n++] = 0;
	dp->flows[i] = *want;
	return 0;
}

/* Its key's first byte is put behind what is sealed. */
struct seal {
	uint8_t mark;
	uint32_t ssrc;
};

static int seals_made;

int datapath_seal(struct seal **out, const struct datapath *dp, const struct flow_crypt *crypt,
		  uint32_t ssrc)
{
	(void)dp;
	seals_made++;
	*out = malloc(sizeof(**out));
	**out = (struct seal){ crypt->key[0], ssrc };
	return 0;
}

void seal_free(struct seal *seal)
{
	free(seal);
}

int seal_packet(struct seal *seal, uint8_t *packet, size_t len, bool rtcp)
{
	packet[len] = (uint8_t)(seal->mark + rtcp);
	memcpy(packet + len + 1, &seal->ssrc, sizeof(seal->ssrc));
	return (int)(len + 1 + sizeof(seal->ssrc));
}

bool datapath_encrypts(const struct datapath *dp)
{
	(void)dp;
	return true;
}

int datapath_counters(const struct datapath *dp, const struct addr *local,
		      struct flow_counters *out)
{
	size_t i = place_of(dp, local);

	if (i == dp->n)
		return -ENOENT;
	*out = (struct flow_counters){ .packets = dp->packets[i],
				       .last_s = 0.5,
				       .ssrc = dp->ssrc };
	return 0;
}

/* Interface 7 leads everywhere but to 192.0.2.99; nobody knows of 192.0.2.98. */
int datapath_egress(unsigned int *ifindex, struct datapath *dp, unsigned int realm,
		    const struct addr *from, const struct addr *to)
{
	struct addr nowhere, unknown;

	(void)dp;
	(void)realm;
	(void)from;
	addr_parse(&nowhere, "192.0.2.99");
	addr_parse(&unknown, "192.0.2.98");
	*ifindex = addr_same_ip(to, &nowhere) || addr_same_ip(to, &unknown) ? 0 : 7;
	if (addr_same_ip(to, &unknown))
		return -EAGAIN;
	return *ifindex ? 0 : -ENETUNREACH;
}

void datapath_remove(struct datapath *dp, const struct addr *local, struct flow_counters *last)
{
	size_t i = place_of(dp, local);
	struct ports_report report;

	dp->resting = 0;
	for (unsigned int realm = 0; realm < 2; realm++) {
		ports_report(dp->ports, realm, loop_now_ms(dp->loop), &report);
		dp->resting += report.quarantine;
	}
	if (i == dp->n)
		return;
	if (last)
		datapath_counters(dp, local, last);
	dp->n--;
	dp->flows[i] = dp->flows[dp->n];
	dp->packets[i] = dp->packets[dp->n];
}

static inline struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* Realm 0: two pairs of IPv4 and of IPv6; realm 1: one pair of IPv4. */
struct fixture {
	struct addr media[3];
	struct conf_realm realms[2];
	struct conf conf;
	struct loop *loop;
	struct ports *ports;
	struct datapath dp;
	struct media *all;
	struct stream *s;
	struct addr a, b; /* relay addresses told to either side */
};

static const struct stream_leg legs[2] = {
	{ .realm = 0, .family = AF_INET, .any_port = true },
	{ .realm = 1, .family = AF_INET },
};

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->media[0] = address("10.0.0.1");
	f->media[1] = address("2001:db8::1");
	f->media[2] = address("192.0.2.1");
	f->realms[0] = (struct conf_realm){ .name = "in",
					    .index = 0,
					    .media = &f->media[0],
					    .n_media = 2,
					    .port_lo = 10000,
					    .port_hi = 10003 };
	f->realms[1] = (struct conf_realm){ .name = "out",
					    .index = 1,
					    .media = &f->media[2],
					    .n_media = 1,
					    .port_lo = 20000,
					    .port_hi = 20001 };
	f->conf = (struct conf){ .realms = f->realms, .n_realms = 2 };
	f->loop = loop_new();
	assert_int_equal(ports_new(&f->ports, &f->conf), 0);
	f->dp = (struct datapath){ .applies_left = -1, .ports = f->ports, .loop = f->loop };
	assert_int_equal(media_new(&f->all, &f->conf, f->loop, &f->dp, f->ports), 0);
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	stream_free(f->s);
	stream_free(NULL);
	assert_int_equal(f->dp.n, 0);
	media_free(f->all);
	ports_free(f->ports);
	loop_free(f->loop);
	free(f);
	return 0;
}

static inline void begin(struct fixture *f, const struct stream_leg with[2])
{
	assert_int_equal(stream_new(&f->s, f->all, 77, with), 0);
	f->a = stream_relay(f->s, SIDE_A);
	f->b = stream_relay(f->s, SIDE_B);
}

static inline void describe(struct fixture *f, enum side side, const char *rtp, const char *rtcp,
			    uint32_t clock_rate)
{
	struct addr x = address(rtp), y = address(rtcp);

	stream_describe(f->s, side, &x, &y, clock_rate);
}

static inline void expect_used(struct fixture *f, unsigned int realm, uint64_t used)
{
	struct ports_report report;

	ports_report(f->ports, realm, loop_now_ms(f->loop), &report);
	assert_int_equal(report.used, used);
}

static inline void expect_address(const struct addr *a, const char *expected)
{
	char text[ADDR_TEXT];

	assert_string_equal(addr_print(text, a), expected);
}

static inline const struct flow_want *flow(struct fixture *f, enum side side, enum flow_kind kind)
{
	const struct addr *relay = side == SIDE_A ? &f->a : &f->b;
	struct addr local = addr_with_port(relay, (uint16_t)(relay->port + (kind == FLOW_RTCP)));
	size_t i = place_of(&f->dp, &local);

	assert_true(i < f->dp.n);
	return &f->dp.flows[i];
}

/* Everything of the flow of what `side` sends. "" stands for no address. A muted flow says nothing
 * of how it would leave, so that it need not change when that does. */
static inline void expect_flow(struct fixture *f, enum side side, enum flow_kind kind,
			       enum flow_mode mode, const char *expect, const char *to,
			       uint32_t clock_rate)
{
	const struct flow_want *want = flow(f, side, kind);
	const struct addr *relay = side == SIDE_A ? &f->b : &f->a;
	struct addr from = addr_with_port(relay, (uint16_t)(relay->port + (kind == FLOW_RTCP)));

	if (mode == FLOW_MUTED)
		from = (struct addr){ 0 };
	assert_int_equal(want->owner, 77);
	assert_int_equal(want->kind, kind);
	assert_int_equal(want->mode, mode);
	expect_address(&want->expect, expect);
	expect_address(&want->to, to);
	assert_true(addr_equal(&want->from, &from));
	assert_int_equal(want->any_port, legs[side].any_port);
	assert_int_equal(want->egress_realm, legs[side_other(side)].realm);
	assert_int_equal(want->clock_rate, clock_rate);
}

#endif
