#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timers (RFC 4028) on either leg by itself, with audio through it."""

import sip
import tap
from calls import call
from lab import CALLER, PEERS, config, nothing_left, running
from tap import check, equal

MORE = """
[otto]
type = peer
realm = outside
host = 10.91.2.23
canreinvite = yes
session-timers = originate
session-expires = 90
[rita]
type = peer
realm = outside
host = 10.91.2.24
canreinvite = yes
session-timers = refuse
[to-otto]
type = route
match = _9X.
to = otto
[to-rita]
type = route
match = _1X.
to = rita
"""
CALLEE_O = "10.91.2.23"
UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")


def make():
    return running(lambda lab: config(lab, peers=PEERS + MORE), addresses=5)


def negotiated(lab, ask, grant, **kw):
    """A call with such headers in the INVITE and in the callee's 200; the answer to the caller."""
    c = call(lab, **kw)
    c.a = c.a_phone.call(c.number, c.a_sdp, headers=ask)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=grant)
    ok = c.a.expect(200)
    c.a.ack(ok)
    c.b.expect("ACK")
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    return c, ok


def end_whole(c):
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def each_leg_its_own(lab):
    """what the caller asks for is granted to it, and not asked of the callee"""
    c, ok = negotiated(lab, [("Supported", "timer"), ("Session-Expires", "1800")], [])
    equal(c.b.invite.get("session-expires"), None, "Session-Expires to the callee")
    equal(c.b.invite.get("supported"), "timer", "Supported to the callee")
    equal(ok.get("session-expires"), "1800;refresher=uas", "Session-Expires to the caller")
    c.talk()
    c.a.request("UPDATE", headers=[("Supported", "timer"),
                                   ("Session-Expires", "1800;refresher=uac")])
    answer = c.a.expect("final")
    equal((answer.code, answer.get("session-expires")), (200, "1800;refresher=uac"), "refresh")
    equal(c.a.offer(c.a_sdp).sdp.text, c.a_answer.text, "refresh by re-INVITE")
    c.b.none("INVITE", seconds=0.1)
    c.b.none("UPDATE")
    end_whole(c)


def pitfall_60_too_small(lab):
    """an interval below 90 s: 422 with Min-SE, nothing to the callee"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp, headers=[("Supported", "timer"),
                                                     ("Session-Expires", "60")])
    final = c.a.expect("final")
    c.a.ack(final)
    equal((final.code, final.get("min-se")), (422, "90"), "answer")
    c.b_phone.none("INVITE", seconds=0.1)


def pitfall_60_refusal_stays(lab):
    """422 of the callee to an INVITE that asked for no timer is not the caller's affair: 480"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    c.b.reply(c.b.invite, 422, headers=[("Min-SE", "600")])
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal((final.code, final.get("min-se")), (480, None), "answer to the caller")


def pitfall_61_refreshed(lab):
    """both legs refreshed by us, by UPDATE and by re-INVITE with the description in force, byte for
    byte; the audio does not notice"""
    c, ok = negotiated(lab, [("Supported", "timer"), UPDATES,
                             ("Session-Expires", "90;refresher=uas")],
                       [("Session-Expires", "90;refresher=uac"), ("Require", "timer")])
    equal(ok.get("session-expires"), "90;refresher=uas", "Session-Expires to the caller")
    c.talk()
    update = c.a.expect("UPDATE", 60)
    equal(update.body, b"", "body of the UPDATE")
    equal(update.get("session-expires"), "90;refresher=uac", "Session-Expires of the UPDATE")
    c.a.reply(update, 200, headers=[("Session-Expires", "90;refresher=uac")])
    again = c.b.expect("INVITE", 20)
    equal(again.sdp.text, c.b_offer.text, "description in the re-INVITE")
    equal(again.get("session-expires"), "90;refresher=uac", "Session-Expires of the re-INVITE")
    c.b.reply(again, 200, c.b_sdp, headers=[("Session-Expires", "90;refresher=uac")])
    c.b.expect("ACK")
    end_whole(c)


def asked_for_by_us(lab):
    """originate: the callee is asked for a timer, refuses the interval, and is asked again; the
    caller hears nothing of this"""
    end_whole(originated(lab)[0])


def originated(lab):
    """Such a call, whose callee knows nothing of timers in the end, and our INVITE to it."""
    c = call(lab, "9", b_ip=CALLEE_O)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    first = c.b.invite
    equal((first.get("session-expires"), first.get("min-se")), ("90;refresher=uas", "90"), "asked")
    c.b.reply(first, 422, headers=[("Min-SE", "91")])
    c.b.expect("ACK")
    again = c.b.expect("INVITE")
    equal((again.get("session-expires"), again.get("min-se")), ("91;refresher=uas", "91"), "again")
    equal(again.cseq[0], first.cseq[0] + 1, "CSeq")
    equal(again.sdp.text, first.sdp.text, "description")
    c.b_offer, c.relay_b = again.sdp, again.sdp.rtp()
    c.b.reply(again, 200, c.b_sdp)
    c.b.expect("ACK")
    ok = c.a.expect(200)
    equal(ok.get("session-expires"), None, "Session-Expires to the caller")
    c.a.ack(ok)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    return c.talk(), again


def pitfall_26_refresh_after_change(lab):
    """what a refresh tells is what is in force, not what was at set-up"""
    c, invite = originated(lab)
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=2, direction="sendonly"))
    offer = c.b.expect("INVITE")
    check(offer.sdp.text != invite.sdp.text, "the change changes nothing")
    c.b.reply(offer, 200, sip.sdp(CALLEE_O, c.b_rtp.port, version=2, direction="recvonly"))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    refresh = c.b.expect("INVITE", 60)
    equal(refresh.sdp.text, offer.sdp.text, "description of the refresh")
    equal(refresh.get("session-expires"), "91;refresher=uac", "Session-Expires of the refresh")
    c.b.reply(refresh, 200, sip.sdp(CALLEE_O, c.b_rtp.port, version=2, direction="recvonly"))
    c.b.expect("ACK")
    c.a.none("INVITE")
    end_whole(c)


def refused(lab):
    """refuse: no timer is offered, and a request that requires one gets 420"""
    c = call(lab, "1", b_ip="10.91.2.24")
    c.ring()
    equal(c.b.invite.get("supported"), "", "Supported")
    equal(c.b.invite.get("session-expires"), None, "Session-Expires")
    c.answer().talk()
    c.b.reinvite(c.b_sdp, headers=[("Require", "timer"), ("Session-Expires", "90")])
    final = c.b.expect("final")
    c.b.ack(final)
    equal((final.code, final.get("unsupported")), (420, "timer"), "answer")
    end_whole(c)


TESTS = [each_leg_its_own, pitfall_60_too_small, pitfall_60_refusal_stays, pitfall_61_refreshed,
         asked_for_by_us, pitfall_26_refresh_after_change, refused]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
