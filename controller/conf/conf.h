/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: sip.conf syntax in, one immutable snapshot out, and back to text. A snapshot
 * is counted: a call keeps the one under which it was set up, a reload makes a new one. No other
 * module parses or prints configuration. References are counted by one thread.
 */
#ifndef RTPFWD_CONF_CONF_H
#define RTPFWD_CONF_CONF_H

#include "lib/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* canreinvite (directmedia) as a bit set; 0 = no. */
enum conf_canreinvite {
	CANREINVITE_YES = 1,
	CANREINVITE_NONAT = 2,
	CANREINVITE_UPDATE = 4,
	CANREINVITE_OUTGOING = 8,
};
enum conf_nat { NAT_FORCE_RPORT = 1, NAT_COMEDIA = 2 };
/* What a peer says of identities, and what it is told of them; 0: all passes. */
enum conf_identity { IDENTITY_DISTRUST = 1, IDENTITY_WITHHOLD = 2 };
enum conf_xdp { XDP_AUTO, XDP_NATIVE, XDP_GENERIC, XDP_OFF };
enum conf_guard { GUARD_AUTO, GUARD_ON, GUARD_OFF };	/* AUTO: on, where the kernel can */
/* Ways to speak SIP; also an index. */
enum conf_transport { CONF_UDP, CONF_TCP, CONF_TLS, CONF_TRANSPORTS };
/* Algorithms of the digests that we ask for (RFC 8760). */
enum conf_digest { CONF_DIGEST_MD5 = 1, CONF_DIGEST_SHA_256 = 2 };
/* insecure of Asterisk: what a peer with a secret is not asked for. */
enum conf_insecure { INSECURE_PORT = 1, INSECURE_INVITE = 2 };
/* session-timers of Asterisk (RFC 4028). */
enum conf_session_timers { SESSION_ACCEPT, SESSION_ORIGINATE, SESSION_REFUSE };
/* How its media is encrypted: not, always by SDES (RFC 4568), or where it wants that, too (OSRTP,
 * RFC 8643). */
enum conf_encryption { ENCRYPTION_NO, ENCRYPTION_SDES, ENCRYPTION_OPTIONAL };
enum conf_dtmf { DTMF_RFC2833, DTMF_INFO, DTMF_INBAND, DTMF_AUTO };

/* allow/disallow after they were applied in order. Names are SDP's (PCMU, not ulaw). */
struct conf_codecs {
	bool all;		/* everything but `except`; else nothing but `only` */
	const char **only;
	size_t n_only;
	const char **except;
	size_t n_except;
};

/* permit/deny in order, the last that matches decides, none = permitted (Asterisk's rule). */
struct conf_acl {
	struct conf_acl_rule {
		struct addr_prefix prefix;
		bool permit;
	} *rules;
	size_t n;
};

/* A device that its User-Agent tells to break on re-INVITE; the ones written before it follow. */
struct conf_quirk {
	const char *pattern;	/* * is any text, case ignored */
	const struct conf_quirk *before;
	unsigned int n;	/* of this and those before */
};

struct conf_bind {
	enum conf_transport transport;
	struct addr addr;	/* with port */
};

/* moh = FILE.wav | off */
struct conf_moh {
	const char *path;	/* NULL: off, or not written */
	const char *file;	/* with `line`: where it is written; NULL: it is not */
	int line;
};

#define CONF_VLAN_KEEP 4095	/* as it came */

struct conf_realm {
	const char *name;
	unsigned int index;	/* place in conf->realms */
	int line;		/* where its section begins, for messages */
	const char **interfaces;
	size_t n_interfaces;
	struct conf_bind *binds;
	size_t n_binds;
	struct addr *media;	/* relay addresses, no port */
	size_t n_media;
	uint16_t port_lo, port_hi;	/* inclusive; lo even, hi odd */
	enum conf_xdp xdp;
	/* Written into SIP and SDP instead of the bind and media address; AF_UNSPEC: none. */
	struct addr advertise;
	uint16_t vlan;		/* its media's 802.1Q tag: 1-4094, CONF_VLAN_KEEP; 0: none */
	bool marks;		/* its media leaves marked `dscp` (RFC 2474) */
	uint8_t dscp;
	/* PEM files of its TLS binds; NULL: not written. */
	const char *tls_cert, *tls_key, *tls_ca;
	bool tls_verify;	/* the far end must show a certificate that tls_ca signed */
	struct conf_moh moh;	/* of its peers that say nothing of it */
	const char **direct;	/* names of realms */
	size_t n_direct;
};

