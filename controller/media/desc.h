/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session descriptions (SDP, RFC 8866) and what the offer/answer model (RFC 3264) needs of them. Pure: text in, description,
 * text out. Lines are kept as they came, so that what we do not understand passes through in its order.
 */
#ifndef RTPFWD_MEDIA_DESC_H
#define RTPFWD_MEDIA_DESC_H

#include "conf/conf.h"
#include "lib/addr.h"
#include "lib/buf.h"

enum direction { DIR_SENDRECV, DIR_SENDONLY, DIR_RECVONLY, DIR_INACTIVE };

struct desc;	/* immutable after desc_parse() */

/* Largest description taken, and how many m= lines of it. */
enum { DESC_MAX_BYTES = 16384, DESC_MAX_MEDIA = 16 };

/* Copies `text`. 0; -EBADMSG: not SDP; -E2BIG: too large. `why` (may be NULL) points to a static text that says what is wrong.
 * Tolerates what real phones send: bare LF, no final line end, `b=` before `c=`, missing `t=`, empty `s=`. */
int desc_parse(struct desc **out, const char *text, size_t len, const char **why);
void desc_free(struct desc *d);	/* NULL-safe */

/* The audio stream that is relayed: the first `m=audio` with a port and a profile RTP/AVP or RTP/AVPF.
 * -ENOENT: there is none. */
struct desc_audio {
	unsigned int index;	/* which m= line, from 0 */
	struct addr rtp;	/* where it wants RTP; the address may be 0.0.0.0 (hold of RFC 2543) */
	struct addr rtcp;	/* where it wants RTCP: a=rtcp (RFC 3605), else port + 1 */
	enum direction direction;	/* media level, else session level, else sendrecv; what the lines say */
	uint32_t clock_rate;	/* of the first format that is no telephone-event or CN; 0: not known */
	char codec[32];		/* its encoding name, "PCMU"; "" none */
};

int desc_audio(const struct desc *d, struct desc_audio *out);
size_t desc_media_count(const struct desc *d);

/* Hold in any of its four spellings: sendonly, inactive, c= of 0.0.0.0 or ::. */
bool desc_holds(const struct desc_audio *audio);
/* The direction in which the offer is put to the other leg: that of the lines, but `sendonly` where only a null address says hold. */
enum direction desc_direction_out(const struct desc_audio *audio);
enum direction direction_reverse(enum direction d);	/* what the answerer says: sendonly <-> recvonly */

/* Everything but the `o=` line and the session's name and time is alike: same addresses, ports, formats in order, attributes.
 * RFC 3264 8: such a new offer changes nothing, whatever its version says. */
bool desc_equal(const struct desc *a, const struct desc *b);

/* The audio formats of `d` are, as a set of payload numbers with the same encoding, contained in those of `in_force`: it can be
 * answered without asking the other leg again. */
bool desc_codecs_within(const struct desc *d, const struct desc *in_force);

/* Our side of one dialog's `o=` (pitfalls 23, 24): identity fixed for the dialog's life, version bumped exactly on change. */
struct desc_origin {
	uint64_t id;
	uint64_t version;	/* of `last` */
	char *last;		/* the text last sent; NULL: none. Owned: desc_origin_free() */
	size_t last_len;
};

void desc_origin_free(struct desc_origin *origin);

/* What a leg is told: the other leg's description, re-addressed to the relay. */
struct desc_rewrite {
	struct addr rtp;	/* relay (or advertised) address and RTP port told */
	uint16_t rtcp_port;
	enum direction direction;
	const struct conf_codecs *allow[2];	/* a format must pass each that is not NULL; telephone-event and CN always do */
	bool drop_telephone_event;		/* dtmfmode = info | inband */
	const struct desc *offer;	/* not NULL: this is the answer to it: its m= lines in number and order, only its formats;
					 * every line but the relayed one is refused with port 0 */
};

/* 0 and the text to send in origin->last (byte-identical with the last one, same version, where nothing changed);
 * -ENOTSUP: no codec is left (488); -ENOENT: no audio (488); -ENOMEM. */
int desc_render(struct desc_origin *origin, const struct desc *in, const struct desc_rewrite *rw);

/* The answer that we give ourselves to `offer`, without asking the other leg: the formats in force that it names, in our order.
 * `in_force` is what the other leg last said. Errors as desc_render(). */
int desc_answer(struct desc_origin *origin, const struct desc *offer, const struct desc *in_force, const struct desc_rewrite *rw);

#endif
