// SPDX-License-Identifier: GPL-2.0-or-later
/* Random texts and the keyed hash (SipHash-2-4 with 128 bits out, Aumasson and Bernstein). */
#include "sip/stack.h"

#include <string.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void absorb(struct sip_hash *h, uint64_t word)
{
	h->v[3] ^= word;
	mix(h->v);
	mix(h->v);
	h->v[0] ^= word;
}

static uint64_t squeeze(uint64_t v[4])
{
	for (int i = 0; i < 4; i++)
		mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void sip_hash_start(struct sip_hash *h, const struct sip *sip)
{
	h->v[0] = sip->secret[0] ^ 0x736f6d6570736575;
	h->v[1] = sip->secret[1] ^ 0x646f72616e646f6d ^ 0xee;
	h->v[2] = sip->secret[0] ^ 0x6c7967656e657261;
	h->v[3] = sip->secret[1] ^ 0x7465646279746573;
	h->word = 0;
	h->len = 0;
}

void sip_hash_bytes(struct sip_hash *h, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		h->word |= (uint64_t)(unsigned char)bytes[i] << (h->len % 8 * 8);
		if (++h->len % 8 == 0) {
			absorb(h, h->word);
			h->word = 0;
		}
	}
}

void sip_hash_text(struct sip_hash *h, const char *text)
{
	sip_hash_bytes(h, text, strlen(text) + 1);
}

struct sip_key sip_hash_end(struct sip_hash *h)
{
	struct sip_key key;

	absorb(h, h->word | (uint64_t)h->len << 56);
	h->v[2] ^= 0xee;
	key.lo = squeeze(h->v);
	h->v[1] ^= 0xdd;
	key.hi = squeeze(h->v);
	return key;
}

static void random_bytes(struct sip *sip, unsigned char *out, size_t n)
{
	while (n > sip->pool_left) {
		/* Never fails once the kernel's generator is seeded, but a signal may cut it short.
		 */
		if (getrandom(sip->pool, sizeof(sip->pool), 0) == (ssize_t)sizeof(sip->pool))
			sip->pool_left = sizeof(sip->pool);
	}
	sip->pool_left -= n;
	memcpy(out, sip->pool + sip->pool_left, n);
}

static void add_hex(char *out, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = "0123456789abcdef"[bytes[i] >> 4];
		*out++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*out = '\0';
}

void sip_random_hex(struct sip *sip, char *out, size_t n)
{
	unsigned char bytes[16];

	random_bytes(sip, bytes, n);
	add_hex(out, bytes, n);
}

unsigned int sip_random_below(struct sip *sip, unsigned int limit)
{
	unsigned char bytes[2];

	random_bytes(sip, bytes, sizeof(bytes));
	return (bytes[0] * 256u + bytes[1]) % limit;
}

/* The code that ends a branch of ours: a function of its random part, so that none has to be
 * remembered. */
static void branch_code(const struct sip *sip, const char *random, char code[9])
{
	unsigned char bytes[4];
	struct sip_hash h;
	struct sip_key key;

	sip_hash_start(&h, sip);
	sip_hash_bytes(&h, random, 16);
	key = sip_hash_end(&h);
	memcpy(bytes, &key.hi, sizeof(bytes));
	add_hex(code, bytes, sizeof(bytes));
}

void sip_branch_new(struct sip *sip, char branch[SIP_BRANCH_LEN + 1])
{
	memcpy(branch, "z9hG4bK", 7);
	sip_random_hex(sip, branch + 7, 8);
	branch_code(sip, branch + 7, branch + 7 + 16);
}

bool sip_branch_seen(const struct sip *sip, const char *via)
{
	const char *p = via;
	char code[9];

	while ((p = strstr(p, "z9hG4bK")) != NULL) {
		p += 7;
		if (strnlen(p, 24) < 24)
			return false;
		branch_code(sip, p, code);
		if (memcmp(p + 16, code, 8) == 0)
			return true;
	}
	return false;
}
