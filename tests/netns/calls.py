# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls between scripted phones through the node, with numbered audio.

RING=0.1 in the environment lets the callee ring so many seconds; none by default, the hardest case.
"""
import os
import time

import rtp
import sip
from lab import CALLEE, CALLER, INSIDE, OUTSIDE
from netns import text
from tap import check, equal, wait_for

RING = float(os.environ.get("RING", "0"))


class Call:
    """Both halves of a call: a (caller) and b (callee) dialogs, their RTP ends, what each was told.

    `relay_a`, `relay_b`: (address, port) of the relay as written into that leg's description.
    """

    def __init__(self, lab, a_phone, b_phone, number, codecs=sip.CODECS, a_kw=None, b_kw=None):
        self.lab, self.number = lab, number
        self.a_phone, self.b_phone = a_phone, b_phone
        self.a_rtp, self.b_rtp = lab.end(a_phone.ip), lab.end(b_phone.ip)
        self.a_sdp = sip.sdp(a_phone.ip, self.a_rtp.port, codecs, **(a_kw or {}))
        self.b_sdp = sip.sdp(b_phone.ip, self.b_rtp.port, codecs, **(b_kw or {}))
        self.relay_a = self.relay_b = None

    def ring(self, headers=()):
        """INVITE, 100, INVITE at the callee, 180 at the caller."""
        self.a = self.a_phone.call(self.number, self.a_sdp, headers=headers)
        self.a.expect(100)
        self.b = self.b_phone.incoming(self.number)
        self.b_offer = self.b.invite.sdp
        self.relay_b = self.b_offer.rtp()
        self.b.reply(self.b.invite, 180)
        self.a.expect(180)
        return self

    def answer(self):
        time.sleep(RING)
        self.b.reply(self.b.invite, 200, self.b_sdp)
        self.a_answer = self.a.expect(200).sdp
        self.relay_a = self.a_answer.rtp()
        self.a.ack(self.phone_final())
        self.b.expect("ACK")
        return self

    def phone_final(self):
        """The 200 last heard by the caller, for its ACK."""
        return next(m for _, d, m, _ in reversed(self.a_phone.trace)
                    if d == "<" and m.code == 200 and m.call_id == self.a.call_id)

    def up(self):
        return self.ring().answer()

    def talk(self, pps=50):
        self.a_rtp.start(self.relay_a, self.a_answer.rtcp(), pps)
        self.b_rtp.start(self.relay_b, self.b_offer.rtcp(), pps)
        return self

    def heard(self, more, timeout=5.0):
        """Waits until each side heard so many further RTP packets."""
        want = [len(e.rtp.got) + more for e in (self.a_rtp, self.b_rtp)]
        wait_for(lambda: len(self.a_rtp.rtp.got) >= want[0] and len(self.b_rtp.rtp.got) >= want[1],
                 timeout, lambda: f"{more} more packets on both sides: a heard "
                 f"{len(self.a_rtp.rtp.got)} of {want[0]}, b {len(self.b_rtp.rtp.got)} "
                 f"of {want[1]}")
        return self

    def quiet(self):
        rtp.settle(self.a_rtp, self.b_rtp)
        return self

    def whole(self, rtcp=True, sources=True):
        """Nothing was lost, doubled, reordered or changed; all came from the relay's address."""
        rtp.expect_whole(self.a_rtp, self.b_rtp, self.relay_b if sources else None, rtcp, "a to b")
        rtp.expect_whole(self.b_rtp, self.a_rtp, self.relay_a if sources else None, rtcp, "b to a")
        return self

    def show(self):
        """The node's view of this call."""
        found = [c for c in self.lab.calls() if c["a"]["call_id"] == self.a.call_id]
        equal(len(found), 1, "calls shown with the caller's Call-ID")
        return found[0]

    def flows(self):
        """{"a": flow in from the caller, "a_rtcp":, "b":, "b_rtcp":}."""
        flows = {f["local"]: f for f in self.lab.flows()}

        def at(address):
            return flows.get(text(address))
        return {"a": at(self.relay_a), "a_rtcp": at((self.relay_a[0], self.relay_a[1] + 1)),
                "b": at(self.relay_b), "b_rtcp": at((self.relay_b[0], self.relay_b[1] + 1))}

    def hang_up(self):
        """The caller does; both sides see it through."""
        self.a.request("BYE")
        self.b.expect_bye()
        equal(self.a.expect("final").code, 200, "answer to BYE")
        return self

    def gone(self, timeout=3.0):
        """No flow and no call of it within 3 s of its end."""
        ports = {text((r[0], r[1] + i)) for r in (self.relay_a, self.relay_b) if r for i in (0, 1)}
        wait_for(lambda: not [f for f in self.lab.flows() if f["local"] in ports], timeout,
                 "flows gone after the end of the call")
        wait_for(lambda: not [c for c in self.lab.calls() if c["a"]["call_id"] == self.a.call_id],
                 timeout, "call gone")
        return self


def phones(lab):
    return lab.phone(CALLER, user="alice"), lab.phone(CALLEE, user="bob")


def call(lab, prefix="7", a_ip=CALLER, b_ip=CALLEE, **kw):
    """Two phones and the call between them, not yet placed."""
    return Call(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix), **kw)


def relayed(description, realm_ip):
    """The description names the relay at this realm, RTP on an even port and RTCP behind it."""
    ip, port = description.rtp()
    equal(ip, realm_ip, "relay address")
    check(port % 2 == 0, "RTP port is even:", port)
    equal(description.rtcp(), (ip, port + 1), "RTCP address")


__all__ = ["Call", "call", "phones", "relayed", "INSIDE", "OUTSIDE"]
