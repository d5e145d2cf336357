# SPDX-License-Identifier: GPL-2.0-or-later
"""Media through one relay after the other, side by side: packets a second without loss, CPU time
and added latency of a packet."""
import json
import os
import random
import re
import subprocess
import time

import figures
import plot
from figures import Spread
from lab import TOP
from relays import (SUITE, Bare, Minimal, Nat, Relay, Rtpengine, RtpengineSrtp, Rtpfwd,
                    RtpfwdSrtp, ran)
from tap import Failed

WINDOW = 128            # packets in flight at most: half of a veth's ring
STEADY_NS = 100000      # between two packets where latency is measured: 10,000 a second
GENERATOR = (os.cpu_count() or 1) - 1   # its core
SVG = os.path.join(TOP, "tools", "bench", "media.svg")


class Plan:
    def __init__(self, quick):
        self.rounds = 3 if quick else 5
        self.ms = 300 if quick else 1000
        self.many = 2000 if quick else 16000


def relays(plan):
    """(title, relay) in the order of the table; a bare redirect is what others of as many calls are
    measured by: generator and sinks, too, touch memory of each flow."""
    few, many = 1000, plan.many
    return [
        ("bare XDP redirect", Bare("bare", few)),
        (f"bare XDP redirect, {many:,} calls", Bare("bare-many", many)),
        ("rtpfwd, XDP", Rtpfwd("few", few, "native")),
        (f"rtpfwd, XDP, {many:,} calls", Rtpfwd("many", many, "native")),
        ("rtpfwd, XDP generic", Rtpfwd("generic", few, "generic")),
        ("rtpfwd, userspace", Rtpfwd("user", few, "off")),
        ("kernel NAT (nftables)", Nat("nat", few)),
        ("recvmmsg/sendmmsg", Minimal("minimal", few)),
        ("rtpengine, userspace", Rtpengine("engine", few)),
        ("rtpfwd, userspace, SRTP", RtpfwdSrtp("user-srtp", few)),
        ("rtpengine, userspace, SRTP", RtpengineSrtp("engine-srtp", few)),
    ]


