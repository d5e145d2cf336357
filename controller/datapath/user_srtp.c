// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each sender (SSRC) has a stream of its own in the session of a key: libsrtp2 lets the rollover
 * counter of a named stream be set, and not of one that it has made by a template. What is a
 * replay, and what may be sent, is told by our own windows, which lie in the map, and after them by
 * libsrtp2's.
 */
#include "datapath/user_srtp.h"

#include "datapath/kmod.h"
#include "lib/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RTP_HEADER   12
#define RTCP_HEADER  8
#define REPLAY_WINDOW 1024 /* packets */
#define RTCP_WINDOW   128  /* libsrtp2's own, of SRTCP */

struct sender {
	uint32_t ssrc;
	uint16_t seq; /* RTP's */
	bool rtcp;
};

int user_srtp_open(struct user_srtp *srtp, struct crypt_keys *keys, uint32_t slots)
{
	*srtp = (struct user_srtp){ .keys = keys, .slots = slots, .tell = -1 };
	if (ciphers_open(&srtp->ciphers))
		return -EIO;
	srtp->sessions = calloc(slots, sizeof(struct user_session *));
	srtp->copy = aligned_alloc(4, USER_LONGEST);
	return srtp->sessions && srtp->copy ? 0 : -ENOMEM;
}

int user_srtp_map(struct user_srtp *srtp, int fd, uint32_t slots)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = slots * sizeof(struct crypt_keys);
	void *memory = mmap(NULL, (size + page - 1) / page * page, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? -errno : user_srtp_open(srtp, memory, slots);
}

void user_srtp_await(struct user_srtp *srtp, int tell, uint32_t slots)
{
	*srtp = (struct user_srtp){ .tell = tell, .slots = slots };
}

