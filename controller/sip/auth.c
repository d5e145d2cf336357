// SPDX-License-Identifier: GPL-2.0-or-later
/* Who asks us must prove who he is. */
#include "sip/auth.h"

#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* Answered nonces that are remembered: as many as 1,000 REGISTERs/s leave in a lifetime. */
enum { NONCES_MAX = 60000, LIFETIME_MS = 60000 };
/* A nonce: hex of the time in ms, of 8 random bytes, of the code over both. */
enum { TIME_HEX = 12, SALT_HEX = 16, CODE_HEX = 32, NONCE_LEN = TIME_HEX + SALT_HEX + CODE_HEX };

int sip_guard_open(struct sip *sip)
{
	struct sip_guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return -ENOMEM;
	sip->guard = guard;
	guard->lifetime_ms = LIFETIME_MS;
	guard->max = NONCES_MAX;
	if (getrandom(guard->key, sizeof(guard->key), 0) != (ssize_t)sizeof(guard->key))
		return -EIO;
	return 0;
}

static void forget(struct sip_guard *guard, struct sip_nonce *nonce)
{
	HASH_DELETE(hh, guard->nonces, nonce);
	free(nonce);
}

void sip_guard_close(struct sip *sip)
{
	while (sip->guard && sip->guard->nonces)
		forget(sip->guard, sip->guard->nonces);
	free(sip->guard);
	sip->guard = NULL;
}

/* The code of a nonce whose time and salt are given: only we can make it, and only for this realm
 * and source. The port is left out, which a NAT may change between challenge and answer. */
static void nonce_code(const struct sip_msg *m, const char *head, char code[CODE_HEX + 1])
{
	const struct sip_guard *guard = m->bind->sip->guard;
	unsigned char mac[16] = {0};
	char text[NONCE_LEN + sizeof(SIP_AUTH_REALM) + ADDR_TEXT + 16], ip[ADDR_TEXT];
	int n = snprintf(text, sizeof(text), "%.*s:%s:%u:%s", TIME_HEX + SALT_HEX, head,
			 SIP_AUTH_REALM, m->bind->realm->index, addr_print_ip(ip, &m->source));

	*code = '\0';
	if (digest_mac(mac, guard->key, text, (size_t)n))
		return;
	for (int i = 0; i < 16; i++)
		snprintf(code + 2 * i, 3, "%02x", mac[i]);
}

static void nonce_new(const struct sip_msg *m, char nonce[NONCE_LEN + 1])
{
	struct sip *sip = m->bind->sip;

	snprintf(nonce, TIME_HEX + 1, "%012llx",
		 (unsigned long long)(loop_now_ms(sip->loop) & 0xffffffffffffull));
	sip_random_hex(sip, nonce + TIME_HEX, SALT_HEX / 2);
	nonce_code(m, nonce, nonce + TIME_HEX + SALT_HEX);
}

/* Is it ours, and how old? */
static bool nonce_fresh(const struct sip_msg *m, const char *nonce, uint64_t *made_ms)
{
	const struct sip_guard *guard = m->bind->sip->guard;
	char code[CODE_HEX + 1], time[TIME_HEX + 1];
	uint64_t now = loop_now_ms(m->bind->sip->loop);

	if (strlen(nonce) != NONCE_LEN)
		return false;
	nonce_code(m, nonce, code);
	if (!*code || !digest_equal(code, nonce + TIME_HEX + SALT_HEX))
		return false;
	memcpy(time, nonce, TIME_HEX);
	time[TIME_HEX] = '\0';
	*made_ms = strtoull(time, NULL, 16);
	return *made_ms <= now && now - *made_ms <= guard->lifetime_ms &&
	       (!guard->floor_ms || *made_ms > guard->floor_ms);
}

/* In the order of the offer. */
static const struct {
	enum digest_algorithm algorithm;
	unsigned int bit;
} offers[] = {{DIGEST_SHA_256, CONF_DIGEST_SHA_256}, {DIGEST_MD5, CONF_DIGEST_MD5}};

/* libre up to 2.4 gives up when any of several challenges is not MD5 (RFC 8760 2.4 says: ignore
 * it), and says so of itself by the program that it is part of. */
static bool knows_only_md5(const struct sip_msg *m)
{
	static const char *const agents[] = {"baresip v0.", "baresip v1.", "baresip v2."};

	for (size_t i = 0; i < sizeof(agents) / sizeof(*agents); i++)
		if (strncmp(sip_msg_agent(m), agents[i], strlen(agents[i])) == 0)
			return true;
	return false;
}

void sip_build_challenge(struct buf *out, const struct sip_msg *m,
			 const struct sip_verdict *verdict)
{
	unsigned int wanted = verdict->digest;
	char nonce[NONCE_LEN + 1];

	if ((wanted & CONF_DIGEST_MD5) && knows_only_md5(m))
		wanted = CONF_DIGEST_MD5;
	nonce_new(m, nonce);
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++) {
		if (!(wanted & offers[i].bit))
			continue;
		buf_printf(out,
			   "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", algorithm=%s, "
			   "qop=\"auth\"%s\r\n",
			   SIP_AUTH_REALM, nonce, digest_name(offers[i].algorithm),
			   verdict->stale ? ", stale=true" : "");
	}
}

