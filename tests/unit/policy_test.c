// SPDX-License-Identifier: GPL-2.0-or-later
/* Each row of the decision table by its name, when it matches and when it does not: what is
 * configured, and what the descriptions say. */
#include "policy_helper.h"

static void row_operator(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.course.mode = POLICY_FORCE_RELAY;
	DECIDES(&f, "OPERATOR");
	f.course.mode = POLICY_FORCE_DIRECT;
	DIFFERS(&f, OPERATOR);
	f.course.mode = POLICY_AUTO;
	DIFFERS(&f, OPERATOR);
}

static void row_recording(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.recording = POLICY_RECORDING_ON;
	DECIDES(&f, "RECORDING");
	f.recording = POLICY_RECORDING_ARMED;
	DIFFERS(&f, RECORDING);
}

static void row_policy_no_a(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.leg[0].canreinvite = 0;
	DECIDES(&f, "POLICY_NO_A");
	DIFFERS(&f, POLICY_NO_B);
}

static void row_policy_no_b(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.leg[1].canreinvite = 0;
	DECIDES(&f, "POLICY_NO_B");
	DIFFERS(&f, POLICY_NO_A);
	f.leg[0].canreinvite = 0;
	DECIDES(&f, "POLICY_NO_A");
	MATCHES(&f, POLICY_NO_B);
}

static void row_quirk_no_reinvite(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].no_reinvite = true;
		DECIDES(&f, "QUIRK_NO_REINVITE");
	}
	DIFFERS(&f, QUIRK_NO_REINVITE);
}

static void row_peer_refused(void **state)
{
	struct policy_facts f;
	struct policy_verdict v;
	char text[POLICY_REASON_TEXT];

	(void)state;
	EACH_LEG(f, i)
	{
		f.course.leg[i].refused = 488;
		DECIDES(&f, "PEER_REFUSED_488");
		assert_int_equal(decide(&f).code, 488);
	}
	v = decide(&f);
	assert_string_equal(policy_row_reason(text, &v, POLICY_ROW_PEER_REFUSED), "PEER_REFUSED");
}

static void row_crypto(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].crypto = POLICY_SDES;
		f.pair.sdes_passes = true;
		DECIDES(&f, "CRYPTO");
		f.leg[!i].crypto = POLICY_SDES;
		DECIDES(&f, "DIRECT");
		f.pair.sdes_passes = false;
		DECIDES(&f, "CRYPTO");
	}
	f.leg[0].crypto = f.leg[1].crypto = POLICY_DTLS;
	DECIDES(&f, "CRYPTO");
	f.leg[0].crypto = f.leg[1].crypto = POLICY_ZRTP;
	DECIDES(&f, "CRYPTO");
}

static void row_ice(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].ice = true;
		DECIDES(&f, "ICE");
	}
	DIFFERS(&f, ICE);
}

static void row_t38(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].live[POLICY_KIND_IMAGE] = 1;
		DECIDES(&f, "T38");
	}
	DIFFERS(&f, T38);
}

static void row_multi_m(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].live[POLICY_KIND_AUDIO] = 2;
		DECIDES(&f, "MULTI_M");
		f.leg[!i].live[POLICY_KIND_AUDIO] = 2;
		DECIDES(&f, "MULTI_M");
		f.leg[i].live[POLICY_KIND_AUDIO] = 0;
		f.leg[!i].live[POLICY_KIND_AUDIO] = 1;
		DECIDES(&f, "MULTI_M");
		f.leg[i].live[POLICY_KIND_OTHER] = 1;
		DECIDES(&f, "MULTI_M");
		f.leg[i].described = false;
		DIFFERS(&f, MULTI_M);
	}
	DIFFERS(&f, MULTI_M);
}

static void row_video(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	for (int i = 0; i < 2; i++) {
		f.leg[i].live[POLICY_KIND_AUDIO] = 0;
		f.leg[i].live[POLICY_KIND_VIDEO] = 1;
	}
	DECIDES(&f, "VIDEO");
	f = free_call();
	f.leg[1].live[POLICY_KIND_VIDEO] = 1;
	DECIDES(&f, "MULTI_M");
	MATCHES(&f, VIDEO);
}

static void row_codec(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.pair.no_codec = true;
	DECIDES(&f, "CODEC");
	f.leg[0].described = false;
	DIFFERS(&f, CODEC);
}

static void row_pt_mismatch(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.pair.numbers_differ = true;
	DECIDES(&f, "PT_MISMATCH");
	DIFFERS(&f, FMTP);
	f.leg[1].described = false;
	DIFFERS(&f, PT_MISMATCH);
}

