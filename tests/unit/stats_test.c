// SPDX-License-Identifier: GPL-2.0-or-later
/* What the node tells about itself in JSON. Metrics: expo_test.c. */
#include "stats/expo.h"
#include "stats/families.h"
#include "stats/process.h"
#include "stats/render.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a = {.family = AF_UNSPEC};

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct call_leg_report leg_a(void)
{
	return (struct call_leg_report){
		.peer = "alice", .realm = "inside",
		.call_id = "c1@phone", .canreinvite = "yes",
		.media = {.relay = addr("10.0.0.1:10000"),
			  .signalled = addr("10.0.0.5:4000"),
			  .rtp = {.packets = 500, .bytes = 86000, .dropped = 9, .wrong_source = 3,
				  .lost = 2, .jitter_ms = 1.23456, .reordered = 3, .duplicates = 5,
				  .gap_ms = 60.5, .ssrc_changes = 1, .last_s = 0.0204,
				  .seen = addr("10.0.0.5:4000")},
			  .rtcp = {.packets = 4, .wrong_source = 1, .last_s = 1,
				   .round_trip_ms = 31.25, .far_lost = 7}},
		.told = addr("10.0.0.1:10000"),
		.codec = "PCMU/8000",
		.crypto = "AEAD_AES_128_GCM", .user_agent = "baresip",
		.music = true,
	};
}

static const struct media_trail trail = {
	.n = 2,
	.room = 2,
	.steps = { { { .tv_sec = 1700000002 }, "offer_peer", "move_1", SIDE_B, 0 },
		   { { .tv_sec = 1700000003 }, "torn_down", "direct", -1, 200 } },
};

static struct call_report call_up(void)
{
	return (struct call_report){
		.id = "k7f3",
		.state = CALL_UP,
		.path = "direct",
		.media = "direct",
		.direct_s = 9.0004,
		.trail = &trail,
		.reason = "POLICY_NO_B",
		.plane = "xdp",
		.started = {.tv_sec = 1700000000, .tv_nsec = 7999999},
		.answered = {.tv_sec = 1700000002, .tv_nsec = 999999999},
		.duration_s = 12.3456,
		.from = "100",
		.to = "200",
		.from_uri = "sip:100@10.0.0.5",
		.to_uri = "sip:200@10.0.0.1",
		.route = "pstn",
		.leg = {leg_a(),
			{.peer = "",
			 .realm = "",
			 .call_id = "",
			 .media = {.rtp = {.last_s = -1}, .rtcp = {.last_s = -1}},
			 .user_agent = ""}},
	};
}

#define LEG_A                                                                                      \
	"{'peer':'alice','realm':'inside','call_id':'c1@phone','canreinvite':'yes',"               \
	"'signalled':'10.0.0.5:4000','learned':'10.0.0.5:4000','relay':'10.0.0.1:10000',"          \
	"'told':'10.0.0.1:10000','direct':false,'offer':null,'codec':'PCMU/8000',"                 \
	"'crypto':'AEAD_AES_128_GCM','rx_packets':500,'rx_bytes':86000,"                           \
	"'lost':2,'jitter_ms':1.235,'reordered':3,'duplicates':5,'gap_ms':60.5,"                   \
	"'ssrc_changes':1,'rtt_ms':31.25,'far_lost':7,'mos':null,'wrong_source':4,"                \
	"'last_rx_s':0.02,'user_agent':'baresip','music':true,'streams':[]}"
#define LEG_NONE                                                                                   \
	"{'peer':null,'realm':null,'call_id':null,'canreinvite':null,'signalled':null,"            \
	"'learned':null,'relay':null,'told':null,'direct':false,'offer':null,'codec':null,"        \
	"'crypto':null,'rx_packets':0,'rx_bytes':0,"                                               \
	"'lost':0,'jitter_ms':0.0,'reordered':0,'duplicates':0,'gap_ms':0.0,"                      \
	"'ssrc_changes':0,'rtt_ms':null,'far_lost':0,'mos':null,'wrong_source':0,"                 \
	"'last_rx_s':null,'user_agent':null,'music':false,'streams':[]}"
#define TRAIL                                                                                      \
	"[{'at':'2023-11-14T22:13:22.000Z','event':'offer_peer','state':'move_1','leg':'b',"       \
	"'code':null},{'at':'2023-11-14T22:13:23.000Z','event':'torn_down','state':'direct',"      \
	"'leg':null,'code':200}]"
#define CALL_REST                                                                                  \
	"'from':'100','to':'200','from_uri':'sip:100@10.0.0.5','to_uri':'sip:200@10.0.0.1',"       \
	"'route':'pstn','direct_s':9.0,'trail':" TRAIL ",'a':" LEG_A ",'b':" LEG_NONE

/* Byte for byte, order of the fields included. `expected` is written with ' for ". Takes `got`. */
static void assert_document(json_t *got, const char *expected)
{
	char *want = strdup(expected);
	char *text = json_dumps(got, RENDER_FLAGS | JSON_ENCODE_ANY);

	for (char *p = want; *p; p++)
		if (*p == '\'')
			*p = '"';
	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
	free(want);
	json_decref(got);
}

