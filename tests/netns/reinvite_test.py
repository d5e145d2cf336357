#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that change while they talk: ports, hold and resume, glare, refusals; no packet lost."""

import rtp
import sip
import tap
from calls import call, relayed
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, nothing_left, running
from tap import check, equal, wait_for

# The four spellings of hold, as keyword arguments of sip.sdp(); what the other leg is told; what
# the holder gets as answer.
HOLDS = {
    "sendonly": ({"direction": "sendonly"}, "sendonly", "recvonly"),
    "inactive": ({"direction": "inactive"}, "inactive", "inactive"),
    "0.0.0.0": ({"c": "c=IN IP4 0.0.0.0"}, "sendonly", "recvonly"),
    "::": ({"c": "c=IN IP6 ::"}, "sendonly", "recvonly"),
}


def make():
    return running()


def talking(lab, **kw):
    return call(lab, **kw).up().talk().heard(10)


def end_whole(c, rtcp=True):
    """Both directions whole over everything that happened; then the end."""
    c.heard(10).quiet().whole(rtcp=rtcp)
    c.hang_up().gone()


def sides(c, mover):
    """(moving dialog, its RTP end, its phone, the other dialog, the other's end)."""
    a, b = (c.a, c.a_rtp, c.a_phone), (c.b, c.b_rtp, c.b_phone)
    me, other = (a, b) if mover == "a" else (b, a)
    return me + other[:2]


def answer_offer(other, end, direction=None, version=2):
    """The other phone accepts a re-INVITE that was passed on; returns its offer."""
    msg = other.expect("INVITE")
    other.reply(msg, 200, sip.sdp(other.phone.ip, end.port, direction=direction, version=version))
    other.expect("ACK")
    return msg.sdp


def move(c, mover):
    """One side goes to another port: heard at both until the answer, sent by the new one after."""
    me, end, phone, other, other_end = sides(c, mover)
    port = next(c.lab.media_ports)
    old = me_description(c, mover)
    end.open(port)
    me.reinvite(sip.sdp(phone.ip, port, version=2))
    seen = answer_offer(other, other_end)
    answer = me.expect(200)
    me.ack(answer)
    end.use()
    return old, answer.sdp, seen


def me_description(c, side):
    return c.a_answer if side == "a" else c.b_offer


def moved_by(lab, mover):
    c = talking(lab)
    old, answer, seen = move(c, mover)
    relay = c.relay_a if mover == "a" else c.relay_b
    equal(answer.rtp(), relay, "relay address told to the mover")
    equal(answer.origin_id, old.origin_id, "identity of our o=")
    other_relay, other_old = (c.relay_b, c.b_offer) if mover == "a" else (c.relay_a, c.a_answer)
    equal(seen.rtp(), other_relay, "relay address told to the other")
    equal(seen.origin_id, other_old.origin_id, "identity of our o= at the other")
    c.heard(25)
    end = c.a_rtp if mover == "a" else c.b_rtp
    want = f"{end.ip}:{end.port}"
    flows, shown = c.flows(), c.show()
    equal(flows[mover]["expect"], want, "source admitted")
    equal(flows["b" if mover == "a" else "a"]["to"], want, "destination")
    equal(shown[mover]["signalled"], want, "signalled")
    end_whole(c)


def port_change_by_caller(lab):
    """the caller moves to another port: nothing lost either way"""
    moved_by(lab, "a")


def port_change_by_callee(lab):
    """the callee moves to another port: nothing lost either way"""
    moved_by(lab, "b")


def old_source_ends(lab):
    """the port left behind is a stranger's soon after the move"""
    c = talking(lab)
    old = c.a_rtp.tx[0]
    move(c, "a")
    c.heard(5)
    packet = rtp.rtp_packet(0, 1, 1, 1, 1)

    def refused():
        before = lab.drops()["wrong_source"]
        old.sendto(packet, c.relay_a)
        return wait_grown(lab, before)
    wait_for(refused, 5, "wrong_source for the old port")
    c.b_rtp.rtp.got = [g for g in c.b_rtp.rtp.got if g[4] != packet]
    end_whole(c)


