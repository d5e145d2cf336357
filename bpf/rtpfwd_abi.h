/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The one shared ABI between whoever writes forwarding entries and whoever forwards: BPF programs,
 * the controller, tests. Data only: fixed-width types, no pointers, explicit padding. "be" fields
 * are in network byte order, all others in the host's.
 */
#ifndef RTPFWD_ABI_H
#define RTPFWD_ABI_H

#include <linux/types.h>

/* Raised whenever a struct below changes; pinned maps of another version are never touched. */
#define RTPFWD_ABI_VERSION 7
#define RTPFWD_ABI_MAGIC   0x72747066 /* "rtpf" */

/* Map names (<= 15 characters), which are also their names under `bpffs`. */
#define RTPFWD_MAP_CONTROL "rtpfwd_control" /* one struct rtpfwd_control, mapped */
#define RTPFWD_MAP_SLOTS   "rtpfwd_slots"   /* struct rtpfwd_slot, mapped */
#define RTPFWD_MAP_RESTS   "rtpfwd_rests"   /* struct rtpfwd_rest, mapped */
#define RTPFWD_MAP_DROPS   "rtpfwd_drops"   /* struct rtpfwd_drops, one per CPU */
#define RTPFWD_MAP_TX	   "rtpfwd_tx"	    /* DEVMAP: link key -> interface */
#define RTPFWD_MAP_LINKS   "rtpfwd_links"   /* struct rtpfwd_link_stats by link key */
#define RTPFWD_MAP_RELAY   "rtpfwd_relay"   /* one struct rtpfwd_relay, mapped */
#define RTPFWD_MAP_SOCKS   "rtpfwd_socks"   /* SOCKMAP: its sockets, IPv4's and IPv6's */
#define RTPFWD_MAP_EVENTS  "rtpfwd_events"  /* ring of struct rtpfwd_event; not pinned */
#define RTPFWD_MAP_AGAIN   "rtpfwd_again"   /* PROG_ARRAY of one: the XDP program itself */
#define RTPFWD_MAP_UPPERS  "rtpfwd_uppers"  /* one struct rtpfwd_uppers, mapped; not pinned */

#define RTPFWD_MAX_ADDRESSES 64
#define RTPFWD_HASH_BITS     8 /* of buckets of relay addresses; the seed avoids collisions */
#define RTPFWD_MAX_LINKS     32
#define RTPFWD_MAX_UPPERS    4096
#define RTPFWD_UPPER_PLACES  4
#define RTPFWD_RELAYS	     2 /* of the userspace relay at once: one ends, one begins */
#define RTPFWD_PASSES	     8 /* times that a packet goes on within this node: RTPFWD_F_LOCAL */

/* Why a packet that is ours is dropped: name, help. Written once; everything that names a reason is
 * made from this. */
#define RTPFWD_DROP_REASONS(X)                                                                     \
	X(unleased, "to a relay port that no call has leased")                                     \
	X(direct_stray, "still sent here although the media is direct")                            \
	X(wrong_source, "from an address or port that was not signalled")                          \
	X(not_signalled, "before the description of its leg or destination was known, or on hold") \
	X(not_rtp, "no RTP at an RTP port, or no RTCP at an RTCP port")                            \
	X(bad_payload, "payload type that was not negotiated")                                     \
	X(bad_length, "UDP length that contradicts the IP length or the frame")                    \
	X(ttl, "time to live used up, or in a circle of relay ports of this node")                 \
	X(expired, "no controller renewed the lease in time")                                      \
	X(rate, "above the rate allowed to the flow")                                              \
	X(no_neighbour, "next hop does not answer ARP or neighbour discovery")                     \
	X(no_route, "no route to the destination through a realm's interface")                     \
	X(tx_failed, "refused by the driver of the outgoing interface")                            \
	X(headroom, "no room in the frame for a larger header")                                    \
	X(bad_checksum, "IPv6 without a UDP checksum, or IPv4 with a wrong one of its header")	   \
	X(learning, "from a source that has not sent enough yet to be learned")                    \
	X(srtp_auth, "SRTP that does not authenticate under the keys of its leg")                  \
	X(srtp_replay, "SRTP with an index that was used before, or too far back to tell")         \
	X(srtp_failed, "no key here, no memory, or not known what was sent under the key")

