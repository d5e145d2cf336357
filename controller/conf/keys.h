/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside conf/ only: the one table of all keys, and what each of them does to its object. */
#ifndef RTPFWD_CONF_KEYS_H
#define RTPFWD_CONF_KEYS_H

#include "conf/load.h"

/* Beside the scopes in conf_key.scopes: in [general] it is the default of every peer. */
enum { CONF_DEFAULT = 32 };

struct conf_key {
	const char *name;
	unsigned int scopes;
	int (*set)(struct conf_loader *l, const struct conf_key *key, const struct conf_entry *e,
		   void *object);
	size_t offset;		/* in the object, for setters that serve several keys */
	unsigned int lo, hi;	/* of a number */
};

/* Carries out one entry of a section of `scope`; `object` is what the section makes. */
int conf_key_apply(struct conf_loader *l, enum conf_scope scope, const struct conf_entry *e,
		   void *object);
/* Is there such a key anywhere? For the templates that no section uses. */
int conf_key_check(struct conf_loader *l, const struct conf_entry *e);
/* Lists a key or section of the table as met, once. */
void conf_note_ignored(struct conf_loader *l, const char *name);

#define CONF_SETTER(name)                                                                          \
	int name(struct conf_loader *l, const struct conf_key *key, const struct conf_entry *e,    \
		 void *object)

/* set_general.c: the object is the conf; and what serves several sections */
CONF_SETTER(conf_set_nothing);
CONF_SETTER(conf_set_ignored);
CONF_SETTER(conf_set_number);
CONF_SETTER(conf_set_span);
CONF_SETTER(conf_set_bool);
CONF_SETTER(conf_set_path);
CONF_SETTER(conf_set_path_or_off);
CONF_SETTER(conf_set_dns);
CONF_SETTER(conf_set_metrics);
CONF_SETTER(conf_set_guard);
CONF_SETTER(conf_set_off_only);	/* not supported by this version, except as off */
CONF_SETTER(conf_set_refused);	/* not supported by this version */
CONF_SETTER(conf_set_text);

/* set_realm.c: the object is a conf_realm */
CONF_SETTER(conf_set_interface);
CONF_SETTER(conf_set_bind);
CONF_SETTER(conf_set_media);
CONF_SETTER(conf_set_ports);
CONF_SETTER(conf_set_xdp);
CONF_SETTER(conf_set_advertise);
CONF_SETTER(conf_set_vlan);
CONF_SETTER(conf_set_dscp);

/* set_direct.c: the object is a conf_realm or a conf_peer */
CONF_SETTER(conf_set_direct);
CONF_SETTER(conf_set_quirk);
/* Once there are realms. */
int conf_direct_check(struct conf_loader *l, const struct conf_section *s);

/* transport.c: the object is a conf_peer */
CONF_SETTER(conf_set_transport);
/* `udp:ADDRESS[:PORT]` of a bind. */
int conf_transport_parse_bind(struct conf_loader *l, const struct conf_entry *e, const char *text,
			      struct conf_bind *out);
/* The port of SIP where none is written. */
uint16_t conf_transport_port(enum conf_transport transport);
/* What a realm's and a peer's section must have. */
int conf_transport_check_realm(struct conf_loader *l, const struct conf_section *s);
int conf_transport_check_peer(struct conf_loader *l, const struct conf_section *s);

/* moh.c: the member is a conf_moh, which begins with its path */
CONF_SETTER(conf_set_moh);

/* set_peer.c: the object is a conf_peer */
CONF_SETTER(conf_set_type);
CONF_SETTER(conf_set_realm);
CONF_SETTER(conf_set_host);
CONF_SETTER(conf_set_port);
CONF_SETTER(conf_set_canreinvite);
CONF_SETTER(conf_set_nat);
CONF_SETTER(conf_set_trustrpid);
CONF_SETTER(conf_set_sendrpid);
CONF_SETTER(conf_set_dtmfmode);
CONF_SETTER(conf_set_acl);	/* permit and deny, of either list */

/* set_login.c: who somebody is, and whether he is there */
CONF_SETTER(conf_set_insecure);
CONF_SETTER(conf_set_qualify);
CONF_SETTER(conf_set_digest);	/* the object is the conf */
CONF_SETTER(conf_set_register);	/* the object is the conf */
/* Once there are peers. */
int conf_register_resolve(struct conf_loader *l);

/* set_session.c */
CONF_SETTER(conf_set_timers);
CONF_SETTER(conf_set_refresher);
/* What only the whole peer can tell. */
int conf_session_check(struct conf_loader *l, const struct conf_section *s);

/* set_encryption.c */
CONF_SETTER(conf_set_encryption);
CONF_SETTER(conf_set_encryption_over);
/* The same. */
int conf_encryption_check(struct conf_loader *l, const struct conf_section *s);

/* codec.c */
CONF_SETTER(conf_set_transcode);
CONF_SETTER(conf_set_codecs);	/* allow and disallow */
/* Asterisk's name of an encoding of the table. */
const char *conf_codec_name(const char *encoding);

/* set_route.c: the object is a conf_route */
CONF_SETTER(conf_set_from);
CONF_SETTER(conf_set_match);
CONF_SETTER(conf_set_to);
CONF_SETTER(conf_set_prepend);
/* dial.c */
CONF_SETTER(conf_set_options);

#endif
