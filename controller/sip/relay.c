// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/refer.h"
#include "sip/relay_priv.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

enum {
	RELAYS_MAX = 20000, /* under way; beyond that 503 */
	BUSY_S = 5,
};

bool sip_is_relayed(enum sip_method method)
{
	return method == SIP_INFO || method == SIP_MESSAGE || method == SIP_REFER ||
	       method == SIP_NOTIFY || method == SIP_SUBSCRIBE || method == SIP_PUBLISH;
}

/* Outside of any. */
static bool makes_dialogs(enum sip_method method)
{
	return method == SIP_SUBSCRIBE || method == SIP_REFER;
}

static void leave_leg(struct relay *r)
{
	if (r->leg)
		DL_DELETE2(r->leg->relays, r, leg_prev, leg_next);
	r->leg = NULL;
}

static void destroy(struct relay *r)
{
	timer_stop(&r->trying);
	leave_leg(r);
	DL_DELETE(r->sip->relays, r);
	r->sip->n_relays--;
	if (r->targets)
		r->targets->drop(r->owner);
	sip_pass_drop(&r->pass);
	free(r->refer_to);
	free(r->event);
	free(r->target);
	free(r->user);
	free(r->secret);
	free(r);
}

void relays_free(struct sip *sip)
{
	struct relay *r, *next;

	DL_FOREACH_SAFE (sip->relays, r, next)
		destroy(r);
}

/* The handler may still hold it. */
static void finish(struct relay *r)
{
	r->server = NULL;
	r->over = true;
	if (!r->m)
		destroy(r);
}

static void on_trying(void *owner)
{
	struct relay *r = owner;

	if (r->trying_sent) {
		relay_lose_patience(r);
		return;
	}
	r->trying_sent = true;
	sip_server_reply(r->server, &(struct sip_reply){.code = 100});
	timer_set(&r->trying, (uint64_t)(RELAY_PATIENCE - RELAY_TRYING) * r->sip->timing.t1);
}

/* What the handler's message says, for as long as it may have to be said again. */
static void keep(struct relay *r, const struct sip_msg *m)
{
	r->pass = sip_pass_of(m);
	r->max_forwards = m->max_forwards;
	r->way = sip_way_of(m);
	r->their_cseq = m->cseq;
	r->target = sip_contact_uri(m);
	for (size_t i = 0; i < m->n_lines; i++) {
		const char *name = m->lines[i].name, *value = m->lines[i].value;

		char **kept = NULL;

		if (strcasecmp(name, "Refer-To") == 0 || strcasecmp(name, "r") == 0)
			kept = &r->refer_to;
		else if (strcasecmp(name, "Event") == 0 || strcasecmp(name, "o") == 0)
			kept = &r->event;
		if (kept && !*kept)
			*kept = strdup(value);
	}
}

static struct relay *relay_new(const struct sip_msg *m, const char *tag, bool force_rport)
{
	struct sip *sip = m->bind->sip;
	struct relay *r;

	if (sip->n_relays >= RELAYS_MAX || sip_server_full(sip))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->server = sip_server_new(m, NULL, tag, force_rport);
	if (!r->server) {
		free(r);
		return NULL;
	}
	r->sip = sip;
	r->m = m;
	r->method = m->method;
	keep(r, m);
	timer_init(&r->trying, sip->loop, on_trying, r);
	DL_APPEND(sip->relays, r);
	sip->n_relays++;
	return r;
}

static void refuse(struct relay *r, const struct sip_reply *reply)
{
	struct sip_server *server = r->server;

	if (server && sip_server_reply(server, reply))
		sip_server_free(server);
	finish(r);
}

void relay_refuse(struct relay *r, int code, const char *reason)
{
	refuse(r, &(struct sip_reply){.code = code, .reason = reason});
}

void relays_end(struct leg *leg)
{
	struct relay *r, *next;

	DL_FOREACH_SAFE2 (leg->relays, r, next, leg_next) {
		leave_leg(r);
		/* What is being decided, or answered, is over by itself. */
		if (r->m || !r->server)
			continue;
		if (r->client)
			r->client->owner = NULL;
		relay_refuse(r, 487, NULL);
	}
}

