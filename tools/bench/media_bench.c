// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the generator and the sinks of one relay's lab, as it is told line by line.
 *
 *   build/media_bench CALLER NODE CALLEE xdp|tc|bare|srtp CORE
 *
 * Three paths of network namespaces, what the sinks are, and the generator's core. Then:
 *
 *   flows FILE                  the flows, "SIDE FROM PORT RELAY PORT OUT PORT TO PORT" a line;
 *                               srtp: and behind it the key, in hexadecimal, that the caller's side
 *                               sends under (the same in every call) or receives under
 *   run MS WINDOW PERIOD DIRECT
 *                               packets for so long; one line of JSON says what became of them
 *
 * WINDOW: packets in flight at most. PERIOD: ns between two, and delays are kept; 0: as fast as the
 * window allows. DIRECT 1: into the sinks without a relay. What it attaches goes with it. srtp: no
 * delays, for nothing can be written into such packets; some of those that arrive are looked into.
 */
#include "media.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "media.skel.h"
#pragma GCC diagnostic pop
#include "media_srtp.h"

#define PHONE	   "eth0"
#define STALLED_NS 200000000ULL /* nothing has come for so long: what is in flight is lost */
#define SETTLE_NS  50000000ULL
#define DRAIN_NS   500000000ULL
#define LOOK_US	   20000
#define HEADERS	   42 /* Ethernet, IPv4, UDP */

static const char *const node_devs[MEDIA_SIDES] = { "in0", "out0" };

struct place {
	int netns;
	uint32_t ifindex;
	uint8_t mac[ETH_ALEN];
};

struct bench {
	struct media_bpf *bpf;
	struct place phones[MEDIA_SIDES], ports[MEDIA_SIDES]; /* end hosts; the relay's */
	struct media_flow *flows;			      /* mapped */
	uint64_t *delays;				      /* mapped */
	bool srtp;					      /* and then: */
	struct media_srtp secrets;
	uint8_t frame[MEDIA_SRTP_FRAME + 1]; /* the last bytes: srtp */
	int core;			     /* the generator's */
	volatile bool over;
	volatile int failed; /* errno of the generator */
};

/* Of a moment, or between two. */
struct sample {
	uint64_t ns, cpu_ns, received, idle;
};

/* One run, as it was asked for. */
struct run {
	unsigned int ms, window, direct;
	unsigned long period;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int enter(const struct place *at)
{
	return setns(at->netns, CLONE_NEWNET) ? -errno : 0;
}

static int place_find(struct place *out, const char *netns, const char *dev)
{
	struct ifreq ifr = { 0 };
	int fd, err = 0;

	out->netns = open(netns, O_RDONLY | O_CLOEXEC);
	if (out->netns < 0 || enter(out))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		err = -errno;
	memcpy(out->mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	out->ifindex = if_nametoindex(dev);
	close(fd);
	return err;
}

static int attach_xdp(const struct place *at, const struct bpf_program *program)
{
	int err = enter(at);

	return err ? err
		   : bpf_xdp_attach((int)at->ifindex, bpf_program__fd(program), XDP_FLAGS_DRV_MODE,
				    NULL);
}

static int attach_tc(const struct place *at, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)at->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(program));
	int err = enter(at);

	if (!err)
		err = bpf_tc_hook_create(&hook);
	return err ? err : bpf_tc_attach(&hook, &opts);
}

/* The interface belongs to the namespace that the caller stands in, not to the map's. */
static int set_wire(const struct bpf_map *map, uint32_t key, const struct place *at)
{
	int err = enter(at);

	if (!err && bpf_map_update_elem(bpf_map__fd(map), &key, &at->ifindex, BPF_ANY))
		err = -errno;
	return err;
}

static bool has_skbs(const char *kind)
{
	return !strcmp(kind, "tc") || !strcmp(kind, "srtp");
}

static int attach(struct bench *b, const char *kind)
{
	const struct bpf_program *xdp[] = { b->bpf->progs.caller_xdp, b->bpf->progs.callee_xdp };
	const struct bpf_program *plain[] = { b->bpf->progs.caller_tc, b->bpf->progs.callee_tc };
	const struct bpf_program *srtp[] = { b->bpf->progs.caller_srtp, b->bpf->progs.callee_srtp };
	const struct bpf_program *const *tc = b->srtp ? srtp : plain;
	const struct bpf_program *bare[] = { b->bpf->progs.bare_caller, b->bpf->progs.bare_callee };
	int err = 0;

	for (uint32_t side = 0; side < MEDIA_SIDES && !err; side++) {
		err = has_skbs(kind) ? attach_tc(&b->phones[side], tc[side])
				     : attach_xdp(&b->phones[side], xdp[side]);
		if (!err && !strcmp(kind, "bare"))
			err = attach_xdp(&b->ports[side], bare[side]);
		if (!err)
			err = set_wire(b->bpf->maps.wires, side, &b->phones[side]);
		/* What the sender's side would send straight to the other's sink. */
		if (!err)
			err = set_wire(b->bpf->maps.wires, MEDIA_SIDES + side, &b->ports[!side]);
		if (!err)
			err = set_wire(b->bpf->maps.ports, side, &b->ports[side]);
	}
	return err;
}

