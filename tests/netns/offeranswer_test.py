#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Offers and answers in every place that SIP has for them (RFC 3264, 6337); audio through it."""

import sip
import tap
from calls import call, relayed
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, nothing_left, running
from tap import check, equal

ALAW = ((8, "PCMA/8000"),)
VIDEO = ["m=video 5004 RTP/AVP 99", "a=rtpmap:99 H264/90000"]


def make():
    return running()


def end_whole(c):
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def asked(lab, **kw):
    """A call whose INVITE has no offer, up to the callee's INVITE."""
    c = call(lab, **kw)
    c.a = c.a_phone.call(c.number, None)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    equal(c.b.invite.body, b"", "body of the INVITE to the callee")
    c.b.reply(c.b.invite, 180)
    equal(c.a.expect(180).body, b"", "body of the 180")
    return c


def late_offer(lab, **kw):
    """The same, up to the ACK that carries the answer."""
    c = asked(lab, **kw)
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.ok = c.a.expect(200)
    c.a_answer = c.ok.sdp
    c.relay_a = c.a_answer.rtp()
    relayed(c.a_answer, INSIDE)
    return c


def late_answer(c):
    c.b.none("ACK", seconds=0.1)
    c.a.ack(c.ok, c.a_sdp)
    c.b_offer = c.b.expect("ACK").sdp
    c.relay_b = c.b_offer.rtp()
    relayed(c.b_offer, OUTSIDE)
    return c


def offer_in_200(lab):
    """INVITE without an offer: it comes in the callee's 200, the answer in the caller's ACK"""
    c = late_answer(late_offer(lab)).talk().heard(20)
    equal(c.show()["a"]["signalled"], f"{CALLER}:{c.a_rtp.port}", "signalled by a")
    end_whole(c)


def offer_in_200_repeated(lab):
    """the callee's 200 comes again before the caller answered: no ACK yet, then the same ACK"""
    c = late_offer(lab)
    ok = c.b.reply(c.b.invite, 200, c.b_sdp, send=False)
    c.b.phone.send(ok, c.b.invite.source)
    late_answer(c)
    first = c.b.phone.trace[-1][2]
    c.b.phone.send(ok, c.b.invite.source)
    equal(c.b.expect("ACK", repeats=True).bytes(), first.bytes(), "ACK to the repeated 200")
    c.talk()
    end_whole(c)


def no_answer_in_ack(lab):
    """the caller's ACK has no answer: both get BYE"""
    c = late_offer(lab)
    c.a.ack(c.ok)
    equal(c.b.expect("ACK").body, b"", "body of the ACK")
    c.b.expect_bye()
    c.a.expect_bye()
    c.gone()


def late_offer_refused(lab):
    """INVITE without an offer, refused by the callee"""
    c = asked(lab)
    c.b.reply(c.b.invite, 486)
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 486, "answer")
    c.gone()


def no_offer_in_200(lab):
    """INVITE without an offer, 200 without one: BYE to the callee, 488 to the caller"""
    c = asked(lab)
    c.b.reply(c.b.invite, 200)
    c.b.expect("ACK")
    c.b.expect_bye()
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer")
    c.gone()


def sides(c, side):
    a, b = (c.a, c.a_rtp, c.a_phone), (c.b, c.b_rtp, c.b_phone)
    return a + b[:2] if side == "a" else b + a[:2]


def asked_again(lab, side):
    c = call(lab).up().talk().heard(10)
    me, end, phone, other, other_end = sides(c, side)
    me.reinvite(None)
    msg = other.expect("INVITE")
    equal(msg.body, b"", "body of the re-INVITE passed on")
    other.reply(msg, 200, sip.sdp(other.phone.ip, other_end.port, version=2))
    ok = me.expect(200)
    relayed(ok.sdp, INSIDE if side == "a" else OUTSIDE)
    other.none("ACK", seconds=0.1)
    port = next(lab.media_ports)
    end.open(port)
    me.ack(ok, sip.sdp(phone.ip, port, version=2))
    relayed(other.expect("ACK").sdp, OUTSIDE if side == "a" else INSIDE)
    end.use()
    c.heard(20)
    equal(c.show()[side]["signalled"], f"{phone.ip}:{port}", "signalled")
    end_whole(c)


def pitfall_48_offerless_by_caller(lab):
    """re-INVITE without an offer: the callee's offer, answered with a move in the caller's ACK"""
    asked_again(lab, "a")