/* The handler returned: what it left undecided is refused. */
static void release(struct relay *r)
{
	r->m = NULL;
	r->in = NULL;
	if (r->over)
		destroy(r);
	else if (!r->client)
		relay_refuse(r, 500, NULL);
}

static struct sip_dialog *dialog_of(const struct sip *sip, const struct sip_key *key)
{
	struct leg *leg = leg_of_key(sip, key);
	struct sip_end *end = leg ? NULL : sip_end_of_key(sip, key);

	return leg ? &leg->dialog : end ? &end->dialog : NULL;
}

/* RFC 6665 4.1.2.1, RFC 3515: both sides' targets follow an accepted request. */
static void refresh_targets(struct relay *r, const struct sip_msg *m)
{
	struct sip_dialog *from = dialog_of(r->sip, &r->from), *to = dialog_of(r->sip, &r->to);
	char *contact = sip_contact_uri(m);

	if (from)
		sip_dialog_set_target(from, r->target);
	if (to)
		sip_dialog_set_target(to, contact);
	free(contact);
}

/* A challenge to us is none to the other side, and a redirection would name what it cannot reach.
 */
static int map_code(int code)
{
	if (code >= 300 && code < 400)
		return 480;
	return code == 401 || code == 407 ? 403 : code;
}

static void answer(struct relay *r, const struct sip_msg *m)
{
	int code = map_code(m->code);
	struct sip_pass *pass = sip_pass_of(m);
	struct sip_reply reply = {
		.code = code,
		.reason = code == m->code ? m->reason : NULL,
		.retry_after_s = sip_msg_retry_after(m),
		.contact = code < 300 && sip_method_has_contact(r->method),
		.pass = pass,
	};

	if (sip_dialog_strips(r->answering, r->identity)) {
		sip_pass_strip(&pass);
		reply.pass = pass;
	}
	if (r->server && sip_server_reply(r->server, &reply))
		sip_server_free(r->server);
	sip_pass_drop(&pass);
}

/* What the outcome means to the dialogs (RFC 5057): 481 and silence end the one that was sent in,
 * but where a subscription in it is all that is gone. `m` NULL: no answer, `code` says why. */
static void tell_dialogs(struct relay *r, const struct sip_msg *m, int code)
{
	struct leg *leg = leg_of_key(r->sip, &r->to);
	struct sip_end *end = leg ? NULL : sip_end_of_key(r->sip, &r->to);

	if (end)
		subscription_answered(end, r, m);
	if (!leg || (code != 481 && code != 408) || r->method == SIP_SUBSCRIBE ||
	    r->method == SIP_NOTIFY)
		return;
	leg_enter(leg);
	if (leg->events && leg->events->gone)
		leg->events->gone(leg->owner, leg, code);
	leg_leave(leg);
}

/* RFC 4320 4.2: no 408 to what is no INVITE, it would come too late; the far end's own timer tells
 * it the same. */
static void fall_silent(struct relay *r)
{
	if (r->server)
		sip_server_free(r->server);
}

static void on_response(void *owner, struct sip_client *c, const struct sip_msg *m)
{
	struct relay *r = owner;

	(void)c;
	r->client = NULL;
	if (relay_goes_on(r, m->code))
		return;
	if (m->code == 408)
		fall_silent(r);
	else
		answer(r, m);
	r->server = NULL;
	if (m->code < 300 && sip_method_has_contact(r->method))
		refresh_targets(r, m);
	tell_dialogs(r, m, m->code);
	finish(r);
}

static void on_lost(void *owner, int code)
{
	struct relay *r = owner;

	r->client = NULL;
	if (relay_goes_on(r, code))
		return;
	if (code == 408) {
		fall_silent(r);
		r->server = NULL;
	}
	tell_dialogs(r, NULL, code);
	if (r->server)
		relay_refuse(r, code, NULL);
	else
		finish(r);
}

/* The request goes out again with credentials. */
static uint32_t next_cseq(void *owner)
{
	struct relay *r = owner;
	struct sip_dialog *to = dialog_of(r->sip, &r->to);

	r->cseq = to ? ++to->local_cseq : r->cseq + 1;
	if (to && r->method == SIP_REFER)
		sip_refers_note(to, r->cseq, r->their_cseq);
	return r->cseq;
}