/* Ours, but left to the slower rung: passed on, not dropped. */
#define RTPFWD_UP_REASONS(X)                                                                       \
	X(up_fragment, "first fragment of a datagram to a relay port, passed up")                  \
	X(up_options, "with IP options or extension headers to a relay port, passed up")           \
	X(up_unresolved, "next hop being asked for, passed up")                                    \
	X(up_mtu, "longer than the way to its destination takes, passed up")

enum rtpfwd_reason {
	RTPFWD_R_NONE, /* forward */
#define RTPFWD_REASON_ENUM(name, help) RTPFWD_R_##name,
	RTPFWD_DROP_REASONS(RTPFWD_REASON_ENUM) RTPFWD_R_DROPS_END,
	RTPFWD_R_UPS = RTPFWD_R_DROPS_END - 1,
	RTPFWD_UP_REASONS(RTPFWD_REASON_ENUM)
#undef RTPFWD_REASON_ENUM
		RTPFWD_R_END
};

#define RTPFWD_MAX_REASONS 64

struct rtpfwd_drops {
	__u64 packets[RTPFWD_MAX_REASONS]; /* by enum rtpfwd_reason */
};

/* rtpfwd_action.flags */
#define RTPFWD_F_RTCP	    0x1	   /* RTCP is due at this port, else RTP */
#define RTPFWD_F_ANY_PORT   0x2	   /* any source port of the expected address is admitted */
#define RTPFWD_F_LATE_ANY   0x4	   /* the same for the late one */
#define RTPFWD_F_EXPECT	    0x8	   /* a source is known; else every packet is a stranger's */
#define RTPFWD_F_TX	    0x10   /* its link may be where it came in: XDP_TX then */
#define RTPFWD_F_IPV6	    0x20   /* leaves by IPv6 */
#define RTPFWD_F_TOS	    0x40   /* leaves with the traffic class `tos`, ECN kept */
#define RTPFWD_F_TAG	    0x80   /* leaves with an 802.1Q tag of VLAN `vlan`, its priority kept */
#define RTPFWD_F_KEEP_TAG   0x100  /* leaves with the tag that it came with, if any */
#define RTPFWD_F_LEARN	    0x200  /* the source is not known for certain: see rtpfwd_heard */
#define RTPFWD_F_MUX	    0x400  /* RTCP that arrives here is the next slot's (RFC 5761) */
#define RTPFWD_F_UNPROTECT  0x800  /* arrives as SRTP or SRTCP: authenticated before all else */
#define RTPFWD_F_PROTECT    0x1000 /* leaves as SRTP or SRTCP */
#define RTPFWD_F_TO_ALAW    0x2000 /* G.711 mu-law leaves as A-law: see rtpfwd_extra */
#define RTPFWD_F_TO_ULAW    0x4000 /* and the other way round */
#define RTPFWD_F_OPAQUE	    0x8000 /* what it holds is not judged (UDPTL; RFC 7983 end to end) */
#define RTPFWD_F_USER	    0x10000 /* the userspace relay's: XDP passes it up, uncounted */
#define RTPFWD_F_LOCAL	    0x20000 /* goes to another relay port, rtpfwd_next(), and stays here */
#define RTPFWD_F_UNRESOLVED 0x40000 /* the next hop's address is being asked for */
#define RTPFWD_F_FIT	    0x80000 /* may be longer than its way takes: see rtpfwd_path */

/*
 * What to do with packets of one flow. Never changed while a reader may see it: see rtpfwd_slot.
 * Whether packets arrive by IPv4 or IPv6 their slot says; addresses of IPv6 are in rtpfwd_wide.
 */
