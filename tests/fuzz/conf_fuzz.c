// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration in: loaded, made peers and routes of, printed; what was printed loads again and
 * prints the same. Inputs with an #include are passed over: they name files of this machine. */
#include "fuzz.h"

#include "conf/conf.h"
#include "peer/peer.h"

#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

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

static int includes(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 7 <= size; i++)
		if (strncasecmp((const char *)data + i, "include", 7) == 0)
			return 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf;
	char why[512] = "";

	if (includes(data, size))
		return 0;
	if (load(&conf, data, size, why, sizeof(why))) {
		if (!*why)
			fuzz_die("refused without a word");
		return 0;
	}
	use(conf);
	conf_unref(conf);
	return 0;
}