static void on_again(void *owner, struct sip_client *c)
{
	struct relay *r = owner;

	r->client = c;
}

static const struct sip_client_events client_events = {
	.response = on_response, .lost = on_lost, .next_cseq = next_cseq, .again = on_again};

/* Copies of what the dialog has, which may be gone when a challenge comes. */
static void log_in(struct relay *r, const struct sip_dialog *to)
{
	free(r->user);
	free(r->secret);
	r->user = r->secret = NULL;
	if (!to->secret)
		return;
	r->user = strdup(to->user);
	r->secret = strdup(to->secret);
	if (r->user && r->secret)
		sip_client_login(r->client, r->user, r->secret);
}

/* Headers that name something of the dialog. */
static void add_mapped(struct buf *out, const struct relay *r, const struct sip_dialog *to)
{
	if (r->refer_to)
		sip_refer_to_line(out, to->bind, r->refer_to);
	if (r->event)
		sip_event_line(out, r->in, to, r->event);
}

static int send_on(struct relay *r, struct sip_dialog *to, const struct addr *hop)
{
	struct sip_pass *pass = sip_pass_ref(r->pass);
	char branch[SIP_BRANCH_LEN + 1];
	struct buf mapped = {0};
	struct sip_outgoing o = {
		.method = r->method,
		.cseq = to->local_cseq + 1,
		.max_forwards = r->max_forwards - 1,
		.branch = branch,
		.pass = pass,
	};
	int err;

	if (r->in)
		r->identity = r->in->identity;
	r->answering = to->identity;
	if (sip_dialog_strips(r->identity, r->answering)) {
		sip_pass_strip(&pass);
		o.pass = pass;
	}
	add_mapped(&mapped, r, to);
	o.mapped = mapped.data;
	sip_branch_new(r->sip, branch, r->way);
	sip_build_request(&r->sip->out, to, &o);
	r->sip->out.failed |= mapped.failed;
	err = sip_client_new_in(&r->client, to, hop, r->method, branch);
	if (!err) {
		to->local_cseq++;
		r->cseq = o.cseq;
		sip_client_own(r->client, &client_events, r);
		log_in(r, to);
		timer_set(&r->trying, (uint64_t)(r->trying_sent ? RELAY_PATIENCE : RELAY_TRYING) *
					      r->sip->timing.t1);
		if (r->method == SIP_REFER)
			sip_refers_note(to, o.cseq, r->their_cseq);
	}
	buf_free(&mapped);
	sip_pass_drop(&pass);
	return err;
}

void relay_set_identity(struct relay *r, unsigned int identity)
{
	r->identity = identity;
}

int relay_to_leg(struct relay *r, struct leg *to)
{
	struct addr hop;

	if (to->phase == LEG_NEW || to->phase == LEG_OVER || to->bye_wanted ||
	    !*to->dialog.remote_tag)
		return -ENOTCONN;
	r->to = to->key;
	hop = sip_dialog_hop(&to->dialog);
	return send_on(r, &to->dialog, &hop);
}

static int send_alone(struct relay *r, const struct sip_bind *bind, const struct leg_target *target,
		      const struct addr *hop)
{
	struct sip_dialog d;
	int err = sip_dialog_begin(&d, bind, target, hop);

	if (!err)
		err = send_on(r, &d, hop);
	sip_dialog_clear(&d);
	return err;
}

/* The dialogs that are made here; those of the target before, where there was one. */
static struct subscription *subscription_of(struct relay *r, const struct sip_bind *bind)
{
	struct sip_end *end;

	if (r->m)
		return subscription_new(r->m, r->server->tag, bind, r->server->force_rport);
	end = sip_end_of_key(r->sip, &r->from);
	if (!end)
		return NULL;
	subscription_forget_target(end->of);
	return end->of;
}

