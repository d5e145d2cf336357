// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/digest.h"

#include "sip/text.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>

static const char *const names[DIGEST_ALGORITHMS] = {
	[DIGEST_MD5] = "MD5",
	[DIGEST_SHA_256] = "SHA-256",
	[DIGEST_SHA_512_256] = "SHA-512-256",
};

const char *digest_name(enum digest_algorithm algorithm)
{
	return names[algorithm];
}

bool digest_algorithm_of(const char *text, enum digest_algorithm *algorithm, bool *session)
{
	size_t len = strlen(text);

	*session = len > 5 && strcasecmp(text + len - 5, "-sess") == 0;
	if (*session)
		len -= 5;
	*algorithm = DIGEST_MD5;
	if (!len)
		return true;
	for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
		*algorithm = (enum digest_algorithm)i;
		if (strlen(names[i]) == len && strncasecmp(names[i], text, len) == 0)
			return true;
	}
	return false;
}

bool digest_has_word(const char *list, const char *word)
{
	struct slice item;

	while (sip_list_next(&list, ',', &item))
		if (slice_is(item, word))
			return true;
	return false;
}

static const char **field_of(struct digest_fields *f, struct slice name)
{
	const struct {
		const char *name;
		const char **field;
	} known[] = {
		{"username", &f->username},
		{"realm", &f->realm},
		{"nonce", &f->nonce},
		{"uri", &f->uri},
		{"response", &f->response},
		{"cnonce", &f->cnonce},
		{"nc", &f->nc},
		{"qop", &f->qop},
		{"opaque", &f->opaque},
		{"algorithm", &f->algorithm},
		{"stale", &f->stale},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (slice_is(name, known[i].name))
			return known[i].field;
	return NULL;
}

/* The value of a field, quotes and escapes undone, to `out`; returns what follows its NUL. */
static char *add_value(char *out, struct slice value)
{
	const char *p = value.p, *end = value.p + value.len;
	bool quoted = value.len >= 2 && *p == '"' && end[-1] == '"';

	if (quoted) {
		p++;
		end--;
	}
	for (; p < end; p++) {
		if (quoted && *p == '\\' && p + 1 < end)
			p++;
		*out++ = *p;
	}
	*out++ = '\0';
	return out;
}

static struct slice trimmed(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	while (end > p && end[-1] == ' ')
		end--;
	return (struct slice){p, (size_t)(end - p)};
}

int digest_parse(struct digest_fields *f, const char *value)
{
	char *next = f->text;
	struct slice item;

	f->username = f->realm = f->nonce = f->uri = f->response = f->cnonce = f->nc = f->qop =
		f->opaque = f->algorithm = f->stale = "";
	if (strncasecmp(value, "Digest", 6) != 0 || value[6] != ' ')
		return -EPROTONOSUPPORT;
	/* No value grows, and each has a NUL in place of at least its `=`. */
	if (strlen(value) >= sizeof(f->text))
		return -E2BIG;
	value += 7;
	while (sip_list_next(&value, ',', &item)) {
		const char *equals = item.len ? memchr(item.p, '=', item.len) : NULL;
		const char **field;

		if (!equals)
			return -EBADMSG;
		field = field_of(f, trimmed(item.p, equals));
		if (!field)
			continue;
		if (**field)
			return -EBADMSG;
		*field = next;
		next = add_value(next, trimmed(equals + 1, item.p + item.len));
	}
	return *f->nonce ? 0 : -EBADMSG;
}

static const EVP_MD *hash_of(enum digest_algorithm algorithm)
{
	switch (algorithm) {
	case DIGEST_SHA_256:
		return EVP_sha256();
	case DIGEST_SHA_512_256:
		return EVP_sha512_256();
	default:
		return EVP_md5();
	}
}

/* H(texts joined by colons), in hex. */
static int hash(char out[DIGEST_HEX + 1], enum digest_algorithm algorithm, const char *const *texts,
		size_t n)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int len = 0;
	bool good = ctx && EVP_DigestInit_ex(ctx, hash_of(algorithm), NULL) == 1;

	for (size_t i = 0; good && i < n; i++)
		good = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
		       EVP_DigestUpdate(ctx, texts[i], strlen(texts[i])) == 1;
	good = good && EVP_DigestFinal_ex(ctx, bytes, &len) == 1;
	EVP_MD_CTX_free(ctx);
	if (!good || 2 * len > DIGEST_HEX)
		return -EIO;
	for (unsigned int i = 0; i < len; i++) {
		*out++ = "0123456789abcdef"[bytes[i] >> 4];
		*out++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*out = '\0';
	return 0;
}

#define HASH(out, in, ...)                                                                         \
	hash(out, (in)->algorithm, (const char *const[]){__VA_ARGS__},                             \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

int digest_response(char out[DIGEST_HEX + 1], const struct digest_input *in)
{
	char a1[DIGEST_HEX + 1], a2[DIGEST_HEX + 1], session[DIGEST_HEX + 1];
	int err = HASH(a1, in, in->user, in->realm, in->secret);

	if (!err && in->session) {
		err = HASH(session, in, a1, in->nonce, in->cnonce);
		memcpy(a1, session, sizeof(a1));
	}
	if (!err)
		err = HASH(a2, in, in->method, in->uri);
	if (!err && *in->qop)
		err = HASH(out, in, a1, in->nonce, in->nc, in->cnonce, in->qop, a2);
	else if (!err)
		err = HASH(out, in, a1, in->nonce, a2);
	OPENSSL_cleanse(a1, sizeof(a1));
	return err;
}

bool digest_equal(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

int digest_mac(unsigned char out[16], const unsigned char key[DIGEST_KEY], const char *bytes,
	       size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int mac_len = 0;

	if (!HMAC(EVP_sha256(), key, DIGEST_KEY, (const unsigned char *)bytes, len, mac, &mac_len))
		return -EIO;
	memcpy(out, mac, 16);
	return 0;
}
