// SPDX-License-Identifier: GPL-2.0-or-later
/* A call's life: from the INVITE over the targets of its route to the answer, and to its end. */
#include "call/call_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* What a caller is asked to wait where we have no port for it. */
#define RETRY_AFTER_S 10

static enum side side_of(const struct call *c, const struct leg *leg)
{
	return leg == c->side[SIDE_A].leg ? SIDE_A : SIDE_B;
}

void call_set_state(struct call *c, enum call_state state)
{
	c->all->counts.live[c->state]--;
	c->state = state;
	c->all->counts.live[state]++;
}

void call_free(struct call *c)
{
	struct calls *all = c->all;

	timer_stop(&c->ring);
	timer_stop(&c->idle);
	call_hold_stop(c);
	call_silence_end(c);
	all->counts.live[c->state]--;
	if (c->hh.tbl)
		HASH_DEL(all->by_owner, c);
	DL_DELETE(all->list, c);
	call_offer_close(c);
	call_ask_close(c);
	direct_free(c);
	for (int i = 0; i < 2; i++) {
		call_uncount(c, (enum side)i);
		if (c->side[i].leg)
			leg_free(c->side[i].leg);
		desc_free(c->side[i].said);
		desc_free(c->side[i].invited);
		desc_origin_free(&c->side[i].origin);
	}
	call_lines_free(c);
	peers_unref(c->peers);
	peers_unref(c->callers);
	free(c->replacing);
	free(c->from);
	free(c->to);
	free(c->from_uri);
	free(c->to_uri);
	free(c->display);
	free(c->dialled);
	free(c);
}

static void drop_leg(struct call *c, enum side side)
{
	leg_free(c->side[side].leg);
	c->side[side].leg = NULL;
}

static void count_end(struct call *c, const char *cause, double seconds)
{
	struct calls_report *n = &c->all->counts;

	if (c->answered_ms) {
		n->total_answered++;
		histogram_add(&n->call_seconds, seconds);
	} else if (strcmp(cause, "cancelled") == 0) {
		n->total_cancelled++;
	} else {
		n->total_failed++;
	}
}

void call_end(struct call *c, const char *cause, int code, const char *reason,
	      unsigned int retry_after_s)
{
	struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	struct call_report report;

	call_set_state(c, CALL_ENDING);
	call_hold_stop(c);
	direct_ended(c);
	call_lines_stop(c);
	call_fill_report(c, &report);
	report.end_cause = cause;
	report.end_code = c->answered_ms ? 200 : code;
	report.end_q850 = call_q850(c, code);
	count_end(c, cause, report.duration_s);
	log_notice("call %s ended cause=%s code=%d seconds=%.3f", c->id, cause, report.end_code,
		   report.duration_s);
	if (c->all->setup.ended)
		c->all->setup.ended(c->all->setup.ctx, &report);
	if (a->leg && !c->answered_ms && code >= 300)
		leg_refuse(a->leg, code, reason, retry_after_s);
	else if (a->leg && c->answered_ms)
		leg_bye(a->leg, call_bye_reason(cause));
	if (b->leg && c->answered_ms)
		leg_bye(b->leg, call_bye_reason(cause));
	else if (b->leg)
		leg_cancel(b->leg);
	call_free(c);
}

/* What the caller is told of the callee's refusal. A challenge to us is none to the caller, a
 * redirection is not followed, and session timers are each leg's own. */
static int map_refusal(int code)
{
	if (code < 400 || code == 422)
		return 480;
	return code == 401 || code == 407 ? 403 : code;
}

static bool worth_another_target(int code)
{
	return code == 408 || (code >= 500 && code < 600);
}

static const struct leg_events events;

static void on_ring_timeout(void *owner);

static sa_family_t media_family(sa_family_t family, const struct conf_realm *realm)
{
	for (size_t i = 0; i < realm->n_media; i++)
		if (realm->media[i].family == family)
			return family;
	return realm->n_media ? realm->media[0].family : AF_INET;
}

static int lease_ports(struct call *c, const struct addr *to)
{
	sa_family_t family[2] = { c->side[SIDE_A].peer->host.family, to->family };
	struct stream_leg legs[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		struct call_side *s = &c->side[i];

		legs[i].realm = s->realm->index;
		legs[i].family = i == SIDE_A && s->said ? s->audio.rtp.family
							: media_family(family[i], s->realm);
		legs[i].any_port = s->peer->asymmetric;
		legs[i].rate = s->peer->rate;
		legs[i].comedia = s->peer->nat & NAT_COMEDIA;
		legs[i].signals_from = i == SIDE_A ? leg_source(s->leg) : *to;
	}
	return call_lines_lease(c, legs);
}

