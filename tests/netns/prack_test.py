#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Before the answer: reliable responses (RFC 3262), UPDATE (RFC 3311), forks; audio through it."""

import rtp
import sip
import tap
from calls import call, relayed
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, nothing_left, running
from phone import Dialog
from sip import token
from tap import check, equal

REL = [("Supported", "100rel")]
ONLY = [("Require", "100rel")]
ALLOW = [("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK")]


def make():
    return running()


def end_whole(c):
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def placed(lab, headers=REL, offer=True, **kw):
    """A call up to the INVITE at the callee."""
    c = call(lab, **kw)
    c.a = c.a_phone.call(c.number, c.a_sdp if offer else None, headers=list(headers) + ALLOW)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp() if offer else None
    return c


def reliably(c, code, sdp=None, rseq=1, allow=True):
    """The callee's reliable response, and its PRACK."""
    headers = [("Require", "100rel"), ("RSeq", str(rseq))] + (ALLOW if allow else [])
    c.b.reply(c.b.invite, code, sdp, headers=headers)
    return c


def pracked(c, rseq=1, answer=True):
    msg = c.b.expect("PRACK")
    equal(msg.get("rack"), f"{rseq} {c.b.invite.cseq[0]} INVITE", "RAck")
    if answer:
        c.b.reply(msg, 200)
    return msg


def prack(c, response, sdp=None):
    """The caller's."""
    equal(response.get("require"), "100rel", "Require of the reliable response")
    rack = f"{response.get('rseq')} {response.get('cseq')}"
    return c.a.request("PRACK", sdp, headers=[("RAck", rack)])


def accepted(c, what):
    answer = c.a.expect("final")
    equal((answer.cseq[1], answer.code), (what, 200), "answer")
    return answer


def answered(c, sdp=None):
    """The callee's 200, with or without a description, up to the ACK."""
    c.b.reply(c.b.invite, 200, sdp)
    ok = c.a.expect(200)
    c.a.ack(ok)
    c.b.expect("ACK")
    return ok


def settled(lab, **kw):
    """A call whose offer was answered in a reliable 183, either side's PRACK done."""
    c = placed(lab, **kw)
    reliably(c, 183, c.b_sdp)
    pracked(c)
    early = c.a.expect(183)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    relayed(early.sdp, INSIDE)
    prack(c, early)
    accepted(c, "PRACK")
    return c


def end_to_end(lab):
    """a reliable 183 with the answer: PRACK on both legs, early media, 200 without a description"""
    c = settled(lab)
    equal(c.b.invite.get("supported"), "100rel, timer", "Supported told to the callee")
    c.talk().heard(10)
    ok = answered(c)
    equal(ok.body, b"", "body of the 200")
    end_whole(c)


def unknown_to_caller(lab):
    """a caller without 100rel: none is asked of the callee"""
    c = placed(lab, headers=[])
    equal(c.b.invite.get("supported"), "timer", "Supported told to the callee")
    equal(c.b.invite.get("require"), None, "Require told to the callee")
    c.b.reply(c.b.invite, 180)
    equal(c.a.expect(180).get("rseq"), None, "RSeq told to the caller")
    ok = answered(c, c.b_sdp)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.talk()
    end_whole(c)


def supported_not_used(lab):
    """a callee that answers unreliably: so does the node"""
    c = placed(lab)
    c.b.reply(c.b.invite, 183, c.b_sdp)
    early = c.a.expect(183)
    equal(early.get("rseq"), None, "RSeq")
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    answered(c, c.b_sdp)
    c.talk()
    end_whole(c)


def required(lab):
    """Require: 100rel goes on; every response to that caller is reliable, the callee's is or not"""
    c = placed(lab, headers=ONLY)
    equal(c.b.invite.get("require"), "100rel", "Require told to the callee")
    c.b.reply(c.b.invite, 180)
    first = c.a.expect(180)
    prack(c, first)
    accepted(c, "PRACK")
    c.b.reply(c.b.invite, 181)
    second = c.a.expect(181)
    equal(int(second.get("rseq")), int(first.get("rseq")) + 1, "RSeq of the second")
    prack(c, second)
    accepted(c, "PRACK")
    ok = answered(c, c.b_sdp)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.talk()
    end_whole(c)


