#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is learned of a device while its calls go on: those that are direct stay so."""
import moving
import tap
from lab import nothing_left
from moving import Moving, call
from tap import equal


def make():
    return moving.make()


def end(c, limit=0):
    c.heard(10).lost(limit)
    c.hang_up().gone()


def refuses(lab, c, reason):
    """Another call of the same phones, in which the callee refuses."""
    c = Moving(lab, c.a_phone, c.b_phone, lab.number()).up().talk().heard(2)
    c.sb.refuse(c.sb.told(), 488)
    c.is_relayed(reason)
    end(c)


def learned_while_direct(lab):
    """three other calls teach the quirk: a call that is direct is not brought back for it, which
    would take a re-INVITE; once the operator did, it stays"""
    c = call(lab).direct()
    for reason in ("PEER_REFUSED_488", "PEER_REFUSED_488", "QUIRK_NO_REINVITE"):
        refuses(lab, c, reason)
    learned = lab.ctl("peer", "bob", "quirk", "show")["learned"]
    equal([q["cause"] for q in learned], ["refused"], "learned")
    for held in ("sendonly", "sendrecv"):
        c.a.reinvite(c.sa.sdp(direction=held))
        c.a.ack(c.a.expect(200))
    c.a.none("INVITE", seconds=0.5)
    c.b.none("INVITE")
    c.is_direct()
    lab.ctl("call", c.show()["id"], "relay")
    for side in (c.sb, c.sa):
        side.accept(side.told())
    c.is_relayed("OPERATOR")
    lab.ctl("call", c.show()["id"], "auto")
    c.is_relayed("QUIRK_NO_REINVITE")
    c.b.none("INVITE", seconds=0.5)
    end(c)


TESTS = [learned_while_direct]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
