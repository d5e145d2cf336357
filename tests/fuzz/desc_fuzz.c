// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptions in: parsed, compared, rendered for the other side, answered. An input is one
 * description, or two with a line `==` between them: an offer, and the answer to it. */
#include "fuzz.h"

#include "media/desc_facts.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const struct desc_origin *origin)
{
	struct desc_audio line;
	struct desc *again;

	if (!origin->last)
		return;
	/* Whatever came in, what we send is a description. */
	if (desc_parse(&again, origin->last, origin->last_len, NULL))
		fuzz_die("what was rendered is no description");
	for (unsigned int i = 0; i < DESC_MAX_MEDIA; i++)
		if ((desc_line(again, i, &line) == 0) != (origin->lines >> i & 1))
			fuzz_die("other lines than were meant");
	desc_free(again);
}

/* Every line beside the main one is told, too. */
static void add_lines(struct desc_rewrite *rw, const struct desc *in)
{
	struct desc_audio audio, line;

	if (desc_audio(in, &audio))
		return;
	for (unsigned int i = 0; i < DESC_MAX_MEDIA; i++) {
		if (i == audio.index || desc_line(in, i, &line))
			continue;
		if (rw->n_more == DESC_RELAYED - 1)
			fuzz_die("more lines than are relayed");
		rw->more[rw->n_more] = (struct desc_told){ .index = i, .rtp = rw->rtp };
		rw->more[rw->n_more].rtp.port += (uint16_t)(2 * i + 2);
		rw->more[rw->n_more++].rtcp.port = 20003;
	}
}

static void render(const struct desc *in, const struct desc *offer)
{
	static const char *const only[] = {"PCMA", "telephone-event"};
	struct conf_codecs few = {.only = (const char **)only, .n_only = 2};
	struct desc_rewrite rw = {.rtcp.port = 20001, .offer = offer};
	struct desc_origin origin = {0};

	addr_parse(&rw.rtp, "192.0.2.1:20000");
	add_lines(&rw, in);
	for (int i = 0; i < 4; i++) {
		rw.direction = (enum direction)i;
		rw.allow[0] = i == 2 ? &few : NULL;
		rw.drop_telephone_event = i == 3;
		desc_render(&origin, in, &rw);
		check_text(&origin);
	}
	if (offer)
		desc_answer(&origin, offer, in, &rw);
	check_text(&origin);
	desc_origin_free(&origin);
}

/* A key that was read is written as it was read, but for what follows it. */
static void check_key(const struct desc *d)
{
	struct crypto_line line, again;
	struct desc_audio audio;
	struct buf text = {.secret = true};

	if (desc_audio(d, &audio) || desc_crypto(d, audio.index, &line))
		return;
	crypto_print(&text, &line);
	if (crypto_parse(&again, (struct slice){text.data, text.len}) ||
	    memcmp(&again, &line, sizeof(line)) != 0)
		fuzz_die("a key was read that is written otherwise");
	buf_free(&text);
}

static void inspect(const struct desc *d)
{
	struct desc_audio audio;
	struct desc_facts facts;
	struct desc_pair pair;

	if (!desc_equal(d, d) || !desc_equal_but_keys(d, d))
		fuzz_die("a description differs from itself");
	check_key(d);
	desc_facts(d, &facts);
	desc_compare(d, d, &pair);
	if (pair.numbers_differ || pair.parameters_differ || pair.events_differ)
		fuzz_die("its audio differs from itself");
	if (desc_audio(d, &audio) == 0) {
		if (audio.index >= desc_media_count(d))
			fuzz_die("audio behind the last m= line");
		desc_direction_out(&audio);
		desc_holds(&audio);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *cut = memmem(data, size, "\n==\n", 4);
	size_t len = cut ? (size_t)(cut - text) + 1 : size;
	struct desc *a = NULL, *b = NULL;
	const char *why;

	if (desc_parse(&a, text, len, &why) == 0) {
		inspect(a);
		render(a, NULL);
	}
	if (cut && desc_parse(&b, cut + 4, size - len - 3, &why) == 0)
		inspect(b);
	if (a && b) {
		struct desc_pair pair;

		desc_equal(a, b);
		desc_compare(a, b, &pair);
		render(b, a);
		if (desc_agree(a, b) == 0)
			render(b, a);
	}
	desc_free(a);
	desc_free(b);
	return 0;
}