struct rtpfwd_action {
	__be32 expect_ip; /* source admitted */
	__be16 expect_port;
	__u8 drop; /* enum rtpfwd_reason; 0: forward */
	__u8 tos;
	__u32 flags;
	__be32 late_ip;	  /* the former source, admitted until late_until */
	__u64 late_until; /* in 64-bit jiffies; 0: nobody is late */
	__be32 from_ip;	  /* source written: the other side's relay address; IPv6: its bucket */
	__be32 to_ip;	  /* destination written */
	__be16 from_port;
	__be16 to_port;
	__be16 vlan;
	__u8 link;  /* key of the outgoing interface */
	__u8 event; /* payload type of telephone-event (RFC 4733); 0: none */
	__u8 to_mac[6]; /* of RTPFWD_F_LOCAL: the slot that it goes to */
	__be16 late_port;
	__u8 usual; /* payload number that passes unchanged; RTPFWD_ANY_PAYLOAD: every one does */
	__u8 grow;  /* bytes that SRTP adds to what leaves; see RTPFWD_F_PROTECT */
	__u8 late_payloads; /* of rtpfwd_extra: so many, from the end, only until late_until */
	__u8 sure; /* an IP packet that is at most 8 times so long fits: rtpfwd_path is not asked */
	__u32 clock_rate; /* RTP clock in Hz; 0: no jitter figure */
};

static inline __u32 rtpfwd_next(const struct rtpfwd_action *act)
{
	__u32 slot;

	__builtin_memcpy(&slot, act->to_mac, sizeof(slot));
	return slot;
}

#define RTPFWD_ANY_PAYLOAD 0xff
#define RTPFWD_NO_USUAL	   0x80 /* no packet bears it */
#define RTPFWD_NO_PAYLOAD  0xff /* nor this */
#define RTPFWD_PAYLOADS	   12 /* admitted beside the usual one */

/* The rest of it, which plain IPv4 does not touch: its own cache line. */
struct rtpfwd_wide {
	__be32 expect_ip[4];
	__be32 late_ip[4];
	__be32 to_ip[4];
	__be32 learn_ip[4]; /* a source that may be learned; IPv4: the first word */
};

/* What only a flow needs whose payload is looked at or changed. The first number's samples are
 * translated where RTPFWD_F_TO_ALAW or _TO_ULAW says so. */
struct rtpfwd_extra {
	__u8 in[RTPFWD_PAYLOADS]; /* payload numbers admitted beside the usual; RTPFWD_NO_PAYLOAD */
	__u8 out[RTPFWD_PAYLOADS]; /* what each becomes */
	__u32 unprotect;	   /* contexts of the kernel module for SRTP; 0: none */
	__u32 protect;
};

/*
 * The way to where packets go. What is longer goes in fragments, which the kernel makes: XDP passes
 * it up, the userspace relay has it sent.
 */
struct rtpfwd_path {
	__u32 mtu;     /* the longest IP packet that it takes; 0: any */
	__u32 ifindex; /* by which the kernel sends: the link, or a VLAN's on it; 0: it cannot */
};

/* What happened: written by the data path alone. All that a forwarded packet touches. */
struct rtpfwd_counters {
	__u64 packets; /* forwarded */
	__u64 bytes;   /* of those, UDP payload, without what SRTP adds */
	__u64 last;    /* 64-bit jiffies of the last forwarded packet */
	/* Last source, admitted or not: be32 address | be16 port << 32; 0: none. Of IPv6: a digest
	 * of the address | be16 port << 32 | RTPFWD_SEEN_IPV6, the address itself is in
	 * rtpfwd_refused. */
	__u64 seen;
	/* Arrival of the first packet of a sampled pair, in units of 1,024 ns; 0: no pair is open.
	 */
	__u32 pair_at;
	__u32 pair_ts; /* its RTP timestamp */
	__u32 ssrc;    /* of the last RTP packet */
	__u32 jitter;  /* RFC 3550 A.8: in clock units, times 16 */
	__u32 credit;  /* what the rate allows at `last`: packets, times the jiffies of a second */
	__s32 lost;    /* expected - received; below 0 after duplicates */
	__u16 max_seq;
	__u16 pair_seq;
	__u16 gap; /* longest time between two packets, in jiffies; at most 65535 */
	__u16 pad;
};

#define RTPFWD_SEEN_IPV6 (1ULL << 48)

/* The same of packets that were refused, and what a forwarded one writes only when it changes. */
struct rtpfwd_refused {
	__u64 dropped; /* wrong_source included */
	__u64 wrong_source;
	__be32 seen_ip[4]; /* where rtpfwd_counters.seen is IPv6's */
	/* Forwarded by the userspace relay where rtpfwd_counters are XDP's: on top of those. Such
	 * RTP is a gap in the sequence that XDP saw: `up_rtp` comes off its loss. */
	__u64 up_packets;
	__u64 up_bytes;
	__u64 up_rtp;
	__u64 pad;
};