static struct sip_nonce *find_nonce(const struct sip *sip, const char *text, struct sip_key *key)
{
	struct sip_nonce *found;
	struct sip_hash h;

	sip_hash_start(&h, sip);
	sip_hash_text(&h, text);
	*key = sip_hash_end(&h);
	SIP_KEY_FIND(hh, sip->guard->nonces, key, found);
	return found;
}

/* What expired goes, and if that is not enough the first: with it every nonce as old. */
static void make_room(struct sip *sip)
{
	struct sip_guard *guard = sip->guard;
	uint64_t now = loop_now_ms(sip->loop);
	struct sip_nonce *first;

	while ((first = guard->nonces) != NULL) {
		bool expired = now - first->made_ms > guard->lifetime_ms;

		if (!expired && HASH_COUNT(guard->nonces) < guard->max)
			return;
		if (!expired && first->made_ms > guard->floor_ms)
			guard->floor_ms = first->made_ms;
		forget(guard, first);
	}
}

/* Takes a nonce count, once. False: it came before, or cannot be remembered. */
static bool take_count(struct sip *sip, const char *text, uint64_t made_ms, uint32_t count)
{
	struct sip_key key;
	struct sip_nonce *nonce = find_nonce(sip, text, &key);

	if (nonce) {
		if (count <= nonce->count)
			return false;
		nonce->count = count;
		return true;
	}
	make_room(sip);
	nonce = calloc(1, sizeof(*nonce));
	if (!nonce)
		return false;
	nonce->key = key;
	nonce->made_ms = made_ms;
	nonce->count = count;
	SIP_KEY_ADD(hh, sip->guard->nonces, key, nonce);
	if (nonce->hh.tbl)
		return true;
	free(nonce);
	return false;
}

/* Exactly eight hex digits, not zero (RFC 7616 3.4). Without qop a nonce serves once. */
static bool parse_count(const struct digest_fields *f, uint32_t *count)
{
	*count = 1;
	if (!*f->qop)
		return true;
	if (strlen(f->nc) != 8 || strspn(f->nc, "0123456789abcdefABCDEF") != 8)
		return false;
	*count = (uint32_t)strtoul(f->nc, NULL, 16);
	return *count != 0;
}

/* The URI that was hashed must be the request's; parameters may have been lost on the way. */
static bool same_uri(const char *hashed, const char *uri)
{
	size_t len = strcspn(uri, ";");

	return strcspn(hashed, ";") == len && strncasecmp(hashed, uri, len) == 0;
}

/* The credentials for our realm among a request's. */
static bool find_credentials(const struct sip_msg *m, struct digest_fields *f)
{
	for (size_t i = 0; i < m->n_lines; i++)
		if ((m->lines[i].kind == SIP_H_AUTHORIZATION ||
		     m->lines[i].kind == SIP_H_PROXY_AUTHORIZATION) &&
		    digest_parse(f, m->lines[i].value) == 0 &&
		    strcmp(f->realm, SIP_AUTH_REALM) == 0)
			return true;
	return false;
}

static bool was_offered(enum digest_algorithm algorithm, unsigned int digest)
{
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++)
		if (offers[i].algorithm == algorithm)
			return (digest & offers[i].bit) != 0;
	return false;
}

static bool proves(const struct sip_msg *m, const struct digest_fields *f, const char *user,
		   const char *secret, unsigned int digest)
{
	struct digest_input in = {.user = f->username,
				  .realm = f->realm,
				  .secret = secret,
				  .method = m->method_name,
				  .uri = f->uri,
				  .nonce = f->nonce,
				  .cnonce = f->cnonce,
				  .nc = f->nc,
				  .qop = f->qop};
	char wanted[DIGEST_HEX + 1];

	return digest_algorithm_of(f->algorithm, &in.algorithm, &in.session) &&
	       was_offered(in.algorithm, digest) && digest_response(wanted, &in) == 0 &&
	       digest_equal(wanted, f->response) && strcmp(f->username, user) == 0 &&
	       same_uri(f->uri, m->uri);
}

enum sip_auth sip_authenticate(const struct sip_request *request, const char *user,
			       const char *secret, unsigned int digest)
{
	const struct sip_msg *m = request->msg;
	struct digest_fields f;
	uint64_t made_ms;
	uint32_t count;
	bool known = secret != NULL;

	if (!find_credentials(m, &f))
		return SIP_AUTH_NONE;
	if (!nonce_fresh(m, f.nonce, &made_ms))
		return SIP_AUTH_STALE;
	if ((*f.qop && strcasecmp(f.qop, "auth") != 0) || !parse_count(&f, &count))
		return SIP_AUTH_WRONG;
	/* As much work for a user that does not exist as for a wrong secret. */
	if (!proves(m, &f, user, known ? secret : "", digest) || !known)
		return SIP_AUTH_WRONG;
	return take_count(m->bind->sip, f.nonce, made_ms, count) ? SIP_AUTH_OK : SIP_AUTH_STALE;
}
