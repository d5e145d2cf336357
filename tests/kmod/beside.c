// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One packet of G.711 from one interface to the other, in the clear and to SRTP: by XDP with the
 * module and by rtpengine with its own, beside the same injection without a relay. Nanoseconds:
 * instructions, where the machine counts those as time (tools/kmod/cost).
 */
#include "fast.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "beside.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "beside.skel.h"
#pragma GCC diagnostic pop

#define RUNS	5000
#define REPEATS 3
#define WARM	300 /* packets at their pace: rtpengine learns for three seconds */
#define WARM_NS 20000000
#define NG_PORT 2223
#define SUITE	"AES_CM_128_HMAC_SHA1_80"
#define INLINE	"WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" /* 30 bytes */

static int home, far;
static struct beside_bpf *bpf;
static uint16_t next_seq;

static int netns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void make_world(void)
{
	char command[128];

	home = netns();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	far = netns();
	lab_enter(home);
	lab_sh("ip link add in0 address 02:00:00:00:01:01 type veth peer name ph0 address "
	       "02:00:00:00:01:02;"
	       "ip link add out0 address 02:00:00:00:02:01 type veth peer name ph1 address "
	       "02:00:00:00:02:02;"
	       "for i in in0 ph0 out0 ph1; do ethtool -K $i gro on >/dev/null; done");
	snprintf(command, sizeof(command),
		 "for i in ph0 ph1; do ip link set $i netns /proc/%d/fd/%d; done", getpid(), far);
	lab_sh(command);
	lab_sh("ip addr add 10.77.1.1/24 dev in0; ip addr add 10.77.2.1/24 dev out0;"
	       "ip link set in0 up; ip link set out0 up;"
	       "ip neigh replace 10.77.1.2 lladdr 02:00:00:00:01:02 dev in0 nud permanent;"
	       "ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent");
	lab_enter(far);
	lab_sh("ip link set ph0 up; ip link set ph1 up");
	lab_enter(home);
}

static int index_at(int ns, const char *name)
{
	int index;

	lab_enter(ns);
	index = (int)if_nametoindex(name);
	lab_enter(home);
	return index;
}

static void sink(int ns, const char *name, bool skb, bool on)
{
	int index = index_at(ns, name);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(bpf->progs.sink_tc));

	lab_enter(ns);
	if (!skb) {
		int fd = on ? bpf_program__fd(bpf->progs.sink_xdp) : -1;

		assert_int_equal(bpf_xdp_attach(index, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	} else if (on) {
		assert_int_equal(bpf_tc_hook_create(&hook), 0);
		assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	} else {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		assert_int_equal(bpf_tc_hook_destroy(&hook), 0);
	}
	lab_enter(home);
}

static void frame_to(struct frame *f, const char *relay, uint16_t seq)
{
	frame_rtp(f, PHONE, relay, seq);
	assert_int_equal(f->size, BESIDE_FRAME);
	memcpy(f->bytes, "\x02\0\0\0\x01\x01\x02\0\0\0\x01\x02", 12);
}

/* What the generator starts from: a frame with sequence number 0 and its sum. */
static void prepare(const char *relay)
{
	struct beside *s = &bpf->bss->state;
	struct frame f;

	frame_to(&f, relay, 0);
	memcpy(s->frame, f.bytes, BESIDE_FRAME);
	s->sum = (uint16_t) ~(f.bytes[40] | f.bytes[41] << 8);
	s->seq = next_seq;
	s->sent = s->received = 0;
	next_seq = (uint16_t)(next_seq + RUNS);
}

static uint32_t run(const char *relay)
{
	uint8_t in[BESIDE_FRAME + 1] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .repeat = RUNS, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 16);
	const struct beside *s = &bpf->bss->state;
	struct timespec settle = { .tv_nsec = 50000000 };

	prepare(relay);
	lab_enter(far);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.generate), &opts), 0);
	lab_enter(home);
	nanosleep(&settle, NULL);
	if (s->received != RUNS)
		fail_msg("%u of %u packets arrived", s->received, s->sent);
	return (uint32_t)((s->last_ns - s->first_ns) / RUNS);
}

/* The first run after boot is an outlier. */
static void tell(const char *name, const char *relay)
{
	run(relay);
	for (int i = 0; i < REPEATS; i++)
		printf("beside %s %u\n", name, run(relay));
}

static void without_relay(const char *name, bool skb)
{
	sink(home, "in0", skb, true);
	tell(name, RELAY);
	sink(home, "in0", skb, false);
}

static void ours(const char *name, uint8_t out)
{
	struct flow_want want = relay_want();

	lab_conf(&lab, "in0", "out0", XDP_NATIVE);
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	want.out = fast_crypt(out, 1);
	assert_int_equal(datapath_apply(lab.dp, &want), 0);
	sink(far, "ph1", false, true);
	tell(name, RELAY);
	sink(far, "ph1", false, false);
	lab_close(&lab);
	lab_detach(&lab);
}

static int ng = -1;

