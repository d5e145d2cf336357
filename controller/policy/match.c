// SPDX-License-Identifier: GPL-2.0-or-later
/* When each row of the decision table matches. In the table's order. */
#include "policy/match.h"

#include <string.h>

typedef bool leg_test(const struct policy_leg *leg);

static bool either(const struct policy_facts *f, leg_test *test)
{
	return test(&f->leg[0]) || test(&f->leg[1]);
}

static bool described(const struct policy_facts *f)
{
	return f->leg[0].described && f->leg[1].described;
}

bool policy_match_operator(const struct policy_facts *f)
{
	return f->course.mode == POLICY_FORCE_RELAY;
}

bool policy_match_recording(const struct policy_facts *f)
{
	return f->recording == POLICY_RECORDING_ON;
}

bool policy_match_no_a(const struct policy_facts *f)
{
	return !f->leg[0].canreinvite;
}

bool policy_match_no_b(const struct policy_facts *f)
{
	return !f->leg[1].canreinvite;
}

static bool breaks_on_reinvite(const struct policy_leg *leg)
{
	return leg->no_reinvite;
}

bool policy_match_quirk(const struct policy_facts *f)
{
	return either(f, breaks_on_reinvite);
}

bool policy_match_refused(const struct policy_facts *f)
{
	return f->course.leg[0].refused || f->course.leg[1].refused;
}

/* Keys by DTLS or ZRTP are agreed upon with us; those of SDES are written into descriptions, and
 * may be carried from one end to the other (RFC 4568 7.1.4). */
bool policy_match_crypto(const struct policy_facts *f)
{
	enum policy_crypto a = f->leg[0].crypto, b = f->leg[1].crypto;

	if (a == POLICY_DTLS || a == POLICY_ZRTP || b == POLICY_DTLS || b == POLICY_ZRTP)
		return true;
	if (!described(f))
		return a != POLICY_PLAIN || b != POLICY_PLAIN;
	return a != b || (a == POLICY_SDES && !f->pair.sdes_passes);
}

static bool has_ice(const struct policy_leg *leg)
{
	return leg->ice;
}

bool policy_match_ice(const struct policy_facts *f)
{
	return either(f, has_ice);
}

static bool faxes(const struct policy_leg *leg)
{
	return leg->live[POLICY_KIND_IMAGE];
}

bool policy_match_t38(const struct policy_facts *f)
{
	return either(f, faxes);
}

static bool many_lines(const struct policy_leg *leg)
{
	unsigned int n = 0;

	for (int i = 0; i < POLICY_KINDS; i++)
		n += leg->live[i];
	return n > 1;
}

bool policy_match_multi_m(const struct policy_facts *f)
{
	if (either(f, many_lines))
		return true;
	return described(f) && memcmp(f->leg[0].live, f->leg[1].live, sizeof(f->leg[0].live)) != 0;
}

static bool has_video(const struct policy_leg *leg)
{
	return leg->live[POLICY_KIND_VIDEO];
}

bool policy_match_video(const struct policy_facts *f)
{
	return either(f, has_video);
}

bool policy_match_codec(const struct policy_facts *f)
{
	return described(f) && f->pair.no_codec;
}

bool policy_match_pt_mismatch(const struct policy_facts *f)
{
	return described(f) && f->pair.numbers_differ;
}

bool policy_match_parameters(const struct policy_facts *f)
{
	return described(f) && f->pair.parameters_differ;
}

bool policy_match_ptime(const struct policy_facts *f)
{
	return described(f) && f->leg[0].ptime_ms != f->leg[1].ptime_ms;
}

bool policy_match_dtmf_mode(const struct policy_facts *f)
{
	if (!described(f))
		return false;
	return f->leg[0].dtmf != f->leg[1].dtmf ||
	       (f->leg[0].dtmf == POLICY_DTMF_EVENTS && f->pair.events_differ);
}

/* Digits in INFO come by signalling, wherever the media goes. */
bool policy_match_dtmf_feature(const struct policy_facts *f)
{
	return (f->features & POLICY_DTMF_A && f->leg[0].dtmf != POLICY_DTMF_INFO) ||
	       (f->features & POLICY_DTMF_B && f->leg[1].dtmf != POLICY_DTMF_INFO);
}

bool policy_match_limit_warn(const struct policy_facts *f)
{
	return f->features & POLICY_WARN;
}

bool policy_match_family(const struct policy_facts *f)
{
	return described(f) && f->leg[0].media.family != f->leg[1].media.family;
}

bool policy_match_realm(const struct policy_facts *f)
{
	return !f->joined;
}

/* A null address is hold, and goes nowhere. */
static bool unreachable(const struct policy_leg *leg)
{
	if (!leg->described)
		return false;
	return leg->acl_denies || leg->own_address ||
	       (addr_is_local(&leg->media) && !addr_is_any(&leg->media));
}

