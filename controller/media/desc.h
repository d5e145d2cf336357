/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session descriptions (SDP, RFC 8866) and what the offer/answer model (RFC 3264) needs of them.
 * Pure: text in, description, text out. Lines are kept as they came, so that what we do not
 * understand passes through in its order.
 */
#ifndef RTPFWD_MEDIA_DESC_H
#define RTPFWD_MEDIA_DESC_H

#include "conf/conf.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "media/crypto.h"

enum direction { DIR_SENDRECV, DIR_SENDONLY, DIR_RECVONLY, DIR_INACTIVE };

struct desc;	/* immutable after desc_parse() */

/* Largest description taken, and how many m= lines of it. */
enum { DESC_MAX_BYTES = 16384, DESC_MAX_MEDIA = 16 };

/* Copies `text`. 0; -EBADMSG: not SDP; -E2BIG: too large; -ENOMEM. `why` (may be NULL) points to a
 * static text that says what is wrong. Tolerates what real phones send: bare LF, no final line end,
 * `b=` before `c=`, missing `o=`, `s=` and `t=`, empty `s=`. */
int desc_parse(struct desc **out, const char *text, size_t len, const char **why);
void desc_free(struct desc *d);	/* NULL-safe */

/* The audio stream that is relayed: the first `m=audio` with a port, a profile RTP/AVP or RTP/AVPF
 * and an IP address that is no multicast one; where there is none the first with RTP/SAVP or
 * RTP/SAVPF. -ENOENT: there is none. */
struct desc_audio {
	unsigned int index;	/* which m= line, from 0 */
	struct addr rtp;	/* where it wants RTP; 0.0.0.0 or ::: hold of RFC 2543 */
	struct addr rtcp;	/* a=rtcp (RFC 3605), else port + 1; port 0: none */
	enum direction direction;	/* media level, else session level, else sendrecv */
	uint32_t clock_rate;	/* of the first codec, no telephone-event or CN; 0: not known */
	char codec[32];		/* its encoding name, "PCMU"; "" none */
	uint8_t event;		/* payload type of telephone-event; 0: none */
	bool mux;		/* RTCP may share the port of RTP (RFC 5761) */
	bool secure;		/* RTP/SAVP or RTP/SAVPF (RFC 3711, RFC 5124) */
};

int desc_audio(const struct desc *d, struct desc_audio *out);
size_t desc_media_count(const struct desc *d);
/* Turns to one of a secure profile where there is one: of a phone that offers both its owner would
 * have that. Before anything else is asked of `d`. 0 or -ENOMEM. */
int desc_prefer_secure(struct desc *d);
/* The first of its a=crypto that can be served. -ENOENT: it has none; -ENOTSUP: none that can. */
int desc_crypto(const struct desc *d, struct crypto_line *out);

/* The first of its codecs that is a half of G.711 and that `told`, the other description of the
 * same offer and answer, has too: by which number it wants to get that one. -ENOENT: none. */
int desc_g711(const struct desc *d, const struct desc *told, uint8_t *number, bool *alaw);

/* Hold in any of its four spellings: sendonly, inactive, c= of 0.0.0.0 or ::. */
bool desc_holds(const struct desc_audio *audio);
/* The direction in which the offer is put to the other leg: that of the lines; a null address takes
 * the receiving half away (sendrecv is sendonly then, recvonly is inactive). */
enum direction desc_direction_out(const struct desc_audio *audio);
/* What the answerer says: sendonly <-> recvonly. */
enum direction direction_reverse(enum direction d);

/* Everything but the `o=` line and the session's name and time is alike: same addresses, ports,
 * formats in order, attributes. RFC 3264 8: such a new offer changes nothing, whatever its version
 * says. */
bool desc_equal(const struct desc *a, const struct desc *b);
/* The same, and a=crypto may differ. */
bool desc_equal_but_keys(const struct desc *a, const struct desc *b);
/* Whoever was told `told` need not be told anew that the other leg says `said`: its addresses are
 * the same, and it still takes every format told. */
bool desc_still_true(const struct desc *told, const struct desc *said);

/* Our side of one dialog's `o=` (RFC 8866 5.2): identity fixed for the dialog's life, version
 * bumped by one exactly on change. Zero-initialise: the first text gets a random id below 2^31
 * (phones keep it in an int) and version 1. */
struct desc_origin {
	uint64_t id;
	uint64_t version;	/* of `last` */
	struct addr addr;	/* named in `o=`: that of the first text, whatever came later */
	char *last;		/* the text last sent; NULL: none. Owned: desc_origin_free() */
	size_t last_len;
};

void desc_origin_free(struct desc_origin *origin);

/* What a leg is told: the other leg's description, re-addressed to the relay. */
struct desc_rewrite {
	struct addr rtp;	/* the address told: the relay's, or the other leg's own */
	struct addr rtcp;	/* written only where the other leg wrote `a=rtcp` */
	enum direction direction;
	/* A format must pass each that is not NULL; telephone-event and CN always do. */
	const struct conf_codecs *allow[2];
	bool drop_telephone_event;	/* dtmfmode = info | inband */
	/* Not NULL: this is the answer to it: its m= lines in number and order, only its formats;
	 * every line but the relayed one is refused with port 0 (RFC 3264 6). NULL: an offer; the
	 * m= lines refused so before are in it, at their places (RFC 3264 8). */
	const struct desc *offer;
	/* Not NULL: only formats that it names, too. */
	const struct desc *common;
	/* The profile of an offer is a secure one; an answer has that of its offer. */
	bool secure;
	const struct crypto_line *keys; /* what we send under, by choice of who is told */
	size_t n_keys;
};

/* 0 and the text to send in origin->last (byte-identical with the last one, same version, where
 * nothing changed); -ENOTSUP: no codec is left (488); -ENOENT: no audio (488); -ENOMEM. On failure
 * `origin` is untouched. */
int desc_render(struct desc_origin *origin, const struct desc *in, const struct desc_rewrite *rw);

/* The answer that we give ourselves to `offer`, without asking the other leg: the formats in force
 * that it names, in our order. `in_force` is what the other leg last said. Errors as desc_render();
 * rw->offer is not read. */
int desc_answer(struct desc_origin *origin, const struct desc *offer, const struct desc *in_force,
		const struct desc_rewrite *rw);

#endif
