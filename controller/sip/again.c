// SPDX-License-Identifier: GPL-2.0-or-later
/* A request that was challenged goes out again with credentials (RFC 3261 22.2): the same text but
 * for its branch and number, so that whatever kind of request it is, nobody need build it twice. */
#include "sip/auth.h"
#include "sip/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One proxy and one far end, each with one nonce that was too old. */
enum { CHALLENGES_MAX = 4 };

static bool begins(const char *line, const char *name)
{
	return strncmp(line, name, strlen(name)) == 0;
}

/* The line with the branch exchanged. */
static void add_via(struct buf *out, const char *line, const char *end, const char *old,
		    const char *branch)
{
	const char *at = strstr(line, old);

	if (!at || at > end) {
		buf_add(out, line, (size_t)(end - line));
		return;
	}
	buf_add(out, line, (size_t)(at - line));
	buf_str(out, branch);
	at += strlen(old);
	buf_add(out, at, (size_t)(end - at));
}

/* Is this line credentials for the realm of those that are to be added, which replace it? */
static bool is_replaced(const char *line, const char *end, const char *header,
			const char *credentials)
{
	const char *realm = strstr(credentials, " realm=\""), *found;
	size_t len = realm ? strcspn(realm + 8, "\"") + 9 : 0;

	if (!realm || !begins(line, header) || line[strlen(header)] != ':')
		return false;
	found = strstr(line, " realm=\"");
	return found && found < end && strncmp(found, realm, len) == 0;
}

static void copy_request(struct buf *out, const struct sip_client *c, const char *branch,
			 uint32_t cseq, const char *header, const char *credentials)
{
	const char *line = c->request, *end;
	bool via = false;

	for (; (end = strstr(line, "\r\n")) != NULL && end != line; line = end + 2) {
		if (begins(line, "CSeq: ")) {
			buf_printf(out, "CSeq: %u %s\r\n%s", cseq, sip_method_name(c->method),
				   credentials);
			continue;
		}
		if (is_replaced(line, end, header, credentials))
			continue;
		if (begins(line, "Via: ") && !via) {
			via = true;
			add_via(out, line, end + 2, c->branch, branch);
			continue;
		}
		buf_add(out, line, (size_t)(end + 2 - line));
	}
	buf_add(out, line, c->request_len - (size_t)(line - c->request));
}

/* Every line of credentials in our request, for the ACK. */
static char *all_credentials(const char *request)
{
	const char *line = request, *end;
	struct buf out = {0};

	for (; (end = strstr(line, "\r\n")) != NULL && end != line; line = end + 2)
		if (begins(line, "Authorization: ") || begins(line, "Proxy-Authorization: "))
			buf_add(&out, line, (size_t)(end + 2 - line));
	return buf_take(&out);
}

static bool send_again(struct sip_client *c, const char *header, const char *credentials)
{
	struct sip *sip = c->bind->sip;
	char branch[SIP_BRANCH_LEN + 1];
	struct sip_client *next;
	void *owner = c->owner;
	bool reliable = sip_bind_reliable(c->bind);

	sip_branch_new(sip, branch);
	buf_reset(&sip->out);
	copy_request(&sip->out, c, branch, c->events->next_cseq(owner), header, credentials);
	if (sip_client_new_by(&next, c->bind, reliable ? NULL : c->large, &c->to, c->method,
			      branch))
		return false;
	if (next->method == SIP_INVITE)
		next->credentials = all_credentials(next->request);
	next->challenges = c->challenges + 1;
	sip_client_own(next, c->events, owner);
	sip_client_login(next, c->user, c->secret);
	c->owner = NULL;
	next->events->again(owner, next);
	return true;
}

bool sip_client_again(struct sip_client *c, const struct sip_msg *m)
{
	struct sip_proof proof = {.user = c->user,
				  .secret = c->secret,
				  .method = sip_method_name(c->method),
				  .request = c->request};
	struct buf credentials = {0};
	const char *uri, *end;
	bool done = false;

	if (!c->owner || !c->secret || !c->events->again || !c->request || c->cancel ||
	    (m->code != 401 && m->code != 407) || c->challenges >= CHALLENGES_MAX)
		return false;
	uri = strchr(c->request, ' ');
	end = uri ? strchr(uri + 1, ' ') : NULL;
	if (!end)
		return false;
	proof.uri = (struct slice){uri + 1, (size_t)(end - uri - 1)};
	if (sip_build_credentials(&credentials, m, &proof) == 0)
		done = send_again(c, sip_credentials_header(m->code), credentials.data);
	buf_free(&credentials);
	return done;
}
