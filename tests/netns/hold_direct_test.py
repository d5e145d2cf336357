#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold with music while media is direct: the held leg alone is brought back, and out again."""
import contextlib

import rtp
import srtp
import tap
from lab import Lab, config, nothing_left
from moving import JOINED, TIMES, call
from sdes import AES80, Key, keys_of
from tap import check, equal, wait_for
from tune import Tune, hears, is_tune, played


@contextlib.contextmanager
def make():
    with Lab(router=True) as lab:
        lab.tune = Tune(f"{lab.dir}/tune.wav")
        music = {"moh": lab.tune.path}
        lab.start(config(lab, general=TIMES, inside={**JOINED, **music}, outside=music),
                  args=("-v",))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def other(side):
    return "b" if side == "a" else "a"


def hold(c, side):
    """Holds: answered by the node at once, with the relay's address."""
    me = c.at(side)
    me.end.stop()
    answer = me.dialog.offer(me.sdp(direction="sendonly")).sdp
    equal((answer.rtp(), answer.direction()), (c.relay(side), "recvonly"), "answer to the hold")


def resume(c, side, port=None):
    me = c.at(side)
    answer = me.dialog.offer(me.sdp(port=port)).sdp
    equal((answer.rtp(), answer.direction()), (c.relay(side), "sendrecv"), "answer to the resume")
    if port:
        me.end.use()
    me.end.start(answer.rtp(), answer.rtcp())


def brought_back(c, side):
    """That leg, which is held, is told the relay's address and no hold; it hears the music."""
    held = c.at(side)
    msg = held.told()
    equal((msg.sdp.rtp(), msg.sdp.direction()), (c.relay(side), "sendrecv"), "told to the held")
    held.accept(msg)
    is_tune(hears(held.end, 20), c.lab.tune, c.relay(side))
    c.is_relayed("HOLD")
    c.at(other(side)).dialog.none("INVITE", seconds=0.1)


def end(c, side):
    """All that the held one sent arrived, whichever way it went."""
    c.heard(10)
    held, holder = c.at(other(side)).end, c.at(side).end
    rtp.drain(held, holder)
    d = rtp.Delivery(held, holder)
    check(d.whole(), f"of the held one: {d}")
    c.hang_up().gone()


def held_while_direct(lab, side):
    c = call(lab).direct()
    hold(c, side)
    brought_back(c, other(side))
    resume(c, side)
    c.move_out()
    c.is_direct()
    c.at(side).end.rtp.got = [g for g in c.at(side).end.rtp.got if g[0]]
    end(c, side)


def caller_holds(lab):
    """the caller holds while direct: the callee alone is brought back, hears music, and is moved
    out again on resume; nothing that it sends is lost"""
    held_while_direct(lab, "a")


def callee_holds(lab):
    """the callee holds while direct: the caller alone is brought back, hears music, and is moved
    out again on resume; nothing that it sends is lost"""
    held_while_direct(lab, "b")


def resume_elsewhere(lab):
    """resume at a new port (pitfall 64): moved out to that one"""
    c = call(lab).direct()
    hold(c, "a")
    brought_back(c, "b")
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    resume(c, "a", port)
    equal(c.address("a")[1], port, "the port of the caller")
    c.move_out()
    c.is_direct()
    end(c, "a")


def both_hold(lab):
    """both hold while direct (pitfall 63): nobody hears music, each resume is answered here"""
    c = call(lab).direct()
    hold(c, "a")
    brought_back(c, "b")
    c.sb.end.stop()
    answer = c.b.offer(c.sb.sdp(direction="sendonly")).sdp
    equal(answer.direction(), "recvonly", "answer to the second hold")
    wait_for(lambda: not c.show()["b"]["music"], 3, "music ended")
    for side in "ab":
        answer = c.at(side).dialog.offer(c.at(side).sdp()).sdp
        equal((answer.rtp(), answer.direction()), (c.relay(side), "sendrecv"), f"resume of {side}")
    c.talk()
    c.move_out()
    c.is_direct()
    c.heard(10).hang_up().gone()


