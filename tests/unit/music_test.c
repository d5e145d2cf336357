// SPDX-License-Identifier: GPL-2.0-or-later
/* Music on hold: the bytes on the wire, and players on the real loopback. */
#include "tune_helper.h"

#include "service/music.h"
#include "service/rtp.h"

#include <errno.h>

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static void header_bytes(void **state)
{
	struct rtp_source s = { .ssrc = 0x01020304, .timestamp = 0xfffffff0, .seq = 0xffff };
	static const uint8_t first[] = { 0x80, 0x88, 0xff, 0xff, 0xff, 0xff,
					 0xff, 0xf0, 1,    2,    3,    4 };
	static const uint8_t second[] = { 0x80, 0x08, 0, 0, 0, 0, 0, 0x90, 1, 2, 3, 4 };
	uint8_t out[RTP_HEADER];

	(void)state;
	rtp_header(out, &s, 8, FRAME);
	assert_memory_equal(out, first, sizeof(first));
	s.timestamp += FRAME;
	rtp_header(out, &s, 8, FRAME);
	assert_memory_equal(out, second, sizeof(second));
	assert_int_equal(s.packets, 2);
	assert_int_equal(s.bytes, 2 * FRAME);
}

static void report_bytes(void **state)
{
	struct rtp_source s = { .ssrc = 0x01020304, .timestamp = 0x10, .packets = 5, .bytes = 800 };
	struct timespec now = { .tv_sec = 0, .tv_nsec = 500000000 };
	static const uint8_t want[] = {
		0x80, 200, 0, 6, 1, 2, 3, 4, 0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0,
		0, 0, 0, 0x10, 0, 0, 0, 5, 0, 0, 3, 0x20,
		0x81, 202, 0, 4, 1, 2, 3, 4, 1, 6, 'r', 't', 'p', 'f', 'w', 'd', 0, 0, 0, 0,
		0x81, 203, 0, 1, 1, 2, 3, 4,
	};
	uint8_t out[RTCP_MAX];

	(void)state;
	assert_int_equal(rtp_report(out, &s, &now, true), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(rtp_report(out, &s, &now, false), sizeof(want) - 8);
}

static void pitfall_8_sources_differ(void **state)
{
	struct rtp_source a, b;

	(void)state;
	assert_int_equal(rtp_begin(&a), 0);
	assert_int_equal(rtp_begin(&b), 0);
	assert_int_not_equal(a.ssrc, b.ssrc);
	assert_int_not_equal(a.timestamp, b.timestamp);
}

static void datagram_bytes(void **state)
{
	struct wire_way v4 = { .from = addr("192.0.2.1:10000"), .to = addr("192.0.2.9:4000") };
	struct wire_way v6 = { .from = addr("[2001:db8::1]:10000"),
			       .to = addr("[2001:db8::9]:4000") };
	/* Odd lengths are summed with a null byte behind them. */
	static const uint8_t want4[] = { 0x45, 184, 0, 31, 0, 0, 0x40, 0, 64, 17, 0, 0,
					 192, 0, 2, 1, 192, 0, 2, 9,
					 0x27, 0x10, 0x0f, 0xa0, 0, 11, 0, 0, 'a', 'b', 'c' };
	static const uint8_t want6[] = { 0x6b, 0x80, 0, 0, 0, 11, 17, 64,
					 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
					 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
					 0x27, 0x10, 0x0f, 0xa0, 0, 11, 0, 0, 'a', 'b', 'c' };
	uint8_t out[WIRE_HEADERS_MAX + WIRE_PAYLOAD_MAX];

	(void)state;
	assert_int_equal(wire_datagram(out, &v4, (const uint8_t *)"abc", 3), sizeof(want4));
	/* c000+0201+c000+0209 + 0011+000b + 2710+0fa0+000b + 6162+6300 = 2 7f43, folded 7f45 */
	assert_int_equal(out[26] << 8 | out[27], 0xffff - 0x7f45);
	out[26] = out[27] = 0;
	assert_memory_equal(out, want4, sizeof(want4));
	assert_int_equal(wire_datagram(out, &v6, (const uint8_t *)"abc", 3), sizeof(want6));
	/* 2*(2001+0db8)+1+9 + 0011+000b + 2710+0fa0+000b + 6162+6300 = 1 56b5, folded 56b6 */
	assert_int_equal(out[46] << 8 | out[47], 0xffff - 0x56b6);
	out[46] = out[47] = 0;
	assert_memory_equal(out, want6, sizeof(want6));
}

/* A checksum that comes out as 0 is sent as all ones: 0 would be none (RFC 768). */
static void checksum_zero(void **state)
{
	struct wire_way way = { .from = addr("192.0.2.1:10000"), .to = addr("192.0.2.9:4000") };
	uint8_t out[WIRE_HEADERS_MAX + WIRE_PAYLOAD_MAX], payload[2] = { 0, 0 };
	uint16_t check;

	(void)state;
	wire_datagram(out, &way, payload, 2);
	check = (uint16_t)(out[26] << 8 | out[27]);
	payload[0] = (uint8_t)(check >> 8);
	payload[1] = (uint8_t)check;
	wire_datagram(out, &way, payload, 2);
	assert_int_equal(out[26] << 8 | out[27], 0xffff);
}

/* Listeners on the loopback. */
enum { EARS = 70 };

struct hall {
	struct loop *loop;
	struct music *music;
	struct timer stop, stall;
	int ears[EARS];
	struct music_way way[EARS];
	struct player *player[EARS];
};

static void on_stop(void *owner)
{
	loop_stop(((struct hall *)owner)->loop);
}

static void on_stall(void *owner)
{
	(void)owner;
	usleep(300000);
}

static int open_ear(struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, &(struct addr){ .family = AF_INET });
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*at = addr("127.0.0.1");
	len = addr_to_sockaddr(&ss, at);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(at, (struct sockaddr *)&ss);
	return fd;
}

