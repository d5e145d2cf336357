// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The userspace relay as a child that outlives its parent. If it dies, its datagrams wait in the
 * sockets, which are ours as well, for the next; if we die, it goes on until the lease ends, and
 * the next daemon puts a relay of its own in its place.
 */
#include "datapath/kmod.h"
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEER	 PIN_STEER "netns"
#define AGAIN_MS 1000 /* between two starts, where one did not live so long */
#define LEAVE_MS 2000 /* what one that is dismissed gets to end */
#define NUMBER	 12

void user_init(struct datapath *dp)
{
	struct user *user = &dp->user;

	*user = (struct user){ .tell = -1, .pidfd = -1, .steer = -1 };
	for (int i = 0; i < USER_FDS; i++)
		user->fds[i] = -1;
}

/* Descriptors keep their numbers:
 * to duplicate one onto itself is what unsets its close-on-exec flag in the child alone. */
static int spawn(struct user *user)
{
	char numbers[1 + USER_FDS][NUMBER], *argv[3 + USER_FDS] = { DATAPATH_RELAY };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int err;

	snprintf(numbers[0], NUMBER, "%u", user->generation);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, 0, 1);
	for (int i = 0; i < USER_FDS && !err; i++) {
		snprintf(numbers[1 + i], NUMBER, "%d", user->fds[i]);
		if (user->fds[i] >= 0)
			err = posix_spawn_file_actions_adddup2(&actions, user->fds[i],
							       user->fds[i]);
	}
	for (int i = 0; i < 1 + USER_FDS; i++)
		argv[1 + i] = numbers[i];
	if (!err)
		err = posix_spawn(&user->pid, user->program, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -err;
}

/* BPF_NOEXIST: unless there are others. Sockets that nobody has open any more are none. */
static void put_sockets(const struct datapath *dp, uint64_t how)
{
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t fd = (uint64_t)dp->user.fds[USER_UDP4 + i];

		if (dp->user.fds[USER_UDP4 + i] >= 0 &&
		    bpf_map_update_elem(dp->fd.socks, &i, &fd, how) && errno != EEXIST)
			log_error("userspace relay: cannot steer to its socket: %s",
				  strerror(errno));
	}
}

/* It is ready: from now on the datagrams are its own. */
static void give_turn(struct datapath *dp)
{
	struct user *user = &dp->user;

	put_sockets(dp, BPF_ANY);
	__atomic_store_n(&dp->control->relay, user->generation, __ATOMIC_RELEASE);
	log_info("userspace relay %u begins, process %d", user->generation, (int)user->pid);
}

static bool hear(const struct user *user, struct rtpfwd_event *event)
{
	return recv(user->tell, event, sizeof(*event), MSG_DONTWAIT) == sizeof(*event);
}

static void on_heard(void *owner)
{
	struct datapath *dp = owner;
	struct rtpfwd_event event;

	for (int i = 0; i < LEARN_PER_TURN && hear(&dp->user, &event); i++) {
		if (event.slot == USER_READY)
			give_turn(dp);
		else
			learn_found(dp, event.slot);
	}
}

static void forget_child(struct user *user)
{
	if (user->watched) {
		loop_unwatch(&user->heard);
		loop_unwatch(&user->ended);
	}
	user->watched = false;
	if (user->tell >= 0)
		close(user->tell);
	if (user->pidfd >= 0)
		close(user->pidfd);
	user->tell = user->pidfd = -1;
	user->pid = 0;
}

static int start(struct datapath *dp);

/* What only the child has: its end of the pair, and a socket to the module. */
static void give_own(struct datapath *dp, int tell)
{
	struct user *user = &dp->user;

	user->fds[USER_TELL] = tell;
	user->fds[USER_KMOD] = dp->kmod ? kmod_socket() : -1;
	if (dp->kmod && user->fds[USER_KMOD] < 0)
		log_error("userspace relay: no socket to rtpfwd.ko: %s",
			  strerror(-user->fds[USER_KMOD]));
}

static void close_own(struct user *user)
{
	close(user->fds[USER_TELL]);
	if (user->fds[USER_KMOD] >= 0)
		close(user->fds[USER_KMOD]);
	user->fds[USER_TELL] = user->fds[USER_KMOD] = -1;
}

static void on_again(void *owner)
{
	struct datapath *dp = owner;
	int err = start(dp);

	if (!err)
		return;
	log_error("userspace relay: cannot be started: %s", strerror(-err));
	timer_set(&dp->user.again, AGAIN_MS);
}