/* Its answer; false: none. */
static bool ask(const char *what, char answer[4096])
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(NG_PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 2 };
	char message[4096];
	ssize_t n;

	if (ng < 0)
		ng = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(ng, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	n = snprintf(message, sizeof(message), "1%u %s", next_seq, what);
	if (sendto(ng, message, (size_t)n, 0, (struct sockaddr *)&at, sizeof(at)) != n)
		return false;
	n = recv(ng, answer, 4095, 0);
	answer[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static unsigned int port_of(const char *answer)
{
	const char *at = strstr(answer, "m=audio ");

	if (!at)
		fail_msg("rtpengine: %s", answer);
	return (unsigned int)atoi(at + 8);
}

/* The number under which the suite was offered (RFC 4568 5.1.2); 0: it was not. */
static unsigned int tag_of(const char *offer)
{
	const char *at = strstr(offer, " " SUITE " ");

	while (at && at > offer && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return at ? (unsigned int)atoi(at) : 0;
}

/* `tag` 0: in the clear. */
static void describe(char sdp[1024], const char *ip, unsigned int port, unsigned int tag)
{
	int n = snprintf(sdp, 1024,
			 "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
			 "m=audio %u %s 0\r\n",
			 ip, ip, port, tag ? "RTP/SAVP" : "RTP/AVP");

	if (tag)
		snprintf(sdp + n, 1024 - (size_t)n, "a=crypto:%u " SUITE " inline:" INLINE "\r\n",
			 tag);
}

/* A call of rtpengine's ng protocol; the address to which the phone sends. */
static void call(char relay[32], const char *id, bool encrypted)
{
	char sdp[1024], what[2048], answer[4096];

	describe(sdp, "10.77.1.2", 5004, 0);
	snprintf(what, sizeof(what),
		 "d3:ICE6:remove4:DTLS3:off7:call-id%zu:%s7:command5:offer9:directionl6:inside7:"
		 "outsidee8:from-tag1:a7:replacel6:origine3:sdp%zu:%s18:transport-protocol%se",
		 strlen(id), id, strlen(sdp), sdp, encrypted ? "8:RTP/SAVP" : "7:RTP/AVP");
	assert_true(ask(what, answer));
	port_of(answer);
	next_seq++;
	describe(sdp, "10.77.2.2", 6000, encrypted ? tag_of(answer) : 0);
	snprintf(
		what, sizeof(what),
		"d3:ICE6:remove4:DTLS3:off7:call-id%zu:%s7:command6:answer8:from-tag1:a7:replacel6:"
		"origine3:sdp%zu:%s6:to-tag1:be",
		strlen(id), id, strlen(sdp), sdp);
	assert_true(ask(what, answer));
	snprintf(relay, 32, "10.77.1.1:%u", port_of(answer));
}

static void warm_up(const char *relay)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = index_at(far, "ph0") };
	struct timespec pause = { .tv_nsec = WARM_NS };
	struct frame f;
	int fd;

	lab_enter(far);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	for (int i = 0; i < WARM; i++) {
		frame_to(&f, relay, next_seq++);
		assert_int_equal(write(fd, f.bytes, f.size), f.size);
		nanosleep(&pause, NULL);
	}
	close(fd);
	lab_enter(home);
}

static void theirs_call(const char *name, const char *id, bool encrypted)
{
	char relay[32];

	call(relay, id, encrypted);
	warm_up(relay);
	sink(far, "ph1", true, true);
	tell(name, relay);
	sink(far, "ph1", true, false);
}

static void theirs(void)
{
	struct timespec pause = { .tv_nsec = 100000000 };
	char answer[4096];
	pid_t child;

	assert_int_equal(lab_load_other("xt_RTPENGINE"), 0);
	lab_sh("iptables-legacy -I INPUT -j RTPENGINE --id 0");
	child = fork();
	if (!child) {
		execl("/bin/rtpengine", "rtpengine", "--config-file=none", "--table=0",
		      "--no-fallback", "--foreground", "--log-stderr", "--log-level=4",
		      "--num-threads=1", "--interface=inside/10.77.1.1",
		      "--interface=outside/10.77.2.1", "--listen-ng=127.0.0.1:2223",
		      "--port-min=30000", "--port-max=40000", NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && !ask("d7:command4:pinge", answer); i++)
		nanosleep(&pause, NULL);
	next_seq++;
	theirs_call("rtpengine_rtp", "plain", false);
	theirs_call("rtpengine_srtp", "secret", true);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void connect_generator(void)
{
	uint32_t zero = 0, index = (uint32_t)index_at(far, "ph0");

	lab_enter(far);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.wire), &zero, &index, 0), 0);
	lab_enter(home);
}

static void figures(void **state)
{
	(void)state;
	setvbuf(stdout, NULL, _IOLBF, 0);
	assert_int_equal(lab_load(), 0);
	make_world();
	bpf = beside_bpf__open_and_load();
	assert_non_null(bpf);
	connect_generator();
	without_relay("base_xdp", false);
	without_relay("base_skb", true);
	ours("rtpfwd_rtp", 0);
	ours("rtpfwd_srtp", RTPFWD_AES_CM_128_HMAC_SHA1_80);
	theirs();
	beside_bpf__destroy(bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(figures) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