static void play(struct hall *h, int i)
{
	assert_int_equal(music_play(&h->player[i], h->music, path, &h->way[i]), 0);
}

static int open_hall(void **state)
{
	struct hall *h = calloc(1, sizeof(*h));
	struct conf_realm realm = { .moh = { path, "x.conf", 3 } };
	struct conf conf = { .realms = &realm, .n_realms = 1 };
	struct tunes *tunes;
	char why[256];

	make_folder(NULL);
	tune_unref(counting(250));
	h->loop = loop_new();
	timer_init(&h->stop, h->loop, on_stop, h);
	timer_init(&h->stall, h->loop, on_stall, h);
	assert_int_equal(tunes_load(&tunes, &conf, why, sizeof(why)), 0);
	assert_int_equal(music_new(&h->music, h->loop), 0);
	if (music_ready(h->music, tunes) == -EPERM) {
		music_free(h->music);
		h->music = NULL;
		tunes_free(tunes);
	} else {
		music_load(h->music, tunes);
	}
	for (int i = 0; i < EARS; i++) {
		h->ears[i] = open_ear(&h->way[i].rtp.to);
		h->way[i].rtp.from = addr("127.0.0.2:10000");
		h->way[i].rtp.from.port = (uint16_t)(10000 + 2 * i);
		h->way[i].coding = i % 2 ? TUNE_PCMA : TUNE_PCMU;
		h->way[i].payload_type = i % 2 ? 8 : 0;
	}
	*state = h;
	return 0;
}

static int close_hall(void **state)
{
	struct hall *h = *state;

	for (int i = 0; i < EARS; i++) {
		music_stop(h->player[i]);
		close(h->ears[i]);
	}
	timer_stop(&h->stop);
	timer_stop(&h->stall);
	music_free(h->music);
	loop_free(h->loop);
	free(h);
	return remove_folder(NULL);
}

static struct hall *hall(void **state)
{
	struct hall *h = *state;

	if (!h->music) {
		print_message("no CAP_NET_RAW\n");
		skip();
	}
	return h;
}

struct packet {
	uint8_t bytes[WIRE_PAYLOAD_MAX];
	uint16_t seq;
	uint32_t timestamp, ssrc;
};

static bool hear(const struct hall *h, int i, struct packet *p)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr from;
	ssize_t n = recvfrom(h->ears[i], p->bytes, sizeof(p->bytes), 0, (struct sockaddr *)&ss,
			     &len);

	if (n < 0)
		return false;
	assert_int_equal(n, RTP_HEADER + FRAME);
	assert_int_equal(addr_from_sockaddr(&from, (struct sockaddr *)&ss), 0);
	assert_true(addr_equal(&from, &h->way[i].rtp.from));
	p->seq = (uint16_t)(p->bytes[2] << 8 | p->bytes[3]);
	memcpy(&p->timestamp, p->bytes + 4, 4);
	memcpy(&p->ssrc, p->bytes + 8, 4);
	p->timestamp = be32toh(p->timestamp);
	return true;
}

