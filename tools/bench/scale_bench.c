// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What many flows cost the controller: a flow at every relay port of the configuration, added,
 * swept and removed.
 *
 *   build/scale_bench CONF CALLER CALLEE CALLER6 CALLEE6     (phones, by family)
 *
 * One line of JSON: how many flows, CPU microseconds to add them all, to read all counters of
 * SWEPT of them, to copy the same bytes with memcpy, to remove all; KB of this process and of the
 * maps. Two realms, the first one the callers'.
 */
#include "conf/conf.h"
#include "datapath/datapath.h"
#include "lib/loop.h"
#include "rtpfwd_abi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SWEPT 100000

struct scale {
	struct conf *conf;
	struct loop *loop;
	struct datapath *dp;
	struct addr phones[2][2]; /* by realm; IPv6 */
	uint32_t flows, swept;
	uint64_t packets;
};

static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool is_six(const struct addr *ip)
{
	return ip->family == AF_INET6;
}

/* The flow that arrives at a port of one realm and leaves by the same port of the other one. */
static struct flow_want want_of(const struct scale *s, unsigned int realm, size_t media,
				uint16_t port)
{
	const struct conf_realm *in = &s->conf->realms[realm], *out = &s->conf->realms[!realm];
	bool six = is_six(&in->media[media]);
	uint16_t phone = (uint16_t)(4000 + (port & 1));

	return (struct flow_want){
		.local = addr_with_port(&in->media[media], port),
		.owner = 1 + port / 2,
		.kind = port & 1 ? FLOW_RTCP : FLOW_RTP,
		.mode = FLOW_FORWARD,
		.expect = addr_with_port(&s->phones[realm][six], phone),
		.from = addr_with_port(&out->media[media], port),
		.to = addr_with_port(&s->phones[!realm][six], phone),
		.egress_realm = !realm,
		.clock_rate = 8000,
	};
}

/* All flows of all ports: one call's four after the other. */
static int each_port(struct scale *s, int (*one)(struct scale *s, const struct flow_want *want))
{
	const struct conf_realm *realm = s->conf->realms;
	int err = 0;

	for (size_t media = 0; media < realm->n_media; media++)
		for (uint32_t port = realm->port_lo; port <= realm->port_hi && !err; port++)
			for (unsigned int side = 0; side < 2 && !err; side++) {
				struct flow_want want = want_of(s, side, media, (uint16_t)port);

				err = one(s, &want);
			}
	return err;
}

static int add(struct scale *s, const struct flow_want *want)
{
	s->flows++;
	return datapath_apply(s->dp, want);
}

static int take_away(struct scale *s, const struct flow_want *want)
{
	struct flow_counters last;

	datapath_remove(s->dp, &want->local, &last);
	return 0;
}

static bool sweep_one(void *scale, const struct flow_report *flow)
{
	struct scale *s = scale;

	s->packets += flow->counters.packets;
	return ++s->swept < SWEPT;
}

/* The bytes that a sweep reads of each flow: its counters, and two lines of the rest. */
static uint64_t copy_us(uint32_t flows)
{
	size_t slot = sizeof(struct rtpfwd_slot), rest = sizeof(struct rtpfwd_rest);
	uint8_t *slots = calloc(flows, slot), *rests = calloc(flows, rest);
	uint8_t *to = malloc(3 * 64UL * flows);
	uint64_t began;

	if (!slots || !rests || !to)
		exit(1);
	memset(slots, 1, flows * slot); /* pages of its own, as the maps have */
	memset(rests, 1, flows * rest);
	memset(to, 0, 3 * 64UL * flows);
	began = cpu_us();
	for (uint32_t i = 0; i < flows; i++) {
		memcpy(to + i * 192UL, slots + i * slot + 64, 64);
		memcpy(to + i * 192UL + 64, rests + i * rest, 64);
		memcpy(to + i * 192UL + 128, rests + i * rest + offsetof(struct rtpfwd_rest, heard),
		       64);
	}
	began = cpu_us() - began;
	for (uint32_t i = 0; i < flows * 192; i += 64) /* read, so that it is made */
		if (to[i] != 1)
			exit(1);
	free(slots);
	free(rests);
	free(to);
	return began;
}

static int measure(struct scale *s)
{
	struct rusage usage;
	uint64_t add_us, sweep_us, remove_us;
	uint64_t at = 0;
	int err;

	add_us = cpu_us();
	err = each_port(s, add);
	if (err)
		return err;
	add_us = cpu_us() - add_us;
	sweep_us = cpu_us();
	datapath_each(s->dp, &at, sweep_one, s);
	sweep_us = cpu_us() - sweep_us;
	getrusage(RUSAGE_SELF, &usage);
	remove_us = cpu_us();
	each_port(s, take_away);
	remove_us = cpu_us() - remove_us;
	printf("{\"flows\": %u, \"swept\": %u, \"add_us\": %llu, \"sweep_us\": %llu, "
	       "\"copy_us\": %llu, \"remove_us\": %llu, \"rss_kb\": %ld, \"maps_kb\": %llu}\n",
	       s->flows, s->swept, (unsigned long long)add_us, (unsigned long long)sweep_us,
	       (unsigned long long)copy_us(s->swept), (unsigned long long)remove_us,
	       usage.ru_maxrss,
	       (unsigned long long)s->flows *
		       (sizeof(struct rtpfwd_slot) + sizeof(struct rtpfwd_rest)) / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	char why[1024] = "";
	struct scale s = { 0 };
	int err;

	if (argc != 6 || addr_parse(&s.phones[0][0], argv[2]) ||
	    addr_parse(&s.phones[1][0], argv[3]) || addr_parse(&s.phones[0][1], argv[4]) ||
	    addr_parse(&s.phones[1][1], argv[5])) {
		fprintf(stderr, "usage: scale_bench CONF CALLER CALLEE CALLER6 CALLEE6\n");
		return 2;
	}
	s.loop = loop_new();
	err = s.loop ? conf_load(&s.conf, argv[1], why, sizeof(why)) : -ENOMEM;
	if (!err)
		err = datapath_open(&s.dp, s.conf, s.loop, NULL, NULL, NULL, why, sizeof(why));
	if (!err)
		err = measure(&s);
	datapath_close(s.dp);
	if (s.conf)
		datapath_detach(s.conf, why, sizeof(why));
	if (err)
		fprintf(stderr, "scale_bench: %s: %s\n", why, strerror(-err));
	return err ? 1 : 0;
}
