#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that hear nothing, one way or both, are counted while it happens."""

import sip
import tap
from calls import call
from lab import nothing_left, running
from tap import equal, wait_for

SOON = 25       # five seconds of silence, seen within five more, and a slow machine


def make():
    return running()


def counts(lab):
    found = lab.metrics()
    return found["rtpfwd_oneway_calls"], found["rtpfwd_nortp_calls"]


def expect(lab, oneway, nortp):
    wait_for(lambda: counts(lab) == (oneway, nortp), SOON,
             lambda: f"({oneway}, {nortp}) calls one way and silent, not {counts(lab)}")


def told_apart(lab):
    """neither side, one side, both sides, one side again, and the end"""
    c = call(lab).up()
    equal(counts(lab), (0, 0), "at once")
    expect(lab, 0, 1)
    c.b_rtp.start(c.relay_b, c.b_offer.rtcp())
    expect(lab, 1, 0)
    c.a_rtp.start(c.relay_a, c.a_answer.rtcp())
    expect(lab, 0, 0)
    c.b_rtp.stop()
    expect(lab, 1, 0)
    c.quiet().hang_up().gone()
    equal(counts(lab), (0, 0), "after the end")


def held(lab):
    """who is on hold need not speak"""
    c = call(lab).up()
    expect(lab, 0, 1)
    c.a.reinvite(sip.sdp(c.a_phone.ip, c.a_rtp.port, direction="sendonly", version=2))
    offer = c.b.expect("INVITE")
    c.b.reply(offer, 200, sip.sdp(c.b_phone.ip, c.b_rtp.port, direction="recvonly", version=2))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))
    expect(lab, 0, 0)
    c.hang_up().gone()


TESTS = [told_apart, held]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
