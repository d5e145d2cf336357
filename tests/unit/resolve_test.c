// SPDX-License-Identifier: GPL-2.0-or-later
/* Names become addresses: a server of the DNS on loopback says what each test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "peer/resolve.h"
#include "peer/srv.h"

enum { SRV = 33, A = 1, AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2, LIMIT_MS = 5000 };

/* One record of the zone; `type` SRV: data is "PRIORITY WEIGHT PORT TARGET". */
struct record {
	const char *name;
	uint16_t type;
	uint32_t ttl;
	const char *data;
};

/* The server lives in the loop under test: nothing happens behind its back. */
struct dns {
	struct loop *loop;
	struct resolver *resolver;
	struct watch watch;
	struct timer tick;
	int fd;
	char csv[32];
	const struct record *zone;
	int rcode;	   /* of every answer; 0: as the zone says */
	bool mute;	   /* nothing is answered */
	unsigned int asked; /* questions heard */
	const char *name;   /* of this name: */
	unsigned int asked_name;
	bool (*done)(struct dns *dns, void *arg);
	void *arg;
	uint64_t limit_ms;
	bool late;
};

struct packet {
	unsigned char bytes[512];
	size_t len;
};

static void put(struct packet *p, uint32_t value, unsigned int n)
{
	while (n--)
		p->bytes[p->len++] = (unsigned char)(value >> (8 * n));
}

static void put_name(struct packet *p, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		put(p, (uint32_t)n, 1);
		memcpy(p->bytes + p->len, name, n);
		p->len += n;
		name += n + (name[n] == '.');
	}
	put(p, 0, 1);
}

static void put_record(struct packet *p, const struct record *r)
{
	size_t at;
	unsigned int priority, weight, port;
	char target[128] = "";

	put(p, 0xc00c, 2);
	put(p, r->type, 2);
	put(p, 1, 2);
	put(p, r->ttl, 4);
	at = p->len;
	put(p, 0, 2);
	if (r->type == SRV) {
		assert_true(sscanf(r->data, "%u %u %u %127s", &priority, &weight, &port, target) >=
			    3);
		put(p, priority, 2);
		put(p, weight, 2);
		put(p, port, 2);
		put_name(p, target);
	} else {
		inet_pton(r->type == A ? AF_INET : AF_INET6, r->data, p->bytes + p->len);
		p->len += r->type == A ? 4 : 16;
	}
	p->bytes[at] = (unsigned char)((p->len - at - 2) >> 8);
	p->bytes[at + 1] = (unsigned char)(p->len - at - 2);
}

/* The question's name and type; the end of the question. */
static size_t read_question(const unsigned char *q, size_t len, char name[256], uint16_t *type)
{
	size_t at = 12, n = 0;

	while (at < len && q[at]) {
		memcpy(name + n, q + at + 1, q[at]);
		n += q[at];
		name[n++] = '.';
		at += 1u + q[at];
	}
	name[n ? n - 1 : 0] = '\0';
	*type = (uint16_t)(q[at + 1] << 8 | q[at + 2]);
	return at + 5;
}

static void answer(struct dns *dns, const unsigned char *q, size_t len, struct packet *p)
{
	char name[256];
	uint16_t type;
	size_t end = read_question(q, len, name, &type);
	unsigned int answers = 0;
	bool known = false;

	dns->asked_name += dns->name && strcmp(dns->name, name) == 0;
	memcpy(p->bytes, q, end);
	p->len = end;
	for (const struct record *r = dns->zone; r->name && !dns->rcode; r++) {
		known = known || strcmp(r->name, name) == 0;
		if (strcmp(r->name, name) != 0 || r->type != type)
			continue;
		put_record(p, r);
		answers++;
	}
	p->bytes[2] = 0x84;
	p->bytes[3] = (unsigned char)(dns->rcode ? dns->rcode : known ? 0 : NXDOMAIN);
	memset(p->bytes + 6, 0, 6);
	p->bytes[7] = (unsigned char)answers;
}