static void test_call(void **state)
{
	struct call_report call = call_up();

	(void)state;
	assert_document(render_call(&call),
			"{'id':'k7f3','state':'up','path':'direct','media':'direct',"
			"'reason':'POLICY_NO_B',"
			"'plane':'xdp','started':'2023-11-14T22:13:20.007Z',"
			"'answered':'2023-11-14T22:13:22.999Z'," CALL_REST "}");
	call.state = CALL_EARLY;
	call.answered.tv_sec = 0;
	assert_document(render_call(&call),
			"{'id':'k7f3','state':'early','path':'direct','media':'direct',"
			"'reason':'POLICY_NO_B',"
			"'plane':'xdp','started':'2023-11-14T22:13:20.007Z',"
			"'answered':null," CALL_REST "}");
}

/* Every row, the refusal with its code. */
static void test_verdict(void **state)
{
	struct policy_verdict verdict = {
		.row = POLICY_ROW_PEER_REFUSED,
		.matched = 1ull << POLICY_ROW_PEER_REFUSED | 1ull << POLICY_ROW_DIRECT,
		.code = 488,
	};
	json_t *rows = render_verdict(&verdict);

	(void)state;
	assert_int_equal(json_array_size(rows), POLICY_ROW_COUNT);
	assert_document(json_incref(json_array_get(rows, POLICY_ROW_PEER_REFUSED)),
			"{'row':'5','reason':'PEER_REFUSED_488','matched':true,"
			"'text':'a leg refused our re-INVITE'}");
	assert_document(json_incref(json_array_get(rows, POLICY_ROW_POLICY_NO_B)),
			"{'row':'3','reason':'POLICY_NO_B','matched':false,"
			"'text':'canreinvite=no on leg b'}");
	json_decref(rows);
}

static void test_cdr_document(void **state)
{
	struct call_report call = call_up();
	struct timespec ended = {.tv_sec = 1700000015};

	(void)state;
	call.state = CALL_ENDING;
	call.end_code = 200;
	call.end_q850 = 16;
	call.end_cause = "bye_a";
	assert_document(render_cdr(&call, &ended),
			"{'id':'k7f3','path':'direct','media':'direct',"
			"'reason':'POLICY_NO_B','plane':'xdp',"
			"'started':'2023-11-14T22:13:20.007Z',"
			"'answered':'2023-11-14T22:13:22.999Z'," CALL_REST
			",'ended':'2023-11-14T22:13:35.000Z','duration_s':12.346,'code':200,"
			"'q850':16,'cause':'bye_a'}");
}

static void test_flow(void **state)
{
	struct flow_report flow = {
		.want = {.local = addr("[2001:db8::1]:10001"),
			 .kind = FLOW_RTCP,
			 .mode = FLOW_FORWARD,
			 .expect = addr("[2001:db8::5]:4001"),
			 .from = addr("192.0.2.1:20001"),
			 .to = addr("192.0.2.50:7001")},
		.counters = {.plane = PLANE_USER, .packets = 7, .bytes = 560, .dropped = 1,
			     .last_s = 2.5},
		.reason = "xdp = off",
	};

	(void)state;
	assert_document(render_flow(&flow, "k7f3"),
			"{'call':'k7f3','local':'[2001:db8::1]:10001',"
			"'expect':'[2001:db8::5]:4001','to':'192.0.2.50:7001',"
			"'from':'192.0.2.1:20001','kind':'rtcp','opaque':false,'plane':'user',"
			"'reason':'xdp = off','packets':7,'bytes':560,'dropped':1,'last_s':2.5}");
	flow.want = (struct flow_want){.local = addr("10.0.0.1:10000"), .opaque = true};
	flow.counters = (struct flow_counters){.packets = UINT64_C(1) << 62, .last_s = -1};
	flow.reason = "";
	assert_document(render_flow(&flow, NULL),
			"{'call':null,'local':'10.0.0.1:10000','expect':null,'to':null,'from':null,"
			"'kind':'rtp','opaque':true,'plane':'xdp','reason':null,"
			"'packets':4611686018427387904,'bytes':0,'dropped':0,'last_s':null}");
}

static void test_peer(void **state)
{
	struct conf_peer peer = {.name = "provider",
				 .host = addr("192.0.2.50:5060"),
				 .canreinvite = CANREINVITE_UPDATE | CANREINVITE_NONAT};
	struct conf_realm realm = {.name = "outside"};
	struct reach_peer_report reach = {.realm = &realm, .reachable = -1};

	(void)state;
	peer.call_limit = 30;
	assert_document(render_peer(&peer, &reach, &(struct peer_load){.calls = 3}, 7, true),
			"{'name':'provider','realm':'outside','host':'192.0.2.50:5060',"
			"'canreinvite':'update,nonat','registered':false,'reachable':null,"
			"'rtt_ms':null,'registration':null,'contacts':[],'addresses':[],"
			"'calls':3,'call_limit':30,'callrate':null,'rests_s':7,"
			"'quirk':'no-reinvite'}");
	reach = (struct reach_peer_report){.realm = &realm, .reachable = 1, .rtt_ms = 7,
					   .registered = true, .registration = "registered"};
	assert_document(render_peer(&peer, &reach, &(struct peer_load){.calls = 0}, 0, false),
			"{'name':'provider','realm':'outside','host':'192.0.2.50:5060',"
			"'canreinvite':'update,nonat','registered':true,'reachable':true,"
			"'rtt_ms':7,'registration':'registered','contacts':[],"
			"'addresses':[],'calls':0,'call_limit':30,'callrate':null,'rests_s':0,"
			"'quirk':null}");
}

