/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is there: phones that register with us, ourselves registered with others, and peers that are
 * asked now and then whether they are alive. Also who a request comes from, for it is by the same
 * names and secrets.
 */
#ifndef RTPFWD_REACH_REACH_H
#define RTPFWD_REACH_REACH_H

#include "lib/loop.h"
#include "peer/peer.h"
#include "sip/sip.h"

struct reach;

/* Takes a reference on `peers`. 0 or -ENOMEM. */
int reach_new(struct reach **out, struct loop *loop, struct peers *peers);
void reach_free(struct reach *reach); /* before sip_free(); NULL-safe */
/* Registrations with others and probes begin. */
void reach_attach(struct reach *reach, struct sip *sip);
/* Another configuration: what is in both goes on. -ENOMEM: nothing changed. */
int reach_reload(struct reach *reach, struct peers *peers);
/* Takes our registrations with others back, and calls `done` when they have answered, or after two
 * seconds; at once where there are none. */
void reach_leave(struct reach *reach, void (*done)(void *owner), void *owner);

/* Whose request this is: by its source, else by his name with digest. NULL: `verdict` says what
 * becomes of it. */
const struct conf_peer *reach_admit(struct reach *reach, const struct sip_request *request,
				    struct sip_verdict *verdict);
/* To be sip_handlers.registration, whose ctx is not `reach`: see calls.c. */
void reach_registration(struct reach *reach, const struct sip_registration *registration,
			struct sip_registered *out);

/* It is the first of a phone that was switched on: none of its bindings came with that Call-ID,
 * which a phone keeps until then (RFC 3261 10.2.4). */
bool reach_begins(const struct reach *reach, const struct sip_registration *registration);

/* Where a call to a peer goes. Texts live until the loop goes on. */
struct reach_target {
	struct addr to;
	const struct conf_realm *realm;
	const char *host;  /* of the request URI; NULL: `to` */
	const char *uri;   /* request URI; NULL: the number at `to` */
	unsigned int bind; /* as in leg_target */
	enum conf_transport transport;
};

/* The nth place at which a peer of `peers` can be reached, the best first. 0; -ENOENT: there is no
 * nth; -EHOSTUNREACH: it did not answer when it was asked. */
int reach_target(const struct reach *reach, const struct peers *peers, const struct conf_peer *peer,
		 size_t nth, struct reach_target *out);
/* The phone that registers as `user`, as it stands in `peers`, which may be of an older
 * configuration; NULL: there is no such phone. */
const struct conf_peer *reach_phone(const struct reach *reach, const struct peers *peers,
				    const char *user);

/* The phone registered from that address, and is behind a NAT there. */
bool reach_natted(const struct reach *reach, const struct conf_peer *peer,
		  const struct addr *source);

struct reach_contact {
	const char *uri, *agent;
	struct addr to;
	uint64_t expires_s;
};

struct reach_peer_report {
	bool registered;	  /* it with us, or we with it */
	int reachable;		  /* 1, 0, or -1: not asked */
	unsigned int rtt_ms;	  /* where reachable is 1 */
	const char *registration; /* ours with it: "registered", ...; NULL: none is configured */
	const struct conf_realm *realm; /* where it is now; NULL: nowhere */
	struct reach_contact contacts[SIP_CONTACTS_MAX];
	size_t n_contacts;
	struct addr addresses[HOST_SERVERS_MAX]; /* of a host by name */
	size_t n_addresses;
};

void reach_peer(const struct reach *reach, const struct conf_peer *peer,
		struct reach_peer_report *out);

enum reach_state {
	REACH_UNREGISTERED,
	REACH_REGISTERING,
	REACH_REGISTERED,
	REACH_REJECTED,
	REACH_STATES
};

struct reach_report {
	uint64_t registrations; /* bindings of phones */
	uint64_t ours[REACH_STATES];
	uint64_t reachable, unreachable; /* peers that are asked */
};

const char *reach_state_text(enum reach_state state);
void reach_report(const struct reach *reach, struct reach_report *out);

#endif
