// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least that a relay in userspace can do: a socket for each relay port, what comes to the one
 * goes out by the other, as many at once as there are. Nothing is checked, nothing is counted.
 *
 *   build/media_relay INSIDE OUTSIDE FIRST CALLS CALLER CALLEE
 *
 * Call i has port FIRST + 2 i of all four addresses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH  32
#define EVENTS 64
#define SIZE   1500

struct relay {
	int poll;
	int *partner; /* by descriptor: the socket of the call's other side */
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	char data[BATCH][SIZE];
};

static struct sockaddr_in address(const char *ip, unsigned int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	inet_pton(AF_INET, ip, &sin.sin_addr);
	return sin;
}

static int open_port(const char *ip, const char *phone, unsigned int port)
{
	struct sockaddr_in local = address(ip, port), remote = address(phone, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		return -errno;
	return fd;
}

static int open_call(struct relay *r, char **argv, unsigned int port)
{
	int fds[] = { open_port(argv[1], argv[5], port), open_port(argv[2], argv[6], port) };

	for (int side = 0; side < 2; side++) {
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[side] };

		if (fds[side] < 0)
			return fds[side];
		if (epoll_ctl(r->poll, EPOLL_CTL_ADD, fds[side], &event))
			return -errno;
		r->partner[fds[side]] = fds[!side];
	}
	return 0;
}

static void forward(struct relay *r, int fd)
{
	int n = recvmmsg(fd, r->messages, BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++)
		r->pieces[i].iov_len = r->messages[i].msg_len;
	if (n > 0)
		sendmmsg(r->partner[fd], r->messages, (unsigned int)n, 0);
	for (int i = 0; i < n; i++)
		r->pieces[i].iov_len = SIZE;
}

int main(int argc, char **argv)
{
	static struct relay r;
	struct epoll_event events[EVENTS];
	int calls, n, err = 0;

	if (argc != 7) {
		fprintf(stderr, "usage: media_relay INSIDE OUTSIDE FIRST CALLS CALLER CALLEE\n");
		return 2;
	}
	calls = atoi(argv[4]);
	r.poll = epoll_create1(EPOLL_CLOEXEC);
	r.partner = calloc((size_t)calls * 2 + 64, sizeof(*r.partner));
	for (int i = 0; i < BATCH; i++) {
		r.pieces[i] = (struct iovec){ r.data[i], SIZE };
		r.messages[i].msg_hdr = (struct msghdr){ .msg_iov = &r.pieces[i], .msg_iovlen = 1 };
	}
	for (int i = 0; i < calls && !err; i++)
		err = open_call(&r, argv, (unsigned int)(atoi(argv[3]) + 2 * i));
	if (err) {
		fprintf(stderr, "media_relay: %s\n", strerror(-err));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while ((n = epoll_wait(r.poll, events, EVENTS, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++)
			forward(&r, events[i].data.fd);
	return 1;
}
