// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of encrypted media (SDES, RFC 4568; OSRTP, RFC 8643). They end here: each leg has its own,
 * for each m= line others, and they pass where its signalling is secure. A leg hears under one key
 * of ours for each suite, the same for as long as that suite is in force: whoever makes the next
 * offer, no packet falls between two keys of ours. Once it is left its key is never used again:
 * indices would begin anew under it (RFC 3711 9.1).
 */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one m= line with one leg. */
struct call_keys {
	struct crypto_line ours[CRYPTO_SUITES]; /* by suite; tags as told last */
	uint32_t spent;				/* bit by suite: was left */
	struct flow_crypt sends, hears;		/* in force; suite 0: not encrypted */
};

/* A description of a leg's. */
struct word {
	const struct call *c;
	enum side side;
	const struct desc *said;
	enum call_word kind;
};

void call_keys_free(struct call_line *line, enum side side)
{
	if (line->keys[side])
		explicit_bzero(line->keys[side], sizeof(*line->keys[side]));
	free(line->keys[side]);
	line->keys[side] = NULL;
}

static bool over_tls(const struct call_side *s)
{
	return s->leg ? leg_over_tls(s->leg) : s->tls;
}

#define TLS_ONLY "keys pass over TLS only (encryption_over = tls)"

/* Why no keys pass between that leg and us; NULL: they do. */
static const char *obstacle(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side];

	if (s->peer->encryption == ENCRYPTION_NO)
		return "encryption = no";
	if (!over_tls(s) && !s->peer->keys_over_any)
		return TLS_ONLY;
	if (!media_encrypts(c->all->setup.media))
		return "no plane here carries encrypted media";
	return NULL;
}

bool call_keys_expected(const struct call *c, enum side side)
{
	return c->side[side].peer->encryption != ENCRYPTION_NO && !obstacle(c, side);
}

/* All of them at once: later nothing can fail. */
int call_keys_make(const struct call *c, struct call_line *line, enum side side)
{
	struct call_keys *k;
	int err = 0;

	call_keys_free(line, side);
	if (!call_keys_expected(c, side))
		return 0;
	k = line->keys[side] = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	for (uint8_t i = 0; !err && i < CRYPTO_SUITES; i++)
		err = crypto_make(&k->ours[i].crypt, (uint8_t)(i + 1));
	if (err)
		call_keys_free(line, side);
	return err;
}

static int refuse(const struct call *c, enum side side, const char *why)
{
	log_notice("call %s: no media with %c, peer '%s': %s", c->id, "ab"[side],
		   c->side[side].peer->name, why);
	return -ENOTSUP;
}

/* Where the callee is not known yet, they may. */
bool call_keys_pass(const struct call *c)
{
	const struct conf_peer *a = c->side[SIDE_A].peer, *b = c->side[SIDE_B].peer;

	return a->encryption == ENCRYPTION_NO && (!b || b->encryption == ENCRYPTION_NO);
}

/* The one that is not over TLS, where the other one is. */
static enum side open_side(const struct call *c)
{
	return over_tls(&c->side[SIDE_A]) ? SIDE_B : SIDE_A;
}

/* What the far ends tell one another of that line came by TLS on one leg, or will, and would go on
 * in the open on the other one. */
static bool is_exposed(const struct call *c, const struct desc *said, unsigned int index)
{
	const struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	struct desc_audio line;
	struct crypto_line key;
	int err;

	if (!b->peer || over_tls(a) == over_tls(b) || c->side[open_side(c)].peer->keys_over_any ||
	    desc_line(said, index, &line) || !line.secure)
		return false;
	err = desc_crypto(said, index, &key);
	explicit_bzero(&key, sizeof(key));
	return err != -ENOENT;
}

bool call_keys_repeat(const struct call *c, enum side side)
{
	const struct desc *said = c->side[side_other(side)].said;
	bool exposed = false;

	for (unsigned int i = 0; said && call_keys_pass(c) && i < DESC_MAX_MEDIA; i++)
		exposed |= is_exposed(c, said, i);
	return !exposed;
}

/* The same of a line that there is: it has keys since it was opened, or none. */
static const char *obstacle_at(const struct word *w, unsigned int index)
{
	const struct call_line *line = call_line_at(w->c, index);
	const char *why = obstacle(w->c, w->side);

	return !why && line && !line->keys[w->side] ? "its keys could not pass before" : why;
}

static struct call_keys *keys_at(const struct call *c, enum side side, unsigned int index)
{
	const struct call_line *line = call_line_at(c, index);

	return line ? line->keys[side] : NULL;
}

/* What the leg was told last has that suite under that tag, and the key is still good. It may be an
 * answer: a refresh offers the same text again, with the tag that the leg chose (RFC 4028 7.4).
 * Of several forks only one was told that; each may answer what the INVITE offered. */
