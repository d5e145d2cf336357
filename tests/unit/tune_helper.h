/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WAV files for the tests of service/, in a folder of each test's own. */
#ifndef RTPFWD_TESTS_TUNE_HELPER_H
#define RTPFWD_TESTS_TUNE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/tune.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PCM = 1, FLOAT = 3, ALAW = 6, ULAW = 7, FRAME = 160 };

/* A WAV file in its simplest form; `claimed` bytes of data are said, `len` are there. */
static void write_wav(const char *path, int format, int channels, int rate, int bits,
		      const void *data, size_t len, size_t claimed)
{
	struct {
		char riff[4];
		uint32_t size;
		char wave[4], fmt[4];
		uint32_t sixteen;
		uint16_t format, channels;
		uint32_t rate, bytes_per_s;
		uint16_t align, bits;
		char data[4];
		uint32_t len;
	} head = {
		.riff = "RIFF", .size = htole32((uint32_t)(36 + claimed)),
		.wave = "WAVE", .fmt = "fmt ", .sixteen = htole32(16),
		.format = htole16((uint16_t)format), .channels = htole16((uint16_t)channels),
		.rate = htole32((uint32_t)rate),
		.bytes_per_s = htole32((uint32_t)(rate * channels * bits / 8)),
		.align = htole16((uint16_t)(channels * bits / 8)), .bits = htole16((uint16_t)bits),
		.data = "data", .len = htole32((uint32_t)claimed),
	};
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(&head, sizeof(head), 1, file), 1);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static char folder[32], path[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/rtpfwd-tune-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/t.wav", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static struct tune *load(void)
{
	struct tune *tune = NULL;
	char why[160] = "";

	if (tune_load(&tune, path, why, sizeof(why)))
		fail_msg("%s", why);
	return tune;
}

static struct tune *counting(size_t samples)
{
	uint8_t data[4096];

	for (size_t i = 0; i < samples; i++)
		data[i] = (uint8_t)(128 + i % 128);
	write_wav(path, ULAW, 1, 8000, 8, data, samples, samples);
	return load();
}

#endif
