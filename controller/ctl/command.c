// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/ctl.h"

#include "ctl/grammar.h"
#include "doctor/doctor.h"
#include "lib/log.h"
#include "stats/node.h"
#include "stats/render.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

enum {
	INTERFACES_MAX = 256,
	SLICE = 64, /* calls or flows shown in one turn of the loop: some tenths of a millisecond */
};

/* Every handler: `arg` is the command's argument. Returns a new response. */

/* An array under way; `failed` without memory. */
struct list {
	const struct node *node;
	json_t *array;
	bool failed;
};

static bool list_add(struct list *l, json_t *one)
{
	l->failed = l->failed || json_array_append_new(l->array, one);
	return !l->failed;
}

static json_t *list_done(struct list *l)
{
	if (!l->failed)
		return ctl_ok(l->array);
	json_decref(l->array);
	return NULL;
}

/* What a command answers that has nothing to show. */
static json_t *done(void)
{
	return ctl_ok(json_pack("{s:b}", "ok", 1));
}

static json_t *realms(const struct node *node)
{
	const struct conf *conf = peers_conf(node->peers(node->ctx));
	struct datapath_interface_report interfaces[INTERFACES_MAX];
	size_t n = datapath_interfaces(node->dp, interfaces, INTERFACES_MAX);
	json_t *array = json_array();
	struct ports_report ports;

	for (unsigned int i = 0; i < conf->n_realms; i++) {
		ports_report(node->ports, i, loop_now_ms(node->loop), &ports);
		json_array_append_new(array, render_realm(&conf->realms[i], &ports, interfaces,
							  n < INTERFACES_MAX ? n : INTERFACES_MAX));
	}
	return array;
}

/* Small pieces and large ones (malloc's own maps). */
static uint64_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static const char *guard_state(const struct node *node)
{
	struct datapath_guard_report guard = datapath_guard(node->dp);

	if (!guard.wanted)
		return "off";
	return *guard.fault ? "absent" : "on";
}

static json_t *show_status(const struct node *node, const char *arg)
{
	struct calls_report calls;
	struct render_status status = {
		.uptime_s = (loop_now_ms(node->loop) - node->started_ms) / 1000,
		.flows = datapath_flow_count(node->dp),
		.draining = calls_draining(node->calls),
		.survives = datapath_survives(node->dp),
		.kmod = datapath_has_kmod(node->dp),
		.guard = guard_state(node),
		.events = loop_events(node->loop),
		.heap_bytes = heap_bytes(),
	};

	(void)arg;
	calls_report(node->calls, &calls);
	for (unsigned int i = CALL_SETUP; i <= CALL_ENDING; i++)
		status.calls += calls.live[i];
	return ctl_ok(render_status(&status, realms(node)));
}

static bool list_is_full(const struct list *l)
{
	return l->failed || json_array_size(l->array) >= SLICE;
}

/* A part of an answer (ctl_slice). */
static json_t *list_slice(struct list *l)
{
	if (!l->failed)
		return l->array;
	json_decref(l->array);
	return NULL;
}

static bool add_call(void *ctx, const struct call_report *call)
{
	list_add(ctx, render_call(call));
	return !list_is_full(ctx);
}

static json_t *call_slice(void *ctx, uint64_t *at)
{
	struct list list = {.node = ctx, .array = json_array()};

	calls_each(list.node->calls, at, add_call, &list);
	return list_slice(&list);
}

/* call_slice() adds the calls. */
static json_t *show_calls(const struct node *node, const char *arg)
{
	(void)node;
	(void)arg;
	return ctl_ok(json_array());
}

static json_t *call_error(int err, const char *id)
{
	if (err == -ENOENT)
		return ctl_error(CTL_NO_OBJECT, "no call '%s'", id);
	if (err == -EEXIST)
		return ctl_error(CTL_REFUSED, "more than one call begins with '%s'", id);
	return ctl_error(CTL_REFUSED, "call '%s': %s", id, strerror(-err));
}

