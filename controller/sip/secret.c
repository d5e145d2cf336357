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

#define BRANCH_COOKIE "z9hG4bK" /* RFC 3261 8.1.1.7 */

/* A branch of ours behind that, in digits: at random, whose way it is, and a code that is a
 * function of both, so that none has to be remembered. */
enum { BRANCH_WAY = 16, BRANCH_CODE = 24, BRANCH_END = 32 };
_Static_assert(sizeof(BRANCH_COOKIE) - 1 + BRANCH_END == SIP_BRANCH_LEN, "branch");

static void branch_code(const struct sip *sip, const char *digits, char code[9])
{
	unsigned char bytes[4];
	struct sip_hash h;
	struct sip_key key;

	sip_hash_start(&h, sip);
	sip_hash_bytes(&h, digits, BRANCH_CODE);
	key = sip_hash_end(&h);
	memcpy(bytes, &key.hi, sizeof(bytes));
	add_hex(code, bytes, sizeof(bytes));
}

static void branch_finish(struct sip *sip, char branch[SIP_BRANCH_LEN + 1])
{
	char *digits = branch + sizeof(BRANCH_COOKIE) - 1;

	memcpy(branch, BRANCH_COOKIE, sizeof(BRANCH_COOKIE) - 1);
	branch_code(sip, digits, digits + BRANCH_CODE);
}

void sip_branch_new(struct sip *sip, char branch[SIP_BRANCH_LEN + 1], uint32_t way)
{
	char *digits = branch + sizeof(BRANCH_COOKIE) - 1;

	sip_random_hex(sip, digits, BRANCH_WAY / 2);
	snprintf(digits + BRANCH_WAY, BRANCH_CODE - BRANCH_WAY + 1, "%08x", way);
	branch_finish(sip, branch);
}

void sip_branch_again(struct sip *sip, char branch[SIP_BRANCH_LEN + 1],
		      const char former[SIP_BRANCH_LEN + 1])
{
	const size_t way = sizeof(BRANCH_COOKIE) - 1 + BRANCH_WAY;

	sip_random_hex(sip, branch + sizeof(BRANCH_COOKIE) - 1, BRANCH_WAY / 2);
	memcpy(branch + way, former + way, BRANCH_CODE - BRANCH_WAY);
	branch_finish(sip, branch);
}

bool sip_branch_seen(const struct sip *sip, const char *via, uint32_t way)
{
	const char *p = via;
	char code[9], ways[9];

	snprintf(ways, sizeof(ways), "%08x", way);
	while ((p = strstr(p, BRANCH_COOKIE)) != NULL) {
		p += sizeof(BRANCH_COOKIE) - 1;
		if (strnlen(p, BRANCH_END) < BRANCH_END)
			return false;
		branch_code(sip, p, code);
		if (!memcmp(p + BRANCH_CODE, code, 8) &&
		    (!memcmp(p + BRANCH_WAY, ways, 8) || !memcmp(p + BRANCH_WAY, "00000000", 8)))
			return true;
	}
	return false;
}
