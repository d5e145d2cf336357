// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nanoseconds per packet of the fast path by BPF_PROG_TEST_RUN, against an empty program behind the
 * same preamble in the same run.
 *
 *   build/xdp_bench [ROUNDS [REPEAT]]
 */
#include "xdp_bench.h"
#include "rtpfwd_abi.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "rtpfwd.skel.h"
#include "preamble.skel.h"
#pragma GCC diagnostic pop

#define MAX_FLOWS  100000
#define SLOTS	   (2 * MAX_FLOWS)
#define MAX_ROUNDS 100
#define REPEAT	   2000000 /* packets of one measurement */
#define LOOPBACK   1

#define SIZES 5

static const uint32_t sizes[SIZES] = { 1, 1000, 10000, 32000, 100000 };

struct bench {
	struct rtpfwd_bpf *rtpfwd;
	struct preamble_bpf *preamble;
	uint8_t frame[14 + 20 + 8 + 172];
	uint32_t repeat;
};

static void fill_slots(struct rtpfwd_slot *slots)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		slots[i].first = (struct rtpfwd_action){
			.expect_ip = BENCH_PHONE,
			.expect_port = bpf_htons(BENCH_PHONE_PORT),
			.flags = RTPFWD_F_EXPECT,
			.from_ip = BENCH_RELAY(0),
			.from_port = bpf_htons(BENCH_LO),
			.to_ip = BENCH_PHONE,
			.to_port = bpf_htons(BENCH_PHONE_PORT),
			.usual = RTPFWD_ANY_PAYLOAD,
			.clock_rate = 8000,
		};
		slots[i].select = RTPFWD_FIRST;
	}
}

static int fill_maps(struct bench *b)
{
	int fd = bpf_map__fd(b->rtpfwd->maps.rtpfwd_slots);
	struct rtpfwd_control control = { .lease_until = ~0ULL };
	uint32_t zero = 0, loopback = LOOPBACK;
	struct rtpfwd_slot *slots;

	for (uint32_t i = 0; i < SLOTS / BENCH_PORTS; i++) {
		uint32_t bucket = rtpfwd_bucket(BENCH_RELAY(i), b->rtpfwd->rodata->rtpfwd_seed);

		control.addresses[bucket] =
			(struct rtpfwd_address){ BENCH_RELAY(i), i * BENCH_PORTS, BENCH_PORTS,
						 BENCH_LO, 0 };
	}
	slots = mmap(NULL, SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slots == MAP_FAILED)
		return -errno;
	fill_slots(slots);
	munmap(slots, SLOTS * sizeof(*slots));
	if (bpf_map_update_elem(bpf_map__fd(b->rtpfwd->maps.rtpfwd_control), &zero, &control,
				BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(b->rtpfwd->maps.rtpfwd_tx), &zero, &loopback, BPF_ANY))
		return -errno;
	return 0;
}

static int set_targets(struct bench *b)
{
	int targets = bpf_map__fd(b->preamble->maps.targets);
	int fds[] = { bpf_program__fd(b->preamble->progs.empty),
		      bpf_program__fd(b->rtpfwd->progs.rtpfwd_xdp) };

	for (uint32_t i = 0; i < 2; i++)
		if (bpf_map_update_elem(targets, &i, &fds[i], BPF_ANY))
			return -errno;
	return 0;
}

static void make_frame(uint8_t *frame)
{
	static const uint8_t headers[] = {
		2,    0, 0,   0, 0, 1,	  2, 0,	 0,  0,	   0,	 2,    8,    0, 0x45,
		0xb8, 0, 200, 0, 0, 0x40, 0, 64, 17, 0x12, 0x34, 0,    0,    0, 0,
		0,    0, 0,   0, 0, 0,	  0, 0,	 0,  180,  0x56, 0x78, 0x80, 0,
	};

	memcpy(frame, headers, sizeof(headers));
}