class Bench:
    """The generator and the sinks of one relay's lab."""

    def __init__(self, relay: Relay):
        self.relay = relay
        paths = [f"/run/netns/{ns.name}"
                 for ns in (relay.lab.caller, relay.lab.node, relay.lab.callee)]
        self.process = subprocess.Popen(
            [f"{TOP}/build/media_bench", *paths, relay.sink, str(GENERATOR)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.relay.name}: media_bench ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def flows(self, lines):
        """In an order that is none: neighbours in the relay's tables are not neighbours in time."""
        random.Random(1).shuffle(lines)
        path = f"{self.relay.lab.dir}/flows"
        with open(path, "w") as out:
            out.write("\n".join(lines) + "\n")
        self.ask("flows", path)

    def run(self, ms, window=WINDOW, period=0, direct=0):
        return self.ask("run", ms, window, period, direct)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Results:
    """Of one relay, a value a round."""

    def __init__(self):
        self.rate, self.p50, self.p99, self.cpu = [], [], [], []
        self.lost = 0


def say(text=""):
    print(text, flush=True)


def softirq_ns(core=""):
    """That the kernel's threads for interrupts have run, of one core or of all."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm:
                if re.fullmatch(rf"ksoftirqd/{core or '[0-9]+'}", comm.read().strip()):
                    total += ran(pid)
        except OSError:
            continue
    return total


class Subject:
    """A relay with its bench."""

    def __init__(self, title, relay):
        self.title, self.relay = title, relay
        self.got = Results()
        self.bench, self.flows = None, 0

    def open(self):
        self.relay.open()
        self.bench = Bench(self.relay)
        flows = self.relay.start()
        self.flows = len(flows)
        self.bench.flows(flows)
        self.relay.pin()
        self.check()

    def close(self):
        try:
            if self.bench:
                self.bench.close()
            self.relay.end()
        finally:
            self.relay.close()

    def check(self):
        """Every packet of some turns arrives, and as it must."""
        self.bench.run(300)
        arrived = 0
        for _ in range(10):
            run = self.bench.run(700)
            arrived += run["received"]
            if run["received"] != run["sent"] or run["wrong"] or \
                    bool(run["kept"]) != self.relay.encrypted:
                raise Failed(f"{self.title}: of {run['sent']} packets {run['received']} arrived, "
                             f"{run['wrong']} of them not as they must")
            if arrived >= self.flows:
                return
        raise Failed(f"{self.title}: only {arrived} packets for {self.flows} flows")

    def run(self, **kw):
        """The answer of media_bench; ns a packet of what ran beside the generator's thread: all
        of it, and what ran in its place."""
        def beside():
            return self.relay.cpu_ns() + softirq_ns(), softirq_ns(GENERATOR)
        before = beside()
        run = self.bench.run(**kw)
        run["beside"], run["instead"] = ((b - a) / max(1, run["received"])
                                         for a, b in zip(before, beside()))
        if run["wrong"]:
            raise Failed(f"{self.title}: {run['wrong']} packets arrived altered")
        return run

    def until(self, what, run, **kw):
        """A run in which something happened: on a busy machine the generator may stand still."""
        for _ in range(5):
            answer = run(**kw)
            if answer["timed"][what]:
                return answer
        raise Failed(f"{self.title}: the generator gets no time on core {GENERATOR}")

    def measure(self, ms):
        waits = self.until("idle", self.bench.run, ms=ms // 4, window=0)["timed"]
        alone = self.until("received", self.bench.run, ms=ms // 4, direct=1)["timed"]
        run = self.until("received", self.run, ms=ms)
        got, timed = self.got, run["timed"]
        # Turns in which the generator had to wait are nobody's cost.
        busy = timed["cpu_ns"] - timed["idle"] * waits["cpu_ns"] / waits["idle"]
        # By the generator's own time, which is the clock's unless others need its core.
        got.rate.append(1e9 / (timed["cpu_ns"] / timed["received"] + run["instead"]))
        got.cpu.append(busy / timed["received"] + run["beside"] -
                       alone["cpu_ns"] / alone["received"])
        got.lost += run["sent"] - run["received"]
        if not self.relay.encrypted:
            self.wait_at(ms)

    def wait_at(self, ms):
        """How long packets take, at a pace that every relay keeps."""
        run = self.run(ms=ms, period=STEADY_NS)
        self.got.p50.append(run["p50"] / 1000)
        self.got.p99.append(run["p99"] / 1000)
        self.got.lost += run["sent"] - run["received"]


def measure(subjects, plan):
    for number in range(plan.rounds):
        began = time.monotonic()
        for subject in subjects:
            subject.measure(plan.ms)
        say(f"   round {number + 1} of {plan.rounds}: {time.monotonic() - began:.0f} s, "
            f"load {os.getloadavg()[0]:.1f}")


def ratios(values, references):
    """Round by round: what the machine does besides is in both."""
    return Spread([v / r for v, r in zip(values, references)])


def rows(subjects):
    """A relay in userspace needs a second core for itself: the last one counts by its best round,
    in which it had that."""
    bare = {s.relay.calls: s.got for s in subjects if isinstance(s.relay, Bare)}
    best = max(subjects[-1].got.rate)
    table = [["1,000 calls, 214-byte frames", "packets/s", "of bare, as many", "x last one's best",
              "CPU ns", "p50 us", "p99 us", "lost"]]
    for s in subjects:
        table.append([s.title, Spread(s.got.rate).text("{:,.0f}"),
                      ratios(s.got.rate, bare[s.relay.calls].rate).text("{:.3f}"),
                      f"{Spread(s.got.rate).median / best:.1f}",
                      Spread(s.got.cpu).text("{:.0f}"), Spread(s.got.p50).text("{:.2f}"),
                      Spread(s.got.p99).text("{:.1f}"), s.got.lost])
    return table


def secret_rows(subjects):
    best = max(subjects[-1].got.rate)
    table = [[f"1,000 calls, {SUITE} at the callers'", "packets/s", "x last one's best", "CPU ns",
              "lost"]]
    for s in subjects:
        table.append([s.title, Spread(s.got.rate).text("{:,.0f}"),
                      f"{Spread(s.got.rate).median / best:.1f}",
                      Spread(s.got.cpu).text("{:.0f}"), s.got.lost])
    return table


def tell(subjects):
    secret = [s for s in subjects if s.relay.encrypted]
    for these, table in (([s for s in subjects if s not in secret], rows), (secret, secret_rows)):
        say()
        for line in figures.table(table(these)) if these else ():
            say(line)
    say("   SRTP in XDP takes rtpfwd.ko, and nothing here loads a module: beside rtpengine's, in "
        "instructions, `make kmod-cost`")


def open_all(these, subjects):
    """Those that can run here."""
    for title, relay in these:
        subject = Subject(title, relay)
        subjects.append(subject)
        try:
            subject.open()
        except (Failed, RuntimeError) as why:
            say(f"   {title}: left out: {why}")
            subjects.remove(subject)
            subject.close()


def run(quick):
    plan = Plan(quick)
    say(f"media: generator, relay and sink on one machine, {WINDOW} packets in flight; "
        f"{plan.rounds} rounds")
    subjects = []
    try:
        open_all(relays(plan), subjects)
        measure(subjects, plan)
    finally:
        for subject in subjects:
            subject.close()
    tell(subjects)
    if not quick:
        plot.write(SVG, [(s.title, Spread(s.got.rate), Spread(s.got.p50)) for s in subjects
                         if not s.relay.encrypted])
        say(f"written: {os.path.relpath(SVG, TOP)}")
