/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: what passes through the node from one dialog to another. One table
 * says which headers do; all else of a message is our own (RFC 7092: we are a user agent to either
 * side). What passes is copied out of a message when it comes and written into the next one of the
 * other side.
 */
#ifndef RTPFWD_SIP_PASS_H
#define RTPFWD_SIP_PASS_H

#include "sip/msg.h"

enum {
	PASS_MAX = 16384,     /* bytes of headers that pass in one message */
	PASS_LINES_MAX = 128, /* their number */
};

/* Counted: an INVITE's goes to each target that is tried. */
struct sip_pass {
	unsigned int refs;
	char *headers; /* whole lines */
	char *content; /* the Content-* lines of the body that passes; NULL: none does */
	char *before;  /* of the body: what stands in front of the description, or all of it */
	char *after;   /* what follows the description */
	size_t before_len, after_len;
	bool around; /* a description belongs between */
};

/* Does that much pass? A request with more is refused (513), a response goes on without. */
bool sip_pass_fits(const struct sip_msg *m);
/* What passes of a message; NULL: nothing, or no memory for it. The body passes where it is not a
 * description, or more than one; of an INVITE only where it has several parts. */
struct sip_pass *sip_pass_of(const struct sip_msg *m);
struct sip_pass *sip_pass_ref(struct sip_pass *p); /* NULL-safe */
void sip_pass_drop(struct sip_pass **p);
/* Takes the identities off that only a trusted side may tell or hear (RFC 3325). */
void sip_pass_strip(struct sip_pass **p);

/* Who the message says is there, in the headers of those identities and with its wish for privacy,
 * as a number to compare; 0: it says nothing. */
uint64_t sip_pass_who(const struct sip_msg *m);
/* Does it say that? NULL-safe. */
bool sip_pass_says_who(const struct sip_pass *p);

/* The header lines. NULL-safe. */
void sip_pass_headers(struct buf *out, const struct sip_pass *p);
/* The end of a message of ours, with the description in its place among the parts. `p` may be NULL.
 */
void sip_pass_body(struct buf *out, const struct sip_pass *p, struct slice sdp);

/* An option of Require that means what the far ends do, not us: it passes (RFC 3261 20.32). */
bool sip_pass_option(struct slice option);
/* The options of all Require headers that do not pass, as a list; "" none. False: no memory. */
bool sip_pass_unknown(struct buf *out, const struct sip_msg *m);

#endif
