/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside peer/ only: what resolve.c (asking) and host.c (what became of it) share. */
#ifndef RTPFWD_PEER_HOST_H
#define RTPFWD_PEER_HOST_H

#include "peer/resolve.h"

#define HASH_NONFATAL_OOM 1
#include <ares.h>
#include <uthash.h>

struct host_server {
	struct addr addr;
	uint16_t priority, weight;
	uint64_t bad_until_ms; /* 0: it is not known to have failed */
};

struct host_list {
	struct host_server servers[HOST_SERVERS_MAX];
	size_t n;
};

/* A look-up under way, as c-ares knows it: it may outlive its host. */
struct host_ask {
	struct host *host; /* NULL: gone */
	uint16_t port, priority, weight;
	struct host_ask *prev, *next; /* of host->asks */
};

struct host {
	struct resolver *resolver;
	unsigned int refs;
	char *key; /* "SERVICE NAME:PORT" */
	char *name, *service;
	uint16_t port;
	struct host_list now, found; /* in force, and being found */
	struct host_ask *asks;	     /* none: nothing is being asked */
	bool failed;		     /* one of them was not answered */
	uint32_t ttl_s;		     /* the least of them */
	unsigned int retry_ms;	     /* 0: the last look-up was answered */
	struct timer again;
	UT_hash_handle hh;
};

struct resolver {
	struct loop *loop;
	struct resolver_timing timing;
	ares_channel channel;
	struct timer timeout;
	struct resolver_socket *sockets;
	struct host *hosts; /* by key */
	uint64_t generation;
	uint32_t seed; /* of the random choice */
};

/* host.c */
void host_found(struct host *host, const struct host_server *server);
/* All that was asked is answered, or not: takes it over and says when to ask again. */
void host_settle(struct host *host);

/* resolve.c */
void resolver_ask(struct host *host);
/* Its look-ups go on without it. */
void resolver_forget(struct host *host);

#endif