static void run(struct hall *h, unsigned int ms)
{
	timer_set(&h->stop, ms);
	loop_run(h->loop);
}

/* Everything ear `i` heard: one source, marked once, nothing missing. How many packets. */
static int heard_whole(const struct hall *h, int i, struct packet *first, uint32_t *widest)
{
	struct packet last, p;
	int n = 0;

	for (*widest = 0; hear(h, i, &p); n++, last = p) {
		assert_int_equal(p.bytes[0], 0x80);
		assert_int_equal(p.bytes[1], h->way[i].payload_type | (n ? 0 : 0x80));
		if (!n) {
			*first = p;
			continue;
		}
		assert_int_equal(p.ssrc, first->ssrc);
		assert_int_equal((uint16_t)(p.seq - last.seq), 1);
		assert_int_equal((p.timestamp - last.timestamp) % FRAME, 0);
		if (p.timestamp - last.timestamp > *widest)
			*widest = p.timestamp - last.timestamp;
	}
	return n;
}

/* More listeners than one batch holds: all hear the same, each as a source of its own. */
static void many_listeners(void **state)
{
	struct hall *h = hall(state);
	struct packet first[EARS];
	struct music_report report;
	uint32_t widest;
	uint64_t all = 0;

	for (int i = 0; i < EARS; i++)
		play(h, i);
	run(h, 200);
	for (int i = 0; i < EARS; i++) {
		int n = heard_whole(h, i, &first[i], &widest);

		assert_true(n >= 1);
		all += (uint64_t)n;
		for (int j = 0; j < i; j++)
			assert_int_not_equal(first[i].ssrc, first[j].ssrc);
		if (i >= 2)
			assert_memory_equal(first[i].bytes + RTP_HEADER,
					    first[i - 2].bytes + RTP_HEADER, FRAME);
	}
	music_report(h->music, &report);
	assert_int_equal(report.players, EARS);
	assert_int_equal(report.wire.sent, all);
	assert_int_equal(report.wire.failed, 0);
	assert_true(report.wire.flushes * 4 <= all); /* a slot holds 17 or 18 of them */
}

/* Reports come from the port above, or from the same where RTP and RTCP share one. */
static void where_reports_come_from(void **state)
{
	struct hall *h = hall(state);
	struct addr shared, apart, above = h->way[0].rtp.from;
	struct sockaddr_storage ss;

	h->way[0].rtcp = h->way[2].rtp.to;
	h->way[1].rtcp = h->way[1].rtp.to;
	play(h, 0);
	play(h, 1);
	run(h, 60);
	for (int i = 1; i < 3; i++) {
		uint8_t bytes[WIRE_PAYLOAD_MAX] = { 0 };
		socklen_t len = sizeof(ss);

		while (bytes[1] != 200) {
			len = sizeof(ss);
			assert_true(recvfrom(h->ears[i], bytes, sizeof(bytes), 0,
					     (struct sockaddr *)&ss, &len) > 0);
		}
		assert_int_equal(addr_from_sockaddr(i == 1 ? &shared : &apart,
						    (struct sockaddr *)&ss), 0);
	}
	assert_true(addr_equal(&shared, &h->way[1].rtp.from));
	above.port++;
	assert_true(addr_equal(&apart, &above));
}

/* A loop that was held up goes on with the clock: timestamps jump, numbers do not. */
static void late_loop(void **state)
{
	struct hall *h = hall(state);
	struct packet first;
	uint32_t widest;

	play(h, 0);
	timer_set(&h->stall, 50);
	run(h, 450);
	assert_true(heard_whole(h, 0, &first, &widest) >= 2);
	assert_true(widest >= 10 * FRAME);
}

