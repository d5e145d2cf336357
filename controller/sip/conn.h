/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to controller/sip: connections, TCP and TLS. One is known by the bind it belongs to and
 * the far end's address and port; who has both can send over it as long as it stands, and opens
 * another when it does not. conn.c: their table and lives; conn_accept.c: those that come in;
 * conn_open.c: those that we open.
 */
#ifndef RTPFWD_SIP_CONN_H
#define RTPFWD_SIP_CONN_H

#include "sip/frame.h"
#include "sip/stack.h"

struct bufferevent;
struct sip_conn;

/* Embedded in who needs to hear of a connection's end. */
struct sip_wait {
	/* `reached`: the connection stood; else what was sent certainly never arrived. Never called
	 * from within a send. */
	void (*lost)(struct sip_wait *wait, bool reached);
	struct sip_conn *conn; /* NULL: not waiting */
	struct sip_wait *prev, *next;
};

/* Hashed as bytes: zero all of it before it is filled. */
struct sip_conn_key {
	uint32_t bind;
	uint16_t family, port;
	uint8_t ip[16];
};

/* How many connections one far end has opened. */
struct sip_source {
	uint8_t net[16]; /* addr_network() */
	unsigned int n;
	UT_hash_handle hh;
};

struct sip_conn {
	struct sip_conn_key key;
	struct sip *sip;
	const struct sip_bind *bind;
	struct addr peer;
	struct bufferevent *bev;
	struct sip_source *source; /* NULL: we opened it */
	struct sip_frame frame;
	struct sip_overload overload; /* of what waits in its socket */
	struct sip_wait *waits;
	bool up;	   /* it stands, TLS included */
	bool proven;	   /* a whole message came */
	bool paused;	   /* nothing is read until what waits to go out is gone */
	bool lingering;	   /* nothing that comes in counts any more */
	bool dead;	   /* out of the table, and freed by its timer */
	uint64_t last_ms;  /* when the last byte came or went */
	uint64_t since_ms; /* when what is awaited began to be; 0: nothing */
	struct timer timer;
	struct sip_conn *prev, *next;			/* all */
	struct sip_conn *unproven_prev, *unproven_next; /* accepted, in their order */
	UT_hash_handle hh;
};

struct sip_streams {
	struct sip_conn *table;
	struct sip_conn *all;
	struct sip_conn *unproven;
	struct sip_source *sources;
	size_t n, n_unproven;
	int spare; /* given up for a moment where no other descriptor is left */
	struct log_limit log;
};

/* conn.c */
int sip_streams_new(struct sip *sip);
void sip_streams_free(struct sip *sip);
/* Takes `fd` over whatever happens. `connecting`: we opened it. NULL: no memory. */
struct sip_conn *sip_conn_new(const struct sip_bind *bind, const struct addr *peer, int fd,
			      bool connecting);
/* The connection that stands, or is about to. NULL: none. */
struct sip_conn *sip_conn_find(const struct sip_bind *bind, const struct addr *peer);
/* 0, or -ENOBUFS: it was too slow for too long and is given up. */
int sip_conn_write(struct sip_conn *conn, const char *bytes, size_t len);
/* Out of the table at once; waits are told and the memory goes in the next turn of the loop. */
void sip_conn_drop(struct sip_conn *conn, const char *why);
void sip_wait_add(struct sip_wait *wait, struct sip_conn *conn);
void sip_wait_end(struct sip_wait *wait);

/* conn_accept.c */
int sip_conn_listen(struct sip_bind *bind);
void sip_source_leave(struct sip_conn *conn);

/* conn_open.c */
int sip_conn_open(struct sip_conn **out, const struct sip_bind *bind, const struct addr *to);
/* What every connection's socket is told. */
void sip_conn_tune(int fd);

#endif
