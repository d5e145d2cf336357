#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the far ends ask for in every state of the move: re-INVITEs, holds, hangups, crossings."""
import moving
import sip
import tap
from calls import Call
from lab import CALLEE, CALLER, nothing_left
from moving import call
from tap import check, equal


def make():
    return moving.make()


def end(c, limit=0, row=0):
    c.heard(10).lost(limit, row)
    c.hang_up().gone()


def other(side):
    return "b" if side == "a" else "a"


def new_port(c, side):
    """Hears at another port, too; returns it."""
    port = next(c.lab.media_ports)
    c.at(side).end.open(port)
    return port


def reinvite(c, side, **kw):
    s = c.at(side)
    return s.dialog.reinvite(s.sdp(**kw))


def answered(c, side):
    """The 200 to that side's re-INVITE, acknowledged."""
    msg = c.at(side).dialog.expect("final")
    c.at(side).dialog.ack(msg)
    equal(msg.code, 200, f"answer to the re-INVITE of {side}")
    return msg.sdp


def moves_while_direct(lab, side):
    """a phone goes to another port while direct: passed on end to end, nothing lost"""
    c = call(lab).direct()
    port = new_port(c, side)
    reinvite(c, side, port=port)
    far = c.at(other(side))
    msg = far.told()
    equal(msg.sdp.rtp(), (c.at(side).ip, port), "address passed on")
    far.accept(msg)
    answer = answered(c, side)
    equal(answer.rtp(), c.address(other(side)), "address answered")
    c.at(side).end.use()
    c.heard(10)
    c.is_direct()
    end(c)


def caller_moves_while_direct(lab):
    """the caller goes to another port while direct: passed on end to end, nothing lost"""
    moves_while_direct(lab, "a")


def callee_moves_while_direct(lab):
    """the callee goes to another port while direct: passed on end to end, nothing lost"""
    moves_while_direct(lab, "b")


def move_refused_while_direct(lab):
    """the other side refuses the new port: the mover keeps the old one"""
    c = call(lab).direct()
    port = new_port(c, "a")
    reinvite(c, "a", port=port)
    c.sb.refuse(c.sb.told(), 488)
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer")
    c.heard(10)
    c.is_direct()
    end(c)


def same_again_while_direct(lab):
    """pitfalls 25, 26: a re-INVITE that changes nothing is answered here, with what is in force"""
    c = call(lab).up().talk().heard(5)
    first, second = c.move_out()
    c.is_direct()
    for side, told in (("a", second), ("b", first)):
        c.at(side).version -= 1
        reinvite(c, side)
        equal(answered(c, side).text, told.sdp.text, f"description answered to {side}")
        c.at(other(side)).dialog.none("INVITE", seconds=0.2)
    end(c)


def hold_while_direct(lab, side):
    """hold without music, and resume: passed on end to end, still direct"""
    c = call(lab).direct()
    me, far = c.at(side), c.at(other(side))
    me.end.stop()
    far.end.stop()
    reinvite(c, side, direction="sendonly")
    msg = far.told()
    equal((msg.sdp.direction(), msg.sdp.rtp()), ("sendonly", c.address(side)), "told to the held")
    far.accept(msg, direction="recvonly")
    answer = answered(c, side)
    equal((answer.direction(), answer.rtp()), ("recvonly", c.address(other(side))), "answered")
    c.shows(path="direct")
    reinvite(c, side)
    msg = far.told()
    equal((msg.sdp.direction(), msg.sdp.rtp()), ("sendrecv", c.address(side)), "told on resume")
    far.accept(msg)
    equal(answered(c, side).rtp(), c.address(other(side)), "answered on resume")
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start(c.address("a"))
    c.is_direct()
    end(c)


def hold_by_caller_while_direct(lab):
    """hold by the caller without music, and resume: passed on end to end, still direct"""
    hold_while_direct(lab, "a")


def hold_by_callee_while_direct(lab):
    """hold by the callee without music, and resume: passed on end to end, still direct"""
    hold_while_direct(lab, "b")


