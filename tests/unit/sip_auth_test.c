// SPDX-License-Identifier: GPL-2.0-or-later
/* Challenges and what answers them, their age and number, and REGISTER as it comes in. */
#include "sip_lab.h"

#include "sip/auth.h"

#define URI "sip:127.0.0.1"

static struct {
	enum sip_auth auth;
	unsigned int digest;
	struct sip_registration seen; /* its texts are dead */
	char uris[1024];
	struct sip_registered answer;
} world;

/* Everybody is "alice" with "s3cret". */
static void admit(void *ctx, const struct sip_request *request, struct sip_verdict *verdict)
{
	struct lab *lab = ctx;

	lab->admitted++;
	world.auth = sip_authenticate(request, "alice", "s3cret", world.digest);
	if (world.auth == SIP_AUTH_OK)
		return;
	verdict->code = world.auth == SIP_AUTH_WRONG ? 403 : 401;
	verdict->challenge = world.auth != SIP_AUTH_WRONG;
	verdict->stale = world.auth == SIP_AUTH_STALE;
	verdict->digest = world.digest;
}

static void registration(void *ctx, const struct sip_registration *r, struct sip_registered *out)
{
	(void)ctx;
	world.seen = *r;
	world.uris[0] = '\0';
	for (size_t i = 0; i < r->n; i++) {
		char text[ADDR_TEXT];
		size_t len = strlen(world.uris);

		snprintf(world.uris + len, sizeof(world.uris) - len, "%s=%s@%lld ",
			 r->contacts[i].uri, addr_print(text, &r->contacts[i].addr),
			 (long long)r->contacts[i].expires_s);
	}
	*out = world.answer;
}

static int setup(void **state)
{
	struct lab *lab = lab_open(&lab_short);

	lab->sip->handlers.admit = admit;
	lab->sip->handlers.registration = registration;
	memset(&world, 0, sizeof(world));
	world.digest = CONF_DIGEST_MD5 | CONF_DIGEST_SHA_256;
	world.answer.code = 200;
	*state = lab;
	return 0;
}

/* A REGISTER; `more` are header lines. */
static void ask(struct lab *lab, const char *more)
{
	static unsigned int n;

	n++;
	far_send(lab, &lab->far,
		 "REGISTER " URI " SIP/2.0\n"
		 "Via: SIP/2.0/UDP %s;branch=z9hG4bKreg%u\n"
		 "From: <sip:alice@127.0.0.1>;tag=ft\n"
		 "To: <sip:alice@127.0.0.1>\n"
		 "Call-ID: reg\n"
		 "CSeq: %u REGISTER\n%s\n",
		 lab->far_text, n, n, more);
}

/* The nonce of the challenge last received. */
static const char *nonce(struct lab *lab)
{
	static char text[256];
	const char *p = strstr(lab->far.text, "nonce=\"");

	text[0] = '\0';
	if (p)
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(p + 7, "\""), p + 7);
	return text;
}

static const char *credentials(const char *nonce_text, const char *secret, const char *nc,
			       enum digest_algorithm algorithm, const char *more)
{
	static char line[1024];
	struct digest_input in = {.algorithm = algorithm,
				  .user = "alice",
				  .realm = "rtpfwd",
				  .secret = secret,
				  .method = "REGISTER",
				  .uri = URI,
				  .nonce = nonce_text,
				  .cnonce = "c",
				  .nc = nc,
				  .qop = "auth"};
	char response[DIGEST_HEX + 1];

	assert_int_equal(digest_response(response, &in), 0);
	snprintf(line, sizeof(line),
		 "Authorization: Digest username=\"alice\", realm=\"rtpfwd\", nonce=\"%s\", "
		 "uri=\"" URI "\", response=\"%s\", algorithm=%s, qop=auth, nc=%s, "
		 "cnonce=\"c\"\n%s",
		 nonce_text, response, digest_name(algorithm), nc, more);
	return line;
}

static void challenged(struct lab *lab)
{
	ask(lab, "");
	far_expect(lab, &lab->far, "SIP/2.0 401 ");
	assert_int_equal(world.auth, SIP_AUTH_NONE);
}

