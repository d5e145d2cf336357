/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets share: the entry points of libFuzzer, and a way to say that what happened
 * must not. */
#ifndef RTPFWD_TESTS_FUZZ_H
#define RTPFWD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_die(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

#endif