def required_in_vain(lab):
    """Require: 100rel that the callee does not know: 420 goes back"""
    c = placed(lab, headers=ONLY)
    c.b.reply(c.b.invite, 420, headers=[("Unsupported", "100rel")])
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 420, "answer")
    c.gone()


def sent_again(lab):
    """a reliable response comes again until its PRACK; a wrong RAck gets 481"""
    c = placed(lab)
    reliably(c, 180)
    pracked(c)
    first = c.a.expect(180)
    for _ in range(2):
        equal(c.a.expect(180, repeats=True).bytes(), first.bytes(), "the response again")
    c.a.request("PRACK", headers=[("RAck", f"{int(first.get('rseq')) + 1} 1 INVITE")])
    equal(c.a.expect("final").code, 481, "answer to a PRACK of nothing")
    prack(c, first)
    accepted(c, "PRACK")
    c.a.none(180, seconds=2.5, repeats=True)
    answered(c, c.b_sdp)
    c.b.request("BYE")
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")


def in_order(lab):
    """reliable responses: one that comes again or too early gets no PRACK and goes nowhere"""
    c = placed(lab)
    reliably(c, 180, rseq=5)
    pracked(c, 5)
    prack(c, c.a.expect(180))
    accepted(c, "PRACK")
    reliably(c, 180, rseq=5)
    reliably(c, 182, rseq=7)
    reliably(c, 183, c.b_sdp, rseq=6)
    pracked(c, 6)
    early = c.a.expect(183)
    prack(c, early)
    accepted(c, "PRACK")
    c.b.none("PRACK", seconds=0.2)
    c.a.none(182)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    answered(c)
    c.talk()
    end_whole(c)


def pitfall_57_answer_waits(lab):
    """the callee's 200 before the caller's PRACK: the caller gets its 200 after it"""
    c = placed(lab)
    reliably(c, 183, c.b_sdp)
    pracked(c)
    early = c.a.expect(183)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    c.b.reply(c.b.invite, 200)
    c.b.expect("ACK")
    c.a.none(200, seconds=0.2)
    prack(c, early)
    finals = [c.a.expect(200), c.a.expect(200)]
    equal([m.cseq[1] for m in finals], ["PRACK", "INVITE"], "answers in order")
    c.a.ack(finals[1])
    c.talk()
    end_whole(c)


def pitfall_57_offer_in_183(lab):
    """INVITE without an offer: offer in the reliable 183, answer in PRACK, on both legs"""
    c = placed(lab, offer=False)
    reliably(c, 183, c.b_sdp)
    early = c.a.expect(183)
    relayed(early.sdp, INSIDE)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    c.b.none("PRACK", seconds=0.1)
    prack(c, early, c.a_sdp)
    accepted(c, "PRACK")
    c.b_offer = pracked(c).sdp
    c.relay_b = c.b_offer.rtp()
    relayed(c.b_offer, OUTSIDE)
    c.talk().heard(10)
    equal(answered(c).body, b"", "body of the 200")
    end_whole(c)


def pitfall_57_offer_in_prack(lab):
    """a new offer in the PRACK: answered in its 200, the callee hears of it by UPDATE"""
    c = placed(lab)
    reliably(c, 183, c.b_sdp)
    pracked(c)
    early = c.a.expect(183)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    c.talk().heard(5)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    prack(c, early, sip.sdp(CALLER, port, direction="sendrecv", version=2))
    update = c.b.expect("UPDATE")
    equal(update.sdp.rtp(), c.relay_b, "relay address told to the callee")
    c.b.reply(update, 200, c.b_sdp)
    equal(accepted(c, "PRACK").sdp.rtp(), c.relay_a, "relay address told to the caller")
    c.a_rtp.use()
    answered(c)
    end_whole(c)