static void detach_xdp(const struct place *at)
{
	if (!enter(at))
		bpf_xdp_detach((int)at->ifindex, 0, NULL);
}

/* What hangs on tc goes with the interface. */
static void detach(const struct bench *b, const char *kind)
{
	for (uint32_t side = 0; side < MEDIA_SIDES; side++) {
		if (!has_skbs(kind))
			detach_xdp(&b->phones[side]);
		if (!strcmp(kind, "bare"))
			detach_xdp(&b->ports[side]);
	}
}

static void *map_of(const struct bpf_map *map, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int secrets_open(struct bench *b)
{
	const struct media_bpf *bpf = b->bpf;
	struct media_srtp *s = &b->secrets;

	s->flows = b->flows;
	s->packets = map_of(bpf->maps.packets, MEDIA_TURNS * sizeof(*s->packets));
	s->samples = map_of(bpf->maps.samples, MEDIA_SIDES * MEDIA_KEPT * sizeof(*s->samples));
	s->numbers = map_of(bpf->maps.numbers, MEDIA_NUMBERS * sizeof(*s->numbers));
	s->keys = calloc(MEDIA_MAX_FLOWS, sizeof(*s->keys));
	return s->packets && s->samples && s->numbers && s->keys ? 0 : -ENOMEM;
}

static int bench_open(struct bench *b, char **netns)
{
	struct media_state *state;
	int err;

	for (uint32_t side = 0; side < MEDIA_SIDES; side++) {
		err = place_find(&b->phones[side], netns[side ? 2 : 0], PHONE);
		if (!err)
			err = place_find(&b->ports[side], netns[1], node_devs[side]);
		if (err)
			return err;
	}
	b->bpf = media_bpf__open_and_load();
	if (!b->bpf)
		return -errno;
	b->flows = map_of(b->bpf->maps.flows, MEDIA_MAX_FLOWS * sizeof(*b->flows));
	b->delays = map_of(b->bpf->maps.delays,
			   (size_t)MEDIA_SIDES * MEDIA_SAMPLES * sizeof(*b->delays));
	if (!b->flows || !b->delays)
		return -ENOMEM;
	err = b->srtp ? secrets_open(b) : 0;
	if (err)
		return err;
	state = &b->bpf->bss->state;
	for (uint32_t side = 0; side < MEDIA_SIDES; side++) {
		memcpy(state->macs[side], b->ports[side].mac, ETH_ALEN);
		memcpy(state->macs[side] + ETH_ALEN, b->phones[side].mac, ETH_ALEN);
	}
	for (size_t i = HEADERS; i < MEDIA_FRAME; i++) /* the payload, which stays */
		b->frame[i] = i < HEADERS + 20 ? 0 : (uint8_t)(i * 37 + 5);
	return 0;
}

static uint32_t sum_of(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < size; i += 2) {
		memcpy(&word, byte + i, sizeof(word));
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/* All but the checksum's own field and what is told of each packet: sequence, timestamp, SSRC and
 * stamp, which are 0 here, or with SRTP all of RTP. */
static void flow_sum(const struct bench *b, struct media_flow *f)
{
	const uint16_t size = f->secret ? MEDIA_SRTP_FRAME : MEDIA_FRAME;
	const uint16_t fixed[] = { htons(0x4500 | 0xb8), htons(size - ETH_HLEN), htons(0x4000),
				   htons(64 << 8 | IPPROTO_UDP) };
	const uint16_t udp = htons(size - ETH_HLEN - 20);
	uint32_t ips = sum_of(&f->from_ip, 8), rtp = 0;

	if (!b->srtp)
		rtp = htons(0x8000) + sum_of(b->frame + HEADERS, MEDIA_FRAME - HEADERS);
	f->ip_check = (uint16_t)~fold(sum_of(fixed, sizeof(fixed)) + ips);
	f->sum = fold(ips + sum_of(&f->from_port, 4) + 2U * udp + htons(IPPROTO_UDP) + rtp);
}

static int read_flow(struct media_flow *f, const char *line)
{
	char from[INET_ADDRSTRLEN], relay[INET_ADDRSTRLEN], out[INET_ADDRSTRLEN],
		to[INET_ADDRSTRLEN];
	uint16_t port[4];

	if (sscanf(line, "%hu %15s %hu %15s %hu %15s %hu %15s %hu", &f->side, from, &port[0], relay,
		   &port[1], out, &port[2], to, &port[3]) != 9 ||
	    f->side >= MEDIA_SIDES)
		return -EINVAL;
	if (inet_pton(AF_INET, from, &f->from_ip) != 1 ||
	    inet_pton(AF_INET, relay, &f->relay_ip) != 1 ||
	    inet_pton(AF_INET, out, &f->out_ip) != 1 || inet_pton(AF_INET, to, &f->to_ip) != 1)
		return -EINVAL;
	f->from_port = htons(port[0]);
	f->relay_port = htons(port[1]);
	f->out_port = htons(port[2]);
	f->to_port = htons(port[3]);
	return 0;
}

static int read_flows(struct bench *b, const char *path)
{
	FILE *in = fopen(path, "re");
	char line[256];
	uint32_t n = 0;
	int err = 0;

	if (!in)
		return -errno;
	while (!err && fgets(line, sizeof(line), in)) {
		if (n == MEDIA_MAX_FLOWS) {
			err = -E2BIG;
			break;
		}
		err = read_flow(&b->flows[n], line);
		if (!err && b->srtp)
			err = media_srtp_add(&b->secrets, n, line);
		flow_sum(b, &b->flows[n++]);
	}
	fclose(in);
	b->bpf->bss->state.flows = n;
	b->bpf->bss->state.next = 0;
	return err || n ? err : -EINVAL;
}

static uint64_t received(const struct bench *b)
{
	const struct media_sink *sinks = b->bpf->bss->sinks;

	return __atomic_load_n(&sinks[0].received, __ATOMIC_RELAXED) +
	       __atomic_load_n(&sinks[1].received, __ATOMIC_RELAXED);
}

static uint64_t in_flight(const struct bench *b)
{
	return b->bpf->bss->state.sent - b->bpf->bss->state.forgiven - received(b);
}

static void on_signal(int signo)
{
	(void)signo;
}

/* A thread of its own on a core of its own: one system call until a signal ends it, for the kernel
 * waits long before and behind each. */
static void *generate(void *bench)
{
	struct bench *b = bench;
	const struct bpf_program *program =
		b->srtp ? b->bpf->progs.generate_srtp : b->bpf->progs.generate;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->frame,
		    .data_size_in = b->srtp ? sizeof(b->frame) : MEDIA_FRAME,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = b->bpf->bss->state.period ? 1 : 0, .repeat = INT_MAX);

	setpriority(PRIO_PROCESS, (id_t)gettid(), -20); /* else it measures who else is there */
	while (!b->over)
		if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts) && errno != EINTR)
			b->failed = errno;
	return NULL;
}

