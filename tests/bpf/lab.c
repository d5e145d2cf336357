// SPDX-License-Identifier: GPL-2.0-or-later
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ETH 14
#define TAG 4
#define IP  20
#define IP6 40
#define UDP 8

static const uint8_t node_mac[6] = { 0x02, 0, 0, 0, 1, 0x01 };
static const uint8_t phone_mac[6] = { 0x02, 0, 0, 0, 1, 0x02 };

struct addr lab_addr(const char *text)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

int lab_packet_socket(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

int lab_udp_socket(const char *at)
{
	struct timeval limit = { .tv_sec = 10 };
	struct addr here = lab_addr(at);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&address, &here);
	int fd = socket(here.family, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 16 << 20;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	return fd;
}

void lab_sh(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static int new_netns(void)
{
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void lab_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

void lab_world(struct world *w, bool polled)
{
	char command[512];

	w->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	w->far = new_netns();
	lab_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set lo up");
	w->node = new_netns();
	lab_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set lo up;"
	       "ip link add in0 address 02:00:00:00:01:01 type veth peer name ph0 address "
	       "02:00:00:00:01:02;"
	       "ip link add out0 address 02:00:00:00:02:01 type veth peer name ph1 address "
	       "02:00:00:00:02:02;"
	       "ip addr add 10.77.1.1/24 dev in0; ip addr add 10.77.2.1/24 dev out0");
	/* Before anything is up: see the veth facts in the README of the data path. */
	if (polled)
		lab_sh("ethtool -K ph0 gro on >/dev/null; ethtool -K ph1 gro on >/dev/null");
	snprintf(command, sizeof(command),
		 "ip link set ph0 netns /proc/%d/fd/%d; ip link set ph1 netns /proc/%d/fd/%d",
		 getpid(), w->far, getpid(), w->far);
	lab_sh(command);
	lab_sh("ip link set in0 up; ip link set out0 up");
	lab_enter(w->far);
	lab_sh("ip addr add 10.77.1.2/24 dev ph0; ip addr add 10.77.2.2/24 dev ph1; ip link set "
	       "ph0 up; ip link set ph1 up");
	lab_enter(w->node);
}

void lab_neighbours(void)
{
	lab_sh("ip neigh replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
	       "ip neigh replace 10.77.1.3 lladdr 02:00:00:00:01:03 dev in0 nud permanent");
	lab_sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.in0.accept_dad=0 "
	       "net.ipv6.conf.out0.accept_dad=0 net.ipv6.conf.all.disable_ipv6=0;"
	       "ip addr add 2001:db8:1::1/64 dev in0 nodad;"
	       "ip addr add 2001:db8:2::1/64 dev out0 nodad;"
	       "ip neigh replace 2001:db8:2::2 lladdr 02:00:00:00:02:02 dev out0 nud permanent;"
	       "ip neigh replace 2001:db8:1::3 lladdr 02:00:00:00:01:03 dev in0 nud permanent");
}

void lab_world_end(struct world *w)
{
	lab_enter(w->home);
	close(w->node);
	close(w->far);
	close(w->home);
}

void lab_conf(struct lab *lab, const char *inside, const char *outside, enum conf_xdp xdp)
{
	static int number;

	*lab = (struct lab){ .events = lab->events };
	lab->interfaces[0] = inside;
	lab->interfaces[1] = outside;
	lab->media[0] = lab_addr("10.77.1.1");
	lab->media[1] = lab_addr("10.77.2.1");
	snprintf(lab->folder, sizeof(lab->folder), "/sys/fs/bpf/rtpfwd-test-%d-%d", getpid(),
		 number++);
	for (unsigned int i = 0; i < 2; i++) {
		lab->realms[i] = (struct conf_realm){
			.name = i ? "outside" : "inside",
			.index = i,
			.interfaces = &lab->interfaces[i],
			.n_interfaces = 1,
			.media = &lab->media[i],
			.n_media = 1,
			.port_lo = LAB_LO,
			.port_hi = LAB_HI,
			.xdp = xdp,
		};
	}
	lab->conf = (struct conf){
		.bpffs = lab->folder, .lease_s = 300, .realms = lab->realms, .n_realms = 2
	};
}

void lab_conf_ipv6(struct lab *lab)
{
	for (unsigned int i = 0; i < 2; i++) {
		lab->both[i][0] = lab->media[i];
		lab->both[i][1] = lab_addr(i ? "2001:db8:2::1" : "2001:db8:1::1");
		lab->realms[i].media = lab->both[i];
		lab->realms[i].n_media = 2;
	}
}

int lab_open(struct lab *lab)
{
	return lab_open_events(lab, &lab->events, NULL, NULL);
}

int lab_open_events(struct lab *lab, const struct datapath_events *events,
		    void (*adopted)(void *, const struct addr *), void *ctx)
{
	int err;

	lab->loop = loop_new();
	assert_non_null(lab->loop);
	err = datapath_open(&lab->dp, &lab->conf, lab->loop, events, adopted, ctx, lab->why,
			    sizeof(lab->why));
	if (err) {
		loop_free(lab->loop);
		lab->loop = NULL;
		lab->dp = NULL;
	}
	return err;
}

const char *lab_relay(void)
{
	static char path[PATH_MAX];
	char *slash;

	/* From its tests/bpf/NAME up. */
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - sizeof("rtpfwd")) > 0);
	for (int up = 0; up < 3; up++) {
		slash = strrchr(path, '/');
		assert_non_null(slash);
		*slash = '\0';
	}
	return strcat(path, "/rtpfwd");
}

