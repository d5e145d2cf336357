/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the stack itself, its sockets, its tables and its source of secrets.
 */
#ifndef RTPFWD_SIP_STACK_H
#define RTPFWD_SIP_STACK_H

#include "lib/log.h"
#include "sip/msg.h"
#include "sip/overload.h"
#include "sip/sip.h"
#include "sip/stats.h"

/* A table that cannot grow leaves `hh.tbl` NULL in what was to be added: the message is then lost,
 * the daemon is not. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct sip_server;
struct sip_client;
struct sip_inbox;
struct sip_end;
struct leg_target;
struct relay;
struct sip_streams;
struct sip_tls;
struct sip_wait;
struct sip_guard;

/* The keyed hash of what identifies a transaction or dialog: far ends choose their branches and
 * Call-IDs, so that a hash which they can foresee would let them pile everything into one bucket.
 */
struct sip_key {
	uint64_t hi, lo;
};

/* SipHash-2-4 over texts, 128 bits out. */
struct sip_hash {
	uint64_t v[4];
	uint64_t word;
	size_t len;
};

void sip_hash_start(struct sip_hash *h, const struct sip *sip);
void sip_hash_bytes(struct sip_hash *h, const char *bytes, size_t len);
void sip_hash_text(struct sip_hash *h,
		   const char *text); /* with its NUL, so that "a","bc" is not "ab","c" */
struct sip_key sip_hash_end(struct sip_hash *h);

#define SIP_KEY_FIND(hh, head, k, out)                                                             \
	HASH_FIND_BYHASHVALUE(hh, head, k, sizeof(*(k)), (unsigned int)(k)->lo, out)
#define SIP_KEY_ADD(hh, head, field, x)                                                            \
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, &(x)->field, sizeof((x)->field),                     \
				    (unsigned int)(x)->field.lo, x)

/* Milliseconds. Those of RFC 3261 17 but in tests, which cannot wait for them. */
struct sip_timing {
	unsigned int t1, t2, t4;
	unsigned int d;	       /* wait for a final response's retransmissions, 17.1.1.2 */
	unsigned int c;	       /* proceeding INVITE, 16.6 (11) */
	unsigned int progress; /* provisional responses again, 13.3.1.1 */
	unsigned int glare;    /* unit of the wait after a 491, 14.1 */
	unsigned int second;   /* of Retry-After and session intervals */
};

/* What connections may cost. */
struct sip_limits {
	unsigned int connect_ms; /* until a connection that we open stands, TLS included */
	unsigned int message_ms; /* from the first byte of a message to its last; until the first
				  * message of a connection that we accept */
	unsigned int idle_ms;	 /* without a byte */
	unsigned int linger_ms;	 /* for the far end to read our last words */
	unsigned int per_source; /* accepted from one address, or IPv6 /64 */
	unsigned int unproven;	 /* accepted and without a whole message */
	unsigned int total;
	size_t output; /* bytes waiting in one connection */
	size_t pause;  /* of these, after which no more is read from it */
};

/* Why a message on a stream has no end that we could find, and how it is refused. */
struct sip_unframed {
	int code;
	const char *reason;
};

/* One socket: of TCP and TLS one that listens, with the connections accepted by it or opened from
 * its address. Who came in by it is answered from it, and nothing of one realm ever leaves by
 * another's. */
struct sip_bind {
	struct sip *sip;
	const struct conf_realm *realm;
	unsigned int index;
	enum conf_transport transport;
	struct addr local;
	/* What is written into Contact, Via and From: advertised or local, IPv6 in brackets. */
	char host[ADDR_TEXT];
	char hostport[ADDR_TEXT];
	const char *via;     /* "SIP/2.0/TCP " */
	const char *params;  /* ";transport=tcp" of the URI in Contact; "" UDP */
	struct sip_tls *tls; /* NULL: not TLS */
	int fd;
	struct watch watch;
	struct sip_overload overload; /* of the datagrams that wait in `fd` */
};

/* Length of our tags without the NUL: 64 random bits. */
enum { SIP_TAG_LEN = 16, SIP_CALL_ID_LEN = 32 };
/* Room for the header lines of a session timer (RFC 4028). */
enum { LEG_SESSION_LINES = 96 };
/* "z9hG4bK", 64 random bits and a 32-bit code by which we know our own again. */
enum { SIP_BRANCH_LEN = 7 + 16 + 8 + 8 };

