#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timers (RFC 4028) on either leg by itself, with audio through it."""
import contextlib

import tap
from calls import call
from lab import Lab, config, nothing_left
from tap import equal

UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.start(config(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


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
    equal(ok.get("session-expires"), "1800;refresher=uac", "Session-Expires to the caller")
    equal(ok.get("require"), "timer", "Require to the caller")
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


TESTS = [each_leg_its_own, pitfall_60_too_small, pitfall_61_refreshed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
