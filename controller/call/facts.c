// SPDX-License-Identifier: GPL-2.0-or-later
/* The one collector of what the policy decides by. */
#include "call/call_priv.h"

static bool names_realm(const struct conf_realm *realm, const char *name)
{
	for (size_t i = 0; i < realm->n_direct; i++)
		if (strcmp(realm->direct[i], name) == 0)
			return true;
	return false;
}

/* Where no callee is chosen yet, nothing stands in the way. */
static bool joined(const struct conf_realm *a, const struct conf_realm *b)
{
	return !a || !b || a->index == b->index || names_realm(a, b->name) ||
	       names_realm(b, a->name);
}

static bool is_ours(const struct conf *conf, const struct addr *a)
{
	for (size_t i = 0; i < conf->n_realms; i++) {
		const struct conf_realm *realm = &conf->realms[i];

		for (size_t j = 0; j < realm->n_media; j++)
			if (addr_same_ip(&realm->media[j], a))
				return true;
		for (size_t j = 0; j < realm->n_binds; j++)
			if (addr_same_ip(&realm->binds[j].addr, a))
				return true;
		if (realm->advertise.family != AF_UNSPEC && addr_same_ip(&realm->advertise, a))
			return true;
	}
	return false;
}

static unsigned int features_of(const struct conf_dial *dial)
{
	static const char digits[] = "THWKX";
	unsigned int features = dial->warn_ms ? POLICY_WARN : 0;

	for (size_t i = 0; digits[i]; i++) {
		if (dial->upper >> (digits[i] - 'A') & 1)
			features |= POLICY_DTMF_A;
		if (dial->letters >> (digits[i] - 'A') & 1)
			features |= POLICY_DTMF_B;
	}
	return features;
}

/* What is signalled against what is seen. A peer that may send from any port of its address is seen
 * by the address. */
static enum policy_nat nat_of(const struct call_side *s, const struct stream_report *r)
{
	bool same = addr_equal(&s->nat.of, &r->signalled);
	const struct addr *seen = &r->rtp.seen, *before = same ? &s->nat.before : seen;

	if (r->signalled.family == AF_UNSPEC || addr_is_any(&r->signalled))
		return s->nat.found;
	if (same && s->nat.found == POLICY_NAT_NONE)
		return POLICY_NAT_NONE;
	if (s->peer->asymmetric ? addr_same_ip(seen, &r->signalled)
				: addr_equal(seen, &r->signalled))
		return POLICY_NAT_NONE;
	if (s->nat.of.family == AF_UNSPEC)
		before = &s->nat.of;
	if (seen->family == AF_UNSPEC || addr_equal(seen, before))
		return same ? s->nat.found : POLICY_NAT_UNKNOWN;
	return POLICY_NAT_SEEN;
}

static void remember_nat(struct call *c, enum side side)
{
	struct call_side *s = &c->side[side];
	struct stream_report r;

	if (!s->peer || !c->stream)
		return;
	stream_report(c->stream, side, &r);
	if (r.signalled.family == AF_UNSPEC || addr_is_any(&r.signalled))
		return;
	s->nat.found = nat_of(s, &r);
	if (addr_equal(&s->nat.of, &r.signalled))
		return;
	s->nat.before = s->nat.of.family == AF_UNSPEC ? s->nat.of : r.rtp.seen;
	s->nat.of = r.signalled;
}

static enum policy_dtmf dtmf_of(const struct conf_peer *peer, bool telephone_event)
{
	if (peer->dtmf == DTMF_INFO)
		return POLICY_DTMF_INFO;
	return peer->dtmf == DTMF_INBAND || !telephone_event ? POLICY_DTMF_INBAND
							     : POLICY_DTMF_EVENTS;
}

static void collect_description(const struct call *c, enum side side, struct policy_leg *out)
{
	static const enum policy_crypto crypto[] = { [DESC_NO_KEYS] = POLICY_PLAIN,
						     [DESC_SDES] = POLICY_SDES,
						     [DESC_DTLS] = POLICY_DTLS,
						     [DESC_ZRTP] = POLICY_ZRTP };
	const struct call_side *s = &c->side[side];
	const struct desc_facts *said = &c->said.leg[side];

	out->described = true;
	out->media = s->audio.rtp;
	out->own_address = is_ours(peers_conf(c->peers), &s->audio.rtp);
	out->crypto = crypto[said->keys];
	out->ice = said->ice;
	out->hold = desc_holds(&s->audio);
	out->live[POLICY_KIND_AUDIO] = said->live[DESC_KIND_AUDIO];
	out->live[POLICY_KIND_VIDEO] = said->live[DESC_KIND_VIDEO];
	out->live[POLICY_KIND_IMAGE] = said->live[DESC_KIND_IMAGE];
	out->live[POLICY_KIND_OTHER] = said->live[DESC_KIND_OTHER];
	out->dtmf = dtmf_of(s->peer, said->telephone_event);
}

