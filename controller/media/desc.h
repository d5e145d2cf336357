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

/* Immutable after desc_parse(), but for desc_agree() and what comes before all else. */
struct desc;

/* Largest description taken, how many m= lines of it, and how many of those are relayed. */
enum { DESC_MAX_BYTES = 16384, DESC_MAX_MEDIA = 16, DESC_RELAYED = 4 };

/* Also an index. */
enum desc_kind { DESC_KIND_AUDIO, DESC_KIND_VIDEO, DESC_KIND_IMAGE, DESC_KIND_OTHER, DESC_KINDS };

/* What travels, by the profile of the m= line. */
enum content {
	CONTENT_RTP,   /* RTP/AVP, RTP/AVPF */
	CONTENT_SRTP,  /* RTP/SAVP, RTP/SAVPF (RFC 3711, RFC 5124) */
	CONTENT_DTLS,  /* UDP/TLS/RTP/SAVP, UDP/TLS/RTP/SAVPF (RFC 5764) */
	CONTENT_UDPTL, /* udptl (ITU-T T.38 annex D) */
};

/* Copies `text`. 0; -EBADMSG: not SDP; -E2BIG: too large; -ENOMEM. `why` (may be NULL) points to a
 * static text that says what is wrong. Tolerates what real phones send: bare LF, no final line end,
 * `b=` before `c=`, missing `o=`, `s=` and `t=`, empty `s=`. */
int desc_parse(struct desc **out, const char *text, size_t len, const char **why);
void desc_free(struct desc *d);	/* NULL-safe */

/*
 * An m= line that can be relayed: audio or video of one of the contents above, or T.38, with a port
 * and an IP address that is no multicast one; the first DESC_RELAYED of them. The m= lines of the
 * two dialogs of a call correspond by their number.
 */
struct desc_audio {
	unsigned int index;	/* which m= line, from 0 */
	enum desc_kind kind;
	enum content content;
	struct addr rtp;	/* where it wants RTP; 0.0.0.0 or ::: hold of RFC 2543 */
	struct addr rtcp;	/* a=rtcp (RFC 3605), else port + 1; port 0: none */
	enum direction direction;	/* media level, else session level, else sendrecv */
	uint32_t clock_rate;	/* of the first codec, no telephone-event or CN; 0: not known */
	char codec[32];		/* its encoding name, "PCMU"; "T38"; "" none */
	uint8_t event;		/* payload type of telephone-event; 0: none */
	bool mux;		/* RTCP may share the port of RTP (RFC 5761) */
	bool secure;		/* CONTENT_SRTP */
};

/* The main one: the first audio of plain RTP, else the first audio, else the first of all.
 * -ENOENT: no line can be relayed. */
int desc_audio(const struct desc *d, struct desc_audio *out);
/* The same of the line at `index`. */
int desc_line(const struct desc *d, unsigned int index, struct desc_audio *out);
/* Where both have a line that can be relayed, of the same content, at the same place: the first
 * audio among those, else the first, is the main one of both from now on. -ENOENT: they have none,
 * and are as before. */
int desc_agree(struct desc *a, struct desc *b);
/* It is agreed upon between the far ends, so that both legs take the same, and passed unread.
 * `keys_pass`: SRTP is, too; else its keys end here, and the other leg may have plain RTP. */
bool content_opaque(enum content content, bool keys_pass);
size_t desc_media_count(const struct desc *d);
/* Turns to one of a secure profile where there is one: of a phone that offers both its owner would
 * have that. Before anything else is asked of `d`. */
void desc_prefer_secure(struct desc *d);
/* That line, which is not the main one, is as one that cannot be relayed. Before anything else is
 * asked of `d`. */
void desc_pass_over(struct desc *d, unsigned int index);
/* The first a=crypto of that line that can be served, of the first 32. -ENOENT: it has none;
 * -ENOTSUP: none that can. */
int desc_crypto(const struct desc *d, unsigned int index, struct crypto_line *out);
/* Of what we wrote: some a=crypto of that line has that tag and that suite. */
bool desc_has_crypto(const struct desc *d, unsigned int index, uint32_t tag, uint8_t suite);

/* The first of its codecs that is a half of G.711 and that `told`, the other description of the
 * same offer and answer, has too: by which number it wants to get that one. -ENOENT: none. */
int desc_g711(const struct desc *d, const struct desc *told, uint8_t *number, bool *alaw);

/* It takes that codec, by whatever number. */
bool desc_takes(const struct desc *d, const char *encoding);

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
	uint32_t lines;		/* bit by m= line: told with a port */
	uint32_t muxed;		/* the same: told that RTCP may share the port of RTP */
};

void desc_origin_free(struct desc_origin *origin);

/* How a line of RTP is encrypted whose keys end here. The profile of an offer is a secure one, or
 * not; an answer has that of its offer. */
struct desc_under {
	bool secure;
	const struct crypto_line *keys; /* what we send under, by choice of who is told */
	size_t n_keys;
};

/* What is told of another line than the main one. */
struct desc_told {
	unsigned int index;
	struct addr rtp, rtcp;
	enum direction direction;
	struct desc_under under;
};

/* What a leg is told: the other leg's description, re-addressed to the relay. */
struct desc_rewrite {
	struct addr rtp;	/* the address told: the relay's, or the other leg's own */
	struct addr rtcp;	/* written only where the other leg wrote `a=rtcp` */
	bool relays;		/* they are the relay's, of its own for each leg: so is rtcp-mux */
	enum direction direction;
	/* Beside the main line; whatever is not here has port 0. One of which no codec is left, or
	 * that answers an offer of another content, has, too. */
	struct desc_told more[DESC_RELAYED - 1];
	size_t n_more;
	/* A format must pass each that is not NULL; telephone-event and CN always do. The first is
	 * of who said it, the second of who is told. */
	const struct conf_codecs *allow[2];
	/* The halves of G.711 are translated into one another: an offer names the one that is
	 * missing, too, an answer says the offer's where nothing else is left. */
	bool g711;
	bool drop_telephone_event;	/* dtmfmode = info | inband */
	/* Not NULL: this is the answer to it: its m= lines in number and order, only its formats
	 * (RFC 3264 6). NULL: an offer; every m= line told before is in it, at its place (RFC 3264
	 * 8), and what is behind the last that is relayed is not, unless it was. */
	const struct desc *offer;
	/* Not NULL: only formats that it names, too. */
	const struct desc *common;
	bool keys_pass;		/* of CONTENT_SRTP, see content_opaque() */
	struct desc_under under;
};

/* 0 and the text to send in origin->last (byte-identical with the last one, same version, where
 * nothing changed); -ENOTSUP: no codec of the main line is left, or the offer has another content
 * there (488); -ENOENT: no line can be relayed (488); -ENOMEM. On failure `origin` is untouched. */
int desc_render(struct desc_origin *origin, const struct desc *in, const struct desc_rewrite *rw);

/* The answer that we give ourselves to `offer`, without asking the other leg: the formats in force
 * that it names, in our order. `in_force` is what the other leg last said. Errors as desc_render();
 * rw->offer is not read. */
int desc_answer(struct desc_origin *origin, const struct desc *offer, const struct desc *in_force,
		const struct desc_rewrite *rw);

#endif
