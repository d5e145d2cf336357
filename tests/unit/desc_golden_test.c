// SPDX-License-Identifier: GPL-2.0-or-later
/* Session descriptions: the golden pairs in tests/golden/sdp, as they are and mutated. */
#include "desc_helper.h"

#include <dirent.h>

#define GOLDENS "tests/golden/sdp"

/* One golden file: "== NAME" begins a section, lines end with LF. */
struct golden {
	char *text;
	struct desc_rewrite rw;
	struct conf_codecs allow[2];
	const char *names[2][16];
	struct crypto_line keys[DESC_RELAYED][4];
	int result;
	bool bare_lf;
	bool prefer_secure;
};

static char *read_file(const char *path)
{
	char text[32768];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		fail_msg("%s cannot be read", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return strdup(text);
}

/* The lines of a section with `end` after each; NULL: there is no such section. */
static char *section(const char *text, const char *name, const char *end)
{
	struct buf out = { 0 };
	bool inside = false, found = false;

	buf_str(&out, "");
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (strncmp(text, "== ", 3) == 0) {
			inside = len == 3 + strlen(name) && strncmp(text + 3, name, len - 3) == 0;
			found |= inside;
		} else if (inside) {
			buf_add(&out, text, len);
			buf_str(&out, end);
		}
		text += len + (text[len] == '\n');
	}
	if (!found) {
		buf_free(&out);
		return NULL;
	}
	return buf_take(&out);
}

static enum direction direction_named(const char *name)
{
	static const char *const names[] = { "sendrecv", "sendonly", "recvonly", "inactive" };

	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return (enum direction)i;
	fail_msg("no direction '%s'", name);
	return DIR_SENDRECV;
}

static int result_named(const char *name)
{
	if (strcmp(name, "ENOENT") == 0)
		return -ENOENT;
	if (strcmp(name, "ENOTSUP") == 0)
		return -ENOTSUP;
	fail_msg("no result '%s'", name);
	return 0;
}

static void set_allow(struct golden *g, char *names)
{
	int i = g->rw.allow[0] ? 1 : 0;

	g->allow[i] = (struct conf_codecs){ .only = g->names[i] };
	for (char *name = strtok(names, " "); name; name = strtok(NULL, " "))
		g->names[i][g->allow[i].n_only++] = name;
	g->rw.allow[i] = &g->allow[i];
}

/* Of the line named last, else the main one. */
static struct desc_under *under_of(struct golden *g)
{
	return g->rw.n_more ? &g->rw.more[g->rw.n_more - 1].under : &g->rw.under;
}

/* As in a=crypto. */
static void set_key(struct golden *g, const char *value)
{
	struct slice line = { value, strlen(value) };
	struct desc_under *under = under_of(g);

	assert_true(under->n_keys < sizeof(*g->keys) / sizeof(**g->keys));
	under->keys = g->keys[g->rw.n_more];
	assert_int_equal(crypto_parse(&g->keys[g->rw.n_more][under->n_keys++], line), 0);
}

/* "INDEX ADDRESS:PORT DIRECTION": another line than the main one. */
static void add_line(struct golden *g, char *value)
{
	struct desc_told *told = &g->rw.more[g->rw.n_more++];

	told->index = (unsigned int)atoi(strtok(value, " "));
	assert_int_equal(addr_parse(&told->rtp, strtok(NULL, " ")), 0);
	told->rtcp.port = (uint16_t)(told->rtp.port + 1);
	told->direction = direction_named(strtok(NULL, " "));
}

