// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 4096 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size; /* bytes of `data` */
	max_align_t data[];
};

static struct arena_chunk *chunk_new(size_t size)
{
	struct arena_chunk *chunk;

	if (size > SIZE_MAX - sizeof(*chunk))
		return NULL;
	chunk = calloc(1, sizeof(*chunk) + size);
	if (chunk)
		chunk->size = size;
	return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *chunk = a->chunks;
	size_t aligned =
		(size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	void *p;

	if (aligned < size)
		return NULL;
	if (!chunk || chunk->size - chunk->used < aligned) {
		chunk = chunk_new(aligned > CHUNK_SIZE ? aligned : CHUNK_SIZE);
		if (!chunk)
			return NULL;
		chunk->next = a->chunks;
		a->chunks = chunk;
	}
	p = (char *)chunk->data + chunk->used;
	chunk->used += aligned;
	return p;
}

char *arena_copy(struct arena *a, const char *bytes, size_t len)
{
	char *copy = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

	if (copy && len)
		memcpy(copy, bytes, len);
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *chunk = a->chunks;

		a->chunks = chunk->next;
		free(chunk);
	}
}
