// SPDX-License-Identifier: GPL-2.0-or-later
/* Subscriptions (RFC 6665) through the node: their two dialogs, for as long as they are agreed
 * upon.
 */
#include "sip/relay_priv.h"
#include "sip/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	SUBSCRIPTIONS_MAX = 20000,
	EXPIRES_MAX_S = 86400, /* longer ones are refreshed before, or are gone */
	EXPIRES_DEFAULT_S = 3600,
	REFER_S = 180, /* until its first NOTIFY says more */
};

static void drop_end(struct sip_end *end)
{
	if (end->hh.tbl)
		HASH_DELETE(hh, end->of->sip->ends, end);
	end->hh.tbl = NULL;
	sip_dialog_clear(&end->dialog);
}

void subscription_forget_target(struct subscription *s)
{
	drop_end(&s->end[1]);
}

void subscription_free(struct subscription *s)
{
	timer_stop(&s->life);
	drop_end(&s->end[0]);
	drop_end(&s->end[1]);
	free(s);
}

void subscriptions_free(struct sip *sip)
{
	while (sip->ends)
		subscription_free(sip->ends->of);
}

static void on_life(void *owner)
{
	subscription_free(owner);
}

/* What is agreed upon, and the time that a last request may take. */
static void live_for(struct subscription *s, uint32_t seconds)
{
	uint64_t bounded = seconds < EXPIRES_MAX_S ? seconds : EXPIRES_MAX_S;

	timer_set(&s->life, 1000 * bounded + 64ull * s->sip->timing.t1);
}

/* The dialog with whoever sent the request that makes it. */
static bool fill_asking(struct sip_dialog *d, const struct sip_msg *m, const char *tag)
{
	struct buf local = {0};

	buf_printf(&local, "%s;tag=%s", m->first[SIP_H_TO], tag);
	d->bind = m->bind;
	d->call_id = strdup(m->call_id);
	d->local_tag = strdup(tag);
	d->remote_tag = strdup(m->from_tag);
	d->local = buf_take(&local);
	d->remote = strdup(m->first[SIP_H_FROM]);
	d->target = sip_contact_uri(m);
	d->remote_cseq = m->cseq;
	d->remote_cseq_known = true;
	sip_dialog_heard(d, m);
	return d->call_id && d->local_tag && d->remote_tag && d->local && d->remote && d->target &&
	       sip_dialog_set_routes(d, m, false) == 0;
}

