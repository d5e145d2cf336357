#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones behind address translators (nat = comedia). Who cannot pass for one: spray_test.py."""

import rtp
import sip
import tap
from calls import call
from lab import CALLEE, config, nothing_left, running
from tap import check, equal, wait_for

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


def make():
    return running(lambda lab: config(lab, peers=PEERS))


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


def pitfall_7_old_packets(lab):
    """the phone moves; what it still sends from the former port does not make that the source"""
    c = translated(lab).up().talk().heard(20).quiet()
    other = lab.end("10.91.1.11")
    other.aim(c.relay_a, c.a_answer.rtcp())
    c.a.reinvite(sip.sdp(PRIVATE, 4444, version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, version=2))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    c.a_rtp.burst(4)    # one less than is learned from, on a machine that is slow, too
    new = f"10.91.1.11:{other.port}"
    other.burst(5)
    wait_for(lambda: c.flows()["a"]["expect"] == new, 5, "the new source found")
    for _ in range(4):
        c.a_rtp.burst(10)
        other.burst(1)
    wait_for(lambda: any(g[0] == other.ssrc for g in c.b_rtp.rtp.got), 5, "the new source heard")
    equal((c.flows()["a"]["expect"], c.flows()["b"]["to"]), (new, new), "source and destination")
    heard = len(c.a_rtp.rtp.got)
    c.b_rtp.burst(10)
    wait_for(lambda: len(other.rtp.got) >= 10, 5, "media goes to the new source")
    equal(len(c.a_rtp.rtp.got), heard, "heard at the former port")
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


TESTS = [behind_nat, signalled, locked, pitfall_7_old_packets]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
