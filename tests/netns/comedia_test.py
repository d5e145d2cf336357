#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones behind address translators (nat = comedia), and who cannot pass for one.

The spray is that of the RTP Bleed and RTP Inject advisory ES2025-01 (CVE-2025-53399): RTP to every
relay port from an address that takes no part, against calls in every way of admitting sources.
"""
import contextlib

import netns
import rtp
import sip
import tap
from calls import INSIDE, OUTSIDE, Call, call
from lab import CALLEE, CALLER, Lab, config, nothing_left
from tap import check, diag, equal, wait_for

ATTACKERS = (("caller", "10.91.1.66", INSIDE), ("callee", "10.91.2.66", OUTSIDE))
PORTS = range(10000, 10100)
SPRAY = 12      # packets to a port: more than twice of what makes a source a learned one
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.10
[anna]
type = peer
realm = inside
host = 10.91.1.11
nat = comedia
[abel]
type = peer
realm = inside
host = 10.91.1.12
asymmetric = yes
[bob]
type = peer
realm = outside
host = 10.91.2.20
[all]
type = route
from = inside
match = _7X.
to = bob
"""
PRIVATE = "192.168.7.7"


@contextlib.contextmanager
def make():
    with Lab() as lab:
        ports = {"ports": f"{PORTS[0]}-{PORTS[-1]}"}
        lab.start(config(lab, inside=ports, outside=ports, peers=PEERS))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def translated(lab, a_ip="10.91.1.11"):
    """A call of a phone that describes itself by an address that nobody can reach."""
    c = call(lab, a_ip=a_ip)
    c.a_sdp = sip.sdp(PRIVATE, 4000)
    return c


def behind_nat(lab):
    """the source is found where the phone signals from, and what was lost is five packets"""
    c = translated(lab).up()
    c.b_rtp.start(c.relay_b, c.b_offer.rtcp())
    before = lab.drops()
    wait_for(lambda: lab.drops()["not_signalled"] > before["not_signalled"] + 5, 5,
             "nothing is sent to the private address")
    c.a_rtp.start(c.relay_a, c.a_answer.rtcp())
    c.heard(50)
    c.quiet()
    got = [g[1] for g in c.b_rtp.rtp.got]
    equal(got, list(range(got[0], got[0] + len(got))), "numbers that the callee heard")
    equal(len(got) + got[0], len(c.a_rtp.rtp.sent), "packets")
    check(5 <= got[0] <= 25, f"packets lost before it was found: {got[0]}")
    lost = lab.drops()
    equal(lost["learning"] - before["learning"], got[0] + rtcp_learned(c), "learning")
    equal(lost["wrong_source"], before["wrong_source"], "wrong_source")
    flow = c.flows()["a"]
    equal(flow["expect"], f"10.91.1.11:{c.a_rtp.port}", "source admitted from then on")
    equal(c.flows()["b"]["to"], f"10.91.1.11:{c.a_rtp.port}", "destination")
    c.hang_up().gone()


def rtcp_learned(c):
    return len(c.a_rtp.rtcp.sent) - len(c.b_rtp.rtcp.got)


def locked(lab):
    """once found, no other port of the phone's own address is admitted; a new description is"""
    c = translated(lab).up().talk().heard(20)
    other = lab.end("10.91.1.11")
    other.start(c.relay_a)
    before = lab.drops()["wrong_source"]
    wait_for(lambda: lab.drops()["wrong_source"] >= before + 20, 5, "20 wrong_source")
    check(not [g for g in c.b_rtp.rtp.got if g[0] == other.ssrc], "another source was heard")
    c.a.reinvite(sip.sdp(PRIVATE, 4444, version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, version=2))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    c.a_rtp.stop()
    wait_for(lambda: [g for g in c.b_rtp.rtp.got if g[0] == other.ssrc], 5, "the new source heard")
    wait_for(lambda: len(other.rtp.got) > 10, 5, "media goes to the new source")
    equal(c.flows()["a"]["expect"], f"10.91.1.11:{other.port}", "source admitted")
    rtp.settle(other, c.a_rtp, c.b_rtp)
    c.hang_up().gone()


def signalled(lab):
    """a phone that is where it says to be loses nothing"""
    c = call(lab, a_ip="10.91.1.11").up().talk().heard(50).quiet().whole()
    wait_for(lambda: c.flows()["a"]["expect"] == f"10.91.1.11:{c.a_rtp.port}", 3, "source found")
    other = lab.end("10.91.1.11")
    other.burst(20, c.relay_a)
    wait_for(lambda: c.flows()["a"]["dropped"] >= 20, 3, "another port dropped")
    check(not [g for g in c.b_rtp.rtp.got if g[0] == other.ssrc], "another port was heard")
    c.hang_up().gone()


class Attacker:
    def __init__(self, lab, where, ip, target):
        self.sock = netns.udp(getattr(lab, where).name, ip, 40000)
        self.sock.setblocking(False)
        self.target = target
        self.ssrc = 0x66666666
        self.sent = 0

    def spray(self):
        for port in PORTS:
            for i in range(SPRAY):
                packet = rtp.rtp_packet(0, i, 160 * i, self.ssrc, i)
                try:
                    self.sock.sendto(packet, (self.target, port))
                    self.sent += 1
                except OSError:
                    pass

    def heard(self):
        count = 0
        try:
            while self.sock.recv(2000):
                count += 1
        except BlockingIOError:
            return count

    def close(self):
        self.sock.close()


def sprayed(lab):
    """zero packets bled and zero injected, in every mode, before and while phones talk"""
    modes = (("signalled", CALLER, False), ("asymmetric", "10.91.1.12", False),
             ("comedia", "10.91.1.11", False), ("comedia, translated", "10.91.1.11", True))
    phones = {ip: lab.phone(ip) for ip in {m[1] for m in modes}}
    bob = lab.phone(CALLEE)
    calls = []
    for name, ip, private in modes:
        c = Call(lab, phones[ip], bob, lab.number())
        if private:
            c.a_sdp = sip.sdp(PRIVATE, 4000)
        calls.append((name, c.up()))
    attackers = [Attacker(lab, *a) for a in ATTACKERS]
    before = lab.drops()
    for attacker in attackers:
        attacker.spray()
    for _, c in calls:
        c.talk()
    for _ in range(5):
        for attacker in attackers:
            attacker.spray()
    for _, c in calls:
        c.heard(20)
    for attacker in attackers:
        attacker.spray()
    for _, c in calls:
        c.quiet()
    dropped = {k: v - before[k] for k, v in lab.drops().items()}
    bled = sum(a.heard() for a in attackers)
    diag(f"sprayed {sum(a.sent for a in attackers)} packets: " +
         ", ".join(f"{k} {v}" for k, v in dropped.items() if v))
    equal(bled, 0, "packets bled")
    for name, c in calls:
        injected = sum(1 for end in (c.a_rtp, c.b_rtp) for g in end.rtp.got + end.rtcp.got
                       if g[0] in (None, attackers[0].ssrc))
        diag(f"{name:20} bled 0 injected {injected}")
        equal(injected, 0, f"packets injected: {name}")
        if name in ("signalled", "asymmetric", "comedia"):
            c.whole()
    equal(dropped["unleased"] + dropped["wrong_source"],
          sum(a.sent for a in attackers), "every packet has a name")
    for attacker in attackers:
        attacker.close()
    for _, c in calls:
        c.hang_up()


TESTS = [behind_nat, signalled, locked, sprayed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