static void row_fmtp(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.pair.parameters_differ = true;
	DECIDES(&f, "FMTP");
	DIFFERS(&f, PT_MISMATCH);
	f.leg[1].described = false;
	DIFFERS(&f, FMTP);
}

static void row_ptime(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].ptime_ms = 30;
		DECIDES(&f, "PTIME");
		f.leg[!i].ptime_ms = 30;
		DECIDES(&f, "DIRECT");
	}
}

static void row_dtmf_mode(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].dtmf = POLICY_DTMF_INBAND;
		DECIDES(&f, "DTMF_MODE");
		f.leg[!i].dtmf = POLICY_DTMF_INFO;
		DECIDES(&f, "DTMF_MODE");
		f.leg[!i].dtmf = POLICY_DTMF_INBAND;
		f.pair.events_differ = true;
		DECIDES(&f, "DIRECT");
	}
	f.pair.events_differ = true;
	DECIDES(&f, "DTMF_MODE");
}

/* The caller's letters need the caller's digits, the callee's the callee's; not those that come in
 * INFO. */
static void row_dtmf_feature(void **state)
{
	static const unsigned int feature[] = { POLICY_DTMF_A, POLICY_DTMF_B };
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.features = feature[i];
		DECIDES(&f, "DTMF_FEATURE");
		f.leg[i].dtmf = POLICY_DTMF_INFO;
		DIFFERS(&f, DTMF_FEATURE);
		f.leg[!i].dtmf = POLICY_DTMF_INFO;
		DECIDES(&f, "DIRECT");
		f.leg[i].dtmf = POLICY_DTMF_INBAND;
		MATCHES(&f, DTMF_FEATURE);
	}
}

static void row_limit_warn(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.features = POLICY_WARN;
	DECIDES(&f, "LIMIT_WARN");
}

static void row_addr_family(void **state)
{
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].media = address("[2001:db8::1]:4000");
		DECIDES(&f, "ADDR_FAMILY");
		f.leg[!i].media = address("[2001:db8::2]:4000");
		DECIDES(&f, "DIRECT");
	}
}

static void row_realm(void **state)
{
	struct policy_facts f = free_call();

	(void)state;
	f.joined = false;
	DECIDES(&f, "REALM");
}

static void row_acl(void **state)
{
	static const char *const never[] = { "127.0.0.1:4000", "0.1.2.3:4000", "169.254.1.1:4000",
					     "224.0.0.1:4000", "255.255.255.255:4000" };
	struct policy_facts f;

	(void)state;
	EACH_LEG(f, i)
	{
		f.leg[i].acl_denies = true;
		DECIDES(&f, "ACL");
		f.leg[i].acl_denies = false;
		f.leg[i].own_address = true;
		DECIDES(&f, "ACL");
		f.leg[i].own_address = false;
		for (size_t n = 0; n < sizeof(never) / sizeof(*never); n++) {
			f.leg[i].media = address(never[n]);
			DECIDES(&f, "ACL");
		}
		f.leg[i].media = address("0.0.0.0:4000");
		DIFFERS(&f, ACL);
		f.leg[i].described = false;
		f.leg[i].acl_denies = true;
		DIFFERS(&f, ACL);
	}
}

static void row_acl_of_ipv6(void **state)
{
	static const char *const never[] = { "[::1]:4000", "[fe80::1]:4000", "[ff02::1]:4000" };
	struct policy_facts f = free_call();

	(void)state;
	f.leg[1].media = address("[2001:db8::1]:4000");
	for (size_t n = 0; n < sizeof(never) / sizeof(*never); n++) {
		f.leg[0].media = address(never[n]);
		DECIDES(&f, "ACL");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_operator),
		cmocka_unit_test(row_recording),
		cmocka_unit_test(row_policy_no_a),
		cmocka_unit_test(row_policy_no_b),
		cmocka_unit_test(row_quirk_no_reinvite),
		cmocka_unit_test(row_peer_refused),
		cmocka_unit_test(row_crypto),
		cmocka_unit_test(row_ice),
		cmocka_unit_test(row_t38),
		cmocka_unit_test(row_multi_m),
		cmocka_unit_test(row_video),
		cmocka_unit_test(row_codec),
		cmocka_unit_test(row_pt_mismatch),
		cmocka_unit_test(row_fmtp),
		cmocka_unit_test(row_ptime),
		cmocka_unit_test(row_dtmf_mode),
		cmocka_unit_test(row_dtmf_feature),
		cmocka_unit_test(row_limit_warn),
		cmocka_unit_test(row_addr_family),
		cmocka_unit_test(row_realm),
		cmocka_unit_test(row_acl),
		cmocka_unit_test(row_acl_of_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
