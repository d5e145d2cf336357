// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/client.h"

#include "sip/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many unwanted 2xx to one INVITE are answered: a fork has few branches, a far end that never
 * stops gets no more. */
enum { FORKS_MAX = 16 };
/* Above this a datagram may be more than the path takes in one piece (18.1.1). */
enum { DATAGRAM_REQUEST_MAX = 1300 };

static struct sip *stack(const struct sip_client *c)
{
	return c->bind->sip;
}

static struct sip_key key_of(const struct sip_bind *bind, const char *branch,
			     enum sip_method method)
{
	struct sip_hash h;

	sip_hash_start(&h, bind->sip);
	sip_hash_bytes(&h, (const char *)&bind->realm->index, sizeof(bind->realm->index));
	sip_hash_text(&h, sip_method_name(method));
	sip_hash_text(&h, branch);
	return sip_hash_end(&h);
}

static void drop(char **text)
{
	free(*text);
	*text = NULL;
}

void sip_client_free(struct sip_client *c)
{
	timer_stop(&c->timer);
	sip_wait_end(&c->wait);
	if (c->hh.tbl)
		HASH_DELETE(hh, stack(c)->clients, c);
	free(c->request);
	free(c->ack);
	free(c->ack_tag);
	sip_pass_drop(&c->why);
	free(c->credentials);
	free(c);
}

/* The owner hears of the end and is forgotten. */
static void lose(struct sip_client *c, int code)
{
	void *owner = c->owner;

	c->owner = NULL;
	if (owner)
		c->events->lost(owner, code);
	sip_client_free(c);
}

/* Timers A, B, C, D, E, F, K and M: one is armed, for whichever comes first. */
static void arm(struct sip_client *c)
{
	uint64_t now = loop_now_ms(stack(c)->loop);
	uint64_t left = c->over_at_ms > now ? c->over_at_ms - now : 1;

	timer_set(&c->timer, c->interval_ms && c->interval_ms < left ? c->interval_ms : left);
}

static void wait_for(struct sip_client *c, uint64_t ms)
{
	c->interval_ms = 0;
	c->over_at_ms = loop_now_ms(stack(c)->loop) + ms;
	arm(c);
}

static void over(struct sip_client *c)
{
	if (c->state == CLIENT_COMPLETED || (c->state == CLIENT_ACCEPTED && !c->owner)) {
		sip_client_free(c);
	} else if (c->method == SIP_INVITE && c->state == CLIENT_PROCEEDING && !c->cancelled) {
		sip_client_cancel(c); /* timer C, RFC 3261 16.8 */
	} else {
		lose(c, 408);
	}
}

static int send_request(struct sip_client *c)
{
	return sip_send_waiting(c->bind, &c->to, c->request, c->request_len, &c->wait);
}

static void on_timer(void *owner)
{
	struct sip_client *c = owner;
	const struct sip_timing *t = &stack(c)->timing;

	if (loop_now_ms(stack(c)->loop) >= c->over_at_ms) {
		over(c);
		return;
	}
	if (c->interval_ms) {
		stack(c)->stats.retransmits++;
		if (send_request(c)) {
			lose(c, 503);
			return;
		}
		c->interval_ms *= 2;
		if (c->method != SIP_INVITE &&
		    (c->interval_ms > t->t2 || c->state == CLIENT_PROCEEDING))
			c->interval_ms = t->t2;
	}
	arm(c);
}

/* Timers A and E run where datagrams may be lost, B and F always (17.1.1.2, 17.1.2.2). */
static void start_timers(struct sip_client *c)
{
	const struct sip_timing *t = &stack(c)->timing;

	c->interval_ms = sip_bind_reliable(c->bind) ? 0 : t->t1;
	c->over_at_ms = loop_now_ms(stack(c)->loop) + 64ull * t->t1;
	arm(c);
}

/* Goes by another bind: the Via that we wrote says which. */
static int move(struct sip_client *c, const struct sip_bind *bind)
{
	const char *via = strstr(c->request, "\r\nVia: ") + strlen("\r\nVia: ");
	struct buf moved = {0};

	buf_add(&moved, c->request, (size_t)(via - c->request));
	buf_str(&moved, bind->via);
	buf_str(&moved, bind->hostport);
	via = strchr(via, ';');
	buf_add(&moved, via, c->request_len - (size_t)(via - c->request));
	if (moved.failed) {
		buf_free(&moved);
		return -ENOMEM;
	}
	free(c->request);
	c->request_len = moved.len;
	c->request = buf_take(&moved);
	c->bind = bind;
	return 0;
}

