/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SIP stack of the node: sockets, parsing, transactions (RFC 3261 17, 6026), and the requests
 * that belong to no dialog. libosip2 is seen nowhere outside controller/sip/. Dialogs are legs:
 * sip/leg.h.
 */
#ifndef RTPFWD_SIP_SIP_H
#define RTPFWD_SIP_SIP_H

#include "conf/conf.h"
#include "lib/buf.h"
#include "lib/loop.h"

struct sip;
struct sip_msg;
struct leg;
struct relay;

/* A request outside any dialog, as its handler sees it. All texts live only during the call. */
struct sip_request {
	const char *method;		/* "INVITE", "OPTIONS", ... */
	const struct conf_realm *realm; /* where it came in */
	enum conf_transport transport;	/* by which it came */
	struct addr source;		/* of the packet */
	/* The same for telling peers apart: without the port, of a connection that the far end
	 * opened from just any. */
	struct addr asker;
	const char
		*number; /* user part of the request URI, unescaped, without parameters; "" none */
	const char *from_user;	       /* of From; "" none */
	const char *from_display;      /* without quotes; "" none */
	const char *from_uri, *to_uri; /* whole, without < > */
	const char *to_user;
	const char *call_id;
	const char *user_agent;	   /* "" none */
	unsigned int max_forwards; /* as received; 70 where the header is missing */
	uint32_t way; /* tells loops apart from calls that come by twice; for leg_target */
	/* Whose far end has the dialog that is replaced (RFC 3891); NULL: none of ours. */
	struct leg *replaces;
	struct slice sdp;	   /* body of type application/sdp; p NULL: no offer */
	const void *caller;	   /* what the verdict said */
	const struct sip_msg *msg; /* for sip_authenticate() */
};

/* What is done with a request outside a dialog. */
struct sip_verdict {
	int code;		    /* 0: go on; else answer with this */
	const char *reason;	    /* reason phrase; NULL: the standard one */
	const char *label;	    /* of rtpfwd_sip_rejected_total{reason}, e.g. "unknown_peer" */
	unsigned int retry_after_s; /* 0: no such header */
	bool force_rport;	    /* answer to the packet's source whatever Via says */
	struct conf_session session; /* session timers with its leg */
	bool grows;		    /* what is too large for UDP may be sent to it over TCP */
	bool silent;		    /* no answer: it is counted and forgotten */
	bool challenge;		    /* code 401: ask for credentials */
	bool stale;		    /* those that came were right but for their age */
	unsigned int digest;	    /* by which algorithms: enum conf_digest */
	const void *caller; /* for the handlers that come after; the stack does not look at it */
};

/* Did a request prove that it is of `user`? */
enum sip_auth {
	SIP_AUTH_OK,
	SIP_AUTH_NONE,	/* it did not try */
	SIP_AUTH_STALE, /* by a nonce that is too old, not ours, or used before */
	SIP_AUTH_WRONG,
};

/* `secret` NULL: there is no such user; it is SIP_AUTH_WRONG then in as much time as a wrong
 * secret. `digest`: which algorithms will do, enum conf_digest. */
enum sip_auth sip_authenticate(const struct sip_request *request, const char *user,
			       const char *secret, unsigned int digest);

enum { SIP_CONTACTS_MAX = 10, SIP_CONTACT_MAX = 512 };

struct sip_contact {
	const char *uri;   /* without < > */
	struct addr addr;  /* where its host is an address; port 5060 where it has none */
	int64_t expires_s; /* -1: not said */
};

/* A REGISTER (RFC 3261 10.3) that was admitted. */
struct sip_registration {
	const struct sip_request *request;
	unsigned int bind; /* the socket it came in by, for sip_keepalive() and leg_target.bind */
	uint32_t cseq;
	bool all; /* Contact: * with Expires: 0 */
	struct sip_contact contacts[SIP_CONTACTS_MAX];
	size_t n; /* 0 and not all: it only asks */
};

struct sip_registered {
	int code;
	const char *reason;			       /* NULL: the standard one */
	unsigned int min_expires_s;		       /* of a 423 */
	struct sip_contact contacts[SIP_CONTACTS_MAX]; /* of a 200: what is bound now */
	size_t n;
};

struct sip_handlers {
	/* May this source ask anything of us? Called for each request outside a dialog but ACK and
	 * CANCEL, before state is made. */
	void (*admit)(void *ctx, const struct sip_request *request, struct sip_verdict *verdict);
	/* A new INVITE; 100 was sent. The handler takes the leg (leg_take()) or refuses it
	 * (leg_refuse() then leg_free()). */
	void (*invite)(void *ctx, struct leg *leg, const struct sip_request *request);
	/* A request that is passed on, of those of sip/relay.h: to be sent on or refused in here.
	 * NULL: 405. */
	void (*request)(void *ctx, struct relay *relay, const struct sip_request *request);
	/* A REGISTER. NULL: there is no registrar here (405). */
	void (*registration)(void *ctx, const struct sip_registration *registration,
			     struct sip_registered *out);
	void *ctx;
};

/* Binds every realm's addresses. `why` receives the address that could not be bound. Takes a
 * reference on `conf`. */
int sip_new(struct sip **out, struct conf *conf, struct loop *loop,
	    const struct sip_handlers *handlers, char *why, size_t why_size);
/* Closes sockets and frees everything; nothing is sent. */
void sip_free(struct sip *sip);

/* Timers of RFC 3261 17.1.1.1 in milliseconds. */
enum { SIP_T1_MS = 500, SIP_T2_MS = 4000, SIP_T4_MS = 5000 };

/* A datagram that means nothing and keeps a NAT's binding open (RFC 5626 3.5.1). */
void sip_keepalive(const struct sip *sip, unsigned int bind, const struct addr *to);

/* The standard reason phrase of a status code. */
const char *sip_reason(int code);

/* Snapshot for metrics: `each` is called per counter with its labels ("" where it has none). */
enum sip_counter {
	SIP_REQUESTS,	 /* method, direction (in, out) */
	SIP_RESPONSES,	 /* method, code, direction */
	SIP_RETRANSMITS, /* sent again by us */
	SIP_MALFORMED,	 /* datagrams that could not be parsed */
	SIP_REJECTED,	 /* reason (label of the verdict) */
	SIP_CONNECTIONS, /* transport; how many there are */
	SIP_TURNED_AWAY, /* connections beyond a limit */
};

void sip_report(const struct sip *sip,
		void (*each)(void *ctx, enum sip_counter counter, const char *method, int code,
			     const char *label, uint64_t value),
		void *ctx);
/* How many transactions and legs live, for tests and status: both are 0 some time after the last
 * call. */
void sip_live(const struct sip *sip, size_t *transactions, size_t *legs);

#endif