/* Session timers of a leg. Of zeros: as the manual page's defaults. */
struct conf_session {
	enum conf_session_timers timers;
	unsigned int expires_s;	/* session-expires: the longest interval */
	unsigned int min_s;	/* session-minse: the shortest */
	bool by_caller;		/* session-refresher = uac */
};

struct conf_peer {
	const char *name;
	const char *file;	/* with `line`: where its section begins */
	int line;
	const char *type;	/* as written: "peer", "friend" or "user" */
	const struct conf_realm *realm;	/* NULL: none written; the peer module finds it by route */
	/* host = NAME[:PORT]: it is looked up, `host` is no address and has only the port; NULL: it
	 * is not. `host_text`: the name with the port, if one was written. */
	const char *host_name, *host_text;
	struct addr host;	/* with port (default 5060) */
	bool port_written;	/* host = address:port; else 5060 was assumed */
	/* How it is spoken to: the first that its realm binds; how it may speak to us: any of
	 * these. n_transports 0: none written, UDP is preferred and any may be used. */
	enum conf_transport transports[CONF_TRANSPORTS];
	size_t n_transports;
	bool dynamic;		/* host = dynamic: it registers, `host` is no address */
	const char *secret;	/* that it proves to us; NULL: none, it is known by its source */
	const char *remotesecret;	/* that we prove to it; NULL: see conf_peer_login() */
	const char *defaultuser;	/* our user name there; NULL: its section's name */
	const char *fromuser, *fromdomain;	/* of From in what we send; NULL: as the caller */
	unsigned int insecure;
	unsigned int maxcontacts;	/* bindings of a phone at a time */
	unsigned int qualify_ms;	/* longest round trip of OPTIONS; 0: it is not probed */
	unsigned int qualifyfreq_s;
	unsigned int canreinvite;
	struct conf_codecs codecs;
	bool transcode;		/* PCMU and PCMA into one another, where nothing else is common */
	unsigned int nat;
	bool asymmetric;
	unsigned int identity;	/* of conf_identity */
	enum conf_dtmf dtmf;
	enum conf_encryption encryption;
	bool keys_over_any;	/* encryption_over = any: not over TLS alone */
	struct conf_moh moh;
	unsigned int call_limit;	/* live calls, as caller and callee together; 0: no limit */
	unsigned int rate;		/* packets a second in each flow; 0: no limit */
	unsigned int callrate;		/* new calls a second, both ways together; 0: no limit */
	struct conf_session session;
	struct conf_acl acl;
	struct conf_acl direct_acl;	/* whose media may meet this peer's directly */
	const struct conf_quirk *quirks;	/* NULL: none */
};

/* Dial() options of a route. */
struct conf_dial {
	const char *text;	/* as written; "" none */
	/* Bit (c - 'a') for a-z, in `upper` (c - 'A') for A-Z: t h w k x, T H W K X, L and S. */
	uint32_t letters;
	uint32_t upper;
	uint32_t limit_ms;	/* L(x); 0: none */
	uint32_t warn_ms, repeat_ms;	/* L(x:y:z) */
	uint32_t stop_s;	/* S(x); 0: none */
};

/* register = USER[:SECRET[:AUTHUSER]]@PEER[/EXTENSION][~EXPIRY] */
struct conf_register {
	const char *text;	/* as written */
	const char *file;
	int line;
	const char *user, *secret, *authuser, *extension;	/* secret NULL: none */
	unsigned int expiry_s;	/* 0: as defaultexpiry */
	const struct conf_peer *peer;
};

struct conf_route {
	const char *name;
	int line;
	const struct conf_realm *from_realm;	/* both NULL: any */
	const struct conf_peer *from_peer;
	const char *match;	/* "_+X." pattern or a plain number/prefix; NULL: any */
	const struct conf_peer **to;	/* tried in order; NULL: `registered` */
	size_t n_to;
	unsigned int strip;	/* leading characters taken off the number */
	const char *prepend;	/* "" none */
	struct conf_dial dial;
	unsigned int timeout_s;
};

