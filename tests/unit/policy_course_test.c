// SPDX-License-Identifier: GPL-2.0-or-later
/* Each row of the decision table by its name, when it matches and when it does not: NAT, and how
 * the call went. */
#include "policy_helper.h"

static void nat_row(int leg, const char *reason)
{
	struct policy_facts f;

	EACH_LEG(f, minds)
	{
		f.leg[minds].canreinvite = CANREINVITE_NONAT;
		DECIDES(&f, "DIRECT");
		f.leg[leg].nat_signalling = POLICY_NAT_SEEN;
		DECIDES(&f, reason);
		f.leg[leg].nat_signalling = POLICY_NAT_NONE;
		f.leg[leg].nat_media = POLICY_NAT_SEEN;
		DECIDES(&f, reason);
		f.leg[minds].canreinvite = CANREINVITE_YES;
		DECIDES(&f, "DIRECT");
	}
}

static void row_nat_a(void **state)
{
	(void)state;
	nat_row(0, "NAT_A");
}

static void row_nat_b(void **state)
{
	(void)state;
	nat_row(1, "NAT_B");
}

static void row_nat_unknown(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[0].canreinvite = CANREINVITE_NONAT;
		f.leg[i].nat_media = POLICY_NAT_UNKNOWN;
		f.leg[i].learned = (struct addr){ 0 };
		DECIDES(&f, "DIRECT");
		f.leg[i].source = address("203.0.113.9:5060");
		DECIDES(&f, "NAT_UNKNOWN");
		f.leg[i].source = (struct addr){ 0 };
		DECIDES(&f, "NAT_UNKNOWN");
		f.leg[0].canreinvite = CANREINVITE_YES;
		DECIDES(&f, "DIRECT");
	}
}

/* Phones behind the same NAT reach one another. */
static void same_nat_is_no_nat(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	for (int i = 0; i < 2; i++) {
		f.leg[i].canreinvite = CANREINVITE_NONAT;
		f.leg[i].nat_media = POLICY_NAT_SEEN;
		f.leg[i].learned = address(i ? "203.0.113.9:4000" : "203.0.113.9:4100");
	}
	DECIDES(&f, "DIRECT");
	f.leg[1].learned = address("203.0.113.8:4100");
	DECIDES(&f, "NAT_A");
	f.leg[1].learned = address("203.0.113.9:4100");
	f.joined = false;
	MATCHES(&f, NAT_A);
	f.joined = true;
	f.leg[1].nat_media = POLICY_NAT_NONE;
	DECIDES(&f, "NAT_A");
	for (int i = 0; i < 2; i++) {
		f.leg[i].nat_media = POLICY_NAT_UNKNOWN;
		f.leg[i].nat_signalling = POLICY_NAT_SEEN;
		f.leg[i].source = address("203.0.113.9:5060");
	}
	DECIDES(&f, "DIRECT");
	f.leg[0].source = f.leg[1].source = (struct addr){ 0 };
	DECIDES(&f, "NAT_A");
}

/* Realms that are not joined keep it here before this row does; `explain` shows it. */
static void row_private_addr(void **state)
{
	static const char *const private[] = { "10.1.2.3:4000", "172.31.0.1:4000",
					       "192.168.0.1:4000", "100.64.0.1:4000",
					       "[fd00::1]:4000" };
	static const char *const public[] = { "172.32.0.1:4000", "100.128.0.1:4000",
					      "[2001:db8::1]:4000" };
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.joined = false;
		for (size_t n = 0; n < sizeof(private) / sizeof(*private); n++) {
			f.leg[i].media = address(private[n]);
			MATCHES(&f, PRIVATE_ADDR);
		}
		f.leg[0].canreinvite = f.leg[1].canreinvite = CANREINVITE_NONAT;
		DIFFERS(&f, PRIVATE_ADDR);
		f.leg[!i].canreinvite = CANREINVITE_UPDATE;
		MATCHES(&f, PRIVATE_ADDR);
		for (size_t n = 0; n < sizeof(public) / sizeof(*public); n++) {
			f.leg[i].media = address(public[n]);
			DIFFERS(&f, PRIVATE_ADDR);
		}
		f.leg[i].media = address(private[0]);
		f.joined = true;
		DIFFERS(&f, PRIVATE_ADDR);
	}
}

static void row_hold(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].hold = true;
		DECIDES(&f, "HOLD");
		assert_int_equal(decide(&f).decision, POLICY_DECIDES_STAY);
		f.leg[i].described = false;
		DIFFERS(&f, HOLD);
	}
}

static void row_transfer(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.transfer = true;
	DECIDES(&f, "TRANSFER");
}

static void row_not_answered(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.answered = false;
	DECIDES(&f, "NOT_ANSWERED");
	f.leg[1].described = false;
	DECIDES(&f, "NOT_ANSWERED");
	f = early_call();
	DIFFERS(&f, NOT_ANSWERED);
}