def pitfall_56_other_answer(lab):
    """a 200 whose description differs from the 183's: it counts, unless the 183 was reliable"""
    for reliable in (False, True):
        c = settled(lab) if reliable else placed(lab)
        if not reliable:
            c.b.reply(c.b.invite, 183, c.b_sdp)
            early = c.a.expect(183)
            c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
        c.talk().heard(5)
        port = next(lab.media_ports)
        c.b_rtp.open(port)
        ok = answered(c, sip.sdp(CALLEE, port, version=2))
        want = c.b_rtp.port if reliable else port
        equal(c.show()["b"]["signalled"], f"{CALLEE}:{want}", "signalled by the callee")
        if not reliable:
            equal(ok.sdp.text, c.a_answer.text, "what the caller is told")
            c.b_rtp.use()
        end_whole(c)
        lab.clear()


def pitfall_58_183_then_180(lab):
    """183 without a description, then 180: both pass"""
    c = placed(lab, headers=[])
    c.b.reply(c.b.invite, 183)
    equal(c.a.expect(183).body, b"", "body of the 183")
    c.b.reply(c.b.invite, 180)
    equal(c.a.expect(180).body, b"", "body of the 180")
    ok = answered(c, c.b_sdp)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.talk()
    end_whole(c)


def ends(c, side):
    a, b = (c.a, c.a_rtp, c.a_phone), (c.b, c.b_rtp, c.b_phone)
    return a + b[:2] if side == "a" else b + a[:2]


def updated(lab, c, side, what):
    """That side moves by UPDATE; the other hears of it by `what` (None: not at all)."""
    me, end, phone, other, other_end = ends(c, side)
    port = next(lab.media_ports)
    end.open(port)
    me.request("UPDATE", sip.sdp(phone.ip, port, version=2))
    if what:
        msg = other.expect(what)
        relayed(msg.sdp, OUTSIDE if side == "a" else INSIDE)
        other.reply(msg, 200, sip.sdp(other.phone.ip, other_end.port, version=2))
    answer = me.expect("final")
    equal((answer.cseq[1], answer.code), ("UPDATE", 200), "answer")
    relayed(answer.sdp, INSIDE if side == "a" else OUTSIDE)
    end.use()
    if not what:
        other.none("UPDATE")
        other.none("INVITE")
    elif what == "INVITE":
        other.expect("ACK")


def early_update_by_caller(lab):
    """UPDATE before the answer by the caller: passed on as UPDATE"""
    c = settled(lab).talk().heard(5)
    updated(lab, c, "a", "UPDATE")
    c.heard(10)
    answered(c)
    end_whole(c)


def early_update_by_callee(lab):
    """UPDATE before the answer by the callee: passed on as UPDATE"""
    c = settled(lab).talk().heard(5)
    updated(lab, c, "b", "UPDATE")
    c.heard(10)
    answered(c)
    end_whole(c)


def early_update_here(lab):
    """UPDATE before the answer, the callee takes none: answered here"""
    c = placed(lab)
    reliably(c, 183, c.b_sdp, allow=False)
    pracked(c)
    early = c.a.expect(183)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    prack(c, early)
    accepted(c, "PRACK")
    c.talk().heard(5)
    updated(lab, c, "a", None)
    answered(c)
    end_whole(c)


def update_confirmed(lab):
    """UPDATE during the call: as UPDATE where the other side takes it, else as re-INVITE"""
    for what, headers in (("UPDATE", ALLOW), ("INVITE", [])):
        for side in ("a", "b"):
            c = call(lab)
            c.a = c.a_phone.call(c.number, c.a_sdp, headers=headers)
            c.b = c.b_phone.incoming(c.number)
            c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
            c.b.reply(c.b.invite, 200, c.b_sdp, headers=headers)
            ok = c.a.expect(200)
            c.a.ack(ok)
            c.b.expect("ACK")
            c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
            c.talk().heard(5)
            updated(lab, c, side, what)
            end_whole(c)
            lab.clear()


