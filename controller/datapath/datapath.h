/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where forwarding entries live. A flow is one direction of one stream: it is named by the relay
 * address and port at which its packets arrive. Callers say what they desire, datapath_apply()
 * changes the difference.
 *
 * One thread calls all of this: the loop's. Nothing here blocks.
 */
#ifndef RTPFWD_DATAPATH_DATAPATH_H
#define RTPFWD_DATAPATH_DATAPATH_H

#include "lib/addr.h"
#include "lib/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct conf;
struct datapath;

enum flow_kind { FLOW_RTP, FLOW_RTCP };

/* What happens to packets at a leased port. A port of which nothing was said is unleased. */
enum flow_mode {
	FLOW_MUTED, /* leased, not described yet (or its destination is 0.0.0.0): drop as
		       not_signalled */
	FLOW_FORWARD,
	FLOW_STRAY, /* media is direct: drop as direct_stray */
};

/* The keys of one direction, and how they are used (RFC 3711, RFC 7714). Never shown or logged; who
 * has one wipes it. */
struct flow_crypt {
	uint8_t suite;	 /* enum rtpfwd_suite of kmod/rtpfwd_nl.h; 0: not encrypted, no key */
	uint8_t key[48]; /* master key, then salt, as RFC 4568's `inline` has them; 0 behind */
};

/* The payload numbers (RFC 3550 5.1) that packets may bear, and what each becomes. */
enum { FLOW_PAYLOADS = 12 };
enum flow_g711 { FLOW_AS_IT_IS, FLOW_TO_ALAW, FLOW_TO_ULAW };

struct flow_payload {
	uint8_t in, out;
	uint8_t g711; /* enum flow_g711: its samples are translated; at most one of a flow's */
};

struct flow_payloads {
	uint8_t n; /* 0: every number passes as it is */
	struct flow_payload pair[FLOW_PAYLOADS]; /* the first is what comes most */
	uint32_t clock_rate; /* RTP clock of that in Hz; 0: not known */
};

/* One desired flow. `owner` groups the flows of one stream (never 0; kept in the kernel, so that a
 * later controller can tell which adopted flows belong together). */
struct flow_want {
	struct addr local; /* relay address and port at which the packets arrive: the key */
	uint64_t owner;
	enum flow_kind kind;
	enum flow_mode mode;
	struct addr expect; /* source admitted, as signalled; family AF_UNSPEC: none, every packet
			       is wrong_source or not_signalled */
	bool any_port;	    /* admit any port of `expect` (asymmetric = yes) */
	/* Its source is looked for, and told by datapath_events.learned. Packets of `learn` (no
	 * port) and of other ports of `expect` are not admitted before. */
	bool learning;
	struct addr learn;	   /* AF_UNSPEC: none but `expect` */
	struct addr from;	   /* source written: the other side's relay address and port */
	struct addr to;		   /* destination: what the other leg's description says */
	unsigned int egress_realm; /* index into conf->realms: `to` is reached by its interfaces */
	uint32_t clock_rate;	   /* RTP clock in Hz for the jitter figure; 0: not known */
	bool opaque;		   /* what it holds is not judged, and not read for counters */
	bool mux;		   /* RTP: RTCP that arrives here, too, is the next port's flow's */
	uint8_t event;		   /* payload type of telephone-event as sent on; 0: none */
	struct flow_payloads payloads;
	uint32_t rate;		   /* packets a second; 0: no limit */
	/* What arrives is SRTP (SRTCP) under `in`: nothing is believed of it that does not
	 * authenticate. What leaves is made SRTP (SRTCP) under `out`. */
	struct flow_crypt in, out;
};

static inline void flow_forget_keys(struct flow_want *want)
{
	explicit_bzero(want->in.key, sizeof(want->in.key));
	explicit_bzero(want->out.key, sizeof(want->out.key));
}

/* Who forwards a flow, the faster first: XDP; XDP with rtpfwd.ko for its SRTP; the userspace relay.
 */
#define DATAPATH_PLANES(X) X(XDP, "xdp") X(KMOD, "kmod") X(USER, "user")
enum datapath_plane {
#define DATAPATH_PLANE_ENUM(name, text) PLANE_##name,
	DATAPATH_PLANES(DATAPATH_PLANE_ENUM) PLANES
#undef DATAPATH_PLANE_ENUM
};

