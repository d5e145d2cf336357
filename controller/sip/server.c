// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static struct sip *stack(const struct sip_server *s)
{
	return s->bind->sip;
}

bool sip_server_by_branch(const struct sip_msg *m)
{
	return strncmp(m->branch, "z9hG4bK", 7) == 0 && m->branch[7];
}

/* RFC 3261 17.2.3: by branch, sent-by and method; what an RFC 2543 far end sends, by all that stays
 * the same. */
static struct sip_key key_of(const struct sip_msg *m, enum sip_method method)
{
	struct sip_hash h;

	sip_hash_start(&h, m->bind->sip);
	sip_hash_bytes(&h, (const char *)&m->bind->realm->index, sizeof(m->bind->realm->index));
	sip_hash_text(&h, method == SIP_OTHER ? m->method_name : sip_method_name(method));
	if (sip_server_by_branch(m)) {
		sip_hash_text(&h, m->branch);
		sip_hash_text(&h, m->via->host);
		sip_hash_text(&h, m->via->port ? m->via->port : "5060");
		return sip_hash_end(&h);
	}
	sip_hash_text(&h, m->top_via);
	sip_hash_text(&h, m->uri);
	sip_hash_text(&h, m->call_id);
	sip_hash_text(&h, m->from_tag);
	sip_hash_bytes(&h, (const char *)&m->cseq, sizeof(m->cseq));
	if (method != SIP_INVITE)
		sip_hash_text(&h, m->to_tag);
	return sip_hash_end(&h);
}

static struct sip_key merge_key(const struct sip_msg *m)
{
	struct sip_hash h;

	sip_hash_start(&h, m->bind->sip);
	sip_hash_bytes(&h, (const char *)&m->bind->realm->index, sizeof(m->bind->realm->index));
	sip_hash_text(&h, m->call_id);
	sip_hash_text(&h, m->from_tag);
	sip_hash_bytes(&h, (const char *)&m->cseq, sizeof(m->cseq));
	return sip_hash_end(&h);
}

struct sip_server *sip_server_find(const struct sip_msg *m, enum sip_method method)
{
	struct sip_key key = key_of(m, method);
	struct sip_server *s;

	SIP_KEY_FIND(hh, m->bind->sip->servers, &key, s);
	return s;
}

bool sip_server_merged(const struct sip_msg *m)
{
	struct sip_key key = merge_key(m);
	struct sip_server *s;

	SIP_KEY_FIND(hh_merge, m->bind->sip->merges, &key, s);
	return s != NULL;
}

bool sip_server_full(const struct sip *sip)
{
	return HASH_CNT(hh, sip->servers) >= SIP_SERVERS_MAX;
}

static void drop(char **text)
{
	free(*text);
	*text = NULL;
}

void sip_server_free(struct sip_server *s)
{
	struct sip *sip = stack(s);

	timer_stop(&s->timer);
	if (s->hh.tbl)
		HASH_DELETE(hh, sip->servers, s);
	if (s->hh_merge.tbl)
		HASH_DELETE(hh_merge, sip->merges, s);
	free(s->head);
	free(s->record_routes);
	free(s->sent);
	sip_pass_drop(&s->pass);
	free(s);
}

static void resend(struct sip_server *s)
{
	if (!s->sent)
		return;
	stack(s)->stats.retransmits++;
	sip_send_back(s->bind, &s->to, &s->fallback, s->sent, s->sent_len);
}

void sip_server_resend(struct sip_server *s)
{
	resend(s);
}

/* Timers G, H, I, J and L: one is armed, for whichever comes first. */
static void arm(struct sip_server *s)
{
	uint64_t now = loop_now_ms(stack(s)->loop);
	uint64_t left = s->over_at_ms > now ? s->over_at_ms - now : 1;

	timer_set(&s->timer, s->interval_ms && s->interval_ms < left ? s->interval_ms : left);
}

static void on_timer(void *owner)
{
	struct sip_server *s = owner;

	if (loop_now_ms(stack(s)->loop) >= s->over_at_ms) {
		sip_server_free(s);
		return;
	}
	if (s->interval_ms) {
		resend(s);
		s->interval_ms = least(2 * s->interval_ms, stack(s)->timing.t2);
	}
	arm(s);
}

static struct sip_server *server_new(const struct sip_msg *m, const char *tag, bool force_rport)
{
	struct sip *sip = m->bind->sip;
	struct sip_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bind = m->bind;
	s->to = sip_reply_to(m, force_rport);
	s->fallback = sip_reply_fallback(m);
	s->method = m->method;
	s->cseq = m->cseq;
	s->force_rport = force_rport;
	s->key = key_of(m, m->method);
	memcpy(s->tag, tag, strnlen(tag, SIP_TAG_LEN));
	timer_init(&s->timer, sip->loop, on_timer, s);
	SIP_KEY_ADD(hh, sip->servers, key, s);
	if (!s->hh.tbl) {
		free(s);
		return NULL;
	}
	return s;
}

