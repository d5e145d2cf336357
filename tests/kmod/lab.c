// SPDX-License-Identifier: GPL-2.0-or-later
/* The module, its functions by a BPF program, and libsrtp2. */
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kmod_srtp.skel.h"

#define MODULE	"rtpfwd"
#define HEADERS 42
#define STREAMS "/sys/kernel/slab/rtpfwd_stream"
#define TRIES	500

/* Of libnss3, which libsrtp2 takes its ciphers from. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnspr4\nleak:libnssutil3\nleak:libnss3\nleak:libsoftokn3\nleak:libfreebl\n";
}

int lab_load_other(const char *name)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

int lab_unload_other(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static void set_hinder(const char *name, int value)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/hinder/parameters/%s", name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%d", value);
	assert_int_equal(fclose(f), 0);
}

int lab_hinder_open(void)
{
	int err = lab_load_other("hinder");

	if (!err)
		set_hinder("task", getpid());
	return err;
}

int lab_hinder_close(void)
{
	return lab_unload_other("hinder");
}

void lab_hinder(int nth)
{
	set_hinder("failed", 0);
	set_hinder("nth", nth);
}

bool lab_hindered(void)
{
	FILE *f = fopen("/sys/module/hinder/parameters/failed", "r");
	int failed = 0;

	set_hinder("nth", 0);
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &failed), 1);
	fclose(f);
	return failed;
}

int lab_load(void)
{
	return lab_load_other(MODULE);
}

int lab_unload(void)
{
	return lab_unload_other(MODULE);
}

bool lab_loaded(void)
{
	return !access("/sys/kernel/btf/rtpfwd", F_OK);
}

int lab_setup(void **state)
{
	int err;

	(void)state;
	if (srtp_init() != srtp_err_status_ok || unshare(CLONE_NEWNET))
		return -1;
	err = lab_load();
	if (err)
		print_message("%s: %s\n", MODULE, strerror(-err));
	return err || !lab_loaded() ? -1 : 0;
}

int lab_unload_when_free(void)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	int err = -1;

	for (int i = 0; i < TRIES && err; i++) {
		err = lab_unload();
		if (err)
			nanosleep(&pause, NULL);
	}
	return err;
}

int lab_teardown(void **state)
{
	int err = lab_unload_when_free();

	(void)state;
	srtp_shutdown();
	return err;
}

int lab_streams(void)
{
	FILE *f = fopen(STREAMS "/shrink", "w"); /* those that are free are no longer counted */
	int found = -1;

	if (!f)
		return -1;
	fputs("1", f);
	fclose(f);
	f = fopen(STREAMS "/objects", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &found), 1);
	fclose(f);
	return found;
}

int lab_ciphers(void)
{
	FILE *f = fopen("/proc/crypto", "r");
	char line[256];
	int users, sum = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "refcnt : %d", &users) == 1)
			sum += users;
	}
	fclose(f);
	return sum;
}

int lab_ciphers_at_rest(void)
{
	assert_int_equal(lab_unload_when_free(), 0);
	assert_int_equal(lab_load(), 0);
	return lab_ciphers();
}

void lab_settle(int (*figure)(void), int want)
{
	struct timespec tick = { .tv_nsec = 10000000 };
	int got = figure();

	for (int i = 0; i < 1000 && got != want; i++) {
		nanosleep(&tick, NULL);
		got = figure();
	}
	assert_int_equal(got, want);
}

static const uint8_t *secret(unsigned int number, unsigned int salt)
{
	static uint8_t bytes[2][64][32];
	uint8_t *one = bytes[salt][number];

	assert_true(number < 64);
	for (unsigned int i = 0; i < 32; i++)
		one[i] = (uint8_t)(number * 77 + salt * 130 + i * 31 + 5);
	return one;
}

const uint8_t *lab_key(unsigned int number)
{
	return secret(number, 0);
}

const uint8_t *lab_salt(unsigned int number)
{
	return secret(number, 1);
}