struct conf {
	const char *bpffs;
	unsigned int lease_s;
	enum conf_guard guard;
	unsigned int rtptimeout_s, rtpholdtimeout_s;	/* 0: never */
	const char *control;
	struct addr metrics;	/* AF_UNSPEC: off */
	const char *state;	/* folder of what outlives the daemon; NULL: off */
	const char *cdr;	/* NULL: off */
	const char *dns;	/* "ADDRESS[:PORT],..."; NULL: resolv.conf says */
	unsigned int max_calls;
	struct conf_span {
		unsigned int lo_ms, hi_ms;
	} settle; /* from the last ACK to the first direct-media re-INVITE, at random between */
	unsigned int drain_idle_ms, drain_max_ms;
	bool directsetup;
	unsigned int defaultexpiry_s, minexpiry_s, maxexpiry_s;	/* of registrations */
	unsigned int digest;	/* enum conf_digest, at least one */
	unsigned int authlimit;	/* failures of one source a minute; 0: no limit */
	struct conf_register *registers;
	size_t n_registers;
	struct conf_realm *realms;
	size_t n_realms;
	struct conf_peer *peers;
	size_t n_peers;
	struct conf_route *routes;	/* file order */
	size_t n_routes;
	const char **ignored;	/* Asterisk's keys that mean nothing here, each once, as found */
	size_t n_ignored;
	void *priv;		/* the memory all of this lies in, and the count */
};

/* 0 and a snapshot with one reference; or -EINVAL, -ENOMEM, or -errno of reading `path`, and `why`:
 * "FILE:LINE: what is wrong and what is allowed" (without a line where `path` cannot be read). */
int conf_load(struct conf **out, const char *path, char *why, size_t why_size);
struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf);	/* NULL-safe; the last one frees */

/* Prints it in its own syntax; parsing and printing that again gives the same bytes. Ignored keys
 * are listed once, in a comment that the parser knows. */
void conf_print(const struct conf *conf, FILE *out);

const char *conf_guard_text(enum conf_guard guard); /* as it is written */

/* NULL, or which part of `next` a running node cannot take over ("realm 'inside': media"), so that
 * it must be restarted. The text lives as long as `next`. */
const char *conf_reload_obstacle(const struct conf *now, const struct conf *next);

/* `encoding` is SDP's name, case ignored. */
bool conf_codec_allowed(const struct conf_codecs *codecs, const char *encoding);
/* Does the configuration say of this device of the peer that it is never to be re-INVITEd? */
bool conf_peer_has_quirk(const struct conf_peer *peer, const char *user_agent);
bool conf_acl_permits(const struct conf_acl *acl, const struct addr *a);
/* "udp", "tcp", "tls": as in `bind` and in the transport parameter of SIP URIs. */
const char *conf_transport_name(enum conf_transport transport);
/* May this peer use that transport? */
bool conf_transport_allowed(const struct conf_peer *peer, enum conf_transport transport);
bool conf_transport_binds(const struct conf_realm *realm, enum conf_transport transport);
/* Does this realm bind any that it speaks? */
bool conf_transport_fits(const struct conf_peer *peer, const struct conf_realm *realm);
/* The transport by which a peer of this realm is sent requests. */
enum conf_transport conf_transport_to(const struct conf_peer *peer, const struct conf_realm *realm);
/* Does this peer, which is sent requests over UDP, take those too large for that over TCP? */
bool conf_transport_grows(const struct conf_peer *peer, const struct conf_realm *realm);
/* What we answer a challenge of that peer with; false: we have nothing to prove to it. The secret
 * that a phone proves to us is never told to a phone. */
bool conf_peer_login(const struct conf_peer *peer, const char **user, const char **secret);
/* What plays while that peer has somebody on hold; NULL: nothing. `realm`: where its leg is. */
const struct conf_moh *conf_peer_moh(const struct conf_peer *peer, const struct conf_realm *realm);
/* "yes", "no", "update,nonat": the canonical text, for show peers and conf_print(). */
const char *conf_canreinvite_text(unsigned int canreinvite, char text[32]);

#endif