/* The descriptor; -EAGAIN: not so far; -EPIPE: never; -EBADMSG: it was lost on its way here. */
static int receive_map(int tell)
{
	uint8_t control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = { (char[]){ 0 }, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(tell, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	int fd;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (got <= 0)
		return -EPIPE;
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

void user_srtp_take(struct user_srtp *srtp)
{
	int fd = receive_map(srtp->tell), err = fd;

	if (fd == -EAGAIN)
		return;
	srtp->tell = -1;
	if (fd == -EPIPE)
		return;
	if (fd >= 0) {
		err = user_srtp_map(srtp, fd, srtp->slots);
		close(fd);
	}
	if (err)
		log_error("the userspace relay cannot use keys, and makes way for another: %s",
			  strerror(-err));
	srtp->failed = err;
}

static void end_way(struct user_way *way)
{
	if (way->session)
		srtp_dealloc(way->session); /* wipes its keys */
	*way = (struct user_way){ 0 };
}

static void end_session(struct user_session *s)
{
	end_way(&s->in);
	end_way(&s->former);
	end_way(&s->out);
	free(s);
}

void user_srtp_close(struct user_srtp *srtp)
{
	struct user_session *s, *next;

	for (s = srtp->all; s; s = next) {
		next = s->next;
		end_session(s);
	}
	free(srtp->sessions);
	free(srtp->copy);
	ciphers_close(&srtp->ciphers);
	*srtp = (struct user_srtp){ 0 };
}

/* RFC 4568 6.2: SRTCP of the short tag has the long one. */
int user_srtp_policy(srtp_policy_t *policy, const struct flow_crypt *crypt, uint32_t ssrc)
{
	static void (*const set[RTPFWD_SUITE_END][2])(srtp_crypto_policy_t *) = {
		[RTPFWD_AES_CM_128_HMAC_SHA1_80] = { srtp_crypto_policy_set_rtp_default,
						     srtp_crypto_policy_set_rtcp_default },
		[RTPFWD_AES_CM_128_HMAC_SHA1_32] = { srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
						     srtp_crypto_policy_set_rtcp_default },
		[RTPFWD_AEAD_AES_128_GCM] = { srtp_crypto_policy_set_aes_gcm_128_16_auth,
					      srtp_crypto_policy_set_aes_gcm_128_16_auth },
		[RTPFWD_AEAD_AES_256_GCM] = { srtp_crypto_policy_set_aes_gcm_256_16_auth,
					      srtp_crypto_policy_set_aes_gcm_256_16_auth },
	};

	if (!crypt->suite || crypt->suite >= RTPFWD_SUITE_END)
		return -ENOKEY;
	*policy = (srtp_policy_t){
		.ssrc = { .type = ssrc_specific, .value = ssrc },
		.key = (unsigned char *)crypt->key,
		.window_size = REPLAY_WINDOW,
	};
	set[crypt->suite][0](&policy->rtp);
	set[crypt->suite][1](&policy->rtcp);
	return 0;
}

static int error_of(srtp_err_status_t status)
{
	switch (status) {
	case srtp_err_status_ok:
		return 0;
	case srtp_err_status_auth_fail:
	case srtp_err_status_no_ctx:
		return -EBADMSG;
	case srtp_err_status_replay_fail:
		return -EEXIST;
	case srtp_err_status_replay_old:
		return -ESTALE;
	case srtp_err_status_bad_param:
	case srtp_err_status_parse_err:
		return -EPROTO;
	default:
		return -ENOMEM;
	}
}

/* The keys of a slot as they are at one moment. False: the daemon writes them just now. */
static bool read_keys(const struct crypt_keys *keys, struct crypt_keys *out)
{
	uint32_t generation = __atomic_load_n(&keys->generation, __ATOMIC_ACQUIRE);

	if (generation & 1)
		return false;
	memcpy(out, keys, offsetof(struct crypt_keys, heard_under));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&keys->generation, __ATOMIC_RELAXED) == generation &&
	       out->generation == generation;
}

/* A way whose key is another one begins anew; the former one of what is heard stays for a while. */
static void follow_keys(struct user_session *s, struct crypt_keys *keys,
			const struct crypt_keys *now)
{
	if (s->in.generation != now->in_generation) {
		end_way(&s->former);
		if (s->in.generation + 1 == now->in_generation)
			s->former = s->in;
		else
			end_way(&s->in);
		s->in = (struct user_way){ .generation = now->in_generation };
	}
	if (s->out.generation != now->out_generation) {
		end_way(&s->out);
		s->out.generation = now->out_generation;
	}
	if (keys->heard_under != now->in_generation)
		memset(&keys->heard, 0, sizeof(keys->heard));
	if (keys->sent_under != now->out_generation)
		memset(&keys->sent, 0, sizeof(keys->sent));
	__atomic_store_n(&keys->heard_under, now->in_generation, __ATOMIC_RELEASE);
	__atomic_store_n(&keys->sent_under, now->out_generation, __ATOMIC_RELEASE);
	s->generation = now->generation;
}

/* The slot's session, and in `now` its keys. */
static struct user_session *session_of(struct user_srtp *srtp, uint32_t slot,
				       struct crypt_keys *now)
{
	struct user_session *s;

	if (srtp->tell >= 0)
		user_srtp_take(srtp);
	if (!srtp->sessions || slot >= srtp->slots || !read_keys(&srtp->keys[slot], now))
		return NULL;
	s = srtp->sessions[slot];
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->slot = slot;
		s->next = srtp->all;
		s->generation = now->generation - 1;
		srtp->sessions[slot] = srtp->all = s;
	}
	if (s->generation != now->generation)
		follow_keys(s, &srtp->keys[slot], now);
	return s;
}

static struct user_sender *known(struct user_way *way, uint32_t ssrc)
{
	for (unsigned int i = 0; i < way->n; i++)
		if (way->senders[i].ssrc == ssrc)
			return &way->senders[i];
	return NULL;
}

/* `next`: what is to be its next index is not below that. */
static int add_sender(struct user_way *way, const struct flow_crypt *crypt, uint32_t ssrc,
		      uint64_t next)
{
	srtp_policy_t policy;
	int err;

	if (way->n == SENDERS_MAX)
		return -EMFILE;
	err = user_srtp_policy(&policy, crypt, ssrc);
	if (err)
		return err;
	if (!way->session)
		err = error_of(srtp_create(&way->session, NULL));
	if (!err)
		err = error_of(srtp_add_stream(way->session, &policy));
	if (!err)
		way->senders[way->n++] = (struct user_sender){ ssrc, next };
	return err;
}

static void remove_sender(struct user_way *way, uint32_t ssrc)
{
	srtp_remove_stream(way->session, htonl(ssrc));
	way->n--; /* it was the last one added */
}

/* -EPROTO: too short to be one. */
static int read_sender(struct sender *out, const uint8_t *packet, uint32_t length)
{
	uint32_t ssrc;

	*out = (struct sender){ .rtcp = length > 1 && packet[1] >= 192 && packet[1] <= 223 };
	if (length < (out->rtcp ? RTCP_HEADER : RTP_HEADER))
		return -EPROTO;
	memcpy(&ssrc, packet + (out->rtcp ? 4 : 8), sizeof(ssrc));
	out->ssrc = ntohl(ssrc);
	out->seq = (uint16_t)(packet[2] << 8 | packet[3]);
	return 0;
}

/*
 * What the next index of a sender is judged by: what the map has of it, or, where others have taken
 * its place there, what this relay knows: then all up to its newest counts as seen. -EMFILE: it may
 * have sent before this relay began, and nobody knows what.
 */
static int recall(struct index_window *out, const struct senders *kept, struct user_way *way,
		  uint32_t ssrc)
{
	const struct index_window *window = senders_find(kept, ssrc);
	const struct user_sender *sender = known(way, ssrc);

	*out = window ? *window : (struct index_window){ 0 };
	if (!window && sender && sender->next)
		index_resume(out, sender->next - 1);
	return window || sender ? 0 : senders_admit(kept, ssrc);
}

/* A packet of `index`, which passed index_check(), has passed. */
static void remember(struct senders *kept, struct user_way *way, uint32_t ssrc,
		     struct index_window *window, uint64_t index)
{
	struct user_sender *sender = known(way, ssrc);

	index_accept(window, index);
	if (sender)
		sender->next = window->next;
	senders_keep(kept, ssrc, window);
}

/* Of SRTCP every packet says its own (RFC 3711 3.4): before the tag, or at the end of an AEAD one
 * (RFC 7714 9.3). */
static uint64_t rtcp_index(const struct flow_crypt *crypt, const uint8_t *packet, uint32_t length)
{
	bool aead = crypt->suite >= RTPFWD_AEAD_AES_128_GCM;
	uint32_t behind = aead ? 4 : 4 + 10, index = 0;

	if (length < RTCP_HEADER + behind)
		return 0;
	memcpy(&index, packet + length - behind, sizeof(index));
	return ntohl(index) & 0x7fffffff;
}

static int unprotect_by(struct user_way *way, const struct flow_crypt *crypt,
			const struct sender *sender, uint64_t index, uint8_t *packet,
			uint32_t length)
{
	bool fresh = !known(way, sender->ssrc);
	int now = (int)length, err = fresh ? add_sender(way, crypt, sender->ssrc, 0) : 0;

	if (err)
		return err;
	if (fresh && !sender->rtcp)
		srtp_set_stream_roc(way->session, sender->ssrc, (uint32_t)(index >> 16));
	err = error_of((sender->rtcp ? srtp_unprotect_rtcp : srtp_unprotect)(way->session, packet,
									      &now));
	if (err && fresh)
		remove_sender(way, sender->ssrc);
	return err ? err : now;
}

/* Under the key in force. */
static int unprotect(struct user_session *s, struct crypt_keys *keys, const struct crypt_keys *now,
		     const struct sender *sender, uint8_t *packet, uint32_t length)
{
	struct index_window window;
	int got = recall(&window, &keys->heard, &s->in, sender->ssrc);
	int64_t index = sender->rtcp ? (int64_t)rtcp_index(&now->in, packet, length)
				     : index_guess(&window, sender->seq);

	if (!got)
		got = index < 0 ? -ESTALE : index_check(&window, (uint64_t)index);
	if (got)
		return got;
	got = unprotect_by(&s->in, &now->in, sender, (uint64_t)index, packet, length);
	if (got >= 0)
		remember(&keys->heard, &s->in, sender->ssrc, &window, (uint64_t)index);
	return got;
}

/* libsrtp2 writes into what it then finds to be false (AEAD): whoever tries twice has a copy. */
int user_srtp_unprotect(struct user_srtp *srtp, uint32_t slot, uint8_t *packet, uint32_t length,
			uint64_t ns)
{
	struct sender sender;
	struct crypt_keys now;
	struct user_session *s = session_of(srtp, slot, &now);
	int err = read_sender(&sender, packet, length);
	bool twice = s && now.former.suite && ns < now.former_until_ns;

	if (!s || err)
		return s ? err : -ENOENT;
	if (twice)
		memcpy(srtp->copy, packet, length);
	err = unprotect(s, &srtp->keys[slot], &now, &sender, packet, length);
	if (err < 0 && twice) {
		int got = unprotect_by(&s->former, &now.former, &sender, sender.seq, srtp->copy,
				       length);

		if (got >= 0)
			memcpy(packet, srtp->copy, (size_t)got);
		err = got >= 0 ? got : err;
	}
	explicit_bzero(&now, sizeof(now));
	return err;
}

/*
 * libsrtp2 cannot be told the index of the next SRTCP packet, but goes on from the newest that it
 * has received, less its window, and keeps that when a stream gets other keys: so it receives one
 * of that index, without encryption or tag. What it then does the next packet shows.
 */
static int set_rtcp_index(struct user_way *way, const struct flow_crypt *crypt, uint32_t ssrc,
			  uint64_t next)
{
	const uint32_t words[] = { htonl(0x80u << 24 | 201 << 16 | 1), htonl(ssrc),
				   htonl((uint32_t)next + RTCP_WINDOW - 2) };
	srtp_policy_t none = { .ssrc = { ssrc_specific, ssrc }, .window_size = REPLAY_WINDOW };
	uint8_t packet[sizeof(words)] __attribute__((aligned(4)));
	srtp_policy_t policy;
	int length = sizeof(packet), err = user_srtp_policy(&policy, crypt, ssrc);

	if (err || next + RTCP_WINDOW > INDEX_RTCP_END)
		return err ? err : -EKEYEXPIRED;
	srtp_crypto_policy_set_null_cipher_hmac_null(&none.rtp);
	srtp_crypto_policy_set_null_cipher_hmac_null(&none.rtcp);
	none.key = policy.key;
	memcpy(packet, words, sizeof(packet));
	err = error_of(srtp_update_stream(way->session, &none));
	if (!err)
		err = error_of(srtp_unprotect_rtcp(way->session, packet, &length));
	return err ? err : error_of(srtp_update_stream(way->session, &policy));
}

/* A sender that this relay has not had so far, where a former one stopped. */
static int begin(struct user_way *way, const struct flow_crypt *crypt, const struct sender *sender,
		 uint64_t next, uint64_t index)
{
	int err = add_sender(way, crypt, sender->ssrc, next);

	if (err || !next)
		return err;
	if (sender->rtcp)
		err = set_rtcp_index(way, crypt, sender->ssrc, next);
	else
		err = error_of(srtp_set_stream_roc(way->session, sender->ssrc,
						   (uint32_t)(index >> 16)));
	if (err)
		remove_sender(way, sender->ssrc);
	return err;
}

/* An index is never used again: it would be the same key stream. */
static int choose(int64_t *index, const struct index_window *window, const struct sender *sender)
{
	*index = sender->rtcp ? (int64_t)window->next : index_guess(window, sender->seq);
	if (*index < 0)
		return -ESTALE;
	return sender->rtcp ? 0 : index_check(window, (uint64_t)*index);
}

static int protect(struct user_session *s, struct crypt_keys *keys, const struct crypt_keys *now,
		   const struct sender *sender, uint8_t *packet, uint32_t length)
{
	struct index_window window;
	int grown = (int)length, err = recall(&window, &keys->sent, &s->out, sender->ssrc);
	int64_t index = 0;

	if (!err)
		err = choose(&index, &window, sender);
	if (!err && !known(&s->out, sender->ssrc))
		err = begin(&s->out, &now->out, sender, window.next, (uint64_t)index);
	if (!err)
		err = error_of((sender->rtcp ? srtp_protect_rtcp
					     : srtp_protect)(s->out.session, packet, &grown));
	if (!err && sender->rtcp) {
		index = (int64_t)rtcp_index(&now->out, packet, (uint32_t)grown);
		err = (uint64_t)index < window.next ? -EEXIST : 0;
	}
	if (err)
		return err;
	remember(&keys->sent, &s->out, sender->ssrc, &window, (uint64_t)index);
	return grown;
}

int user_srtp_protect(struct user_srtp *srtp, uint32_t slot, uint8_t *packet, uint32_t length,
		      uint32_t room)
{
	struct sender sender;
	struct crypt_keys now;
	struct user_session *s = session_of(srtp, slot, &now);
	int err = read_sender(&sender, packet, length);

	if (!s || err)
		return s ? err : -ENOENT;
	err = kmod_overhead(now.out.suite, sender.rtcp) > room ? -ENOSPC : 0;
	if (!err)
		err = protect(s, &srtp->keys[slot], &now, &sender, packet, length);
	explicit_bzero(&now, sizeof(now));
	return err;
}

void user_srtp_sweep(struct user_srtp *srtp)
{
	struct user_session **at = &srtp->all, *s;

	while ((s = *at)) {
		const struct crypt_keys *keys = &srtp->keys[s->slot];

		if (keys->in.suite || keys->out.suite) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		srtp->sessions[s->slot] = NULL;
		end_session(s);
	}
}