/* Another port and coding amid the music: same source, numbers and place go on. */
static void changed_in_midstream(void **state)
{
	struct hall *h = hall(state);
	struct packet first, last, p;
	uint32_t widest;
	int n;

	play(h, 0);
	run(h, 60);
	h->way[1].rtp.from = h->way[0].rtp.from;
	assert_int_equal(music_play(&h->player[0], h->music, "/gone", &h->way[1]), 0);
	run(h, 60);
	n = heard_whole(h, 0, &first, &widest);
	assert_true(n >= 1);
	last = first;
	for (int i = 0; hear(h, 1, &p); i++, last = p) {
		assert_int_equal(p.bytes[1], 8);
		assert_int_equal(p.ssrc, first.ssrc);
		assert_int_equal((uint16_t)(p.seq - first.seq), n + i);
	}
	assert_memory_not_equal(&last, &first, sizeof(first));
}

/* Music, silence, music: one source, whose numbers go on and whose clock has never stopped; the
 * file begins anew, and so does the talk. */
static void goes_on_behind_a_silence(void **state)
{
	struct hall *h = hall(state);
	struct packet first, again, last, p;
	struct music_report report;
	uint32_t widest;

	h->way[0].ssrc = 0x5eed;
	play(h, 0);
	run(h, 60);
	assert_true(hear(h, 0, &first));
	for (last = first; hear(h, 0, &p); last = p)
		;
	music_pause(h->player[0]);
	assert_false(music_plays(h->player[0]));
	assert_int_equal(music_source(h->player[0]), 0x5eed);
	music_report(h->music, &report);
	assert_int_equal(report.players, 0);
	run(h, 200);
	assert_false(hear(h, 0, &p));
	assert_int_equal(music_play(&h->player[0], h->music, "/gone", &h->way[0]), -ENOENT);
	play(h, 0);
	run(h, 60);
	assert_int_equal(heard_whole(h, 0, &again, &widest) >= 1, 1);
	assert_int_equal(again.ssrc, first.ssrc);
	assert_int_equal((uint16_t)(again.seq - last.seq), 1);
	assert_in_range(again.timestamp - last.timestamp, 10 * FRAME, 1000 * FRAME);
	assert_memory_equal(again.bytes + RTP_HEADER, first.bytes + RTP_HEADER, FRAME);
	music_pause(h->player[0]);
	h->way[0].ssrc = 0x5eee;
	play(h, 0);
	assert_int_equal(music_source(h->player[0]), 0x5eee);
}

static void no_such_tune(void **state)
{
	struct hall *h = hall(state);

	assert_int_equal(music_play(&h->player[0], h->music, "/gone", &h->way[0]), -ENOENT);
	assert_null(h->player[0]);
	assert_true(music_has(h->music, path));
	assert_false(music_has(h->music, "/gone"));
	assert_false(music_has(NULL, path));
}

/* What the system refuses (here: no route) is counted and keeps nothing else back. */
static void refused_datagrams(void **state)
{
	struct hall *h = hall(state);
	struct music_report report;
	struct packet first;
	uint32_t widest;

	h->way[0].rtp.ifindex = 0x7fffffff;
	play(h, 0);
	play(h, 4);
	run(h, 100);
	assert_true(heard_whole(h, 4, &first, &widest) >= 1);
	assert_int_equal(heard_whole(h, 0, &first, &widest), 0);
	music_report(h->music, &report);
	assert_true(report.wire.failed >= 1);
}

/* Where nobody plays any more, nothing runs. */
static void silence_costs_nothing(void **state)
{
	struct hall *h = hall(state);
	struct music_report before, after;

	play(h, 0);
	run(h, 50);
	music_stop(h->player[0]);
	h->player[0] = NULL;
	music_report(h->music, &before);
	run(h, 100);
	music_report(h->music, &after);
	assert_int_equal(after.players, 0);
	assert_int_equal(after.wire.flushes, before.wire.flushes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_bytes),
		cmocka_unit_test(report_bytes),
		cmocka_unit_test(pitfall_8_sources_differ),
		cmocka_unit_test(datagram_bytes),
		cmocka_unit_test(checksum_zero),
		cmocka_unit_test_setup_teardown(many_listeners, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(where_reports_come_from, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(late_loop, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(changed_in_midstream, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(goes_on_behind_a_silence, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(no_such_tune, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(refused_datagrams, open_hall, close_hall),
		cmocka_unit_test_setup_teardown(silence_costs_nothing, open_hall, close_hall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
