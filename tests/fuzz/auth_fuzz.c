// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who are you, in: digest credentials and REGISTER, with the registrar behind. Input as in
 * sip_fuzz.c, and `$r` in credentials is the right response to what stands around it: without one
 * nobody may be registered.
 */
#include "wire.h"

#include "lib/log.h"
#include "reach/reach.h"
#include "sip/digest.h"

enum { CONTACTS_MAX = 2 * 2 };

static const char conf_text[] =
	"[general]\nminexpiry = 1\n[one]\ntype = realm\ninterface = lo\n"
	"bind = udp:127.0.0.1:0\nmedia = 127.0.0.1\nports = 10000-10999\n"
	"[alice]\ntype = friend\nrealm = one\nhost = dynamic\nsecret = s3cret\n"
	"maxcontacts = 2\n"
	"[anna]\ntype = friend\nhost = dynamic\nsecret = s3cret\nmaxcontacts = 2\n"
	"nat = force_rport\n";

struct node {
	struct loop *loop;
	struct sip *sip;
	struct reach *reach;
	struct addr far;
	bool proven; /* the input had a right response */
};

static void on_admit(void *ctx, const struct sip_request *request, struct sip_verdict *verdict)
{
	struct node *n = ctx;

	reach_admit(n->reach, request, verdict);
}

static void on_registration(void *ctx, const struct sip_registration *registration,
			    struct sip_registered *out)
{
	struct node *n = ctx;

	reach_registration(n->reach, registration, out);
}

static void start(struct node *n)
{
	struct sip_handlers handlers = {
		.admit = on_admit, .registration = on_registration, .ctx = n};
	struct conf *conf = wire_conf(conf_text);
	struct peers *peers = NULL;
	char why[256];

	wire_reset();
	addr_parse(&n->far, "127.0.0.1:5062");
	n->loop = loop_new();
	if (!n->loop || peers_new(&peers, conf, why, sizeof(why)) ||
	    reach_new(&n->reach, n->loop, peers) ||
	    sip_new(&n->sip, conf, n->loop, &handlers, why, sizeof(why)))
		fuzz_die("no stack");
	reach_attach(n->reach, n->sip);
	peers_unref(peers);
	conf_unref(conf);
}

/* What the last credentials before `at` must answer; false: there is nothing to prove. */
static bool prove(const char *text, const char *at, char response[DIGEST_HEX + 1])
{
	const char *line = NULL, *next = text;
	char method[16], value[2048];
	struct digest_fields f;
	struct digest_input in;

	while ((next = strcasestr(next, "Authorization:")) != NULL && next < at)
		line = next++;
	if (!line || sscanf(text, "%15s", method) != 1 ||
	    sscanf(line + strlen("Authorization:"), " %2047[^\r\n]", value) != 1 ||
	    digest_parse(&f, value))
		return false;
	in = (struct digest_input){.user = f.username,
				   .realm = f.realm,
				   .secret = "s3cret",
				   .method = method,
				   .uri = f.uri,
				   .nonce = f.nonce,
				   .cnonce = f.cnonce,
				   .nc = f.nc,
				   .qop = f.qop};
	return digest_algorithm_of(f.algorithm, &in.algorithm, &in.session) &&
	       digest_response(response, &in) == 0;
}

static void receive(void *ctx, const char *in, size_t len)
{
	static char filled[DATAGRAM_MAX + DIGEST_HEX + 1];
	size_t size = wire_fill(filled, in, len), hex;
	char response[DIGEST_HEX + 1], *at;
	struct node *n = ctx;

	filled[size] = '\0';
	at = memmem(filled, size, "$r", 2);
	if (at && prove(filled, at, response)) {
		hex = strlen(response);
		memmove(at + hex, at + 2, size - (size_t)(at + 2 - filled));
		memcpy(at, response, hex);
		size += hex - 2;
		n->proven = true;
	}
	wire_receive(n->sip, &n->far, filled, size < DATAGRAM_MAX ? size : DATAGRAM_MAX);
}

static void check(const struct node *n)
{
	struct reach_report report;

	reach_report(n->reach, &report);
	if (report.registrations > CONTACTS_MAX)
		fuzz_die("more bindings than maxcontacts allows");
	if (report.registrations && !n->proven)
		fuzz_die("registered without a proof");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_open(LOG_LEVEL_ERROR);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node n = {0};

	start(&n);
	wire_each(data, size, receive, &n);
	check(&n);
	reach_free(n.reach);
	sip_free(n.sip);
	loop_free(n.loop);
	return 0;
}
