// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The four flows follow from what is known of both sides, always all of them from the same two
 * descriptions: set-up, re-INVITE and the next target are one path. Packets of a side arrive at its
 * relay port, are admitted from where that side said, and leave from the other side's relay port to
 * where the other side said.
 */
#include "media/stream.h"

#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

enum { KINDS = FLOW_RTCP + 1 };

struct media {
	struct loop *loop;
	struct datapath *dp;
	struct ports *ports;
	struct stream *streams;	/* by owner */
};

struct stream_side {
	struct stream_leg leg;
	struct addr relay;	/* RTP; RTCP is the port above */
	struct addr wants[KINDS];	/* as said; AF_UNSPEC: not described */
	struct addr sends[KINDS];	/* source admitted: the last said that was no null one */
	/* Of a leg with `comedia`: the source found, since then the only one admitted and where its
	 * media goes; and whether what it said last is still looked for. */
	struct addr found[KINDS];
	bool looking[KINDS];
	uint32_t clock_rate;
	uint8_t event;		/* payload type by which it wants telephone-events */
	bool mux;		/* it has RTCP at the port of RTP */
	bool ours;		/* what it hears is made here */
	struct flow_crypt sends_under, hears_under;
	struct seal *seal;	/* of what is made here; NULL: none under this key */
	uint32_t source;	/* number of the last that was */
	struct flow_payloads payloads;	/* of what it sends */
};

struct stream {
	struct media *media;
	uint64_t owner;
	bool stopped;
	bool direct;
	bool opaque;	/* passed unread */
	bool lone;	/* no RTCP beside it */
	bool deferred;	/* flows are not applied while so */
	bool changed;		/* since then */
	struct stream_side side[2];
	struct flow_counters *last;	/* once stopped: KINDS of each side; NULL: no memory */
	struct stream *next;	/* of the same owner; the first of them is in the table */
	UT_hash_handle hh;
};

int media_new(struct media **out, const struct conf *conf, struct loop *loop, struct datapath *dp,
	      struct ports *ports)
{
	struct media *media = malloc(sizeof(*media));

	(void)conf;
	if (!media)
		return -ENOMEM;
	*media = (struct media){ .loop = loop, .dp = dp, .ports = ports };
	*out = media;
	return 0;
}

void media_free(struct media *media)
{
	free(media);
}

bool media_encrypts(const struct media *media)
{
	return datapath_encrypts(media->dp);
}

static struct addr relay_of(const struct stream_side *side, enum flow_kind kind)
{
	return addr_with_port(&side->relay, (uint16_t)(side->relay.port + (kind == FLOW_RTCP)));
}

static bool reachable(const struct addr *to, const struct addr *from)
{
	return to->family == from->family && to->port && !addr_is_any(to);
}

static struct addr source_of(const struct stream_side *side, enum flow_kind kind)
{
	return side->leg.comedia && !side->looking[kind] ? side->found[kind] : side->sends[kind];
}

/* Before anything was heard, what is sent to the address that it signals from cannot harm others,
 * what is sent to any other address that it names could. */
static struct addr destination_of(const struct stream_side *side, enum flow_kind kind)
{
	const struct addr *wants = &side->wants[kind];

	if (!side->leg.comedia || !wants->port || addr_is_any(wants))
		return *wants;
	if (side->found[kind].family != AF_UNSPEC)
		return side->found[kind];
	return addr_same_ip(wants, &side->leg.signals_from) ? *wants : (struct addr){ 0 };
}

/* RTCP comes from where RTP was found to come from. */
static struct addr learn_of(const struct stream_side *side, enum flow_kind kind)
{
	if (!side->looking[kind])
		return (struct addr){ 0 };
	if (kind == FLOW_RTCP && side->found[FLOW_RTP].family != AF_UNSPEC)
		return addr_with_port(&side->found[FLOW_RTP], 0);
	return addr_with_port(&side->leg.signals_from, 0);
}

/* By which port of that side it travels. */
static enum flow_kind way_of(const struct stream *s, const struct stream_side *side,
			     enum flow_kind kind)
{
	return side->mux && !s->opaque ? FLOW_RTP : kind;
}

/* Of what is agreed upon. */
static void set_payloads(struct flow_want *want, const struct stream_side *sender)
{
	want->payloads = sender->payloads;
	if (want->payloads.clock_rate)
		want->clock_rate = want->payloads.clock_rate;
}