static void on_question(void *owner)
{
	struct dns *dns = owner;
	struct packet p = {.len = 0};
	unsigned char q[512];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(dns->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &size);

	assert_true(n > 16);
	dns->asked++;
	if (dns->mute)
		return;
	answer(dns, q, (size_t)n, &p);
	sendto(dns->fd, p.bytes, p.len, 0, (struct sockaddr *)&from, size);
}

static void on_tick(void *owner)
{
	struct dns *dns = owner;

	dns->late = loop_now_ms(dns->loop) > dns->limit_ms;
	if (dns->late || dns->done(dns, dns->arg))
		loop_stop(dns->loop);
	else
		timer_set(&dns->tick, 2);
}

/* Runs the loop until `done`. */
static void run(struct dns *dns, bool (*done)(struct dns *dns, void *arg), void *arg)
{
	dns->done = done;
	dns->arg = arg;
	dns->limit_ms = loop_now_ms(dns->loop) + LIMIT_MS;
	timer_set(&dns->tick, 0);
	assert_int_equal(loop_run(dns->loop), 0);
	assert_false(dns->late);
}

static void dns_open(struct dns *dns, const struct record *zone)
{
	/* Fast enough that a second look-up is seen, and no test waits for what must not come. */
	static const struct resolver_timing timing = {.soonest = 30,
						      .latest = 3600000,
						      .retry = 30,
						      .retry_most = 100,
						      .query = 250,
						      .bad = 3600000};
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(here);

	*dns = (struct dns){.zone = zone, .loop = loop_new()};
	assert_non_null(dns->loop);
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(dns->fd, (struct sockaddr *)&here, size), 0);
	assert_int_equal(getsockname(dns->fd, (struct sockaddr *)&here, &size), 0);
	snprintf(dns->csv, sizeof(dns->csv), "127.0.0.1:%u", ntohs(here.sin_port));
	assert_int_equal(loop_watch(&dns->watch, dns->loop, dns->fd, on_question, dns), 0);
	timer_init(&dns->tick, dns->loop, on_tick, dns);
	assert_int_equal(resolver_new(&dns->resolver, dns->loop, dns->csv, &timing), 0);
}

static void dns_close(struct dns *dns)
{
	timer_stop(&dns->tick);
	resolver_free(dns->resolver);
	loop_unwatch(&dns->watch);
	close(dns->fd);
	loop_free(dns->loop);
}

/* "1.2.3.4:5 ..." in the order in which they are tried. */
static void assert_order(struct host *host, const char *expected)
{
	struct addr found[HOST_SERVERS_MAX];
	char text[HOST_SERVERS_MAX * ADDR_TEXT] = "", one[ADDR_TEXT];
	size_t n = host_order(host, found);

	for (size_t i = 0; i < n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, addr_print(one, &found[i]));
	}
	assert_string_equal(text, expected);
}

static bool has_addresses(struct dns *dns, void *arg)
{
	struct addr a;

	(void)dns;
	return host_nth(arg, 0, &a);
}

struct awaited {
	struct host *host;
	const char *first;
	unsigned int asked;
};

static bool first_is(struct dns *dns, void *arg)
{
	const struct awaited *w = arg;
	char text[ADDR_TEXT];
	struct addr a;

	(void)dns;
	return host_nth(w->host, 0, &a) && strcmp(addr_print(text, &a), w->first) == 0;
}

static bool asked_more(struct dns *dns, void *arg)
{
	return dns->asked >= ((const struct awaited *)arg)->asked;
}

