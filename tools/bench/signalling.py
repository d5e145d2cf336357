# SPDX-License-Identifier: GPL-2.0-or-later
"""The same calls through rtpfwd, Kamailio, and Kamailio with rtpengine, side by side."""
import time

import figures
import load
import nodes
from figures import Spread, ratio
from share import Share
from tap import Failed, wait_for

RUNGS = figures.ladder(100, 16000)
# The rate at which all three are compared, and a busier one that two of them carry.
COMMON_RATE, BUSY_RATE = 400, 2000
HELD_RATE = 1500
SETTLE_S = 35       # the last timers of transactions (RFC 3261 17: 32 s) are no part of a call
LATE_S = 0.005
PART = 0.25         # of one core, for a node that is overloaded


class Plan:
    """How much is measured."""

    def __init__(self, quick):
        self.quick = quick
        self.rounds = 1 if quick else 3
        self.seconds = 3 if quick else 4
        self.peak_seconds, self.overload_seconds = 5, 6 if quick else 9
        self.held = 5000 if quick else None     # None: as many as each node holds
        self.about, self.limit = (5, 420) if quick else (20, 1200)
        self.ends = time.monotonic() + self.limit

    def over(self):
        return time.monotonic() > self.ends


class Results:
    """Of one node, a value a round."""

    def __init__(self):
        self.clean, self.cpu, self.busy_cpu, self.ringing = [], [], [], []
        self.peak, self.twice = [], []
        self.within, self.half_p50, self.half_p99 = [], [], []
        self.held = self.held_kb = self.empty_kb = None

    def capacity(self):
        return Spread(self.clean).median


def say(text=""):
    print(text, flush=True)


def is_clean(node, seconds, rate):
    """One failed call may be the machine's fault: twice is the node's."""
    for _ in range(2):
        outcome = load.run(node, seconds, rate)
        say(f"   {node.title:<15} {rate:>6}/s: {'clean' if outcome.clean else 'NOT clean'} "
            f"({outcome.text()})")
        if outcome.clean:
            return True
        node.restart()
    return False


def find_clean(node, got, plan):
    wanted = got.capacity() if got.clean else node.first_rate
    start = min(range(len(RUNGS)), key=lambda i: abs(RUNGS[i] - wanted))
    rung = figures.climb(RUNGS, start, lambda rate: is_clean(node, plan.seconds, rate))
    got.clean.append(0 if rung is None else RUNGS[rung])


def cost(node, seconds, rate):
    """CPU seconds of the node for 1,000 calls; within how long 99 % of them had their 180. Nothing
    where calls failed twice."""
    for _ in range(2):
        before = node.cpu_seconds()
        outcome = load.run(node, seconds, rate)
        if outcome.clean:
            return (node.cpu_seconds() - before) * 1000 / outcome.count, \
                figures.quantile(outcome.ringing, 0.99)
        say(f"   {node.title:<15} {rate:>6}/s: NOT clean ({outcome.text()})")
        node.restart()
    return None, None


def find_cost(node, got, plan):
    seconds = 2 * plan.seconds
    cpu, ringing = cost(node, seconds, COMMON_RATE)
    got.cpu.append(cpu)
    got.ringing.append(ringing)
    if Spread(got.clean).median >= BUSY_RATE:
        got.busy_cpu.append(cost(node, seconds, BUSY_RATE)[0])


def find_late(node, got, plan):
    """At half of what it carries: INVITEs passed on in time."""
    before = node.setup_times()
    load.run(node, 2 * plan.seconds, int(Spread(got.clean).median / 2))
    after = node.setup_times()
    if before:
        got.within.append(100 * figures.share_within(before, after, LATE_S))
        got.half_p50.append(figures.bound_of(before, after, 0.5))
        got.half_p99.append(figures.bound_of(before, after, 0.99))


def completed(node, seconds, rate):
    """(calls offered, calls completed) a second."""
    outcome = load.run(node, seconds, int(rate), "uac_patient", grace=3)
    offered = figures.steady(outcome.offered, 2, seconds) or 0
    done = figures.steady(outcome.completed, 2, seconds) or 0
    say(f"   {node.title:<15} {offered:>6.0f}/s offered, {done:.0f}/s completed "
        f"({outcome.text()})")
    return offered, done


def find_overload(node, got, plan):
    """On a part of a core, so that the generator has what it needs: the most calls a second that
    are completed, and how many are when twice that is offered."""
    with Share(node.lab.name, PART) as share:
        share.take(node.pids())
        known = Spread(got.peak)
        rate = 0.8 * known.median if known else PART * node.first_rate
        peak = 0
        while True:
            offered, done = completed(node, plan.peak_seconds, rate)
            peak = max(peak, done)
            if done < 0.9 * offered:
                break
            rate *= 1.25
        node.restart()
        share.take(node.pids())
        twice = completed(node, plan.overload_seconds, 2 * peak)[1]
        got.peak.append(max(peak, twice))
        got.twice.append(twice)
        node.stop()


