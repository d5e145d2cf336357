#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose media is direct, and of which nothing is heard here for minutes: OPTIONS within the
dialog every 90 s tells whether a far end is there, where no session timer does. The calls of all
tests wait for it together."""
import contextlib
import time

import moving
import tap
from lab import CALLEE, CALLER, nothing_left
from tap import check, equal

PING_S = 90
LATE_S = 20         # a slow machine
LOST_S = 32         # RFC 3261 17.1.2.2, timer F
TIMER = (("Supported", "timer"), ("Session-Expires", "1800"))
KEPT = (("Require", "timer"), ("Session-Expires", "1800;refresher=uac"))
KINDS = ("alive", "gone", "silent", "timed")


@contextlib.contextmanager
def make():
    with moving.make() as lab:
        phones = lab.phone(CALLER), lab.phone(CALLEE)
        lab.waiting = {}
        for kind in KINDS:
            c = moving.Moving(lab, *phones, lab.number("7"))
            c.ring(TIMER if kind == "timed" else ()).answer().talk()
            c.sa.headers = KEPT if kind == "timed" else ()
            c.move_out()
            c.is_direct()
            c.heard(2).lost()
            lab.waiting[kind] = c
        lab.direct_at = time.monotonic()
        yield lab


def asked(c, side):
    """OPTIONS in the dialog of that side, not before its time."""
    due = c.lab.direct_at + PING_S
    msg = c.at(side).dialog.expect("OPTIONS", max(due - time.monotonic(), 0) + LATE_S)
    check(msg.tag("to") is not None, "To tag of the OPTIONS")
    equal(msg.body, b"", "body of the OPTIONS")
    return msg


def ended(c, timeout=5):
    """BYE with the reason to both, and nothing is left of the call."""
    for dialog in (c.a, c.b):
        equal(dialog.expect_bye(timeout).get("reason"),
              'SIP;cause=481;text="The other dialog is gone"', "Reason of the BYE")
    c.gone()


def direct_481(lab):
    """481 to the OPTIONS: its dialog is gone, both are ended"""
    c = lab.waiting["gone"]
    c.a.reply(asked(c, "a"), 200)
    c.b.reply(asked(c, "b"), 481)
    ended(c)


def pitfall_16_alive(lab):
    """pitfall 16: no packet for a minute and a half, but both answer: the call goes on"""
    c = lab.waiting["alive"]
    for side in "ab":
        c.at(side).dialog.reply(asked(c, side), 200)
    c.a.none("BYE", seconds=0.5)
    c.b.none("BYE")
    c.is_direct()


def direct_with_timer(lab):
    """a leg with a session timer is not asked, the other one is"""
    c = lab.waiting["timed"]
    c.b.reply(asked(c, "b"), 200)
    c.a.none("OPTIONS", seconds=0.5)
    c.is_direct()


def direct_no_answer(lab):
    """no answer to the OPTIONS: both are ended"""
    c = lab.waiting["silent"]
    c.a.reply(asked(c, "a"), 200)
    asked(c, "b")
    ended(c, LOST_S + LATE_S)
    for kind in ("alive", "timed"):
        lab.waiting[kind].is_direct()
        lab.waiting[kind].hang_up().gone()


def between_tests(lab, failed):
    """The calls are those of all tests."""
    for phone in lab.phones if failed else ():
        tap.diag(phone.text())


TESTS = [direct_481, pitfall_16_alive, direct_with_timer, direct_no_answer]

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
