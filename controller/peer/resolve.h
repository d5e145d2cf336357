/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts by name (RFC 3263): SRV records, then addresses, asked in the background and asked again
 * before they expire. Nothing here waits: what is known is known, and the last that was known stays
 * while the DNS does not answer. c-ares is seen nowhere outside controller/peer/.
 */
#ifndef RTPFWD_PEER_RESOLVE_H
#define RTPFWD_PEER_RESOLVE_H

#include "lib/addr.h"
#include "lib/loop.h"

struct resolver;
struct host;

/* Milliseconds. */
struct resolver_timing {
	unsigned int soonest, latest; /* a name is asked again, whatever its time to live */
	unsigned int retry;	      /* the same after a failure, twice as long each time */
	unsigned int retry_most;
	unsigned int query; /* how long a server of the DNS has, and that twice */
	unsigned int bad;   /* how long a server that failed is tried behind the others */
};

/* `servers`: "ADDRESS[:PORT],...", NULL: those of resolv.conf. `timing` NULL: the usual. 0, or
 * -errno where c-ares cannot begin. */
int resolver_new(struct resolver **out, struct loop *loop, const char *servers,
		 const struct resolver_timing *timing);
void resolver_free(struct resolver *r); /* after its hosts were put back; NULL-safe */
/* Grows whenever a host's addresses change. */
uint64_t resolver_generation(const struct resolver *r);

enum { HOST_SERVERS_MAX = 16 };

struct host_query {
	const char *name;
	/* "_sip._udp": asked for by SRV; NULL, or where there is no such record: the addresses of
	 * the name itself. */
	const char *service;
	uint16_t port; /* of those addresses */
};

/* The same query is the same host, which is counted; its first look-up begins. NULL: no memory. */
struct host *host_get(struct resolver *r, const struct host_query *query);
void host_put(struct host *host); /* NULL-safe */
/* Asks again now, unless it is being asked. */
void host_refresh(struct host *host);

/* Its addresses in the order in which to try them: by priority, among equals at random by weight
 * (RFC 2782), those that failed lately last. Their number. */
size_t host_order(struct host *host, struct addr out[HOST_SERVERS_MAX]);
/* Its nth address, in no order; false: there is no nth. */
bool host_nth(const struct host *host, size_t nth, struct addr *out);
/* That server did not answer, or was too busy. */
void host_failed(struct host *host, const struct addr *server);

#endif