def hold_by_null_address_while_direct(lab):
    """hold by 0.0.0.0: the held one keeps the address, with direction sendonly"""
    c = call(lab).direct()
    c.a_rtp.stop()
    c.b_rtp.stop()
    c.a.reinvite(c.sa.sdp(c="c=IN IP4 0.0.0.0"))
    msg = c.sb.told()
    equal((msg.sdp.direction(), msg.sdp.rtp()), ("sendonly", c.address("a")), "told to the held")
    c.sb.accept(msg, direction="recvonly")
    answered(c, "a")
    c.shows(path="direct")
    c.hang_up().gone()


def resume_elsewhere_while_direct(lab):
    """pitfall 64: resume at a new port while direct"""
    c = call(lab).direct()
    c.a_rtp.stop()
    c.b_rtp.stop()
    reinvite(c, "a", direction="sendonly")
    c.sb.accept(c.sb.told(), direction="recvonly")
    answered(c, "a")
    port = new_port(c, "a")
    c.a_rtp.use()
    reinvite(c, "a", port=port)
    msg = c.sb.told()
    equal(msg.sdp.rtp(), (CALLER, port), "address told")
    c.sb.accept(msg)
    answered(c, "a")
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start((CALLER, port))
    c.is_direct()
    end(c)


def pitfall_63_both_hold(lab):
    """pitfall 63: both hold, one after the other, and resume"""
    c = call(lab).direct()
    c.a_rtp.stop()
    c.b_rtp.stop()
    reinvite(c, "a", direction="sendonly")
    c.sb.accept(c.sb.told(), direction="recvonly")
    answered(c, "a")
    reinvite(c, "b", direction="inactive")
    msg = c.sa.told()
    equal(msg.sdp.direction(), "inactive", "told to the caller")
    c.sa.accept(msg, direction="inactive")
    answered(c, "b")
    reinvite(c, "a")
    c.sb.accept(c.sb.told(), direction="inactive")
    answered(c, "a")
    reinvite(c, "b")
    c.sa.accept(c.sa.told())
    answered(c, "b")
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start(c.address("a"))
    c.is_direct()
    end(c)


def settle_reinvite(lab):
    """a re-INVITE in the settle time is served; the move comes after, with the new address"""
    c = call(lab).up().talk().heard(2)
    port = new_port(c, "a")
    reinvite(c, "a", port=port)
    msg = c.sb.told()
    equal(msg.sdp.rtp(), c.relay_b, "address told")
    c.sb.accept(msg)
    answered(c, "a")
    c.a_rtp.use()
    first, _ = c.move_out()
    equal(first.sdp.rtp(), (CALLER, port), "address told to b")
    c.is_direct()
    end(c)


def move_1_glare(lab):
    """a re-INVITE of the leg that is being moved: 491"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    theirs = c.b.request("INVITE", c.sb.sdp())
    final = c.b_phone.expect("final", call_id=c.b.call_id)
    equal((final.code, final.cseq), (491, theirs.cseq), "answer")
    c.b.invite = theirs
    c.b.ack(final)
    c.sb.accept(msg)
    c.sa.accept(c.sa.told())
    c.is_direct()
    end(c)


def move_1_other_reinvites(lab):
    """a re-INVITE of the other leg waits for the first's answer, is passed on, then it goes on"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    port = new_port(c, "a")
    reinvite(c, "a", port=port)
    c.a.none("final", seconds=0.3)
    c.sb.accept(msg)
    msg = c.sb.told()
    equal(msg.sdp.rtp(), (CALLER, port), "the new address told to b")
    c.sb.accept(msg)
    equal(answered(c, "a").rtp(), c.relay_a, "answered")
    c.a_rtp.use()
    msg = c.sa.told()
    equal(msg.sdp.rtp(), c.address("b"), "address told to a")
    c.sa.accept(msg)
    c.is_direct()
    end(c)


