// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of encrypted media (SDES, RFC 4568; OSRTP, RFC 8643). They end here: each leg has its own,
 * and they pass where its signalling is secure. A leg hears under one key of ours for each suite,
 * the same for its dialog's life: whoever makes the next offer, no packet falls between two keys of
 * ours.
 */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct call_keys {
	struct crypto_line ours[CRYPTO_SUITES]; /* by suite; tags as told last */
	struct flow_crypt sends, hears;		/* in force; suite 0: not encrypted */
	bool offered;				/* what it was told last is an offer */
};

void call_keys_free(struct call_side *s)
{
	if (s->keys)
		explicit_bzero(s->keys, sizeof(*s->keys));
	free(s->keys);
	s->keys = NULL;
}

/* All of them at once: later nothing can fail. 0, -ENOMEM or -EIO. */
static int make_keys(struct call_side *s)
{
	int err = 0;

	if (s->keys)
		return 0;
	s->keys = calloc(1, sizeof(*s->keys));
	if (!s->keys)
		return -ENOMEM;
	for (uint8_t i = 0; !err && i < CRYPTO_SUITES; i++)
		err = crypto_make(&s->keys->ours[i].crypt, (uint8_t)(i + 1));
	if (err)
		call_keys_free(s);
	return err;
}

/* Why no keys pass between that leg and us; NULL: they do. */
static const char *obstacle(const struct call *c, enum side side)
{
	const struct call_side *s = &c->side[side];
	bool secure = s->leg ? leg_over_tls(s->leg) : s->tls;

	if (s->peer->encryption == ENCRYPTION_NO)
		return "encryption = no";
	if (!secure && !s->peer->keys_over_any)
		return "keys pass over TLS only (encryption_over = tls)";
	if (!media_encrypts(c->all->setup.media))
		return "no plane here carries encrypted media";
	return NULL;
}

bool call_keys_expected(const struct call *c, enum side side)
{
	return c->side[side].peer->encryption != ENCRYPTION_NO && !obstacle(c, side);
}

static int refuse(const struct call *c, enum side side, const char *why)
{
	log_notice("call %s: no media with %c, peer '%s': %s", c->id, "ab"[side],
		   c->side[side].peer->name, why);
	return -ENOTSUP;
}

/* What was offered has one tag for each suite: its number. */
static bool is_ours(const struct call_keys *k, const struct crypto_line *line)
{
	return line->tag == line->crypt.suite && k->ours[line->tag - 1].tag == line->tag;
}

/* Where the callee is not known yet, they may. */
bool call_keys_pass(const struct call *c)
{
	const struct conf_peer *a = c->side[SIDE_A].peer, *b = c->side[SIDE_B].peer;

	return a->encryption == ENCRYPTION_NO && (!b || b->encryption == ENCRYPTION_NO);
}

/* Only the main line has keys of ours: of audio there is that alone, be it offered with and without
 * keys; and what must be encrypted is not told otherwise. */
bool call_keys_admit(const struct call *c, const struct desc_audio *line)
{
	if (call_keys_pass(c))
		return true;
	if (c->side[SIDE_A].peer->encryption == ENCRYPTION_SDES ||
	    c->side[SIDE_B].peer->encryption == ENCRYPTION_SDES)
		return false;
	return line->kind != DESC_KIND_AUDIO && !line->secure;
}

/* By which line of `d` the leg sends; suite 0: it does so in the clear. */
static int choose(const struct call *c, enum side side, const struct desc *d, bool answer,
		  struct crypto_line *out)
{
	const struct call_side *s = &c->side[side];
	const char *why = obstacle(c, side);
	struct desc_audio audio = { 0 };
	int err = why ? -ENOENT : desc_crypto(d, out);

	desc_audio(d, &audio);
	if (!err && answer && !is_ours(s->keys, out))
		err = -EPROTO;
	if (!err)
		return 0;
	explicit_bzero(out, sizeof(*out));
	if (err == -EPROTO || (err == -ENOTSUP && answer))
		return refuse(c, side, "its answer chooses none of the keys offered");
	if (audio.secure || s->peer->encryption == ENCRYPTION_SDES)
		return refuse(c, side, why ? why : "no a=crypto that can be served");
	return 0;
}

int call_keys_judge(const struct call *c, enum side side, struct desc *d)
{
	const struct call_keys *k = c->side[side].keys;
	struct crypto_line line;
	int err;

	if (call_keys_pass(c))
		return 0;
	if (c->side[side].peer->encryption != ENCRYPTION_NO)
		desc_prefer_secure(d);
	err = choose(c, side, d, k && k->offered, &line);
	explicit_bzero(&line, sizeof(line));
	return err;
}

int call_keys_begin(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	const char *why = obstacle(c, side);

	if (why && (s->peer->encryption == ENCRYPTION_SDES ||
		    (s->said && s->audio.secure && !call_keys_pass(c))))
		return refuse(c, side, why);
	return why ? 0 : make_keys(s);
}

/* The offer names every suite, or the one in use; a leg whose media is not encrypted is left so. */
static void tell_offer(const struct call_side *s, struct desc_rewrite *rw)
{
	struct call_keys *k = s->keys;
	uint8_t in_use = k->sends.suite;

	rw->secure = s->said ? s->audio.secure : s->peer->encryption == ENCRYPTION_SDES;
	for (uint8_t i = 0; i < CRYPTO_SUITES; i++)
		k->ours[i].tag = i + 1u;
	if (s->said && !in_use)
		return;
	rw->keys = in_use ? &k->ours[in_use - 1] : k->ours;
	rw->n_keys = in_use ? 1 : CRYPTO_SUITES;
}

int call_keys_tell(struct call *c, enum side side, const struct desc *offer,
		   struct desc_rewrite *rw)
{
	struct call_side *s = &c->side[side];
	struct crypto_line line = { 0 };
	int err = offer && !call_keys_pass(c) ? choose(c, side, offer, false, &line) : 0;

	if (err || !s->keys)
		return err;
	s->keys->offered = !offer;
	if (!offer) {
		tell_offer(s, rw);
	} else if (line.crypt.suite) {
		rw->keys = &s->keys->ours[line.crypt.suite - 1];
		rw->n_keys = 1;
		s->keys->ours[line.crypt.suite - 1].tag = line.tag;
	}
	explicit_bzero(&line, sizeof(line));
	return 0;
}

void call_keys_as_before(struct call_side *s)
{
	if (s->keys)
		s->keys->offered = false;
}

void call_keys_heard(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	struct call_keys *k = s->keys;
	struct crypto_line line = { 0 };

	if (!k)
		return;
	k->offered = false;
	if (choose(c, side, s->said, false, &line) == 0 && line.crypt.suite) {
		k->sends = line.crypt;
		k->hears = k->ours[line.crypt.suite - 1].crypt;
	} else {
		k->sends = k->hears = (struct flow_crypt){ 0 };
	}
	explicit_bzero(&line, sizeof(line));
	stream_encrypt(c->stream, side, &k->sends, &k->hears);
}

uint8_t call_keys_suite(const struct call_side *s)
{
	return s->keys ? s->keys->sends.suite : 0;
}
