/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: TLS under a connection (OpenSSL). */
#ifndef RTPFWD_SIP_TLS_H
#define RTPFWD_SIP_TLS_H

#include "conf/conf.h"

struct bufferevent;
struct event_base;
struct sip_tls;

/* What the binds of a realm need. 0, or -EINVAL and `why`: which file, and what is wrong with it.
 */
int sip_tls_new(struct sip_tls **out, const struct conf_realm *realm, char *why, size_t why_size);
void sip_tls_free(struct sip_tls *tls); /* NULL-safe */
/* A connection that comes in, or one that we open (`connecting`, to `fd`'s far end). NULL: no
 * memory, `fd` is still the caller's. */
struct bufferevent *sip_tls_wrap(struct sip_tls *tls, struct event_base *base, int fd,
				 bool connecting);
/* Why the handshake failed, or `otherwise`; a text that lives until the next call. */
const char *sip_tls_fault(struct bufferevent *bev, const char *otherwise);

#endif