void lab_close(struct lab *lab)
{
	datapath_close(lab->dp);
	lab->dp = NULL;
	if (lab->loop)
		loop_free(lab->loop);
	lab->loop = NULL;
}

void lab_detach(struct lab *lab)
{
	assert_int_equal(datapath_detach(&lab->conf, lab->why, sizeof(lab->why)), 0);
}

static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t frame_ip_at(const struct frame *f)
{
	return f->bytes[12] == 0x81 && !f->bytes[13] ? ETH + TAG : ETH;
}

bool frame_is_ipv6(const struct frame *f)
{
	return f->bytes[frame_ip_at(f) - 2] == 0x86;
}

uint32_t frame_udp_at(const struct frame *f)
{
	return frame_ip_at(f) + (frame_is_ipv6(f) ? IP6 : IP);
}

static uint16_t ip_sum(const struct frame *f)
{
	return finish(sum_bytes(0, f->bytes + frame_ip_at(f), IP));
}

static uint16_t udp_sum(const struct frame *f)
{
	const uint8_t *ip = f->bytes + frame_ip_at(f), *udp = f->bytes + frame_udp_at(f);
	uint32_t length = (uint32_t)(udp[4] << 8 | udp[5]), sum = 17 + length;

	sum = frame_is_ipv6(f) ? sum_bytes(sum, ip + 8, 32) : sum_bytes(sum, ip + 12, 8);
	return finish(sum_bytes(sum, udp, length));
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void frame_resum(struct frame *f)
{
	uint8_t *ip = f->bytes + frame_ip_at(f), *udp = f->bytes + frame_udp_at(f);
	uint16_t sum;

	if (!frame_is_ipv6(f)) {
		put16(ip + 10, 0);
		put16(ip + 10, ip_sum(f));
	}
	put16(udp + 6, 0);
	sum = udp_sum(f);
	put16(udp + 6, sum ? sum : 0xffff);
}

/* IPv6 has no sum of its own, and asks for UDP's. */
bool frame_sums_right(const struct frame *f)
{
	const uint8_t *udp = f->bytes + frame_udp_at(f);
	bool summed = udp[6] || udp[7];

	if (frame_is_ipv6(f))
		return summed && udp_sum(f) == 0;
	return ip_sum(f) == 0 && (!summed || udp_sum(f) == 0);
}

static void make_ip(uint8_t *ip, const struct frame_spec *spec, const struct addr *from,
		    const struct addr *to)
{
	ip[0] = 0x45;
	ip[1] = spec->tos ? spec->tos : 0xb8;
	put16(ip + 2, IP + UDP + spec->length);
	put16(ip + 4, 0x1234);
	put16(ip + 6, 0x4000);
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = 17;
	memcpy(ip + 12, &from->v4, 4);
	memcpy(ip + 16, &to->v4, 4);
}

static void make_ip6(uint8_t *ip, const struct frame_spec *spec, const struct addr *from,
		     const struct addr *to)
{
	uint8_t class = spec->tos ? spec->tos : 0xb8;

	ip[0] = 0x60 | class >> 4;
	ip[1] = (uint8_t)(class << 4) | 0x0a; /* with a flow label */
	put16(ip + 2, 0xbcde);
	put16(ip + 4, UDP + spec->length);
	ip[6] = 17;
	ip[7] = spec->ttl ? spec->ttl : 64;
	memcpy(ip + 8, &from->v6, 16);
	memcpy(ip + 24, &to->v6, 16);
}

void frame_make(struct frame *f, const struct frame_spec *spec)
{
	struct addr from = lab_addr(spec->from), to = lab_addr(spec->to);
	uint8_t *ip = f->bytes + ETH, *udp;

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, node_mac, 6);
	memcpy(f->bytes + 6, phone_mac, 6);
	if (to.family == AF_INET) {
		put16(f->bytes + 12, 0x0800);
		make_ip(ip, spec, &from, &to);
	} else {
		put16(f->bytes + 12, 0x86dd);
		make_ip6(ip, spec, &from, &to);
	}
	udp = f->bytes + frame_udp_at(f);
	put16(udp, from.port);
	put16(udp + 2, to.port);
	put16(udp + 4, UDP + spec->length);
	memcpy(udp + UDP, spec->payload, spec->length);
	f->size = frame_udp_at(f) + UDP + spec->length;
	frame_resum(f);
	if (spec->no_sum)
		put16(udp + 6, 0);
}

