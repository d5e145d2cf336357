// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPU nanoseconds of one packet on each way through the fast path, by BPF_PROG_TEST_RUN, its entry
 * made by the controller's own code, less those of a program that does nothing behind the same
 * preamble.
 *
 *   build/path_bench CONF [ROUNDS]
 *
 * Realms of CONF: callers', callees', callees' behind a VLAN; each with an address of IPv4 and one
 * of IPv6, phones at .32 and ::20 of the same networks.
 */
#include "conf/conf.h"
#include "datapath/datapath.h"
#include "lib/loop.h"
#include "path.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "path.skel.h"
#pragma GCC diagnostic pop

#define REPEAT	   1000000
#define MAX_ROUNDS 100
#define FRAME	   256 /* more than IPv6 with 160 bytes of G.711 */
#define RTCP_SR	   28
#define TRIES	   2000 /* of 5 ms: until the neighbour is known */

enum { CALLERS, CALLEES, TAGGED };

struct way {
	const char *name;
	unsigned int to; /* realm */
	bool from6, to6, rtcp;
	bool mux;
	struct flow_payloads payloads; /* agreed upon; none: any */
	int16_t port; /* of the relay, beyond the flow's: another's */
	bool stranger;
	uint32_t verdict;
	int16_t shift;
};

static const struct way ways[] = {
	{ .name = "IPv4", .to = CALLEES, .verdict = XDP_REDIRECT },
	{ .name = "IPv4, RTCP sender report",
	  .to = CALLEES,
	  .rtcp = true,
	  .verdict = XDP_REDIRECT },
	{ .name = "IPv4, RTCP at the same port",
	  .to = CALLEES,
	  .mux = true,
	  .verdict = XDP_REDIRECT },
	{ .name = "IPv4, PCMU as agreed upon",
	  .to = CALLEES,
	  .payloads = { .n = 1, .pair = { { .in = 0, .out = 0 } } },
	  .verdict = XDP_REDIRECT },
	{ .name = "IPv4, another number",
	  .to = CALLEES,
	  .payloads = { .n = 1, .pair = { { .in = 0, .out = 96 } } },
	  .verdict = XDP_REDIRECT },
	{ .name = "IPv4, PCMU to PCMA",
	  .to = CALLEES,
	  .payloads = { .n = 1, .pair = { { .in = 0, .out = 8, .g711 = FLOW_TO_ALAW } } },
	  .verdict = XDP_REDIRECT },
	{ .name = "IPv4 to a VLAN", .to = TAGGED, .verdict = XDP_REDIRECT, .shift = 4 },
	{ .name = "IPv6", .to = CALLEES, .from6 = true, .to6 = true, .verdict = XDP_REDIRECT },
	{ .name = "IPv4 to IPv6",
	  .to = CALLEES,
	  .to6 = true,
	  .verdict = XDP_REDIRECT,
	  .shift = 20 },
	{ .name = "IPv6 to IPv4",
	  .to = CALLEES,
	  .from6 = true,
	  .verdict = XDP_REDIRECT,
	  .shift = -20 },
	{ .name = "refused: wrong source", .to = CALLEES, .stranger = true, .verdict = XDP_DROP },
	{ .name = "refused: port not leased", .to = CALLEES, .port = 2, .verdict = XDP_DROP },
	{ .name = "not ours: passed on", .to = CALLEES, .port = -5000, .verdict = XDP_PASS },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

struct bench {
	struct conf *conf;
	struct loop *loop;
	struct datapath *dp;
	struct path_bpf *bpf;
	int program; /* the one that is attached */
	uint8_t frame[FRAME];
	uint8_t left[2 * FRAME]; /* as it came out */
	uint32_t size, left_size;
};

static struct addr relay_of(const struct bench *b, unsigned int realm, bool six)
{
	const struct conf_realm *r = &b->conf->realms[realm];

	for (size_t i = 0; i < r->n_media; i++)
		if ((r->media[i].family == AF_INET6) == six)
			return addr_with_port(&r->media[i], r->port_lo);
	return (struct addr){ 0 };
}

static struct addr phone_of(const struct bench *b, unsigned int realm, bool six)
{
	struct addr a = relay_of(b, realm, six);

	if (six)
		a.v6.s6_addr[15] = 0x20;
	else
		a.v4.s_addr = (a.v4.s_addr & htonl(0xffffff00)) | htonl(0x20);
	a.port = 4000;
	return a;
}

static int apply(struct bench *b, const struct way *way)
{
	struct flow_want want = {
		.local = relay_of(b, CALLERS, way->from6),
		.owner = 1,
		.kind = way->rtcp ? FLOW_RTCP : FLOW_RTP,
		.mode = FLOW_FORWARD,
		.expect = phone_of(b, CALLERS, way->from6),
		.from = relay_of(b, way->to, way->to6),
		.to = phone_of(b, way->to, way->to6),
		.egress_realm = way->to,
		.clock_rate = 8000,
		.mux = way->mux,
		.payloads = way->payloads,
	};

	return datapath_apply(b->dp, &want);
}

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void sum_ip(uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
}

/* UDP's checksum is the sum of nothing: nobody looks, the program changes it by difference. */
static uint32_t put_headers(uint8_t *at, const struct addr *from, const struct addr *to,
			    unsigned int length)
{
	bool six = from->family == AF_INET6;
	uint8_t *ip = at + 14, *udp = ip + (six ? 40 : 20);

	put16(at + 12, six ? 0x86dd : 0x0800);
	if (six) {
		ip[0] = 0x60;
		put16(ip + 4, length + 8);
		ip[6] = IPPROTO_UDP;
		ip[7] = 64;
		memcpy(ip + 8, &from->v6, 16);
		memcpy(ip + 24, &to->v6, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, length + 28);
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, &from->v4, 4);
		memcpy(ip + 16, &to->v4, 4);
		sum_ip(ip);
	}
	put16(udp, from->port);
	put16(udp + 2, to->port);
	put16(udp + 4, length + 8);
	put16(udp + 6, 0x1234);
	return (uint32_t)(udp + 8 - at);
}

