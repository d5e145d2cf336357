// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module of the test alone: the ciphers of rtpfwd.ko given the session keys of the RFCs, which
 * cannot be given from outside. Once as the machine offers and once without SIMD. Says TAP to the
 * kernel's log when it is loaded.
 */
#define pr_fmt(text) "vectors: " text

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../../kmod/cipher.h"
#include "../../kmod/rtpfwd_nl.h"

#define SIZE 160

struct vector {
	const char *name;
	u8 suite;
	bool rtcp;
	const char *key, *salt; /* of the session */
	u32 head;
	u64 index;
	const char *clear, *sealed;
};

/* RFC 3711 B.2 is key stream: zeroes encrypted, without a header. */
static const struct vector vectors[] = {
	{ "rfc3711_b2_aes_cm", RTPFWD_AES_CM_128_HMAC_SHA1_80, false,
	  "2b7e151628aed2a6abf7158809cf4f3c", "f0f1f2f3f4f5f6f7f8f9fafbfcfd", 0, 0,
	  "000000000000000000000000000000000000000000000000"
	  "000000000000000000000000000000000000000000000000",
	  "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f7"
	  "2a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0" },
	{ "rfc7714_16_1_1_aead_aes_128_gcm", RTPFWD_AEAD_AES_128_GCM, false,
	  "000102030405060708090a0b0c0d0e0f", "517569642070726f2071756f", 12, 0xf17b,
	  "8040f17b8041f8d35501a0b247616c6c696120657374206f"
	  "6d6e69732064697669736120696e207061727465732074726573",
	  "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd5"
	  "0d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce" },
	{ "rfc7714_16_2_1_aead_aes_256_gcm", RTPFWD_AEAD_AES_256_GCM, false,
	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  "517569642070726f2071756f", 12, 0xf17b,
	  "8040f17b8041f8d35501a0b247616c6c696120657374206f"
	  "6d6e69732064697669736120696e207061727465732074726573",
	  "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab1801238"
	  "9a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13" },
	{ "rfc7714_17_1_srtcp_aead_aes_128_gcm", RTPFWD_AEAD_AES_128_GCM, true,
	  "000102030405060708090a0b0c0d0e0f", "517569642070726f2071756f", 8, 0x5d4,
	  "81c8000d4d6172734e5450314e545032525450200000042a"
	  "0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
	  "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d"
	  "c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf872"
	  "45d9eade800005d4" },
	{ "rfc7714_17_2_srtcp_aead_aes_256_gcm", RTPFWD_AEAD_AES_256_GCM, true,
	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  "517569642070726f2071756f", 8, 0x5d4,
	  "81c8000d4d6172734e5450314e545032525450200000042a"
	  "0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
	  "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50"
	  "a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6c"
	  "b26ac3be800005d4" },
};

static int number;

static void say(bool good, const char *name, const char *how)
{
	pr_info("%s %d - %s%s\n", good ? "ok" : "not ok", ++number, name, how);
}

static u32 bytes_of(u8 *out, const char *hex)
{
	u32 size = strlen(hex) / 2;

	return size > SIZE || hex2bin(out, hex, size) ? 0 : size;
}

/* A cipher with session keys; 0 or an error. */
static int keyed(struct cipher *c, u8 suite, bool rtcp, const char *key, const char *salt,
		 const char *auth)
{
	u8 bytes[SIZE], hmac[SIZE] = {};

	memset(c, 0, sizeof(*c));
	c->suite = cipher_suite(suite);
	c->tag = rtcp ? c->suite->rtcp_tag : c->suite->tag;
	bytes_of(bytes, salt);
	memcpy(c->salt, bytes, c->suite->salt_size);
	if (auth)
		bytes_of(hmac, auth);
	return bytes_of(bytes, key) == c->suite->key_size
		       ? c->suite->ops->make(c, bytes, c->suite->key_size, hmac)
		       : -EINVAL;
}

/* Without what uses SIMD, as where it is not permitted. */
static void without_simd(struct cipher *c, struct cipher *whole)
{
	*whole = *c;
	if (c->suite->auth_size)
		c->cm.simd = NULL;
	else
		c->gcm.simd = NULL;
}

static bool seals_and_opens(struct cipher *c, const struct vector *v, u8 *data, u8 *clear)
{
	struct srtp_packet p = {
		.data = data, .head = v->head, .index = v->index, .rtcp = v->rtcp
	};
	u8 *want = clear + SIZE;
	u32 size;

	p.length = bytes_of(clear, v->clear);
	size = bytes_of(want, v->sealed);
	if (!p.length || !size)
		return false;
	memcpy(data, clear, p.length);
	if (v->head == 12)
		p.ssrc = 0x5501a0b2;
	else if (v->head == 8)
		p.ssrc = 0x4d617273;
	if (c->suite->ops->seal(c, &p) || memcmp(data, want, size))
		return false;
	return !c->suite->ops->open(c, &p) && !memcmp(data, clear, p.length);
}

static void try(const struct vector *v, bool simd, u8 *memory)
{
	struct cipher c, whole;
	bool good;

	if (keyed(&c, v->suite, v->rtcp, v->key, v->salt, NULL)) {
		cipher_end(&c);
		say(false, v->name, " has no cipher");
		return;
	}
	without_simd(&c, &whole);
	good = seals_and_opens(simd ? &whole : &c, v, memory, memory + SIZE);
	say(good, v->name, simd ? "" : "_without_simd");
	cipher_end(&whole);
}

/* What is derived seals as the derived keys of RFC 3711 B.3 do. */
static void derivation(u8 *memory)
{
	struct srtp_packet p = { .data = memory, .head = 12, .length = 60, .index = 77 };
	struct cipher derived = {}, given = {};
	u8 key[SIZE], salt[SIZE];
	bool good = false;

	bytes_of(key, "e1f97a0d3e018be0d64fa32c06de4139");
	bytes_of(salt, "0ec675ad498afeebb6960b3aabe6");
	if (!cipher_init(&derived, cipher_suite(1), false, key, salt) &&
	    !keyed(&given, 1, false, "c61e7a93744f39ee10734afe3ff7a087",
		   "30cbbc08863d8c85d49db34a9ae1", "cebe321f6ff7716b6fd4ab49af256a156d38baa4")) {
		memset(memory, 0x5a, 2 * SIZE);
		good = !memcmp(derived.salt, given.salt, 14) &&
		       !derived.suite->ops->seal(&derived, &p);
		p.data = memory + SIZE;
		good = good && !given.suite->ops->seal(&given, &p) &&
		       !memcmp(memory, memory + SIZE, 70);
	}
	cipher_end(&given);
	cipher_end(&derived);
	say(good, "rfc3711_b3_key_derivation", "");
}

static int __init load(void)
{
	u8 *memory = kzalloc(3 * SIZE, GFP_KERNEL);

	if (!memory)
		return -ENOMEM;
	pr_info("1..%zu\n", 2 * ARRAY_SIZE(vectors) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		try(&vectors[i], true, memory);
		try(&vectors[i], false, memory);
	}
	derivation(memory);
	kfree(memory);
	return 0;
}

static void __exit unload(void)
{
}

module_init(load);
module_exit(unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Vectors for the ciphers of rtpfwd.ko");
