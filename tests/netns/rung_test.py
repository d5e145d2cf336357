#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The userspace relay: what XDP passes up, whole realms without XDP, and that no death of a process
costs a packet."""
import contextlib
import os
import signal

import netns
import rtp
import tap
from basic_test import ip_packet
from calls import Call, call
from lab import (CALLEE, CALLEE6, CALLER, CALLER6, INSIDE, INSIDE6, OUTSIDE, OUTSIDE6, RUNG, Lab,
                 config, nothing_left)
from sip import sdp
from survive_test import restart_numbering
from tap import equal, wait_for

OTHER = "another interface has no XDP program"
BOTH = """
[six]
type = peer
realm = inside
host = 2001:db8:91:1::10
[sixb]
type = peer
realm = outside
host = 2001:db8:91:2::20
[to-sixb]
type = route
from = inside
match = _6X.
to = sixb
"""


@contextlib.contextmanager
def make():
    """Every test makes the lab that it needs."""
    yield None


@contextlib.contextmanager
def running(inside=(), outside=(), **kw):
    with Lab() as lab:
        lab.start(config(lab, inside=inside, outside=outside, **kw))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()
        wait_for(lambda: not relays(lab), 5, "relay gone after -D")


@contextlib.contextmanager
def user_rung():
    with running({"xdp": "off"}, {"xdp": "off"}) as lab:
        yield lab


def relays(lab):
    """Process numbers of the userspace relays of this lab."""
    found = []
    for pid in lab.node.pids():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as comm:
            if comm.read().strip() == "rtpfwd-relay":
                found.append(pid)
    return found


def one_relay(lab, other_than=None):
    return wait_for(lambda: [p for p in relays(lab) if p != other_than] == relays(lab) and
                    len(relays(lab)) == 1 and relays(lab)[0], 10, "one relay runs")


def counted(lab, c):
    """Flows and phones agree to the packet, whoever forwarded it."""
    flows = c.flows()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        equal(flows[side]["packets"], len(end.rtp.sent), f"packets of flow {side}")
        equal(flows[side]["bytes"], sum(map(len, end.rtp.sent.values())), f"bytes of flow {side}")
        equal(flows[side]["dropped"], 0, f"dropped of flow {side}")
        equal(flows[side + "_rtcp"]["packets"], len(end.rtcp.sent), f"RTCP of flow {side}")
        equal(c.show()[side]["lost"], 0, f"lost of leg {side}")


def options(_):
    """packets with IP options amid live audio: forwarded, counted once, audio whole"""
    with running() as lab:
        c = call(lab).up().talk().heard(10).quiet()
        before = lab.drops()
        with netns.raw(lab.callee.name) as sock:
            for _ in range(10):
                packet = ip_packet((CALLEE, c.b_rtp.port), c.relay_b,
                                   c.b_rtp.rtp.put(c.b_rtp.packet), options=b"\x01\x01\x01\x00")
                sock.sendto(packet, (OUTSIDE, 0))
        wait_for(lambda: len(c.a_rtp.rtp.got) == len(c.b_rtp.rtp.sent), 5, "all heard")
        c.talk().heard(10).quiet().whole()
        counted(lab, c)
        grown = {k: v - before[k] for k, v in lab.drops().items() if v != before[k]}
        equal(grown, {} if RUNG == "user" else {"up_options": 10}, "drops that grew")
        c.hang_up().gone()


def pitfall_20_fragments(_):
    """audio of which every packet comes in fragments: forwarded whole, in order"""
    with running() as lab:
        lab.caller("ip", "route", "replace", "10.91.1.0/24", "dev", "eth0", "src", CALLER,
                   "mtu", "lock", "120")
        c = call(lab).up().talk().heard(50).quiet().whole()
        counted(lab, c)
        up = lab.drops()["up_fragment"]
        equal(up, 0 if RUNG == "user" else len(c.a_rtp.rtp.sent), "first fragments passed up")
        c.hang_up().gone()


def large(c, sender, receiver, to):
    """Datagrams larger than any link carries amid the audio."""
    for _ in range(5):
        packet = rtp.rtp_packet(0, 1, 1, 0x1234, 1) + os.urandom(2500)
        sender.tx[0].sendto(packet, to)
        wait_for(lambda p=packet: any(g[4] == p for g in receiver.rtp.got), 5, "large one heard")


def by_another(lab, dev, mac, known):
    """The caller's packets reach the node's sockets by an interface above in0; fragments of audio
    are forwarded all the same (but `known`: within a moment), and what is refused is counted
    once."""
    lab.node("ip", "link", "set", "dev", dev, "up")
    lab.caller("ip", "route", "replace", "10.91.1.0/24", "dev", "eth0", "src", CALLER,
               "mtu", "lock", "120")
    c = call(lab).up()
    # Signalling went by in0 itself; its next hops stay as they are.
    lab.node("ip", "neigh", "replace", CALLER, "lladdr", "02:91:01:00:00:10", "dev", "in0",
             "nud", "permanent")
    lab.caller("ip", "neigh", "replace", INSIDE, "lladdr", mac, "dev", "eth0", "nud", "permanent")
    before = lab.drops()["up_fragment"]
    c.talk().heard(10, timeout=15)
    if not known:
        restart_numbering(c)
        c.talk()
    c.heard(50).quiet().whole()
    if known:
        counted(lab, c)
    equal(lab.drops()["up_fragment"] - before, 0 if RUNG == "user" else c.a_rtp.rtp.next,
          "first fragments passed up")
    before = lab.drops()["wrong_source"]
    stranger = lab.end("10.91.1.66")
    lab.caller("ip", "route", "replace", "10.91.1.0/24", "dev", "eth0", "src", CALLER)
    for _ in range(10):
        stranger.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_a)
    wait_for(lambda: lab.drops()["wrong_source"] == before + 10, 5, lambda: f"{lab.drops()}")
    equal(c.flows()["a"]["dropped"], 10, "dropped of the flow")
    lab.caller("ip", "neigh", "del", INSIDE, "dev", "eth0")
    c.hang_up().gone()


def fragments_above(_):
    """the same where the kernel hands them to an interface above the realm's, there from the start
    or made while the daemon runs"""
    mac = "02:91:01:00:00:77"
    add = ("ip", "link", "add", "link", "in0", "above0", "address", mac, "type", "macvlan")
    with Lab() as lab:
        lab.node(*add)
        lab.start(config(lab))
        by_another(lab, "above0", mac, known=True)
        lab.clear()
        lab.node("ip", "link", "del", "above0")
        lab.node(*add)
        by_another(lab, "above0", mac, known=False)
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def fragments_out(_):
    """what is longer than the link out carries leaves in fragments"""
    with running() as lab:
        c = call(lab).up()
        large(c, c.a_rtp, c.b_rtp, c.relay_a)
        equal(c.flows()["a"]["packets"], 5, "packets of the flow")
        equal(c.show()["a"]["lost"], 0, "lost")
        c.hang_up().gone()


def fragments_of_ipv6(_):
    """the same over IPv6, both ways"""
    more = {"bind": "udp:[%s]:5060", "media": "%s"}
    with running({k: v % INSIDE6 for k, v in more.items()},
                 {k: v % OUTSIDE6 for k, v in more.items()}, peers=BOTH) as lab:
        c = call(lab, "6", CALLER6, CALLEE6).up()
        large(c, c.a_rtp, c.b_rtp, c.relay_a)
        large(c, c.b_rtp, c.a_rtp, c.relay_b)
        equal(c.flows()["a"]["packets"], 5, "packets of the flow")
        c.hang_up().gone()


def unresolved(_):
    """the far phone's address is not resolved yet: its first packets wait, none is lost"""
    with running() as lab:
        far = "10.91.2.22"
        a, b = lab.phone(CALLER), lab.phone(CALLEE)
        c = Call(lab, a, b, lab.number())
        c.b_rtp = lab.end(far)
        c.b_sdp = sdp(far, c.b_rtp.port)
        c.ring()
        lab.callee("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=8")      # never answers
        lab.node("ip", "neigh", "replace", CALLEE, "lladdr", "02:91:02:00:00:20", "dev", "out0",
                 "nud", "permanent")
        c.answer()
        c.a_rtp.aim(c.relay_a)
        for _ in range(5):
            c.a_rtp.send_one()
        sent = 5 + 1        # one report
        if RUNG != "user":
            wait_for(lambda: lab.drops()["up_unresolved"] == sent, 2,
                     lambda: f"passed up: {lab.drops()}")
        lab.callee("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0")
        wait_for(lambda: len(c.b_rtp.rtp.got) == 5, 10, "what had waited is heard")
        wait_for(lambda: lab.node("ip", "neigh", "show", far).stdout.count("REACHABLE"), 5,
                 "resolved")
        c.talk().heard(20).quiet().whole()
        counted(lab, c)
        c.hang_up().gone()


