#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RTCP at the port of RTP (RFC 5761)."""
import contextlib

import tap
from calls import call
from lab import Lab, config, nothing_left
from tap import check, equal


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.start(config(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def multiplexed(lab):
    """both phones agree on rtcp-mux: RTCP crosses at the ports of RTP, counted as RTCP"""
    mux = {"extra": ("a=rtcp-mux",)}
    c = call(lab, a_kw=mux, b_kw=mux).up()
    for description in (c.b_offer, c.a_answer):
        check("rtcp-mux" in description.attributes(), "rtcp-mux told")
    for end in (c.a_rtp, c.b_rtp):
        end.tx = [end.tx[0], end.tx[0]]         # both kinds by one socket
    c.a_rtp.start(c.relay_a, c.relay_a)
    c.b_rtp.start(c.relay_b, c.relay_b)
    c.heard(50).quiet()
    for end, other in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)):
        reports = [g for g in other.rtp.got if len(g[4]) == 28]
        equal([g[4] for g in reports], list(end.rtcp.sent.values()), "RTCP at the port of RTP")
        equal(len(other.rtp.got) - len(reports), len(end.rtp.sent), "RTP")
        equal(other.rtcp.got, [], "RTCP at the port beside")
    flows = c.flows()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        equal(flows[side]["packets"], len(end.rtp.sent), f"flow {side}")
        equal(flows[side + "_rtcp"]["packets"], len(end.rtcp.sent), f"RTCP flow {side}")
        equal(flows[side]["dropped"] + flows[side + "_rtcp"]["dropped"], 0, f"dropped {side}")
    c.hang_up().gone()


def multiplexed_by_one(lab):
    """the callee knows no rtcp-mux: RTCP has its own ports on both sides"""
    c = call(lab, a_kw={"extra": ("a=rtcp-mux",)}).up()
    check("rtcp-mux" in c.b_offer.attributes(), "offered")
    check("rtcp-mux" not in c.a_answer.attributes(), "not answered")
    c.talk().heard(30).quiet().whole()
    c.hang_up().gone()


TESTS = [multiplexed, multiplexed_by_one]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