def wait_grown(lab, before):
    try:
        wait_for(lambda: lab.drops()["wrong_source"] > before, 0.2)
        return True
    except tap.Failed:
        return False


def music(end):
    """Somebody on hold hears what the holder plays, for a while."""
    want = len(end.rtp.got) + 15
    wait_for(lambda: len(end.rtp.got) >= want, 3, "the holder heard by the one on hold")


def hold_passed_on(lab, holder, spelling):
    kw, out, back = HOLDS[spelling]
    c = talking(lab)
    me, end, phone, other, other_end = sides(c, holder)
    me.reinvite(sip.sdp(phone.ip, end.port, version=2, **kw))
    msg = other.expect("INVITE")
    equal(msg.sdp.direction(), out, "direction told to the other")
    check(msg.sdp.connection() in (INSIDE, OUTSIDE), "c= told to the other:", msg.sdp.connection())
    # The held one stops before it agrees; the holder goes on (music) where hold lets it.
    rtp.drain(other_end, end)
    if spelling == "inactive":
        end.stop()
    other.reply(msg, 200, sip.sdp(other.phone.ip, other_end.port, direction=back, version=2))
    other.expect("ACK")
    answer = me.expect(200)
    me.ack(answer)
    equal(answer.sdp.direction(), back, "direction answered to the holder")
    if spelling != "inactive":
        music(other_end)
    me.reinvite(sip.sdp(phone.ip, end.port, version=3))
    equal(answer_offer(other, other_end, version=3).direction(), "sendrecv", "direction of resume")
    answer = me.expect(200)
    me.ack(answer)
    equal(answer.sdp.direction(), "sendrecv", "direction answered to the resume")
    c.talk()
    end_whole(c)


def hold_spellings_by_caller(lab):
    """hold in its four spellings by the caller, and resume"""
    for spelling in HOLDS:
        hold_passed_on(lab, "a", spelling)
        lab.clear()


def hold_spellings_by_callee(lab):
    """hold in its four spellings by the callee, and resume"""
    for spelling in HOLDS:
        hold_passed_on(lab, "b", spelling)
        lab.clear()


def pitfall_64_resume_elsewhere(lab):
    """resume at a new port"""
    c = talking(lab)
    c.quiet()
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    answer_offer(c.b, c.b_rtp, "recvonly")
    c.a.ack(c.a.expect(200))
    move(c, "a")
    equal(c.flows()["b"]["to"], f"{CALLER}:{c.a_rtp.port}", "destination after resume")
    c.talk()
    end_whole(c)


def pitfall_25_same_again(lab):
    """a re-INVITE that changes nothing: our last answer, same o=, nothing to the other side"""
    for side in ("a", "b"):
        c = talking(lab)
        me, _, _, other, _ = sides(c, side)
        in_force = me_description(c, side)
        own = c.a_sdp if side == "a" else c.b_sdp
        for version in (1, 2):      # what counts is content, not the version of their o=
            answer = me.offer(own.replace(" 4711 1 IN", f" 4711 {version} IN")).sdp
            equal(answer.origin, in_force.origin, "o= line")
            equal(answer.text, in_force.text, "description")
        other.none("INVITE", seconds=0.2)
        end_whole(c)
        lab.clear()


def pitfall_23_version_grows_by_one(lab):
    """o= version: bumped by exactly one when our description changes, never else"""
    c = talking(lab)
    versions = [c.b_offer.version]
    for version, direction, back in ((2, "sendonly", "recvonly"), (3, None, None)):
        c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction=direction, version=version))
        versions.append(answer_offer(c.b, c.b_rtp, back, version).version)
        c.a.ack(c.a.expect(200))
    equal([v - versions[0] for v in versions], [0, 1, 2], "versions")
    c.talk()
    end_whole(c)