static void services_by_priority(void **state)
{
	static const struct record zone[] = {
		{"_sip._udp.example.org", SRV, 600, "20 0 5062 far.example.org"},
		{"_sip._udp.example.org", SRV, 600, "10 0 5061 near.example.org"},
		{"far.example.org", A, 600, "192.0.2.2"},
		{"near.example.org", A, 600, "192.0.2.1"},
		{0},
	};
	struct dns dns;
	struct host *host, *same;
	struct addr near;

	(void)state;
	dns_open(&dns, zone);
	host = host_get(dns.resolver,
			&(struct host_query){"example.org", "_sip._udp", 5060});
	assert_non_null(host);
	assert_order(host, "");
	run(&dns, has_addresses, host);
	assert_order(host, "192.0.2.1:5061 192.0.2.2:5062");
	assert_int_equal(resolver_generation(dns.resolver), 1);
	/* What failed is tried last, until it is well again. */
	assert_int_equal(addr_parse(&near, "192.0.2.1:5061"), 0);
	host_failed(host, &near);
	assert_order(host, "192.0.2.2:5062 192.0.2.1:5061");
	/* The same question is not asked twice. */
	same = host_get(dns.resolver,
			&(struct host_query){"example.org", "_sip._udp", 5060});
	assert_ptr_equal(same, host);
	host_put(same);
	host_put(host);
	dns_close(&dns);
}

static void weights_are_kept(void **state)
{
	static const struct record zone[] = {
		{"_sip._udp.example.org", SRV, 600, "1 30 5060 a.example.org"},
		{"_sip._udp.example.org", SRV, 600, "1 10 5060 b.example.org"},
		{"a.example.org", A, 600, "192.0.2.1"},
		{"b.example.org", A, 600, "192.0.2.2"},
		{0},
	};
	struct addr first[HOST_SERVERS_MAX], heavy;
	unsigned int heavies = 0;
	struct dns dns;
	struct host *host;

	(void)state;
	dns_open(&dns, zone);
	host = host_get(dns.resolver, &(struct host_query){"example.org", "_sip._udp", 5060});
	run(&dns, has_addresses, host);
	assert_int_equal(addr_parse(&heavy, "192.0.2.1:5060"), 0);
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(host_order(host, first), 2);
		heavies += addr_equal(&first[0], &heavy);
	}
	/* 3000 expected, standard deviation 27: ten of them on either side. */
	assert_in_range(heavies, 2730, 3270);
	host_put(host);
	dns_close(&dns);
}

static void addresses_without_services(void **state)
{
	static const struct record zone[] = {
		{"example.org", A, 600, "192.0.2.7"},
		{"example.org", AAAA, 600, "2001:db8::7"},
		{0},
	};
	struct dns dns;
	struct host *host;
	struct addr a;
	bool four = false, six = false;
	char text[ADDR_TEXT];

	(void)state;
	dns_open(&dns, zone);
	host = host_get(dns.resolver, &(struct host_query){"example.org", "_sip._udp", 5080});
	run(&dns, has_addresses, host);
	for (size_t i = 0; host_nth(host, i, &a); i++) {
		addr_print(text, &a);
		four = four || strcmp(text, "192.0.2.7:5080") == 0;
		six = six || strcmp(text, "[2001:db8::7]:5080") == 0;
	}
	assert_true(four && six);
	host_put(host);
	dns_close(&dns);
}

static void no_such_service(void **state)
{
	static const struct record zone[] = {
		{"_sip._udp.example.org", SRV, 600, "0 0 0 ."},
		{"example.org", A, 600, "192.0.2.7"},
		{0},
	};
	struct awaited w = {.asked = 2};
	struct dns dns;

	(void)state;
	dns_open(&dns, zone);
	w.host = host_get(dns.resolver, &(struct host_query){"example.org", "_sip._udp", 5060});
	/* It is asked for again, and the address of the name itself is never taken. */
	run(&dns, asked_more, &w);
	assert_order(w.host, "");
	host_put(w.host);
	dns_close(&dns);
}