/* The flow of what `from` sends. */
static struct flow_want want_of(const struct stream *s, enum side from, enum flow_kind kind)
{
	const struct stream_side *sender = &s->side[from], *receiver = &s->side[side_other(from)];
	enum flow_kind way = way_of(s, sender, kind), out = way_of(s, receiver, kind);
	struct flow_want want = {
		.local = relay_of(sender, kind),
		.owner = s->owner,
		.kind = kind,
		.mode = FLOW_MUTED,
		.expect = source_of(sender, way),
		.learning = way == kind && sender->looking[kind],
		.learn = way == kind ? learn_of(sender, kind) : (struct addr){ 0 },
		.mux = kind == FLOW_RTP && way_of(s, sender, FLOW_RTCP) == FLOW_RTP,
		.any_port = sender->leg.any_port,
		.rate = sender->leg.rate,
		.opaque = s->opaque,
		.event = kind == FLOW_RTP ? receiver->event : 0,
		.from = relay_of(receiver, out),
		.to = destination_of(receiver, out),
		.egress_realm = receiver->leg.realm,
		.clock_rate = kind == FLOW_RTP && !s->opaque ? sender->clock_rate : 0,
		.in = sender->sends_under,
		.out = receiver->hears_under,
	};

	if (s->direct)
		want.mode = FLOW_STRAY;
	if (want.expect.family == want.local.family && reachable(&want.to, &want.from) &&
	    !receiver->ours) {
		want.mode = s->direct ? FLOW_STRAY : FLOW_FORWARD;
		if (kind == FLOW_RTP && !s->direct && !s->opaque)
			set_payloads(&want, sender);
		return want;
	}
	/* What does not matter to a muted flow is no change of it: an entry that was changed just
	 * now takes the next change only after a grace period. Its keys matter: what is heard again
	 * comes under the same ones, and no index may come twice (RFC 3711 9.1). */
	want.from = want.to = (struct addr){ 0 };
	return want;
}

static int apply_side(const struct stream *s, enum side side)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct flow_want want = want_of(s, side, (enum flow_kind)kind);
		int err = 0;

		if (kind == FLOW_RTCP && s->lone)
			datapath_remove(s->media->dp, &want.local, NULL);
		else
			err = datapath_apply(s->media->dp, &want);
		flow_forget_keys(&want);
		if (err)
			return err;
	}
	return 0;
}

/* `last`: KINDS of them, or NULL. */
static void remove_flows(const struct media *media, const struct stream_side *side,
			 struct flow_counters *last)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct addr local = relay_of(side, (enum flow_kind)kind);

		if (last)
			last[kind].last_s = last[kind].round_trip_ms = -1;
		datapath_remove(media->dp, &local, last ? &last[kind] : NULL);
	}
}

static int lease_side(struct media *media, struct stream_side *side, const struct stream_leg *leg)
{
	*side = (struct stream_side){ .leg = *leg };
	return ports_lease(media->ports, leg->realm, leg->family, loop_now_ms(media->loop),
			   &side->relay);
}

static void forget_keys(struct stream_side *side)
{
	explicit_bzero(&side->sends_under, sizeof(side->sends_under));
	explicit_bzero(&side->hears_under, sizeof(side->hears_under));
	seal_free(side->seal);
	side->seal = NULL;
}

/* Its keys are forgotten, too. */
static void release_side(struct media *media, struct stream_side *side)
{
	forget_keys(side);
	ports_release(media->ports, side->leg.realm, &side->relay, loop_now_ms(media->loop));
}

static void enlist(struct stream *s)
{
	struct media *media = s->media;
	struct stream *first;

	HASH_FIND(hh, media->streams, &s->owner, sizeof(s->owner), first);
	if (first)
		LL_APPEND(first, s);
	else
		HASH_ADD(hh, media->streams, owner, sizeof(s->owner), s);
}

static void delist(struct stream *s)
{
	struct media *media = s->media;
	struct stream *first;

	HASH_FIND(hh, media->streams, &s->owner, sizeof(s->owner), first);
	if (first != s) {
		LL_DELETE(first, s);
		return;
	}
	HASH_DEL(media->streams, s);
	if (s->next)
		HASH_ADD(hh, media->streams, owner, sizeof(s->owner), s->next);
}

int stream_new(struct stream **out, struct media *media, uint64_t owner,
	       const struct stream_leg legs[2])
{
	struct stream *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->media = media;
	s->owner = owner;
	err = lease_side(media, &s->side[SIDE_A], &legs[SIDE_A]);
	if (err)
		goto out_free;
	err = lease_side(media, &s->side[SIDE_B], &legs[SIDE_B]);
	if (err)
		goto out_release;
	enlist(s);
	*out = s;
	return 0;

out_release:
	release_side(media, &s->side[SIDE_A]);
out_free:
	free(s);
	return err;
}