static void both_algorithms(void **state)
{
	struct lab *lab = *state;
	char wanted[512], text[256];

	challenged(lab);
	snprintf(text, sizeof(text), "%s", nonce(lab));
	assert_int_equal(strlen(text), 60);
	snprintf(wanted, sizeof(wanted),
		 "Digest realm=\"rtpfwd\", nonce=\"%s\", algorithm=SHA-256, qop=\"auth\"", text);
	assert_string_equal(far_header_n(&lab->far, "WWW-Authenticate", 0), wanted);
	snprintf(wanted, sizeof(wanted),
		 "Digest realm=\"rtpfwd\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"", text);
	assert_string_equal(far_header_n(&lab->far, "WWW-Authenticate", 1), wanted);
	assert_string_equal(far_header_n(&lab->far, "WWW-Authenticate", 2), "");
	/* A challenge costs no memory. */
	assert_int_equal(lab_transactions(lab), 0);
	ask(lab, credentials(text, "s3cret", "00000001", DIGEST_MD5, ""));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	ask(lab, credentials(text, "s3cret", "00000002", DIGEST_SHA_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	ask(lab, credentials(text, "s3cret", "00000003", DIGEST_SHA_512_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 403 ");
	lab_drain(lab);
}

static void one_algorithm(void **state)
{
	struct lab *lab = *state;

	world.digest = CONF_DIGEST_SHA_256;
	challenged(lab);
	assert_string_equal(far_header_n(&lab->far, "WWW-Authenticate", 1), "");
	ask(lab, credentials(nonce(lab), "s3cret", "00000001", DIGEST_MD5, ""));
	far_expect(lab, &lab->far, "SIP/2.0 403 ");
	world.digest |= CONF_DIGEST_MD5;
	ask(lab, "User-Agent: baresip v1.0.0 (x86_64/linux)\n");
	far_expect(lab, &lab->far, "SIP/2.0 401 ");
	assert_non_null(strstr(far_header(&lab->far, "WWW-Authenticate"), "algorithm=MD5"));
	assert_string_equal(far_header_n(&lab->far, "WWW-Authenticate", 1), "");
}

static void counts(void **state)
{
	static const struct {
		const char *nc;
		enum sip_auth auth;
	} rows[] = {
		{"00000001", SIP_AUTH_OK},    {"00000001", SIP_AUTH_STALE},
		{"00000003", SIP_AUTH_OK},    {"00000002", SIP_AUTH_STALE},
		{"00000000", SIP_AUTH_WRONG}, {"4", SIP_AUTH_WRONG},
		{"0000000g", SIP_AUTH_WRONG}, {"ffffffff", SIP_AUTH_OK},
		{"ffffffff", SIP_AUTH_STALE},
	};
	struct lab *lab = *state;
	char text[256];

	challenged(lab);
	snprintf(text, sizeof(text), "%s", nonce(lab));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ask(lab, credentials(text, "s3cret", rows[i].nc, DIGEST_SHA_256, ""));
		far_expect(lab, &lab->far, "SIP/2.0 ");
		if (world.auth != rows[i].auth)
			fail_msg("row %zu: %d", i, world.auth);
	}
	lab_drain(lab);
}

static void forged(void **state)
{
	struct lab *lab = *state;
	char text[256];

	challenged(lab);
	snprintf(text, sizeof(text), "%s", nonce(lab));
	for (size_t i = 0; i < strlen(text); i += 7) {
		char kept = text[i];

		text[i] = kept == '0' ? '1' : '0';
		ask(lab, credentials(text, "s3cret", "00000001", DIGEST_SHA_256, ""));
		far_expect(lab, &lab->far, "SIP/2.0 401 ");
		assert_non_null(strstr(lab->far.text, ", stale=true\r\n"));
		text[i] = kept;
	}
	ask(lab, credentials(text, "guess", "00000001", DIGEST_SHA_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 403 ");
	ask(lab, credentials(text, "s3cret", "00000001", DIGEST_SHA_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 200 ");
	lab_drain(lab);
}

static void too_old(void **state)
{
	struct lab *lab = *state;
	char text[256];

	lab->sip->guard->lifetime_ms = 30;
	challenged(lab);
	snprintf(text, sizeof(text), "%s", nonce(lab));
	poll(NULL, 0, 50);
	lab_turn(lab);
	ask(lab, credentials(text, "s3cret", "00000001", DIGEST_SHA_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 401 ");
	assert_int_equal(world.auth, SIP_AUTH_STALE);
}

/* When the table is full the first nonces go, and cannot be used again. */
static void table_is_bounded(void **state)
{
	struct lab *lab = *state;
	char first[256];

	lab->sip->guard->max = 4;
	for (int i = 0; i < 20; i++) {
		challenged(lab);
		if (i == 0)
			snprintf(first, sizeof(first), "%s", nonce(lab));
		ask(lab, credentials(nonce(lab), "s3cret", "00000001", DIGEST_SHA_256, ""));
		far_expect(lab, &lab->far, "SIP/2.0 ");
		assert_in_range(HASH_COUNT(lab->sip->guard->nonces), 0, 4);
		poll(NULL, 0, 2);
		lab_turn(lab);
	}
	ask(lab, credentials(first, "s3cret", "00000001", DIGEST_SHA_256, ""));
	far_expect(lab, &lab->far, "SIP/2.0 401 ");
	assert_int_equal(world.auth, SIP_AUTH_STALE);
	lab_drain(lab);
}

/* Asks with good credentials and these Contacts. */
static void bind_contacts(struct lab *lab, const char *more, const char *status)
{
	challenged(lab);
	ask(lab, credentials(nonce(lab), "s3cret", "00000001", DIGEST_SHA_256, more));
	far_expect(lab, &lab->far, status);
}

static void contacts(void **state)
{
	struct lab *lab = *state;

	world.answer.contacts[0] = (struct sip_contact){.uri = "sip:a@b", .expires_s = 7};
	world.answer.n = 1;
	bind_contacts(lab,
		      "Contact: \"A, B\" <sip:alice@10.0.0.1:5062;line=1>;q=0.5;expires=30, "
		      "<sip:alice@host.example>;EXPIRES=bad\n"
		      "m: sip:alice@10.0.0.2;expires=9\nExpires: 100\n",
		      "SIP/2.0 200 ");
	assert_string_equal(world.uris, "sip:alice@10.0.0.1:5062;line=1=10.0.0.1:5062@30 "
					"sip:alice@host.example=@3600 "
					"sip:alice@10.0.0.2=10.0.0.2:5060@9 ");
	assert_string_equal(far_header(&lab->far, "Contact"), "<sip:a@b>;expires=7");
	bind_contacts(lab, "Contact: <sip:x@10.0.0.1>\nExpires: 100\n", "SIP/2.0 200 ");
	assert_string_equal(world.uris, "sip:x@10.0.0.1=10.0.0.1:5060@100 ");
	bind_contacts(lab, "Contact: <sip:x@10.0.0.1>\n", "SIP/2.0 200 ");
	assert_string_equal(world.uris, "sip:x@10.0.0.1=10.0.0.1:5060@-1 ");
	bind_contacts(lab, "", "SIP/2.0 200 ");
	assert_int_equal(world.seen.n, 0);
	assert_false(world.seen.all);
	bind_contacts(lab, "Contact: *\nExpires: 0\n", "SIP/2.0 200 ");
	assert_true(world.seen.all);
	lab_drain(lab);
}

static void bad_contacts(void **state)
{
	static const char *const lines[] = {
		"Contact: *\n",
		"Contact: *\nExpires: 1\n",
		"Contact: *, <sip:a@b>\nExpires: 0\n",
		"Contact: <sip:a@b>, *\nExpires: 0\n",
		"Contact: <tel:+1>\n",
		"Contact: <sip:a@b?x=y>\n",
		"Contact: <sip:a b@c>\n",
		"Contact: <sip:>\n",
		"Contact: <>\n",
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		bind_contacts(lab, lines[i], "SIP/2.0 400 ");
	bind_contacts(lab,
		      "Contact: <sip:1@h>,<sip:2@h>,<sip:3@h>,<sip:4@h>,<sip:5@h>,<sip:6@h>\n"
		      "Contact: <sip:7@h>,<sip:8@h>,<sip:9@h>,<sip:10@h>,<sip:11@h>\n",
		      "SIP/2.0 403 ");
	world.answer = (struct sip_registered){.code = 423, .min_expires_s = 60};
	bind_contacts(lab, "Contact: <sip:1@h>;expires=1\n", "SIP/2.0 423 Interval Too Brief");
	assert_string_equal(far_header(&lab->far, "Min-Expires"), "60");
	lab_drain(lab);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, lab_teardown)
	static const struct CMUnitTest tests[] = {
		TEST(both_algorithms), TEST(one_algorithm),    TEST(counts),   TEST(forged),
		TEST(too_old),	       TEST(table_is_bounded), TEST(contacts), TEST(bad_contacts),
	};

	return cmocka_run_group_tests_name("sip_auth", tests, NULL, NULL);
}