/* Keeps the echoed headers for the responses to come. */
static bool keep_head(struct sip_server *s, const struct sip_msg *m, bool force_rport)
{
	struct buf head = {0}, routes = {0};

	sip_build_head(&head, m, s->tag, force_rport);
	sip_build_record_routes(&routes, m);
	if (head.failed || routes.failed) {
		buf_free(&head);
		buf_free(&routes);
		return false;
	}
	s->head = buf_take(&head);
	s->record_routes = buf_take(&routes);
	return true;
}

struct sip_server *sip_server_new(const struct sip_msg *m, struct leg *leg, const char *tag,
				  bool force_rport)
{
	struct sip_server *s = server_new(m, tag, force_rport);

	if (!s)
		return NULL;
	if (!keep_head(s, m, force_rport)) {
		sip_server_free(s);
		return NULL;
	}
	s->leg = leg;
	if (leg)
		s->pass = sip_pass_of(m);
	if (!*m->to_tag) {
		s->merge = merge_key(m);
		SIP_KEY_ADD(hh_merge, m->bind->sip->merges, merge, s);
	}
	return s;
}

static void keep_sent(struct sip_server *s)
{
	struct buf *out = &stack(s)->out;

	drop(&s->sent);
	s->sent = malloc(out->len);
	s->sent_len = out->len;
	if (s->sent)
		memcpy(s->sent, out->data, out->len);
}

/* Over a reliable transport no request comes again: timers I and J are 0, G does not run (17.2). */
static void after_final(struct sip_server *s, int code)
{
	const struct sip_timing *t = &stack(s)->timing;
	bool reliable = sip_bind_reliable(s->bind);
	uint64_t wait = reliable && s->method != SIP_INVITE ? 0 : 64ull * t->t1;

	drop(&s->head);
	drop(&s->record_routes);
	sip_pass_drop(&s->pass);
	s->leg = NULL;
	s->over_at_ms = loop_now_ms(stack(s)->loop) + wait;
	s->interval_ms = 0;
	if (s->method == SIP_INVITE && code < 300) {
		s->state = SERVER_ACCEPTED;
		drop(&s->sent);
	} else {
		s->state = SERVER_COMPLETED;
		if (s->method == SIP_INVITE && !reliable)
			s->interval_ms = t->t1;
		keep_sent(s);
	}
	arm(s);
}

int sip_server_reply(struct sip_server *s, const struct sip_reply *reply)
{
	struct sip *sip = stack(s);
	struct sip_reply with_routes = *reply;

	/* RFC 3261 12.1.1: in what may make a dialog. */
	if (reply->code > 100 && reply->code < 300)
		with_routes.record_routes = s->record_routes;
	sip_build_reply(&sip->out, s->bind, s->head, &with_routes);
	if (sip->out.failed)
		return -ENOMEM;
	sip_stats_response(&sip->stats, s->method, SIP_OUT, reply->code);
	sip_send_back(s->bind, &s->to, &s->fallback, sip->out.data, sip->out.len);
	if (reply->code >= 200)
		after_final(s, reply->code);
	else
		keep_sent(s);
	return 0;
}

void sip_server_answer(const struct sip_msg *m, const char *tag, bool force_rport,
		       const struct sip_reply *reply)
{
	struct sip_server *s = NULL;

	if (!sip_server_full(m->bind->sip))
		s = server_new(m, tag, force_rport);
	if (s && keep_head(s, m, force_rport) && sip_server_reply(s, reply) == 0)
		return;
	if (s)
		sip_server_free(s);
	sip_reply_stateless(m, force_rport, reply);
}

void sip_server_again(struct sip_server *s)
{
	if (s->state == SERVER_PROCEEDING || s->state == SERVER_COMPLETED)
		resend(s);
}

bool sip_server_acked(struct sip_server *s)
{
	if (s->state == SERVER_ACCEPTED || s->state == SERVER_PROCEEDING)
		return false;
	if (s->state == SERVER_COMPLETED) {
		s->state = SERVER_CONFIRMED;
		drop(&s->sent);
		s->interval_ms = 0;
		s->over_at_ms = loop_now_ms(stack(s)->loop) +
				(sip_bind_reliable(s->bind) ? 0 : stack(s)->timing.t4);
		arm(s);
	}
	return true;
}
