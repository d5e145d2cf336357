// SPDX-License-Identifier: GPL-2.0-or-later
/* WAV in, G.711 out, both by libsndfile: it decodes what the file has, and codes into memory. */
#include "service/tune.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A packet at least; 30 minutes in both codings take 28 MB. */
enum { SAMPLES_MIN = TUNE_RATE / 50, SAMPLES_MAX = TUNE_RATE * 1800 };

struct tune {
	unsigned int refs;
	char *path;
	size_t samples;
	uint8_t *coded[TUNE_CODINGS];
};

struct tunes {
	size_t n;
	struct tune *tune[];
};

/* What libsndfile writes to: memory of the right size, only ever filled from its beginning on. */
struct sink {
	uint8_t *bytes;
	sf_count_t size, at;
};

static sf_count_t sink_length(void *ctx)
{
	return ((struct sink *)ctx)->size;
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *ctx)
{
	struct sink *sink = ctx;
	sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? sink->at : sink->size;

	if (from + offset >= 0 && from + offset <= sink->size)
		sink->at = from + offset;
	return sink->at;
}

static sf_count_t sink_read(void *out, sf_count_t n, void *ctx)
{
	(void)out;
	(void)n;
	(void)ctx;
	return 0;
}

static sf_count_t sink_write(const void *bytes, sf_count_t n, void *ctx)
{
	struct sink *sink = ctx;

	if (n > sink->size - sink->at)
		n = sink->size - sink->at;
	memcpy(sink->bytes + sink->at, bytes, (size_t)n);
	sink->at += n;
	return n;
}

static sf_count_t sink_tell(void *ctx)
{
	return ((struct sink *)ctx)->at;
}

static int code(uint8_t *out, int subtype, const short *pcm, sf_count_t n)
{
	SF_VIRTUAL_IO io = { sink_length, sink_seek, sink_read, sink_write, sink_tell };
	SF_INFO info = { .samplerate = TUNE_RATE, .channels = 1 };
	struct sink sink = { .bytes = out, .size = n };
	sf_count_t written;
	SNDFILE *file;

	info.format = SF_FORMAT_RAW | subtype;
	file = sf_open_virtual(&io, SFM_WRITE, &info, &sink);
	written = file ? sf_writef_short(file, pcm, n) : 0;
	if (!file || sf_close(file) || written != n || sink.at != n)
		return -ENOMEM;
	return 0;
}

static int code_both(struct tune *t, const short *pcm)
{
	static const int subtype[TUNE_CODINGS] = { SF_FORMAT_ULAW, SF_FORMAT_ALAW };
	int err = 0;

	for (int i = 0; !err && i < TUNE_CODINGS; i++) {
		t->coded[i] = malloc(t->samples);
		err = t->coded[i] ? code(t->coded[i], subtype[i], pcm, (sf_count_t)t->samples)
				  : -ENOMEM;
	}
	return err;
}

static bool playable(const SF_INFO *info)
{
	int type = info->format & SF_FORMAT_TYPEMASK, subtype = info->format & SF_FORMAT_SUBMASK;

	if (type != SF_FORMAT_WAV && type != SF_FORMAT_WAVEX)
		return false;
	if (subtype != SF_FORMAT_PCM_16 && subtype != SF_FORMAT_ULAW && subtype != SF_FORMAT_ALAW)
		return false;
	return info->samplerate == TUNE_RATE && info->channels == 1;
}

static int fault(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s", what);
	return -EINVAL;
}

static int read_pcm(struct tune *t, SNDFILE *file, const SF_INFO *info, char *why, size_t why_size)
{
	short *pcm;
	int err;

	if (!playable(info))
		return fault(why, why_size,
			     "allowed is a WAV file of 8000 Hz, mono, 16 bit linear or G.711");
	if (info->frames < SAMPLES_MIN || info->frames > SAMPLES_MAX)
		return fault(why, why_size, "allowed are 20 ms to 30 minutes");
	pcm = calloc((size_t)info->frames, sizeof(*pcm));
	if (!pcm)
		return -ENOMEM;
	t->samples = (size_t)sf_readf_short(file, pcm, info->frames);
	err = t->samples < SAMPLES_MIN ? fault(why, why_size, "the file is cut short")
				       : code_both(t, pcm);
	free(pcm);
	return err;
}

