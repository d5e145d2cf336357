// SPDX-License-Identifier: GPL-2.0-or-later
/* Publication while the userspace relay forwards, a process that reads the same memory: each packet
 * meets one whole description, the former or the next, never a mix, and none is lost. */
#include "relay.h"

#include "datapath/priv.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

/* The reader stops when it has seen so many of both, or after the last figure in any case. */
#define CHANGES	     40
#define PACKETS	     60000
#define PACKETS_MOST 2000000
#define BURST	     16 /* under way at once: fewer than a socket holds */
#define SILENCE_MS   10000
#define STOP_EVERY   12 /* turns */

/* Descriptions that differ in every field that a packet shows: the numbers of their payload lie
 * elsewhere than the addresses. Three of them, so that two copies written by turns change. */
#define WANTS 3
static const struct want {
	const char *from, *to;
	uint8_t becomes;
} wants[WANTS] = { { OUT, FAR, 0 },
		   { "10.77.2.1:20077", "10.77.2.3:7777", 96 },
		   { "10.77.2.1:20055", "10.77.2.4:8888", 97 } };

struct reader {
	int phone;
	struct pollfd far[WANTS]; /* where each description sends to */
	uint32_t sent, came;
	uint32_t changes, mixed;
	unsigned int last;
	atomic_bool over;
	unsigned int turns; /* the writer's, of the loop: 2 ms or more */
	pid_t relay;
};

static struct flow_want want_of(unsigned int which)
{
	struct flow_want want = relay_want();

	want.from = lab_addr(wants[which].from);
	want.to = lab_addr(wants[which].to);
	want.payloads.n = 1;
	want.payloads.pair[0] = (struct flow_payload){ 0, wants[which].becomes, 0 };
	return want;
}

static void send_burst(struct reader *r)
{
	const struct addr relay = lab_addr(RELAY);
	struct sockaddr_storage to;
	socklen_t size = addr_to_sockaddr(&to, &relay);
	uint8_t packet[172] = { 0x80 };

	for (int i = 0; i < BURST; i++, r->sent++) {
		packet[2] = (uint8_t)(r->sent >> 8);
		packet[3] = (uint8_t)r->sent;
		sendto(r->phone, packet, sizeof(packet), 0, (void *)&to, size);
	}
}

/* It came to where `which` sends: all else of it must be so, too. */
static void hear(struct reader *r, unsigned int which)
{
	const struct addr due = lab_addr(wants[which].from);
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	uint8_t packet[200];

	if (recvfrom(r->far[which].fd, packet, sizeof(packet), 0, (void *)&from, &size) != 172)
		return;
	r->came++;
	r->mixed += from.sin_addr.s_addr != due.v4.s_addr || ntohs(from.sin_port) != due.port ||
		    packet[1] != wants[which].becomes;
	r->changes += which != r->last;
	r->last = which;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (r->sent < PACKETS_MOST && (r->sent < PACKETS || r->changes < CHANGES)) {
		send_burst(r);
		while (r->came < r->sent && poll(r->far, WANTS, SILENCE_MS) > 0)
			for (unsigned int which = 0; which < WANTS; which++)
				if (r->far[which].revents)
					hear(r, which);
		if (r->came < r->sent)
			break;
	}
	atomic_store(&r->over, true);
	return NULL;
}

/* The relay stands still for some turns: most often between packets, at times amid a verdict. */
static void stop_and_go(const struct reader *r)
{
	assert_int_equal(lab.dp->user.pid, r->relay);
	if (r->turns % STOP_EVERY == 0)
		assert_int_equal(kill(r->relay, SIGSTOP), 0);
	else if (r->turns % STOP_EVERY == STOP_EVERY / 2)
		assert_int_equal(kill(r->relay, SIGCONT), 0);
}

static bool is_over(void *arg)
{
	struct reader *r = arg;
	struct flow_want want;

	stop_and_go(r);
	r->turns++;
	/* As fast as can be, most of it while readers may still be in the idle copy. */
	for (unsigned int i = 0; i < 200; i++) {
		want = want_of((r->turns * 200 + i) % WANTS);
		assert_int_equal(datapath_apply(lab.dp, &want), 0);
	}
	return atomic_load(&r->over);
}

static void enter_phones(struct reader *r)
{
	relay_enter(true);
	lab_sh("ip addr add 10.77.2.3/24 dev ph1; ip addr add 10.77.2.4/24 dev ph1");
	r->phone = lab_udp_socket(PHONE);
	for (unsigned int which = 0; which < WANTS; which++)
		r->far[which] = (struct pollfd){ lab_udp_socket(wants[which].to), POLLIN, 0 };
	relay_enter(false);
}

static void packets_never_meet_a_mix(void **state)
{
	struct flow_want want = want_of(0);
	static struct reader reader;
	struct reader *r = &reader;
	pthread_t thread;

	(void)state;
	NEED_ROOT;
	lab.events = (struct datapath_events){ .relay = lab_relay() };
	lab.realms[0].xdp = lab.realms[1].xdp = XDP_OFF;
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	enter_phones(r);
	assert_true(lab_until(&lab, relay_has_turn, NULL));
	r->relay = lab.dp->user.pid;
	assert_int_equal(datapath_apply(lab.dp, &want), 0);

	assert_int_equal(pthread_create(&thread, NULL, read_on, r), 0);
	/* A change waits for grace periods, which a busy machine makes long: 80 s. */
	for (int i = 0; i < 8 && !lab_until(&lab, is_over, r); i++)
		;
	kill(r->relay, SIGCONT);
	pthread_join(thread, NULL);
	assert_int_equal(r->mixed, 0);
	assert_int_equal(r->came, r->sent);
	assert_true(r->changes >= CHANGES);
	assert_int_equal(lab.dp->slots[0].counters.packets, r->sent);

	close(r->phone);
	close(r->far[0].fd);
	close(r->far[1].fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_FRESH(packets_never_meet_a_mix),
	};

	return cmocka_run_group_tests(tests, relay_world, relay_world_end);
}