/* TCP was tried for the size alone and is refused: UDP after all (18.1.1). */
static int shrink(struct sip_client *c)
{
	const struct sip_bind *small = c->small;
	int err = small ? move(c, small) : -ECONNREFUSED;

	c->small = NULL;
	return err ? err : send_request(c);
}

/* Once a response came the next one may come by another connection, too. */
static void on_conn_lost(struct sip_wait *wait, bool reached)
{
	struct sip_client *c =
		(struct sip_client *)((char *)wait - offsetof(struct sip_client, wait));

	if (c->state != CLIENT_CALLING)
		return;
	if (!reached && shrink(c) == 0)
		start_timers(c);
	else
		lose(c, 503); /* 8.1.3.1 */
}

static struct sip_client *make(const struct sip_bind *bind, const struct addr *to,
			       enum sip_method method, const char *branch)
{
	struct sip *sip = bind->sip;
	struct sip_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->bind = bind;
	c->to = *to;
	c->method = method;
	c->wait.lost = on_conn_lost;
	memcpy(c->branch, branch, strnlen(branch, SIP_BRANCH_LEN));
	c->key = key_of(bind, branch, method);
	timer_init(&c->timer, sip->loop, on_timer, c);
	c->request_len = sip->out.len;
	c->request = sip->out.failed ? NULL : malloc(c->request_len + 1);
	if (c->request) {
		memcpy(c->request, sip->out.data, c->request_len + 1);
		SIP_KEY_ADD(hh, sip->clients, key, c);
	}
	if (c->hh.tbl)
		return c;
	sip_client_free(c);
	return NULL;
}

/* `large`: the bind for requests of that kind; NULL: none. */
static int begin(struct sip_client **out, struct sip_client *c, const struct sip_bind *large)
{
	const struct sip_bind *small = c ? c->bind : NULL;
	int err = c ? 0 : -ENOMEM;

	if (!err && large && c->request_len > DATAGRAM_REQUEST_MAX) {
		err = move(c, large);
		c->small = small;
	}
	if (!err)
		err = send_request(c);
	if (err && c && c->small)
		err = shrink(c);
	if (err) {
		if (c)
			sip_client_free(c);
		return err;
	}
	stack(c)->stats.requests[c->method][SIP_OUT]++;
	start_timers(c);
	if (out)
		*out = c;
	return 0;
}

int sip_client_new(struct sip_client **out, const struct sip_bind *bind, const struct addr *to,
		   enum sip_method method, const char *branch)
{
	return begin(out, make(bind, to, method, branch), NULL);
}

int sip_client_new_by(struct sip_client **out, const struct sip_bind *bind,
		      const struct sip_bind *large, const struct addr *to, enum sip_method method,
		      const char *branch)
{
	struct sip_client *c = make(bind, to, method, branch);

	if (c)
		c->large = large;
	return begin(out, c, large);
}

int sip_client_new_in(struct sip_client **out, const struct sip_dialog *d, const struct addr *to,
		      enum sip_method method, const char *branch)
{
	const struct sip_bind *bind = d->bind, *large = NULL;

	if (d->grows && bind->transport == CONF_UDP)
		large = sip_bind_find(bind->sip, bind->realm->name, bind->local.family, CONF_TCP);
	return sip_client_new_by(out, bind, large, to, method, branch);
}

void sip_client_own(struct sip_client *c, const struct sip_client_events *events, void *owner)
{
	c->events = events;
	c->owner = owner;
}

void sip_client_login(struct sip_client *c, const char *user, const char *secret)
{
	c->user = user;
	c->secret = secret;
}

/* Copies the lines of our INVITE that begin with `name`. */
static void copy_lines(struct buf *out, const char *request, const char *name)
{
	const char *line = request, *end;
	size_t len = strlen(name);

	for (; (end = strstr(line, "\r\n")) != NULL && end != line; line = end + 2)
		if (strncmp(line, name, len) == 0)
			buf_add(out, line, (size_t)(end + 2 - line));
}

