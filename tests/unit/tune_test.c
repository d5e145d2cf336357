// SPDX-License-Identifier: GPL-2.0-or-later
/* Which audio files are taken, and what becomes of them. */
#include "tune_helper.h"

#include <errno.h>
#include <sys/stat.h>

static void assert_refused(const char *what)
{
	struct tune *tune = NULL;
	char why[160] = "";

	assert_int_equal(tune_load(&tune, path, why, sizeof(why)), -EINVAL);
	assert_null(tune);
	if (what)
		assert_string_equal(why, what);
	assert_true(*why);
}

static void files_refused(void **state)
{
	static const char kinds[] =
		"allowed is a WAV file of 8000 Hz, mono, 16 bit linear or G.711";
	static const struct {
		int format, channels, rate, bits;
		size_t len;
		const char *why;
	} files[] = {
		{ PCM, 1, 44100, 16, 8000, kinds },
		{ PCM, 2, 8000, 16, 8000, kinds },
		{ PCM, 1, 8000, 8, 8000, kinds },
		{ PCM, 1, 8000, 24, 8001, kinds },
		{ FLOAT, 1, 8000, 32, 8000, kinds },
		{ PCM, 1, 8000, 16, 2 * FRAME - 2, "allowed are 20 ms to 30 minutes" },
		{ ULAW, 1, 8000, 8, 8000 * 1800 + 1, "allowed are 20 ms to 30 minutes" },
		{ PCM, 1, 8000, 16, 0, "allowed are 20 ms to 30 minutes" },
	};
	char *data = calloc(1, 8000 * 1800 + 1);

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		write_wav(path, files[i].format, files[i].channels, files[i].rate, files[i].bits,
			  data, files[i].len, files[i].len);
		assert_refused(files[i].why);
	}
	free(data);
}

static void no_files_refused(void **state)
{
	FILE *file;

	(void)state;
	unlink(path);
	assert_refused("No such file or directory");
	file = fopen(path, "w");
	assert_refused(NULL);
	assert_true(fputs("RIFF....WAVEfmt nonsense", file) >= 0);
	fclose(file);
	assert_refused(NULL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused("not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused("not a regular file");
	rmdir(path);
}

/* None stays open, whatever was wrong with it. */
static void no_descriptor_left(void **state)
{
	int before = dup(0), after;

	close(before);
	files_refused(state);
	no_files_refused(state);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

/* All codes of one half pass unchanged; of µ-law's two zeros one is left. */
static void g711_passes(void **state)
{
	static const struct {
		int format;
		enum tune_coding coding;
	} halves[] = { { ULAW, TUNE_PCMU }, { ALAW, TUNE_PCMA } };
	uint8_t codes[256], heard[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		codes[i] = (uint8_t)i;
	for (int i = 0; i < 2; i++) {
		struct tune *tune;

		write_wav(path, halves[i].format, 1, 8000, 8, codes, 256, 256);
		tune = load();
		assert_int_equal(tune_samples(tune), 256);
		assert_int_equal(tune_copy(tune, halves[i].coding, 0, heard, 256), 0);
		if (halves[i].coding == TUNE_PCMU && heard[0x7f] == 0xff)
			heard[0x7f] = 0x7f;
		assert_memory_equal(heard, codes, 256);
		tune_unref(tune);
	}
}

/* Values of ITU-T G.711, tables 1a to 2b: ends of segments, both signs. */
static void linear_is_coded(void **state)
{
	static const struct {
		int16_t linear;
		uint8_t ulaw, alaw;
	} values[] = {
		{ 0, 0xff, 0xd5 },	{ 32124, 0x80, 0xaa }, { -32124, 0x00, 0x2a },
		{ 16062, 0x90, 0xba }, { 30, 0xfb, 0xd4 },    { -1000, 0x4e, 0x7a },
		{ 1000, 0xce, 0xfa },
	};
	enum { N = sizeof(values) / sizeof(*values) };
	int16_t pcm[FRAME] = { 0 };
	uint8_t coded[FRAME];
	struct tune *tune;

	(void)state;
	for (int i = 0; i < N; i++)
		pcm[i] = (int16_t)htole16((uint16_t)values[i].linear);
	write_wav(path, PCM, 1, 8000, 16, pcm, sizeof(pcm), sizeof(pcm));
	tune = load();
	tune_copy(tune, TUNE_PCMU, 0, coded, FRAME);
	for (int i = 0; i < N; i++)
		assert_int_equal(coded[i], values[i].ulaw);
	tune_copy(tune, TUNE_PCMA, 0, coded, FRAME);
	for (int i = 0; i < N; i++)
		assert_int_equal(coded[i], values[i].alaw);
	tune_unref(tune);
}

/* A header that says more than there is: what is there is played. */
static void cut_short(void **state)
{
	uint8_t data[1000] = { 0 };
	struct tune *tune;

	(void)state;
	write_wav(path, ULAW, 1, 8000, 8, data, sizeof(data), 100000);
	tune = load();
	assert_int_equal(tune_samples(tune), sizeof(data));
	tune_unref(tune);
}

/* Behind the end comes the beginning, in one packet or between two. */
static void loop_seam(void **state)
{
	struct tune *tune = counting(250);
	uint8_t heard[FRAME];
	size_t at = tune_copy(tune, TUNE_PCMU, 0, heard, FRAME);

	(void)state;
	assert_int_equal(at, 160);
	at = tune_copy(tune, TUNE_PCMU, at, heard, FRAME);
	assert_int_equal(at, 70);
	for (size_t i = 0; i < FRAME; i++)
		assert_int_equal(heard[i], 128 + (160 + i) % 250 % 128);
	tune_unref(tune);
	tune = counting(320);
	assert_int_equal(tune_copy(tune, TUNE_PCMU, 160, heard, FRAME), 0);
	tune_unref(tune);
}

static void tunes_of_a_configuration(void **state)
{
	struct conf_realm realm = { .moh = { path, "x.conf", 3 } };
	struct conf_peer peers[2] = { { .moh = { path, "x.conf", 7 } },
				      { .moh = { NULL, "x.conf", 9 } } };
	struct conf conf = { .realms = &realm, .n_realms = 1, .peers = peers, .n_peers = 2 };
	struct tunes *tunes = NULL;
	char why[256], want[256];

	(void)state;
	tune_unref(counting(200));
	assert_int_equal(tunes_load(&tunes, &conf, why, sizeof(why)), 0);
	assert_int_equal(tunes_count(tunes), 1);
	assert_non_null(tunes_find(tunes, path));
	assert_null(tunes_find(tunes, "/other"));
	assert_null(tunes_find(NULL, path));
	tunes_free(tunes);
	peers[1].moh.path = "/nonexistent";
	assert_int_equal(tunes_load(&tunes, &conf, why, sizeof(why)), -EINVAL);
	snprintf(want, sizeof(want), "x.conf:9: moh '/nonexistent': No such file or directory");
	assert_string_equal(why, want);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_folder(files_refused),
		with_folder(no_files_refused),
		with_folder(no_descriptor_left),
		with_folder(g711_passes),
		with_folder(linear_is_coded),
		with_folder(cut_short),
		with_folder(loop_seam),
		with_folder(tunes_of_a_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