def update_refused_as_method(lab):
    """405 to our UPDATE, which its Allow promised: the offer goes on as re-INVITE"""
    c = placed(lab, headers=[])
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=ALLOW)
    ok = c.a.expect(200)
    c.a.ack(ok)
    c.b.expect("ACK")
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.talk().heard(5)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    c.a.request("UPDATE", sip.sdp(CALLER, port, version=2))
    c.b.reply(c.b.expect("UPDATE"), 405)
    c.b.reply(c.b.expect("INVITE"), 200, c.b_sdp)
    c.b.expect("ACK")
    accepted(c, "UPDATE")
    c.a_rtp.use()
    end_whole(c)


def update_never_passed_on(lab):
    """canreinvite=no: that leg hears of no UPDATE either"""
    c = call(lab, prefix="8", b_ip="10.91.2.21").up().talk().heard(5)
    updated(lab, c, "a", None)
    end_whole(c)


def update_without_offer(lab):
    """UPDATE without a description: answered here, the target refreshed"""
    c = call(lab).up().talk().heard(5)
    moved = lab.phone(CALLEE, port=5062)
    c.b.request("UPDATE", headers=[("Contact", f"<sip:u20@{CALLEE}:5062>")])
    answer = c.b.expect("final")
    equal((answer.code, answer.body), (200, b""), "answer")
    c.a.none("UPDATE", seconds=0.1)
    c.heard(10).quiet().whole()
    c.a.request("BYE")
    c.a.expect("final")
    bye = moved.expect("BYE")
    c.b.reply(bye, 200)
    c.gone()


def pitfall_50_update_in_offer(lab):
    """UPDATE with an offer while the INVITE's is open: 500 to the caller, 491 to the callee"""
    c = placed(lab, headers=[])
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    c.a.request("UPDATE", c.a_sdp)
    answer = c.a.expect("final")
    equal((answer.cseq[1], answer.code), ("UPDATE", 500), "answer to the caller")
    later = answer.get("retry-after", "-1")
    check(0 <= int(later) <= 10, "Retry-After:", later)
    c.b.request("UPDATE", c.b_sdp)
    answer = c.b.expect("final")
    equal((answer.cseq[1], answer.code), ("UPDATE", 491), "answer to the callee")
    ok = answered(c, c.b_sdp)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.talk()
    end_whole(c)


def talk_anew(c):
    """What is compared begins when audio flows."""
    c.talk().heard(5).quiet()
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
    return c.talk()


def fork(c):
    """Another dialog out of the same INVITE."""
    other = Dialog.of_invite(c.b_phone, c.b.invite)
    other.local_tag = token()
    return other


def pitfall_55_forks(lab):
    """18x of two forks: media follows the latest, the 200 chooses, another 200 gets ACK and BYE"""
    c = placed(lab, headers=[])
    other = fork(c)
    c.b.reply(c.b.invite, 183, c.b_sdp)
    first = c.a.expect(183)
    c.a_answer, c.relay_a = first.sdp, first.sdp.rtp()
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{c.b_rtp.port}", "signalled by the first fork")
    end = lab.end(CALLEE)
    other.reply(c.b.invite, 183, sip.sdp(CALLEE, end.port, session=4712))
    second = c.a.expect(183, repeats=True)
    equal(second.tag("to"), first.tag("to"), "our tag towards the caller")
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{end.port}", "signalled by the second fork")
    ok = answered(c, c.b_sdp)
    equal(ok.sdp.rtp(), c.relay_a, "relay address told to the caller")
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{c.b_rtp.port}", "signalled by the one chosen")
    other.reply(c.b.invite, 200, sip.sdp(CALLEE, end.port, session=4712))
    ack = c.b_phone.expect("ACK", where=lambda m: m.tag("to") == other.local_tag)
    equal(ack.cseq[0], c.b.invite.cseq[0], "CSeq of the ACK")
    bye = c.b_phone.expect("BYE", where=lambda m: m.tag("to") == other.local_tag)
    other.reply(bye, 200)
    talk_anew(c)
    end_whole(c)