/* What it was reading nobody reads any more. */
static void on_ended(void *owner)
{
	struct datapath *dp = owner;
	struct user *user = &dp->user;
	uint32_t which = user->generation % RTPFWD_RELAYS;
	bool soon = loop_now_ms(dp->loop) - user->started_ms < AGAIN_MS;
	int status = 0;

	waitpid(user->pid, &status, 0);
	log_warn("userspace relay: process %d ended by %s %d, another one is started",
		 (int)user->pid, WIFSIGNALED(status) ? "signal" : "exit status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	forget_child(user);
	__atomic_store_n(&dp->relay->reading[which], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&dp->relay->running[which], 0, __ATOMIC_RELAXED);
	if (soon)
		timer_set(&user->again, AGAIN_MS);
	else
		on_again(dp);
}

static int watch_child(struct datapath *dp)
{
	struct user *user = &dp->user;
	int err = loop_watch(&user->heard, dp->loop, user->tell, on_heard, dp);

	if (err)
		return err;
	err = loop_watch(&user->ended, dp->loop, user->pidfd, on_ended, dp);
	if (err)
		loop_unwatch(&user->heard);
	user->watched = !err;
	return err;
}

/* Another one than that of any that may still be emptying its sockets; and where one never had its
 * turn, the one named before it may still run: not at that parity. */
static uint32_t next_generation(const struct datapath *dp)
{
	uint32_t former = dp->control->relay;
	uint32_t next = dp->user.generation ? dp->user.generation : former;

	do
		next++;
	while (!next || (former && next % RTPFWD_RELAYS == former % RTPFWD_RELAYS));
	return next;
}

static int start(struct datapath *dp)
{
	struct user *user = &dp->user;
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	user->tell = pair[0];
	give_own(dp, pair[1]);
	user->generation = next_generation(dp);
	user->started_ms = loop_now_ms(dp->loop);
	err = spawn(user);
	close_own(user);
	if (err) {
		user->pid = 0;
		goto fail;
	}
	user->pidfd = pidfd_open(user->pid, 0);
	err = user->pidfd < 0 ? -errno : watch_child(dp);
	if (!err)
		return 0;
	kill(user->pid, SIGKILL);
	waitpid(user->pid, NULL, 0);
fail:
	forget_child(user);
	return err;
}

/* A former daemon's link gets our program without a gap, unless it stands on another network
 * namespace. */
static bool take_over(struct datapath *dp, const char *path)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == BPF_LINK_TYPE_NETNS &&
	    info.netns.netns_ino == dp->control->netns &&
	    !bpf_link_update(fd, dp->fd.steer, NULL)) {
		dp->user.steer = fd;
		return true;
	}
	close(fd);
	unlink(path);
	return false;
}

static int steer(struct datapath *dp)
{
	char path[PATH_MAX];
	int netns, err = pins_path(path, dp->folder, "", STEER);

	if (err || take_over(dp, path))
		return err;
	netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return -errno;
	dp->user.steer = bpf_link_create(dp->fd.steer, netns, BPF_SK_LOOKUP, NULL);
	err = dp->user.steer < 0 || bpf_obj_pin(dp->user.steer, path) ? -errno : 0;
	close(netns);
	return err;
}

int user_open(struct datapath *dp, char *why, size_t why_size)
{
	struct user *user = &dp->user;
	int err;

	user->program = dp->events.relay;
	if (!user->program)
		return 0;
	timer_init(&user->again, dp->loop, on_again, dp);
	user->fds[USER_CONTROL] = dp->fd.control;
	user->fds[USER_SLOTS] = dp->fd.slots;
	user->fds[USER_RESTS] = dp->fd.rests;
	user->fds[USER_RELAY] = dp->fd.relay;
	user->fds[USER_UPPERS] = dp->fd.uppers;
	user->fds[USER_CRYPTS] = dp->fd.crypts;
	err = user_sockets_open(user->fds);
	if (!err) {
		put_sockets(dp, BPF_NOEXIST);
		err = steer(dp);
	}
	if (!err)
		err = start(dp);
	if (err)
		snprintf(why, why_size, "cannot start the userspace relay: %s%s", strerror(-err),
			 err == -EPERM ? ": CAP_NET_RAW or CAP_NET_ADMIN is missing" : "");
	return err;
}

/* The descriptor waits in the pair until the relay looks. One that has just ended is followed by
 * one that is given it at its start. */
int user_give_crypts(struct datapath *dp)
{
	struct user *user = &dp->user;
	struct iovec part = { (char[]){ 0 }, 1 };
	uint8_t control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &dp->fd.crypts, sizeof(int));
	if (user->tell >= 0 && sendmsg(user->tell, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EPIPE)
		return -errno;
	user->fds[USER_CRYPTS] = dp->fd.crypts;
	return 0;
}

void user_close(struct datapath *dp)
{
	struct user *user = &dp->user;

	if (!user->program)
		return;
	timer_stop(&user->again);
	forget_child(user);
	user_sockets_close(user->fds);
	if (user->steer >= 0)
		close(user->steer);
}

static void *map_pinned(const char *folder, const char *name, size_t size)
{
	char path[PATH_MAX];
	void *memory;
	int fd;

	if (pins_path(path, folder, "", name))
		return NULL;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return NULL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

static bool runs(const struct rtpfwd_relay *relay)
{
	uint32_t any = 0;

	for (int i = 0; i < RTPFWD_RELAYS; i++)
		any |= __atomic_load_n(&relay->running[i], __ATOMIC_ACQUIRE);
	return any;
}

/* One that was killed is not waited for longer than it would take. */
void user_dismiss(const char *folder)
{
	struct rtpfwd_control *control = map_pinned(folder, RTPFWD_MAP_CONTROL, sizeof(*control));
	struct rtpfwd_relay *relay = map_pinned(folder, RTPFWD_MAP_RELAY, sizeof(*relay));
	struct timespec pause = { .tv_nsec = 2000000 };

	if (control && control->version == RTPFWD_ABI_VERSION && relay) {
		__atomic_store_n(&control->relay, 0, __ATOMIC_RELEASE);
		for (int ms = 0; ms < LEAVE_MS && runs(relay); ms += 2)
			nanosleep(&pause, NULL);
	}
	if (control)
		munmap(control, sizeof(*control));
	if (relay)
		munmap(relay, sizeof(*relay));
}