/* SUBSCRIBE and REFER: what follows belongs to these dialogs. */
static int send_subscribing(struct relay *r, const struct sip_bind *bind,
			    const struct leg_target *target, const struct addr *hop)
{
	struct subscription *s = subscription_of(r, bind);
	int err;

	if (!s)
		return -ENOMEM;
	s->end[0].dialog.identity = r->identity;
	err = sip_dialog_begin(&s->end[1].dialog, bind, target, hop);
	if (!err && !subscription_enter(s))
		err = -ENOMEM;
	if (!err) {
		r->from = s->end[0].key;
		r->to = s->end[1].key;
		err = send_on(r, &s->end[1].dialog, hop);
	}
	/* What is to be tried again with another target keeps the dialog that was answered. */
	if (err && r->m)
		subscription_free(s);
	return err;
}

int relay_to_target(struct relay *r, const struct leg_target *target)
{
	const struct sip_bind *bind = sip_bind_to(r->sip, target);
	struct addr hop = addr_with_port(&target->to, target->to.port ? target->to.port : 5060);

	if (!bind)
		return -EADDRNOTAVAIL;
	if (makes_dialogs(r->method))
		return send_subscribing(r, bind, target, &hop);
	return send_alone(r, bind, target, &hop);
}

/* NULL: it was answered. */
static struct relay *begin(const struct sip_msg *m, const char *tag, bool force_rport)
{
	struct sip_reply refusal = sip_refuse_content(m);
	struct relay *r;

	if (!refusal.code && m->max_forwards == 0)
		refusal = (struct sip_reply){.code = 483};
	if (refusal.code) {
		sip_server_answer(m, tag, force_rport, &refusal);
		return NULL;
	}
	r = relay_new(m, tag, force_rport);
	if (!r)
		sip_reply_stateless(m, force_rport,
				    &(struct sip_reply){.code = 503, .retry_after_s = BUSY_S});
	return r;
}

/* Seconds in Subscription-State, and whether it says that it was the last one. */
static void read_state(struct relay *r)
{
	char text[16];

	for (size_t i = 0; i < r->m->n_lines; i++) {
		const char *value = r->m->lines[i].value;

		if (strcasecmp(r->m->lines[i].name, "Subscription-State") != 0)
			continue;
		r->last = strncasecmp(value, "terminated", 10) == 0;
		if (multipart_param(value, "expires", text, sizeof(text)))
			sip_number(text, UINT32_MAX, &r->expires_s);
	}
}

void relay_from_leg(struct leg *leg, const struct sip_msg *m)
{
	struct relay *r = begin(m, leg->dialog.local_tag, leg->dialog.force_rport);

	if (!r)
		return;
	r->in = &leg->dialog;
	r->from = leg->key;
	r->leg = leg;
	if (r->method == SIP_NOTIFY)
		read_state(r);
	DL_APPEND2(leg->relays, r, leg_prev, leg_next);
	if (leg->events && leg->events->requested)
		leg->events->requested(leg->owner, leg, r);
	else
		relay_refuse(r, leg->events ? 405 : 481, NULL);
	release(r);
}

void relay_from_outside(const struct sip_msg *m, const struct sip_request *request,
			bool force_rport)
{
	const struct sip_handlers *handlers = &m->bind->sip->handlers;
	char tag[SIP_TAG_LEN + 1];
	struct relay *r;

	sip_random_hex(m->bind->sip, tag, SIP_TAG_LEN / 2);
	r = begin(m, tag, force_rport);
	if (!r)
		return;
	if (makes_dialogs(r->method) && !r->target)
		relay_refuse(r, 400, "Bad Or Missing Contact");
	else
		handlers->request(handlers->ctx, r, request);
	release(r);
}

void relay_between(struct sip_dialog *in, const struct sip_key *from, const struct sip_msg *m,
		   struct sip_dialog *to, const struct sip_key *to_key)
{
	struct relay *r = begin(m, in->local_tag, in->force_rport);
	struct addr hop;

	if (!r)
		return;
	r->in = in;
	r->from = *from;
	r->to = *to_key;
	if (r->method == SIP_NOTIFY)
		read_state(r);
	hop = sip_dialog_hop(to);
	if (send_on(r, to, &hop))
		relay_refuse(r, 503, NULL);
	release(r);
}

enum relay_transfer relay_transfer(const struct relay *r)
{
	if (r->method == SIP_REFER)
		return RELAY_REFER;
	if (r->method != SIP_NOTIFY)
		return RELAY_NO_TRANSFER;
	return r->last ? RELAY_REFER_ENDS : RELAY_REFER_GOES_ON;
}
