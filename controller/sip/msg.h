/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: a message as received. The datagram is cut into NUL-terminated header
 * lines in place, which are echoed as they came; what they mean is libosip2's to say, what libosip2
 * lets pass is checked here.
 */
#ifndef RTPFWD_SIP_MSG_H
#define RTPFWD_SIP_MSG_H

#include "lib/addr.h"
#include "lib/buf.h"
#include "sip/method.h"
#include "sip/multipart.h"

#include <osipparser2/osip_message.h>
#include <stdbool.h>
#include <stdint.h>

struct sip_bind;
struct sip_overload;

enum {
	SIP_HEADERS_MAX = 256, /* header lines of a message */
	SIP_VIAS_MAX = 70,     /* more hops than Max-Forwards allows */
	SIP_VALUE_MAX = 4096, /* of a header that is kept: From, To, Call-ID, Contact, Record-Route,
				 request URI */
	SIP_ROUTES_MAX = 32,
};

enum sip_header {
	SIP_H_OTHER,
	SIP_H_ALLOW,
	SIP_H_AUTHORIZATION,
	SIP_H_CALL_ID,
	SIP_H_CONTACT,
	SIP_H_CONTENT_ENCODING,
	SIP_H_CONTENT_LENGTH,
	SIP_H_CONTENT_TYPE,
	SIP_H_CSEQ,
	SIP_H_EXPIRES,
	SIP_H_FROM,
	SIP_H_MAX_FORWARDS,
	SIP_H_MIN_SE,
	SIP_H_RACK,
	SIP_H_MIN_EXPIRES,
	SIP_H_PROXY_AUTHENTICATE,
	SIP_H_PROXY_AUTHORIZATION,
	SIP_H_RECORD_ROUTE,
	SIP_H_REPLACES,
	SIP_H_REQUIRE,
	SIP_H_RETRY_AFTER,
	SIP_H_RSEQ,
	SIP_H_SERVER,
	SIP_H_SESSION_EXPIRES,
	SIP_H_SUPPORTED,
	SIP_H_TIMESTAMP,
	SIP_H_TO,
	SIP_H_USER_AGENT,
	SIP_H_VIA,
	SIP_H_WWW_AUTHENTICATE,
	SIP_H_KINDS
};

struct sip_line {
	enum sip_header kind;
	const char *name; /* as written, a token */
	const char *value; /* trimmed, unfolded, NUL-terminated */
};

struct sip_msg {
	const struct sip_bind *bind;
	struct addr source;
	const struct sip_overload *queue; /* of the socket by which it came */
	const char *fault; /* why it is malformed; NULL: it is not */
	bool answerable; /* a request but ACK whose Via, From, To, Call-ID and CSeq can be echoed */
	bool version_known; /* SIP/2.0 */
	bool request;
	enum sip_method method; /* of a response: of its CSeq */
	const char *method_name;
	const char *uri; /* request URI as it came */
	int code;	 /* response */
	const char *reason;
	struct sip_line lines[SIP_HEADERS_MAX];
	size_t n_lines;
	const char *first[SIP_H_KINDS]; /* the first value of each kind; NULL: none */
	size_t n_vias;
	char *top_via;	 /* the first element of the first Via header, a copy; free()d with the
			    message */
	osip_via_t *via; /* the same, parsed */
	osip_from_t *from;
	osip_to_t *to;		       /* NULL: it cannot be parsed */
	const char *branch;	       /* "" none */
	const char *from_tag, *to_tag; /* "" none */
	const char *call_id;
	uint32_t cseq;
	unsigned int max_forwards;
	struct slice body;
	bool body_is_sdp;	    /* it is a description, or has one among its parts */
	bool multipart;
	bool bad_parts;		    /* it cannot be taken apart */
	struct multipart parts;	    /* of a multipart body */
};

/* Fills `m` from a datagram, which is written to and must have room for a NUL at `len`. 0 or
 * -EBADMSG with `fault`. sip_msg_clear() either way. */
int sip_msg_parse(struct sip_msg *m, char *text, size_t len);
/* The same in two steps, of which the second one costs most. The first one gives what a refusal
 * echoes, the start line and the top Via. */
void sip_msg_begin(struct sip_msg *m, char *text, size_t len);
int sip_msg_finish(struct sip_msg *m);
void sip_msg_clear(struct sip_msg *m);

/* The description in the body, else an empty slice with p NULL. */
struct slice sip_msg_sdp(const struct sip_msg *m);
/* Seconds of Retry-After; 0 none. */
unsigned int sip_msg_retry_after(const struct sip_msg *m);
/* User-Agent or Server; "" none. */
const char *sip_msg_agent(const struct sip_msg *m);
/* What a route is chosen by, as one number, never 0: where it came in, from whom, and for whom. */
uint32_t sip_way_of(const struct sip_msg *m);

/* Is `token` in the list that the headers of that kind are together? Compared without case but for
 * Allow, as methods are. */
bool sip_msg_lists(const struct sip_msg *m, enum sip_header kind, const char *token);

/* scan.c: cuts `text` into start line and `m->lines`, sets body to what follows. NULL or what is
 * wrong; goes on after a fault. */
char *sip_scan(struct sip_msg *m, char *text, size_t len);

#endif