def find_held(node, got, plan):
    """KB of resident memory that each established call adds."""
    count = min(node.holds, plan.held or node.holds)
    rate = min(HELD_RATE, int(Spread(got.clean).median / 4))
    load.run(node, 1, 200)
    got.empty_kb = node.memory_kb()
    talk_s = count / rate + SETTLE_S + 30
    client, server = load.start(node, count, rate, talk_ms=int(talk_s * 1000),
                                timeout=int(2 * talk_s), most=count)
    try:
        wait_for(lambda: client.count("TotalCallCreated") >= count, talk_s,
                 lambda: f"{count} calls begun: {client.count('TotalCallCreated')}")
        time.sleep(SETTLE_S)
        up = client.count("CurrentCall")
        if up < 0.9 * count:
            raise Failed(f"only {up} of {count} calls stood")
        got.held, got.held_kb = up, (node.memory_kb() - got.empty_kb) / up
    finally:
        client.kill()
        server.kill()
        node.restart()


STEPS = (("highest rate without a failure", find_clean),
         (f"cost at {COMMON_RATE}/s and {BUSY_RATE}/s", find_cost),
         ("set-up times at half of that rate", find_late),
         (f"overload, on {PART:g} of a core", find_overload))


def measure(lab, plan):
    these = [kind(lab) for kind in (nodes.Rtpfwd, nodes.Kamailio, nodes.Relayed)]
    results = {node: Results() for node in these}
    for number in range(plan.rounds):
        for title, step in STEPS:
            say(f"round {number + 1} of {plan.rounds}: {title}")
            for node in these:
                node.start()
                try:
                    step(node, results[node], plan)
                finally:
                    node.stop()
        if plan.over():
            say(f"{plan.limit} s are over: no further round")
            break
    say(f"memory per held call (waits {SETTLE_S} s for the last timers)")
    for node in these:
        node.start()
        try:
            find_held(node, results[node], plan)
        except Failed as why:
            say(f"   {node.title}: {why}")
        finally:
            node.stop()
    return results


def rows(results):
    """Of the table: the nodes, then the first one in terms of each other."""
    ours, *others = results.values()
    names = [node.title for node in results]

    def row(title, form, pick):
        return [title, *(Spread(pick(r)).text(form) for r in results.values()),
                *(ratio(Spread(pick(ours)), Spread(pick(r))) for r in others)]

    twice = [[t / p for t, p in zip(r.twice, r.peak) if p] for r in results.values()]
    return [
        ["", *names, *(f"{names[0]}:{n}" for n in names[1:])],
        row("clean calls/s", "{:.0f}", lambda r: r.clean),
        row(f"CPU s per 1,000 calls, at {COMMON_RATE}/s", "{:.2f}", lambda r: r.cpu),
        row(f"CPU s per 1,000 calls, at {BUSY_RATE}/s", "{:.2f}", lambda r: r.busy_cpu),
        row(f"INVITE to 180 at {COMMON_RATE}/s, 99 % within ms", "{:.0f}",
            lambda r: [v and v * 1000 for v in r.ringing]),
        row(f"most calls/s completed on {PART:g} of a core", "{:.0f}", lambda r: r.peak),
        row("  completed when twice that is offered", "{:.0f}", lambda r: r.twice),
        ["  as a share of the most", *(Spread(t).text("{:.2f}") for t in twice), "", ""],
        row("KB per held call", "{:.1f}", lambda r: [r.held_kb]),
        ["  calls held", *(r.held or "-" for r in results.values()), "", ""],
        ["  MB without a call", *(f"{(r.empty_kb or 0) / 1024:.0f}" for r in results.values()),
         "", ""],
    ]


def report(results):
    say()
    for line in figures.table(rows(results)):
        say(line)
    ours = next(iter(results.values()))
    half = Spread(ours.clean).median / 2
    say()
    say(f"rtpfwd at {half:.0f} calls/s, from an INVITE's arrival to the one that "
        f"leaves:")
    say(f"   {Spread(ours.within).text('{:.2f}')} % within {LATE_S * 1000:.0f} ms; half of them "
        f"within {Spread(ours.half_p50).text('{:g}')} s, 99 % within "
        f"{Spread(ours.half_p99).text('{:g}')} s")


def run(quick):
    plan = Plan(quick)
    say(f"signalling: INVITE/180/200/ACK, {load.TALK_MS} ms, BYE/200 without RTP, the generator "
        f"on the same cores; {plan.rounds} rounds,")
    say(f"about {plan.about} minutes; no round begins after {plan.limit // 60}")
    with nodes.lab() as lab:
        results = measure(lab, plan)
    report(results)