static void last_known_stays(void **state)
{
	static const struct record first[] = {{"example.org", A, 0, "192.0.2.1"}, {0}};
	static const struct record second[] = {{"example.org", A, 0, "192.0.2.2"}, {0}};
	struct awaited w = {.first = "192.0.2.1:5060"};
	struct dns dns;

	(void)state;
	dns_open(&dns, first);
	w.host = host_get(dns.resolver, &(struct host_query){"example.org", NULL, 5060});
	run(&dns, first_is, &w);
	dns.rcode = SERVFAIL;
	w.asked = dns.asked + 6;
	run(&dns, asked_more, &w);
	assert_order(w.host, "192.0.2.1:5060");
	dns.mute = true;
	w.asked = dns.asked + 6;
	run(&dns, asked_more, &w);
	assert_order(w.host, "192.0.2.1:5060");
	assert_int_equal(resolver_generation(dns.resolver), 1);
	dns.mute = false;
	dns.rcode = 0;
	dns.zone = second;
	w.first = "192.0.2.2:5060";
	run(&dns, first_is, &w);
	assert_int_equal(resolver_generation(dns.resolver), 2);
	host_put(w.host);
	dns_close(&dns);
}

/* Time to live is minded: one name is asked for twice, A and AAAA, the other again and again. */
static void fresh_ones_are_left_alone(void **state)
{
	static const struct record zone[] = {{"long.example.org", A, 600, "192.0.2.1"},
					     {"short.example.org", A, 0, "192.0.2.2"},
					     {0}};
	struct awaited w = {.asked = 40};
	struct host *fresh;
	struct dns dns;

	(void)state;
	dns_open(&dns, zone);
	dns.name = "long.example.org";
	fresh = host_get(dns.resolver, &(struct host_query){"long.example.org", NULL, 5060});
	w.host = host_get(dns.resolver, &(struct host_query){"short.example.org", NULL, 5060});
	run(&dns, asked_more, &w);
	assert_int_equal(dns.asked_name, 2);
	assert_order(fresh, "192.0.2.1:5060");
	host_refresh(fresh);
	w.asked = dns.asked + 4;
	run(&dns, asked_more, &w);
	assert_int_equal(dns.asked_name, 4);
	host_put(fresh);
	host_put(w.host);
	dns_close(&dns);
}

/* A host that goes while it is asked for takes nothing with it. */
static void forgotten_while_asked(void **state)
{
	static const struct record zone[] = {{"example.org", A, 0, "192.0.2.1"}, {0}};
	struct dns dns;
	struct awaited w = {.asked = 4};

	(void)state;
	dns_open(&dns, zone);
	host_put(host_get(dns.resolver, &(struct host_query){"example.org", "_sip._udp", 5060}));
	w.host = host_get(dns.resolver, &(struct host_query){"example.org", NULL, 5060});
	run(&dns, asked_more, &w);
	host_put(w.host);
	dns_close(&dns);
}

static void hostile_answers(void **state)
{
	static const unsigned char whole[] =
		"\x00\x01\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01x\x00\x00\x21\x00\x01"
		"\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x05\x00\x09\x00\x01\x00\x02\x13\xc4"
		"\x01y";
	struct srv srv[2];
	size_t len = sizeof(whole); /* the last NUL ends the target */

	(void)state;
	assert_int_equal(srv_parse(srv, 2, whole, len), 1);
	assert_string_equal(srv[0].target, "y");
	assert_int_equal(srv[0].port, 5060);
	assert_int_equal(srv[0].priority, 1);
	assert_int_equal(srv[0].weight, 2);
	assert_int_equal(srv[0].ttl_s, 5);
	for (size_t n = 0; n < len; n++) {
		unsigned char *part = malloc(n ? n : 1);

		assert_non_null(part);
		memcpy(part, whole, n);
		assert_true(srv_parse(srv, 2, part, n) < 0);
		free(part);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_by_priority),
		cmocka_unit_test(weights_are_kept),
		cmocka_unit_test(addresses_without_services),
		cmocka_unit_test(no_such_service),
		cmocka_unit_test(last_known_stays),
		cmocka_unit_test(fresh_ones_are_left_alone),
		cmocka_unit_test(forgotten_while_asked),
		cmocka_unit_test(hostile_answers),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
