#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that goes through the node twice: out to a proxy, whose signalling comes back here. The
media of its two halves meets within the node."""
import contextlib
import os
import signal

import netns
import rtp
import sip
import tap
from calls import INSIDE, OUTSIDE, Call, relayed
from hold_test import forget, hold, music_for, resume
from kamailio import Kamailio
from lab import (CALLEE, CALLER, CALLER6, INSIDE6, OUTSIDE6, PREFIX, RUNG, Lab, config,
                 nothing_left)
from netns import text
from reinvite_test import sides
from tap import check, equal, wait_for
from tune import Tune

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
[again]
type = route
from = proxy
match = _7X.
to = itself
[back-again]
type = route
from = itself
match = _7X.
to = anna
[thrice]
type = route
from = inside
match = _7X.
to = proxy
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
def running(inside=(), outside=(), peers=PEERS, name=None):
    with Lab(name=name) as lab:
        tune = Tune(f"{lab.dir}/tune.wav")
        inside = {"moh": tune.path, **dict(inside)}
        lab.start(config(lab, peers=peers, inside=inside, outside=outside))
        k = Kamailio(lab, lab.callee, PROXY, OUTSIDE, phone=f"{OUTSIDE}:5060")
        lab.tune = tune
        yield lab
        k.stop()
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def make():
    return running()


def another(*realms, **kw):
    """A lab beside that of the file."""
    return running(*realms, name=f"{PREFIX}{os.getpid()}b", **kw)


def doubled(lab, number, via="proxy"):
    """Two calls here are one of the phones'."""
    c = Call(lab, lab.phone(CALLER), lab.phone(ANNA), number).up()
    relayed(c.a_answer, INSIDE)
    relayed(c.b_offer, INSIDE)
    peers = {(call["a"]["peer"], call["b"]["peer"]) for call in lab.calls()}
    equal(peers, {("alice", via), (via, "anna")}, "who calls whom")
    equal(len(lab.calls()), 2, "calls")
    return c


def end(lab, c):
    c.hang_up().gone()
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "both calls gone")


def way(flows, local):
    """The flows that a packet takes from that relay port on."""
    found = []
    while local in flows:
        found.append(flows[local])
        local = found[-1]["to"]
    return found


def ways(lab, c):
    """{(sender, kind): its flows}"""
    flows = {f["local"]: f for f in lab.flows()}
    return {(end, kind): way(flows, text((relay[0], relay[1] + more)))
            for end, relay in ((c.a_rtp, c.relay_a), (c.b_rtp, c.relay_b))
            for kind, more in (("rtp", 0), ("rtcp", 1))}


def counted(lab, c, plane=None):
    """Each flow of both calls has counted what one phone sent and the other heard."""
    for (end, kind), flows in ways(lab, c).items():
        sent = (end.rtp if kind == "rtp" else end.rtcp).sent.values()
        equal(len(flows), 2, f"flows of {kind} of {end.ip}")
        for f in flows:
            equal((f["packets"], f["bytes"], f["dropped"]),
                  (len(sent), sum(map(len, sent)), 0), f"counters of {f}")
            equal(f["plane"], plane or ("user" if RUNG == "user" else "xdp"), f"plane of {f}")


def dropped(lab, before):
    return {k: v - before[k] for k, v in lab.drops().items() if v != before[k]}


def talks(lab, c, packets=30, plane=None):
    before = lab.drops()
    c.talk().heard(packets).quiet().whole()
    counted(lab, c, plane)
    equal(dropped(lab, before), {}, "drops")


def by_proxy(lab):
    """phone, node, proxy, node, phone: each packet crosses two calls, and both count it"""
    c = doubled(lab, lab.number("8"))
    talks(lab, c)
    end(lab, c)


def by_itself(lab):
    """a route that leads to the node itself"""
    c = doubled(lab, lab.number("9"), via="itself")
    talks(lab, c)
    end(lab, c)


def thrice(lab):
    """through the proxy and through the node itself: three calls in a row"""
    c = Call(lab, lab.phone(CALLER), lab.phone(ANNA), lab.number("7")).up()
    equal(len(lab.calls()), 3, "calls")
    c.talk().heard(30).quiet().whole()
    for flows in ways(lab, c).values():
        equal(len(flows), 3, "flows")
        equal(len({f["packets"] for f in flows}), 1, f"packets of {flows}")
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


def never_direct(lab):
    """media never goes directly to an address of this node: row 19, for both halves"""
    c = doubled(lab, lab.number("8"))
    for call in lab.calls():
        rows = {r["reason"]: r for r in lab.ctl("explain", call["id"])}
        check(rows["ACL"]["matched"], f"row ACL: {rows['ACL']}")
        equal(call["path"], "relay", "path")
    end(lab, c)