def move_1_other_cancels(lab):
    """that re-INVITE is cancelled while it waits: 487, and the move goes on"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    reinvite(c, "a", direction="sendonly")
    c.a.expect(100)
    c.a.cancel()
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted(m.code for m in finals), [200, 487], "answers")
    c.a.ack(next(m for m in finals if m.code == 487))
    c.sb.accept(msg)
    msg = c.sa.told()
    equal(msg.sdp.direction(), "sendrecv", "nobody holds")
    c.sa.accept(msg)
    c.is_direct()
    end(c)


def move_1_hold_by_other(lab):
    """a hold of the other leg while the first moves: it is brought back, then on hold, relayed"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    c.a_rtp.stop()
    c.b_rtp.stop()
    reinvite(c, "a", direction="sendonly")
    c.a.none("final", seconds=0.2)
    c.sb.accept(msg)
    msg = c.sb.told()
    equal(msg.sdp.direction(), "sendonly", "told to b")
    c.sb.accept(msg, direction="recvonly")
    answered(c, "a")
    msg = c.sb.told()
    equal((msg.sdp.rtp(), msg.sdp.direction()), (c.relay_b, "sendonly"), "told to b")
    c.sb.accept(msg, direction="recvonly")
    c.is_relayed("HOLD")
    reinvite(c, "a")
    msg = c.sb.told()
    c.sb.accept(msg)
    c.sa.follow(answered(c, "a"))
    c.a_rtp.start(c.relay_a)
    c.b_rtp.start(c.relay_b)
    c.move_out()
    c.is_direct()
    end(c)


def bye(c, side):
    c.a_rtp.stop()
    c.b_rtp.stop()
    c.at(side).dialog.request("BYE")
    equal(c.at(side).dialog.expect("final").code, 200, "answer to BYE")
    c.at(other(side)).dialog.expect_bye()
    c.gone()


def pitfall_42_bye_crosses_move_1(lab):
    """pitfall 42: the leg that is being moved hangs up; its late 200 gets an ACK"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    bye(c, "b")
    c.b.reply(msg, 200, c.sb.sdp())
    c.b.expect("ACK")


def pitfall_43_other_hangs_up_in_move_1(lab):
    """pitfall 43: the other leg hangs up: BYE at once, a late 200 gets an ACK, no more INVITE"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    c.b.reply(msg, 100)
    bye(c, "a")
    c.b.reply(msg, 200, c.sb.sdp())
    c.b.expect("ACK")
    c.b.none("INVITE", seconds=0.3)


def move_2_bye(lab):
    """either side hangs up in MOVE_2"""
    for side in "ab":
        c = call(lab).up().talk().heard(2)
        c.sb.accept(c.sb.told())
        msg = c.sa.told()
        bye(c, side)
        c.a.reply(msg, 200, c.sa.sdp())
        c.a.expect("ACK")
        lab.clear()


def bye_in_each_state(lab):
    """either side hangs up in SETTLE, DRAIN, DIRECT and BACK"""
    for side in "ab":
        bye(call(lab).up().talk().heard(1), side)
        lab.clear()
        c = call(lab).up().talk().heard(1)
        c.sb.accept(c.sb.told(), follow=False)
        c.sa.accept(c.sa.told())
        c.shows(path="draining")
        bye(c, side)
        lab.clear()
        bye(call(lab).direct(), side)
        lab.clear()
        c = call(lab).direct()
        lab.ctl("call", c.show()["id"], "relay")
        c.sa.told()
        c.sb.told()
        bye(c, side)
        lab.clear()


def recon(lab):
    """an answer brings another address: who was told the old one is told anew, nothing lost"""
    c = call(lab).up().talk().heard(5)
    c.sb.accept(c.sb.told())
    msg = c.sa.told()
    port = new_port(c, "a")
    c.sa.accept(msg, port=port)
    c.a_rtp.use()
    msg = c.sb.told()
    equal(msg.sdp.rtp(), (CALLER, port), "the new address told to b")
    c.sb.accept(msg)
    c.is_direct()
    end(c)