#define RTPFWD_BAD_SEQ 0x10000

/* What was heard that is no plain progress: written by the data path alone. */
struct rtpfwd_heard {
	__u32 bad_seq; /* RFC 3550 A.1: RTPFWD_BAD_SEQ | next expected after a jump; 0: no jump */
	__u32 reordered;
	__u32 duplicates;
	__u32 ssrc_changes;
	__u64 event; /* 64-bit jiffies of the last packet of an event under way; 0: none is */
	/* Who may become the source: as rtpfwd_counters.seen, and how many of its packets came one
	 * after the other. `learned`: who has sent enough of them. */
	__u64 candidate;
	__u64 learned;
	__u32 candidate_ssrc;
	__u16 candidate_seq;
	__u16 candidate_packets;
	/* Of RTCP (RFC 3550 6.4.1): middle of the last sender report's NTP time, and when it came,
	 * in units of 1/65536 s; the fraction and total lost of the last report; time from here to
	 * the sender of reports and back in 1/65536 s, 0: not known. */
	__u32 sent_ntp;
	__u32 sent_at;
	__u32 far_lost; /* fraction << 24 | total */
	__u32 round_trip;
};

#define RTPFWD_LEARN_RTP  5 /* packets in a row that make a source learned */
#define RTPFWD_LEARN_RTCP 1

/* Told to the controller: this slot has learned a source. */
struct rtpfwd_event {
	__u32 slot;
	__u32 pad;
};

enum rtpfwd_select {
	RTPFWD_UNLEASED = 0,
	RTPFWD_FIRST = 1, /* first copy is in force */
	RTPFWD_SECOND = 2,
	RTPFWD_THIRD = 4,
	RTPFWD_FOREIGN =
		8, /* the port is not ours: a gap between two realms' ranges on one address */
};

/*
 * A relay port. One aligned store of `select` publishes; a copy that was in force is written again
 * only after a grace period in which every reader that may have seen it has ended. With three of
 * them two changes follow one another without waiting (an answer, then a re-INVITE at once).
 * Steady state: the first copy, hence one cache line to read and the next one to write for a
 * forwarded packet of IPv4, and 32 slots in a page: what is seldom needed is in rtpfwd_rest.
 */
struct rtpfwd_slot {
	__u32 select; /* enum rtpfwd_select */
	__u32 rate; /* packets allowed in a second, as many at once; 0: any; one store changes it */
	struct rtpfwd_action first;
	struct rtpfwd_counters counters;
};

/* The rest of a slot, at the same index. */
struct rtpfwd_rest {
	struct rtpfwd_refused refused;
	__u64 owner; /* groups the flows of one stream; not read by the data path */
	struct rtpfwd_action second;
	__u64 pad;
	struct rtpfwd_action third;
	struct rtpfwd_wide wide[3];   /* of each copy */
	struct rtpfwd_extra extra[3]; /* the same */
	struct rtpfwd_path path[3];   /* the same */
	__u64 pad2;
	struct rtpfwd_heard heard;
};

/* Of the first copy 0; of the others also where their line begins in the rest. */
#define RTPFWD_COPY_OFFSET(select) (((select) & (RTPFWD_SECOND | RTPFWD_THIRD)) << 5)

/* A relay address: its ports lo .. lo + count - 1, whole pairs that begin with an even port, are
 * slots base .. base + count - 1 in the order of rtpfwd_slot_of(). */
struct rtpfwd_address {
	__be32 ip;
	__u32 base;
	__u32 count; /* 0: empty bucket */
	__u16 lo;
	__u16 pad;
};

struct rtpfwd_address6 {
	__be32 ip[4];
	__u32 base;
	__u32 count;
	__u16 lo;
	__u16 pad[3];
};