static json_t *show_call(const struct node *node, const char *arg)
{
	struct call_report report;
	int err = calls_find(node->calls, arg, &report);

	return err ? call_error(err, arg) : ctl_ok(render_call(&report));
}

static json_t *explain(const struct node *node, const char *arg)
{
	struct policy_verdict verdict;
	int err = calls_explain(node->calls, arg, &verdict);

	return err ? call_error(err, arg) : ctl_ok(render_verdict(&verdict));
}

static bool add_flow(void *ctx, const struct flow_report *flow)
{
	struct list *list = ctx;
	const struct calls *calls = list->node->calls;
	const char *id = flow->adopted ? NULL : calls_owner_id(calls, flow->want.owner);

	list_add(list, render_flow(flow, id));
	return !list_is_full(list);
}

static json_t *flow_slice(void *ctx, uint64_t *at)
{
	struct list list = {.node = ctx, .array = json_array()};

	datapath_each(list.node->dp, at, add_flow, &list);
	return list_slice(&list);
}

/* flow_slice() adds the flows. */
static json_t *show_flows(const struct node *node, const char *arg)
{
	(void)node;
	(void)arg;
	return ctl_ok(json_array());
}

static void note_quirk(void *ctx, const struct quirk_report *quirk)
{
	(void)quirk;
	*(bool *)ctx = true;
}

static json_t *show_peers(const struct node *node, const char *arg)
{
	const struct peers *peers = node->peers(node->ctx);
	const struct conf *conf = peers_conf(peers);
	struct list list = {.array = json_array()};

	(void)arg;
	for (size_t i = 0; i < conf->n_peers; i++) {
		const struct conf_peer *peer = &conf->peers[i];
		const struct peer_load *load = peer_load_of(peers, peer);
		struct reach_peer_report reach;
		bool quirk = false;

		quirks_each(node->quirks, peer->name, time(NULL), note_quirk, &quirk);
		reach_peer(node->reach, peer, &reach);
		list_add(&list, render_peer(peer, &reach, load,
					    peer_load_rests(load, loop_now_ms(node->loop)),
					    quirk));
	}
	return list_done(&list);
}

static const struct conf_peer *find_peer(const struct node *node, const char *name)
{
	const struct conf *conf = peers_conf(node->peers(node->ctx));

	for (size_t i = 0; i < conf->n_peers; i++)
		if (strcmp(conf->peers[i].name, name) == 0)
			return &conf->peers[i];
	return NULL;
}

static void add_quirk(void *ctx, const struct quirk_report *quirk)
{
	list_add(ctx, render_quirk(quirk));
}

static json_t *peer_quirk_show(const struct node *node, const char *arg)
{
	const struct conf_peer *peer = find_peer(node, arg);
	struct list list = {.array = json_array()};

	if (!peer) {
		json_decref(list.array);
		return ctl_error(CTL_NO_OBJECT, "no peer '%s'", arg);
	}
	quirks_each(node->quirks, arg, time(NULL), add_quirk, &list);
	return ctl_ok(render_quirks(peer, list.array));
}

static json_t *peer_quirk_clear(const struct node *node, const char *arg)
{
	size_t n;

	if (!find_peer(node, arg))
		return ctl_error(CTL_NO_OBJECT, "no peer '%s'", arg);
	n = quirks_clear(node->quirks, arg, time(NULL));
	log_notice("quirk peer=%s cleared: %zu", arg, n);
	return ctl_ok(json_pack("{s:b,s:i}", "ok", 1, "cleared", (int)n));
}

static void add_drop(void *ctx, const char *reason, const char *help, bool up, uint64_t packets)
{
	(void)help;
	(void)up;
	json_object_set_new(ctx, reason, json_integer((json_int_t)packets));
}

static json_t *show_drops(const struct node *node, const char *arg)
{
	json_t *drops = json_object();

	(void)arg;
	datapath_drops(node->dp, add_drop, drops);
	return ctl_ok(drops);
}

