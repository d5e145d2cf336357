/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control ABI of rtpfwd.ko: a generic netlink family through which SRTP contexts are added,
 * changed, deleted and listed. A context is one direction of one stream: the keys in force and,
 * for each sender (SSRC), rollover and replay state of its RTP and RTCP. Keys go in, never out.
 *
 * Every command needs CAP_NET_ADMIN over the network namespace of its socket, and reaches the
 * contexts of that namespace alone. A context dies with the socket that added it unless pinned.
 */
#ifndef RTPFWD_NL_H
#define RTPFWD_NL_H

#define RTPFWD_NL_FAMILY  "rtpfwd"
#define RTPFWD_NL_VERSION 1

#define RTPFWD_MAX_CONTEXTS (1 << 18)   /* in one namespace */
#define RTPFWD_MAX_STREAMS  32		/* senders under one key */
#define RTPFWD_MAX_OVERLAP  600000	/* ms */
#define RTPFWD_MAX_PACKET   65507
#define RTPFWD_MAX_GROWTH   20 /* bytes that SRTCP adds at most */

enum rtpfwd_command {
	RTPFWD_CMD_UNSPEC,
	/* direction, suite, key, salt [cookie, pinned, overlap, stream...]; answered with the id */
	RTPFWD_CMD_ADD,
	/*
	 * id [suite, key, salt [keep_rollover]] [cookie, pinned, overlap]; the key and salt that
	 * are in force change nothing of what was sent and heard
	 */
	RTPFWD_CMD_CHANGE,
	RTPFWD_CMD_DELETE, /* id */
	RTPFWD_CMD_GET,	   /* id, or a dump of all: everything but keys and salts */
	/*
	 * id, direction, packet; answered with the packet as it is to be sent on, or refused with
	 * the errors of rtpfwd_kfunc.h. The opener of the socket needs the privilege, not who uses
	 * it: a process that was given such a socket can do this with it, and nothing else.
	 */
	RTPFWD_CMD_PACKET,
	RTPFWD_CMD_END
};

enum rtpfwd_attribute {
	RTPFWD_A_UNSPEC,
	RTPFWD_A_PAD,
	RTPFWD_A_ID,		/* u32, never 0, chosen by the module and not soon used again */
	RTPFWD_A_DIRECTION,	/* u8, enum rtpfwd_direction */
	RTPFWD_A_SUITE,		/* u8, enum rtpfwd_suite */
	RTPFWD_A_KEY,		/* master key: 16 or 32 bytes, as the suite has it */
	RTPFWD_A_SALT,		/* master salt: 14 bytes for AES-CM, 12 for AEAD */
	RTPFWD_A_COOKIE,	/* u64, the owner's own; listed, not interpreted */
	RTPFWD_A_PINNED,	/* u8, 1: outlives its socket; 0: belongs to the one that says so */
	/*
	 * u32, ms for which former keys of a receiver stay valid, counted from the first packet
	 * under the new ones; 10000 unless told
	 */
	RTPFWD_A_OVERLAP,
	RTPFWD_A_KEEP_ROLLOVER, /* flag: new keys of a sender go on with rollover and RTCP index */
	RTPFWD_A_STREAM,	/* nest, repeated: enum rtpfwd_stream_attribute */
	RTPFWD_A_COUNTERS,	/* nest of u64: enum rtpfwd_counter + 1; 0 pads */
	RTPFWD_A_PACKET,	/* UDP payload: 1 to RTPFWD_MAX_PACKET bytes */
	RTPFWD_A_END
};

enum rtpfwd_stream_attribute {
	RTPFWD_S_UNSPEC,
	RTPFWD_S_PAD,
	RTPFWD_S_SSRC,	     /* u32 */
	RTPFWD_S_RTP_INDEX,  /* u64, newest 48-bit index so far: rollover << 16 | sequence number */
	RTPFWD_S_RTCP_INDEX, /* u32, newest 31-bit index so far */
	RTPFWD_S_END
};

enum rtpfwd_direction {
	RTPFWD_PROTECT = 1,
	RTPFWD_UNPROTECT = 2,
};

/* SRTCP of the first two has tags of 80 bits (RFC 4568 6.2); tags of AEAD have 128 (RFC 7714). */
enum rtpfwd_suite {
	RTPFWD_AES_CM_128_HMAC_SHA1_80 = 1,
	RTPFWD_AES_CM_128_HMAC_SHA1_32,
	RTPFWD_AEAD_AES_128_GCM,
	RTPFWD_AEAD_AES_256_GCM,
	RTPFWD_SUITE_END
};

/* What became of packets: name, help. Written once. */
#define RTPFWD_COUNTERS(X)                                                                         \
	X(protected, "RTP packets protected")                                                      \
	X(protected_rtcp, "RTCP packets protected")                                                \
	X(unprotected, "SRTP packets unprotected")                                                 \
	X(unprotected_rtcp, "SRTCP packets unprotected")                                           \
	X(former, "of those, under the former keys")                                               \
	X(auth_failed, "refused: authentication failed")                                           \
	X(replayed, "refused: seen before")                                                        \
	X(stale, "refused: too far behind the newest to tell")                                     \
	X(malformed, "refused: neither RTP nor RTCP, or cut short")                                \
	X(unencrypted, "refused: SRTCP without encryption")                                        \
	X(no_room, "refused: no room behind the packet for what SRTP adds")                        \
	X(exhausted, "refused: all indices of the key are used up")                                \
	X(no_stream, "refused: no further sender is kept for this key")                            \
	X(no_memory, "refused: out of memory, or by the cipher")

enum rtpfwd_counter {
#define RTPFWD_COUNTER_ENUM(name, help) RTPFWD_C_##name,
	RTPFWD_COUNTERS(RTPFWD_COUNTER_ENUM)
#undef RTPFWD_COUNTER_ENUM
	RTPFWD_C_END
};

#endif
