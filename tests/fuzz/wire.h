/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For targets that speak SIP with a whole stack: nothing is sent, no random number is one, and an
 * input can name what the node sent last, so that it may answer: $b branch, $c Call-ID, $f tag of
 * From, $t tag of To, $q number of CSeq of the last request, in capitals of the last response; $n
 * the nonce of the last challenge. Linked with --wrap for the functions below.
 */
#ifndef RTPFWD_TESTS_WIRE_H
#define RTPFWD_TESTS_WIRE_H

#include "fuzz.h"

#include "lib/buf.h"
#include "sip/stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 65535 };

struct wire {
	char request[DATAGRAM_MAX + 1], response[DATAGRAM_MAX + 1]; /* the last ones sent */
	char challenge[DATAGRAM_MAX + 1]; /* the last response that was one */
	uint64_t random;
};

/* The wrapped functions have no other way to it. */
static struct wire wire;

ssize_t __wrap_sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_getsockname(int fd, struct sockaddr *at, socklen_t *len);

ssize_t __wrap_sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len)
{
	char *out = len > 8 && memcmp(bytes, "SIP/2.0 ", 8) == 0 ? wire.response : wire.request;
	size_t n = len < DATAGRAM_MAX ? len : DATAGRAM_MAX;

	(void)fd;
	(void)flags;
	(void)to;
	(void)to_len;
	memcpy(out, bytes, n);
	out[n] = '\0';
	if (out == wire.response && strstr(out, "\r\nWWW-Authenticate:"))
		memcpy(wire.challenge, out, n + 1);
	return (ssize_t)len;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	(void)flags;
	for (size_t i = 0; i < len; i++) {
		wire.random = wire.random * 6364136223846793005u + 1442695040888963407u;
		((unsigned char *)out)[i] = (unsigned char)(wire.random >> 56);
	}
	return (ssize_t)len;
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	(void)fd;
	(void)to;
	(void)len;
	errno = ENETUNREACH;
	return -1;
}

/* No port is taken from anybody. */
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len)
{
	(void)fd;
	(void)at;
	(void)len;
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *at, socklen_t *len)
{
	struct sockaddr_storage sa;
	struct addr a;

	(void)fd;
	addr_parse(&a, "127.0.0.1:5060");
	*len = addr_to_sockaddr(&sa, &a);
	memcpy(at, &sa, *len);
	return 0;
}

static inline void wire_reset(void)
{
	wire.request[0] = wire.response[0] = wire.challenge[0] = '\0';
	wire.random = 1;
}

static inline struct conf *wire_conf(const char *text)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf *conf;
	char path[32], why[256];

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fuzz_die("no memory file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_load(&conf, path, why, sizeof(why)))
		fuzz_die(why);
	close(fd);
	return conf;
}

/* What stands behind `before` in the first header that begins with `name`. */
static inline struct slice wire_value(const char *message, const char *name, const char *before)
{
	const char *p = strstr(message, name), *end;

	if (!p)
		return (struct slice){"", 0};
	end = p + 2 + strcspn(p + 2, "\r");
	p = strstr(p, before);
	if (!p || p >= end)
		return (struct slice){"", 0};
	p += strlen(before);
	return (struct slice){p, strcspn(p, " ;,\r\"")};
}

static inline struct slice wire_named(char letter)
{
	const char *message = letter >= 'a' ? wire.request : wire.response;

	switch (letter | 0x20) {
	case 'b':
		return wire_value(message, "\r\nVia:", "branch=");
	case 'c':
		return wire_value(message, "\r\nCall-ID:", "Call-ID: ");
	case 'f':
		return wire_value(message, "\r\nFrom:", "tag=");
	case 't':
		return wire_value(message, "\r\nTo:", "tag=");
	case 'n':
		return wire_value(wire.challenge, "\r\nWWW-Authenticate:", "nonce=\"");
	case 'q':
		return wire_value(message, "\r\nCSeq:", "CSeq: ");
	default:
		return (struct slice){NULL, 0};
	}
}

static inline size_t wire_fill(char *out, const char *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < DATAGRAM_MAX; i++) {
		struct slice s = {NULL, 0};

		if (in[i] == '$' && i + 1 < len)
			s = wire_named(in[i + 1]);
		if (s.p && n + s.len < DATAGRAM_MAX) {
			memcpy(out + n, s.p, s.len);
			n += s.len;
			i++;
		} else {
			out[n++] = in[i];
		}
	}
	return n;
}

/* Each piece of an input, which has lines `====` between them. */
static inline void wire_each(const uint8_t *data, size_t size,
			     void (*take)(void *ctx, const char *in, size_t len), void *ctx)
{
	static const char mark[] = "\n====\n";
	const char *p = (const char *)data, *cut;

	for (; (cut = memmem(p, size, mark, strlen(mark))) != NULL; p = cut + strlen(mark)) {
		take(ctx, p, (size_t)(cut - p));
		size -= (size_t)(cut - p) + strlen(mark);
	}
	take(ctx, p, size);
}

/* In memory of its own size: a byte read past the end is seen. */
static inline void wire_receive(struct sip *sip, const struct addr *from, const char *filled,
				size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, filled, size);
	sip_receive(&sip->binds[0], &sip->binds[0].overload, from, text, size);
	free(text);
	for (int i = 0; i < 2; i++)
		event_base_loop(loop_base(sip->loop), EVLOOP_NONBLOCK);
}

#endif