/* CANCEL, or ACK to a refusal: the INVITE's URI, Via, Route, From, Call-ID and CSeq number
 * (9.1, 17.1.1.3). */
static void build_from_invite(struct buf *out, const struct sip_client *c, enum sip_method method,
			      const char *to)
{
	const char *invite = c->request, *method_name = sip_method_name(method);
	const char *rest = invite + strlen("INVITE");
	const char *cseq = strstr(invite, "\r\nCSeq: ");

	buf_reset(out);
	buf_str(out, method_name);
	buf_add(out, rest, (size_t)(strstr(rest, "\r\n") + 2 - rest));
	copy_lines(out, invite, "Via: ");
	copy_lines(out, invite, "Max-Forwards: ");
	copy_lines(out, invite, "Route: ");
	copy_lines(out, invite, "From: ");
	if (to)
		buf_printf(out, "To: %s\r\n", to);
	else
		copy_lines(out, invite, "To: ");
	copy_lines(out, invite, "Call-ID: ");
	buf_printf(out, "CSeq: %u %s\r\n",
		   (unsigned int)strtoul(cseq + strlen("\r\nCSeq: "), NULL, 10), method_name);
	buf_str(out, "User-Agent: " SIP_AGENT "\r\n");
	if (method == SIP_CANCEL && c->why && c->why->headers)
		copy_lines(out, c->why->headers, "Reason: ");
	sip_build_body(out, (struct slice){0});
}

void sip_client_why(struct sip_client *c, struct sip_pass *pass)
{
	sip_pass_drop(&c->why);
	c->why = sip_pass_ref(pass);
}

void sip_client_cancel(struct sip_client *c)
{
	struct sip *sip = stack(c);

	c->cancel = true;
	if (c->state != CLIENT_PROCEEDING || c->cancelled)
		return;
	c->cancelled = true;
	build_from_invite(&sip->out, c, SIP_CANCEL, NULL);
	sip_client_new(NULL, c->bind, &c->to, SIP_CANCEL, c->branch);
	wait_for(c, 64ull * sip->timing.t1);
}

static void keep_ack(struct sip_client *c, const char *tag, const struct sip_bind *bind,
		     const struct addr *to)
{
	struct buf *out = &stack(c)->out;

	char *kept = strdup(tag);

	drop(&c->ack);
	drop(&c->ack_tag);
	c->ack = malloc(out->len);
	c->ack_tag = kept;
	if (!c->ack || !c->ack_tag)
		return;
	memcpy(c->ack, out->data, out->len);
	c->ack_len = out->len;
	c->ack_bind = bind;
	c->ack_to = *to;
}

void sip_client_ack(struct sip_client *c, const char *tag, const struct sip_bind *bind,
		    const struct addr *to)
{
	struct sip *sip = stack(c);

	if (sip->out.failed)
		return;
	sip->stats.requests[SIP_ACK][SIP_OUT]++;
	sip_send(bind, to, sip->out.data, sip->out.len);
	keep_ack(c, tag, bind, to);
	c->owner = NULL;
}

void sip_client_hold_ack(struct sip_client *c, const struct sip_msg *m,
			 const struct sip_client_events *events, void *owner)
{
	drop(&c->ack_tag);
	c->ack_tag = strdup(m->to_tag);
	sip_client_own(c, events, owner);
}

/* A 2xx of another branch of a fork, after one was taken: acknowledged and ended at once
 * (13.2.2.4). What the dialog consists of is in the response. */