def first_answers_elsewhere(lab):
    """the first leg's answer brings another address: the second is told that one at once"""
    c = call(lab).up().talk().heard(5)
    port = new_port(c, "b")
    c.sb.accept(c.sb.told(), port=port)
    c.b_rtp.use()
    msg = c.sa.told()
    equal(msg.sdp.rtp(), (CALLEE, port), "the new address told to a")
    c.sa.accept(msg)
    c.is_direct()
    end(c)


def unstable(lab):
    """another address in each answer: after two more offers both are brought back"""
    c = call(lab).up().talk().heard(5)
    side = "b"
    for _ in range(5):
        msg = c.at(side).told()
        if msg.sdp.rtp() == c.relay(side):
            break
        port = new_port(c, side)
        c.at(side).accept(msg, port=port)
        c.at(side).end.use()
        side = other(side)
    else:
        raise tap.Failed("no end of offers")
    back = {side: msg, other(side): c.at(other(side)).told()}
    for side, msg in back.items():
        equal(msg.sdp.rtp(), c.relay(side), f"told to {side}")
        c.at(side).accept(msg)
    c.is_relayed("UNSTABLE_SDP")
    end(c, limit=4, row=4)


def asked_while_direct(lab):
    """a re-INVITE without offer while direct: the other side's own offer and answer, end to end"""
    c = call(lab).direct()
    c.a.invite = c.a.request("INVITE")
    msg = c.b.expect("INVITE")
    equal(msg.body, b"", "asked for an offer")
    c.b.reply(msg, 200, c.sb.sdp())
    ok = c.a.expect(200)
    equal(ok.sdp.rtp(), c.address("b"), "offered to a")
    c.a.ack(ok, c.sa.sdp())
    ack = c.b.expect("ACK")
    equal(ack.sdp.rtp(), c.address("a"), "answered to b")
    c.is_direct()
    end(c)


def asked_and_refused_while_direct(lab):
    """the other side refuses to offer: what is in force is offered"""
    c = call(lab).direct()
    c.a.invite = c.a.request("INVITE")
    c.sb.refuse(c.b.expect("INVITE"), 488)
    ok = c.a.expect(200)
    equal(ok.sdp.rtp(), c.address("b"), "offered to a")
    c.a.ack(ok, c.sa.sdp())
    c.is_direct()
    end(c)


def pitfall_38_repeated_200(lab):
    """pitfall 38: the 200 to our offer comes again: the same ACK, and nothing else"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    c.sb.follow(msg.sdp)
    ok = c.b.reply(msg, 200, c.sb.sdp())
    ack = c.b.expect("ACK")
    c.sa.accept(c.sa.told())
    c.b_phone.send(ok, msg.source)
    equal(c.b.expect("ACK", repeats=True).bytes(), ack.bytes(), "ACK again")
    c.b.none("INVITE", seconds=0.2)
    c.is_direct()
    end(c)


def pitfall_9_same_ports(lab):
    """pitfall 9: the relay's address and port are the same after each way back"""
    c = call(lab).direct()
    for _ in range(2):
        lab.ctl("call", c.show()["id"], "relay")
        for s in (c.sa, c.sb):
            msg = s.told()
            equal(msg.sdp.rtp(), c.relay(s.name), f"told to {s.name}")
            s.accept(msg)
        c.is_relayed("OPERATOR")
        lab.ctl("call", c.show()["id"], "auto")
        c.move_out()
        c.is_direct()
    end(c)


TESTS = [caller_moves_while_direct, callee_moves_while_direct, move_refused_while_direct,
         same_again_while_direct, hold_by_caller_while_direct, hold_by_callee_while_direct,
         hold_by_null_address_while_direct, resume_elsewhere_while_direct, pitfall_63_both_hold,
         settle_reinvite, move_1_glare, move_1_other_reinvites, move_1_other_cancels,
         move_1_hold_by_other, pitfall_42_bye_crosses_move_1, pitfall_43_other_hangs_up_in_move_1,
         move_2_bye, bye_in_each_state, recon, first_answers_elsewhere, unstable,
         asked_while_direct, asked_and_refused_while_direct, pitfall_38_repeated_200,
         pitfall_9_same_ports]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