static int load(struct bench *b)
{
	int err;

	b->rtpfwd = rtpfwd_bpf__open();
	b->preamble = preamble_bpf__open();
	if (!b->rtpfwd || !b->preamble)
		return -errno;
	/* Any seed that tells two addresses apart. */
	b->rtpfwd->rodata->rtpfwd_seed = 0x9e3779b1;
	bpf_map__set_max_entries(b->rtpfwd->maps.rtpfwd_slots, SLOTS);
	bpf_map__set_max_entries(b->rtpfwd->maps.rtpfwd_rests, SLOTS);
	err = rtpfwd_bpf__load(b->rtpfwd);
	if (!err)
		err = preamble_bpf__load(b->preamble);
	if (!err)
		err = fill_maps(b);
	if (!err)
		err = set_targets(b);
	make_frame(b->frame);
	return err;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	return b ? gcd(b, a % b) : a;
}

/* Some three fifths of the flows away, and every flow once in a round. */
static uint32_t step_of(uint32_t flows)
{
	uint32_t step = (uint32_t)(flows * 0.618);

	while (flows > 1 && gcd(step, flows) != 1)
		step++;
	return step;
}

/* Of our own: what else runs on the machine takes its time, not ours. */
static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Nanoseconds per packet; below 0: it did not end as it must. */
static double measure(struct bench *b, struct bpf_program *program, uint32_t flows,
		      uint32_t verdict)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->frame, .data_size_in = sizeof(b->frame),
		    .repeat = b->repeat);
	double began;

	b->preamble->bss->state.flows = flows;
	b->preamble->bss->state.step = step_of(flows);
	b->preamble->bss->state.flow = 0;
	b->preamble->bss->state.turn = 0;
	began = seconds();
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts) || opts.retval != verdict)
		return -1;
	return (seconds() - began) * 1e9 / b->repeat;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_figure(const double *sorted, int n)
{
	printf("  %7.1f (%5.1f - %5.1f)", sorted[n / 2], sorted[0], sorted[n - 1]);
}

/* One round over all sizes with maps of its own: where their pages happen to lie is part of the
 * spread. */
static int run_round(double empty[SIZES], double forward[SIZES], uint32_t repeat)
{
	struct bench b = { .repeat = repeat };
	int err = load(&b);

	for (size_t i = 0; i < SIZES && !err; i++) {
		measure(&b, b.preamble->progs.bench_forward, sizes[i], XDP_REDIRECT); /* warms up */
		empty[i] = measure(&b, b.preamble->progs.bench_empty, sizes[i], XDP_DROP);
		forward[i] = measure(&b, b.preamble->progs.bench_forward, sizes[i], XDP_REDIRECT);
		if (empty[i] < 0 || forward[i] < 0)
			err = -EIO;
	}
	preamble_bpf__destroy(b.preamble);
	rtpfwd_bpf__destroy(b.rtpfwd);
	return err;
}

static void print_size(double empty[][SIZES], double forward[][SIZES], size_t size, int rounds)
{
	double e[MAX_ROUNDS], f[MAX_ROUNDS];

	for (int i = 0; i < rounds; i++) {
		e[i] = empty[i][size];
		f[i] = forward[i][size];
	}
	qsort(e, (size_t)rounds, sizeof(e[0]), by_value);
	qsort(f, (size_t)rounds, sizeof(f[0]), by_value);
	printf("%8u", sizes[size]);
	print_figure(e, rounds);
	print_figure(f, rounds);
	printf("  %7.1f  %5.2f\n", f[rounds / 2] - e[rounds / 2], f[rounds / 2] / e[rounds / 2]);
}

int main(int argc, char **argv)
{
	static double empty[MAX_ROUNDS][SIZES], forward[MAX_ROUNDS][SIZES];
	int rounds = argc > 1 ? atoi(argv[1]) : 7, repeat = argc > 2 ? atoi(argv[2]) : REPEAT;
	int err = 0;

	if (rounds < 1 || rounds > MAX_ROUNDS || repeat < 1) {
		fprintf(stderr, "usage: xdp_bench [ROUNDS, 1-%d [REPEAT]]\n", MAX_ROUNDS);
		return 2;
	}
	for (int i = 0; i < rounds && !err; i++)
		err = run_round(empty[i], forward[i], (uint32_t)repeat);
	if (err) {
		fprintf(stderr, "xdp_bench: %s\n", strerror(-err));
		return 1;
	}
	printf("   flows   empty, ns (min - max)   forward, ns (min - max)      net  ratio\n");
	for (size_t i = 0; i < SIZES; i++)
		print_size(empty, forward, i, rounds);
	return 0;
}
