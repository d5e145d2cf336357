#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of calls in which anything happens at any moment; nothing of them may be left.

Two nodes at once, each with a swarm of its own: the sanitized daemon, whose memory is judged by its
sanitizers, and the one that is shipped, whose heap is weighed. SEED=n is another run: what a call
does hangs on the seed and its number alone; what the machine makes of it does not.
"""
import contextlib
import os
import time

import tap
from lab import PREFIX, Lab, config, nothing_left
from swarm import Swarm
from tap import check, diag, equal
from tune import Tune

SEED = int(os.environ.get("SEED", "1"))
CALLS = {"sanitized": 1000, "shipped": 2000}
SECONDS = 20        # in which they begin
DRAIN = 90          # until 64*T1 is over for the last of them, twice on a slow machine
# What is allocated once (tables at their largest, records of ports that were used): 160 to 350 KB
# were seen, whether behind 1000 calls or 5000. A call has 10 KB.
HEAP_MORE = 512 << 10


class Site:
    """One node and its swarm."""

    def __init__(self, name, lab):
        self.name, self.lab = name, lab
        tune = Tune(f"{lab.dir}/tune.wav")
        ports = {"ports": "10000-29999"}
        lab.start(config(lab, general={"settle": "0-500", "drain_idle": 200, "rtptimeout": 30},
                         inside={**ports, "direct": "outside", "moh": tune.path}, outside=ports))
        self.before = self.rest()
        self.swarm = Swarm(lab, SEED, CALLS[name], SECONDS)

    def rest(self):
        """What a node has that has nothing to do."""
        status = self.lab.ctl("show", "status")
        return {"calls": status["calls"], "flows": status["flows"], "events": status["events"],
                "ports": [r["ports_used"] for r in status["realms"]],
                "resting": [r["ports_quarantine"] for r in status["realms"]],
                "heap": status["heap_bytes"]}

    def is_quiet(self):
        """A node that has just begun may still ask the kernel: that timer is not there again."""
        now = self.rest()
        return now["events"] <= self.before["events"] and \
            all(now[k] == self.before[k] for k in ("calls", "flows", "ports", "resting"))


@contextlib.contextmanager
def make():
    second = f"{PREFIX}{os.getpid()}b"
    with Lab(router=True) as one, Lab(router=True, sanitized=False, name=second) as two:
        sites = [Site("sanitized", one), Site("shipped", two)]
        yield sites
        for site in sites:
            site.swarm.close()
            equal(site.lab.stop(), 0, f"exit status of the {site.name} daemon")
            site.lab.detached()


def run(sites, until, seconds):
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        for site in sites:
            site.swarm.turn(0.01)
    return True


def anything_happens(sites):
    """calls with anything at any moment: each ends on both sides"""
    diag(f"SEED={SEED}")
    for site in sites:
        site.swarm.later(0.5, site.swarm.operate)
    began = time.monotonic()

    def done():
        return time.monotonic() - began > SECONDS and \
            not any(site.swarm.alive() for site in sites)
    finished = run(sites, done, SECONDS + DRAIN)
    for site in sites:
        swarm = site.swarm
        diag(f"{site.name}: {dict(swarm.count)}")
        diag(f"{site.name}: ended {dict(swarm.ended)}")
        left = [f"{h.phone.user} {h.name} {h.state}" for h in swarm.alive()]
        for name in {h.name for h in swarm.alive()}:
            for half in swarm.pairs[name]:
                diag(f"{half.phone.user} {name}: " + ", ".join(half.trace))
        check(finished, f"{site.name}: {len(left)} halves of calls did not end: {left[:10]}")
        equal(len(swarm.pairs), CALLS[site.name], "calls begun")
        check(swarm.ended["bye"] > CALLS[site.name], "hardly a call came to be:", swarm.ended)


def nothing_is_left(sites):
    """no call, flow, port, timer or memory of them is left"""
    quiet = run(sites, lambda: all(site.is_quiet() for site in sites), DRAIN)
    for site in sites:
        now = site.rest()
        check(quiet, f"{site.name}: {now}, before {site.before}")
        if site.name == "shipped":
            more = now["heap"] - site.before["heap"]
            diag(f"heap: {site.before['heap']} and {more} more after {CALLS[site.name]} calls")
            check(more <= HEAP_MORE, f"{more} bytes more are allocated than before")


def figures_agree(sites):
    """every call is counted once, no listener is left, no call was left half direct"""
    for site in sites:
        figures = site.lab.metrics()
        total = sum(v for k, v in figures.items() if k.startswith("rtpfwd_calls_total{"))
        seen = len([p for p in site.swarm.pairs.values() if len(p) == 2])
        check(seen <= total <= CALLS[site.name], f"{total} calls counted, {seen} reached bob")
        for name in ("rtpfwd_music_listeners", "rtpfwd_sip_malformed_total",
                     "rtpfwd_direct_split"):
            equal(figures[name], 0, name)


def everything_happened(sites):
    """media moved out, was refused, rolled back and left in the middle; music was played"""
    for site in sites:
        figures = site.lab.metrics()
        moves = {k.split('"')[1]: v for k, v in figures.items()
                 if k.startswith("rtpfwd_direct_transitions_total{")}
        music = figures['rtpfwd_music_packets_total{result="sent"}']
        diag(f"{site.name}: moves {moves}, packets of music {music}")
        for result in ("ok", "refused", "rolled_back", "aborted"):
            check(moves[result] > 0, f"{site.name}: no move ended as {result}: {moves}")
        check(music > 0, f"{site.name}: no music")


TESTS = [anything_happens, nothing_is_left, figures_agree, everything_happened]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
