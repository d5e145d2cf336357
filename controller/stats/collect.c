// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats/node.h"

#include "stats/families.h"
#include "stats/metrics.h"
#include "stats/process.h"

#include <stdlib.h>
#include <string.h>

enum { INTERFACES_MAX = 256 };

struct live {
	struct tally paths, reasons, relayed;
};

static void add_call(void *ctx, const char *path, const char *reason)
{
	struct live *live = ctx;

	tally_add(&live->paths, path, 1);
	tally_add(&live->reasons, reason, 1);
	if (strcmp(path, "direct") != 0)
		tally_add(&live->relayed, reason, 1);
}

static void add_decision(void *ctx, const char *reason, uint64_t n)
{
	tally_add(ctx, reason, n);
}

static void add_calls(struct buf *out, const struct node *node)
{
	struct live live = {.paths = {.n = 0}};
	struct tally decisions = {.n = 0};
	struct calls_report report;

	calls_report(node->calls, &report);
	calls_each_path(node->calls, add_call, &live);
	families_calls(out, &report, &live.paths, &live.reasons);
	calls_each_decision(node->calls, add_decision, &decisions);
	families_policy(out, &live.relayed, &decisions);
	families_offers_begin(out);
	calls_each_offer(node->calls, families_offer, out);
}

static void add_realms(struct buf *out, const struct node *node)
{
	const struct conf *conf = peers_conf(node->peers(node->ctx));
	struct families_realm *realms = calloc(conf->n_realms, sizeof(*realms));

	if (!realms) {
		out->failed = true;
		return;
	}
	for (unsigned int i = 0; i < conf->n_realms; i++) {
		realms[i].name = conf->realms[i].name;
		datapath_realm(node->dp, i, &realms[i].media);
		ports_report(node->ports, i, loop_now_ms(node->loop), &realms[i].ports);
	}
	families_realms(out, realms, conf->n_realms);
	free(realms);
}

/* An interface on which two realms stand is told once: a series must not come twice. */
static size_t interfaces_once(struct datapath_interface_report *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < kept && strcmp(list[k].name, list[i].name) != 0)
			k++;
		if (k == kept)
			list[kept++] = list[i];
	}
	return kept;
}

static void add_drop(void *ctx, const char *reason, const char *help, bool up, uint64_t packets)
{
	struct tally *by = ctx;

	(void)help;
	tally_add(&by[up], reason, packets);
}

static void add_datapath(struct buf *out, const struct node *node)
{
	struct datapath_interface_report interfaces[INTERFACES_MAX];
	struct tally drops[2] = {{.n = 0}}; /* refused, passed up */
	size_t n = datapath_interfaces(node->dp, interfaces, INTERFACES_MAX), flows[PLANES];

	datapath_drops(node->dp, add_drop, drops);
	for (enum datapath_plane plane = 0; plane < PLANES; plane++)
		flows[plane] = datapath_plane_count(node->dp, plane);
	families_flows(out, flows, datapath_keys_refused(node->dp));
	families_drops(out, &drops[0], &drops[1]);
	families_interfaces(out, interfaces,
			    interfaces_once(interfaces, n < INTERFACES_MAX ? n : INTERFACES_MAX));
}

static void add_sip(struct buf *out, const struct node *node)
{
	struct families_sip sip = {.n = 0};

	sip_report(node->sip, families_sip_add, &sip);
	families_sip(out, &sip);
	families_sip_free(&sip);
}

static void add_reach(struct buf *out, const struct node *node)
{
	struct reach_report report;

	reach_report(node->reach, &report);
	families_reach(out, &report);
}

static void add_music(struct buf *out, const struct node *node)
{
	struct music_report report;

	music_report(node->music, &report);
	families_music(out, &report);
}

static void count_quirk(void *ctx, const struct quirk_report *quirk)
{
	(void)quirk;
	(*(uint64_t *)ctx)++;
}

static void add_quirks(struct buf *out, const struct node *node)
{
	uint64_t n = 0;

	quirks_each(node->quirks, NULL, time(NULL), count_quirk, &n);
	families_quirks(out, n);
}

static void add_cdr(struct buf *out, const struct node *node)
{
	struct cdr_report report;

	cdr_report(node->cdr, &report);
	families_cdr(out, &report);
}

static void text(void *ctx, struct buf *out)
{
	const struct node *node = ctx;

	families_build(out);
	add_calls(out, node);
	add_realms(out, node);
	add_datapath(out, node);
	add_sip(out, node);
	add_reach(out, node);
	add_music(out, node);
	add_quirks(out, node);
	add_cdr(out, node);
	process_metrics(out);
}

static bool ready(void *ctx)
{
	const struct node *node = ctx;

	return !calls_draining(node->calls);
}

int metrics_new(struct metrics **out, struct node *node, const struct addr *addr, char *why,
		size_t why_size)
{
	struct metrics_setup setup = {
		.loop = node->loop, .addr = *addr, .text = text, .ready = ready, .ctx = node};

	return metrics_open(out, &setup, why, why_size);
}
