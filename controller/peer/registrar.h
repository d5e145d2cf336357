/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may register, and where he can be reached (RFC 3261 10): the bindings of each phone. A table
 * that is as large as the configuration lets it be, whatever the network sends.
 */
#ifndef RTPFWD_PEER_REGISTRAR_H
#define RTPFWD_PEER_REGISTRAR_H

#include "lib/loop.h"
#include "peer/peer.h"

struct registrar;

/* A binding: where requests to a phone go. Texts are the binding's own. */
struct binding {
	const char *uri; /* Contact as registered: the request URI */
	struct addr to;	 /* where packets are sent */
	const struct conf_realm *realm;
	unsigned int bind; /* by which socket, as the owner numbers them */
	bool natted;	   /* `to` is not what the Contact says */
	const char *agent; /* "" unknown */
	const char *call_id; /* of the REGISTER that made or refreshed it last */
	uint64_t since_ms, expires_ms;
};

/* What a REGISTER asks for one Contact. */
struct binding_wish {
	const char *uri;
	unsigned int expires_s; /* 0: it goes */
	struct addr to;
	bool natted;
};

struct binding_request {
	const struct conf_peer *peer;
	const struct conf_realm *realm;
	unsigned int bind;
	const char *call_id, *agent;
	uint32_t cseq;
	bool all; /* Contact: *, all go; else `wishes` */
	const struct binding_wish *wishes;
	size_t n;
};

enum { REGISTRAR_CONTACTS_MAX = 10 };

/* Takes a reference on `peers`. NULL: no memory. */
struct registrar *registrar_new(struct loop *loop, struct peers *peers);
void registrar_free(struct registrar *r); /* NULL-safe */
/* The phones of another configuration: those that are in both keep their bindings. 0 or -ENOMEM
 * (then nothing changed). */
int registrar_reload(struct registrar *r, struct peers *peers);

/* The peer that answers to a user's name on this realm: a phone, or a friend or user with a secret.
 * NULL: none. */
const struct conf_peer *registrar_user(const struct registrar *r, const struct conf_realm *realm,
				       const char *user);
/* May anybody at all on this realm be known by his name? */
bool registrar_has_users(const struct registrar *r, const struct conf_realm *realm);

/* Carries out a REGISTER, whole or not at all. 0; -ESTALE: older than what is bound (RFC 3261 10.3,
 * step 7); -ENOENT: `peer` does not register; -ENOMEM. The oldest binding gives way to one too
 * many. */
int registrar_update(struct registrar *r, const struct binding_request *request);
/* The nth binding of a phone, the newest first; NULL: no more. Valid until the loop goes on. */
const struct binding *registrar_nth(const struct registrar *r, const struct conf_peer *peer,
				    size_t nth);
size_t registrar_count(const struct registrar *r); /* bindings of all */

#endif