static int start_generator(struct bench *b, pthread_t *thread)
{
	pthread_attr_t attr;
	cpu_set_t core;
	int err;

	b->over = false;
	b->failed = 0;
	CPU_ZERO(&core);
	CPU_SET((size_t)b->core, &core);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(core), &core);
	err = pthread_create(thread, &attr, generate, b);
	pthread_attr_destroy(&attr);
	return -err;
}

/* A signal that comes between two system calls is not seen: sent until it is. */
static void end_generator(struct bench *b, pthread_t thread)
{
	b->over = true;
	do {
		pthread_kill(thread, SIGUSR1);
		usleep(10000);
	} while (pthread_tryjoin_np(thread, NULL));
}

/* What does not come back within STALLED_NS is lost and makes room. */
static void watch(struct bench *b, uint64_t until)
{
	struct media_state *state = &b->bpf->bss->state;
	uint64_t now = now_ns(CLOCK_MONOTONIC), came = now, last = received(b);

	while (now < until) {
		uint64_t rest = (until - now) / 1000;

		usleep((useconds_t)(rest < LOOK_US ? rest : LOOK_US));
		now = now_ns(CLOCK_MONOTONIC);
		if (received(b) != last || !state->window) {
			last = received(b);
			came = now;
		} else if (now - came > STALLED_NS) {
			state->forgiven += in_flight(b);
			came = now;
		}
	}
}

static struct sample take_sample(const struct bench *b, pthread_t thread)
{
	clockid_t cpu;

	pthread_getcpuclockid(thread, &cpu);
	return (struct sample){ .ns = now_ns(CLOCK_MONOTONIC),
				.cpu_ns = now_ns(cpu),
				.received = received(b),
				.idle = b->bpf->bss->state.idle };
}

/* What happens between two moments in which the generator is at work. */
static int generate_for(struct bench *b, const struct run *run, struct sample *out)
{
	const volatile struct media_state *state = &b->bpf->bss->state;
	struct sample begin, end;
	pthread_t thread;
	int err = start_generator(b, &thread);

	if (err)
		return err;
	while (!state->sent && !state->idle && !b->failed)
		usleep(1000);
	watch(b, now_ns(CLOCK_MONOTONIC) + SETTLE_NS);
	begin = take_sample(b, thread);
	watch(b, begin.ns + run->ms * 1000000ULL);
	end = take_sample(b, thread);
	end_generator(b, thread);
	*out = (struct sample){ end.ns - begin.ns, end.cpu_ns - begin.cpu_ns,
				end.received - begin.received, end.idle - begin.idle };
	return -b->failed;
}