static inline const char *datapath_plane_text(enum datapath_plane plane)
{
#define DATAPATH_PLANE_TEXT(name, text) text,
	static const char *const texts[] = { DATAPATH_PLANES(DATAPATH_PLANE_TEXT) };
#undef DATAPATH_PLANE_TEXT

	return texts[plane];
}

struct flow_counters {
	enum datapath_plane plane;
	uint64_t packets; /* received and forwarded */
	uint64_t bytes;	  /* of those, UDP payload */
	uint64_t dropped; /* refused at this port, wrong_source included */
	uint64_t wrong_source;
	uint64_t lost;	       /* RFC 3550 A.3: expected - received, never below 0 */
	double jitter_ms;      /* RFC 3550 A.8, from sampled pairs */
	double last_s;	       /* seconds since the last forwarded packet; -1: none yet */
	uint32_t ssrc;	       /* of the last RTP packet */
	struct addr seen;      /* last source seen, admitted or not; AF_UNSPEC: none */
	uint32_t reordered;    /* RTP packets that came after a later one */
	uint32_t duplicates;   /* that came twice in a row */
	uint32_t ssrc_changes; /* times that another sender went on */
	double gap_ms;	       /* longest time between two forwarded packets */
	bool event;	       /* a telephone-event is under way (RFC 4733) */
	/* RTCP: what its sender reports of what it was sent, and the time to it and back. */
	double round_trip_ms; /* below 0: not known */
	uint32_t far_lost;
	double far_fraction; /* lost lately, 0 to 1 */
};

/* What flows up. Called in the loop; each may be NULL. */
struct datapath_events {
	void *ctx;
	/* What is executed as the userspace relay, as datapath_relay(); NULL: there is none. */
	const char *relay;
	/* An adopted flow (call unknown) has ended or its lease has: its port may be leased again.
	 */
	void (*adopted_gone)(void *ctx, const struct addr *local);
	/* What arrives at `local` comes from `source`: five RTP packets in a row of one sender, one
	 * of RTCP, or one of either from `expect` itself. Nothing has changed yet. */
	void (*learned)(void *ctx, uint64_t owner, const struct addr *local,
			const struct addr *source);
};

/* Start: loads, pins, attaches, adopts what a former controller left. `why` receives one line that
 * names what is missing or wrong (size >= 256). -EPERM/-ENOTSUP: no privilege or kernel support;
 * else another -errno. `adopted(ctx, local)` is called for each live flow found, so that its port
 * is reserved. `conf` must outlive it, or a reload. */
int datapath_open(struct datapath **out, const struct conf *conf, struct loop *loop,
		  const struct datapath_events *events,
		  void (*adopted)(void *ctx, const struct addr *local), void *ctx, char *why,
		  size_t why_size);

/* The userspace relay: the main function of a program whose first argument is DATAPATH_RELAY. */
#define DATAPATH_RELAY "rtpfwd-relay"
int datapath_relay(int argc, char **argv);

/* Leaves links, maps and live media as they are, and frees what is ours. NULL-safe. */
void datapath_close(struct datapath *dp);

/* What of a reload concerns it: `lease`, `guard`, and the first peer with `encryption`. From here
 * on `next` must outlive it. On failure (`guard = on` that cannot be, no room for keys) all is as
 * it was, and `why` says what is wrong. */
int datapath_reload(struct datapath *dp, const struct conf *next, char *why, size_t why_size);

/* `rtpfwd -D`: removes every kernel object of this configuration. Idempotent. */
int datapath_detach(const struct conf *conf, char *why, size_t why_size);

/* Makes the flow at want->local as desired; the same again changes nothing. A change of a
 * forwarding flow loses no packet: its former source stays admitted for two seconds. 0; -EINVAL: no
 * relay port of ours; -EOPNOTSUPP: encrypted, and datapath_encrypts() is false; what rtpfwd.ko
 * answered, where no relay can do instead: then nothing has changed, but for keys it may have
 * taken. No system call on the common path; new keys are a request to the module each. */
int datapath_apply(struct datapath *dp, const struct flow_want *want);

/* Some plane here carries flows with `in` or `out`. */
bool datapath_encrypts(const struct datapath *dp);