static void add_finding(void *ctx, const struct doctor_finding *finding)
{
	list_add(ctx, render_finding(finding));
}

static json_t *doctor(const struct node *node, const char *arg)
{
	struct datapath_interface_report interfaces[INTERFACES_MAX];
	size_t n = datapath_interfaces(node->dp, interfaces, INTERFACES_MAX);
	struct doctor_node facts = {
		.conf = peers_conf(node->peers(node->ctx)),
		.root = "",
		.interfaces = interfaces,
		.n_interfaces = n < INTERFACES_MAX ? n : INTERFACES_MAX,
		.survives = datapath_survives(node->dp),
		.guard = datapath_guard(node->dp),
		.kmod = datapath_has_kmod(node->dp),
		.hz = datapath_hz(node->dp),
		.neighbours = { datapath_neighbours(node->dp, AF_INET),
				datapath_neighbours(node->dp, AF_INET6) },
	};
	struct list list = {.array = json_array()};

	(void)arg;
	doctor_run(&facts, add_finding, &list);
	return list_done(&list);
}

static json_t *call_relay(const struct node *node, const char *arg)
{
	int err = calls_relay(node->calls, arg);

	return err ? call_error(err, arg) : done();
}

static json_t *call_direct(const struct node *node, const char *arg)
{
	char reason[CALLS_REASON_TEXT];
	int err = calls_direct(node->calls, arg, reason);

	if (err == -EPERM)
		return ctl_error(CTL_REFUSED, "call '%s': %s", arg, reason);
	return err ? call_error(err, arg) : done();
}

static json_t *call_auto(const struct node *node, const char *arg)
{
	int err = calls_auto(node->calls, arg);

	return err ? call_error(err, arg) : done();
}

static json_t *call_hangup(const struct node *node, const char *arg)
{
	int err = calls_hangup(node->calls, arg);

	return err ? call_error(err, arg) : done();
}

static json_t *reload(const struct node *node, const char *arg)
{
	char why[1024] = "";
	int err = node->reload(node->ctx, why, sizeof(why));

	(void)arg;
	if (err)
		return ctl_error(CTL_REFUSED, "not reloaded: %s", *why ? why : strerror(-err));
	return done();
}

static json_t *drain(const struct node *node, const char *arg)
{
	(void)arg;
	calls_drain(node->calls, true);
	log_notice("draining: new calls are refused");
	return done();
}

static json_t *undrain(const struct node *node, const char *arg)
{
	(void)arg;
	calls_drain(node->calls, false);
	log_notice("not draining: new calls are taken");
	return done();
}

#define HANDLER(name, words, help) [GRAMMAR_##name] = name,

static json_t *answer(void *ctx, const char *const *words, size_t n)
{
	static json_t *(*const handlers[GRAMMAR_N])(const struct node *,
						    const char *) = {GRAMMAR_COMMANDS(HANDLER)};
	enum grammar_id id;
	const char *arg;

	if (grammar_find(&id, &arg, words, n))
		return ctl_error(CTL_REFUSED, "unknown command");
	return handlers[id](ctx, arg);
}

/* Of the commands whose answer grows with the calls. */
static ctl_slice *slice(void *ctx, const char *const *words, size_t n)
{
	static ctl_slice *const slices[GRAMMAR_N] = {
		[GRAMMAR_show_calls] = call_slice,
		[GRAMMAR_show_flows] = flow_slice,
	};
	enum grammar_id id;
	const char *arg;

	(void)ctx;
	return grammar_find(&id, &arg, words, n) ? NULL : slices[id];
}

int ctl_new(struct ctl **out, struct node *node, const char *path, char *why, size_t why_size)
{
	struct ctl_setup setup = {
		.loop = node->loop, .path = path, .answer = answer, .slice = slice, .ctx = node};

	return ctl_open(out, &setup, why, why_size);
}