bool policy_match_acl(const struct policy_facts *f)
{
	return either(f, unreachable);
}

static bool behind_nat(const struct policy_leg *leg)
{
	return leg->nat_signalling == POLICY_NAT_SEEN || leg->nat_media == POLICY_NAT_SEEN;
}

/* Before a packet came: the address from which a leg speaks SIP is as good as one. */
static bool nat_doubtful(const struct policy_leg *leg)
{
	return leg->described && leg->nat_media == POLICY_NAT_UNKNOWN &&
	       !addr_same_ip(&leg->media, &leg->source);
}

static const struct addr *outer_address(const struct policy_leg *leg)
{
	return leg->nat_media != POLICY_NAT_UNKNOWN ? &leg->learned : &leg->source;
}

/* Phones behind the same NAT reach one another by the addresses they have there. */
static bool same_nat(const struct policy_facts *f)
{
	const struct addr *a = outer_address(&f->leg[0]), *b = outer_address(&f->leg[1]);

	return f->joined && behind_nat(&f->leg[0]) && behind_nat(&f->leg[1]) &&
	       a->family != AF_UNSPEC && addr_same_ip(a, b);
}

static bool minds_nat(const struct policy_leg *leg)
{
	return leg->canreinvite & CANREINVITE_NONAT;
}

static bool nat_matters(const struct policy_facts *f)
{
	return either(f, minds_nat) && !same_nat(f);
}

bool policy_match_nat_a(const struct policy_facts *f)
{
	return nat_matters(f) && behind_nat(&f->leg[0]);
}

bool policy_match_nat_b(const struct policy_facts *f)
{
	return nat_matters(f) && behind_nat(&f->leg[1]);
}

bool policy_match_nat_unknown(const struct policy_facts *f)
{
	return nat_matters(f) && either(f, nat_doubtful);
}

static bool plain_yes(const struct policy_leg *leg)
{
	return leg->canreinvite && !minds_nat(leg);
}

static bool private_address(const struct policy_leg *leg)
{
	return leg->described && addr_is_private(&leg->media);
}

bool policy_match_private_addr(const struct policy_facts *f)
{
	return !f->joined && either(f, plain_yes) && either(f, private_address);
}

static bool on_hold(const struct policy_leg *leg)
{
	return leg->described && leg->hold;
}

bool policy_match_hold(const struct policy_facts *f)
{
	return either(f, on_hold);
}

bool policy_match_transfer(const struct policy_facts *f)
{
	return f->course.transfer;
}

/* The callee's address is not known yet: of its NAT only the configuration can tell. */
static bool setup_possible(const struct policy_facts *f)
{
	const struct policy_leg *a = &f->leg[0], *b = &f->leg[1];

	return f->setup_wanted && !f->late_offer && !f->course.several && a->described &&
	       !a->hold && !behind_nat(a) && !nat_doubtful(a) && b->fixed &&
	       !((a->canreinvite | b->canreinvite) & CANREINVITE_OUTGOING) && !f->features &&
	       f->recording == POLICY_RECORDING_OFF;
}

bool policy_match_not_answered(const struct policy_facts *f)
{
	return !f->answered && !setup_possible(f);
}

/* What the operator's `direct` overrides: the settle time and glare. */
bool policy_match_settling(const struct policy_facts *f)
{
	return f->course.settling && f->course.mode != POLICY_FORCE_DIRECT;
}

bool policy_match_glare(const struct policy_facts *f)
{
	return f->course.glare == POLICY_GLARE_WAITS && f->course.mode != POLICY_FORCE_DIRECT;
}

bool policy_match_glare_giveup(const struct policy_facts *f)
{
	return f->course.glare == POLICY_GLARE_GIVEN_UP && f->course.mode != POLICY_FORCE_DIRECT;
}

bool policy_match_outgoing_wait(const struct policy_facts *f)
{
	for (int i = 0; i < 2; i++)
		if (f->course.leg[i].waited_for && policy_withholds(&f->leg[i], &f->course.leg[i]))
			return true;
	return false;
}

bool policy_match_peer_timeout(const struct policy_facts *f)
{
	return f->course.leg[0].swallows || f->course.leg[1].swallows;
}

bool policy_match_peer_ignores_c(const struct policy_facts *f)
{
	return f->course.leg[0].ignores_c || f->course.leg[1].ignores_c;
}

bool policy_match_unstable(const struct policy_facts *f)
{
	return f->course.leg[0].unstable || f->course.leg[1].unstable;
}

bool policy_match_moving(const struct policy_facts *f)
{
	return f->course.moving;
}

bool policy_match_at_setup(const struct policy_facts *f)
{
	return f->answered ? f->course.at_setup : setup_possible(f);
}

bool policy_match_always(const struct policy_facts *f)
{
	(void)f;
	return true;
}
