// SPDX-License-Identifier: GPL-2.0-or-later
/* The m= lines of a call, as JSON. */
#include "stats/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct call_report call_of_two(void)
{
	return (struct call_report){
		.id = "k7f3",
		.path = "relay",
		.leg[SIDE_A] = { .peer = "alice",
				 .codec = "PCMU",
				 .media = { .rtp = { .packets = 500, .last_s = 1 } },
				 .n_streams = 2,
				 .streams = { { .kind = "audio",
						.media.rtp.last_s = -1,
						.media.rtcp.last_s = -1 },
					      { .index = 2,
						.kind = "video",
						.crypto = "AEAD_AES_128_GCM",
						.media = { .relay = addr("10.0.0.1:10002"),
							   .signalled = addr("10.0.0.5:4002"),
							   .opaque = true,
							   .rtp = { .packets = 7,
								    .bytes = 70,
								    .lost = 1,
								    .jitter_ms = 2.5,
								    .wrong_source = 1,
								    .last_s = 0.5 },
							   .rtcp.wrong_source = 2 } } } },
	};
}

static void every_line_is_shown(void **state)
{
	struct call_report call = call_of_two();
	json_t *o = render_call(&call), *leg = json_object_get(o, "a");
	char *text = json_dumps(json_object_get(leg, "streams"), JSON_COMPACT);

	(void)state;
	assert_string_equal(
		text,
		"[{\"index\":0,\"kind\":\"audio\",\"opaque\":false,\"crypto\":null,\"relay\":null,"
		"\"signalled\":null,\"rx_packets\":0,\"rx_bytes\":0,\"lost\":0,"
		"\"jitter_ms\":0.0,\"wrong_source\":0,\"last_rx_s\":null},"
		"{\"index\":2,\"kind\":\"video\",\"opaque\":true,"
		"\"crypto\":\"AEAD_AES_128_GCM\","
		"\"relay\":\"10.0.0.1:10002\",\"signalled\":\"10.0.0.5:4002\","
		"\"rx_packets\":7,\"rx_bytes\":70,\"lost\":1,\"jitter_ms\":2.5,"
		"\"wrong_source\":3,\"last_rx_s\":0.5}]");
	assert_int_equal(json_array_size(json_object_get(json_object_get(o, "b"), "streams")), 0);
	free(text);
	json_decref(o);
}

/* What was not read cannot be judged. */
static void unread_media_has_no_score(void **state)
{
	struct call_report call = call_of_two();
	json_t *o = render_call(&call);

	(void)state;
	assert_true(json_is_real(json_object_get(json_object_get(o, "a"), "mos")));
	json_decref(o);
	call.leg[SIDE_A].media.opaque = true;
	o = render_call(&call);
	assert_true(json_is_null(json_object_get(json_object_get(o, "a"), "mos")));
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_shown),
		cmocka_unit_test(unread_media_has_no_score),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
