/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: pieces of SIP's grammar that are cut, not interpreted, and texts made
 * safe to be sent. */
#ifndef RTPFWD_SIP_TEXT_H
#define RTPFWD_SIP_TEXT_H

#include "conf/conf.h"
#include "lib/addr.h"
#include "lib/buf.h"

bool sip_is_token(const char *text); /* RFC 3261 25.1, not empty */
/* A decimal number up to `max` and nothing else. */
bool sip_number(const char *text, uint32_t max, uint32_t *out);

/* The next element of a list cut at `separator` outside of quotes and < >, trimmed. False: no more.
 * `*p` moves on. */
bool sip_list_next(const char **p, char separator, struct slice *item);
/* `Display <uri>;params` or `uri;params`: the URI; p NULL: none. */
struct slice sip_addr_spec(const char *value);
/* The value of a parameter behind it; p NULL: there is none. */
struct slice sip_addr_param(const char *value, const char *name);
/* The user part of a URI as text, %XX undone but for control characters. Writes at most strlen(uri)
 * + 1 bytes. */
void sip_uri_user(char *out, const char *uri);

/* What a URI says about where to send to. */
struct sip_uri {
	bool sip; /* scheme sip; all else is empty where not */
	bool sips;
	bool headers; /* ?name=value: no request URI has that */
	bool loose;   /* lr parameter */
	bool transport_written;
	enum conf_transport transport; /* CONF_TRANSPORTS: one that we do not speak */
	struct addr addr; /* host where it is an IP literal, port 5060, of TLS 5061, if none is
			     written; AF_UNSPEC: a name */
};

int sip_uri_parse(struct sip_uri *out, const char *uri); /* 0 or -EINVAL */

/* The user part of a URI, escaped where RFC 3261 25.1 wants it. */
void sip_add_user(struct buf *b, const char *user);
/* A quoted string; control characters become blanks; cut to a bounded length. */
void sip_add_quoted(struct buf *b, const char *text);
/* The text of a header or reason phrase: control characters become blanks; cut to a bounded length.
 */
void sip_add_plain(struct buf *b, const char *text);

#endif
