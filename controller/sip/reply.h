/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: responses as text. */
#ifndef RTPFWD_SIP_REPLY_H
#define RTPFWD_SIP_REPLY_H

#include "sip/pass.h"
#include "sip/stack.h"

#define SIP_AGENT "rtpfwd/" RTPFWD_VERSION
#define SIP_ALLOW                                                                                  \
	"INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE, REFER, NOTIFY, "         \
	"SUBSCRIBE, PUBLISH"
#define SIP_SUPPORTED "100rel, timer"

struct sip_reply {
	int code;
	const char *reason;	    /* NULL: the standard one */
	unsigned int retry_after_s; /* 0: none */
	const char *extra_name;	    /* one more header; NULL: none */
	const char *extra_value;
	const char *record_routes; /* whole header lines; NULL: none */
	bool contact;		   /* ours */
	bool capabilities;	   /* Allow and Supported */
	const char *supported;	   /* for that; NULL: all that we know */
	const char *lines;	   /* whole header lines; NULL: none */
	bool accept;		   /* Accept: application/sdp */
	const struct sip_pass *pass; /* of the other side; NULL: nothing */
	struct slice sdp;
};

/* Where a response goes: RFC 3261 18.2.2 and RFC 3581, to the packet's address always, so that no
 * one can have us send responses to somebody else (maddr included); `force_rport`: and to its port.
 */
struct addr sip_reply_to(const struct sip_msg *m, bool force_rport);
/* Where it goes once the connection is gone by which the request came: to the port in Via. */
struct addr sip_reply_fallback(const struct sip_msg *m);

/* The headers that a response takes from its request: Via with received and rport, From, To with
 * `tag` unless it has one (NULL: none added), Call-ID, CSeq, Timestamp. */
void sip_build_head(struct buf *out, const struct sip_msg *m, const char *tag, bool force_rport);
/* The Record-Route header lines of a request. */
void sip_build_record_routes(struct buf *out, const struct sip_msg *m);
void sip_build_reply(struct buf *out, const struct sip_bind *bind, const char *head,
		     const struct sip_reply *reply);
/* Allow and Supported. */
void sip_build_capabilities(struct buf *out, const char *supported);
/* The end of every message of ours: Content-Type, Content-Length, empty line, body. */
void sip_build_body(struct buf *out, struct slice sdp);

/* Answers without keeping anything: the same request gets the same response, To tag included. Never
 * to an ACK. */
void sip_reply_stateless(const struct sip_msg *m, bool force_rport, const struct sip_reply *reply);
/* Is it the To tag of such an answer? Its ACK is nobody's. */
bool sip_tag_is_stateless(struct slice tag);

#endif
