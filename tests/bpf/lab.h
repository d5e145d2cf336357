/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the fast path share: a configuration made by hand, frames, runs of the program
 * on them. */
#ifndef RTPFWD_TESTS_BPF_LAB_H
#define RTPFWD_TESTS_BPF_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "datapath/datapath.h"
#include "conf/conf.h"
#include "rtpfwd_abi.h"

#define NEED_ROOT                                                                                  \
	do {                                                                                       \
		if (geteuid()) {                                                                   \
			print_message("not root: BPF programs cannot be loaded\n");                \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

#define LAB_LO 20000
#define LAB_HI 20099

/* Two realms, 10.77.1.1 and 10.77.2.1, on two interfaces; the folder is unique to the process. */
struct lab {
	struct conf conf;
	struct conf_realm realms[2];
	struct addr media[2], both[2][2];
	const char *interfaces[2];
	char folder[64];
	struct datapath_events events; /* survives lab_conf() */
	struct loop *loop;
	struct datapath *dp;
	char why[256];
};

/* Two network namespaces: the node's with in0 (10.77.1.1) and out0 (10.77.2.1), and the phones'
 * with the other ends, ph0 (.1.2) and ph1 (.2.2). They go with the process. */
struct world {
	int home, node, far;
};

void lab_world(
	struct world *w,
	bool polled); /* the node's is entered; `polled`: the far ends take redirected frames */
void lab_neighbours(void); /* in the node's: addresses of IPv6, and whom it knows on both links */
void lab_world_end(struct world *w);
void lab_enter(int netns);
void lab_sh(const char *command);

void lab_conf(struct lab *lab, const char *inside, const char *outside, enum conf_xdp xdp);
int lab_open(struct lab *lab); /* `why` is set on failure */
int lab_open_events(struct lab *lab, const struct datapath_events *events,
		    void (*adopted)(void *, const struct addr *), void *ctx);
const char *lab_relay(void); /* the program of the userspace relay: build/san/rtpfwd */
void lab_close(struct lab *lab); /* the data path; what it pinned stays */
void lab_detach(struct lab *lab);

struct addr lab_addr(const char *text);

/* In the namespace of the moment: frames out of that interface; datagrams to that address, waited
 * for ten seconds. The caller closes them. */
int lab_packet_socket(const char *interface);
int lab_udp_socket(const char *at);

/* A second relay address for each realm, of IPv6: 2001:db8:1::1 and 2001:db8:2::1. */
void lab_conf_ipv6(struct lab *lab);

/* A frame: Ethernet, IPv4 or IPv6, UDP and `length` bytes of payload; sums are right unless
 * `no_sum`. */
struct frame {
	uint8_t bytes[1600];
	uint32_t size;
};

struct frame_spec {
	const char *from, *to; /* address:port */
	const void *payload;
	uint32_t length;
	bool no_sum; /* UDP checksum 0 */
	uint8_t ttl; /* 0: 64 */
	uint8_t tos; /* 0: 0xb8, expedited forwarding, as phones mark it */
};

void frame_make(struct frame *f, const struct frame_spec *spec);
void frame_rtp(struct frame *f, const char *from, const char *to,
	       uint16_t seq); /* PCMU, 160 bytes */
void frame_rtp_at(struct frame *f, const char *from, const char *to, uint16_t seq, uint32_t ts);
void frame_resum(struct frame *f);	       /* all checksums anew, after a change by hand */
void frame_tag(struct frame *f, uint16_t tag); /* 802.1Q */
uint32_t frame_ip_at(const struct frame *f);
uint32_t frame_udp_at(const struct frame *f);
bool frame_is_ipv6(const struct frame *f);
bool frame_sums_right(const struct frame *f);

/* Runs the program `fd` once; the frame as it left goes to `out`. Returns the verdict. */
uint32_t frame_run(int fd, const struct frame *in, struct frame *out, uint32_t ingress);

/* Program of the XDP link pinned in `folder` for `interface`; the caller closes it. */
int lab_program(const struct lab *lab, const char *interface);
uint32_t lab_link_id(const struct lab *lab, const char *interface); /* another one: made anew */

/* The maps as pinned, in memory: what a test must bend to see what follows. lab_unmap() both before
 * lab_detach(). */
struct rtpfwd_control *lab_control(const struct lab *lab);
struct rtpfwd_slot *lab_slots(const struct lab *lab); /* LAB_SLOTS of each family */
struct rtpfwd_rest *lab_rests(const struct lab *lab); /* the same */
void lab_unmap(struct rtpfwd_control *control, struct rtpfwd_slot *slots);
void lab_unmap_rests(struct rtpfwd_rest *rests);
#define LAB_SLOTS (2 * (LAB_HI - LAB_LO + 1)) /* of IPv4 */

uint64_t lab_drops(const struct lab *lab, const char *reason);

/* Turns the loop until `done(ctx)` or ten seconds have passed; false: they have. */
bool lab_until(struct lab *lab, bool (*done)(void *ctx), void *ctx);

/* Id of the XDP program on an interface; 0: none. */
uint32_t lab_attached(const char *interface);

#endif