def one_realm_without(_):
    """xdp=off in one realm alone: its flows are the relay's, the others XDP's"""
    with running({"xdp": "off"}, {"xdp": "auto"}) as lab:
        c = call(lab).up().talk().heard(25).quiet().whole()
        equal({k: (f["plane"], f["reason"]) for k, f in c.flows().items()},
              {"a": ("user", "xdp = off"), "a_rtcp": ("user", "xdp = off"),
               "b": ("xdp", OTHER), "b_rtcp": ("xdp", OTHER)}, "planes")
        equal(c.show()["plane"], "user", "plane of the call")
        counted(lab, c)
        interfaces = [i for r in lab.ctl("show", "status")["realms"] for i in r["interfaces"]]
        equal([(i["xdp"], i["reason"]) for i in interfaces],
              [("off", "xdp = off"), ("generic", OTHER)], "interfaces")
        metrics = lab.metrics()
        equal({p: metrics[f'rtpfwd_flows{{plane="{p}"}}'] for p in ("xdp", "kmod", "user")},
              {"xdp": 2, "kmod": 0, "user": 2}, "rtpfwd_flows")
        for realm, plane, end in (("inside", "user", c.a_rtp), ("outside", "xdp", c.b_rtp)):
            equal(metrics[f'rtpfwd_rtp_packets_total{{realm="{realm}",plane="{plane}"}}'],
                  len(end.rtp.sent), f"packets of {realm} on {plane}")
        c.hang_up().gone()
        equal(lab.metrics()['rtpfwd_flows{plane="user"}'], 0, "flows of the user plane")


