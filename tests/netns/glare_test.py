#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Transactions and dialogs in each other's way: one test per pitfall of canreinvite.md 7.3."""

import sip
import tap
from calls import call
from lab import CALLEE, CALLER, nothing_left, running
from tap import check, equal


def make():
    return running()


def talking(lab, **kw):
    return call(lab, **kw).up().talk().heard(10)


def end_whole(c):
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def moved(lab, c):
    """The caller offers another port, where it hears already."""
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    c.a.reinvite(sip.sdp(CALLER, port, version=2))


def agreed(c, msg, timeout=3.0):
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, version=1))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200, timeout))
    c.a_rtp.use()


def pitfall_34_glare(lab):
    """491 to our re-INVITE: tried again by itself, with a number of its own; the caller waits"""
    c = talking(lab)
    moved(lab, c)
    first = c.b.expect("INVITE")
    c.b.reply(first, 491)
    c.b.expect("ACK")
    c.a.none(491, seconds=0.2)
    again = c.b.expect("INVITE", 5)
    equal(again.cseq[0], first.cseq[0] + 1, "CSeq of the second")
    equal(again.body, first.body, "description of the second")
    check(again.branch != first.branch, "branch of the second:", again.branch)
    agreed(c, again)
    end_whole(c)


def pitfall_34_their_offer(lab):
    """an offer of the far end's while ours is open: 491"""
    c = talking(lab)
    moved(lab, c)
    ours = c.b.expect("INVITE")
    theirs = c.b.request("INVITE", sip.sdp(CALLEE, c.b_rtp.port, version=2))
    final = c.b_phone.expect("final", call_id=c.b.call_id)
    equal((final.code, final.cseq), (491, theirs.cseq), "answer")
    c.b.invite = theirs
    c.b.ack(final)
    agreed(c, ours)
    end_whole(c)


def pitfall_35_no_end(lab):
    """491 for ever: four more attempts, then 491 to the one who asked; the call goes on"""
    c = call(lab, prefix="6", a_ip=CALLEE, b_ip=CALLER).up().talk().heard(10)
    # Who did not make the Call-ID waits the shorter time: the callee offers, the caller says 491.
    c.b.reinvite(sip.sdp(CALLER, c.b_rtp.port, direction="sendonly", version=2))
    numbers = []
    for _ in range(5):
        msg = c.a.expect("INVITE", 5)
        numbers.append(msg.cseq[0])
        c.a.reply(msg, 491)
        c.a.expect("ACK")
    equal(numbers, list(range(numbers[0], numbers[0] + 5)), "CSeq of the attempts")
    final = c.b.expect("final")
    c.b.ack(final)
    equal(final.code, 491, "answer")
    c.a.none("INVITE", seconds=2.1)
    end_whole(c)


def pitfall_36_overtaken_ack(lab):
    """500 with Retry-After (our re-INVITE overtook the ACK): tried once more"""
    c = talking(lab)
    moved(lab, c)
    c.b.reply(c.b.expect("INVITE"), 500, headers=[("Retry-After", "1")])
    c.b.expect("ACK")
    agreed(c, c.b.expect("INVITE"))
    end_whole(c)


def pitfall_36_only_once(lab):
    """500 with Retry-After twice: that is the answer"""
    c = talking(lab)
    offer = sip.sdp(CALLER, next(lab.media_ports), codecs=((9, "G722/8000"),), version=2)
    c.a.reinvite(offer)
    for _ in range(2):
        c.b.reply(c.b.expect("INVITE"), 500, headers=[("Retry-After", "1")])
        c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 500, "answer")
    end_whole(c)


def pitfall_37_second_invite(lab):
    """a second INVITE before the first is answered: 500 with Retry-After"""
    c = call(lab).ring()
    first = c.a.invite
    second = c.a.request("INVITE", c.a_sdp)
    final = c.a_phone.expect("final", call_id=c.a.call_id)
    equal((final.code, final.cseq), (500, second.cseq), "answer")
    check(0 <= int(final.get("retry-after", "-1")) <= 10, "Retry-After:", final.get("retry-after"))
    c.a.invite = second
    c.a.ack(final)
    c.a.invite = first
    c.answer().talk()
    end_whole(c)


def pitfall_38_repeated_200(lab):
    """the 200 to a re-INVITE comes again: the same ACK, and nothing else"""
    c = talking(lab)
    moved(lab, c)
    msg = c.b.expect("INVITE")
    ok = c.b.reply(msg, 200, c.b_sdp)
    ack = c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    c.a_rtp.use()
    c.b.phone.send(ok, msg.source)
    equal(c.b.expect("ACK", repeats=True).bytes(), ack.bytes(), "ACK again")
    c.b.none("INVITE", seconds=0.2)
    end_whole(c)


