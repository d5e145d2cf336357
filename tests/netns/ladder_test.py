#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who sends what in which order, with which address, direction and version: golden ladders."""
import contextlib

import tap
from ladder import Ladder, is_golden
from lab import Lab, config, nothing_left
from moving import JOINED, TIMES, call
from tap import equal
from tune import Tune

MOVE = "both agree to be direct"
ROLL_BACK = "the caller refuses, and the callee, who had agreed, is brought back"
RETURN = "the operator brings a direct call back to the relay"
HOLD = "hold and resume of the caller, relayed, without music"
HOLD_DIRECT = "hold and resume of the caller while direct, without music"
HOLD_MUSIC = "hold and resume of the callee, relayed, with music for the caller"
HOLD_MUSIC_DIRECT = "hold and resume of the callee while direct, with music for the caller"
MOVED = "the caller goes to another port while direct"


@contextlib.contextmanager
def make():
    with Lab(router=True) as lab:
        tune = Tune(f"{lab.dir}/tune.wav")
        lab.start(config(lab, general=TIMES, inside=JOINED, outside={"moh": tune.path}))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def hang_up(c):
    c.hang_up().gone()


def out(c):
    c.sb.accept(c.sb.told())
    c.sa.accept(c.sa.told())
    c.is_direct()


def accepted(side):
    """The 200 to that side's own re-INVITE, acknowledged."""
    msg = side.dialog.expect(200)
    side.dialog.ack(msg)


def move(lab):
    """move: the callee first, then the caller, both with versions one higher"""
    c = call(lab).up().talk().heard(5)
    ladder = Ladder(c)
    out(c)
    is_golden(ladder, "move", MOVE)
    hang_up(c)


def roll_back(lab):
    """rollback: who had agreed is told the relay's address again at once"""
    c = call(lab).up().talk().heard(5)
    ladder = Ladder(c)
    c.sb.accept(c.sb.told())
    c.sa.refuse(c.sa.told(), 488)
    c.sb.accept(c.sb.told())
    c.is_relayed("PEER_REFUSED_488")
    is_golden(ladder, "rollback", ROLL_BACK)
    hang_up(c)


def back(lab):
    """return: both are told the relay's address"""
    c = call(lab).direct()
    ladder = Ladder(c)
    lab.ctl("call", c.show()["id"], "relay")
    c.sa.accept(c.sa.told())
    c.sb.accept(c.sb.told())
    c.is_relayed("OPERATOR")
    is_golden(ladder, "return", RETURN)
    hang_up(c)


def passed_on(c, ladder, name, about):
    """Hold and resume of the caller, which the callee is told."""
    for direction, answer in (("sendonly", "recvonly"), (None, None)):
        c.a.reinvite(c.sa.sdp(direction=direction))
        c.sb.accept(c.sb.told(), direction=answer)
        accepted(c.sa)
    is_golden(ladder, name, about)


def hold_passed_on(lab):
    """hold without music, relayed: passed on with the relay's address"""
    c = call(lab).up()
    lab.ctl("call", c.show()["id"], "relay")
    passed_on(c, Ladder(c), "hold", HOLD)
    hang_up(c)


def hold_passed_on_while_direct(lab):
    """hold without music, direct: passed on with the phones' own addresses"""
    c = call(lab).direct()
    passed_on(c, Ladder(c), "hold_direct", HOLD_DIRECT)
    hang_up(c)


def hold_with_music(lab):
    """hold with music, relayed: answered here, the caller is told nothing"""
    c = call(lab).up()
    lab.ctl("call", c.show()["id"], "relay")
    ladder = Ladder(c)
    for direction in ("sendonly", None):
        c.b.reinvite(c.sb.sdp(direction=direction))
        accepted(c.sb)
    c.a.none("INVITE", seconds=0.2)
    is_golden(ladder, "hold_music", HOLD_MUSIC)
    hang_up(c)


def hold_with_music_while_direct(lab):
    """hold with music, direct: the caller alone is brought back; on resume both move out again"""
    c = call(lab).direct()
    ladder = Ladder(c)
    c.b.reinvite(c.sb.sdp(direction="sendonly"))
    accepted(c.sb)
    c.sa.accept(c.sa.told())
    c.is_relayed("HOLD")
    c.b.reinvite(c.sb.sdp())
    accepted(c.sb)
    out(c)
    is_golden(ladder, "hold_music_direct", HOLD_MUSIC_DIRECT)
    hang_up(c)


def moved_while_direct(lab):
    """another port while direct: passed on end to end"""
    c = call(lab).direct()
    ladder = Ladder(c)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    c.a.reinvite(c.sa.sdp(port=port))
    ladder.names[(c.sa.ip, port)] = "a-new"
    c.sb.accept(c.sb.told())
    accepted(c.sa)
    c.a_rtp.use()
    c.is_direct()
    is_golden(ladder, "moved_direct", MOVED)
    hang_up(c)


TESTS = [move, roll_back, back, hold_passed_on, hold_passed_on_while_direct, hold_with_music,
         hold_with_music_while_direct, moved_while_direct]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
