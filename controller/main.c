// SPDX-License-Identifier: GPL-2.0-or-later
/* rtpfwd: the architecture as a start-up list, and its mirror. */
#include "call/call.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "datapath/datapath.h"
#include "lib/log.h"
#include "media/ports.h"
#include "media/stream.h"
#include "peer/peer.h"
#include "peer/quirk.h"
#include "reach/reach.h"
#include "service/music.h"
#include "sip/sip.h"
#include "stats/cdr.h"
#include "stats/metrics.h"
#include "stats/node.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_CONF = 1, EXIT_USAGE = 2, EXIT_KERNEL = 3 };

struct options {
	const char *conf;
	bool check, detach;
	int verbose;
};

struct daemon {
	const char *path; /* of the configuration */
	struct conf *conf;
	struct node node;
	struct media *media;
	struct ctl *ctl;
	struct metrics *metrics;
	struct resolver *resolver;
	struct watch sigterm, sigint, sighup;
	bool stopping;
};

static void usage(FILE *out)
{
	fputs("usage: rtpfwd [-c FILE] [-n] [-D] [-v]... [-V] [-h]\n"
	      "  -c FILE  configuration (default /etc/rtpfwd/rtpfwd.conf)\n"
	      "  -n       check the configuration and exit; with -v print it as understood\n"
	      "  -D       detach: remove every kernel object of this configuration\n"
	      "  -v       log more (-vv: debug)\n"
	      "  -V       print the version\n",
	      out);
}

/* -1: go on; else the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:nDvVh")) != -1) {
		switch (c) {
		case 'c':
			o->conf = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'D':
			o->detach = true;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'V':
			puts("rtpfwd " RTPFWD_VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "rtpfwd: unexpected argument '%s'\n", argv[optind]);
	usage(stderr);
	return EXIT_USAGE;
}

static int check(const struct conf *conf, const char *path, const struct options *o)
{
	char why[1024];
	struct peers *peers;
	struct tunes *tunes;

	if (tunes_load(&tunes, conf, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return EXIT_CONF;
	}
	tunes_free(tunes);
	if (peers_new(&peers, (struct conf *)conf, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", path, why);
		return EXIT_CONF;
	}
	peers_unref(peers);
	if (o->verbose)
		conf_print(conf, stdout);
	return EXIT_OK;
}

static int detach(const struct conf *conf)
{
	char why[1024] = "";

	if (ctl_running(conf->control)) {
		fprintf(stderr,
			"rtpfwd: a daemon of this configuration runs (%s answers): stop it first\n",
			conf->control);
		return 1;
	}
	if (datapath_detach(conf, why, sizeof(why)) == 0)
		return EXIT_OK;
	fprintf(stderr, "rtpfwd: %s\n", why);
	return 1;
}

/* Our registrations with others were taken back. */
static void left(void *owner)
{
	struct daemon *d = owner;

	loop_stop(d->node.loop);
}

static void stop(void *owner)
{
	struct daemon *d = owner;

	log_notice("stopping: live media flows on for %u s", d->conf->lease_s);
	sd_notify(0, "STOPPING=1");
	if (d->stopping) {
		loop_stop(d->node.loop); /* a second signal: at once */
		return;
	}
	d->stopping = true;
	reach_leave(d->node.reach, left, d);
}

/* Those of a route whose service this node does not have: all that they do is keep media here. */
static void warn_of_dial_options(const struct conf *conf)
{
	static const char digits[] = "thwkxTHWKX";

	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_dial *dial = &conf->routes[i].dial;
		char letters[2 * sizeof(digits) + 16] = "";
		size_t n = 0;

		for (const char *c = digits; *c; c++)
			if (*c >= 'a' ? dial->letters >> (*c - 'a') & 1
				      : dial->upper >> (*c - 'A') & 1)
				n += (size_t)sprintf(letters + n, "%c ", *c);
		if (dial->warn_ms)
			n += (size_t)sprintf(letters + n, "L(x:y...) ");
		if (n)
			log_warn("route '%s': options '%s': %sonly keep media here",
				 conf->routes[i].name, dial->text, letters);
	}
}

/* Reads the music that `conf` names, and sees to what playing it needs. */
static int load_music(struct tunes **out, struct daemon *d, const struct conf *conf, char *why,
		      size_t why_size)
{
	int err = tunes_load(out, conf, why, why_size);

	if (err)
		return err;
	err = music_ready(d->node.music, *out);
	if (!err)
		return 0;
	tunes_free(*out);
	snprintf(why, why_size, "playing music (moh): %s%s", strerror(-err),
		 err == -EPERM ? ": CAP_NET_RAW is missing" : "");
	return err;
}