def pitfall_55_reliable_forks(lab):
    """each fork numbers its own reliable responses; a 200 without a description chooses one"""
    c = placed(lab)
    other, end = fork(c), lab.end(CALLEE)
    reliably(c, 183, c.b_sdp, rseq=10)
    equal(pracked(c, 10).tag("to"), c.b.local_tag, "fork of the first PRACK")
    early = c.a.expect(183)
    prack(c, early)
    accepted(c, "PRACK")
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    other.reply(c.b.invite, 183, sip.sdp(CALLEE, end.port, session=4712),
                headers=[("Require", "100rel"), ("RSeq", "900")])
    msg = pracked(c, 900)
    equal(msg.tag("to"), other.local_tag, "fork of the second PRACK")
    again = c.a.expect(183, repeats=True)
    equal(again.body, b"", "body of what follows the answer")
    prack(c, again)
    accepted(c, "PRACK")
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{end.port}", "signalled by the second fork")
    answered(c)
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{c.b_rtp.port}", "signalled by the one chosen")
    talk_anew(c)
    end_whole(c)


def audio_over_choice(lab, chosen):
    c = placed(lab, headers=[])
    other, first, second = fork(c), c.b_rtp.port, next(lab.media_ports)
    c.b.reply(c.b.invite, 183, c.b_sdp)
    early = c.a.expect(183)
    c.a_answer, c.relay_a = early.sdp, early.sdp.rtp()
    c.b_rtp.open(second)
    other.reply(c.b.invite, 183, sip.sdp(CALLEE, second, session=4712))
    c.a.expect(183, repeats=True)
    c.b_rtp.use(second)
    c.talk().heard(20)
    rtp.drain(c.b_rtp, c.a_rtp)         # who is not chosen falls silent
    port = first
    if chosen != "first":
        port, c.b = next(lab.media_ports), fork(c)
        c.b_rtp.open(port)
    ok = answered(c, sip.sdp(CALLEE, port, session=4713))
    equal(ok.sdp.rtp(), c.relay_a, "relay address told to the caller")
    equal(c.show()["b"]["signalled"], f"{CALLEE}:{port}", "signalled by the one chosen")
    c.b_rtp.use(port)
    c.b_rtp.start(c.relay_b, c.b_offer.rtcp())
    c.heard(20)
    end_whole(c)


def pitfall_55_audio_over_choice(lab):
    """the 200 chooses the fork that was not heard last, and one that was never heard: of the
    caller's audio, which flows all the time, each packet reaches the fork whose turn it is"""
    audio_over_choice(lab, "first")
    lab.clear()
    audio_over_choice(lab, "unheard")


def pitfall_55_updated_fork(lab):
    """UPDATE within one fork, by either side, then another fork describes itself: a 200 of the
    first one without a description brings back what it said in the UPDATE"""
    for side in "ab":
        c = settled(lab).talk().heard(5)
        other, end = fork(c), lab.end(CALLEE)
        updated(lab, c, side, "UPDATE")
        other.reply(c.b.invite, 183, sip.sdp(CALLEE, end.port, session=4712))
        c.a.expect(183, repeats=True)
        equal(c.show()["b"]["signalled"], f"{CALLEE}:{end.port}", "signalled by the second fork")
        equal(answered(c).body, b"", "body of the 200")
        equal(c.show()["b"]["signalled"], f"{CALLEE}:{c.b_rtp.port}", "signalled by the first")
        talk_anew(c)
        end_whole(c)
        lab.clear()


TESTS = [end_to_end, unknown_to_caller, supported_not_used, required, required_in_vain, sent_again,
         in_order, pitfall_57_answer_waits, pitfall_57_offer_in_183, pitfall_57_offer_in_prack,
         pitfall_56_other_answer, pitfall_58_183_then_180, early_update_by_caller,
         early_update_by_callee, early_update_here, update_confirmed, update_refused_as_method,
         update_never_passed_on, update_without_offer, pitfall_50_update_in_offer, pitfall_55_forks,
         pitfall_55_reliable_forks, pitfall_55_updated_fork, pitfall_55_audio_over_choice]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