struct sip {
	struct conf *conf;
	struct loop *loop;
	struct sip_handlers handlers;
	struct sip_timing timing;
	struct sip_bind *binds;
	size_t n_binds;
	struct sip_inbox *inbox;
	struct sip_streams *streams;
	struct sip_limits limits;
	struct sip_server *servers; /* by transaction key */
	struct sip_server *merges; /* INVITEs outside dialogs by Call-ID, From tag, CSeq: 8.2.2.2 */
	struct sip_client *clients;
	struct leg *legs;     /* by Call-ID and our tag */
	struct sip_end *ends; /* the same of subscriptions */
	struct relay *relays;
	size_t n_relays;
	const struct sip_msg *now; /* the message being served; NULL: none */
	struct sip_guard *guard;   /* who may ask: auth.h */
	struct sip_ask *asks;	   /* requests of ours outside dialogs: ask.c */
	struct buf out;		   /* the message being built: never across an event */
	struct buf head;	   /* the headers echoed in it */
	struct buf list;	   /* of what is refused in it */
	char session[LEG_SESSION_LINES]; /* of its session timer */
	uint64_t secret[2];
	unsigned char pool[512]; /* random bytes not yet given out */
	size_t pool_left;
	struct sip_stats stats;
	struct log_limit malformed_log;
};

void sip_set_timing(struct sip *sip, const struct sip_timing *timing);

/* 2 * n lower-case hex digits and a NUL. */
void sip_random_hex(struct sip *sip, char *out, size_t n);
unsigned int sip_random_below(struct sip *sip, unsigned int limit);
/* `way`: sip_way_of() the request in whose name ours is sent; 0: in nobody's. */
void sip_branch_new(struct sip *sip, char branch[SIP_BRANCH_LEN + 1], uint32_t way);
/* Another one of the same way. */
void sip_branch_again(struct sip *sip, char branch[SIP_BRANCH_LEN + 1],
		      const char former[SIP_BRANCH_LEN + 1]);
/* Does a Via header carry a branch that we made for that way, or in nobody's name? */
bool sip_branch_seen(const struct sip *sip, const char *via, uint32_t way);

/* Room for one message and a NUL, for whoever reads it off a socket. */
char *sip_inbox_text(struct sip *sip);
/* transport.c. `why` as in sip_new(). */
int sip_transport_open(struct sip *sip, char *why, size_t why_size);
void sip_transport_close(struct sip *sip);
/* The first bind of the realm of that name and family, UDP before TCP before TLS; NULL: none. */
const struct sip_bind *sip_bind_of(const struct sip *sip, const char *realm, sa_family_t family);
/* The same of one transport. */
const struct sip_bind *sip_bind_find(const struct sip *sip, const char *realm, sa_family_t family,
				     enum conf_transport transport);
/* The one by which a target is sent requests: of several that fit, which has a connection with it.
 * NULL: its realm has none. */
const struct sip_bind *sip_bind_to(const struct sip *sip, const struct leg_target *target);
/* RFC 3261 17: does the transport itself see to it that nothing is lost? */
bool sip_bind_reliable(const struct sip_bind *bind);
/* Is there a connection with `peer`, or about to be? Never over UDP. */
bool sip_bind_connected(const struct sip_bind *bind, const struct addr *peer);
/* `asker` of a sip_request. */
struct addr sip_bind_asker(const struct sip_bind *bind, const struct addr *source);
/* Over UDP a datagram; else over the connection with `to`, or over a new one. 0, also where a
 * datagram was lost for want of room; -errno: `to` cannot be reached. */
int sip_send(const struct sip_bind *bind, const struct addr *to, const char *bytes, size_t len);
/* A response: over the connection with `to`, if it is gone over one with `fallback`, RFC 3261
 * 18.2.2. */
int sip_send_back(const struct sip_bind *bind, const struct addr *to, const struct addr *fallback,
		  const char *bytes, size_t len);
/* A request: `wait` (sip/conn.h) hears when its connection ends. */
int sip_send_waiting(const struct sip_bind *bind, const struct addr *to, const char *bytes,
		     size_t len, struct sip_wait *wait);

/* ua.c: one message; `text` may be written to and has room for a NUL at `len`. `queue`: of the
 * socket by which it came. */
void sip_receive(const struct sip_bind *bind, const struct sip_overload *queue,
		 const struct addr *source, char *text, size_t len);
/* A message whose end nobody can tell, as far as its headers: refused if it can be. */
void sip_receive_endless(const struct sip_bind *bind, const struct addr *source, char *text,
			 size_t len, const struct sip_unframed *why);

/* leg.c, for sip_free(): every leg goes without a word to anybody. */
void sip_legs_free(struct sip *sip);

#endif