def pitfall_24_own_origin(lab):
    """the o= of either dialog is ours and stays, whatever the phones write into theirs"""
    c = talking(lab)
    ids = c.a_answer.origin_id, c.b_offer.origin_id
    check(ids[0] != ids[1], "the same identity in both dialogs:", ids)
    theirs = sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=7, session=9999)
    c.a.reinvite(theirs.replace("o=phone", "o=other"))
    offer = answer_offer(c.b, c.b_rtp, "recvonly")
    answer = c.a.expect(200)
    c.a.ack(answer)
    equal((answer.sdp.origin_id, offer.origin_id), ids, "identities of our o=")
    for text in (answer.sdp.text, offer.text):
        check("9999" not in text and CALLER not in text, "theirs shows:", text)
    c.talk()
    end_whole(c)


def pitfall_62_t38(lab):
    """T.38 offered by both ends at once: one gets 491, the other's is offered once more, here
    refused with 488; the audio goes on, and the way back to G.711 is no change"""
    c = talking(lab)
    t38 = "v=0\r\no=phone 4711 2 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n" \
        "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n"
    c.a.reinvite(t38.format(CALLER))
    c.b.reinvite(t38.format(CALLEE))
    ours = c.b.phone.expect("INVITE", call_id=c.b.call_id)
    equal(ours.sdp.m()[0], "image", "passed on")
    c.b.reply(ours, 491)
    c.b.expect("ACK")
    final = c.b.expect("final")
    c.b.ack(final)
    equal(final.code, 491, "answer to T.38")
    ours = c.b.phone.expect("INVITE", 8, call_id=c.b.call_id)
    equal(ours.sdp.m()[0], "image", "offered once more")
    c.b.reply(ours, 488)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer to T.38")
    for dialog, own, in_force in ((c.a, c.a_sdp, c.a_answer), (c.b, c.b_sdp, c.b_offer)):
        answer = dialog.offer(own).sdp
        equal((answer.media, answer.origin_id), (in_force.media, in_force.origin_id),
              "answer to the audio in force")
        dialog.none("INVITE")
    end_whole(c)


def never_reinvited(lab):
    """canreinvite=no: that leg hears of no hold, resume or move of the other side"""
    for kw, side in (({"prefix": "8", "b_ip": "10.91.2.21"}, "a"),
                     ({"prefix": "4", "a_ip": CALLEE, "b_ip": "10.91.1.11"}, "a")):
        c = talking(lab, **kw)
        me, end, phone, other, other_end = sides(c, side)
        version = 1
        for spelling in HOLDS:
            hold, _, back = HOLDS[spelling]
            version += 1
            rtp.drain(other_end, end)
            answer = me.offer(sip.sdp(phone.ip, end.port, version=version, **hold)).sdp
            equal(answer.direction(), back, f"answer to hold by {spelling}")
            music(other_end)
            version += 1
            answer = me.offer(sip.sdp(phone.ip, end.port, version=version)).sdp
            equal(answer.direction(), "sendrecv", f"answer to resume after {spelling}")
            c.talk().heard(3)
        port = next(lab.media_ports)
        end.open(port)
        answer = me.offer(sip.sdp(phone.ip, port, version=version + 1)).sdp
        equal(answer.rtp(), c.relay_a, "relay address told to the mover")
        end.use()
        c.heard(20)
        equal(c.flows()["b"]["to"], f"{phone.ip}:{port}", "destination after the move")
        other.none("INVITE", seconds=0.2)
        end_whole(c)
        lab.clear()


def never_reinvited_itself_may(lab):
    """canreinvite=no: its own re-INVITE is served"""
    c = talking(lab, prefix="8", b_ip="10.91.2.21")
    port = next(lab.media_ports)
    c.b_rtp.open(port)
    c.b.reinvite(sip.sdp(c.b_phone.ip, port, version=2))
    answer_offer(c.a, c.a_rtp)
    c.b.ack(c.b.expect(200))
    c.b_rtp.use()
    end_whole(c)


def never_reinvited_other_codec(lab):
    """canreinvite=no: what that leg would have to agree to is refused with 488, the call lives"""
    c = talking(lab, prefix="8", b_ip="10.91.2.21", codecs=((0, "PCMU/8000"),))
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, codecs=((9, "G722/8000"),), version=2))
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer")
    c.b.none("INVITE", seconds=0.2)
    end_whole(c)


