#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct calls in which one side offers what cannot be direct: a fax, or one more line. One offer
and its answer bring both back (canreinvite.md 6.4); refused, the call stays direct."""
import moving
import sip
import tap
from lab import CALLEE, CALLER, nothing_left
from lines import FIRST_BYTES, Raw, audio, describe, fax, told, video
from moving import call
from tap import check, equal


def make():
    return moving.make()


def offer(c, side, lines, answer=None, code=200):
    """That side offers, the other answers; (what the other was told, the final response)."""
    me, other = (c.sa, c.sb) if side == "a" else (c.sb, c.sa)
    me.version += 1
    other.version += 1
    me.dialog.reinvite(describe(me.ip, lines, me.version))
    msg = other.told()
    other.dialog.reply(msg, code, answer and describe(other.ip, answer, other.version))
    other.dialog.expect("ACK")
    final = me.dialog.expect("final")
    me.dialog.ack(final)
    equal(final.code, code, "answer to the re-INVITE")
    return msg.sdp, final.sdp


def fax_brings_back(lab, side):
    c = call(lab).direct()
    c.a_rtp.stop()
    c.b_rtp.stop()
    a, b = Raw(lab, CALLER), Raw(lab, CALLEE)
    ports = {"a": a.port, "b": b.port}
    other = "b" if side == "a" else "a"
    passed, answered = offer(c, side, [fax(ports[side])], [fax(ports[other])])
    equal((told(passed), told(answered)), ([("image", True)],) * 2, "lines told")
    equal((passed.rtp(), answered.rtp()), (c.relay(other), c.relay(side)), "the relay is told")
    c.shows(path="relay", reason="T38")
    a.reaches(b, c.relay_a)
    b.reaches(a, c.relay_b)
    for name, data in FIRST_BYTES.items():
        b.hears(data, a, c.relay_a, c.relay_b, f"{name} from the caller")
        a.hears(data, b, c.relay_b, c.relay_a, f"{name} from the callee")
    for dialog in (c.a, c.b):
        dialog.none("INVITE")
    # The fax is over: the audio comes back, and goes out again.
    own = {"a": c.a_rtp.port, "b": c.b_rtp.port}
    offer(c, side, [audio(own[side], (0, 8))], [audio(own[other], (0, 8))])
    c.shows(path="moving")
    first, second = c.sb.told(), None
    equal(first.sdp.rtp(), c.address("a"), "address told to b")
    c.sb.dialog.reply(first, 200, describe(CALLEE, [audio(own["b"])], 9))
    c.sb.dialog.expect("ACK")
    second = c.sa.told()
    equal(second.sdp.rtp(), c.address("b"), "address told to a")
    c.sa.dialog.reply(second, 200, describe(CALLER, [audio(own["a"])], 9))
    c.sa.dialog.expect("ACK")
    c.is_direct()
    c.hang_up().gone()


def fax_of_the_caller(lab):
    """T38: the caller's fax returns a direct call in one offer, and the audio after it goes out"""
    fax_brings_back(lab, "a")


def fax_of_the_callee(lab):
    """T38: the same of the callee's"""
    fax_brings_back(lab, "b")


def fax_refused(lab):
    """T38 refused with 488: the call stays direct, nobody is told anything else"""
    c = call(lab).direct()
    passed, _ = offer(c, "a", [fax(4000)], code=488)
    equal(passed.rtp(), c.relay_b, "told to b")
    shown = c.is_direct()
    equal((shown["a"]["told"], shown["b"]["told"]),
          ("%s:%d" % c.address("b"), "%s:%d" % c.address("a")), "told")
    for dialog in (c.a, c.b):
        dialog.none("INVITE", seconds=0.5)
    c.heard(10).lost()
    c.hang_up().gone()


def fax_withdrawn(lab):
    """CANCEL of it, which the other leg heeds (487): direct still"""
    c = call(lab).direct()
    c.a.reinvite(describe(CALLER, [fax(4000)], 3))
    msg = c.sb.told()
    c.b.reply(msg, 180)
    c.a.phone.expect(100, call_id=c.a.call_id)
    c.a.cancel()
    c.b.reply(c.b.expect("CANCEL"), 200)
    c.b.reply(msg, 487)
    c.b.expect("ACK")
    c.a.expect(200)
    final = c.a.expect(487)
    c.a.ack(final)
    c.is_direct()
    c.heard(10).lost()
    c.hang_up().gone()


def second_line(lab):
    """MULTI_M: video beside the audio returns a direct call; without it, it goes out again"""
    c = call(lab).direct()
    own = c.a_rtp.port, c.b_rtp.port
    sight = lab.end(CALLER, pt=97), lab.end(CALLEE, pt=97)
    passed, answered = offer(c, "a", [audio(own[0]), video(sight[0].port)],
                             [audio(own[1]), video(sight[1].port)])
    equal((told(passed), told(answered)), ([("audio", True), ("video", True)],) * 2, "lines told")
    equal((passed.rtp(), answered.rtp()), (c.relay_b, c.relay_a), "the relay of the audio")
    c.a_rtp.aim(answered.rtp())
    c.b_rtp.aim(passed.rtp())
    c.shows(path="relay", reason="MULTI_M")
    sight[0].start(answered.rtp(1))
    sight[1].start(passed.rtp(1))
    c.heard(10)
    tap.wait_for(lambda: min(len(e.rtp.got) for e in sight) > 10, 5, "video")
    for end in sight:
        end.stop()
    offer(c, "b", [audio(own[1]), video(0)], [audio(own[0]), video(0)])
    first = c.sb.told()
    equal((first.sdp.rtp(), told(first.sdp)),
          (c.address("a"), [("audio", True), ("video", False)]), "told to b")
    c.sb.follow(first.sdp)
    c.b.reply(first, 200, describe(CALLEE, [audio(own[1]), video(0)], 8))
    c.b.expect("ACK")
    second = c.sa.told()
    equal(second.sdp.rtp(), c.address("b"), "told to a")
    c.sa.follow(second.sdp)
    c.a.reply(second, 200, describe(CALLER, [audio(own[0]), video(0)], 8))
    c.a.expect("ACK")
    c.is_direct()
    c.heard(10)
    check(not [f for f in lab.flows() if f["call"] == c.show()["id"]], "no flow is left")
    c.hang_up().gone()


TESTS = [fax_of_the_caller, fax_of_the_callee, fax_refused, fax_withdrawn, second_line]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
