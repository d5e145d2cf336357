#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct from the first INVITE on (directsetup = yes), and what becomes of it when the answer
forbids that."""
import moving
import sip
import tap
from lab import PEERS, nothing_left
from moving import call
from tap import check, equal


def make():
    peers = PEERS.replace("host = 10.91.2.20\n", "host = 10.91.2.20\nnat = no\n"
                            "quirk = Fragile *: no-reinvite\n") \
        .replace("host = 10.91.1.10\n", "host = 10.91.1.10\nnat = no\n")
    return moving.make(general={"directsetup": "yes"}, peers=peers)


def end(c):
    c.heard(10)
    equal(c.lab.drops()["direct_stray"], 0, "strays")
    c.lost(0)
    c.hang_up().gone()


def set_up(lab, **kw):
    """Rings; the callee was offered the caller's own address."""
    c = call(lab, **kw).ring()
    equal(c.relay_b, (c.a_phone.ip, c.a_rtp.port), "address offered to the callee")
    equal(lab.flows(), [], "forwarding entries")
    return c


def direct_setup(lab):
    """each is told the other's address at once; no re-INVITE, no entry, nothing lost"""
    c = set_up(lab).answer()
    equal(c.relay_a, (c.b_phone.ip, c.b_rtp.port), "address answered to the caller")
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start(c.address("a"))
    shown = c.shows(path="direct", reason="DIRECT_SETUP")
    equal(shown["b"]["told"], "%s:%d" % c.address("a"), "told to b")
    equal(lab.flows(), [], "forwarding entries")
    c.heard(10)
    c.a.none("INVITE", seconds=0.5)
    c.b.none("INVITE")
    c.lost(0)
    c.a.request("BYE")
    c.b.expect_bye()
    equal(c.a.expect("final").code, 200, "answer to BYE")


def setup_then_relay(lab):
    """the operator brings such a call to the relay, and lets it go again"""
    c = set_up(lab).answer()
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start(c.address("a"))
    shown = c.shows(path="direct", reason="DIRECT_SETUP")
    for side in "ab":
        ip, _, port = shown[side]["relay"].rpartition(":")
        setattr(c, f"relay_{side}", (ip, int(port)))
    lab.ctl("call", shown["id"], "relay")
    for s in (c.sb, c.sa):
        msg = s.told()
        equal(msg.sdp.rtp(), c.relay(s.name), f"told to {s.name}")
        s.accept(msg)
    c.is_relayed("OPERATOR")
    end(c)


def setup_fallback(lab):
    """other payload numbers in the answer: the caller is told the relay, the callee brought back"""
    offered = ((96, "opus/48000/2"), (101, "telephone-event/8000"))
    answered = ((97, "opus/48000/2"), (101, "telephone-event/8000"))
    c = set_up(lab, codecs=offered)
    c.b_sdp = sip.sdp(c.b_phone.ip, c.b_rtp.port, answered)
    c.answer()
    check(c.relay_a[0] == "10.91.1.1", "the relay's address answered to the caller:", c.relay_a)
    msg = c.sb.told()
    equal(msg.sdp.connection(), "10.91.2.1", "address told to the callee")
    c.relay_b = msg.sdp.rtp()
    c.b.reply(msg, 200, sip.sdp(c.b_phone.ip, c.b_rtp.port, answered, version=2))
    c.b.expect("ACK")
    shown = c.shows(path="relay", reason="PT_MISMATCH")
    check("setup_fallback" in [t["event"] for t in shown["trail"]], "trail:", shown["trail"])
    c.a_rtp.pt, c.b_rtp.pt = 97, 96     # what each was told
    c.a_rtp.start(c.relay_a)
    c.b_rtp.start(c.relay_b)
    end(c)


def device_that_breaks(lab):
    """the answer tells that the callee's device breaks on re-INVITE: none is sent, it stays out"""
    c = set_up(lab)
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=[("Server", "Fragile 1.0")])
    answer = c.a.expect(200)
    c.a.ack(answer)
    c.b.expect("ACK")
    equal(answer.sdp.rtp(), (c.b_phone.ip, c.b_rtp.port), "address answered to the caller")
    c.shows(path="direct", reason="DIRECT_SETUP")
    c.b.none("INVITE", seconds=0.5)
    c.a.none("INVITE")
    c.a.request("BYE")
    c.b.expect_bye()
    equal(c.a.expect("final").code, 200, "answer to BYE")


def no_setup_by_policy(lab):
    """canreinvite=no on a leg: the relay is offered as ever"""
    c = call(lab, prefix="8", b_ip="10.91.2.21").up().talk()
    equal((c.relay_a[0], c.relay_b[0]), ("10.91.1.1", "10.91.2.1"), "addresses told")
    end(c)


def refused_setup(lab):
    """the callee refuses: nothing is left"""
    c = set_up(lab)
    c.b.reply(c.b.invite, 486)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 486, "answer")
    c.gone()


TESTS = [direct_setup, setup_then_relay, setup_fallback, device_that_breaks, no_setup_by_policy,
         refused_setup]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
