// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that cannot be had: each allocation of each command, of the packet path and of loading
 * fails once (hinder.c). What is refused leaves nothing behind, and the next one is taken.
 */
#include "lab.h"

#include <errno.h>
#include <string.h>

#define SSRC  0x5eed5eed
#define LIMIT 500 /* allocations of one command */
#define CM    RTPFWD_AES_CM_128_HMAC_SHA1_80

static int begin(void **state)
{
	return lab_setup(state) || lab_hinder_open() ? -1 : 0;
}

static int end(void **state)
{
	return lab_teardown(state) || lab_hinder_close();
}

/*
 * Each allocation of `command` in turn. It may do without one; refused, it says that there is no
 * memory, and `nothing_new` holds. How many were asked for.
 */
static int each_allocation(int (*command)(void *), void (*nothing_new)(void *), void *of)
{
	for (int nth = 1; nth < LIMIT; nth++) {
		int err;

		lab_hinder(nth);
		err = command(of);
		if (!lab_hindered()) {
			assert_int_equal(err, 0);
			return nth - 1;
		}
		if (err)
			assert_int_equal(err, -ENOMEM);
		nothing_new(of);
	}
	fail_msg("no end");
	return 0;
}

struct adding {
	struct nl *nl;
	struct context_spec spec;
	uint32_t id; /* of the one that was added */
};

static int add(void *of)
{
	struct adding *a = of;

	a->id = 0;
	return control_add(a->nl, &a->spec, &a->id);
}

/* One that was added in spite of it, only. */
static void none_is_left(void *of)
{
	struct adding *a = of;

	assert_int_equal(control_count(a->nl), a->id ? 1 : 0);
	if (a->id)
		assert_int_equal(control_delete(a->nl, a->id), 0);
}

static void add_fails_whole(void **state)
{
	static const struct lab_stream streams[] = { { 1, 5, 5 }, { 2, 6, 6 } };
	struct adding a = { 0 };
	int before;

	(void)state;
	for (uint8_t suite = 1; suite < RTPFWD_SUITE_END; suite++) {
		a.spec = (struct context_spec){
			.direction = RTPFWD_PROTECT,
			.suite = suite,
			.key = lab_key(suite),
			.salt = lab_salt(suite),
			.streams = streams,
			.n_streams = 2,
		};
		a.nl = control_open();
		assert_int_equal(add(&a), 0); /* makes what is made when first asked for */
		control_close(a.nl);
		before = lab_ciphers_at_rest();
		a.nl = control_open();
		/* Keys for RTP and RTCP, ciphers with requests, streams, context, answer. */
		assert_true(each_allocation(add, none_is_left, &a) > 10);
		none_is_left(&a);
		lab_settle(lab_ciphers, before);
		lab_settle(lab_streams, 0);
		control_close(a.nl);
	}
}

struct changing {
	struct nl *nl;
	struct xdp *x;
	uint32_t id;
	uint8_t suite;
	uint16_t seq;
};

static int change(void *of)
{
	struct changing *c = of;
	struct context_spec spec = {
		.id = c->id, .suite = c->suite, .key = lab_key(2), .salt = lab_salt(2), .cookie = 9
	};

	return control_change(c->nl, &spec);
}

/* The former keys are in force, or else the new ones: their tag is of another length. */
static void former_keys_serve(void *of)
{
	struct changing *c = of;
	uint8_t packet[LAB_MAX];
	struct context_info info;
	int length = rtp_make(packet, SSRC, c->seq++, 40);

	assert_int_equal(control_get(c->nl, c->id, &info), 0);
	assert_int_equal(info.suite, CM);
	assert_int_equal(info.cookie, 0);
	assert_int_equal(prog_protect(c->x, c->id, packet, length, 16), length + 10);
}

static void change_fails_whole(void **state)
{
	struct changing c = { .nl = control_open(),
			      .x = prog_open(),
			      .suite = RTPFWD_AEAD_AES_256_GCM };
	uint8_t packet[LAB_MAX];
	int length;

	(void)state;
	c.id = lab_add(c.nl, RTPFWD_PROTECT, CM, 1);
	assert_true(each_allocation(change, former_keys_serve, &c) > 5);
	length = rtp_make(packet, SSRC, c.seq, 40);
	assert_int_equal(prog_protect(c.x, c.id, packet, length, 16), length + 16);
	prog_close(c.x);
	control_close(c.nl);
}

/* A sender that there is no memory for: the packet is refused and the next one taken. */
static void a_packet_fails_alone(void **state)
{
	struct nl *nl = control_open();
	struct xdp *x = prog_open();
	uint32_t out = lab_add(nl, RTPFWD_PROTECT, CM, 1),
		 in = lab_add(nl, RTPFWD_UNPROTECT, CM, 1);
	uint8_t packet[LAB_MAX], sealed[LAB_MAX];
	int length = rtp_make(packet, SSRC, 1, 40);

	(void)state;
	lab_hinder(1);
	assert_int_equal(prog_protect(x, out, packet, length, 10), -ENOMEM);
	assert_true(lab_hindered());
	assert_int_equal(prog_protect(x, out, packet, length, 10), length + 10);
	memcpy(sealed, packet, (size_t)length + 10);
	lab_hinder(1);
	assert_int_equal(prog_unprotect(x, in, packet, length + 10), -ENOMEM);
	assert_true(lab_hindered());
	assert_int_equal(prog_unprotect(x, in, sealed, length + 10), length);
	assert_int_equal(lab_counter(nl, out, RTPFWD_C_no_memory), 1);
	assert_int_equal(lab_counter(nl, in, RTPFWD_C_no_memory), 1);
	prog_close(x);
	control_close(nl);
}

struct passing {
	struct nl *nl;
	uint32_t id;
	uint16_t seq;
};

static int pass(void *of)
{
	struct passing *p = of;
	uint8_t packet[LAB_MAX];
	int length = rtp_make(packet, SSRC, p->seq++, 40);
	int err = control_packet(p->nl, p->id, RTPFWD_PROTECT, packet, length);

	return err == length + 10 ? 0 : err;
}

/* The next one is taken: where the answer alone failed its index is used up, no more. */
static void the_next_passes(void *of)
{
	assert_int_equal(pass(of), 0);
}

static void a_packet_by_netlink_fails_alone(void **state)
{
	struct passing p = { .nl = control_open() };

	(void)state;
	p.id = lab_add(p.nl, RTPFWD_PROTECT, CM, 1);
	assert_true(each_allocation(pass, the_next_passes, &p) >= 2);
	control_close(p.nl);
}

static int load(void *of)
{
	(void)of;
	return lab_load();
}

static void unloaded(void *of)
{
	(void)of;
	if (lab_streams() >= 0) /* it did without */
		assert_int_equal(lab_unload_when_free(), 0);
	assert_int_equal(lab_streams(), -1);
	assert_false(lab_loaded());
}

static void loading_fails_whole(void **state)
{
	struct nl *nl;

	(void)state;
	assert_int_equal(lab_unload_when_free(), 0);
	assert_true(each_allocation(load, unloaded, NULL) > 5);
	assert_true(lab_loaded());
	nl = control_open();
	lab_add(nl, RTPFWD_PROTECT, CM, 1);
	control_close(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_fails_whole),
		cmocka_unit_test(change_fails_whole),
		cmocka_unit_test(a_packet_fails_alone),
		cmocka_unit_test(a_packet_by_netlink_fails_alone),
		cmocka_unit_test(loading_fails_whole),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
