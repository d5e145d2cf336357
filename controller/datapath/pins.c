// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/priv.h"
#include "lib/log.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPFFS "/sys/fs/bpf"

int pins_path(char path[PATH_MAX], const char *folder, const char *kind, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", folder, kind, name);

	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	/* No dots in names on a bpf filesystem; a colon is in no interface's name. */
	for (char *p = strrchr(path, '/'); *p; p++)
		if (*p == '.')
			*p = ':';
	return 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* The nearest folder above `path`, or itself, that exists. */
static void existing_parent(char out[PATH_MAX], const char *path)
{
	struct stat st;
	char *slash;

	snprintf(out, PATH_MAX, "%s", path);
	while (stat(out, &st) && (slash = strrchr(out, '/')) && slash != out)
		*slash = '\0';
}

static int make_folders(const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", folder);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) && errno != EEXIST && errno != EROFS)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/*
 * A mount of another mount namespace than pid 1's dies with the last process in it, and with it all
 * that is pinned there. Each bpf mount has a device number of its own, so that it can be found in
 * pid 1's list.
 */
static bool mount_survives(const char *folder)
{
	char ours[64], line[4096], device[32];
	bool found = false;
	struct stat st;
	ssize_t n;
	FILE *f;

	n = readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1);
	if (n > 0 && readlink("/proc/1/ns/mnt", line, sizeof(line)) == n &&
	    !memcmp(ours, line, (size_t)n))
		return true;
	f = fopen("/proc/1/mountinfo", "r");
	if (!f || stat(folder, &st)) {
		if (f)
			fclose(f);
		return false;
	}
	snprintf(device, sizeof(device), " %u:%u ", major(st.st_dev), minor(st.st_dev));
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, device) != NULL;
	fclose(f);
	return found;
}

static int mount_bpffs(const char *folder, char *why, size_t why_size)
{
	if (strncmp(folder, BPFFS "/", sizeof(BPFFS)) || is_bpffs(BPFFS)) {
		snprintf(why, why_size,
			 "bpffs = %s: not on a bpf filesystem: a folder under " BPFFS
			 ", or mount -t bpf bpf elsewhere",
			 folder);
		return -EINVAL;
	}
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700")) {
		int err = -errno;

		snprintf(why, why_size,
			 "bpffs = %s: cannot mount a bpf filesystem on " BPFFS ": %s", folder,
			 strerror(-err));
		return err;
	}
	return 0;
}

/* The lock is the process's: it ends with it, however that ends. */
int pins_lock(int *out, const char *folder, char *why, size_t why_size)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	*out = -1;
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
		*out = fd;
		return 0;
	}
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	snprintf(why, why_size, "bpffs = %s: %s", folder,
		 err == -EBUSY ? "in use by another rtpfwd that runs: stop it first"
			       : strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

int pins_open(struct datapath *dp, char *why, size_t why_size)
{
	char parent[PATH_MAX];
	int err;

	snprintf(dp->folder, sizeof(dp->folder), "%s", dp->conf->bpffs);
	existing_parent(parent, dp->folder);
	if (!is_bpffs(parent)) {
		err = mount_bpffs(dp->folder, why, why_size);
		if (err)
			return err;
	}
	err = make_folders(dp->folder);
	if (err) {
		snprintf(why, why_size, "bpffs = %s: cannot make this folder: %s", dp->folder,
			 strerror(-err));
		return err == -EACCES ? -EPERM : err;
	}
	err = pins_lock(&dp->lock, dp->folder, why, why_size);
	if (err)
		return err == -EACCES ? -EPERM : err;
	dp->survives = mount_survives(dp->folder);
	if (!dp->survives)
		log_warn("bpffs = %s is in a mount namespace of our own: media cannot outlive this "
			 "process",
			 dp->folder);
	return 0;
}

void pins_remove(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (!strncmp(name, PIN_LINK, strlen(PIN_LINK))) {
		int fd = bpf_obj_get(path);

		if (fd >= 0) { /* another process may hold it open: the file alone does not do it */
			bpf_link_detach(fd);
			close(fd);
		}
	}
	unlink(path);
}

static bool is_ours(const char *name)
{
	static const char *const kinds[] = { PIN_MAP, PIN_LINK, PIN_TRACE, PIN_STEER };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(name, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

static bool is_wanted(const struct datapath *dp, const char *path)
{
	char link[PATH_MAX];

	for (size_t i = 0; i < dp->n_links; i++)
		if (!pins_path(link, dp->folder, PIN_LINK, dp->links[i].name) &&
		    !strcmp(link, path))
			return true;
	return false;
}

/* Removes what is ours in the folder; with `dp` only links, and not those of its interfaces. */
static int remove_all(const char *folder, const struct datapath *dp)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(folder);

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!is_ours(entry->d_name) || pins_path(path, folder, "", entry->d_name))
			continue;
		if (dp &&
		    (strncmp(entry->d_name, PIN_LINK, strlen(PIN_LINK)) || is_wanted(dp, path)))
			continue;
		pins_remove(path);
	}
	closedir(dir);
	return 0;
}

void pins_prune(struct datapath *dp)
{
	remove_all(dp->folder, dp);
}

bool pins_exist(const char *folder)
{
	return is_bpffs(folder);
}

int pins_empty(const char *folder)
{
	return remove_all(folder, NULL);
}

int pins_clear(const char *folder)
{
	int err = pins_empty(folder);

	if (err)
		return err;
	/* Where somebody else keeps things in it, too, the folder stays. */
	return rmdir(folder) && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY ? -errno
											: 0;
}