struct rtpfwd_control {
	__u32 magic;
	__u32 version;
	__u32 slot_size;
	__u32 slots;	  /* how many */
	__u32 seed;	  /* rtpfwd_bucket() */
	__u32 tx_map_id;  /* of RTPFWD_MAP_TX, to tell our failed redirects from others' */
	__u32 netns;	  /* inode of the network namespace, to tell our interfaces from others' */
	__u32 probing;	  /* 1: a transmit failure is the probe's, no media was lost */
	__u32 hz;	  /* jiffies of a second */
	__u32 user_links; /* bit by link key: without XDP, the userspace relay counts there alone */
	__u32 relay;	  /* generation of the userspace relay that is to run; 0: none */
	__u32 pad[5];
	__u64 lease_until;     /* 64-bit jiffies; a line of its own: it is renewed once a second */
	__u64 lease_until_ns;  /* the same by CLOCK_MONOTONIC, for a later controller */
	__u64 jiffies_zero_ns; /* CLOCK_MONOTONIC when jiffies were 0, for who cannot ask for them
				*/
	__u64 pad2[5];
	__u32 ifindex[RTPFWD_MAX_LINKS]; /* by link key; 0: none */
	__u64 mac[RTPFWD_MAX_LINKS];	 /* the same: its first six bytes; one store changes it */
	struct rtpfwd_address addresses[1 << RTPFWD_HASH_BITS];
	struct rtpfwd_address6 addresses6[1 << RTPFWD_HASH_BITS];
};

/* Written by the userspace relay alone. */
struct rtpfwd_relay {
	struct rtpfwd_drops drops; /* where it counts alone; atomic: two may run for a moment */
	/* By generation modulo RTPFWD_RELAYS: which one runs, 0: none; and a count that is odd
	 * while it may be reading what a slot says. */
	__u32 running[RTPFWD_RELAYS];
	__u32 reading[RTPFWD_RELAYS];
};

/* An interface that stands on a realm's: of a VLAN, a bridge. What is passed up below comes to a
 * socket by it. Each lies at its number modulo RTPFWD_MAX_UPPERS, or at one of the next places. */
struct rtpfwd_upper {
	__u32 ifindex; /* 0: none; written last */
	__u32 link;    /* key of the link below */
};

struct rtpfwd_uppers {
	struct rtpfwd_upper at[RTPFWD_MAX_UPPERS];
};

struct rtpfwd_link_stats {
	__u64 tx_failed;    /* frames lost */
	__u64 refused;	    /* times that the driver refused outright: neither a full ring nor a
			       frame longer than the link carries is among them */
	__u64 probe_failed; /* frames of the probe lost */
};

/* Context of the program rtpfwd_beat, both ways. */
struct rtpfwd_beat {
	__u64 lease;	/* in: renew the lease by so many jiffies; 0: leave it */
	__u64 lease_ns; /* in: the same in nanoseconds */
	__u64 jiffies;	/* out */
	__u64 ns;	/* out: CLOCK_MONOTONIC */
};

static inline __u32 rtpfwd_bucket(__be32 ip, __u32 seed)
{
	return (ip * seed) >> (32 - RTPFWD_HASH_BITS);
}

static inline __u32 rtpfwd_bucket6(const __be32 ip[4], __u32 seed)
{
	return rtpfwd_bucket(((ip[0] * seed + ip[1]) * seed + ip[2]) * seed + ip[3], seed);
}

/*
 * The slot of port lo + `offset` of an address. First come the even ports, then the odd ones: RTP,
 * which nearly all packets are, has lines of the caches and pages beside one another.
 */
static inline __u32 rtpfwd_slot_of(__u32 base, __u32 count, __u32 offset)
{
	return base + (offset >> 1) + (offset & 1 ? count >> 1 : 0);
}

/* And back, of the slot base + `place`. */
static inline __u32 rtpfwd_offset_of(__u32 count, __u32 place)
{
	__u32 half = count >> 1;

	return place < half ? place << 1 : (place - half) << 1 | 1;
}

#define RTPFWD_LOOPBACK 1 /* index of `lo`, in every network namespace */

/* Is it a relay address? */
static inline int rtpfwd_is_own(const struct rtpfwd_control *control, __be32 ip)
{
	const struct rtpfwd_address *address;

	address = &control->addresses[rtpfwd_bucket(ip, control->seed)];
	return address->count && address->ip == ip;
}

