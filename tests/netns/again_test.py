#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves whose answers cannot be used, and that the operator turns round on their way: what each leg
is told stays one row of versions."""
import random

import moving
import tap
from lab import nothing_left
from moving import call
from tap import check, equal, wait_for

SEED = 4


def make():
    return moving.make()


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def both_back(c):
    for side in (c.sa, c.sb):
        msg = side.told()
        equal(msg.sdp.rtp(), c.relay(side.name), f"address told to {side.name}")
        side.accept(msg)


def move_2_unusable(lab):
    """the second leg's 200 refuses the audio (port 0), or says nothing: both are brought back"""
    for described in (True, False):
        c = call(lab).up().talk().heard(5)
        c.sb.accept(c.sb.told())
        msg = c.sa.told()
        text = c.sa.sdp().replace(f"audio {c.a_rtp.port}", "audio 0") if described else None
        c.a.reply(msg, 200, text)
        c.a.expect("ACK")
        both_back(c)
        c.is_relayed("PEER_REFUSED_488")
        end(c)
        lab.clear()


def move_1_held_in_answer(lab):
    """the first leg's 200 holds: it is brought back, and goes out when it resumes"""
    c = call(lab).up().talk().heard(5)
    c.sb.accept(c.sb.told(), direction="sendonly")
    msg = c.sb.told()
    equal(msg.sdp.rtp(), c.relay_b, "address told to b")
    c.sb.accept(msg, direction="sendonly")
    c.is_relayed("HOLD")
    c.b.reinvite(c.sb.sdp())
    c.sa.accept(c.sa.told())
    c.b.ack(c.b.expect(200))
    c.move_out()
    c.is_direct()
    end(c)


class Told:
    """What one leg was told, in order: another text has the next version, the same text the same
    one; but what was refused may come again as new."""

    def __init__(self, side, first):
        self.side, self.last, self.refused = side, first, False

    def take(self, msg):
        before, now = self.last.split("\r\n"), msg.body.decode().split("\r\n")
        number = [int(x[1].split()[2]) for x in (before, now)]
        steps = {True} if before[2:] != now[2:] else {False, self.refused}
        check(number[1] - number[0] in steps,
              f"step of the version told to {self.side.name}: {before} -> {now}")
        self.last = msg.body.decode()


def answer_all(c, told, draw):
    """Takes what was offered by now: accepts, or says 491, which is asked again."""
    for side in (c.sa, c.sb):
        msg = side.dialog.phone.find("INVITE", side.dialog.call_id)
        if not msg:
            continue
        told[side.name].take(msg)
        told[side.name].refused = draw.random() < 0.2
        if told[side.name].refused:
            side.refuse(msg, 491)
        else:
            side.accept(msg)


def operator_amid_the_move(lab):
    """relay, direct and auto in any order, whatever is under way: each leg is told in one row of
    versions, and it ends as the last word wants, both heard"""
    draw = random.Random(SEED)
    c = call(lab).up().talk().heard(2)
    told = {"a": Told(c.sa, c.phone_final().body.decode()),
            "b": Told(c.sb, c.b.invite.body.decode())}
    ident = c.show()["id"]
    for _ in range(40):
        lab.ctl_run("call", ident, draw.choice(("relay", "direct", "auto")))
        for phone in (c.a_phone, c.b_phone):
            phone.pump(draw.choice((0, 0.02, 0.1)))
        answer_all(c, told, draw)

    def settled(word, path):
        lab.ctl("call", ident, word)

        def so():
            c.a_phone.pump(0.02)
            c.b_phone.pump(0.02)
            answer_all(c, told, random.Random(0))
            return c.show()["path"] == path
        wait_for(so, 30, lambda: f"{path}: {c.trail(c.show())}")
    settled("relay", "relay")
    settled("auto", "direct")
    end(c)


TESTS = [move_2_unusable, move_1_held_in_answer, operator_amid_the_move]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
