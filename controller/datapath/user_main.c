// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The userspace relay: a process of its own, executed by the daemon, that outlives it. It has the
 * mapped maps and the sockets that it was given, and no privilege. It receives what XDP passed up
 * or what came in where no XDP program is, asks the verdict, and sends.
 *
 * It runs while it is the generation that control.relay names, and the lease lasts or somebody
 * sends. A later one is given other sockets: this one empties its own and ends, that one begins
 * thereafter, so that a flow's counters have one writer and its packets keep their order.
 */
#include "datapath/datapath.h"
#include "datapath/kmod.h"
#include "datapath/user_packet.h"
#include "datapath/user_send.h"
#include "datapath/user_sockets.h"
#include "datapath/user_srtp.h"
#include "lib/log.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS	     10000 /* after the lease: how long nothing comes before it ends */
#define SWEEP_MS     1000  /* how often keys that nobody has any more are looked for */
#define LOOK_MS	     50	   /* how often it looks whether it is still wanted */
#define TURN_MS	     1000  /* what a former one gets to empty its sockets */
#define DATAGRAM_MAX 65535 /* a page is touched only when something lies there */
#define BUFFER_SIZE  ((USER_PAYLOAD_AT + DATAGRAM_MAX + USER_TAILROOM + 63) / 64 * 64)

struct receive {
	struct mmsghdr messages[USER_BATCH];
	struct iovec parts[USER_BATCH];
	struct sockaddr_storage from[USER_BATCH];
	uint8_t control[USER_BATCH][USER_CMSG_SIZE] __attribute__((aligned(8)));
};

struct relay {
	uint32_t generation;
	int fds[USER_FDS];
	struct user_maps maps;
	struct user_srtp srtp;
	uint8_t *buffers; /* USER_BATCH of BUFFER_SIZE */
	struct receive receive;
	struct user_send send;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* GENERATION FD... */
static int parse(struct relay *relay, int argc, char **argv)
{
	if (argc != 2 + USER_FDS)
		return -EINVAL;
	relay->generation = (uint32_t)strtoul(argv[1], NULL, 10);
	for (int i = 0; i < USER_FDS; i++)
		relay->fds[i] = atoi(argv[2 + i]);
	return relay->generation ? 0 : -EINVAL;
}

static void *map(int fd, size_t size, int protection)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (size + page - 1) / page * page, protection, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* They end at a page that nobody may touch: a write behind the last one ends the process. */
static uint8_t *map_buffers(void)
{
	const size_t size = (size_t)USER_BATCH * BUFFER_SIZE;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
	uint8_t *memory = mmap(NULL, room + page, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory, room, PROT_READ | PROT_WRITE))
		return NULL;
	return memory + room - size;
}

static int map_all(struct relay *relay)
{
	struct user_maps *maps = &relay->maps;
	const int both = PROT_READ | PROT_WRITE;
	size_t slots;

	maps->control = map(relay->fds[USER_CONTROL], sizeof(*maps->control), PROT_READ);
	if (!maps->control || maps->control->version != RTPFWD_ABI_VERSION)
		return -EINVAL;
	slots = maps->control->slots;
	maps->slots = map(relay->fds[USER_SLOTS], slots * sizeof(*maps->slots), both);
	maps->rests = map(relay->fds[USER_RESTS], slots * sizeof(*maps->rests), both);
	maps->relay = map(relay->fds[USER_RELAY], sizeof(*maps->relay), both);
	maps->uppers = map(relay->fds[USER_UPPERS], sizeof(*maps->uppers), PROT_READ);
	relay->buffers = map_buffers();
	if (!relay->buffers)
		return -ENOMEM;
	return maps->slots && maps->rests && maps->relay && maps->uppers ? 0 : -EINVAL;
}

/* There may be no keys at all, or not yet. */
static int map_keys(struct relay *relay)
{
	uint32_t slots = relay->maps.control->slots;

	relay->maps.srtp = &relay->srtp;
	if (relay->fds[USER_CRYPTS] >= 0)
		return user_srtp_map(&relay->srtp, relay->fds[USER_CRYPTS], slots);
	user_srtp_await(&relay->srtp, relay->fds[USER_TELL], slots);
	return 0;
}