int lab_overhead(uint8_t suite, bool rtcp)
{
	int tag = 16;

	if (suite == RTPFWD_AES_CM_128_HMAC_SHA1_80)
		tag = 10;
	else if (suite == RTPFWD_AES_CM_128_HMAC_SHA1_32)
		tag = rtcp ? 10 : 4;
	return tag + (rtcp ? 4 : 0);
}

struct xdp {
	struct kmod_srtp_bpf *skel;
	bool by_head;
};

struct xdp *prog_open(void)
{
	struct xdp *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->skel = kmod_srtp_bpf__open_and_load();
	assert_non_null(x->skel);
	return x;
}

void prog_close(struct xdp *x)
{
	kmod_srtp_bpf__destroy(x->skel);
	free(x);
}

int prog_program(const struct xdp *x)
{
	return bpf_program__fd(x->skel->progs.srtp);
}

void prog_grow_by_head(struct xdp *x, bool yes)
{
	x->by_head = yes;
}

void prog_order(struct xdp *x, uint16_t port, const struct order *o)
{
	uint16_t key = htons(port);

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(x->skel->maps.orders), &key, o, BPF_ANY),
			 0);
}

struct outcome prog_outcome(const struct xdp *x)
{
	struct outcome out;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.outcomes), &zero, &out), 0);
	return out;
}

static uint16_t sum16(uint32_t sum, const uint8_t *bytes, int size)
{
	for (int i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Headers of a frame around `length` bytes of payload, all but the UDP checksum. */
static void envelop(uint8_t *frame, int length)
{
	static const uint8_t start[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45 };
	static const uint8_t addresses[] = { 10, 0, 0, 1, 10, 0, 0, 2 };

	memset(frame, 0, HEADERS);
	memcpy(frame, start, sizeof(start));
	put16(frame + 16, (unsigned int)length + 28);
	frame[22] = 64;
	frame[23] = 17;
	memcpy(frame + 26, addresses, sizeof(addresses));
	put16(frame + 24, (uint16_t)~sum16(0, frame + 14, 20));
	put16(frame + 34, 30000);
	put16(frame + 36, LAB_PORT);
	put16(frame + 38, (unsigned int)length + 8);
}

static void check_frame(const uint8_t *frame, uint32_t size, int length)
{
	assert_true(size >= (uint32_t)(HEADERS + length));
	assert_int_equal(frame[16] << 8 | frame[17], length + 28);
	assert_int_equal(frame[38] << 8 | frame[39], length + 8);
	assert_int_equal(sum16(0, frame + 14, 20), 0xffff);
	assert_int_equal(
		sum16(sum16(17 + (uint32_t)length + 8, frame + 26, 8), frame + 34, length + 8),
		0xffff);
}

static int run(struct xdp *x, const struct order *o, uint8_t *packet, int length)
{
	uint8_t in[LAB_MAX + HEADERS], out[LAB_MAX + HEADERS];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .data_size_in = (uint32_t)(HEADERS + length), .data_size_out = sizeof(out),
		    .repeat = 1);
	int ret;

	assert_true(length <= LAB_MAX);
	envelop(in, length);
	memcpy(in + HEADERS, packet, (size_t)length);
	prog_order(x, LAB_PORT, o);
	assert_int_equal(bpf_prog_test_run_opts(prog_program(x), &opts), 0);
	ret = prog_outcome(x).ret;
	assert_int_equal(opts.retval, ret < 0 || o->op == OP_RAW ? 1 : 2);
	if (o->op == OP_RAW)
		return ret;
	if (ret >= 0 && o->op == OP_PROTECT)
		check_frame(out, opts.data_size_out, ret);
	if (ret >= 0)
		length = ret;
	assert_true(opts.data_size_out >= (uint32_t)(HEADERS + length));
	memcpy(packet, out + HEADERS, (size_t)length);
	return ret;
}

int prog_protect(struct xdp *x, uint32_t id, uint8_t *packet, int length, int grow)
{
	struct order o = {
		.op = OP_PROTECT, .id = id, .grow = (uint32_t)grow, .by_head = x->by_head
	};

	return run(x, &o, packet, length);
}

int prog_unprotect(struct xdp *x, uint32_t id, uint8_t *packet, int length)
{
	struct order o = { .op = OP_UNPROTECT, .id = id };

	return run(x, &o, packet, length);
}

int prog_raw(struct xdp *x, uint32_t id, uint32_t offset, uint32_t length)
{
	struct order o = { .op = OP_RAW, .id = id, .offset = offset, .length = length };
	uint8_t packet[64];

	return run(x, &o, packet, rtp_make(packet, 1, 1, 20));
}

uint32_t prog_cost(struct xdp *x, const struct price *p, int runs)
{
	int prices = bpf_map__fd(x->skel->maps.prices);
	uint8_t in[HEADERS + 172 + 40] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .repeat = runs);
	struct price after;
	uint32_t zero = 0;

	envelop(in, 172);
	rtp_make(in + HEADERS, 1, 0, 160);
	assert_int_equal(bpf_map_update_elem(prices, &zero, p, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(x->skel->progs.cost), &opts), 0);
	assert_int_equal(bpf_map_lookup_elem(prices, &zero, &after), 0);
	assert_int_equal(after.failed, 0);
	return opts.duration;
}

