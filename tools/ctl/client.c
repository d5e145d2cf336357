// SPDX-License-Identifier: GPL-2.0-or-later
#include "client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_S = 30 };

static int complain(int status, const char *what, const char *why)
{
	fprintf(stderr, "rtpfwd-ctl: %s: %s\n", what, why);
	return status;
}

/* The descriptor, or -errno. */
static int dial(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_S};
	int fd, err;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A request line. NULL: no memory, or a word that is not UTF-8. */
static char *request(char **words, size_t n)
{
	json_t *list = json_array(), *whole;
	bool bad = false;
	char *text;

	for (size_t i = 0; i < n; i++)
		bad |= json_array_append_new(list, json_string(words[i])) != 0;
	whole = json_pack("{s:o}", "command", list);
	text = bad || !whole ? NULL : json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	return text;
}

static int send_line(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return send(fd, "\n", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* What the daemon answered, taken apart. Takes `response`. */
static int judge(json_t **result, json_t *response)
{
	const char *error = json_string_value(json_object_get(response, "error"));
	json_int_t code = json_integer_value(json_object_get(response, "code"));
	json_t *wanted = json_object_get(response, "result");
	int status = STATUS_OK;

	if (json_is_true(json_object_get(response, "ok")) && wanted) {
		*result = json_incref(wanted);
	} else {
		fprintf(stderr, "rtpfwd-ctl: %s\n",
			error ? error : "the daemon's answer makes no sense");
		status = code == STATUS_NO_OBJECT ? STATUS_NO_OBJECT : STATUS_REFUSED;
	}
	json_decref(response);
	return status;
}

static int receive(json_t **result, int fd, const char *path)
{
	FILE *stream = fdopen(fd, "r");
	json_t *response;
	int err;

	if (!stream) {
		close(fd);
		return complain(STATUS_REFUSED, path, strerror(errno));
	}
	errno = 0;
	response = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
	err = errno;
	fclose(stream);
	if (response)
		return judge(result, response);
	return complain(STATUS_REFUSED, path,
			err == EAGAIN ? "the daemon does not answer" : "the daemon gave no answer");
}

int client_ask(json_t **result, const char *path, char **words, size_t n)
{
	char *text = request(words, n);
	int fd, err;

	if (!text)
		return complain(STATUS_USAGE, "command", "not UTF-8");
	fd = dial(path);
	if (fd < 0) {
		free(text);
		return complain(STATUS_NO_DAEMON, path, strerror(-fd));
	}
	err = send_line(fd, text);
	free(text);
	/* -EPIPE: it hung up on us, and may have said why. */
	if (err && err != -EPIPE) {
		close(fd);
		return complain(STATUS_REFUSED, path, strerror(-err));
	}
	return receive(result, fd, path);
}