def pitfall_39_lost_ack(lab):
    """our 200 comes again while its ACK is lost; a new INVITE stands for it"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    ok = c.a.expect(200)
    c.b.expect("ACK")
    equal(c.a.expect(200, repeats=True).bytes(), ok.bytes(), "the 200 again")
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    equal(c.a.offer(c.a_sdp).sdp.text, ok.sdp.text, "answer to the same offer")
    c.a.none(200, seconds=1.2, repeats=True)
    c.talk()
    end_whole(c)


def pitfall_40_target_of_ack(lab):
    """ACK, then BYE, go to the Contact of the 200"""
    c = call(lab).ring()
    other = lab.phone(CALLEE, port=5064)
    ok = c.b.reply(c.b.invite, 200, c.b_sdp, send=False)
    ok.set("Contact", f"<sip:u20@{CALLEE}:5064>")
    c.b.phone.send(ok, c.b.invite.source)
    c.a.ack(c.a.expect(200))
    ack = other.expect("ACK")
    equal(ack.uri, f"sip:u20@{CALLEE}:5064", "request URI of the ACK")
    c.a.request("BYE")
    equal(c.a.expect("final").code, 200, "answer to BYE")
    c.b.reply(other.expect("BYE"), 200)
    c.gone()


def pitfall_41_lost_ack_with_answer(lab):
    """a late offer's answer is lost with its ACK: our 200 and the callee's come again, nobody is
    told an answer that nobody gave; then the answer goes on in the ACK, and once more if that is
    lost"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, None)
    c.b = c.b_phone.incoming(c.number)
    ok = c.b.reply(c.b.invite, 200, c.b_sdp)
    offer = c.a.expect(200)
    c.b.phone.send(ok, c.b.invite.source)
    equal(c.a.expect(200, repeats=True).bytes(), offer.bytes(), "our 200 again")
    c.b.none("ACK")
    equal(c.show()["a"]["signalled"], None, "signalled by the caller")
    c.a.ack(offer, c.a_sdp)
    first = c.b.expect("ACK")
    c.a_answer = offer.sdp
    equal(first.sdp.m()[3], c.a_answer.m()[3], "formats answered")
    c.b.phone.send(ok, c.b.invite.source)
    equal(c.b.expect("ACK", repeats=True).bytes(), first.bytes(), "ACK again")
    c.a.none(200, seconds=1.2, repeats=True)
    c.b_offer, c.relay_a, c.relay_b = first.sdp, offer.sdp.rtp(), first.sdp.rtp()
    c.talk()
    end_whole(c)


def pitfall_42_bye_crosses(lab):
    """BYE while a re-INVITE waits for its turn after 491: no INVITE after it"""
    c = talking(lab)
    c.quiet()
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    c.b.reply(c.b.expect("INVITE"), 491)
    c.b.expect("ACK")
    c.b.request("BYE")
    equal(c.b.expect("final").code, 200, "answer to BYE")
    finals = [c.a.expect("final")]
    c.a.ack(finals[0])
    equal(finals[0].code, 487, "answer to the re-INVITE")
    c.a.expect_bye()
    c.b.none("INVITE", seconds=4.2)
    c.gone()


def pitfall_43_hangup_in_offer(lab):
    """hangup while our re-INVITE is proceeding: BYE at once, a late 200 gets its ACK"""
    c = talking(lab)
    c.quiet()
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 100)
    lab.hang_up_all()
    c.b.expect_bye()
    c.b.reply(msg, 200, c.b_sdp)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 487, "answer to the re-INVITE")
    c.a.expect_bye()
    c.gone()


def pitfall_44_cancel_crosses_200(lab):
    """the caller's CANCEL crosses the callee's 200: 487 to the caller, ACK and BYE to the callee"""
    c = call(lab).ring()
    c.a.cancel()
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted((m.cseq[1], m.code) for m in finals), [("CANCEL", 200), ("INVITE", 487)], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    cancel = c.b.expect("CANCEL")
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.b.reply(cancel, 200)
    c.b.expect("ACK")
    c.b.expect_bye()
    c.gone()


def pitfall_45_what_ends(lab):
    """481 to a re-INVITE ends the call, 488, 500 and 603 do not"""
    for code in (488, 500, 603, 481):
        c = talking(lab)
        c.a.reinvite(sip.sdp(CALLER, next(lab.media_ports), codecs=((9, "G722/8000"),), version=2))
        c.b.reply(c.b.expect("INVITE"), code)
        c.b.expect("ACK")
        final = c.a.expect("final")
        c.a.ack(final)
        if code != 481:
            equal(final.code, code, "answer")
            end_whole(c)
        else:
            c.a.expect_bye()
            c.gone()
        lab.clear()


def pitfall_46_target_refresh(lab):
    """a Contact that changes in re-INVITE and 200: requests follow, the route set stays"""
    c = talking(lab)
    moves = {"a": lab.phone(CALLER, port=5066), "b": lab.phone(CALLEE, port=5066)}
    c.a.request("INVITE", c.a_sdp.replace(" 4711 1 IN", " 4711 2 IN") + "a=x-new:1\r\n",
                headers=[("Contact", f"<sip:u10@{CALLER}:5066>"),
                         ("Record-Route", "<sip:10.91.1.66;lr>")])
    msg = c.b.expect("INVITE")
    ok = c.b.reply(msg, 200, c.b_sdp, send=False)
    ok.set("Contact", f"<sip:u20@{CALLEE}:5066>")
    c.b.phone.send(ok, msg.source)
    equal(moves["b"].expect("ACK").uri, f"sip:u20@{CALLEE}:5066", "request URI of the ACK")
    answer = c.a.expect(200)
    c.a.ack(answer)
    c.heard(5).quiet()
    lab.hang_up_all()
    for side, dialog in (("a", c.a), ("b", c.b)):
        bye = moves[side].expect("BYE")
        equal(bye.get("route"), None, "Route of the BYE")
        dialog.reply(bye, 200)
    c.gone()