static void policy_of(uint8_t suite, srtp_policy_t *p)
{
	switch (suite) {
	case RTPFWD_AES_CM_128_HMAC_SHA1_80:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p->rtp);
		break;
	case RTPFWD_AES_CM_128_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&p->rtp);
		break;
	case RTPFWD_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtp);
		break;
	default:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&p->rtp);
	}
	p->rtcp = p->rtp;
	if (suite == RTPFWD_AES_CM_128_HMAC_SHA1_32) /* RFC 4568 6.2.2 */
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p->rtcp);
}

srtp_t oracle(uint8_t suite, unsigned int key, bool sender)
{
	int key_size = suite == RTPFWD_AEAD_AES_256_GCM ? 32 : 16;
	int salt_size = suite >= RTPFWD_AEAD_AES_128_GCM ? 12 : 14;
	srtp_policy_t policy = { 0 };
	uint8_t both[46];
	srtp_t made;

	policy_of(suite, &policy);
	memcpy(both, lab_key(key), (size_t)key_size);
	memcpy(both + key_size, lab_salt(key), (size_t)salt_size);
	policy.ssrc.type = sender ? ssrc_any_outbound : ssrc_any_inbound;
	policy.key = both;
	policy.window_size = 192;
	assert_int_equal(srtp_create(&made, &policy), srtp_err_status_ok);
	return made;
}

int rtp_make_with(uint8_t *packet, uint32_t ssrc, uint16_t seq, int payload, int sources,
		  int extension_words)
{
	int at = 12;

	memset(packet, 0, 12);
	packet[0] = (uint8_t)(0x80 | sources | (extension_words >= 0 ? 0x10 : 0));
	packet[1] = 0;
	put16(packet + 2, seq);
	put16(packet + 6, (uint16_t)(seq * 160));
	put16(packet + 8, ssrc >> 16);
	put16(packet + 10, ssrc & 0xffff);
	for (; at < 12 + sources * 4; at++)
		packet[at] = (uint8_t)(at * 3);
	if (extension_words >= 0) {
		put16(packet + at, 0xbede);
		put16(packet + at + 2, (unsigned int)extension_words);
		memset(packet + at + 4, 0x11, (size_t)extension_words * 4);
		at += 4 + extension_words * 4;
	}
	for (int i = 0; i < payload; i++)
		packet[at + i] = (uint8_t)(seq * 7 + i);
	return at + payload;
}

int rtp_make(uint8_t *packet, uint32_t ssrc, uint16_t seq, int payload)
{
	return rtp_make_with(packet, ssrc, seq, payload, 0, -1);
}

/* A sender report with report blocks (RFC 3550 6.4.1). */
int rtcp_make(uint8_t *packet, uint32_t ssrc, int reports)
{
	int length = 28 + reports * 24;

	memset(packet, 0x5a, (size_t)length);
	packet[0] = (uint8_t)(0x80 | reports);
	packet[1] = 200;
	put16(packet + 2, (unsigned int)length / 4 - 1);
	put16(packet + 4, ssrc >> 16);
	put16(packet + 6, ssrc & 0xffff);
	return length;
}
