// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is asked by a far end to prove who he is (RFC 3261 22.2, 22.3). */
#include "sip/auth.h"

#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *sip_credentials_header(int code)
{
	return code == 407 ? "Proxy-Authorization" : "Authorization";
}

/* Does the refused request hold credentials for that realm already? */
static bool tried(const struct sip_proof *proof, const char *header, const char *realm)
{
	const char *line = proof->request, *end;
	size_t len = strlen(header);

	for (; (end = strstr(line, "\r\n")) != NULL && end != line; line = end + 2) {
		struct digest_fields f;
		char *value;
		bool same;

		if (strncmp(line, header, len) != 0 || line[len] != ':')
			continue;
		value = strndup(line + len + 2, (size_t)(end - line) - len - 2);
		same = value && digest_parse(&f, value) == 0 && strcmp(f.realm, realm) == 0;
		free(value);
		if (same)
			return true;
	}
	return false;
}

static bool can_answer(const struct digest_fields *f, struct digest_input *in)
{
	return digest_algorithm_of(f->algorithm, &in->algorithm, &in->session) &&
	       (!*f->qop || digest_has_word(f->qop, "auth"));
}

/* The first challenge that we can answer: a server lists what it likes best first (RFC 8760 2.4).
 */
static int pick(const struct sip_msg *m, struct digest_fields *f, struct digest_input *in)
{
	enum sip_header kind = m->code == 407 ? SIP_H_PROXY_AUTHENTICATE : SIP_H_WWW_AUTHENTICATE;

	for (size_t i = 0; i < m->n_lines; i++)
		if (m->lines[i].kind == kind && digest_parse(f, m->lines[i].value) == 0 &&
		    can_answer(f, in))
			return 0;
	return -ENOTSUP;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, ", %s=", name);
	buf_add(out, "\"", 1);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_add(out, "\\", 1);
		buf_add(out, value, 1);
	}
	buf_add(out, "\"", 1);
}

static void add_credentials(struct buf *out, const struct digest_fields *f,
			    const struct digest_input *in, const char *response)
{
	buf_str(out, "Digest algorithm=");
	buf_str(out, digest_name(in->algorithm));
	buf_str(out, in->session ? "-sess" : "");
	add_field(out, "username", in->user);
	add_field(out, "realm", f->realm);
	add_field(out, "nonce", f->nonce);
	add_field(out, "uri", in->uri);
	add_field(out, "response", response);
	if (*in->qop || in->session)
		add_field(out, "cnonce", in->cnonce);
	if (*in->qop)
		buf_printf(out, ", qop=%s, nc=%s", in->qop, in->nc);
	if (*f->opaque)
		add_field(out, "opaque", f->opaque);
	buf_add(out, "\r\n", 2);
}

int sip_build_credentials(struct buf *out, const struct sip_msg *m, const struct sip_proof *proof)
{
	const char *header = sip_credentials_header(m->code);
	char response[DIGEST_HEX + 1], cnonce[17];
	struct digest_input in = {.user = proof->user,
				  .secret = proof->secret,
				  .method = proof->method,
				  .cnonce = cnonce,
				  .nc = "00000001"};
	struct digest_fields f;
	char *uri;
	int err = pick(m, &f, &in);

	if (err)
		return err;
	/* Once for each job: what was refused before is only worth another try if its nonce was
	 * too old. */
	if (strcasecmp(f.stale, "true") != 0 && tried(proof, header, f.realm))
		return -EACCES;
	uri = strndup(proof->uri.p, proof->uri.len);
	if (!uri)
		return -ENOMEM;
	sip_random_hex(m->bind->sip, cnonce, 8);
	in.uri = uri;
	in.realm = f.realm;
	in.nonce = f.nonce;
	in.qop = *f.qop ? "auth" : "";
	err = digest_response(response, &in);
	if (!err) {
		buf_printf(out, "%s: ", header);
		add_credentials(out, &f, &in, response);
		err = out->failed ? -ENOMEM : 0;
	}
	free(uri);
	return err;
}