static void make_frame(struct bench *b, const struct way *way)
{
	struct addr from = phone_of(b, CALLERS, way->from6);
	struct addr to = relay_of(b, CALLERS, way->from6);
	unsigned int length = way->rtcp ? RTCP_SR : 172;
	uint8_t *payload;
	uint32_t head;

	from.port = (uint16_t)(from.port + way->stranger);
	to.port = (uint16_t)(to.port + way->port);
	memset(b->frame, 0, sizeof(b->frame));
	head = put_headers(b->frame, &from, &to, length);
	payload = b->frame + head;
	payload[0] = 0x80;
	payload[1] = way->rtcp ? 200 : 0;
	b->size = head + length < PATH_HEAD ? PATH_HEAD : head + length;
	b->bpf->bss->state =
		(struct path_state){ .shift = way->shift, .seq_at = way->rtcp ? 0 : head + 2 };
	memcpy(b->bpf->bss->state.head, b->frame, PATH_HEAD);
}

static int aim(const struct bench *b, int program)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(b->bpf->maps.target), &zero, &program, BPF_ANY)
		       ? -errno
		       : 0;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Nanoseconds of a packet; below 0: not the verdict that it must have. What the preamble takes away
 * in front of each frame stands there before the first one, too. */
static double run(struct bench *b, int program, uint32_t repeat, uint32_t verdict)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->frame,
		    .data_size_in = b->size + (uint32_t)b->bpf->bss->state.shift,
		    .data_out = b->left, .data_size_out = sizeof(b->left), .repeat = (int)repeat);
	double began;

	if (aim(b, program))
		return -1;
	began = seconds();
	if (bpf_prog_test_run_opts(bpf_program__fd(b->bpf->progs.path), &opts) ||
	    opts.retval != verdict)
		return -1;
	began = seconds() - began;
	b->left_size = opts.data_size_out;
	return began * 1e9 / repeat;
}