/* Without it what XDP passes up of the module's flows is refused. */
static void open_kmod(struct relay *relay)
{
	int err = relay->fds[USER_KMOD] < 0
			  ? 0
			  : kmod_open_given(&relay->maps.kmod, relay->fds[USER_KMOD]);

	if (err)
		log_error("the userspace relay cannot ask rtpfwd.ko: %s", strerror(-err));
}

/* Everything is open: nothing that a privilege is for is ever done again. */
static int drop_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none))
		return -errno;
	return 0;
}

static void prepare(struct relay *relay)
{
	struct receive *receive = &relay->receive;

	for (int i = 0; i < USER_BATCH; i++) {
		uint8_t *buffer = relay->buffers + (size_t)i * BUFFER_SIZE;

		receive->parts[i] = (struct iovec){ buffer + USER_PAYLOAD_AT, DATAGRAM_MAX };
		receive->messages[i].msg_hdr =
			(struct msghdr){ .msg_name = &receive->from[i],
					 .msg_iov = &receive->parts[i],
					 .msg_iovlen = 1,
					 .msg_control = receive->control[i] };
	}
	user_send_init(&relay->send, &relay->maps, &relay->fds[USER_PACKET]);
}

static uint32_t *mine(const struct relay *relay, uint32_t *of_each)
{
	return &of_each[relay->generation % RTPFWD_RELAYS];
}