static bool was_told(const struct word *w, unsigned int index, const struct crypto_line *line)
{
	const struct call_side *s = &w->c->side[w->side];
	const struct desc_origin *origin = &s->origin;
	const struct call_keys *k = keys_at(w->c, w->side, index);
	struct desc *told;
	bool found;

	if (!k || k->spent >> line->crypt.suite & 1)
		return false;
	if (w->kind == WORD_RESPONSE && s->invited &&
	    desc_has_crypto(s->invited, index, line->tag, line->crypt.suite))
		return true;
	if (!origin->last ||
	    desc_parse(&told, origin->last, origin->last_len, NULL))
		return false;
	found = desc_has_crypto(told, index, line->tag, line->crypt.suite);
	desc_free(told);
	return found;
}

/* Before a key of ours is told. NULL, or why there is none. */
static const char *renew(struct call_keys *k, uint8_t suite)
{
	if (!(k->spent >> suite & 1))
		return NULL;
	if (crypto_make(&k->ours[suite - 1].crypt, suite))
		return "no random numbers";
	k->spent &= ~(1u << suite);
	return NULL;
}

/* Under what the leg sends that line; suite 0: in the clear, or under keys that are not for us.
 * NULL, or why it cannot be had so. */
static const char *choose(const struct word *w, unsigned int index, struct crypto_line *out)
{
	const struct conf_peer *peer = w->c->side[w->side].peer;
	const char *why = obstacle_at(w, index);
	struct desc_audio line;
	int err;

	*out = (struct crypto_line){ 0 };
	if (desc_line(w->said, index, &line))
		return NULL;
	if (content_opaque(line.content, false))
		return peer->encryption == ENCRYPTION_SDES ? "no a=crypto that can be served"
							   : NULL;
	if (why && call_keys_suite(call_line_at(w->c, index), w->side))
		return why;
	err = why ? -ENOENT : desc_crypto(w->said, index, out);
	if (!err && w->kind != WORD_OFFER && !was_told(w, index, out))
		err = -EPROTO;
	if (!err)
		return NULL;
	explicit_bzero(out, sizeof(*out));
	if (err == -EPROTO || (err == -ENOTSUP && w->kind != WORD_OFFER))
		return "its answer chooses none of the keys offered";
	if (line.secure || peer->encryption == ENCRYPTION_SDES)
		return why ? why : "no a=crypto that can be served";
	return NULL;
}

static const char *fault_of(const struct word *w, unsigned int index)
{
	struct crypto_line line;
	const char *why = choose(w, index, &line);

	explicit_bzero(&line, sizeof(line));
	return why;
}

/* Of audio that is offered with keys and without, each in a line of its own, one is meant. */
static bool is_other_choice(const struct desc_audio *main, const struct desc_audio *line)
{
	return line->kind == DESC_KIND_AUDIO && main->kind == DESC_KIND_AUDIO &&
	       line->secure != main->secure;
}

bool call_keys_admit(const struct call *c, enum side side, const struct desc *said,
		     unsigned int index)
{
	const struct conf_peer *other = c->side[side_other(side)].peer;
	const struct word w = { c, side, said, WORD_OFFER };
	struct desc_audio main, line;

	if (call_keys_pass(c))
		return !is_exposed(c, said, index);
	if (desc_audio(said, &main) || desc_line(said, index, &line))
		return false;
	if (content_opaque(line.content, false) && other && other->encryption == ENCRYPTION_SDES)
		return false;
	return !is_other_choice(&main, &line) && !fault_of(&w, index);
}

int call_keys_judge(const struct call *c, enum side side, struct desc *d,
		    enum call_word kind)
{
	const struct word w = { c, side, d, kind };
	struct desc_audio main, line;
	const char *why;

	desc_audio(d, &main);
	if (call_keys_pass(c))
		return is_exposed(c, d, main.index) ? refuse(c, open_side(c), TLS_ONLY) : 0;
	if (c->side[side].peer->encryption != ENCRYPTION_NO)
		desc_prefer_secure(d);
	desc_audio(d, &main);
	why = fault_of(&w, main.index);
	if (why)
		return refuse(c, side, why);
	for (unsigned int i = 0; i < DESC_MAX_MEDIA; i++) {
		if (i == main.index || desc_line(d, i, &line))
			continue;
		why = is_other_choice(&main, &line) ? "another is preferred" : fault_of(&w, i);
		if (!why)
			continue;
		log_info("call %s: m= line %u of %c is refused: %s", c->id, i, "ab"[side], why);
		desc_pass_over(d, i);
	}
	return 0;
}

int call_keys_begin(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side];
	const char *why = obstacle(c, side);

	if (call_keys_pass(c) && s->said && is_exposed(c, s->said, s->audio.index))
		return refuse(c, open_side(c), TLS_ONLY);
	if (why && (s->peer->encryption == ENCRYPTION_SDES ||
		    (s->said && s->audio.secure && !call_keys_pass(c))))
		return refuse(c, side, why);
	return 0;
}

/* It has agreed to media in the clear. */
static bool is_left_plain(const struct call *c, enum side side, unsigned int index)
{
	const struct call_keys *k = keys_at(c, side, index);
	const struct call_side *s = &c->side[side];
	struct desc_audio line;

	return s->said && desc_line(s->said, index, &line) == 0 &&
	       !content_opaque(line.content, false) && !(k && k->sends.suite);
}

