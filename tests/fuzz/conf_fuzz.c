// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration in: loaded, made peers and routes of, printed; what was printed loads again and
 * prints the same. An input with an #include is up to four files, with lines `====` between them,
 * that include one another as 0, 1, 2 and 3; one with a slash is passed over, since it may name
 * files of this machine. */
#include "fuzz.h"

#include "conf/conf.h"
#include "peer/peer.h"

#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 4 };

static int load(struct conf **out, const void *text, size_t size, char *why, size_t why_size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC), err;
	char path[32];

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		fuzz_die("no memory file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = conf_load(out, path, why, why_size);
	close(fd);
	return err;
}

static char *printed(const struct conf *conf, size_t *len)
{
	char *text;
	FILE *out = open_memstream(&text, len);

	if (!out)
		fuzz_die("no memory");
	conf_print(conf, out);
	fclose(out);
	return text;
}

static void print_twice(const struct conf *conf)
{
	char *first, *second, why[512];
	size_t first_len, second_len;
	struct conf *again;

	first = printed(conf, &first_len);
	if (load(&again, first, first_len, why, sizeof(why))) {
		fprintf(stderr, "%s\n%s", why, first);
		fuzz_die("what was printed does not load");
	}
	second = printed(again, &second_len);
	if (first_len != second_len || memcmp(first, second, first_len) != 0) {
		fprintf(stderr, "%s----\n%s", first, second);
		fuzz_die("printed differently the second time");
	}
	conf_unref(again);
	free(first);
	free(second);
}

static void use(struct conf *conf)
{
	struct peers *peers;
	char why[512];

	if (peers_new(&peers, conf, why, sizeof(why)) == 0)
		peers_unref(peers);
	conf_reload_obstacle(conf, conf);
	print_twice(conf);
}

static bool includes(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 7 <= size; i++)
		if (strncasecmp((const char *)data + i, "include", 7) == 0)
			return true;
	return false;
}

static void file_path(char *path, size_t size, int i)
{
	snprintf(path, size, "/tmp/rtpfwd-fuzz-conf.%d/%d", getpid(), i);
	if (i < 0)
		*strrchr(path, '/') = '\0';
}

static void write_file(int i, const char *text, size_t len)
{
	char path[64];
	FILE *out;

	file_path(path, sizeof(path), i);
	out = fopen(path, "w");
	if (!out || fwrite(text, 1, len, out) != len || fclose(out))
		fuzz_die("cannot write a file");
}

/* Each file there is; the rest are missing. */
static void write_files(const char *p, size_t size)
{
	static const char mark[] = "\n====\n";
	const char *cut;

	for (int i = 0; i < FILES; i++) {
		cut = i < FILES - 1 ? memmem(p, size, mark, strlen(mark)) : NULL;
		write_file(i, p, cut ? (size_t)(cut - p) + 1 : size);
		if (!cut)
			return;
		size -= (size_t)(cut - p) + strlen(mark);
		p = cut + strlen(mark);
	}
}

static int load_files(struct conf **out, const char *text, size_t size, char *why, size_t why_size)
{
	char path[64];
	int err;

	file_path(path, sizeof(path), -1);
	mkdir(path, 0700);
	write_files(text, size);
	file_path(path, sizeof(path), 0);
	err = conf_load(out, path, why, why_size);
	for (int i = FILES - 1; i >= -1; i--) {
		file_path(path, sizeof(path), i);
		remove(path);
	}
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool files = includes(data, size);
	char why[512] = "";
	struct conf *conf;

	if (files && memchr(data, '/', size))
		return 0;
	if (files ? load_files(&conf, (const char *)data, size, why, sizeof(why))
		  : load(&conf, data, size, why, sizeof(why))) {
		if (!*why)
			fuzz_die("refused without a word");
		return 0;
	}
	use(conf);
	conf_unref(conf);
	return 0;
}
