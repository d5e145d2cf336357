// SPDX-License-Identifier: GPL-2.0-or-later
/* The decision table as a whole: who comes first, the truth table of canreinvite, and what must
 * hold whatever the facts. */
#include "policy_helper.h"

/* A change of `free_call()` that makes the row match. */
static void make(struct policy_facts *f, enum policy_row row)
{
	struct policy_leg *a = &f->leg[0], *b = &f->leg[1];

#define MAKE(name, ...)                                                                            \
	if (row == POLICY_ROW_##name) {                                                            \
		__VA_ARGS__;                                                                       \
		return;                                                                            \
	}
	MAKE(OPERATOR, f->course.mode = POLICY_FORCE_RELAY)
	MAKE(RECORDING, f->recording = POLICY_RECORDING_ON)
	MAKE(POLICY_NO_A, a->canreinvite = 0)
	MAKE(POLICY_NO_B, b->canreinvite = 0)
	MAKE(QUIRK_NO_REINVITE, b->no_reinvite = true)
	MAKE(PEER_REFUSED, f->course.leg[1].refused = 606)
	MAKE(CRYPTO, a->crypto = POLICY_DTLS)
	MAKE(ICE, b->ice = true)
	MAKE(T38, b->live[POLICY_KIND_IMAGE] = 1)
	MAKE(MULTI_M, b->live[POLICY_KIND_AUDIO]++)
	MAKE(VIDEO, a->live[POLICY_KIND_VIDEO] = b->live[POLICY_KIND_VIDEO] = 1;
	     a->live[POLICY_KIND_AUDIO] = b->live[POLICY_KIND_AUDIO] = 0)
	MAKE(CODEC, f->pair.no_codec = true)
	MAKE(PT_MISMATCH, f->pair.numbers_differ = true)
	MAKE(FMTP, f->pair.parameters_differ = true)
	MAKE(PTIME, b->ptime_ms = 60)
	MAKE(DTMF_MODE, f->pair.events_differ = true)
	MAKE(DTMF_FEATURE, f->features |= POLICY_DTMF_A)
	MAKE(LIMIT_WARN, f->features |= POLICY_WARN)
	MAKE(ADDR_FAMILY, a->media = address("[2001:db8::1]:4000"))
	MAKE(REALM, f->joined = false)
	MAKE(ACL, a->acl_denies = true)
	MAKE(NAT_A, a->nat_signalling = POLICY_NAT_SEEN; a->canreinvite |= CANREINVITE_NONAT)
	MAKE(NAT_B, b->nat_signalling = POLICY_NAT_SEEN; a->canreinvite |= CANREINVITE_NONAT)
	MAKE(NAT_UNKNOWN, b->nat_media = POLICY_NAT_UNKNOWN; b->source.family = AF_UNSPEC;
	     a->canreinvite |= CANREINVITE_NONAT)
	MAKE(PRIVATE_ADDR, f->joined = false; a->media = address("10.0.0.1:4000"))
	MAKE(HOLD, a->hold = true)
	MAKE(TRANSFER, f->course.transfer = true)
	MAKE(NOT_ANSWERED, f->answered = false)
	MAKE(SETTLE, f->course.settling = true)
	MAKE(GLARE, f->course.glare = POLICY_GLARE_WAITS)
	MAKE(GLARE_GIVEUP, f->course.glare = POLICY_GLARE_GIVEN_UP)
	MAKE(OUTGOING_WAIT, f->course.leg[0].waited_for = true;
	     a->canreinvite |= CANREINVITE_OUTGOING)
	MAKE(PEER_TIMEOUT, f->course.leg[0].swallows = true)
	MAKE(PEER_IGNORES_C, f->course.leg[0].ignores_c = true)
	MAKE(UNSTABLE_SDP, f->course.leg[0].unstable = true)
	MAKE(DRAIN, f->course.moving = true)
	MAKE(DIRECT_SETUP, f->course.at_setup = true)
	MAKE(DIRECT, (void)f)
#undef MAKE
	fail_msg("nothing makes row %s match", policy_row_number(row));
}