def far_side_refuses(c, offer, code):
    """The caller offers, the callee refuses; the final answer to the caller, acknowledged."""
    c.a.reinvite(offer)
    msg = c.b.expect("INVITE")
    c.b.reply(msg, code)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    return final


def other_codec(lab):
    """another codec that the far side agrees to is what `show call` names"""
    c = talking(lab)
    c.quiet()
    pcma = ((8, "PCMA/8000"),)
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, codecs=pcma, version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, codecs=pcma, version=2))
    c.a.ack(c.a.expect(200))
    equal([c.show()[side]["codec"] for side in "ab"], ["PCMA", "PCMA"], "codec")
    c.hang_up().gone()


def refused_by_far_side(lab):
    """what needs the far side's consent and is refused: the refusal comes back, all is as before"""
    for code in (488, 500, 603):
        c = talking(lab)
        offer = sip.sdp(CALLER, next(lab.media_ports), codecs=((9, "G722/8000"),), version=2)
        equal(far_side_refuses(c, offer, code).code, code, "answer")
        equal(c.flows()["b"]["to"], f"{CALLER}:{c.a_rtp.port}", "destination")
        equal(c.show()["a"]["signalled"], f"{CALLER}:{c.a_rtp.port}", "signalled")
        end_whole(c)
        lab.clear()


def refused_move(lab):
    """a move that the far side refuses to hear of: the node does it alone"""
    c = talking(lab)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    final = far_side_refuses(c, sip.sdp(CALLER, port, version=2), 488)
    equal(final.code, 200, "answer")
    equal(final.sdp.rtp(), c.relay_a, "relay address told to the mover")
    c.a_rtp.use()
    c.heard(10)
    equal(c.flows()["b"]["to"], f"{CALLER}:{port}", "destination")
    end_whole(c)


def glare(lab):
    """both sides re-INVITE at once: 491 to the second, then its turn"""
    c = talking(lab)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    c.a.reinvite(sip.sdp(CALLER, port, version=2))
    theirs = c.b.expect("INVITE")
    offer = sip.sdp(CALLEE, c.b_rtp.port, direction="sendonly", version=2)
    mine = c.b.request("INVITE", offer)
    pending = c.b.phone.expect("final", call_id=c.b.call_id)
    equal((pending.code, pending.cseq), (491, mine.cseq), "answer to the second")
    c.b.invite = mine
    c.b.ack(pending)
    c.b.invite = theirs
    c.b.reply(theirs, 200, sip.sdp(CALLEE, c.b_rtp.port, version=1))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    c.a_rtp.use()
    end_whole(c)


def second_offer_of_one(lab):
    """a second INVITE while the first is unanswered: 500 with Retry-After (RFC 3261 14.2)"""
    c = talking(lab)
    first = c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    theirs = c.b.expect("INVITE")
    second = c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=3))
    answer = c.a_phone.expect("final", call_id=c.a.call_id)
    equal((answer.code, answer.cseq), (500, second.cseq), "answer to the second")
    check(0 <= int(answer.get("retry-after", "-1").split()[0]) <= 10, "Retry-After:",
          answer.get("retry-after"))
    c.a.ack(answer)
    c.quiet()
    c.b.reply(theirs, 200, sip.sdp(CALLEE, c.b_rtp.port, direction="recvonly", version=2))
    c.b.expect("ACK")
    answer = c.a.expect(200)
    equal(answer.cseq, first.cseq, "answer to the first")
    c.a.ack(answer)
    c.hang_up().gone()


def agreed_too_late(lab):
    """A hold that was withdrawn by CANCEL, and that the far side has agreed to all the same."""
    c = talking(lab)
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 100)
    c.a.cancel()
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted((m.cseq[1], m.code) for m in finals), [("CANCEL", 200), ("INVITE", 487)], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    cancel = c.b.expect("CANCEL")
    equal((cancel.branch, cancel.cseq[0]), (msg.branch, msg.cseq[0]), "what is cancelled")
    c.b.reply(cancel, 200)
    rtp.drain(c.b_rtp, c.a_rtp)
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, direction="recvonly", version=2))
    c.b.expect("ACK")
    c.hold = msg
    return c


