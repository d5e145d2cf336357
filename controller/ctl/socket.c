// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/socket.h"

#include "ctl/ctl.h"
#include "lib/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int unix_address(struct sockaddr_un *out, const char *path)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(out->sun_path))
		return -ENAMETOOLONG;
	strcpy(out->sun_path, path);
	return 0;
}

bool ctl_running(const char *path)
{
	struct sockaddr_un sun;
	int fd, err;

	if (unix_address(&sun, path))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	err = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ? errno : 0;
	close(fd);
	return !err || err == EAGAIN; /* EAGAIN: its backlog is full */
}

/* What lies in our place: nothing, a socket that nobody serves any more (it goes), or what we must
 * not touch. */
static int clear_place(const char *path, char *why, size_t why_size)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, why_size, "control %s: exists and is no socket", path);
		return -EADDRINUSE;
	}
	if (ctl_running(path)) {
		snprintf(why, why_size, "control %s: another daemon answers there", path);
		return -EADDRINUSE;
	}
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* The mode of an unbound socket is that of the file to come: there is no moment at which it is open
 * to others. */
static int bind_listen(int fd, const char *path)
{
	struct sockaddr_un sun;
	int err = unix_address(&sun, path);

	if (err)
		return err;
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 64))
		return -errno;
	return 0;
}

int ctl_socket_open(struct ctl_socket *s, const char *path, char *why, size_t why_size)
{
	struct stat st;
	int err;

	*s = (struct ctl_socket){.fd = -1, .path = strdup(path)};
	*why = '\0';
	err = s->path ? path_make_parents(path) : -ENOMEM;
	if (!err)
		err = clear_place(path, why, why_size);
	if (err)
		goto fail;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = s->fd < 0 ? -errno : bind_listen(s->fd, path);
	if (!err && lstat(path, &st))
		err = -errno;
	if (err)
		goto fail;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
fail:
	if (!*why)
		snprintf(why, why_size, "control %s: %s", path, strerror(-err));
	ctl_socket_close(s);
	return err;
}

void ctl_socket_close(struct ctl_socket *s)
{
	struct stat st;

	if (s->fd >= 0)
		close(s->fd);
	if (s->ino && !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	free(s->path);
	*s = (struct ctl_socket){.fd = -1};
}