static void discard_fork(struct sip_client *c, const struct sip_msg *m)
{
	struct sip *sip = stack(c);
	struct sip_dialog d = {.bind = c->bind, .source = m->source};
	char branch[SIP_BRANCH_LEN + 1];
	struct addr to;

	if (c->forks++ >= FORKS_MAX)
		return;
	d.call_id = strdup(m->call_id);
	d.local = strdup(m->first[SIP_H_FROM]);
	d.target = sip_contact_uri(m);
	if (!d.call_id || !d.local || !d.target || sip_dialog_set_remote(&d, m) ||
	    sip_dialog_set_routes(&d, m, true))
		goto out;
	to = sip_dialog_hop(&d);
	sip_branch_new(sip, branch, 0);
	sip_build_request(&sip->out, &d,
			  &(struct sip_outgoing){.method = SIP_ACK,
						 .cseq = m->cseq,
						 .max_forwards = SIP_HOPS,
						 .branch = branch});
	sip->stats.requests[SIP_ACK][SIP_OUT]++;
	sip_send(d.bind, &to, sip->out.data, sip->out.len);
	sip_branch_new(sip, branch, 0);
	sip_build_request(&sip->out, &d,
			  &(struct sip_outgoing){.method = SIP_BYE,
						 .cseq = m->cseq + 1,
						 .max_forwards = SIP_HOPS,
						 .branch = branch});
	sip_client_new_in(NULL, &d, &to, SIP_BYE, branch);
out:
	sip_dialog_clear(&d);
}

static void tell(struct sip_client *c, const struct sip_msg *m, bool final)
{
	void *owner = c->owner;

	if (final && sip_client_again(c, m))
		return;
	if (final)
		c->owner = NULL;
	if (owner && c->events->response)
		c->events->response(owner, c, m);
}

static void on_provisional(struct sip_client *c, const struct sip_msg *m)
{
	const struct sip_timing *t = &stack(c)->timing;

	if (c->state != CLIENT_CALLING && c->state != CLIENT_PROCEEDING)
		return;
	if (c->method == SIP_INVITE && !c->cancelled)
		wait_for(c, t->c);
	c->state = CLIENT_PROCEEDING;
	if (c->method != SIP_INVITE)
		return;
	if (c->cancel)
		sip_client_cancel(c);
	tell(c, m, false);
}

static void on_success(struct sip_client *c, const struct sip_msg *m)
{
	struct sip *sip = stack(c);

	if (c->state == CLIENT_COMPLETED)
		return;
	if (c->state != CLIENT_ACCEPTED) {
		c->state = CLIENT_ACCEPTED;
		drop(&c->request);
		wait_for(c, 64ull * sip->timing.t1);
		if (c->owner)
			tell(c, m, true);
		else
			discard_fork(c, m);
	} else if (c->ack_tag && strcmp(c->ack_tag, m->to_tag) == 0) {
		if (!c->ack)
			return;
		sip->stats.retransmits++;
		sip_send(c->ack_bind, &c->ack_to, c->ack, c->ack_len);
	} else {
		discard_fork(c, m);
	}
}

static void on_refusal(struct sip_client *c, const struct sip_msg *m)
{
	struct sip *sip = stack(c);
	bool again = c->state == CLIENT_COMPLETED;

	if (c->state == CLIENT_ACCEPTED)
		return;
	build_from_invite(&sip->out, c, SIP_ACK, m->first[SIP_H_TO]);
	if (!sip->out.failed)
		sip_send(c->bind, &c->to, sip->out.data, sip->out.len);
	if (again) {
		sip->stats.retransmits++;
		return;
	}
	sip->stats.requests[SIP_ACK][SIP_OUT]++;
	c->state = CLIENT_COMPLETED;
	wait_for(c, sip_bind_reliable(c->bind) ? 0 : sip->timing.d);
	tell(c, m, true);
}

static void on_final(struct sip_client *c, const struct sip_msg *m)
{
	if (c->state == CLIENT_COMPLETED)
		return;
	c->state = CLIENT_COMPLETED;
	wait_for(c, sip_bind_reliable(c->bind) ? 0 : stack(c)->timing.t4);
	tell(c, m, true);
	drop(&c->request);
}

bool sip_client_receive(const struct sip_msg *m)
{
	struct sip_key key = key_of(m->bind, m->branch, m->method);
	struct sip_client *c;

	SIP_KEY_FIND(hh, m->bind->sip->clients, &key, c);
	/* More than one Via: not ours to take (8.1.3.3). */
	if (!c || m->n_vias > 1)
		return false;
	if (m->code < 200)
		on_provisional(c, m);
	else if (c->method != SIP_INVITE)
		on_final(c, m);
	else if (m->code < 300)
		on_success(c, m);
	else
		on_refusal(c, m);
	return true;
}
