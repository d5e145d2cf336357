/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One m= line of a call: its relay ports on both legs, where each leg wants its media, and the
 * flows that follow from that: RTP and RTCP, two ways; of a fax one, two ways. */
#ifndef RTPFWD_MEDIA_STREAM_H
#define RTPFWD_MEDIA_STREAM_H

#include "datapath/datapath.h"
#include "media/ports.h"

enum side { SIDE_A, SIDE_B };

static inline enum side side_other(enum side s)
{
	return s == SIDE_A ? SIDE_B : SIDE_A;
}

struct media;	/* what all streams share: ports, datapath, loop */
struct stream;

int media_new(struct media **out, const struct conf *conf, struct loop *loop, struct datapath *dp,
	      struct ports *ports);
void media_free(struct media *media);	/* after its streams; NULL-safe */

/* Encrypted media can be carried here. */
bool media_encrypts(const struct media *media);

/* datapath_events.learned */
void media_learned(struct media *media, uint64_t owner, const struct addr *local,
		   const struct addr *source);

/* Where a leg lives: fixed for the stream's life. */
struct stream_leg {
	unsigned int realm;
	sa_family_t family;
	bool any_port;		/* the peer is asymmetric */
	uint32_t rate;		/* packets a second taken in each of its flows; 0: any */
	/* It may be behind an address translator: its media comes from, and goes to, where it is
	 * found to come from, which is the address it signals from or has signalled. */
	bool comedia;
	struct addr signals_from;
};

/* Leases both pairs. The flows come with the first stream_describe(), muted until both legs
 * are described: nothing is forwarded before it is signalled. `owner` is the call's number, never
 * 0. -ENOSPC: no ports (503); -EAFNOSUPPORT: a realm has no address of that family. On failure
 * nothing is leased. */
int stream_new(struct stream **out, struct media *media, uint64_t owner,
	       const struct stream_leg legs[2]);

/* One more m= line of the same call, its legs where those of `like` are. Errors of stream_new(). */
int stream_add(struct stream **out, const struct stream *like);

/* Removes the flows first, keeps their last counters for stream_report(), gives the ports back.
 * Idempotent. */
void stream_stop(struct stream *s);
void stream_free(struct stream *s);	/* stops, too; NULL-safe */

/* Frees the stream and leaves its flows installed and its ports leased: media outlives us. */
void stream_leave(struct stream *s);

/* The relay address and RTP port of `side`; RTCP is the port above. */
struct addr stream_relay(const struct stream *s, enum side side);

/* What a leg's description says, now in force: where it wants RTP and RTCP, which is also the
 * source that is admitted. A null address (hold) mutes what goes to it; what it sends is admitted
 * from where it was before. `clock_rate` in Hz for the jitter of what it sends. Applies the
 * flows. */
void stream_describe(struct stream *s, enum side side, const struct addr *rtp,
		     const struct addr *rtcp, uint32_t clock_rate);

/* The payload type by which `side` wants its telephone-events; 0: none. In force with the next
 * stream_describe(). */
void stream_expect_events(struct stream *s, enum side side, uint8_t payload_type);

/* `side` sends RTCP to the port of RTP and wants it there, whatever the other does. The same. */
void stream_multiplex(struct stream *s, enum side side, bool mux);

/* `side` sends under the one key, and hears what is under the other (suite 0: neither is). The
 * same. */
void stream_encrypt(struct stream *s, enum side side, const struct flow_crypt *sends,
		    const struct flow_crypt *hears);

/* What travels is not read, but passed as it is (`opaque`); beside it there is RTCP, or not. The
 * same. */
void stream_carry(struct stream *s, bool opaque, bool rtcp);
/* The payload numbers of what `side` sends. The same; none at all: every number. */
void stream_admit(struct stream *s, enum side side, const struct flow_payloads *payloads);

/* What changes between these comes into force at once, with the second. */
void stream_defer(struct stream *s);
void stream_enforce(struct stream *s);

/* While `ours`, what `side` hears is made here: what the other side sends does not reach it. */
void stream_replace(struct stream *s, enum side side, bool ours);

/* How media that is made here reaches `side`: from the relay address that it was told, to where it
 * wants it, by which interface of its realm. */
struct stream_way {
	struct addr from, to, rtcp_to;	/* rtcp_to.port 0: none */
	unsigned int ifindex;		/* 0: to another call of this node */
};

/* The number (SSRC) of a source that is to be made here for `side`: `now`, if that is the one told
 * last and it does not hear that from the other leg, else another one each time. Who says `now`
 * goes on where that stopped: a key sees each index of a source but once (RFC 3711 9.1), and no
 * more sources than it must, of which those who hear remember some alone. */
uint32_t stream_source(struct stream *s, enum side side, uint32_t now);

/* What that source sends, as `side` hears it: sealed where that is encrypted. In place, at an
 * address for 32-bit words, with room for SEAL_GROWTH bytes behind. The new length; -errno: it
 * must not be sent: so it is when the stream has stopped, or `side` is not described (yet), whose
 * keys are forgotten, or not known. */
int stream_seal(struct stream *s, enum side side, uint8_t *packet, size_t len, bool rtcp);

/* -ENOTCONN: it wants none; -ENETUNREACH: its realm does not lead there; -EAGAIN: whether it does
 * is not known just now. */
int stream_way(const struct stream *s, enum side side, struct stream_way *out);

/* Direct: the legs send to one another. The entries go, the ports stay leased, what still comes
 * there is counted as stray. Relayed: the entries are as the descriptions say. Ports and counters
 * are the same all the while. */
void stream_set_direct(struct stream *s, bool direct);

/* Exchanges the B side for a new leg (the next target of a route): new ports, not described; the A
 * side keeps its ports and counters. Errors as stream_new(); the stream is as before then. */
int stream_new_b(struct stream *s, const struct stream_leg *leg);

struct stream_report {
	struct addr relay;	/* ours, told to that side */
	struct addr signalled;	/* AF_UNSPEC: not described */
	bool opaque;
	struct flow_counters rtp, rtcp;	/* of what that side sends */
};

void stream_report(const struct stream *s, enum side side, struct stream_report *out);

#endif