static void drain(struct bench *b)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + DRAIN_NS, last = received(b);

	while (in_flight(b) && now_ns(CLOCK_MONOTONIC) < until) {
		usleep(1000);
		if (received(b) != last)
			until = now_ns(CLOCK_MONOTONIC) + DRAIN_NS;
		last = received(b);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Which half of the delays do not exceed, which all but one in a hundred. */
static void print_delays(const struct bench *b)
{
	size_t n = 0;

	for (uint32_t side = 0; side < MEDIA_SIDES; side++) {
		uint64_t kept = b->bpf->bss->sinks[side].received;

		if (kept > MEDIA_SAMPLES)
			kept = MEDIA_SAMPLES;
		memmove(b->delays + n, b->delays + (size_t)side * MEDIA_SAMPLES,
			kept * sizeof(*b->delays));
		n += kept;
	}
	qsort(b->delays, n, sizeof(*b->delays), by_value);
	printf(", \"p50\": %llu, \"p99\": %llu", (unsigned long long)(n ? b->delays[n / 2] : 0),
	       (unsigned long long)(n ? b->delays[n - 1 - n / 100] : 0));
}

static void prepare(struct bench *b, const struct run *run)
{
	struct media_state *state = &b->bpf->bss->state;

	memset(b->bpf->bss->sinks, 0, sizeof(b->bpf->bss->sinks));
	state->window = run->window;
	state->timed = run->period != 0;
	state->period = run->period;
	state->direct = run->direct;
	state->due = 0;
	state->sent = 0;
	state->forgiven = 0;
	state->idle = 0;
}

static int do_run(struct bench *b, const struct run *run)
{
	const struct media_sink *sinks = b->bpf->bss->sinks;
	uint32_t wrong = 0, kept = 0, turn = b->bpf->bss->state.turn;
	struct sample timed;
	int err;

	prepare(b, run);
	err = generate_for(b, run, &timed);
	if (!err && b->srtp && b->bpf->bss->state.turn >= MEDIA_TURNS)
		err = -ERANGE;
	if (err)
		return err;
	drain(b);
	if (b->srtp && run->direct)
		b->bpf->bss->state.turn = turn; /* no relay has heard these: they can come again */
	else if (b->srtp)
		kept = media_srtp_look(&b->secrets, sinks, &wrong);
	printf("{\"sent\": %llu, \"received\": %llu, \"wrong\": %llu, \"kept\": %u, "
	       "\"timed\": {\"received\": %llu, \"idle\": %llu, \"ns\": %llu, \"cpu_ns\": %llu}",
	       (unsigned long long)b->bpf->bss->state.sent, (unsigned long long)received(b),
	       (unsigned long long)(sinks[0].wrong + sinks[1].wrong + wrong), kept,
	       (unsigned long long)timed.received, (unsigned long long)timed.idle,
	       (unsigned long long)timed.ns, (unsigned long long)timed.cpu_ns);
	if (run->period)
		print_delays(b);
	printf("}\n");
	return 0;
}

static int command(struct bench *b, char *line)
{
	struct run run;

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "flows ", 6)) {
		int err = read_flows(b, line + 6);

		if (!err)
			printf("{\"flows\": %u}\n", b->bpf->bss->state.flows);
		return err;
	}
	if (sscanf(line, "run %u %u %lu %u", &run.ms, &run.window, &run.period, &run.direct) == 4)
		return do_run(b, &run);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	const struct sigaction ignore = { .sa_handler = on_signal };
	static struct bench b;
	char line[4096];
	int err;

	if (argc != 6 ||
	    (!has_skbs(argv[4]) && strcmp(argv[4], "xdp") && strcmp(argv[4], "bare"))) {
		fprintf(stderr, "usage: media_bench CALLER NODE CALLEE xdp|tc|bare|srtp CORE\n");
		return 2;
	}
	b.core = atoi(argv[5]);
	b.srtp = !strcmp(argv[4], "srtp");
	sigaction(SIGUSR1, &ignore, NULL);
	err = bench_open(&b, argv + 1);
	if (!err)
		err = attach(&b, argv[4]);
	if (!err)
		printf("{}\n");
	while (!err && !fflush(stdout) && fgets(line, sizeof(line), stdin))
		err = command(&b, line);
	if (b.bpf)
		detach(&b, argv[4]);
	if (err)
		fprintf(stderr, "media_bench: %s\n", strerror(-err));
	return err ? 1 : 0;
}
