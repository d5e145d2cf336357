/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: what a dialog consists of (RFC 3261 12), and the requests sent in it.
 */
#ifndef RTPFWD_SIP_DIALOG_H
#define RTPFWD_SIP_DIALOG_H

#include "sip/pass.h"
#include "sip/stack.h"

/* Texts are malloc()ed. */
struct sip_dialog {
	const struct sip_bind *bind; /* by which we send: it follows the target's transport */
	char *call_id;
	char *local, *remote;	      /* From and To of our requests, tags included */
	char *local_tag, *remote_tag; /* remote "": none yet, or an RFC 2543 far end */
	char *target;		      /* remote target: request URI */
	char *user, *secret;	      /* what challenges are answered with; NULL: none */
	char **routes;		      /* Route values in order */
	size_t n_routes;
	uint32_t local_cseq, remote_cseq;
	bool remote_cseq_known;
	bool force_rport;
	unsigned int identity;	   /* of conf_identity: what the far end is trusted with */
	bool grows;		   /* requests too large for UDP go over TCP */
	struct addr source;	   /* of the last message from that side that came by `bind` */
	struct sip_refers *refers; /* REFERs that went out; NULL: none */
	struct addr hop; /* the first route's or the target's address where it is an IP literal */
};

/* Max-Forwards of what we originate. */
enum { SIP_HOPS = 70 };

struct sip_outgoing {
	enum sip_method method;
	uint32_t cseq;
	unsigned int max_forwards;
	const char *branch;
	const char *reason;	     /* RFC 3326; NULL: none */
	const struct sip_pass *pass; /* of the other side; NULL: nothing */
	const char *mapped;	     /* header lines; NULL: none */
	const char *lines;	     /* further header lines; NULL: none */
	const char *supported;	     /* option tags of an INVITE; NULL: none */
	struct slice sdp;
};

/* By what a dialog is found: Call-ID and our tag. */
struct sip_key sip_dialog_key(const struct sip_bind *bind, const char *call_id,
			      const char *local_tag);
/* Do identities stay behind between sides that are trusted so? */
bool sip_dialog_strips(unsigned int from, unsigned int to);
void sip_dialog_clear(struct sip_dialog *d);
int sip_dialog_login(struct sip_dialog *d, const char *user, const char *secret);
/* 0 or -ENOMEM/-E2BIG; `reversed`: the order of a response's Record-Route. */
int sip_dialog_set_routes(struct sip_dialog *d, const struct sip_msg *m, bool reversed);
/* The remote target from Contact; without one it stays. 0, -EBADMSG (no SIP URI) or -ENOMEM. */
int sip_dialog_set_target(struct sip_dialog *d, const char *target);
/* The URI in the first Contact, a copy. NULL: none that can be used. */
char *sip_contact_uri(const struct sip_msg *m);
/* The far end's tag and header value as a response gives them. */
int sip_dialog_set_remote(struct sip_dialog *d, const struct sip_msg *response);
/* A message of that side came. */
void sip_dialog_heard(struct sip_dialog *d, const struct sip_msg *m);
/* Where a request in the dialog goes. */
struct addr sip_dialog_hop(const struct sip_dialog *d);

struct leg_target;

/* From, To and request URI of what begins a dialog; its tag must be there. 0 or -ENOMEM. */
int sip_dialog_parties(struct sip_dialog *d, const struct leg_target *target,
		       const struct addr *first_hop);
/* A dialog of its own for a request without a leg, Call-ID and tag new; `d` is overwritten, and to
 * be cleared either way. */
int sip_dialog_begin(struct sip_dialog *d, const struct sip_bind *bind,
		     const struct leg_target *target, const struct addr *first_hop);

void sip_build_request(struct buf *out, const struct sip_dialog *d, const struct sip_outgoing *r);

#endif
