// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/cdr.h"

#include "call/call.h"
#include "lib/log.h"
#include "lib/path.h"
#include "stats/render.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct cdr {
	char *path;	      /* NULL: off */
	int fd;		      /* -1: not open */
	bool failing;	      /* it was logged */
	bool torn;	      /* the last line was written in part: end it before the next */
	uint64_t lost_before; /* `lost` when the failure began */
	struct cdr_report report;
	struct log_limit limit;
};

static void failed(struct cdr *cdr, int err)
{
	unsigned long missed;

	cdr->report.lost++;
	if (cdr->failing)
		return;
	cdr->failing = true;
	cdr->lost_before = cdr->report.lost - 1;
	if (log_allowed(&cdr->limit, &missed))
		log_warn("cdr %s: %s: records are lost until it can be written", cdr->path,
			 strerror(-err));
}

static void worked(struct cdr *cdr)
{
	unsigned long missed;

	cdr->report.written++;
	if (!cdr->failing)
		return;
	cdr->failing = false;
	if (log_allowed(&cdr->limit, &missed))
		log_notice("cdr %s: written again, %llu records were lost", cdr->path,
			   (unsigned long long)(cdr->report.lost - cdr->lost_before));
}

/* O_NONBLOCK: where it is a pipe whose reader is slow or gone, a record is lost rather than the
 * loop held up. */
static int open_file(struct cdr *cdr)
{
	if (cdr->fd >= 0)
		return 0;
	cdr->fd = open(cdr->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
	cdr->torn = false;
	return cdr->fd < 0 ? -errno : 0;
}

/* The whole line or none, as far as one write can promise that. */
static int write_line(struct cdr *cdr, char *text)
{
	struct iovec iov[3] = {
		{.iov_base = (char *)"\n", .iov_len = cdr->torn ? 1 : 0},
		{.iov_base = text, .iov_len = strlen(text)},
		{.iov_base = (char *)"\n", .iov_len = 1},
	};
	size_t whole = iov[0].iov_len + iov[1].iov_len + 1;
	ssize_t n = writev(cdr->fd, iov, 3);

	if (n < 0)
		return -errno;
	if (n > 0)
		cdr->torn = (size_t)n < whole;
	return (size_t)n < whole ? -ENOSPC : 0;
}

static int write_report(struct cdr *cdr, const struct call_report *report)
{
	struct timespec now;
	json_t *record;
	char *text;
	int err;

	err = open_file(cdr);
	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	record = render_cdr(report, &now);
	text = record ? json_dumps(record, RENDER_FLAGS) : NULL;
	json_decref(record);
	if (!text)
		return -ENOMEM;
	err = write_line(cdr, text);
	free(text);
	return err;
}

void cdr_ended(void *ctx, const struct call_report *report)
{
	struct cdr *cdr = ctx;
	int err;

	if (!cdr->path)
		return;
	err = write_report(cdr, report);
	if (err)
		failed(cdr, err);
	else
		worked(cdr);
}

static void close_file(struct cdr *cdr)
{
	if (cdr->fd >= 0)
		close(cdr->fd);
	cdr->fd = -1;
	free(cdr->path);
	cdr->path = NULL;
}

static int open_path(struct cdr *cdr, const char *path)
{
	int err;

	if (!path)
		return 0;
	cdr->path = strdup(path);
	if (!cdr->path)
		return -ENOMEM;
	err = path_make_parents(path);
	if (!err)
		err = open_file(cdr);
	if (err)
		log_warn("cdr %s: %s: tried again with each record", path, strerror(-err));
	return 0;
}

int cdr_new(struct cdr **out, const char *path)
{
	struct cdr *cdr = calloc(1, sizeof(*cdr));

	if (!cdr)
		return -ENOMEM;
	cdr->fd = -1;
	cdr->limit = (struct log_limit){.per_s = 1.0 / 60, .burst = 4};
	if (open_path(cdr, path)) {
		cdr_free(cdr);
		return -ENOMEM;
	}
	*out = cdr;
	return 0;
}

void cdr_reopen(struct cdr *cdr, const char *path)
{
	close_file(cdr);
	if (open_path(cdr, path))
		log_error("cdr %s: no memory: no records are written", path);
}

void cdr_free(struct cdr *cdr)
{
	if (!cdr)
		return;
	close_file(cdr);
	free(cdr);
}

void cdr_report(const struct cdr *cdr, struct cdr_report *out)
{
	*out = cdr->report;
}