/* A pipe would stop the start, a folder is no audio. */
static int open_regular(const char *path, char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fault(why, why_size, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return fault(why, why_size, "not a regular file");
}

int tune_load(struct tune **out, const char *path, char *why, size_t why_size)
{
	struct tune *t = calloc(1, sizeof(*t));
	SF_INFO info = { 0 };
	SNDFILE *file;
	int fd, err;

	if (!t)
		return -ENOMEM;
	t->refs = 1;
	t->path = strdup(path);
	fd = open_regular(path, why, why_size);
	if (!t->path || fd < 0) {
		err = t->path ? fd : -ENOMEM;
		goto out;
	}
	file = sf_open_fd(fd, SFM_READ, &info, SF_TRUE);
	err = file ? read_pcm(t, file, &info, why, why_size)
		   : fault(why, why_size, sf_strerror(NULL));
	if (file)
		sf_close(file);
out:
	if (err)
		tune_unref(t);
	else
		*out = t;
	return err;
}

struct tune *tune_ref(struct tune *tune)
{
	tune->refs++;
	return tune;
}

void tune_unref(struct tune *tune)
{
	if (!tune || --tune->refs)
		return;
	for (int i = 0; i < TUNE_CODINGS; i++)
		free(tune->coded[i]);
	free(tune->path);
	free(tune);
}

size_t tune_samples(const struct tune *tune)
{
	return tune->samples;
}

size_t tune_copy(const struct tune *tune, enum tune_coding coding, size_t at, uint8_t *out,
		 size_t n)
{
	size_t left = tune->samples - at, first = n < left ? n : left;

	memcpy(out, tune->coded[coding] + at, first);
	memcpy(out + first, tune->coded[coding], n - first);
	return n < left ? at + n : n - left;
}

static int add(struct tunes *tunes, const struct conf_moh *moh, char *why, size_t why_size)
{
	char what[160] = "no memory";
	int err;

	if (!moh->path || tunes_find(tunes, moh->path))
		return 0;
	err = tune_load(&tunes->tune[tunes->n], moh->path, what, sizeof(what));
	if (!err)
		tunes->n++;
	else
		snprintf(why, why_size, "%s:%d: moh '%.160s': %s", moh->file, moh->line, moh->path,
			 what);
	return err;
}

int tunes_load(struct tunes **out, const struct conf *conf, char *why, size_t why_size)
{
	size_t most = conf->n_realms + conf->n_peers;
	struct tunes *tunes = calloc(1, sizeof(*tunes) + most * sizeof(struct tune *));
	int err = 0;

	if (!tunes)
		return -ENOMEM;
	for (size_t i = 0; !err && i < conf->n_realms; i++)
		err = add(tunes, &conf->realms[i].moh, why, why_size);
	for (size_t i = 0; !err && i < conf->n_peers; i++)
		err = add(tunes, &conf->peers[i].moh, why, why_size);
	if (err)
		tunes_free(tunes);
	else
		*out = tunes;
	return err;
}

void tunes_free(struct tunes *tunes)
{
	if (!tunes)
		return;
	for (size_t i = 0; i < tunes->n; i++)
		tune_unref(tunes->tune[i]);
	free(tunes);
}

size_t tunes_count(const struct tunes *tunes)
{
	return tunes->n;
}

struct tune *tunes_find(const struct tunes *tunes, const char *path)
{
	for (size_t i = 0; tunes && i < tunes->n; i++)
		if (strcmp(tunes->tune[i]->path, path) == 0)
			return tunes->tune[i];
	return NULL;
}