/* One source (SSRC) that is made here, and goes out beside the flows under the key of one who
 * hears: no other source may have that number under it. 0; -EOPNOTSUPP: as above; -ENOMEM;
 * -ENOKEY. */
struct seal;
enum { SEAL_GROWTH = 20 }; /* bytes at most: of AEAD SRTCP (RFC 7714 9) */
int datapath_seal(struct seal **out, const struct datapath *dp, const struct flow_crypt *crypt,
		  uint32_t ssrc);
void seal_free(struct seal *seal); /* NULL-safe */
/* In place, at an address for 32-bit words: makes RTP SRTP, RTCP SRTCP. The new length; -EPROTO. */
int seal_packet(struct seal *seal, uint8_t *packet, size_t len, bool rtcp);

/* Removes the flow; later packets are `unleased`. Its last counters go to `last` (may be NULL) and
 * into the realm totals. */
void datapath_remove(struct datapath *dp, const struct addr *local, struct flow_counters *last);

/* -ENOENT when no flow is there. */
int datapath_counters(const struct datapath *dp, const struct addr *local,
		      struct flow_counters *out);

/* By which interface of that realm `to` is reached from the relay address `from`; 0: by whichever
 * the kernel takes, for `to` is a relay port. For what is sent beside the flows. -ENETUNREACH: by
 * none; -EAGAIN: the kernel did not answer just now. */
int datapath_egress(unsigned int *ifindex, struct datapath *dp, unsigned int realm,
		    const struct addr *from, const struct addr *to);

/* Reports: snapshots for ctl, metrics and status. */
struct flow_report {
	struct flow_want want; /* of its keys the suites alone */
	struct flow_counters counters;
	bool adopted;	    /* found at start; its call is not known */
	const char *reason; /* why it is on no faster rung; "": it is on the fastest */
};

/* Calls `each` for every flow but those of FLOW_STRAY, which are no entries, in order of address
 * and port, until it returns false. Begins at `*at` (0: at the start) and leaves there where to go
 * on: flows that come or go meanwhile may be missed. */
void datapath_each(const struct datapath *dp, uint64_t *at,
		   bool (*each)(void *ctx, const struct flow_report *flow), void *ctx);

struct datapath_realm_report { /* totals since start, ended flows included */
	uint64_t packets[PLANES], bytes[PLANES], lost;
};

struct datapath_interface_report {
	unsigned int realm;
	const char *name;
	const char *mode;   /* "native", "generic", "off" (not wanted, or the link is gone) */
	const char *reason; /* why no faster one; "": it is native */
};

/* Exact while there are few flows; of many, each is at most some seconds old: they are summed in
 * slices, so that a scrape never holds signalling up. */
void datapath_realm(struct datapath *dp, unsigned int realm, struct datapath_realm_report *out);
size_t datapath_interfaces(const struct datapath *dp, struct datapath_interface_report *out,
			   size_t max); /* how many there are */
size_t datapath_flow_count(const struct datapath *dp);
/* Of those, on that plane; at most some seconds old while a plane changes under a flow. */
size_t datapath_plane_count(const struct datapath *dp, enum datapath_plane plane);
/* Routers and phones on the links to which media goes at the moment. */
size_t datapath_neighbours(const struct datapath *dp, sa_family_t family);
/* The kernel's ticks in a second: what gaps, rates and leases are counted in. */
unsigned int datapath_hz(const struct datapath *dp);
bool datapath_has_kmod(const struct datapath *dp); /* rtpfwd.ko is in use; found at start */
/* Keys that it could not take: memory, limits. Their flows are the userspace relay's. */
uint64_t datapath_keys_refused(const struct datapath *dp);
bool datapath_survives(const struct datapath *dp); /* media outlives this process */

struct datapath_guard_report {
	bool wanted;
	const char *table; /* its name in nftables, of the family inet */
	const char *fault; /* "": it is as wanted */
};

struct datapath_guard_report datapath_guard(const struct datapath *dp);

/* Drop reasons and what went up, from the ABI's list. `each` also gets those at zero. `up`: not a
 * drop but passed on. */
void datapath_drops(const struct datapath *dp,
		    void (*each)(void *ctx, const char *reason, const char *help, bool up,
				 uint64_t packets),
		    void *ctx);

#endif