def pitfall_51_identity_update(lab):
    """the far end tells who is connected, by a re-INVITE into our open one: 491, and again later;
    by an UPDATE, which is no offer: at once; the caller is told as soon as its own is done"""
    identity = [("P-Asserted-Identity", "\"Bob\" <sip:+4930@example.net>")]
    c = talking(lab)
    moved(lab, c)
    ours = c.b.expect("INVITE")
    c.b.request("UPDATE", headers=identity)
    equal(c.b.expect("final").code, 200, "answer to the UPDATE")
    c.b.reinvite(c.b_sdp, headers=identity)
    final = c.b.expect("final")
    c.b.ack(final)
    equal(final.code, 491, "answer to the re-INVITE")
    agreed(c, ours)
    c.b.reinvite(c.b_sdp, headers=identity)
    final = c.b.expect("final")
    c.b.ack(final)
    equal((final.code, final.sdp.text), (200, ours.sdp.text), "the same later")
    told = c.a.expect("INVITE")
    equal(told.all("p-asserted-identity"), [identity[0][1]], "the caller is told who it is")
    c.a.reply(told, 200, sip.sdp(CALLER, c.a_rtp.port, version=2))
    c.a.expect("ACK")
    c.a.none("INVITE", seconds=0.2)
    end_whole(c)


def pitfall_53_loop(lab):
    """a request that comes back to us as it came before: 482; another way: a call like any other;
    one that may go no further: 483"""
    c = call(lab).ring()
    branch = c.b.invite.branch
    c.a_phone.call(c.number, c.a_sdp, via=f"{CALLER}:5060;rport", branch=branch)
    equal(c.a_phone.expect("final").code, 482, "answer to the loop")
    phone = c.b_phone
    phone.call("61000", c.b_sdp, via=f"{CALLEE}:5060;rport", branch=branch)
    spiral = c.a_phone.incoming("61000")
    spiral.reply(spiral.invite, 486)
    equal(phone.expect("final").code, 486, "answer to what came another way")
    phone.call("61000", c.b_sdp, headers=[("Max-Forwards", "0")])
    equal(phone.expect("final").code, 483, "answer to what may go no further")
    c.answer().talk()
    end_whole(c)


def pitfall_54_duplicate_invite(lab):
    """the same INVITE twice: one call"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.a_phone.send(c.a.invite)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    c.a_phone.send(c.a.invite)
    c.a.expect(180, repeats=True)
    c.b_phone.none("INVITE", seconds=0.2)
    equal(len(lab.calls()), 1, "calls")
    c.answer().talk()
    end_whole(c)


def bye_before_ack(lab):
    """BYE of the callee's before the caller's ACK: the caller's BYE waits for it (RFC 3261 15)"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    ok = c.a.expect(200)
    c.b.expect("ACK")
    c.b.bye()
    c.a.none("BYE", seconds=0.2)
    c.a.ack(ok)
    c.a.expect_bye()
    c.gone()


def retry_after_passed(lab):
    """503 with Retry-After of the callee's: so to the caller"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 503, headers=[("Retry-After", "17")])
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal((final.code, final.get("retry-after")), (503, "17"), "answer")
    c.gone()


def queued_behind_open(lab):
    """the callee's ACK is outstanding: the caller's offer waits for it, then goes out"""
    c = talking(lab)
    c.b.reinvite(sip.sdp(CALLEE, c.b_rtp.port, version=2, extra=["a=x-new:1"]))
    c.a.reply(c.a.expect("INVITE"), 200, c.a_sdp)
    c.a.expect("ACK")
    ok = c.b.expect(200)
    moved(lab, c)
    c.b.none("INVITE", seconds=0.2)
    c.b.ack(ok)
    agreed(c, c.b.expect("INVITE"))
    end_whole(c)


TESTS = [pitfall_34_glare, pitfall_34_their_offer, pitfall_35_no_end, pitfall_36_overtaken_ack,
         pitfall_36_only_once, pitfall_37_second_invite, pitfall_38_repeated_200,
         pitfall_39_lost_ack, pitfall_40_target_of_ack, pitfall_41_lost_ack_with_answer,
         pitfall_42_bye_crosses, pitfall_43_hangup_in_offer, pitfall_44_cancel_crosses_200,
         pitfall_45_what_ends, pitfall_46_target_refresh, pitfall_51_identity_update,
         pitfall_53_loop, pitfall_54_duplicate_invite, bye_before_ack, retry_after_passed,
         queued_behind_open]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
