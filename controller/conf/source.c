// SPDX-License-Identifier: GPL-2.0-or-later
/* The text of sip.conf: comments, sections, templates, includes. What keys mean is not known here.
 * An included file is read as if its lines stood in place of the #include, as Asterisk does. */
#include "conf/ignored.h"
#include "conf/load.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A file of a few lines must not become gigabytes by including or inheriting itself over and over.
 */
enum { MAX_BYTES = 8 << 20, MAX_DEPTH = 10, MAX_FILES = 1000, MAX_ENTRIES = 10000, MAX_NAME = 79 };

struct conf_open {
	struct conf_open *outer;
	dev_t dev;
	ino_t ino;
};

struct reader {
	struct conf_loader *l;
	struct conf_place at;
};

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* `;--` opens a block comment, but a line of dashes (`;----`) is none. */
static bool opens_block(const char *p)
{
	return strncmp(p, ";--", 3) == 0 && p[3] != '-';
}

static bool at_line_start(const char *text, const char *p)
{
	return p == text || p[-1] == '\n';
}

/* Takes comments out in place and keeps the line ends; `\;` becomes `;`. Block comments nest. */
static int strip_comments(struct reader *r, char *text)
{
	unsigned int depth = 0;
	char *in = text, *out = text;
	struct conf_place here = r->at, opened = here;

	for (here.line = 1; *in;) {
		if (*in == '\n') {
			here.line++;
			*out++ = *in++;
		} else if (depth && strncmp(in, "--;", 3) == 0) {
			depth--;
			in += 3;
		} else if (opens_block(in)) {
			opened = depth++ ? opened : here;
			in += 3;
		} else if (depth) {
			in++;
		} else if (in[0] == '\\' && in[1] == ';') {
			*out++ = ';';
			in += 2;
		} else if (*in == ';' && !(at_line_start(text, in) && conf_ignored_mark(in))) {
			in += strcspn(in, "\n");
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return depth ? conf_fault(r->l, &opened, "';--' is never closed by '--;'") : 0;
}

/* Control characters would travel into logs and answers. */
static int check_bytes(struct reader *r, const char *text, size_t len)
{
	struct conf_place here = r->at;

	here.line = 1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n')
			here.line++;
		else if ((c < 0x20 && c != '\t' && c != '\r' && c != '\f') || c == 0x7f)
			return conf_fault(r->l, &here, "byte 0x%02x: a configuration is text", c);
	}
	return 0;
}

static int entry_add(struct reader *r, const struct conf_entry *e)
{
	struct conf_section *s = r->l->section;
	size_t n = s->n_entries;

	if (n >= MAX_ENTRIES)
		return conf_fault(r->l, &r->at,
				  "[%s] has more than %d keys, its templates' included", s->name,
				  MAX_ENTRIES);
	if ((n & (n - 1)) == 0) {
		const struct conf_entry **more;

		more = arena_alloc(&r->l->scratch, (n ? 2 * n : 1) * sizeof(*more));
		if (!more)
			return conf_no_memory(r->l);
		if (n)
			memcpy(more, s->entries, n * sizeof(*more));
		s->entries = more;
	}
	s->entries[s->n_entries++] = e;
	return 0;
}

static int entry_new(struct reader *r, const char *key, const char *value)
{
	struct conf_entry *e = arena_alloc(&r->l->scratch, sizeof(*e));

	if (!e)
		return conf_no_memory(r->l);
	*e = (struct conf_entry){ .at = r->at, .key = key, .value = value };
	return entry_add(r, e);
}

static int read_entry(struct reader *r, char *line)
{
	char *equals = strchr(line, '=');
	char *value;

	if (!equals)
		return conf_fault(r->l, &r->at,
				  "'%.60s' is neither 'key = value' nor '[section]' nor "
				  "'#include \"file\"'",
				  line);
	if (!r->l->section)
		return conf_fault(r->l, &r->at, "a key before the first '[section]'");
	value = equals[1] == '>' ? equals + 2 : equals + 1;
	*equals = '\0';
	line = trim(line);
	if (!*line)
		return conf_fault(r->l, &r->at, "no key before '='");
	return entry_new(r, line, trim(value));
}

static int inherit(struct reader *r, const char *name)
{
	const struct conf_section *from;
	int rc = 0;

	HASH_FIND(hh, r->l->by_name, name, strlen(name), from);
	if (!from)
		return conf_fault(r->l, &r->at,
				  "no section '%.60s' above this line to take keys from", name);
	for (size_t i = 0; !rc && i < from->n_entries; i++)
		rc = entry_add(r, from->entries[i]);
	return rc;
}

/* What stands in the brackets of `[name](...)`. */
static int read_options(struct reader *r, char *options)
{
	char *option, *rest = options;
	int rc = 0;

	while (!rc && (option = strsep(&rest, ",")) != NULL) {
		option = trim(option);
		if (strcmp(option, "!") == 0)
			r->l->section->template = true;
		else if (*option == '+')
			rc = conf_fault(r->l, &r->at,
					"'(+)' is not supported: write the keys into "
					"the section itself, or take them from a template");
		else
			rc = inherit(r, option);
	}
	return rc;
}

/* Names stand in comma lists, in answers of the control socket and in labels of metrics. */
static int check_name(struct reader *r, const char *name)
{
	const char *p = name;

	while (isgraph((unsigned char)*p) && !strchr(",\"\\[];", *p))
		p++;
	if (*p)
		return conf_fault(r->l, &r->at,
				  "a section's name is of ASCII letters, digits and marks "
				  "without blanks and any of , ; \" \\ [ ]");
	if (p == name || p - name > MAX_NAME)
		return conf_fault(r->l, &r->at, "a section's name has 1 to %d characters",
				  MAX_NAME);
	return 0;
}

/* Puts it where a later `(name)` finds it, in place of one before it of that name. */
static int section_announce(struct reader *r, struct conf_section *s)
{
	struct conf_section *before;

	HASH_REPLACE(hh, r->l->by_name, name[0], strlen(s->name), s, before);
	(void)before;
	return s->hh.tbl ? 0 : conf_no_memory(r->l);
}

static int section_new(struct reader *r, const char *name)
{
	struct conf_section *s = arena_alloc(&r->l->scratch, sizeof(*s));

	if (!s)
		return conf_no_memory(r->l);
	s->at = r->at;
	s->name = arena_copy(r->l->keep, name, strlen(name));
	if (!s->name)
		return conf_no_memory(r->l);
	*r->l->sections_end = s;
	r->l->sections_end = &s->next;
	r->l->section = s;
	return 0;
}

static int read_section(struct reader *r, char *line)
{
	char *name = line + 1, *end = strchr(line, ']');
	char *options = NULL;
	int rc;

	if (!end)
		return conf_fault(r->l, &r->at, "'[' without ']'");
	*end = '\0';
	line = trim(end + 1);
	if (*line == '(') {
		options = line + 1;
		end = strchr(options, ')');
		if (!end)
			return conf_fault(r->l, &r->at, "'(' without ')'");
		*end = '\0';
		line = trim(end + 1);
	}
	if (*line)
		return conf_fault(r->l, &r->at, "'%.60s' after '[%.60s]'", line, name);
	rc = check_name(r, name);
	if (!rc)
		rc = section_new(r, name);
	if (!rc && options)
		rc = read_options(r, options);
	return rc ? rc : section_announce(r, r->l->section);
}

/* "dir/a.conf" includes "b.conf" as "dir/b.conf". */
static char *beside(struct conf_loader *l, const char *including, const char *name)
{
	const char *slash = strrchr(including, '/');
	size_t dir = slash && *name != '/' ? (size_t)(slash + 1 - including) : 0;
	char *path = arena_alloc(l->keep, dir + strlen(name) + 1);

	if (path) {
		memcpy(path, including, dir);
		strcpy(path + dir, name);
	}
	return path;
}

/* The file name of `#include "file"`, `#include <file>` or `#include file`; NULL: none. */
static char *included_name(char *text)
{
	char *name = trim(text);
	size_t len = strlen(name);
	char close = *name == '<' ? '>' : *name == '"' ? '"' : '\0';

	if (close) {
		if (len < 2 || name[len - 1] != close)
			return NULL;
		name[len - 1] = '\0';
		name++;
	}
	return *name ? name : NULL;
}

static int read_include(struct reader *r, char *line)
{
	struct conf_entry from = { .at = r->at, .key = "#include" };
	size_t word = strcspn(line, " \t\"<");
	char *path;

	if (word != strlen("#include") || strncasecmp(line, "#include", word) != 0)
		return conf_fault(r->l, &r->at, "'%.*s': allowed is #include \"file\"",
				  word > 40 ? 40 : (int)word, line);
	from.value = included_name(line + word);
	if (!from.value)
		return conf_fault(r->l, &r->at,
				  "#include without a file: allowed is #include \"file\"");
	path = beside(r->l, r->at.file, from.value);
	return path ? conf_source_read(r->l, path, &from) : conf_no_memory(r->l);
}

static int read_line(struct reader *r, char *line)
{
	const char *ignored = conf_ignored_mark(line);

	if (ignored)
		return r->l->section ? entry_new(r, CONF_IGNORED_KEY, ignored) : 0;
	line = trim(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return read_section(r, line);
	return *line == '#' ? read_include(r, line) : read_entry(r, line);
}

static int read_lines(struct reader *r, char *text)
{
	char *line, *rest = text;
	int rc = 0;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		rest += 3;
	for (r->at.line = 1; !rc && (line = strsep(&rest, "\n")) != NULL; r->at.line++)
		rc = read_line(r, line);
	return rc;
}

/* The whole file into the scratch arena. -errno: it cannot be read. */
static int slurp(struct arena *arena, FILE *file, char **text, size_t *len)
{
	size_t cap = 1 << 14, n = 0;
	char *data = malloc(cap), *more;
	int rc = data ? 0 : -ENOMEM;

	while (!rc) {
		errno = 0;
		n += fread(data + n, 1, cap - n, file);
		if (n < cap) {
			rc = ferror(file) ? -errno : 0;
			break;
		}
		cap *= 2;
		more = cap <= MAX_BYTES ? realloc(data, cap) : NULL;
		rc = more ? 0 : cap <= MAX_BYTES ? -ENOMEM : -EFBIG;
		data = more ? more : data;
	}
	if (!rc) {
		*text = arena_copy(arena, data, n);
		*len = n;
		rc = *text ? 0 : -ENOMEM;
	}
	free(data);
	return rc;
}

/* A file that cannot be had: the #include that named it is at fault, if there is one. */
static int unreadable(struct conf_loader *l, const char *path, const struct conf_entry *from,
		      int rc)
{
	if (from)
		return conf_fault(l, &from->at, "#include '%.200s': %s", from->value,
				  strerror(-rc));
	snprintf(l->why, l->why_size, "%s: %s", path, strerror(-rc));
	return rc;
}

static int check_nesting(struct conf_loader *l, const struct conf_open *self,
			 const struct conf_entry *from)
{
	int depth = 0;

	for (const struct conf_open *o = self->outer; o; o = o->outer, depth++)
		if (o->dev == self->dev && o->ino == self->ino)
			return conf_fault(l, &from->at,
					  "#include '%.200s': that file is being read already",
					  from->value);
	if (depth > MAX_DEPTH)
		return conf_fault(l, &from->at, "#include '%.200s': nested more than %d deep",
				  from->value, MAX_DEPTH);
	if (++l->n_files > MAX_FILES)
		return conf_fault(l, &from->at, "#include '%.200s': more than %d files",
				  from->value, MAX_FILES);
	return 0;
}

static int read_text(struct conf_loader *l, const char *path, char *text, size_t len)
{
	struct reader r = { .l = l, .at = { .file = path } };
	int rc = check_bytes(&r, text, len);

	if (!rc)
		rc = strip_comments(&r, text);
	return rc ? rc : read_lines(&r, text);
}

int conf_source_read(struct conf_loader *l, const char *path, const struct conf_entry *from)
{
	struct conf_open self = { .outer = l->open };
	struct stat st;
	FILE *file = fopen(path, "re");
	char *text;
	size_t len;
	int rc;

	if (!file)
		return unreadable(l, path, from, -errno);
	if (fstat(fileno(file), &st) != 0) {
		rc = unreadable(l, path, from, -errno);
		goto out;
	}
	self.dev = st.st_dev;
	self.ino = st.st_ino;
	rc = check_nesting(l, &self, from);
	if (rc)
		goto out;
	rc = slurp(&l->scratch, file, &text, &len);
	if (rc) {
		rc = unreadable(l, path, from, rc);
		goto out;
	}
	l->open = &self;
	rc = read_text(l, path, text, len);
	l->open = self.outer;
out:
	fclose(file);
	return rc;
}