/* Makes the entry anew, and turns the loop until the packet that it is for goes its way: until no
 * reader of the former entry is left and the next hop is known. */
static int settle(struct bench *b, const struct way *way)
{
	struct addr local = relay_of(b, CALLERS, way->from6);
	struct way due = *way;
	struct timespec pause = { .tv_nsec = 5000000 };
	int err;

	due.stranger = false;
	due.port = 0;
	make_frame(b, &due);
	datapath_remove(b->dp, &local, NULL);
	err = apply(b, way);
	for (int i = 0; i < TRIES && !err; i++) {
		if (run(b, b->program, 1, XDP_REDIRECT) >= 0 &&
		    b->left_size == b->size + (uint32_t)way->shift)
			return 0;
		event_base_loop(loop_base(b->loop), EVLOOP_NONBLOCK);
		nanosleep(&pause, NULL);
	}
	return err ? err : -ETIMEDOUT;
}

static int measure(struct bench *b, const struct way *way, double *ns)
{
	double all, empty;
	int err = settle(b, way);

	if (err) {
		fprintf(stderr, "path_bench: %s: no entry forwards\n", way->name);
		return err;
	}
	make_frame(b, way);
	run(b, b->program, REPEAT / 10, way->verdict); /* warms up */
	all = run(b, b->program, REPEAT, way->verdict);
	b->bpf->bss->state.shift = 0;
	empty = run(b, bpf_program__fd(b->bpf->progs.nothing), REPEAT, XDP_DROP);
	if (all < 0 || empty < 0)
		fprintf(stderr, "path_bench: %s: not the verdict that is due\n", way->name);
	*ns = all - empty;
	return all < 0 || empty < 0 ? -EIO : 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int measure_all(struct bench *b, int rounds)
{
	static double ns[WAYS][MAX_ROUNDS];
	int err = 0;

	for (int round = 0; round < rounds && !err; round++)
		for (size_t i = 0; i < WAYS && !err; i++)
			err = measure(b, &ways[i], &ns[i][round]);
	if (err)
		return err;
	printf("   one flow, net of the preamble  ns, median (min - max)\n");
	for (size_t i = 0; i < WAYS; i++) {
		qsort(ns[i], (size_t)rounds, sizeof(ns[i][0]), by_value);
		printf("   %-29s %6.1f (%5.1f - %5.1f)\n", ways[i].name, ns[i][rounds / 2],
		       ns[i][0], ns[i][rounds - 1]);
	}
	return 0;
}

/* The program that the data path has attached to the callers' interface. */
static int find_program(struct bench *b)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[512];
	int fd, err;

	snprintf(path, sizeof(path), "%s/link_%s", b->conf->bpffs,
		 b->conf->realms[CALLERS].interfaces[0]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	err = bpf_obj_get_info_by_fd(fd, &info, &size) ? -errno : 0;
	close(fd);
	if (!err)
		b->program = bpf_prog_get_fd_by_id(info.prog_id);
	return err ? err : b->program < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 7, err;
	struct bench b = { .loop = loop_new() };
	char why[1024] = "";

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: path_bench CONF [ROUNDS, 1-%d]\n", MAX_ROUNDS);
		return 2;
	}
	b.bpf = path_bpf__open_and_load();
	err = b.loop && b.bpf ? conf_load(&b.conf, argv[1], why, sizeof(why)) : -ENOMEM;
	if (!err)
		err = datapath_open(&b.dp, b.conf, b.loop, NULL, NULL, NULL, why, sizeof(why));
	*why = err ? *why : '\0';
	if (!err)
		err = find_program(&b);
	if (!err)
		err = measure_all(&b, rounds);
	datapath_close(b.dp);
	if (b.conf)
		datapath_detach(b.conf, why, sizeof(why));
	path_bpf__destroy(b.bpf);
	if (err)
		fprintf(stderr, "path_bench: %s: %s\n", why, strerror(-err));
	return err ? 1 : 0;
}