static void test_quirks(void **state)
{
	struct conf_quirk first = {.pattern = "Cisco*"};
	struct conf_quirk second = {.pattern = "b", .before = &first};
	struct conf_peer peer = {.name = "alice", .quirks = &second};
	struct quirk_report report = {.peer = "alice", .agent = "x", .cause = "crashed",
				      .since_s = 1700000000, .until_s = 1700086400};

	(void)state;
	assert_document(render_quirk(&report),
			"{'quirk':'no-reinvite','user_agent':'x','cause':'crashed',"
			"'since':'2023-11-14T22:13:20.000Z','until':'2023-11-15T22:13:20.000Z'}");
	assert_document(render_quirks(&peer, json_array()),
			"{'peer':'alice','learned':[],'configured':["
			"{'quirk':'no-reinvite','pattern':'Cisco*'},"
			"{'quirk':'no-reinvite','pattern':'b'}]}");
}

static void test_phone(void **state)
{
	struct conf_peer peer = {.name = "alice", .dynamic = true};
	struct reach_peer_report reach = {
		.reachable = 0, .rtt_ms = 7, .registered = true, .n_contacts = 1,
		.contacts = {{.uri = "sip:a@h", .agent = "", .to = addr("10.0.0.9:5062"),
			      .expires_s = 59}}};

	(void)state;
	assert_document(render_peer(&peer, &reach, &(struct peer_load){.calls = 0}, 0, false),
			"{'name':'alice','realm':null,'host':'10.0.0.9:5062',"
			"'canreinvite':'no','registered':true,'reachable':false,'rtt_ms':null,"
			"'registration':null,'contacts':[{'uri':'sip:a@h','address':"
			"'10.0.0.9:5062','expires_s':59,'user_agent':null}],"
			"'addresses':[],'calls':0,"
			"'call_limit':null,'callrate':null,'rests_s':0,"
			"'quirk':null}");
	assert_document(render_peer(&peer, &(struct reach_peer_report){.reachable = -1},
				    &(struct peer_load){.calls = 0}, 0, false),
			"{'name':'alice','realm':null,'host':null,"
			"'canreinvite':'no','registered':false,'reachable':null,'rtt_ms':null,"
			"'registration':null,'contacts':[],'addresses':[],'calls':0,"
			"'call_limit':null,'callrate':null,'rests_s':0,'quirk':null}");
}

static void test_status(void **state)
{
	struct render_status status = {61, 2, 8, 12, 0, true, .kmod = true, .guard = "on"};
	struct conf_realm realm = {.name = "outside", .index = 1};
	struct ports_report ports = {.used = 4, .free = 90, .quarantine = 6};
	struct datapath_interface_report interfaces[] = {
		{.realm = 0, .name = "eth0", .mode = "native", .reason = ""},
		{.realm = 1, .name = "eth1", .mode = "generic", .reason = "no native one"},
		{.realm = 1, .name = "eth2", .mode = "native", .reason = ""},
	};
	json_t *realms = json_array();

	(void)state;
	json_array_append_new(realms, render_realm(&realm, &ports, interfaces, 3));
	assert_document(render_status(&status, realms),
			"{'version':'" RTPFWD_VERSION "','uptime_s':61,'calls':2,'flows':8,"
			"'draining':true,'realms':[{'name':'outside','interfaces':["
			"{'name':'eth1','xdp':'generic','reason':'no native one'},"
			"{'name':'eth2','xdp':'native','reason':null}],"
			"'ports_used':4,'ports_free':90,'ports_quarantine':6}],"
			"'kmod':'loaded','survives':false,'guard':'on',"
			"'events':12,'heap_bytes':0}");
}

/* JSON is UTF-8; SIP texts are what somebody sent. */
static void test_text(void **state)
{
	(void)state;
	assert_document(render_text(NULL), "null");
	assert_document(render_text(""), "''");
	assert_document(render_text("J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80"),
			"'J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80'");
	assert_document(render_text("J\xfcrgen"), "'J?rgen'");
	assert_document(render_text("\xc3\xbc\xff\xc3z"), "'\xc3\xbc??z'");
	assert_document(render_text("\xed\xa0\x80z"), "'???z'");
	assert_document(render_text("\xc0\x80z"), "'??z'");
	assert_document(render_text("\xf0\x9f\x98z"), "'???z'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_cdr_document),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_quirks),
		cmocka_unit_test(test_phone),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