struct subscription *subscription_new(const struct sip_msg *m, const char *tag,
				      const struct sip_bind *to, bool force_rport)
{
	struct sip *sip = m->bind->sip;
	struct subscription *s;

	if (HASH_CNT(hh, sip->ends) >= 2 * SUBSCRIPTIONS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->sip = sip;
	s->end[0].of = s->end[1].of = s;
	timer_init(&s->life, sip->loop, on_life, s);
	s->end[0].dialog.force_rport = force_rport;
	s->end[1].dialog.bind = to;
	if (fill_asking(&s->end[0].dialog, m, tag))
		return s;
	subscription_free(s);
	return NULL;
}

static bool enter(struct sip_end *end)
{
	const struct sip_dialog *d = &end->dialog;
	struct sip *sip = end->of->sip;

	if (end->hh.tbl)
		return true;
	end->key = sip_dialog_key(d->bind, d->call_id, d->local_tag);
	SIP_KEY_ADD(hh, sip->ends, key, end);
	return end->hh.tbl != NULL;
}

bool subscription_enter(struct subscription *s)
{
	live_for(s, 0);
	return enter(&s->end[0]) && enter(&s->end[1]);
}

struct sip_end *sip_end_of_key(const struct sip *sip, const struct sip_key *key)
{
	struct sip_end *end;

	SIP_KEY_FIND(hh, sip->ends, key, end);
	return end;
}

/* A NOTIFY may overtake the response to the request that it answers (RFC 6665 4.1.2.4). */
static bool makes_dialog(const struct sip_end *end, const struct sip_msg *m)
{
	return end == &end->of->end[1] && !*end->dialog.remote_tag && m->method == SIP_NOTIFY &&
	       *m->from_tag;
}

struct sip_end *sip_end_find(const struct sip_msg *m)
{
	struct sip_key key = sip_dialog_key(m->bind, m->call_id, m->to_tag);
	struct sip_end *end = sip_end_of_key(m->bind->sip, &key);

	if (end && (strcmp(end->dialog.remote_tag, m->from_tag) == 0 || makes_dialog(end, m)))
		return end;
	return NULL;
}

struct sip_end *sip_end_other(struct sip_end *end)
{
	return &end->of->end[end == &end->of->end[0]];
}

static bool adopt(struct sip_dialog *d, const struct sip_msg *m)
{
	char *remote = strdup(m->first[SIP_H_FROM]), *tag = strdup(m->from_tag);
	char *target = sip_contact_uri(m);
	bool good = remote && tag && target && sip_dialog_set_target(d, target) == 0 &&
		    sip_dialog_set_routes(d, m, false) == 0;

	free(target);
	if (!good) {
		free(remote);
		free(tag);
		return false;
	}
	free(d->remote);
	free(d->remote_tag);
	d->remote = remote;
	d->remote_tag = tag;
	return true;
}

static int out_of_order(struct sip_dialog *d, const struct sip_msg *m)
{
	if (d->remote_cseq_known && m->cseq < d->remote_cseq)
		return 500;
	d->remote_cseq = m->cseq;
	d->remote_cseq_known = true;
	return 0;
}

static void refuse(const struct sip_end *end, const struct sip_msg *m, int code)
{
	sip_server_answer(m, end->dialog.local_tag, end->dialog.force_rport,
			  &(struct sip_reply){.code = code, .capabilities = code == 405});
}

void subscription_request(struct sip_end *end, const struct sip_msg *m)
{
	struct sip_end *other = sip_end_other(end);
	int code = out_of_order(&end->dialog, m);

	if (!code && !sip_is_relayed(m->method))
		code = m->method == SIP_OPTIONS ? 200 : m->method == SIP_INVITE ? 488 : 405;
	if (!code && !*end->dialog.remote_tag && !adopt(&end->dialog, m))
		code = 400;
	if (!code && !*other->dialog.remote_tag)
		code = 481;
	if (code) {
		refuse(end, m, code);
		return;
	}
	sip_dialog_heard(&end->dialog, m);
	relay_between(&end->dialog, &end->key, m, &other->dialog, &other->key);
}

static uint32_t expires_of(const struct sip_msg *m)
{
	uint32_t seconds;

	for (size_t i = 0; i < m->n_lines; i++)
		if (strcasecmp(m->lines[i].name, "Expires") == 0 &&
		    sip_number(m->lines[i].value, UINT32_MAX, &seconds))
			return seconds;
	return EXPIRES_DEFAULT_S;
}

/* The dialog that a 2xx makes, unless a NOTIFY has made it. */
static bool take_dialog(struct sip_dialog *d, const struct sip_msg *m)
{
	if (*d->remote_tag)
		return true;
	return *m->to_tag && sip_dialog_set_remote(d, m) == 0 &&
	       sip_dialog_set_routes(d, m, true) == 0;
}

static void subscribed(struct sip_end *to, const struct relay *r, const struct sip_msg *m)
{
	bool first = !*to->dialog.remote_tag;

	if (m && m->code < 300 && take_dialog(&to->dialog, m))
		live_for(to->of, r->method == SIP_REFER ? REFER_S : expires_of(m));
	else if (first || !m || m->code == 481)
		subscription_free(to->of);
}

void subscription_answered(struct sip_end *to, const struct relay *r, const struct sip_msg *m)
{
	switch (r->method) {
	case SIP_SUBSCRIBE:
	case SIP_REFER:
		subscribed(to, r, m);
		break;
	case SIP_NOTIFY:
		if (r->last || !m || m->code == 481)
			subscription_free(to->of);
		else if (r->expires_s)
			live_for(to->of, r->expires_s);
		break;
	default:
		break;
	}
}