int stream_add(struct stream **out, const struct stream *like)
{
	const struct stream_leg legs[2] = { like->side[SIDE_A].leg, like->side[SIDE_B].leg };

	return stream_new(out, like->media, like->owner, legs);
}

void stream_stop(struct stream *s)
{
	if (s->stopped)
		return;
	s->stopped = true;
	s->last = calloc(2 * KINDS, sizeof(*s->last));
	for (int i = 0; i < 2; i++)
		remove_flows(s->media, &s->side[i], s->last ? s->last + i * KINDS : NULL);
	for (int i = 0; i < 2; i++)
		release_side(s->media, &s->side[i]);
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	stream_stop(s);
	stream_leave(s);
}

void stream_leave(struct stream *s)
{
	delist(s);
	forget_keys(&s->side[SIDE_A]);
	forget_keys(&s->side[SIDE_B]);
	free(s->last);
	free(s);
}

struct addr stream_relay(const struct stream *s, enum side side)
{
	return s->side[side].relay;
}

/* Another address than before begins another search; what was found is the destination until that
 * has an end, and admitted for a while as any former source. */
static void hear(struct stream_side *side, enum flow_kind kind, const struct addr *said)
{
	side->wants[kind] = *said;
	if (!said->port) {
		side->sends[kind] = side->found[kind] = (struct addr){ 0 };
		side->looking[kind] = false;
	} else if (!addr_is_any(said) && !addr_equal(said, &side->sends[kind])) {
		side->sends[kind] = *said;
		side->looking[kind] = side->leg.comedia;
	}
}

/* The ports are ours and were taken before, so that only a fault of ours can fail. */
static void apply_all(struct stream *s)
{
	int err, err_b;

	s->changed = s->deferred;
	if (s->deferred)
		return;
	err = apply_side(s, SIDE_A);
	err_b = apply_side(s, SIDE_B);
	if (err || err_b)
		log_error("flows of stream %llu not applied: %s", (unsigned long long)s->owner,
			  strerror(-(err ? err : err_b)));
}

/* Before anything is there are no flows. */
static bool described(const struct stream *s)
{
	return s->side[SIDE_A].wants[FLOW_RTP].family != AF_UNSPEC ||
	       s->side[SIDE_B].wants[FLOW_RTP].family != AF_UNSPEC;
}

void stream_describe(struct stream *s, enum side side, const struct addr *rtp,
		     const struct addr *rtcp, uint32_t clock_rate)
{
	if (s->stopped)
		return;
	hear(&s->side[side], FLOW_RTP, rtp);
	hear(&s->side[side], FLOW_RTCP, rtcp);
	s->side[side].clock_rate = clock_rate;
	apply_all(s);
}

static bool find(struct stream_side *side, const struct addr *local, const struct addr *source)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct addr relay = relay_of(side, (enum flow_kind)kind);

		if (!addr_equal(&relay, local) || !side->looking[kind])
			continue;
		side->looking[kind] = false;
		side->found[kind] = *source;
		return true;
	}
	return false;
}

void media_learned(struct media *media, uint64_t owner, const struct addr *local,
		   const struct addr *source)
{
	char at[ADDR_TEXT], from[ADDR_TEXT];
	struct stream *s;

	HASH_FIND(hh, media->streams, &owner, sizeof(owner), s);
	while (s && (s->stopped || (!find(&s->side[SIDE_A], local, source) &&
				    !find(&s->side[SIDE_B], local, source))))
		s = s->next;
	if (!s)
		return;
	log_info("media at %s comes from %s", addr_print(at, local), addr_print(from, source));
	apply_all(s);
}

void stream_expect_events(struct stream *s, enum side side, uint8_t payload_type)
{
	s->side[side].event = payload_type;
}

void stream_multiplex(struct stream *s, enum side side, bool mux)
{
	s->side[side].mux = mux;
}

void stream_encrypt(struct stream *s, enum side side, const struct flow_crypt *sends,
		    const struct flow_crypt *hears)
{
	struct stream_side *to = &s->side[side];

	if (memcmp(&to->hears_under, hears, sizeof(*hears))) {
		seal_free(to->seal);
		to->seal = NULL;
	}
	to->sends_under = *sends;
	to->hears_under = *hears;
}