/* Odd while copies of what to do may be read: no writer changes one meanwhile (grace.c). */
static void begin_reading(const struct relay *relay)
{
	uint32_t *reading = mine(relay, relay->maps.relay->reading);

	__atomic_store_n(reading, *reading | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end_reading(const struct relay *relay)
{
	uint32_t *reading = mine(relay, relay->maps.relay->reading);

	__atomic_store_n(reading, (*reading | 1) + 1, __ATOMIC_RELEASE);
}

static void tell(const struct relay *relay, uint32_t slot)
{
	const struct rtpfwd_event event = { .slot = slot };

	/* Nobody there: the next packets of that source tell it again. */
	send(relay->fds[USER_TELL], &event, sizeof(event), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* By loopback: see bpf/steer.h. */
static bool is_from_here(const struct relay *relay, const struct user_datagram *d)
{
	const struct rtpfwd_control *control = relay->maps.control;

	if (d->from.family == AF_INET)
		return rtpfwd_is_own(control, d->from.v4.s_addr);
	return d->ifindex == RTPFWD_LOOPBACK && rtpfwd_is_own6(control, d->from.v6.s6_addr32);
}

static void forward(struct relay *relay, int i)
{
	struct mmsghdr *message = &relay->receive.messages[i];
	struct user_frame frame = { .maps = &relay->maps, .ns = now_ns() };
	struct user_datagram datagram;

	if (user_packet_read(&datagram, &message->msg_hdr))
		return;
	user_packet_build(&frame, &datagram, relay->receive.parts[i].iov_base, message->msg_len);
	frame.from_here = is_from_here(relay, &datagram);
	if (user_verdict(&frame) == XDP_REDIRECT)
		user_send_add(&relay->send, &frame);
	for (unsigned int k = 0; k < frame.n_learned; k++)
		tell(relay, frame.learned[k]);
}

/* One batch; how many there were. */
static int receive(struct relay *relay, int fd)
{
	struct receive *receive = &relay->receive;
	int n;

	if (fd < 0)
		return 0;
	for (int i = 0; i < USER_BATCH; i++) {
		receive->messages[i].msg_hdr.msg_namelen = sizeof(receive->from[i]);
		receive->messages[i].msg_hdr.msg_controllen = sizeof(receive->control[i]);
	}
	n = recvmmsg(fd, receive->messages, USER_BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return 0;
	begin_reading(relay);
	for (int i = 0; i < n; i++)
		forward(relay, i);
	end_reading(relay);
	user_send_flush(&relay->send);
	return n;
}

static bool is_lease_over(const struct relay *relay)
{
	const struct rtpfwd_control *control = relay->maps.control;
	uint64_t until = __atomic_load_n(&control->lease_until, __ATOMIC_RELAXED);

	return user_jiffies(control, now_ns()) >= until;
}

static uint32_t wanted(const struct relay *relay)
{
	return __atomic_load_n(&relay->maps.control->relay, __ATOMIC_ACQUIRE);
}

/* Until there is something to receive, or it is time to look around. To begin with keys takes
 * libsrtp2 some 40 ms: it is done before the first packet asks for them. */
static void wait_for_some(struct relay *relay)
{
	struct pollfd fds[] = { { .fd = relay->fds[USER_UDP4], .events = POLLIN },
				{ .fd = relay->fds[USER_UDP6], .events = POLLIN },
				{ .fd = relay->srtp.tell, .events = POLLIN } };

	poll(fds, 3, LOOK_MS);
	if (fds[2].revents)
		user_srtp_take(&relay->srtp);
}

static void drain(struct relay *relay)
{
	while (receive(relay, relay->fds[USER_UDP4]) || receive(relay, relay->fds[USER_UDP6]))
		;
}

/* After the lease it goes on refusing, as XDP does, while somebody sends. */
static bool is_wanted(const struct relay *relay, uint64_t last_ns)
{
	if (wanted(relay) != relay->generation)
		return false;
	return !is_lease_over(relay) || now_ns() - last_ns < IDLE_MS * 1000000ULL;
}

static void run(struct relay *relay)
{
	uint64_t last_ns = now_ns(), swept_ns = last_ns;

	while (is_wanted(relay, last_ns) && !relay->srtp.failed) {
		if (receive(relay, relay->fds[USER_UDP4]) + receive(relay, relay->fds[USER_UDP6]))
			last_ns = now_ns();
		wait_for_some(relay);
		if (relay->srtp.all && now_ns() - swept_ns > SWEEP_MS * 1000000ULL) {
			user_srtp_sweep(&relay->srtp);
			swept_ns = now_ns();
		}
	}
	if (relay->srtp.failed) /* what waits is for the next one, which gets the map anew */
		return;
	/* A datagram that was on its way to these sockets when others took their place. */
	drain(relay);
	usleep(LOOK_MS * 1000);
	drain(relay);
}

/* The daemon is told that this one can begin, and names it. False: it is gone. */
static bool await_turn(const struct relay *relay)
{
	struct pollfd daemon = { .fd = relay->fds[USER_TELL], .events = 0 };

	tell(relay, USER_READY);
	while (wanted(relay) != relay->generation) {
		poll(&daemon, 1, 1);
		if (daemon.revents && wanted(relay) != relay->generation)
			return false;
	}
	return true;
}

/* The former one has emptied its sockets; one that was killed never says so. */
static void await_former(const struct relay *relay)
{
	uint32_t *former = &relay->maps.relay->running[(relay->generation + 1) % RTPFWD_RELAYS];
	uint64_t until = now_ns() + TURN_MS * 1000000ULL;

	while (__atomic_load_n(former, __ATOMIC_ACQUIRE) && now_ns() < until)
		usleep(1000);
	__atomic_store_n(former, 0, __ATOMIC_RELAXED);
}

static void take_turn(struct relay *relay)
{
	uint32_t *running = mine(relay, relay->maps.relay->running);

	__atomic_store_n(running, relay->generation, __ATOMIC_RELEASE);
	await_former(relay);
	run(relay);
	/* Slow to empty its sockets, it may meet the one after the next there: that one stays. */
	__atomic_compare_exchange_n(running, &(uint32_t){ relay->generation }, 0, false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int datapath_relay(int argc, char **argv)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int err = relay ? parse(relay, argc, argv) : -ENOMEM;

	prctl(PR_SET_NAME, "rtpfwd-relay");
	if (!err)
		err = map_all(relay);
	if (!err)
		err = map_keys(relay);
	if (!err)
		err = drop_privileges();
	if (err) {
		log_error("the userspace relay, which the daemon alone starts, cannot begin: %s",
			  strerror(-err));
		free(relay);
		return 1;
	}
	open_kmod(relay);
	prepare(relay);
	if (await_turn(relay))
		take_turn(relay);
	user_srtp_close(&relay->srtp);
	kmod_close(relay->maps.kmod);
	free(relay);
	return 0;
}
