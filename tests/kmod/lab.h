/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the module share: its control, its functions by a BPF program, libsrtp2 beside
 * them. They run where the module may be loaded and unloaded at will: in the virtual machine. */
#ifndef RTPFWD_TESTS_KMOD_LAB_H
#define RTPFWD_TESTS_KMOD_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/types.h>
#include <srtp2/srtp.h>

#include "../../kmod/rtpfwd_nl.h"
#include "srtp.h"

#define LAB_PORT 20000 /* of frames that are made here */
#define LAB_MAX	 2048

/* The module. */
int lab_load(void); /* 0 or -errno, as of the ones below */
int lab_unload(void);
int lab_unload_when_free(void); /* of programs: their hold ends after a grace period */
int lab_load_other(const char *name);
int lab_unload_other(const char *name);
bool lab_loaded(void);
int lab_setup(void **state); /* of a group: in a namespace of its own, with the module */
int lab_teardown(void **state);

/* Allocations of ours below it that fail (hinder.c): from now on the `nth`. Was it reached? */
int lab_hinder_open(void);
int lab_hinder_close(void);
void lab_hinder(int nth);
bool lab_hindered(void);

/* What it has in memory. */
int lab_streams(void); /* senders that are remembered; -1: there is no place for them */
int lab_ciphers(void); /* users of all ciphers: each key has some */
int lab_ciphers_at_rest(void); /* when all keys are gone; loads the module anew for that */
void lab_settle(int (*figure)(void), int want);

/* Its control. */
struct nl;
struct nl *control_open(void);
struct nl *control_try(void); /* NULL: the module is not there */
void control_close(struct nl *nl);
const char *control_why(const struct nl *nl); /* extended ACK of the last error */
uint32_t control_portid(const struct nl *nl);

struct lab_stream {
	uint32_t ssrc;
	int64_t rtp, rtcp; /* -1: none */
};

/* Attributes: those that are set go out. */
struct context_spec {
	uint32_t id;
	uint8_t direction;
	uint8_t suite;
	const uint8_t *key, *salt;
	int key_size, salt_size; /* 0: as the suite has them; below 0: left out */
	uint64_t cookie;
	int pinned;	 /* 1: yes, 2: no */
	int64_t overlap; /* plus 1 */
	bool keep;
	const struct lab_stream *streams;
	int n_streams;
};

struct context_info {
	uint32_t id;
	uint8_t direction, suite, pinned;
	uint64_t cookie;
	uint32_t overlap;
	uint64_t counters[RTPFWD_C_END];
	struct lab_stream streams[RTPFWD_MAX_STREAMS];
	int n_streams;
	bool keys_told; /* a key or salt came back */
};

int control_add(struct nl *nl, const struct context_spec *spec, uint32_t *id);
int control_change(struct nl *nl, const struct context_spec *spec);
int control_delete(struct nl *nl, uint32_t id);
int control_get(struct nl *nl, uint32_t id, struct context_info *info);
/* In place, with room for what is added; the new length or -errno. */
int control_packet(struct nl *nl, uint32_t id, uint8_t direction, uint8_t *packet, int length);
int control_count(struct nl *nl); /* contexts in a dump of all */
int control_send_raw(struct nl *nl, const void *message, size_t size); /* and takes the answers */
uint16_t control_family(const struct nl *nl);
bool control_has_told(const struct nl *nl, const void *bytes, size_t size); /* in its last answer */

/* A key and salt as derived from a number, as long as any suite wants. */
const uint8_t *lab_key(unsigned int number);
const uint8_t *lab_salt(unsigned int number);
uint32_t lab_add(struct nl *nl, uint8_t direction, uint8_t suite, unsigned int key);
uint64_t lab_counter(struct nl *nl, uint32_t id, enum rtpfwd_counter counter);
int lab_overhead(uint8_t suite, bool rtcp);

/* The program. */
struct xdp;
struct xdp *prog_open(void);
void prog_close(struct xdp *x);
int prog_program(const struct xdp *x);
void prog_order(struct xdp *x, uint16_t port, const struct order *o);
struct outcome prog_outcome(const struct xdp *x);

/* Runs `packet` (UDP payload) through protect or unprotect in place; what the function returned.
 * Frame, lengths and checksums of what comes out are checked; a refused one comes out as it is. */
int prog_protect(struct xdp *x, uint32_t id, uint8_t *packet, int length, int grow);
int prog_unprotect(struct xdp *x, uint32_t id, uint8_t *packet, int length);
int prog_raw(struct xdp *x, uint32_t id, uint32_t offset, uint32_t length);
void prog_grow_by_head(struct xdp *x, bool yes);

/* ns of one run of what `p` says, the mean of `runs`, on a packet with 160 bytes of payload. */
uint32_t prog_cost(struct xdp *x, const struct price *p, int runs);

/* libsrtp2 with the same key. */
srtp_t oracle(uint8_t suite, unsigned int key, bool sender);

/* RTP of `payload` bytes, which depend on the sequence number; its length. */
int rtp_make(uint8_t *packet, uint32_t ssrc, uint16_t seq, int payload);
int rtp_make_with(uint8_t *packet, uint32_t ssrc, uint16_t seq, int payload, int sources,
		  int extension_words);
int rtcp_make(uint8_t *packet, uint32_t ssrc, int reports);

#endif