static void row_settle(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.settling = true;
	DECIDES(&f, "SETTLE");
	f.course.mode = POLICY_FORCE_DIRECT;
	DECIDES(&f, "DIRECT");
}

static void row_glare(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.glare = POLICY_GLARE_WAITS;
	DECIDES(&f, "GLARE");
	DIFFERS(&f, GLARE_GIVEUP);
	f.course.mode = POLICY_FORCE_DIRECT;
	DECIDES(&f, "DIRECT");
}

static void row_glare_giveup(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.glare = POLICY_GLARE_GIVEN_UP;
	DECIDES(&f, "GLARE_GIVEUP");
	DIFFERS(&f, GLARE);
	f.course.mode = POLICY_FORCE_DIRECT;
	DECIDES(&f, "DIRECT");
}

static void row_outgoing_wait(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.leg[0].canreinvite = CANREINVITE_OUTGOING;
	DECIDES(&f, "DIRECT");
	f.course.leg[0].waited_for = true;
	DECIDES(&f, "OUTGOING_WAIT");
	f.course.leg[0].reinvited = true;
	DECIDES(&f, "DIRECT");
	f.course.leg[0].reinvited = false;
	f.leg[0].canreinvite = CANREINVITE_YES;
	DECIDES(&f, "DIRECT");
}

static void row_peer_timeout(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.course.leg[i].swallows = true;
		DECIDES(&f, "PEER_TIMEOUT");
	}
}

static void row_peer_ignores_c(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.course.leg[i].ignores_c = true;
		DECIDES(&f, "PEER_IGNORES_C");
	}
}

static void row_unstable_sdp(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.course.leg[i].unstable = true;
		DECIDES(&f, "UNSTABLE_SDP");
	}
}

static void row_drain(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.moving = true;
	DECIDES(&f, "DRAIN");
	assert_int_equal(decide(&f).decision, POLICY_DECIDES_STAY);
}

static void row_direct_setup(void **state)
{
	struct policy_facts f = early_call();

	(void)state;
	DECIDES(&f, "DIRECT_SETUP");
	assert_int_equal(decide(&f).decision, POLICY_DECIDES_DIRECT_SETUP);
	f = free_call();
	f.course.at_setup = true;
	DECIDES(&f, "DIRECT_SETUP");
	f.pair.no_codec = true;
	DECIDES(&f, "CODEC");
}

/* Each condition of direct media at set-up, beside the rows. */
static void direct_setup_is_not_for_everybody(void **state)
{
	const char *wanted = "NOT_ANSWERED";
	struct policy_facts f = early_call();

	(void)state;
#define BUT(change)                                                                                \
	do {                                                                                       \
		f = early_call();                                                                  \
		change;                                                                            \
		DECIDES(&f, wanted);                                                               \
	} while (0)
	BUT(f.setup_wanted = false);
	BUT(f.late_offer = true);
	BUT(f.course.several = true);
	BUT(f.leg[0].described = false);
	BUT(f.leg[0].nat_signalling = POLICY_NAT_SEEN);
	BUT(f.leg[0].nat_media = POLICY_NAT_UNKNOWN; f.leg[0].source = address("203.0.113.9:5060"));
	BUT(f.leg[1].fixed = false);
	BUT(f.leg[0].canreinvite = CANREINVITE_OUTGOING);
	BUT(f.leg[1].canreinvite = CANREINVITE_OUTGOING | CANREINVITE_UPDATE);
	BUT(f.features = POLICY_ANNOUNCE);
	BUT(f.recording = POLICY_RECORDING_ARMED);
	wanted = "CRYPTO";
	BUT(f.leg[0].crypto = POLICY_SDES);
	BUT(f.leg[1].crypto = POLICY_SDES);
#undef BUT
}

static void row_direct(void **state)
{
	struct policy_facts f = free_call();
	struct policy_verdict v = decide(&f);

	(void)state;
	DECIDES(&f, "DIRECT");
	assert_int_equal(v.matched, 1ull << POLICY_ROW_DIRECT);
	assert_int_equal(v.decision, POLICY_DECIDES_DIRECT);
	assert_true(policy_goes_direct(&v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_nat_a),
		cmocka_unit_test(row_nat_b),
		cmocka_unit_test(row_nat_unknown),
		cmocka_unit_test(same_nat_is_no_nat),
		cmocka_unit_test(row_private_addr),
		cmocka_unit_test(row_hold),
		cmocka_unit_test(row_transfer),
		cmocka_unit_test(row_not_answered),
		cmocka_unit_test(row_settle),
		cmocka_unit_test(row_glare),
		cmocka_unit_test(row_glare_giveup),
		cmocka_unit_test(row_outgoing_wait),
		cmocka_unit_test(row_peer_timeout),
		cmocka_unit_test(row_peer_ignores_c),
		cmocka_unit_test(row_unstable_sdp),
		cmocka_unit_test(row_drain),
		cmocka_unit_test(row_direct_setup),
		cmocka_unit_test(direct_setup_is_not_for_everybody),
		cmocka_unit_test(row_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