/* Of any two rows that match together the earlier one decides. */
static void the_first_row_decides(void **state)
{
	(void)state;
	for (int i = 0; i < POLICY_ROW_COUNT; i++) {
		for (int j = i; j < POLICY_ROW_COUNT; j++) {
			struct policy_facts f = free_call();

			make(&f, (enum policy_row)j);
			assert_true(matches(&f, (enum policy_row)j));
			make(&f, (enum policy_row)i);
			assert_true(matches(&f, (enum policy_row)i));
			/* What makes one match may make an earlier one match, too: REALM for
			 * PRIVATE_ADDR. */
			assert_true((int)decide(&f).row <= i);
			if (i != POLICY_ROW_PRIVATE_ADDR && j != POLICY_ROW_PRIVATE_ADDR)
				assert_int_equal(decide(&f).row, i);
		}
	}
}

static void rows_are_written_in_order(void **state)
{
	static const struct {
		enum policy_row row;
		const char *number;
	} some[] = { { POLICY_ROW_OPERATOR, "1" },
		     { POLICY_ROW_POLICY_NO_A, "3" },
		     { POLICY_ROW_REALM, "18a" },
		     { POLICY_ROW_NAT_UNKNOWN, "20" },
		     { POLICY_ROW_DIRECT, "32" } };

	(void)state;
	for (int i = 1; i < POLICY_ROW_COUNT; i++)
		assert_true(atoi(policy_row_number((enum policy_row)(i - 1))) <=
			    atoi(policy_row_number((enum policy_row)i)));
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		assert_string_equal(policy_row_number(some[i].row), some[i].number);
	assert_int_equal(policy_row_class(POLICY_ROW_ADDR_FAMILY), POLICY_PERMANENT);
	assert_int_equal(policy_row_class(POLICY_ROW_HOLD), POLICY_CONDITION);
	assert_int_equal(policy_row_class(POLICY_ROW_SETTLE), POLICY_TRANSIENT);
	assert_int_equal(policy_row_decision(POLICY_ROW_DRAIN), POLICY_DECIDES_STAY);
	assert_string_equal(policy_row_text(POLICY_ROW_VIDEO), "video");
}

/* no and anything: relayed; nonat on either side minds NAT on both; update and outgoing are yes. */
static void truth_table_of_canreinvite(void **state)
{
	(void)state;
	for (unsigned int a = 0; a < 16; a++) {
		for (unsigned int b = 0; b < 16; b++) {
			struct policy_facts f = free_call();
			bool minds = (a | b) & CANREINVITE_NONAT;

			f.leg[0].canreinvite = a;
			f.leg[1].canreinvite = b;
			DECIDES(&f, !a ? "POLICY_NO_A" : !b ? "POLICY_NO_B" : "DIRECT");
			f.leg[1].nat_media = POLICY_NAT_SEEN;
			DECIDES(&f, !a	    ? "POLICY_NO_A"
				    : !b    ? "POLICY_NO_B"
				    : minds ? "NAT_B"
					    : "DIRECT");
		}
	}
}

static void update_where_it_is_taken(void **state)
{
	struct policy_leg leg = leg_at("192.0.2.1:4000");
	struct policy_leg_course course = { 0 };

	(void)state;
	leg.takes_update = true;
	assert_false(policy_by_update(&leg, &course));
	leg.canreinvite = CANREINVITE_UPDATE | CANREINVITE_NONAT;
	assert_true(policy_by_update(&leg, &course));
	course.update_refused = true;
	assert_false(policy_by_update(&leg, &course));
	course.update_refused = false;
	leg.takes_update = false;
	assert_false(policy_by_update(&leg, &course));
}

static void outgoing_withholds_the_first_reinvite(void **state)
{
	struct policy_leg leg = leg_at("192.0.2.1:4000");
	struct policy_leg_course course = { 0 };

	(void)state;
	leg.incoming = true;
	assert_false(policy_withholds(&leg, &course));
	leg.canreinvite = CANREINVITE_OUTGOING | CANREINVITE_UPDATE;
	assert_true(policy_withholds(&leg, &course));
	course.reinvited = true;
	assert_false(policy_withholds(&leg, &course));
	course.reinvited = false;
	leg.incoming = false;
	assert_false(policy_withholds(&leg, &course));
}