static void set_parameter(struct golden *g, char *line)
{
	char *value = strchr(line, ' ');

	if (value)
		*value++ = '\0';
	if (strcmp(line, "rtp") == 0)
		assert_int_equal(addr_parse(&g->rw.rtp, value), 0);
	else if (strcmp(line, "rtcp") == 0)
		g->rw.rtcp.port = (uint16_t)atoi(value);
	else if (strcmp(line, "keys-pass") == 0)
		g->rw.keys_pass = true;
	else if (strcmp(line, "more") == 0)
		add_line(g, value);
	else if (strcmp(line, "direction") == 0)
		g->rw.direction = direction_named(value);
	else if (strcmp(line, "allow") == 0)
		set_allow(g, value);
	else if (strcmp(line, "drop-telephone-event") == 0)
		g->rw.drop_telephone_event = true;
	else if (strcmp(line, "secure") == 0)
		under_of(g)->secure = true;
	else if (strcmp(line, "prefer-secure") == 0)
		g->prefer_secure = true;
	else if (strcmp(line, "key") == 0)
		set_key(g, value);
	else if (strcmp(line, "g711") == 0)
		g->rw.g711 = true;
	else if (strcmp(line, "bare-lf") == 0)
		g->bare_lf = true;
	else if (strcmp(line, "result") == 0)
		g->result = result_named(value);
	else
		fail_msg("no parameter '%s'", line);
}

static char *golden_read(struct golden *g, const char *path)
{
	char *parameters;
	char *line, *next;

	*g = (struct golden){ .text = read_file(path) };
	parameters = section(g->text, "parameters", "\n");
	assert_non_null(parameters);
	for (line = parameters; *line; line = next) {
		next = line + strcspn(line, "\n");
		*next++ = '\0';
		set_parameter(g, line);
	}
	return parameters;	/* the codecs' names lie in it */
}

static struct desc *parsed_section(const struct golden *g, const char *name)
{
	char *text = section(g->text, name, g->bare_lf ? "\n" : "\r\n");
	struct desc *d = text ? parsed(text) : NULL;

	if (d && g->prefer_secure)
		desc_prefer_secure(d);
	free(text);
	return d;
}

/* What origin says of its text is so. */
static void check_lines(const struct desc_origin *o)
{
	struct desc *d = parsed(o->last);
	struct desc_audio line;

	for (unsigned int i = 0; i < DESC_MAX_MEDIA; i++)
		assert_int_equal(desc_line(d, i, &line) == 0, o->lines >> i & 1);
	desc_free(d);
}

static void check_rendered(const struct golden *g, struct desc_origin *o, const struct desc *in)
{
	char *out = section(g->text, "out", "\r\n");
	const char *last = o->last;

	assert_non_null(out);
	assert_string_equal(o->last, out);
	assert_int_equal(o->last_len, strlen(out));
	assert_int_equal(desc_render(o, in, &g->rw), 0);
	check_lines(o);
	assert_ptr_equal(o->last, last);
	free(out);
}

static void check_golden(const char *path, void *ctx)
{
	struct desc_origin o = { .id = 4711 };
	struct golden g;
	char *parameters = golden_read(&g, path);
	struct desc *in = parsed_section(&g, "in"), *offer = parsed_section(&g, "offer");

	(void)ctx;
	assert_non_null(in);
	o.last = section(g.text, "last", "\r\n");
	o.last_len = o.last ? strlen(o.last) : 0;
	o.version = o.last ? 1 : 0;
	g.rw.offer = offer;
	assert_int_equal(desc_render(&o, in, &g.rw), g.result);
	if (g.result)
		assert_null(o.last);
	else
		check_rendered(&g, &o, in);
	desc_origin_free(&o);
	desc_free(in);
	desc_free(offer);
	free(g.text);
	free(parameters);
}

static size_t each_golden(void (*check)(const char *path, void *ctx), void *ctx)
{
	DIR *dir = opendir(GOLDENS);
	struct dirent *entry;
	char path[512];
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", GOLDENS, entry->d_name);
		print_message("# %s\n", path);
		check(path, ctx);
		n++;
	}
	closedir(dir);
	return n;
}

static void goldens(void **state)
{
	(void)state;
	assert_true(each_golden(check_golden, NULL) >= 30);
}