static int send_invite(struct call *c, const struct reach_target *at)
{
	struct call_side *b = &c->side[SIDE_B];
	struct leg_target target;
	int err;

	call_fill_target(c, at, &target);
	err = leg_new(&b->leg, c->all->sip, &target, &events, c);
	if (err)
		return err;
	leg_pass(b->leg, c->side[SIDE_A].leg);
	if (!b->peer->canreinvite)
		leg_never_reinvite(b->leg);
	return leg_invite(b->leg, b->origin.last, b->origin.last_len);
}

/* Builds the offer to the target; where the caller made none, the target is asked for one. */
static int describe_caller(struct call *c)
{
	struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	int err;

	call_ask_close(c);
	desc_free(b->invited);
	b->invited = NULL;
	if (!a->said) {
		c->ask = (struct call_ask){ .open = true, .waiting = true, .from = SIDE_A };
		return 0;
	}
	direct_offer_setup(c);
	call_lines_heard(c, SIDE_A);
	err = call_tell_offer(c, SIDE_B, a->said);
	if (err || !call_keys_expected(c, SIDE_B))
		return err;
	return desc_parse(&b->invited, b->origin.last, b->origin.last_len, NULL);
}

/* Sends the INVITE to the target chosen. 0, or the status code that says why that failed. */
static int try_target(struct call *c)
{
	struct call_side *b = &c->side[SIDE_B];
	struct leg_target target;
	struct reach_target at;
	int err = call_find_target(c, &at);

	if (err)
		return err;
	err = call_count(c, SIDE_B, peer_load_of(c->peers, b->peer));
	c->nowhere = err != 0;
	if (err)
		return err;
	desc_free(b->said);
	b->said = NULL;
	b->nat = (struct call_nat){ 0 };
	desc_origin_free(&b->origin);
	b->origin = (struct desc_origin){ 0 };
	call_fill_target(c, &at, &target);
	b->tls = leg_will_be_over_tls(c->all->sip, &target);
	call_review(c);
	err = call_keys_begin(c, SIDE_A);
	if (!err)
		err = call_keys_begin(c, SIDE_B);
	if (err)
		return err == -ENOTSUP ? 488 : 503;
	err = lease_ports(c, &at.to);
	if (err)
		return err == -EAFNOSUPPORT ? 488 : 503;
	err = describe_caller(c);
	if (err)
		return err == -ENOMEM ? 503 : 488;
	if (send_invite(c, &at))
		return 503;
	if (c->route->timeout_s)
		timer_set(&c->ring, c->route->timeout_s * 1000ull);
	return 0;
}

/* Tries the targets from the present one on. `code` is what the last one failed with. False: the
 * call is over. */
static bool next_target(struct call *c, int code, const char *reason, unsigned int retry_after_s)
{
	while ((c->nowhere || worth_another_target(code)) && call_next_target(c)) {
		drop_leg(c, SIDE_B);
		leg_pass(c->side[SIDE_A].leg, NULL);
		code = try_target(c);
		reason = NULL;
		retry_after_s = code == 503 ? RETRY_AFTER_S : 0;
		if (!code)
			return true;
	}
	call_end(c,
		 c->over       ? c->over
		 : code == 408 ? "timeout"
			       : "refused",
		 code, reason, retry_after_s);
	return false;
}

static void on_ring_timeout(void *owner)
{
	struct call *c = owner;

	leg_cancel(c->side[SIDE_B].leg);
	next_target(c, 408, NULL, 0);
}

static char *copy_text(const char *text)
{
	return strdup(text ? text : "");
}

static struct call *call_new(struct calls *all, const struct sip_request *request,
			     const char *dialled)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->all = all;
	c->from = copy_text(request->from_user);
	c->to = copy_text(request->number);
	c->from_uri = copy_text(request->from_uri);
	c->to_uri = copy_text(request->to_uri);
	c->display = copy_text(request->from_display);
	c->dialled = copy_text(dialled);
	c->max_forwards = request->max_forwards ? request->max_forwards - 1 : 0;
	c->way = request->way;
	do {
		if (getrandom(&c->owner, sizeof(c->owner), 0) != sizeof(c->owner))
			c->owner = 0;
	} while (!c->owner || calls_owner_id(all, c->owner));
	snprintf(c->id, sizeof(c->id), "%016llx", (unsigned long long)c->owner);
	clock_gettime(CLOCK_REALTIME, &c->started);
	c->peers = peers_ref(all->peers);
	c->callers = peers_ref(all->peers);
	timer_init(&c->ring, all->setup.loop, on_ring_timeout, c);
	timer_init(&c->idle, all->setup.loop, on_ring_timeout, c);
	call_hold_init(c);
	direct_init(c);
	HASH_ADD(hh, all->by_owner, owner, sizeof(c->owner), c);
	c->number = ++all->numbers;
	DL_APPEND(all->list, c);
	all->counts.live[c->state]++;
	if (!c->from || !c->to || !c->from_uri || !c->to_uri || !c->display || !c->dialled ||
	    !c->hh.tbl) {
		call_free(c);
		return NULL;
	}
	return c;
}