static int reload(void *ctx, char *why, size_t why_size)
{
	struct daemon *d = ctx;
	const char *obstacle;
	struct peers *peers;
	struct tunes *tunes = NULL;
	struct conf *next;
	char unused[256];
	int err = conf_load(&next, d->path, why, why_size);

	if (err)
		return err;
	obstacle = conf_reload_obstacle(d->conf, next);
	if (obstacle) {
		snprintf(why, why_size, "%s: %s cannot change while running: restart", d->path,
			 obstacle);
		err = -EBUSY;
		goto out;
	}
	err = load_music(&tunes, d, next, why, why_size);
	if (err)
		goto out;
	err = peers_new(&peers, next, why, why_size);
	if (err)
		goto out;
	err = datapath_reload(d->node.dp, next, why, why_size);
	if (err)
		goto out_peers;
	snprintf(why, why_size, "no memory");
	err = peers_resolve(peers, d->resolver);
	if (!err)
		err = reach_reload(d->node.reach, peers);
	if (err) {
		datapath_reload(d->node.dp, d->conf, unused, sizeof(unused));
		goto out_peers;
	}
	music_load(d->node.music, tunes);
	tunes = NULL;
	calls_reload(d->node.calls, peers);
	cdr_reopen(d->node.cdr, next->cdr);
	warn_of_dial_options(next);
	conf_unref(d->conf);
	d->conf = conf_ref(next);
	log_notice("configuration reloaded from %s", d->path);
out_peers:
	if (err)
		peers_unref(peers);
out:
	tunes_free(tunes);
	conf_unref(next);
	return err;
}

static void on_sighup(void *owner)
{
	char why[1024];

	sd_notify(0, "RELOADING=1");
	if (reload(owner, why, sizeof(why)))
		log_error("reload refused, the old configuration stays: %s", why);
	sd_notify(0, "READY=1");
}

static const struct peers *peers_in_force(void *ctx)
{
	struct daemon *d = ctx;

	return calls_peers(d->node.calls);
}

static void on_adopted(void *ctx, const struct addr *local)
{
	struct daemon *d = ctx;

	ports_reserve(d->node.ports, local);
}

static void on_adopted_gone(void *ctx, const struct addr *local)
{
	struct daemon *d = ctx;

	ports_unreserve(d->node.ports, local, loop_now_ms(d->node.loop));
}

static void on_learned(void *ctx, uint64_t owner, const struct addr *local,
		       const struct addr *source)
{
	struct daemon *d = ctx;

	media_learned(d->media, owner, local, source);
}

static int fail(const char *why, int status)
{
	log_error("%s", why);
	return status;
}

static int open_datapath(struct daemon *d, char *why, size_t why_size)
{
	struct datapath_events events = {
		.ctx = d,
		.relay = "/proc/self/exe",
		.adopted_gone = on_adopted_gone,
		.learned = on_learned,
	};

	return datapath_open(&d->node.dp, d->conf, d->node.loop, &events, on_adopted, d, why,
			     why_size);
}

static int open_sip(struct daemon *d, char *why, size_t why_size)
{
	struct sip_handlers handlers = calls_handlers(d->node.calls);
	int err = sip_new(&d->node.sip, d->conf, d->node.loop, &handlers, why, why_size);

	if (!err)
		calls_attach(d->node.calls, d->node.sip);
	if (!err)
		reach_attach(d->node.reach, d->node.sip);
	return err;
}

static int watch_signals(struct daemon *d)
{
	if (loop_signal(&d->sigterm, d->node.loop, SIGTERM, stop, d) ||
	    loop_signal(&d->sigint, d->node.loop, SIGINT, stop, d) ||
	    loop_signal(&d->sighup, d->node.loop, SIGHUP, on_sighup, d))
		return -ENOMEM;
	return 0;
}

static int open_resolver(struct daemon *d, char *why, size_t why_size)
{
	int err = resolver_new(&d->resolver, d->node.loop, d->conf->dns, NULL);

	if (err)
		snprintf(why, why_size, "looking up names: %s", strerror(-err));
	return err;
}

static int open_music(struct daemon *d, char *why, size_t why_size)
{
	struct tunes *tunes;
	int err = music_new(&d->node.music, d->node.loop);

	if (!err)
		err = load_music(&tunes, d, d->conf, why, why_size);
	if (!err)
		music_load(d->node.music, tunes);
	return err;
}

