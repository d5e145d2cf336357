/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: client transactions (RFC 3261 17.1, RFC 6026). The owner hears of
 * responses up to the first final one; ACKs to what comes again, and forked 2xx that nobody wants,
 * are dealt with here. Each frees itself.
 */
#ifndef RTPFWD_SIP_CLIENT_H
#define RTPFWD_SIP_CLIENT_H

#include "sip/conn.h"
#include "sip/dialog.h"

enum sip_client_state {
	CLIENT_CALLING, /* "trying" of what is no INVITE */
	CLIENT_PROCEEDING,
	CLIENT_COMPLETED,
	CLIENT_ACCEPTED, /* 2xx to an INVITE: it may come again, also from other branches of a fork
			  */
};

struct sip_client;

/* Both are called at most once for a final outcome, after which the owner forgets the transaction.
 */
struct sip_client_events {
	void (*response)(void *owner, struct sip_client *c, const struct sip_msg *m);
	/* A challenge is answered by a new transaction: the number it gets, and the pointer that
	 * takes the place of the old one. Both NULL: challenges are refusals. */
	uint32_t (*next_cseq)(void *owner);
	void (*again)(void *owner, struct sip_client *c);
	void (*lost)(void *owner, int code); /* 408: no final response; 503: cannot be reached */
};

struct sip_client {
	const struct sip_bind *bind;
	const struct sip_bind
		*small; /* UDP, which it is sent by should TCP be refused; NULL: not */
	struct addr to;
	struct sip_wait wait; /* for the end of the connection it went over */
	struct sip_key key;
	enum sip_method method;
	enum sip_client_state state;
	const struct sip_client_events *events;
	void *owner; /* NULL: nobody */
	const struct sip_bind *large; /* for what is too large for UDP; NULL: none */
	const char *user, *secret; /* the owner's, for challenges; NULL: none */
	unsigned int challenges;   /* answered before this one, for the same job */
	char *credentials; /* header lines that an ACK to the 2xx repeats (RFC 3261 22.1); NULL */
	char branch[SIP_BRANCH_LEN + 1];
	char *request; /* to be sent again, and what ACK and CANCEL are made of; NULL after a 2xx */
	size_t request_len;
	char *ack; /* to the 2xx with `ack_tag` */
	size_t ack_len;
	char *ack_tag;
	const struct sip_bind *ack_bind;
	struct addr ack_to;
	unsigned int forks;   /* unwanted 2xx that were ended */
	bool cancel;	      /* wanted */
	struct sip_pass *why; /* what its CANCEL says of the other side's */
	bool cancelled;	      /* sent */
	unsigned int interval_ms;
	uint64_t over_at_ms;
	struct timer timer;
	UT_hash_handle hh;
};

/* Sends sip->out, which was built with `branch`. 0 or -errno: nothing was sent. */
int sip_client_new(struct sip_client **out, const struct sip_bind *bind, const struct addr *to,
		   enum sip_method method, const char *branch);
/* `large`: the bind for requests that are too large for UDP; NULL: none. */
int sip_client_new_by(struct sip_client **out, const struct sip_bind *bind,
		      const struct sip_bind *large, const struct addr *to, enum sip_method method,
		      const char *branch);
/* The same in a dialog, which knows its bind, and whether a large request goes over TCP. */
int sip_client_new_in(struct sip_client **out, const struct sip_dialog *d, const struct addr *to,
		      enum sip_method method, const char *branch);
/* Who hears of it; may be left out. */
void sip_client_own(struct sip_client *c, const struct sip_client_events *events, void *owner);
/* The ACK to this 2xx comes later, by sip_client_ack(): until then the 2xx may come again and
 * nothing is sent. The owner is kept: `lost` with 408 where there is still no ACK when the far end
 * gave up. */
void sip_client_hold_ack(struct sip_client *c, const struct sip_msg *m,
			 const struct sip_client_events *events, void *owner);
/* What a 401 or 407 is answered with, as long as there is an owner, whose texts they are. */
void sip_client_login(struct sip_client *c, const char *user, const char *secret);
/* CANCEL, once a provisional response came (9.1). */
void sip_client_cancel(struct sip_client *c);
/* What passes into that CANCEL: of `pass` the Reason. */
void sip_client_why(struct sip_client *c, struct sip_pass *pass);
/* Sends sip->out as the ACK to this 2xx, and again whenever the 2xx is. */
void sip_client_ack(struct sip_client *c, const char *tag, const struct sip_bind *bind,
		    const struct addr *to);
void sip_client_free(struct sip_client *c);

/* again.c: answers a challenge. True: the owner has another transaction in place of this one. */
bool sip_client_again(struct sip_client *c, const struct sip_msg *m);

/* The request that was refused goes out once more for `owner`, with these header lines in place of
 * those of the same names. False: it cannot. */
bool sip_client_repeat(struct sip_client *c, void *owner, const char *lines);

/* A response came. False: to no transaction of ours. */
bool sip_client_receive(const struct sip_msg *m);

#endif