/* Splitmix64: the same calls in every run. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static bool chance(uint64_t *seed, unsigned int one_in)
{
	return next(seed) % one_in == 0;
}

static void disturb(struct policy_facts *f, uint64_t *seed)
{
	for (unsigned int n = (unsigned int)(next(seed) % 4); n > 0; n--)
		make(f, (enum policy_row)(next(seed) % POLICY_ROW_COUNT));
	for (int i = 0; i < 2; i++) {
		f->leg[i].described &= !chance(seed, 10);
		f->leg[i].fixed = chance(seed, 2);
		if (chance(seed, 3))
			f->leg[i].canreinvite = (unsigned int)(next(seed) % 16);
		if (chance(seed, 10))
			f->leg[i].nat_media = (enum policy_nat)(next(seed) % 3);
		if (chance(seed, 10))
			f->leg[i].crypto = (enum policy_crypto)(next(seed) % 4);
	}
	f->answered &= !chance(seed, 4);
	f->setup_wanted = chance(seed, 2);
	f->course.mode = (enum policy_mode)(next(seed) % 3);
}

static struct policy_facts mirrored(const struct policy_facts *f)
{
	struct policy_facts m = *f;

	m.leg[0] = f->leg[1];
	m.leg[1] = f->leg[0];
	m.course.leg[0] = f->course.leg[1];
	m.course.leg[1] = f->course.leg[0];
	m.features = f->features & ~(POLICY_DTMF_A | POLICY_DTMF_B);
	m.features |= f->features & POLICY_DTMF_A ? POLICY_DTMF_B : 0;
	m.features |= f->features & POLICY_DTMF_B ? POLICY_DTMF_A : 0;
	return m;
}

/* Said without the predicates. */
static void direct_is_safe(const struct policy_facts *f)
{
	const struct policy_leg *a = &f->leg[0], *b = &f->leg[1];

	assert_true(f->answered || f->setup_wanted);
	assert_true(a->canreinvite && b->canreinvite && f->joined);
	assert_true(f->course.mode != POLICY_FORCE_RELAY && !f->recording && !f->course.moving);
	if (!a->described || !b->described)
		return;
	assert_int_equal(a->media.family, b->media.family);
	assert_int_equal(a->crypto, b->crypto);
	assert_int_equal(a->ptime_ms, b->ptime_ms);
	assert_false(f->pair.no_codec || a->hold || b->hold);
	if ((a->canreinvite | b->canreinvite) & CANREINVITE_NONAT)
		assert_true(a->nat_media != POLICY_NAT_SEEN && b->nat_media != POLICY_NAT_SEEN);
}

static void whatever_the_facts(void **state)
{
	uint64_t seed = 1, permanent = 0;
	unsigned int direct = 0;

	(void)state;
	for (int i = 0; i < POLICY_ROW_COUNT; i++)
		if (policy_row_class((enum policy_row)i) == POLICY_PERMANENT)
			permanent |= 1ull << i;
	for (int n = 0; n < 50000; n++) {
		struct policy_facts f = free_call(), before, m;
		struct policy_verdict v;

		disturb(&f, &seed);
		before = f;
		v = decide(&f);
		assert_memory_equal(&f, &before, sizeof(f));
		assert_int_equal(v.row, __builtin_ctzll(v.matched));
		assert_true(v.matched & 1ull << POLICY_ROW_DIRECT);
		m = mirrored(&f);
		if (f.answered)
			assert_int_equal(decide(&m).decision, v.decision);
		if (!policy_goes_direct(&v))
			continue;
		direct++;
		assert_false(v.matched & permanent);
		direct_is_safe(&f);
	}
	assert_in_range(direct, 1000, 49000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_row_decides),
		cmocka_unit_test(rows_are_written_in_order),
		cmocka_unit_test(truth_table_of_canreinvite),
		cmocka_unit_test(update_where_it_is_taken),
		cmocka_unit_test(outgoing_withholds_the_first_reinvite),
		cmocka_unit_test(whatever_the_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