def pitfall_48_offerless_by_callee(lab):
    """re-INVITE without an offer by the callee"""
    asked_again(lab, "b")


def pitfall_48_keepalive(lab):
    """canreinvite=no: what is in force is offered, same version; the other leg hears nothing"""
    c = call(lab, prefix="8", b_ip="10.91.2.21").up().talk().heard(10)
    for _ in range(2):
        c.a.reinvite(None)
        ok = c.a.expect(200)
        equal(ok.sdp.text, c.a_answer.text, "description")
        c.a.ack(ok, c.a_sdp)
    c.b.none("INVITE", seconds=0.2)
    end_whole(c)


def pitfall_48_on_hold(lab):
    """a full offer to the one who holds: it may resume by its answer, or stay on hold"""
    c = call(lab, prefix="8", b_ip="10.91.2.21").up().talk().heard(10)
    versions = [c.a_answer.version]
    held = sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2)
    equal(c.a.offer(held).sdp.direction(), "recvonly", "answer to hold")
    for answer in (held, c.a_sdp):
        c.a.reinvite(None)
        ok = c.a.expect(200)
        equal(ok.sdp.direction(), "sendrecv", "direction offered")
        versions.append(ok.sdp.version)
        c.a.ack(ok, answer)
    equal([v - versions[0] for v in versions], [0, 2, 2], "versions of our o=")
    c.heard(10)
    end_whole(c)


def pitfall_49_no_answer(lab):
    """re-INVITE without an offer and without an answer: all stays as it was"""
    for prefix, b_ip in (("7", CALLEE), ("8", "10.91.2.21")):
        c = call(lab, prefix=prefix, b_ip=b_ip).up().talk().heard(10)
        c.a.reinvite(None)
        if prefix == "7":
            c.b.reply(c.b.expect("INVITE"), 200, c.b_sdp)
        ok = c.a.expect(200)
        c.a.ack(ok)
        if prefix == "7":
            equal(c.b.expect("ACK").sdp.rtp(), c.relay_b, "answer of ours to the callee")
        equal(c.show()["a"]["signalled"], f"{CALLER}:{c.a_rtp.port}", "signalled")
        end_whole(c)
        lab.clear()


def offerless_refused(lab):
    """re-INVITE without an offer, refused by the other side: what is in force is offered"""
    c = call(lab).up().talk().heard(10)
    c.a.reinvite(None)
    c.b.reply(c.b.expect("INVITE"), 488)
    c.b.expect("ACK")
    ok = c.a.expect(200)
    equal(ok.sdp.text, c.a_answer.text, "description")
    c.a.ack(ok, c.a_sdp)
    end_whole(c)


def offerless_cancelled(lab):
    """CANCEL of a re-INVITE without an offer: the other side's offer gets an answer all the same"""
    c = call(lab).up().talk().heard(10)
    c.a.reinvite(None)
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 100)
    c.a.cancel()
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted((m.cseq[1], m.code) for m in finals), [("CANCEL", 200), ("INVITE", 487)], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    c.b.reply(msg, 200, c.b_sdp)
    equal(c.b.expect("ACK").sdp.rtp(), c.relay_b, "answer to the callee")
    end_whole(c)


def other_codecs(lab):
    """a re-INVITE that changes codecs, and back"""
    c = call(lab).up().talk().heard(10)
    for version, codecs in ((2, ALAW), (3, sip.CODECS)):
        c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, codecs, version=version))
        msg = c.b.expect("INVITE")
        formats = [str(pt) for pt, _ in codecs]
        equal(msg.sdp.m()[3], formats, "formats offered to the callee")
        c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, codecs, version=version))
        c.b.expect("ACK")
        ok = c.a.expect(200)
        equal(ok.sdp.m()[3], formats, "formats answered to the caller")
        c.a.ack(ok)
        c.heard(10)
    end_whole(c)


def lines(description):
    """Kind of each m= line, and whether it is refused."""
    return [(kind, port == 0) for kind, port, *_ in
            (description.m(i) for i in range(len(description.media)))]


def with_video(c, dialog, end, version):
    return sip.sdp(dialog.phone.ip, end.port, version=version, media=[VIDEO])