static int open_calls(struct daemon *d, char *why, size_t why_size)
{
	struct calls_setup setup = {
		.loop = d->node.loop,
		.media = d->media,
		.music = d->node.music,
		.quirks = d->node.quirks,
		.ended = cdr_ended,
		.ctx = d->node.cdr,
	};
	int err = peers_new(&setup.peers, d->conf, why, why_size);

	if (err)
		return err;
	err = peers_resolve(setup.peers, d->resolver);
	if (!err)
		err = reach_new(&d->node.reach, d->node.loop, setup.peers);
	setup.reach = d->node.reach;
	if (!err)
		err = calls_new(&d->node.calls, &setup);
	if (err)
		peers_unref(setup.peers);
	return err;
}

/* Brings everything up, in the order in which each stands on the one before. 0 or the exit status.
 * The control socket comes first: it is what keeps a second daemon of the same configuration off
 * the kernel objects. */
static int start(struct daemon *d)
{
	char why[1024] = "out of memory";
	int err;

	d->node.loop = loop_new();
	if (!d->node.loop || ports_new(&d->node.ports, d->conf))
		return fail(why, EXIT_CONF);
	err = open_music(d, why, sizeof(why));
	if (err)
		return fail(why, err == -EPERM ? EXIT_KERNEL : EXIT_CONF);
	d->node.started_ms = loop_now_ms(d->node.loop);
	d->node.peers = peers_in_force;
	d->node.reload = reload;
	d->node.ctx = d;
	if (ctl_new(&d->ctl, &d->node, d->conf->control, why, sizeof(why)))
		return fail(why, EXIT_CONF);
	err = open_datapath(d, why, sizeof(why));
	if (err)
		return fail(why, err == -EPERM || err == -ENOTSUP ? EXIT_KERNEL : EXIT_CONF);
	if (media_new(&d->media, d->conf, d->node.loop, d->node.dp, d->node.ports) ||
	    quirks_new(&d->node.quirks, d->conf->state, time(NULL)) ||
	    cdr_new(&d->node.cdr, d->conf->cdr) || open_resolver(d, why, sizeof(why)) ||
	    open_calls(d, why, sizeof(why)) ||
	    open_sip(d, why, sizeof(why)) ||
	    metrics_new(&d->metrics, &d->node, &d->conf->metrics, why, sizeof(why)) ||
	    watch_signals(d))
		return fail(why, EXIT_CONF);
	return 0;
}

static void finish(struct daemon *d)
{
	loop_unwatch(&d->sighup);
	loop_unwatch(&d->sigint);
	loop_unwatch(&d->sigterm);
	metrics_free(d->metrics);
	ctl_free(d->ctl);
	reach_free(d->node.reach);
	sip_free(d->node.sip);
	calls_free(d->node.calls);
	music_free(d->node.music);
	resolver_free(d->resolver);
	cdr_free(d->node.cdr);
	quirks_free(d->node.quirks);
	media_free(d->media);
	datapath_close(d->node.dp);
	ports_free(d->node.ports);
	loop_free(d->node.loop);
	conf_unref(d->conf);
}

/* The number of one that is closed would be the next map's or socket's: what is logged would go
 * there, and the userspace relay, whose first two are made anew, would not have it. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options o = {.conf = "/etc/rtpfwd/rtpfwd.conf"};
	struct daemon d = {0};
	char why[1024];
	int status;

	if (argc > 0 && !strcmp(argv[0], DATAPATH_RELAY))
		return datapath_relay(argc, argv);
	open_standard();
	status = parse_options(&o, argc, argv);
	if (status >= 0)
		return status;
	signal(SIGPIPE, SIG_IGN);
	if (conf_load(&d.conf, o.conf, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return EXIT_CONF;
	}
	d.path = o.conf;
	log_open(o.verbose == 0	  ? LOG_LEVEL_NOTICE
		 : o.verbose == 1 ? LOG_LEVEL_INFO
				  : LOG_LEVEL_DEBUG);
	if (o.check || o.detach) {
		status = o.check ? check(d.conf, o.conf, &o) : detach(d.conf);
		conf_unref(d.conf);
		return status;
	}
	status = start(&d);
	if (status == 0) {
		warn_of_dial_options(d.conf);
		log_notice("rtpfwd %s ready", RTPFWD_VERSION);
		sd_notify(0, "READY=1");
		if (loop_run(d.node.loop))
			status = EXIT_CONF;
	}
	finish(&d);
	return status;
}
