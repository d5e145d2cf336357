/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a parsed description is made of. Only for desc_*.c, and the words of a line for crypto.c.
 * Every slice lies in desc->text, or is a constant. */
#ifndef RTPFWD_MEDIA_DESC_PRIV_H
#define RTPFWD_MEDIA_DESC_PRIV_H

#include "media/desc.h"

struct desc_line {
	char type;	    /* the letter before '=' */
	struct slice value; /* without the line end */
};

/* RTP payload types are 7 bits (RFC 3550 5.1). */
enum { DESC_PAYLOADS = 128 };

struct desc_format {
	uint8_t number;
	struct slice encoding; /* "" where a dynamic number has no rtpmap */
	uint32_t rate;	       /* Hz; 0: not known */
	uint32_t channels;
};

struct desc_media {
	struct slice kind, proto, formats; /* of the m= line, as written */
	uint16_t port;
	size_t first, end;	  /* its lines, the m= line itself not among them */
	struct slice connection;  /* value of the c= line in force; p NULL: none */
	enum direction direction; /* in force */
	bool relayed;		  /* can be: */
	struct desc_audio line;
	struct desc_format *list; /* of RTP: each number once, in order */
	size_t n_list;
};

struct desc {
	char *text; /* it may hold keys: wiped in the end */
	size_t len;
	struct desc_line *lines;
	size_t n_lines;
	size_t session_end; /* lines before the first m= */
	struct desc_media *media;
	size_t n_media;
	/* Of the main line. */
	bool has_audio;
	struct desc_audio audio;
	struct desc_format *formats; /* lies in `media` */
	size_t n_formats;
};

/* desc_line.c: which m= lines can be relayed. */

/* 0 or -ENOMEM. */
int desc_lines_read(struct desc *d);
enum desc_kind desc_kind_of(const struct desc_media *m);
/* A view of `d` whose main line is that at `index`, which can be relayed; it lives as long. */
struct desc desc_view(const struct desc *d, unsigned int index);
bool desc_relays(const struct desc *d, size_t index);
/* Both relay that line, and what one has in it the other can. */
bool desc_same_content(const struct desc *a, const struct desc *b, size_t index, bool keys_pass);

/* desc_text.c: words of a line. */

/* Takes the next word off `rest`; empty at the end. */
struct slice desc_word(struct slice *rest);
/* Takes what is before `separator` off `rest`, and the separator. */
struct slice desc_until(struct slice *rest, char separator);
/* The whole of `s` is a decimal number up to `max`. 0 or -EINVAL. */
int desc_number(unsigned long *out, struct slice s, unsigned long max);
bool desc_slice_same(struct slice a, struct slice b); /* case ignored */
/* The line is the attribute `name`, of which `value` (may be NULL) receives what is after ':'. */
bool desc_attribute(const struct desc_line *line, const char *name, struct slice *value);
bool desc_is_direction(const struct desc_line *line, enum direction *out);
const char *desc_direction_text(enum direction d);
/* "IN IP4 10.0.0.1", with or without "/ttl". -EINVAL: no IP address. */
int desc_address(struct addr *out, struct slice value);

/* desc_origin.c */

/* "IN IP4 192.0.2.1" and its line end. */
void desc_put_address(struct buf *out, const struct addr *a);
/* `rest`, all that follows the `o=` line, becomes the text last sent, unless it was that already.
 * -ENOMEM: `origin` is as it was. */
int desc_put_origin(struct desc_origin *origin, const struct addr *addr, const struct buf *rest);

/* desc_format.c: what the payload numbers mean. */

enum { DESC_PCMU = 0, DESC_PCMA = 8 }; /* RFC 3551 6 */
struct desc_format desc_format_static(uint8_t number);
int desc_formats_read(const struct desc *d, struct desc_media *m);
bool desc_format_auxiliary(const struct desc_format *f); /* telephone-event or CN */
/* By encoding, clock and channels; where the encoding of one is not known, by number. */
bool desc_format_same(const struct desc_format *f, const struct desc_format *g);
/* PCMU or PCMA as RFC 3551 4.5.14 has them, whatever their number. */
bool desc_format_g711(const struct desc_format *f, bool *alaw);
bool desc_has_number(const struct desc *d, uint8_t number);
/* One of the offer's formats, by its encoding: the answerer may give it a number of its own, by
 * which it wants to get it (RFC 3264 5.1, 6.1). Where an encoding is not known, by its number. */
bool desc_format_answers(const struct desc_format *f, const struct desc *offer);

#endif