def flood(_):
    """strangers flood a port of the user rung: each counted, nothing forwarded, audio whole"""
    with user_rung() as lab:
        c = call(lab).up().talk().heard(10)
        stranger = lab.end("10.91.2.66")
        for _ in range(2000):
            stranger.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_b)
        wait_for(lambda: lab.drops()["wrong_source"] == 2000, 5, lambda: f"{lab.drops()}")
        c.heard(20).quiet().whole()
        equal(c.flows()["b"]["dropped"], 2000, "dropped of the flow")
        equal(c.show()["b"]["wrong_source"], 2000, "wrong_source of leg b")
        c.hang_up().gone()


def all_heard(c):
    """Nothing is in the relay's hands."""
    return all(len(s.rtp.sent) == len(r.rtp.got) and len(s.rtcp.sent) == len(r.rtcp.got)
               for s, r in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)))


def kill_9_of_the_relay(_):
    """SIGKILL of the relay amid audio, thrice: the daemon starts another, 0 lost, 0 reordered"""
    with user_rung() as lab:
        c = call(lab).up().talk().heard(10)
        for _ in range(3):
            pid = one_relay(lab)
            with lab.engine.lock:       # nothing is sent meanwhile
                wait_for(lambda: all_heard(c), 5, "all heard")
                os.kill(pid, signal.SIGKILL)
            one_relay(lab, other_than=pid)
            c.heard(25)
        c.quiet().whole()
        counted(lab, c)
        c.hang_up().gone()


def survives(lab, signo):
    """Audio over the daemon's end and the next one's start."""
    c = call(lab).up().talk().heard(10)
    pid = one_relay(lab)
    lab.stop(signo)
    c.heard(25)
    equal(relays(lab), [pid], "relay without a daemon")
    lab.start()
    one_relay(lab, other_than=pid)
    c.heard(25).quiet().whole()
    flows = c.flows()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        equal(flows[side]["packets"], len(end.rtp.sent), f"packets of flow {side}")


def kill_9_of_the_daemon(_):
    """SIGKILL of the daemon: the relay goes on, the next daemon's takes over, 0 lost"""
    with user_rung() as lab:
        survives(lab, signal.SIGKILL)


def upgrade(_):
    """SIGTERM and another daemon: the same"""
    with user_rung() as lab:
        survives(lab, signal.SIGTERM)


def no_privilege(_):
    """the relay runs without any capability"""
    with running() as lab:
        with open(f"/proc/{one_relay(lab)}/status") as status:
            kept = dict(line.split(":\t", 1) for line in status.read().splitlines())
        equal({k: int(kept[k], 16) for k in ("CapPrm", "CapEff", "CapInh", "CapAmb")},
              {"CapPrm": 0, "CapEff": 0, "CapInh": 0, "CapAmb": 0}, "capabilities")
        equal(kept["NoNewPrivs"], "1", "NoNewPrivs")


def nobody_else(_):
    """no one is steered who does not come in by a realm's interface, or to no relay port"""
    with user_rung() as lab:
        unleased = lab.drops()["unleased"]
        with contextlib.closing(netns.udp(lab.node.name, "127.0.0.1")) as sock, \
                contextlib.closing(netns.udp(lab.node.name, OUTSIDE, 9999)) as host:
            sock.sendto(b"hello", (OUTSIDE, 10000))    # by lo
            phone = lab.end(CALLEE)
            phone.tx[0].sendto(b"hello", (OUTSIDE, 9999))
            host.settimeout(5)
            equal(host.recvfrom(100)[0], b"hello", "to a port of the host's own")
        equal(lab.drops()["unleased"], unleased, "what the relay has refused")


TESTS = [options, pitfall_20_fragments, fragments_above, fragments_out, fragments_of_ipv6,
         unresolved, one_realm_without, flood, kill_9_of_the_relay, kill_9_of_the_daemon, upgrade,
         no_privilege, nobody_else]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
