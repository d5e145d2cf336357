// SPDX-License-Identifier: GPL-2.0-or-later
/* A request that was challenged goes out again with credentials (RFC 3261 22.2), or with a longer
 * session interval (RFC 4028 7.3): the same text but for its branch and number, so that whatever
 * kind of request it is, nobody need build it twice. */
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

/* Are both credentials for the same realm? */
static bool same_realm(const char *line, const char *end, const char *other)
{
	const char *realm = strstr(other, " realm=\""), *found = strstr(line, " realm=\"");

	return realm && found && found < end &&
	       strncmp(found, realm, strcspn(realm + 8, "\"") + 9) == 0;
}

/* Does one of the new lines take the place of this one? Credentials do for one realm. */
static bool is_replaced(const char *line, const char *end, const char *lines)
{
	size_t name = strcspn(line, ":") + 1;

	for (; *lines; lines = strstr(lines, "\r\n") + 2)
		if (strncmp(line, lines, name) == 0 &&
		    (!strstr(lines, " realm=\"") || same_realm(line, end, lines)))
			return true;
	return false;
}

/* `lines` go behind CSeq. */
static void copy_request(struct buf *out, const struct sip_client *c, const char *branch,
			 uint32_t cseq, const char *lines)
{
	const char *line = c->request, *end;
	bool via = false;

	for (; (end = strstr(line, "\r\n")) != NULL && end != line; line = end + 2) {
		if (begins(line, "CSeq: ")) {
			buf_printf(out, "CSeq: %u %s\r\n%s", cseq, sip_method_name(c->method),
				   lines);
			continue;
		}
		if (is_replaced(line, end, lines))
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

bool sip_client_repeat(struct sip_client *c, void *owner, const char *lines)
{
	struct sip *sip = c->bind->sip;
	char branch[SIP_BRANCH_LEN + 1];
	struct sip_client *next;
	bool reliable = sip_bind_reliable(c->bind);

	sip_branch_again(sip, branch, c->branch);
	buf_reset(&sip->out);
	copy_request(&sip->out, c, branch, c->events->next_cseq(owner), lines);
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
		done = sip_client_repeat(c, c->owner, credentials.data);
	buf_free(&credentials);
	return done;
}
