/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SRTP and SRTCP (RFC 3711) in the userspace relay, by libsrtp2. Sessions are made when the first
 * packet of a slot wants them, and are gone soon after its keys are. */
#ifndef RTPFWD_DATAPATH_USER_SRTP_H
#define RTPFWD_DATAPATH_USER_SRTP_H

#include "datapath/ciphers.h"
#include "datapath/crypts.h"

struct srtp_ctx_t_; /* libsrtp2's */
struct srtp_policy_t;

#define USER_LONGEST 65536

struct user_sender {
	uint32_t ssrc;
	uint64_t next; /* its newest index plus one; 0: none so far */
};

struct user_way {
	struct srtp_ctx_t_ *session; /* NULL: none */
	uint32_t generation; /* of its key */
	struct user_sender senders[SENDERS_MAX]; /* which the session knows */
	unsigned int n;
};

struct user_session {
	uint32_t slot;
	uint32_t generation; /* of the slot's keys, as read */
	struct user_way in, former, out;
	struct user_session *next;
};

struct user_srtp {
	struct ciphers ciphers;
	struct crypt_keys *keys; /* mapped; by slot */
	uint32_t slots;
	struct user_session **sessions; /* by slot; NULL: this relay has no keys at all */
	int tell;   /* by which it may be given their map yet; -1: never */
	int failed; /* -errno: the map that it was given cannot be used */
	struct user_session *all;
	uint8_t *copy; /* of a packet that is tried under two keys: USER_LONGEST bytes */
};

/* 0, -ENOMEM, or -EIO: libsrtp2 does not work here. */
int user_srtp_open(struct user_srtp *srtp, struct crypt_keys *keys, uint32_t slots);
/* The same with the map that `fd` names. */
int user_srtp_map(struct user_srtp *srtp, int fd, uint32_t slots);
/* Without one, so that nothing decrypts, until the daemon sends it by `tell`
 * (user_give_crypts()). */
void user_srtp_await(struct user_srtp *srtp, int tell, uint32_t slots);
/* It may have. Looked at, too, when a packet asks for keys. May set `failed`. */
void user_srtp_take(struct user_srtp *srtp);
void user_srtp_close(struct user_srtp *srtp);

/* In place, RTP or RTCP; `ns`: CLOCK_MONOTONIC. The new length, or the module's error numbers
 * (bpf/crypt.h). -ENOSPC: `room` bytes behind the packet are too few, and it is as it was. */
int user_srtp_protect(struct user_srtp *srtp, uint32_t slot, uint8_t *packet, uint32_t length,
		      uint32_t room);
int user_srtp_unprotect(struct user_srtp *srtp, uint32_t slot, uint8_t *packet, uint32_t length,
			uint64_t ns);
/* What of libsrtp2 a suite is; it refers to the key of `crypt`. 0 or -ENOKEY. */
int user_srtp_policy(struct srtp_policy_t *policy, const struct flow_crypt *crypt, uint32_t ssrc);
/* Frees what belongs to keys that are not there any more. Now and then. */
void user_srtp_sweep(struct user_srtp *srtp);

#endif
