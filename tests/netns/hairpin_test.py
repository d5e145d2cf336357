#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that goes through the node twice: out to a proxy, whose signalling comes back here. The
media of its two halves meets within the node."""
import contextlib

import sip
import tap
from calls import INSIDE, OUTSIDE, Call, relayed
from kamailio import Kamailio
from lab import CALLEE, CALLER, Lab, config, nothing_left
from tap import equal, wait_for

ANNA, PROXY = "10.91.1.11", "10.91.2.21"
PEERS = f"""
[alice]
type = peer
realm = inside
host = {CALLER}
[anna]
type = peer
realm = inside
host = {ANNA}
[bob]
type = peer
realm = outside
host = {CALLEE}
[proxy]
type = peer
realm = outside
host = {PROXY}
[itself]
type = peer
realm = outside
host = {OUTSIDE}
[to-proxy]
type = route
from = inside
match = _8X.
to = proxy
[to-itself]
type = route
from = inside
match = _9X.
to = itself
[back]
type = route
from = outside
match = _[89]X.
to = anna
[loop]
type = route
from = inside
match = _5X.
to = proxy
[loop-again]
type = route
from = outside
match = _5X.
to = proxy
"""


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.start(config(lab, peers=PEERS))
        k = Kamailio(lab, lab.callee, PROXY, OUTSIDE, phone=f"{OUTSIDE}:5060")
        yield lab
        k.stop()
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def doubled(lab, number, proxied=True):
    """Two calls here are one of the phones'; nobody else heard of it."""
    c = Call(lab, lab.phone(CALLER), lab.phone(ANNA), number).up()
    relayed(c.a_answer, INSIDE)
    relayed(c.b_offer, INSIDE)
    calls = lab.calls()
    peers = {(call["a"]["peer"], call["b"]["peer"]) for call in calls}
    other = "proxy" if proxied else "itself"
    equal(peers, {("alice", other), (other, "anna")}, "who calls whom")
    equal(len(calls), 2, "calls")
    return c


def end(lab, c):
    c.hang_up().gone()
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "both calls gone")


def by_proxy(lab):
    """phone, node, proxy, node, phone"""
    end(lab, doubled(lab, lab.number("8")))


def by_itself(lab):
    """a route that leads to the node itself"""
    number = lab.number("9")
    c = doubled(lab, number, proxied=False)
    end(lab, c)


def loop(lab):
    """what the proxy sends back here, and we to it again: 482 at its second coming"""
    before = lab.metrics()
    phone = lab.phone(CALLER)
    d = phone.call(lab.number("5"), sip.sdp(CALLER, 20000))
    final = d.expect("final", timeout=8)
    d.ack(final)
    equal(final.code, 482, "answer")
    rejected = 'rtpfwd_sip_rejected_total{reason="loop"}'
    equal(lab.metrics()[rejected] - before.get(rejected, 0), 1, "loops")
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "nothing is left")


TESTS = [by_proxy, by_itself, loop]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