void stream_carry(struct stream *s, bool opaque, bool rtcp)
{
	s->opaque = opaque;
	s->lone = !rtcp;
}

void stream_admit(struct stream *s, enum side side, const struct flow_payloads *payloads)
{
	struct flow_payloads *now = &s->side[side].payloads;

	if (s->stopped || !memcmp(now, payloads, sizeof(*now)))
		return;
	*now = *payloads;
	if (described(s))
		apply_all(s);
}

void stream_defer(struct stream *s)
{
	s->deferred = true;
}

void stream_enforce(struct stream *s)
{
	s->deferred = false;
	if (s->changed && !s->stopped)
		apply_all(s);
}

void stream_replace(struct stream *s, enum side side, bool ours)
{
	if (s->stopped || s->side[side].ours == ours)
		return;
	s->side[side].ours = ours;
	apply_all(s);
}

uint32_t stream_source(struct stream *s, enum side side, uint32_t now)
{
	struct stream_side *to = &s->side[side];
	struct addr local = relay_of(&s->side[side_other(side)], FLOW_RTP);
	struct flow_counters heard = { 0 };

	datapath_counters(s->media->dp, &local, &heard);
	if (now && now == to->source && now != heard.ssrc)
		return now;
	if (!to->source && getrandom(&to->source, sizeof(to->source), 0) < 0)
		to->source = 1;
	do /* an odd step comes to every number before one comes again */
		to->source += 0x9e3779b1;
	while (!to->source || to->source == heard.ssrc);
	seal_free(to->seal);
	to->seal = NULL;
	return to->source;
}

int stream_seal(struct stream *s, enum side side, uint8_t *packet, size_t len, bool rtcp)
{
	struct stream_side *to = &s->side[side];
	int err = 0;

	if (s->stopped || to->wants[FLOW_RTP].family == AF_UNSPEC)
		return -ENOTCONN;
	if (!to->hears_under.suite)
		return (int)len;
	if (!to->seal)
		err = datapath_seal(&to->seal, s->media->dp, &to->hears_under, to->source);
	return err ? err : seal_packet(to->seal, packet, len, rtcp);
}

int stream_way(const struct stream *s, enum side side, struct stream_way *out)
{
	const struct stream_side *listener = &s->side[side];
	struct addr rtcp_to;

	*out = (struct stream_way){ .from = listener->relay,
				    .to = destination_of(listener, FLOW_RTP) };
	if (s->stopped || !reachable(&out->to, &out->from))
		return -ENOTCONN;
	rtcp_to = destination_of(listener, way_of(s, listener, FLOW_RTCP));
	if (reachable(&rtcp_to, &out->from))
		out->rtcp_to = rtcp_to;
	return datapath_egress(&out->ifindex, s->media->dp, listener->leg.realm, &out->from,
			       &out->to);
}

void stream_set_direct(struct stream *s, bool direct)
{
	if (s->stopped || s->direct == direct)
		return;
	s->direct = direct;
	if (described(s))
		apply_all(s);
}

int stream_new_b(struct stream *s, const struct stream_leg *leg)
{
	struct stream_side old = s->side[SIDE_B];
	int err;

	if (s->stopped)
		return -ESHUTDOWN;
	err = lease_side(s->media, &s->side[SIDE_B], leg);
	if (err) {
		s->side[SIDE_B] = old;
		return err;
	}
	err = apply_side(s, SIDE_B);
	if (err) {
		remove_flows(s->media, &s->side[SIDE_B], NULL);
		release_side(s->media, &s->side[SIDE_B]);
		s->side[SIDE_B] = old;
		return err;
	}
	apply_all(s);
	remove_flows(s->media, &old, NULL);
	release_side(s->media, &old);
	return 0;
}

static void count(const struct stream *s, enum side side, enum flow_kind kind,
		  struct flow_counters *out)
{
	struct addr local = relay_of(&s->side[side], kind);

	if (s->stopped && s->last)
		*out = s->last[side * KINDS + kind];
	else if (s->stopped || datapath_counters(s->media->dp, &local, out))
		*out = (struct flow_counters){ .last_s = -1, .round_trip_ms = -1 };
}

void stream_report(const struct stream *s, enum side side, struct stream_report *out)
{
	out->relay = s->side[side].relay;
	out->signalled = s->side[side].wants[FLOW_RTP];
	out->opaque = s->opaque;
	count(s, side, FLOW_RTP, &out->rtp);
	count(s, side, FLOW_RTCP, &out->rtcp);
}