static inline int rtpfwd_is_own6(const struct rtpfwd_control *control, const __be32 ip[4])
{
	const struct rtpfwd_address6 *address;

	address = &control->addresses6[rtpfwd_bucket6(ip, control->seed)];
	return address->count && address->ip[0] == ip[0] && address->ip[1] == ip[1] &&
	       address->ip[2] == ip[2] && address->ip[3] == ip[3];
}

/* The key of the link below; RTPFWD_MAX_LINKS: there is none. */
static inline __u32 rtpfwd_upper_link(const struct rtpfwd_uppers *uppers, __u32 ifindex)
{
	const struct rtpfwd_upper *at;
	__u32 i;

	for (i = 0; ifindex && i < RTPFWD_UPPER_PLACES; i++) {
		at = &uppers->at[(ifindex + i) % RTPFWD_MAX_UPPERS];
		if (*(const volatile __u32 *)&at->ifindex == ifindex)
			return at->link;
	}
	return RTPFWD_MAX_LINKS;
}

#define RTPFWD_AT(type, field) __builtin_offsetof(struct type, field)
/* Not a strong digest: who forges one is taken for another in a display. */
static inline __u32 rtpfwd_digest6(const __be32 ip[4])
{
	return ((ip[0] * 31 + ip[1]) * 31 + ip[2]) * 31 + ip[3];
}

_Static_assert(sizeof(struct rtpfwd_action) == 56, "action");
_Static_assert(RTPFWD_AT(rtpfwd_action, from_port) % 4 == 0, "both ports are one load");
_Static_assert(RTPFWD_AT(rtpfwd_action, to_mac) % 8 == 0, "so is what begins with it");
_Static_assert(sizeof(struct rtpfwd_wide) == 64, "wide");
_Static_assert(sizeof(struct rtpfwd_extra) == 32, "extra");
_Static_assert(sizeof(struct rtpfwd_path) == 8, "path");
_Static_assert(sizeof(struct rtpfwd_counters) == 64, "counters");
_Static_assert(sizeof(struct rtpfwd_refused) == 64, "refused");
_Static_assert(sizeof(struct rtpfwd_heard) == 64, "heard");
_Static_assert(sizeof(struct rtpfwd_slot) == 128, "slot");
_Static_assert(RTPFWD_AT(rtpfwd_slot, counters) == 64, "one line to read, the next to write");
_Static_assert(sizeof(struct rtpfwd_rest) == 576, "rest");
_Static_assert(RTPFWD_AT(rtpfwd_rest, owner) == 64, "one writer per line");
_Static_assert(RTPFWD_AT(rtpfwd_rest, heard) == 512, "one writer per line");
_Static_assert(RTPFWD_AT(rtpfwd_rest, second) == 8 + RTPFWD_COPY_OFFSET(RTPFWD_SECOND), "second");
_Static_assert(RTPFWD_AT(rtpfwd_rest, third) == 8 + RTPFWD_COPY_OFFSET(RTPFWD_THIRD), "third");
_Static_assert(RTPFWD_AT(rtpfwd_rest, wide[1]) ==
		       RTPFWD_AT(rtpfwd_rest, wide) + RTPFWD_COPY_OFFSET(RTPFWD_SECOND),
	       "wide");
_Static_assert(RTPFWD_AT(rtpfwd_rest, extra) == 384, "extra");
_Static_assert(RTPFWD_AT(rtpfwd_rest, extra[1]) ==
		       RTPFWD_AT(rtpfwd_rest, extra) + RTPFWD_COPY_OFFSET(RTPFWD_SECOND) / 2,
	       "extra");
_Static_assert(RTPFWD_AT(rtpfwd_rest, path[1]) ==
		       RTPFWD_AT(rtpfwd_rest, path) + RTPFWD_COPY_OFFSET(RTPFWD_SECOND) / 8,
	       "path");
_Static_assert(sizeof(struct rtpfwd_address) == 16, "address");
_Static_assert(sizeof(struct rtpfwd_address6) == 32, "address6");
_Static_assert(RTPFWD_AT(rtpfwd_control, lease_until) == 64, "lease on its own line");
_Static_assert(sizeof(struct rtpfwd_control) ==
		       128 + 12 * RTPFWD_MAX_LINKS + (48 << RTPFWD_HASH_BITS),
	       "control");
_Static_assert(RTPFWD_R_END <= RTPFWD_MAX_REASONS, "reasons");

#endif