static const char *offer_keys(struct call_keys *k, struct desc_under *out)
{
	uint8_t in_use = k->sends.suite;
	const char *why = NULL;

	for (uint8_t suite = 1; !why && suite <= CRYPTO_SUITES; suite++) {
		if (in_use && suite != in_use)
			continue;
		why = renew(k, suite);
		k->ours[suite - 1].tag = suite;
	}
	out->keys = in_use ? &k->ours[in_use - 1] : k->ours;
	out->n_keys = in_use ? 1 : CRYPTO_SUITES;
	return why;
}

/* The offer names every suite, or the one in use; a leg whose media is not encrypted is left so. */
static const char *offer_line(const struct call *c, enum side side, struct desc_told *told)
{
	const struct call_side *s = &c->side[side];
	struct call_keys *k = keys_at(c, side, told->index);
	struct desc_audio line = s->audio;
	const char *why;

	if (s->said)
		desc_line(s->said, told->index, &line);
	told->under.secure = s->said && !content_opaque(line.content, false)
				     ? line.secure
				     : s->peer->encryption == ENCRYPTION_SDES;
	if (!k)
		return NULL;
	if (is_left_plain(c, side, told->index) || is_left_plain(c, side, s->audio.index))
		return NULL;
	why = obstacle(c, side);
	return why ? why : offer_keys(k, &told->under);
}

/* Exactly one, under the tag that the offer has for it (RFC 4568 5.1.2). */
static const char *answer_line(const struct call *c, enum side side, const struct desc *offer,
			       struct desc_told *told)
{
	const struct word w = { c, side, offer, WORD_OFFER };
	struct call_keys *k = keys_at(c, side, told->index);
	struct crypto_line line;
	const char *why = choose(&w, told->index, &line);

	if (!why && line.crypt.suite && !k)
		why = "there is no room for its line";
	if (!why && line.crypt.suite) {
		struct crypto_line *ours = &k->ours[line.crypt.suite - 1];

		why = renew(k, line.crypt.suite);
		ours->tag = line.tag;
		told->under.keys = ours;
		told->under.n_keys = 1;
	}
	explicit_bzero(&line, sizeof(line));
	return why;
}

/* NULL, or why `side` cannot be told of that line of `in`. */
static const char *tell_line(const struct call *c, enum side side, const struct desc *in,
			     const struct desc *offer, struct desc_told *told)
{
	struct desc_audio line;

	if (desc_line(in, told->index, &line) == 0 && content_opaque(line.content, false))
		return c->side[side].peer->encryption == ENCRYPTION_SDES ? "it has no keys" : NULL;
	return offer ? answer_line(c, side, offer, told) : offer_line(c, side, told);
}

int call_keys_tell(const struct call *c, enum side side, const struct desc *in,
		   const struct desc *offer, struct desc_rewrite *rw)
{
	struct desc_told main = { 0 };
	struct desc_audio line;
	const char *why;

	if (desc_audio(in, &line))
		return 0;
	/* The lines beside it were admitted, or are not told. */
	if (call_keys_pass(c))
		return is_exposed(c, in, line.index) ? refuse(c, open_side(c), TLS_ONLY) : 0;
	main.index = line.index;
	why = tell_line(c, side, in, offer, &main);
	if (why)
		return refuse(c, side, why);
	rw->under = main.under;
	for (size_t i = rw->n_more; i-- > 0;)
		if (tell_line(c, side, in, offer, &rw->more[i]))
			rw->more[i] = rw->more[--rw->n_more];
	return 0;
}

void call_keys_heard(const struct call *c, struct call_line *line, enum side side)
{
	const struct word w = { c, side, c->side[side].said, WORD_OFFER };
	struct call_keys *k = line->keys[side];
	struct crypto_line theirs;
	uint8_t before;

	/* What cannot be served was refused before; what is in force never turns clear. */
	if (!k || choose(&w, line->index, &theirs))
		return;
	before = k->hears.suite;
	k->sends = theirs.crypt;
	/* Of several early dialogs each may answer in the end, and by then the key of none must
	 * have been left: all are heard, but one key of ours is in force until the answer. */
	if (!before || !c->side[side].early)
		k->hears = theirs.crypt.suite ? k->ours[theirs.crypt.suite - 1].crypt
					      : (struct flow_crypt){ 0 };
	if (before && before != k->hears.suite)
		k->spent |= 1u << before;
	explicit_bzero(&theirs, sizeof(theirs));
	stream_encrypt(line->stream, side, &k->sends, &k->hears);
}

uint8_t call_keys_suite(const struct call_line *line, enum side side)
{
	return line && line->keys[side] ? line->keys[side]->sends.suite : 0;
}

bool call_keys_used(const struct call *c, enum side side)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (call_keys_suite(&c->lines[i], side))
			return true;
	return false;
}