struct fuzz {
	uint32_t state;		/* xorshift32: the same texts on every run */
	size_t taken;		/* texts that were descriptions still */
};

static uint32_t draw(struct fuzz *f, uint32_t below)
{
	f->state ^= f->state << 13;
	f->state ^= f->state >> 17;
	f->state ^= f->state << 5;
	return below ? f->state % below : 0;
}

/* Changes bytes, cuts pieces out and doubles others: `text` has room for `len` + 64. */
static size_t mutate(struct fuzz *f, char *text, size_t len)
{
	static const char *const pieces[] = {
		"\r", "\n", "=", " ", ":", "/", "-", "0", "9", "65535", "a=",
		"m=audio 1 RTP/AVP 0\n", "c=IN IP4 0.0.0.0\n",
		"m=image 3 udptl t38\n", "m=video 5 RTP/SAVP 99\n",
	};
	size_t at = draw(f, (uint32_t)len), n = draw(f, 16);
	const char *piece;

	switch (draw(f, 4)) {
	case 0:
		if (at < len)
			text[at] = (char)draw(f, 256);
		return len;
	case 1:
		n = n < len - at ? n : len - at;
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2:
		piece = pieces[draw(f, sizeof(pieces) / sizeof(*pieces))];
		n = strlen(piece);
		memmove(text + at + n, text + at, len - at);
		memcpy(text + at, piece, n);
		return len + n;
	default:
		return draw(f, 8) ? len : at;
	}
}

/* Whatever was said: what we tell is a description with our address, port and direction. */
static void check_told(const struct desc *in, const struct desc *offer)
{
	struct desc_origin o = { .id = 5 };
	struct desc_rewrite rw = relay();
	struct desc_audio told, said;
	struct desc *d;

	rw.offer = offer;
	rw.direction = DIR_RECVONLY;
	assert_true(desc_equal(in, in));
	if (desc_render(&o, in, &rw) == 0) {
		d = parsed(o.last);
		assert_int_equal(desc_audio(in, &said), 0);
		assert_int_equal(desc_audio(d, &told), 0);
		assert_true(addr_equal(&told.rtp, &rw.rtp));
		if (told.content != CONTENT_UDPTL) {
			assert_int_equal(told.rtcp.port, rw.rtcp.port);
			assert_true(addr_same_ip(&told.rtcp, &rw.rtp));
		}
		assert_int_equal(told.direction, rw.direction);
		assert_int_equal(desc_media_count(d),
				 offer ? desc_media_count(offer) : said.index + 1);
		desc_free(d);
	}
	desc_origin_free(&o);
}

static void fuzz_one(struct fuzz *f, const struct desc *whole, const char *text, size_t len)
{
	char *copy = malloc(len + 8 * 64);
	char *exact;
	struct desc *d;

	memcpy(copy, text, len);
	for (uint32_t n = 1 + draw(f, 6); n; n--)
		len = mutate(f, copy, len);
	exact = malloc(len ? len : 1);
	memcpy(exact, copy, len);
	if (desc_parse(&d, exact, len, NULL) == 0) {
		check_told(d, NULL);
		check_told(whole, d);
		check_told(d, whole);
		desc_equal(d, whole);
		desc_free(d);
		f->taken++;
	}
	free(exact);
	free(copy);
}

static void fuzz_golden(const char *path, void *ctx)
{
	struct golden g;
	char *parameters = golden_read(&g, path);
	char *text = section(g.text, "in", "\r\n");
	struct desc *whole = parsed(text);

	for (int i = 0; i < 2000; i++)
		fuzz_one(ctx, whole, text, strlen(text));
	desc_free(whole);
	free(text);
	free(g.text);
	free(parameters);
}

static void mutated_goldens(void **state)
{
	struct fuzz f = { .state = 0x5eed };

	(void)state;
	each_golden(fuzz_golden, &f);
	assert_true(f.taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goldens),
		cmocka_unit_test(mutated_goldens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
