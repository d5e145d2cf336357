// SPDX-License-Identifier: GPL-2.0-or-later
/* What one description says for itself. */
#include "media/desc_facts.h"

#include "media/desc_priv.h"

/* RFC 4568, 5763 and 6189; what needs us most wins. */
static enum desc_keys keys_of(const struct desc_line *line)
{
	if (desc_attribute(line, "zrtp-hash", NULL))
		return DESC_ZRTP;
	if (desc_attribute(line, "fingerprint", NULL))
		return DESC_DTLS;
	return desc_attribute(line, "crypto", NULL) ? DESC_SDES : DESC_NO_KEYS;
}

/* RFC 8839 5. */
static bool is_ice(const struct desc_line *line)
{
	return desc_attribute(line, "ice-ufrag", NULL) || desc_attribute(line, "candidate", NULL) ||
	       desc_attribute(line, "ice-lite", NULL);
}

static void read_lines(const struct desc *d, size_t first, size_t end, struct desc_facts *out)
{
	for (size_t i = first; i < end; i++) {
		enum desc_keys keys = keys_of(&d->lines[i]);

		out->keys = keys > out->keys ? keys : out->keys;
		out->ice = out->ice || is_ice(&d->lines[i]);
	}
}

void desc_facts(const struct desc *d, struct desc_facts *out)
{
	const struct desc_media *m;

	*out = (struct desc_facts){ 0 };
	for (size_t i = 0; i < d->n_media; i++)
		if (d->media[i].port)
			out->live[desc_kind_of(&d->media[i])]++;
	for (size_t i = 0; i < d->n_formats; i++)
		out->telephone_event |= slice_is(d->formats[i].encoding, "telephone-event");
	if (!d->has_audio)
		return;
	m = &d->media[d->audio.index];
	read_lines(d, 0, d->session_end, out);
	read_lines(d, m->first, m->end, out);
}