void call_read_said(struct call *c)
{
	const struct desc *a = c->side[SIDE_A].said, *b = c->side[SIDE_B].said;

	if (a)
		desc_facts(a, &c->said.leg[SIDE_A]);
	if (b)
		desc_facts(b, &c->said.leg[SIDE_B]);
	if (a && b)
		desc_compare(a, b, &c->said.pair);
}

static bool sends_to_peer(const struct call *c, enum side side)
{
	return c->media.leg[side].peer && !c->media.leg[side].open;
}

static void collect_leg(const struct call *c, enum side side, struct policy_leg *out)
{
	const struct call_side *s = &c->side[side];
	struct stream_report media;

	*out = (struct policy_leg){ .canreinvite = CANREINVITE_YES, .incoming = side == SIDE_A };
	if (!s->peer)
		return;
	out->canreinvite = s->peer->canreinvite;
	/* Who was told the other's address already would need one to be brought back. */
	out->no_reinvite = !sends_to_peer(c, side) && call_breaks_on_reinvite(c, side);
	out->fixed = !s->peer->dynamic && !s->peer->nat;
	if (s->leg) {
		out->source = leg_source(s->leg);
		out->takes_update = leg_can_update(s->leg);
		out->nat_signalling = leg_natted(s->leg) || reach_natted(c->all->setup.reach,
									 s->peer, &out->source)
					      ? POLICY_NAT_SEEN
					      : POLICY_NAT_NONE;
	}
	if (c->stream) {
		stream_report(c->stream, side, &media);
		out->nat_media = nat_of(s, &media);
		out->learned = media.rtp.seen;
	}
	if (s->said)
		collect_description(c, side, out);
	else if (call_keys_expected(c, side))
		out->crypto = POLICY_SDES;
}

static void collect_pair(const struct call *c, struct policy_facts *out)
{
	const struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];
	const struct desc_pair *pair = &c->said.pair;

	out->leg[SIDE_A].acl_denies =
		b->said && !conf_acl_permits(&a->peer->direct_acl, &b->audio.rtp);
	out->leg[SIDE_B].acl_denies =
		a->said && b->peer && !conf_acl_permits(&b->peer->direct_acl, &a->audio.rtp);
	if (!a->said || !b->said)
		return;
	out->pair = (struct policy_pair){ .no_codec = pair->no_codec,
					  .numbers_differ = pair->numbers_differ,
					  .parameters_differ = pair->parameters_differ,
					  .events_differ = pair->events_differ,
					  .sdes_passes = call_keys_pass(c) && a->audio.secure &&
							 b->audio.secure };
	for (int i = 0; i < 2; i++)
		out->leg[i].ptime_ms = pair->ptime_ms[i];
}

void call_collect(const struct call *c, struct policy_facts *out)
{
	const struct call_side *a = &c->side[SIDE_A], *b = &c->side[SIDE_B];

	*out = (struct policy_facts){
		.course = c->course,
		.features = c->route ? features_of(&c->route->dial) : 0,
		.joined = joined(a->realm, b->realm),
		.answered = c->answered_ms && a->said && b->said,
		.setup_wanted = peers_conf(c->peers)->directsetup,
		.late_offer = !a->said,
	};
	collect_leg(c, SIDE_A, &out->leg[SIDE_A]);
	collect_leg(c, SIDE_B, &out->leg[SIDE_B]);
	collect_pair(c, out);
	out->course.transfer |= c->transfer_until_ms > loop_now_ms(c->all->setup.loop);
}

void call_decide(const struct call *c, struct policy_verdict *out)
{
	struct policy_facts facts;

	call_collect(c, &facts);
	policy_decide(out, &facts);
}

static void count_decision(struct calls *all, const struct policy_verdict *v)
{
	if (v->row == POLICY_ROW_PEER_REFUSED && v->code >= CALLS_REFUSALS_LO &&
	    v->code < CALLS_REFUSALS_LO + CALLS_REFUSALS)
		all->refusals[v->code - CALLS_REFUSALS_LO]++;
	else
		all->decisions[v->row]++;
}

void call_review(struct call *c)
{
	struct policy_verdict v;

	remember_nat(c, SIDE_A);
	remember_nat(c, SIDE_B);
	call_decide(c, &v);
	if (!c->verdict.matched || v.row != c->verdict.row || v.code != c->verdict.code)
		count_decision(c->all, &v);
	c->verdict = v;
}
