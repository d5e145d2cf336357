/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: server transactions (RFC 3261 17.2, RFC 6026). An INVITE's has its leg
 * until the final response was given, lives on alone for what comes again, and frees itself when
 * its last timer ends.
 */
#ifndef RTPFWD_SIP_SERVER_H
#define RTPFWD_SIP_SERVER_H

#include "sip/reply.h"

enum sip_server_state {
	SERVER_PROCEEDING,
	SERVER_COMPLETED, /* final response sent: of 300 to 699, or to what is no INVITE */
	SERVER_CONFIRMED, /* its ACK came */
	SERVER_ACCEPTED,  /* 2xx to an INVITE sent: copies of the INVITE are absorbed, 2xx and ACK
			     are the leg's */
};

struct sip_server {
	const struct sip_bind *bind;
	struct addr to, fallback; /* of sip_send_back() */
	struct sip_key key, merge;
	enum sip_method method;
	enum sip_server_state state;
	uint32_t cseq;
	bool force_rport;
	char tag[SIP_TAG_LEN + 1]; /* ours, of the To header */
	struct leg *leg;	   /* NULL after the final response */
	char *head;		   /* echoed headers, until the final response */
	char *record_routes;
	struct sip_pass *pass; /* an INVITE's, for the other side */
	char *sent; /* the last response, as long as it may have to be sent again */
	size_t sent_len;
	unsigned int interval_ms;
	uint64_t over_at_ms;
	struct timer timer;
	UT_hash_handle hh, hh_merge;
};

/* 2,000 calls/s keep 130,000 of them alive. Beyond this new INVITEs get a stateless 503, and what
 * is no INVITE is answered without being remembered: a flood costs no more memory than that. */
enum { SIP_SERVERS_MAX = 300000 };

bool sip_server_full(const struct sip *sip);

/* Does the top Via tell the transaction, as RFC 3261 has it? Not of an RFC 2543 far end. */
bool sip_server_by_branch(const struct sip_msg *m);
/* The transaction to which a request belongs (17.2.3); `method`: the class to look in, INVITE for
 * an ACK. NULL: none. */
struct sip_server *sip_server_find(const struct sip_msg *m, enum sip_method method);
/* Is there another transaction of the same request, that came by another way (8.2.2.2)? */
bool sip_server_merged(const struct sip_msg *m);

/* An INVITE's transaction. `tag`: ours. NULL: no memory. */
struct sip_server *sip_server_new(const struct sip_msg *m, struct leg *leg, const char *tag,
				  bool force_rport);
/* Sends a response; a final one takes the leg off. The bytes are in sip->out until something else
 * is built. */
int sip_server_reply(struct sip_server *s, const struct sip_reply *reply);
/* The last provisional or final response once more. */
void sip_server_resend(struct sip_server *s);

/* Answers what is no INVITE, and remembers the answer for as long as the request may come again. */
void sip_server_answer(const struct sip_msg *m, const char *tag, bool force_rport,
		       const struct sip_reply *reply);

/* The same request came again. */
void sip_server_again(struct sip_server *s);
/* An ACK that matches. False: it is not this transaction's, but the dialog's. */
bool sip_server_acked(struct sip_server *s);

void sip_server_free(struct sip_server *s);

#endif
