/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of our own that belong to no dialog: REGISTER with others, OPTIONS to see who is there.
 */
#ifndef RTPFWD_SIP_ASK_H
#define RTPFWD_SIP_ASK_H

#include "sip/sip.h"

struct sip_ask;

/* All texts are copied. */
struct sip_question {
	const char *method; /* "OPTIONS" or "REGISTER" */
	const struct conf_realm *realm;
	enum conf_transport transport;
	unsigned int
		bind; /* which socket, as in sip_registration, and 1 added; 0: the realm's first */
	struct addr to;
	const char *uri;	       /* request URI */
	const char *from_uri, *to_uri; /* from_uri NULL: `contact_user` at our own address */
	const char *contact_user;      /* of a Contact at our own address; NULL: none */
	int64_t expires_s;	       /* -1: no such header */
	const char *call_id;	       /* NULL: a new one */
	uint32_t cseq;		       /* the last that was used with `call_id` */
	const char *user, *secret;     /* what a challenge is answered with; NULL: it is not */
};

struct sip_answer {
	int code; /* 200 to 699; 408: none came; 503: cannot be reached */
	const char *reason;
	bool lost;				   /* there was no answer: `code` is ours */
	unsigned int retry_after_s, min_expires_s; /* 0: none */
	int64_t expires_s; /* of our Contact, or of the whole; -1: not said */
	uint32_t cseq;	   /* the last that was used */
};

/* Sends it; `done` is called once, never before this returns. 0 or -errno: nothing was sent. */
int sip_ask(struct sip_ask **out, struct sip *sip, const struct sip_question *question,
	    void (*done)(void *owner, const struct sip_answer *answer), void *owner);
/* The owner wants to hear no more, and nothing of it is sent any more. After `done` the pointer is
 * dead. NULL-safe. */
void sip_ask_drop(struct sip_ask *ask);

#endif
