// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module costs per packet of G.711 (172 bytes of RTP), beside libsrtp2 doing the same in
 * userspace without sockets. Nanoseconds by the kernel's clock: instructions, where the machine
 * counts those as time (tools/kmod/cost).
 */
#include "lab.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUNS 5000

static const char *const names[] = {
	[RTPFWD_AES_CM_128_HMAC_SHA1_80] = "AES_CM_128_HMAC_SHA1_80",
	[RTPFWD_AES_CM_128_HMAC_SHA1_32] = "AES_CM_128_HMAC_SHA1_32",
	[RTPFWD_AEAD_AES_128_GCM] = "AEAD_AES_128_GCM",
	[RTPFWD_AEAD_AES_256_GCM] = "AEAD_AES_256_GCM",
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t library_cost(uint8_t suite)
{
	static uint8_t packets[RUNS][192];
	srtp_t sender = oracle(suite, suite, true);
	uint64_t began;

	for (uint16_t i = 0; i < RUNS; i++)
		rtp_make(packets[i], 1, i, 160);
	began = now();
	for (uint16_t i = 0; i < RUNS; i++) {
		int size = 172;

		srtp_protect(sender, packets[i], &size);
	}
	began = now() - began;
	srtp_dealloc(sender);
	return (uint32_t)(began / RUNS);
}

static void costs_of_suite(struct nl *nl, struct xdp *x, uint8_t suite, uint32_t base)
{
	struct price p = { .op = OP_PROTECT, .length = 172 };
	uint32_t protect, both;

	p.id = lab_add(nl, RTPFWD_PROTECT, suite, 1);
	protect = prog_cost(x, &p, RUNS) - base;
	p.op = OP_UNPROTECT;
	p.id = lab_add(nl, RTPFWD_PROTECT, suite, 2);
	p.reverse = lab_add(nl, RTPFWD_UNPROTECT, suite, 2);
	both = prog_cost(x, &p, RUNS) - base;
	printf("cost %s %u %u %u\n", names[suite], protect, both - protect, library_cost(suite));
}

static void costs(void **state)
{
	struct price none = { .op = OP_NONE }, sum = { .op = OP_RAW, .length = 180 };
	struct nl *nl = control_open();
	struct xdp *x = prog_open();
	uint32_t base;

	(void)state;
	prog_cost(x, &none, RUNS); /* the first one after boot is an outlier */
	base = prog_cost(x, &none, RUNS);
	printf("cost udp_checksum %u - -\n", prog_cost(x, &sum, RUNS) - base);
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++)
		costs_of_suite(nl, x, suite, base);
	prog_close(x);
	control_close(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(costs) };

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