def cancelled_reinvite(lab):
    """CANCEL of a re-INVITE: 487; what the far side agreed to meanwhile is taken back"""
    c = agreed_too_late(lab)
    equal(answer_offer(c.b, c.b_rtp, version=3).direction(), "sendrecv", "direction told again")
    c.talk()
    end_whole(c)


def taken_back_after_glare(lab):
    """491 to what takes it back: once more; the caller's next offer gets 491 meanwhile"""
    c = agreed_too_late(lab)
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 491)
    c.b.expect("ACK")
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="inactive", version=3))
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 491, "offer of the caller meanwhile")
    again = c.b.expect("INVITE", 5)
    equal((again.cseq[0], again.sdp.text), (msg.cseq[0] + 1, msg.sdp.text), "once more")
    c.b.reply(again, 200, sip.sdp(CALLEE, c.b_rtp.port, version=3))
    c.b.expect("ACK")
    c.talk()
    end_whole(c)


def not_taken_back(lab):
    """the far side refuses that: what it has agreed to stays in force there, which is what it is
    told when it asks; the call goes on, and the next offer is passed on"""
    c = agreed_too_late(lab)
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 488)
    c.b.expect("ACK")
    c.b.none("INVITE", seconds=0.2)
    same = sip.sdp(CALLEE, c.b_rtp.port, direction="recvonly", version=2)
    answer = c.b.offer(same).sdp
    equal(answer.text.split("\r\n")[2:], c.hold.sdp.text.split("\r\n")[2:], "what b is told")
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="inactive", version=3))
    equal(answer_offer(c.b, c.b_rtp, "inactive", 3).direction(), "inactive", "next offer")
    c.a.ack(c.a.expect(200))
    c.talk()
    end_whole(c)


def cancelled_in_time(lab):
    """CANCEL of a re-INVITE reaches the far side; all is as before, and a new one is served"""
    c = talking(lab)
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    msg = c.b.expect("INVITE")
    c.b.reply(msg, 180)
    c.a.cancel()
    c.a.ack(c.a_phone.expect(487, call_id=c.a.call_id))
    c.b.reply(c.b.expect("CANCEL"), 200)
    c.b.reply(msg, 487)
    c.b.expect("ACK")
    move(c, "a")
    c.heard(10)
    end_whole(c)


def bye_crosses_reinvite(lab):
    """BYE while a re-INVITE is under way: 200, both ended, a late 200 is acknowledged"""
    c = talking(lab)
    c.quiet()
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, direction="sendonly", version=2))
    msg = c.b.expect("INVITE")
    c.a.request("BYE")
    answer = c.a.expect(200)
    equal(answer.cseq[1], "BYE", "what is answered")
    bye = c.b.expect("BYE")
    c.b.reply(bye, 200)
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, direction="recvonly", version=2))
    c.b.expect("ACK")
    c.gone()


def relay_told_again(lab):
    """what the other leg is told on a move is relayed like the first time"""
    c = talking(lab)
    _, answer, seen = move(c, "a")
    relayed(answer, INSIDE)
    relayed(seen, OUTSIDE)
    end_whole(c)


TESTS = [port_change_by_caller, port_change_by_callee, old_source_ends, relay_told_again,
         hold_spellings_by_caller, hold_spellings_by_callee, pitfall_64_resume_elsewhere,
         pitfall_25_same_again, pitfall_23_version_grows_by_one, pitfall_24_own_origin,
         pitfall_62_t38, never_reinvited, never_reinvited_itself_may, never_reinvited_other_codec,
         other_codec, refused_by_far_side, refused_move, glare, second_offer_of_one,
         cancelled_reinvite, taken_back_after_glare, not_taken_back, cancelled_in_time,
         bye_crosses_reinvite]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
