#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pitfall 14: a telephone-event (RFC 4733) that is under way when a call would move. Where its
first packet went, its last one goes, and nothing is lost."""
import moving
import tap
from lab import nothing_left
from moving import call
from tap import check, equal

LATER = 1.0     # the settle time is 0.3 s at most


def make():
    return moving.make()


def kept_here(lab):
    """A call in which nothing has begun; audio both ways."""
    c = call(lab).up()
    lab.ctl("call", c.show()["id"], "relay")
    c.is_relayed("OPERATOR")
    return c.talk().heard(2)


def press(c, side):
    """The key is down, and the relay has seen it."""
    c.at(side).end.press(5)
    return c.heard(3)


def sources_of_event(c, side):
    """Where the event's packets came from that this side heard."""
    found = [(g[2], g[4][13] >> 7) for g in c.at(side).end.rtp.got if len(g[4]) == 16]
    equal([end for _, end in found], [0] * (len(found) - 1) + [1], "end bits of the event")
    return {source for source, _ in found}


def end(c):
    c.heard(5).lost()
    c.hang_up().gone()


def before_move(lab, side, far):
    c = kept_here(lab)
    press(c, side)
    lab.ctl("call", c.show()["id"], "auto")
    c.b.none("INVITE", seconds=LATER)
    c.a.none("INVITE")
    equal(c.show()["path"], "relay", "path while the key is down")
    c.at(side).end.release()
    c.heard(2)
    c.move_out()
    c.is_direct()
    equal(sources_of_event(c, far), {c.relay(far)}, "where the event came from")
    end(c)


def pitfall_14_caller_holds_key(lab):
    """the caller's key is down when the move is due: it waits"""
    before_move(lab, "a", "b")


def pitfall_14_callee_holds_key(lab):
    """the callee's key is down when the move is due: it waits"""
    before_move(lab, "b", "a")


def pitfall_14_key_in_move_1(lab):
    """a key of the second leg is down when the first has moved: the second waits"""
    c = kept_here(lab)
    lab.ctl("call", c.show()["id"], "auto")
    first = c.sb.told()
    press(c, "a")
    c.sb.accept(first)
    c.a.none("INVITE", seconds=LATER)
    equal(c.show()["path"], "moving", "path while the key is down")
    c.a_rtp.release()
    c.sa.accept(c.sa.told())
    c.is_direct()
    equal(sources_of_event(c, "b"), {c.relay_b}, "where the event came from")
    end(c)


def pitfall_14_key_is_stuck(lab):
    """a key that stays down holds the move up for five seconds, not for ever"""
    c = kept_here(lab)
    press(c, "a")
    lab.ctl("call", c.show()["id"], "auto")
    c.b.none("INVITE", seconds=LATER)
    first = c.sb.told(10)
    c.sb.accept(first)
    c.sa.accept(c.sa.told())
    c.is_direct()
    c.heard(2)
    c.a_rtp.release()
    c.heard(2)
    check(sources_of_event(c, "b") == {c.relay_b, c.address("a")}, "it was released too early")
    end(c)


TESTS = [pitfall_14_caller_holds_key, pitfall_14_callee_holds_key, pitfall_14_key_in_move_1,
         pitfall_14_key_is_stuck]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