static void refuse(struct calls *all, struct leg *leg, int code, const char *reason)
{
	all->counts.total_rejected++;
	leg_refuse(leg, code, reason, code == 503 ? RETRY_AFTER_S : 0);
	leg_free(leg);
}

static const char *callee_name(const struct call *c)
{
	return c->side[SIDE_B].peer ? c->side[SIDE_B].peer->name : "-";
}

void call_begin(struct calls *all, struct leg *leg, const struct sip_request *request,
		const struct conf_peer *from)
{
	char dialled[256];
	struct replacing *replacing = call_replacing(request);
	const struct conf_route *route =
		replacing ? &replacing->route
			  : route_find(all->peers, request->realm, from, request->number, dialled,
				       sizeof(dialled));
	struct desc *offer = NULL;
	struct call *c;
	int code;

	if (!route) {
		refuse(all, leg, 404, NULL);
		return;
	}
	code = request->sdp.p ? call_parse(&offer, request->sdp) : 0;
	if (code) {
		free(replacing);
		refuse(all, leg, code == -EBADMSG ? 400 : code == -E2BIG ? 413 : 488, NULL);
		return;
	}
	c = call_new(all, request, replacing ? replacing->dialled : dialled);
	if (!c) {
		free(replacing);
		desc_free(offer);
		refuse(all, leg, 503, NULL);
		return;
	}
	c->replacing = replacing;
	if (replacing) {
		peers_unref(c->peers);
		c->peers = peers_ref(replacing->peers);
	}
	c->route = route;
	c->side[SIDE_A] = (struct call_side){
		.leg = leg,
		.peer = from,
		.realm = request->realm,
		.said = offer,
	};
	code = offer && call_keys_judge(c, SIDE_A, offer, WORD_OFFER) ? 488 : 0;
	if (offer)
		call_read_audio(&c->side[SIDE_A]);
	call_read_said(c);
	call_review(c);
	leg_take(leg, &events, c);
	leg_set_identity(leg, from->identity);
	if (!call_may_reinvite(c, SIDE_A))
		leg_never_reinvite(leg);
	call_count(c, SIDE_A, peer_load_of(all->peers, from));
	call_choose_target(c);
	if (!code)
		code = call_login(leg, from) ? 503 : try_target(c);
	log_notice("call %s set up from=%s to=%s a=%s b=%s call_id_a=%s call_id_b=%s", c->id,
		   c->from, c->to, from->name, callee_name(c),
		   leg_call_id(leg),
		   c->side[SIDE_B].leg ? leg_call_id(c->side[SIDE_B].leg) : "-");
	if (code && !next_target(c, code, NULL, code == 503 ? RETRY_AFTER_S : 0))
		return;
	histogram_add(&all->counts.setup_seconds,
		      (double)(loop_now_us(all->setup.loop) - leg_arrived_us(leg)) / 1e6);
}

static void on_progress(void *owner, struct leg *leg, int code, const char *reason,
			struct slice sdp)
{
	struct call *c = owner;
	struct call_side *a = &c->side[SIDE_A];
	bool reliable = leg_reliability(leg) != LEG_UNRELIABLE;
	struct slice told = { 0 };

	c->rang = true;
	leg_pass(a->leg, leg);
	if (c->state == CALL_SETUP)
		call_set_state(c, CALL_EARLY);
	if (call_take_early(c, sdp) == 0)
		told = (struct slice){ a->origin.last, a->origin.last_len };
	if (reliable && told.p && leg_reliability(a->leg) && !c->early_version)
		c->early_version = a->origin.version;
	(reliable ? leg_progress_reliably : leg_progress)(a->leg, code, reason, told.p, told.len);
}

/* The caller holds another description for final: it went out reliably before the callee's 2xx
 * chose (pitfall 56). */
static void correct_caller(struct call *c)
{
	struct call_side *a = &c->side[SIDE_A];

	if (c->early_version && a->said && !c->ask.open && a->origin.version != c->early_version &&
	    call_may_reinvite(c, SIDE_A))
		leg_update(a->leg, a->origin.last, a->origin.last_len);
}