def pitfall_27_lines_kept(lab):
    """lines refused once are in every later offer and answer to that leg, at their places (RFC
    3264 8), whoever offers; offered anew, they are offered anew"""
    c = call(lab, a_kw={"media": [VIDEO]}).up().talk()
    both, one = [("audio", False), ("video", True)], [("audio", False)]
    offered = [("audio", False), ("video", False)]
    equal((lines(c.b_offer), lines(c.a_answer)), (offered, both), "told at set-up")
    c.b.reinvite(sip.sdp(CALLEE, c.b_rtp.port, version=2, direction="sendonly"))
    offer = c.a.expect("INVITE")
    equal(lines(offer.sdp), both, "offer to the caller")
    equal(offer.sdp.m(1)[3], c.a_answer.m(1)[3], "formats of the refused line")
    c.a.reply(offer, 200, sip.sdp(CALLER, c.a_rtp.port, version=2, direction="recvonly",
                                  media=[("m=video 0 RTP/AVP 96",)]))
    c.a.expect("ACK")
    answer = c.b.expect("final")
    c.b.ack(answer)
    equal((answer.code, lines(answer.sdp)), (200, one), "answer to the callee")
    c.a.reinvite(with_video(c, c.a, c.a_rtp, 3))
    offer = c.b.expect("INVITE")
    equal(lines(offer.sdp), offered, "offer to the callee")
    c.b.reply(offer, 200, sip.sdp(CALLEE, c.b_rtp.port, version=3))
    c.b.expect("ACK")
    answer = c.a.expect("final")
    c.a.ack(answer)
    equal((answer.code, lines(answer.sdp)), (200, both), "answer to the caller")
    end_whole(c)


def pitfall_27_lines_added(lab):
    """a line that the callee adds is refused, and kept in what it is offered later"""
    c = call(lab).up().talk()
    c.b.reinvite(with_video(c, c.b, c.b_rtp, 2))
    offer = c.a.expect("INVITE")
    equal(lines(offer.sdp), [("audio", False), ("video", False)], "offer to the caller")
    c.a.reply(offer, 200, c.a_sdp)
    c.a.expect("ACK")
    answer = c.b.expect("final")
    c.b.ack(answer)
    equal(lines(answer.sdp), [("audio", False), ("video", True)], "answer to the callee")
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=2, direction="inactive"))
    offer = c.b.expect("INVITE")
    equal(lines(offer.sdp), [("audio", False), ("video", True)], "later offer to the callee")
    c.b.reply(offer, 200, sip.sdp(CALLEE, c.b_rtp.port, version=3, direction="inactive",
                                  media=[("m=video 0 RTP/AVP 96",)]))
    c.b.expect("ACK")
    answer = c.a.expect("final")
    c.a.ack(answer)
    equal(lines(answer.sdp), [("audio", False)], "answer to the caller")
    end_whole(c)


def pitfall_27_fewer_lines_in_answer(lab):
    """an answer with fewer m= lines: the missing ones are refused towards the caller"""
    c = call(lab, a_kw={"media": [VIDEO]}).up()
    equal(len(c.a_answer.media), 2, "m= lines told to the caller")
    equal(c.a_answer.m(1)[1], 0, "port of the second line")
    c.talk()
    end_whole(c)


def unusable_lines_in_answer(lab):
    """an answer whose only line is refused: BYE to the callee, 488 to the caller"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp.replace(f"m=audio {c.b_rtp.port} ", "m=audio 0 "))
    c.b.expect("ACK")
    c.b.expect_bye()
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer")
    c.gone()


def early_again(lab):
    """several descriptions before the answer: media follows the latest, one o= identity"""
    c = call(lab).ring()
    seen = []
    for version in (1, 2):
        c.b.reply(c.b.invite, 183, c.b_sdp.replace(" 4711 1 IN", f" 4711 {version} IN"))
        seen.append(c.a.expect(183).sdp if not seen else c.a.expect(183, repeats=True).sdp)
    equal(seen[1].text, seen[0].text, "the same description again")
    c.answer().talk()
    equal(c.a_answer.text, seen[0].text, "and once more in the 200")
    check(c.a_answer.origin_id == seen[0].origin_id, "identity of our o=")
    end_whole(c)


TESTS = [offer_in_200, offer_in_200_repeated, no_answer_in_ack, late_offer_refused,
         no_offer_in_200, pitfall_48_offerless_by_caller, pitfall_48_offerless_by_callee,
         pitfall_48_keepalive, pitfall_48_on_hold, pitfall_49_no_answer, offerless_refused,
         offerless_cancelled, other_codecs, pitfall_27_fewer_lines_in_answer, pitfall_27_lines_kept,
         pitfall_27_lines_added, unusable_lines_in_answer, early_again]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