void frame_tag(struct frame *f, uint16_t tag)
{
	memmove(f->bytes + ETH - 2 + TAG, f->bytes + ETH - 2, f->size - (ETH - 2));
	put16(f->bytes + ETH - 2, 0x8100);
	put16(f->bytes + ETH, tag);
	f->size += TAG;
}

void frame_rtp_at(struct frame *f, const char *from, const char *to, uint16_t seq, uint32_t ts)
{
	uint8_t payload[172] = { 0x80, 0x00 };
	struct frame_spec spec = {
		.from = from, .to = to, .payload = payload, .length = sizeof(payload)
	};

	put16(payload + 2, seq);
	put16(payload + 4, ts >> 16);
	put16(payload + 6, ts);
	put16(payload + 8, 0xcafe);
	put16(payload + 10, 0xf00d);
	for (uint32_t i = 12; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + seq);
	frame_make(f, &spec);
}

void frame_rtp(struct frame *f, const char *from, const char *to, uint16_t seq)
{
	frame_rtp_at(f, from, to, seq, seq * 160U);
}

uint32_t frame_run(int fd, const struct frame *in, struct frame *out, uint32_t ingress)
{
	struct xdp_md ctx = { .data_end = in->size, .ingress_ifindex = ingress };
	struct frame scratch;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->size,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	if (!out)
		out = &scratch;
	opts.data_out = out->bytes;
	opts.data_size_out = sizeof(out->bytes);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	out->size = opts.data_size_out;
	return opts.retval;
}

static struct bpf_link_info link_info(const struct lab *lab, const char *interface)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	char path[128];
	int link;

	snprintf(path, sizeof(path), "%s/link_%s", lab->folder, interface);
	link = bpf_obj_get(path);
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(link, &info, &size), 0);
	close(link);
	return info;
}

int lab_program(const struct lab *lab, const char *interface)
{
	int fd = bpf_prog_get_fd_by_id(link_info(lab, interface).prog_id);

	assert_true(fd >= 0);
	return fd;
}

uint32_t lab_link_id(const struct lab *lab, const char *interface)
{
	return link_info(lab, interface).id;
}

static void *map_pinned(const struct lab *lab, const char *name, size_t size)
{
	char path[128];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lab->folder, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	close(fd);
	return memory;
}

struct rtpfwd_control *lab_control(const struct lab *lab)
{
	return map_pinned(lab, RTPFWD_MAP_CONTROL, sizeof(struct rtpfwd_control));
}

static size_t n_slots; /* mapped */

struct rtpfwd_slot *lab_slots(const struct lab *lab)
{
	n_slots = LAB_SLOTS * lab->realms[0].n_media;
	return map_pinned(lab, RTPFWD_MAP_SLOTS, n_slots * sizeof(struct rtpfwd_slot));
}

struct rtpfwd_rest *lab_rests(const struct lab *lab)
{
	n_slots = LAB_SLOTS * lab->realms[0].n_media;
	return map_pinned(lab, RTPFWD_MAP_RESTS, n_slots * sizeof(struct rtpfwd_rest));
}

void lab_unmap_rests(struct rtpfwd_rest *rests)
{
	munmap(rests, n_slots * sizeof(*rests));
}

void lab_unmap(struct rtpfwd_control *control, struct rtpfwd_slot *slots)
{
	if (control)
		munmap(control, sizeof(*control));
	if (slots)
		munmap(slots, n_slots * sizeof(*slots));
}

struct drop_query {
	const char *reason;
	uint64_t packets;
	int found;
};

static void on_drop(void *ctx, const char *reason, const char *help, bool up, uint64_t packets)
{
	struct drop_query *query = ctx;

	assert_true(*help);
	assert_int_equal(up, !strncmp(reason, "up_", 3));
	if (strcmp(reason, query->reason))
		return;
	query->packets = packets;
	query->found++;
}

uint64_t lab_drops(const struct lab *lab, const char *reason)
{
	struct drop_query query = { .reason = reason };

	datapath_drops(lab->dp, on_drop, &query);
	assert_int_equal(query.found, 1);
	return query.packets;
}

bool lab_until(struct lab *lab, bool (*done)(void *ctx), void *ctx)
{
	uint64_t deadline = loop_now_ms(lab->loop) + 10000;
	struct timespec pause = { .tv_nsec = 2000000 };

	while (!done(ctx)) {
		if (loop_now_ms(lab->loop) > deadline)
			return false;
		event_base_loop(loop_base(lab->loop), EVLOOP_NONBLOCK);
		nanosleep(&pause, NULL);
	}
	return true;
}

uint32_t lab_attached(const char *interface)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	assert_int_equal(bpf_xdp_query((int)if_nametoindex(interface), 0, &query), 0);
	return query.prog_id;
}