static void on_answered(void *owner, struct leg *leg, struct slice sdp)
{
	struct call *c = owner;
	struct call_side *a = &c->side[SIDE_A];
	char text[POLICY_REASON_TEXT];

	if (call_take_answer(c, sdp))
		goto unusable;
	if (!call_may_reinvite(c, SIDE_B))
		leg_never_reinvite(leg);
	timer_stop(&c->ring);
	leg_pass(a->leg, leg);
	if (leg_answer(a->leg, a->origin.last, a->origin.last_len))
		goto unusable;
	call_set_state(c, CALL_UP);
	desc_free(c->side[SIDE_B].invited);
	c->side[SIDE_B].invited = NULL;
	clock_gettime(CLOCK_REALTIME, &c->answered);
	c->answered_ms = loop_now_ms(c->all->setup.loop);
	if (c->side[SIDE_B].said)
		call_note_codec(c, c->side[SIDE_B].said);
	call_watch_start(c);
	correct_caller(c);
	call_review(c);
	log_notice("call %s answered path=%s reason=%s", c->id, call_path(c),
		   call_reason(c, text));
	direct_changed(c);
	return;
unusable:
	leg_bye(leg, "SIP;cause=488;text=\"No usable media\"");
	call_end(c, "no_media", 488, NULL, 0);
}

static void on_failed(void *owner, struct leg *leg, int code, const char *reason,
		      unsigned int retry_after_s)
{
	struct call *c = owner;
	int mapped = map_refusal(code);

	leg_pass(c->side[SIDE_A].leg, leg);
	timer_stop(&c->ring);
	call_rest_target(c, code, retry_after_s);
	next_target(c, mapped, mapped == code ? reason : NULL, retry_after_s);
}

static void on_cancelled(void *owner, struct leg *leg)
{
	struct call *c = owner;

	leg_pass(c->side[SIDE_B].leg, leg);
	call_end(c, "cancelled", 487, NULL, 0);
}

static void on_acked(void *owner, struct leg *leg, struct slice sdp)
{
	struct call *c = owner;

	if (c->ask.open && !c->ask.waiting && c->ask.from == side_of(c, leg))
		call_ask_answered(c, sdp);
	else
		direct_changed(c);
}

static void on_asked(void *owner, struct leg *leg)
{
	call_asked(owner, side_of(owner, leg));
}

static void on_offered(void *owner, struct leg *leg, struct slice sdp)
{
	call_offered(owner, side_of(owner, leg), sdp);
}

static void on_offer_cancelled(void *owner, struct leg *leg)
{
	call_offer_withdrawn(owner, side_of(owner, leg));
}

static void on_reanswered(void *owner, struct leg *leg, int code, const char *reason,
			  struct slice sdp)
{
	call_reanswered(owner, side_of(owner, leg), code, reason, sdp);
}

static void on_late(void *owner, struct leg *leg, struct slice sdp)
{
	direct_late(owner, side_of(owner, leg), sdp);
}

static void on_ended(void *owner, struct leg *leg, const char *why)
{
	static const struct {
		const char *why, *cause[2];
		int code; /* to a caller that was not answered */
	} ends[] = {
		{ "bye", { "bye_a", "bye_b" }, 487 },
		{ "no_ack", { "no_ack_a", "no_ack_b" }, 408 },
		{ "no_prack", { "no_prack_a", "no_prack_b" }, 504 },
		{ "no_answer", { "no_answer_a", "no_answer_b" }, 408 },
		{ "expired", { "expired_a", "expired_b" }, 408 },
	};
	struct call *c = owner;
	enum side side = side_of(c, leg);
	size_t i = 0;

	while (i + 1 < sizeof(ends) / sizeof(*ends) && strcmp(ends[i].why, why) != 0)
		i++;
	if (i == 0)
		leg_pass(c->side[side_other(side)].leg, leg);
	call_end(c, ends[i].cause[side], ends[i].code, NULL, 0);
}

static void on_requested(void *owner, struct leg *leg, struct relay *relay)
{
	call_requested(owner, side_of(owner, leg), relay);
}

static void on_gone(void *owner, struct leg *leg, int code)
{
	call_gone(owner, side_of(owner, leg), code);
}

static struct leg *twin(void *owner, const struct leg *leg)
{
	struct call *c = owner;

	return c->side[side_other(side_of(c, leg))].leg;
}

static struct slice in_force(void *owner, const struct leg *leg)
{
	const struct call *c = owner;
	const struct desc_origin *told = &c->side[side_of(c, leg)].origin;

	return (struct slice){ told->last, told->last_len };
}

static void on_refreshed(void *owner, struct leg *leg, struct slice sdp)
{
	struct call *c = owner;
	enum side side = side_of(c, leg);
	struct desc *said;

	if (call_parse_answer(&said, c, side, sdp))
		return;
	call_heard(c, side, said);
	direct_changed(c);
}

static const struct leg_events events = {
	.progress = on_progress,
	.answered = on_answered,
	.failed = on_failed,
	.cancelled = on_cancelled,
	.acked = on_acked,
	.offered = on_offered,
	.asked = on_asked,
	.offer_cancelled = on_offer_cancelled,
	.reanswered = on_reanswered,
	.late = on_late,
	.ended = on_ended,
	.in_force = in_force,
	.refreshed = on_refreshed,
	.requested = on_requested,
	.gone = on_gone,
	.twin = twin,
};