def hold_amid_the_move(lab):
    """the caller holds while the callee is asked to move: served after, then all is brought back"""
    c = call(lab).up().talk().heard(5)
    first = c.sb.told()
    c.sa.end.stop()
    c.a.reinvite(c.sa.sdp(direction="sendonly"))
    wait_for(lambda: ("offer_waits", "move_1", "a", None) in c.trail(c.show()), 3,
             lambda: f"the hold waits: {c.trail(c.show())}")
    c.sb.accept(first)
    answer = c.a.expect("final")
    c.a.ack(answer)
    equal((answer.code, answer.sdp.rtp()), (200, c.relay_a), "answer to the hold")
    brought_back(c, "b")
    resume(c, "a")
    c.move_out()
    c.is_direct()
    end(c, "a")


def held_one_stays_out(lab):
    """the held one refuses to come back: no music, its audio goes on, the resume is heard"""
    c = call(lab).direct()
    hold(c, "a")
    for _ in range(3):
        msg = c.sb.told()
        equal(msg.sdp.rtp(), c.relay_b, "told to the held")
        c.sb.refuse(msg, 488)
    c.shows(path="split")
    equal(played(c.b_rtp), [], "music")
    resume(c, "a")
    c.heard(25)
    equal(c.sources("a")[-1], c.address("b"), "where the caller's audio comes from")
    equal(c.sources("b")[-1], c.relay_b, "where the callee's audio comes from")
    end(c, "a")


def own_keys(lab):
    """RTP/SAVP with keys of the phones' own: out, held (no music, which would need a key: the hold
    passes, with the key), resumed, brought back by the operator and out again, and all of it
    decrypts at the far end, in one session"""
    keys = {"a": Key(AES80, 1), "b": Key(AES80, 1)}
    c = call(lab, **{f"{side}_kw": {"profile": "RTP/SAVP", "extra": [key.line]}
                     for side, key in keys.items()}).up()
    srtp.encrypt(c.a_rtp, keys["a"], keys["b"])
    srtp.encrypt(c.b_rtp, keys["b"], keys["a"])
    c.talk().heard(5)
    c.move_out()
    c.is_direct()
    for side in "ab":
        for direction in ("sendonly", "sendrecv"):
            me, far = c.at(side), c.at(other(side))
            me.dialog.reinvite(me.sdp(direction=direction))
            msg = far.told()
            equal((keys_of(msg.sdp), msg.sdp.rtp(), msg.sdp.direction()),
                  ([keys[side]], c.address(side), direction), "told to the held")
            far.accept(msg, follow=False, direction={"sendonly": "recvonly"}.get(direction))
            answer = me.dialog.expect("final")
            me.dialog.ack(answer)
            equal((answer.code, keys_of(answer.sdp)), (200, [keys[other(side)]]), "answer")
    c.heard(10)
    lab.ctl("call", c.show()["id"], "relay")
    for side in "ba":
        msg = c.at(side).told()
        equal((msg.sdp.rtp(), keys_of(msg.sdp), msg.sdp.m()[2]),
              (c.relay(side), [keys[other(side)]], "RTP/SAVP"), f"told to {side}")
        c.at(side).accept(msg)
    c.is_relayed("OPERATOR")
    c.heard(20)
    equal([c.show()[side]["crypto"] for side in "ab"], [None, None], "passed unread")
    lab.ctl("call", c.show()["id"], "auto")
    c.move_out()
    c.is_direct()
    c.heard(10).lost()
    for end_ in (c.a_rtp, c.b_rtp):
        equal(end_.unheard, [], "packets that do not decrypt")
    c.hang_up().gone()


def hung_up_on_hold(lab):
    """the held one hangs up amid the music: nothing is left"""
    c = call(lab).direct()
    hold(c, "a")
    brought_back(c, "b")
    c.sb.end.stop()
    c.b.request("BYE")
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.gone()
    equal(lab.metrics()["rtpfwd_music_listeners"], 0, "listeners")


TESTS = [caller_holds, callee_holds, resume_elsewhere, both_hold, hold_amid_the_move,
         held_one_stays_out, own_keys, hung_up_on_hold]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