def other_port(lab):
    """a re-INVITE moves the callee's media: both calls follow, nothing is lost"""
    c = doubled(lab, lab.number("8")).talk().heard(10)
    port = next(lab.media_ports)
    c.b_rtp.open(port)
    c.b.offer(sip.sdp(ANNA, port, version=2))
    c.b_rtp.use()
    c.heard(20).quiet().whole()
    for flows in ways(lab, c).values():
        equal(len(flows), 2, "flows")
    end(lab, c)


def killed(lab):
    """kill -9 of the daemon, and its return: 0 lost, the flows of both calls are found"""
    c = doubled(lab, lab.number("8")).talk().heard(25)
    lab.stop(signal.SIGKILL)
    c.heard(50)
    lab.start()
    c.heard(25).quiet().whole()
    counted(lab, c)
    equal([f["call"] for flows in ways(lab, c).values() for f in flows], [None] * 8, "calls")


def music(lab, c):
    """Either end holds: the other one hears the file by both calls; and is heard again."""
    for holder in "ab":
        _, mine, _, far, theirs = sides(c, holder)
        rtp.drain(mine, theirs)
        before = lab.drops()
        last = ways(lab, c)[mine, "rtp"][1]
        hold(c, holder)
        music_for(c, holder, lab.tune)
        flow = next(f for f in lab.flows() if f["local"] == last["local"])
        check(flow["packets"] >= last["packets"] + 60, f"packets of {last}, and now {flow}")
        equal((flow["dropped"], dropped(lab, before)), (0, {}), f"drops: {flow}")
        resume(c, holder)
        forget(c)
        c.heard(25)
        far.none("INVITE", seconds=0.1)
    c.quiet().whole()


def on_hold(lab):
    """who is held hears music by both calls: what the node itself sends to an address of its own"""
    for number, via in (("8", "proxy"), ("9", "itself")):
        c = doubled(lab, lab.number(number), via=via).talk().heard(10)
        music(lab, c)
        end(lab, c)
        lab.clear()


def not_the_other_call(lab):
    """what another program of this host sends to such a port is refused by name, and counted"""
    c = doubled(lab, lab.number("8")).talk().heard(10)
    flow = ways(lab, c)[c.a_rtp, "rtp"][1]
    before = lab.drops()
    ip, port = flow["local"].rsplit(":", 1)
    with netns.udp(lab.node.name, OUTSIDE) as sock:
        for _ in range(3):
            sock.sendto(b"\x80" + bytes(171), (ip, int(port)))
    wait_for(lambda: dropped(lab, before), 5, "a drop")
    c.heard(10).quiet().whole()
    equal(dropped(lab, before), {"wrong_source": 3}, "drops")
    found = next(f for f in lab.flows() if f["local"] == flow["local"])
    equal(found["dropped"], 3, "of the flow")
    end(lab, c)


def half_relayed(_):
    """one network without XDP: its packets stay in the userspace relay, the others' in XDP"""
    with another({"xdp": "off"}) as lab:
        c = doubled(lab, lab.number("8"))
        talks(lab, c, plane="user")
        flow = ways(lab, c)[c.a_rtp, "rtp"][1]
        equal(flow["reason"], "xdp = off", f"reason of {flow}")
        end(lab, c)


def another_family(_):
    """phones of IPv4 and IPv6, and the other family between the two calls"""
    peers = PEERS.replace(f"host = {OUTSIDE}\n", f"host = {OUTSIDE6}\n")
    peers += f"""
[eve]
type = peer
realm = inside
host = {CALLER6}
[to-eve]
type = route
from = outside
match = _4X.
to = eve
[six]
type = route
from = inside
match = _4X.
to = itself
"""
    media = ({"bind": f"udp:{own}:5060, udp:[{own6}]:5060", "media": f"{own}, {own6}"}
             for own, own6 in ((INSIDE, INSIDE6), (OUTSIDE, OUTSIDE6)))
    with another(*media, peers=peers) as lab:
        for a_ip, b_ip, prefix in ((CALLER, ANNA, "9"), (CALLER, CALLER6, "4")):
            c = Call(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix)).up()
            between = [f["local"][0] for f in lab.flows() if OUTSIDE6 in f["local"]]
            equal(len(between), 4, "flows of IPv6 between the calls")
            c.talk().heard(30).quiet().whole()
            counted(lab, c)
            music(lab, c.talk())
            end(lab, c)
            lab.clear()


TESTS = [by_proxy, by_itself, thrice, loop, never_direct, other_port, on_hold, not_the_other_call,
         half_relayed, another_family, killed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
