#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted media where no plane carries it."""
import contextlib

import sdes
import sip
import tap
from lab import Lab, nothing_left
from sdes import ALICE, ANNA, BEA, BEN, BOB, OLGA, Key, SdesCall, clear, refused, savp
from tap import check, equal


@contextlib.contextmanager
def make():
    with Lab(addresses=4) as lab:
        lab.start(sdes.settings(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def refused_without_a_plane(lab):
    """encryption = sdes: 488 to the caller or for the callee's sake, and the log says why"""
    refused(lab, ANNA, BOB, savp(sip.sdp(ANNA, 20000, extra=[Key().line])))
    check("peer 'anna': no plane here carries encrypted media" in lab.log(), "the log names it")
    refused(lab, ALICE, BEA, sip.sdp(ALICE, 20000))
    check("peer 'bea': no plane here carries encrypted media" in lab.log(), "the log names it")
    # Where both legs say `no`, keys pass (fax_test.py); where one does not, they end here.
    refused(lab, ALICE, BEN, savp(sip.sdp(ALICE, 20000, extra=[Key().line])))
    check("peer 'alice': encryption = no" in lab.log(), "the log names it")


def optional_goes_on_without_keys(lab):
    """encryption = optional: the call is a plain one, with audio"""
    for ips, a_keys in (((OLGA, BOB), [Key()]), ((ALICE, BEN), [])):
        c = SdesCall(lab, *ips, a_keys=a_keys, a_profile="RTP/AVP").up()
        equal((c.told_a, c.told_b, c.crypto()), ([], [], (None, None)), "keys told")
        c.talk().heard(20).quiet().whole()
        c.hang_up().gone()
        clear(lab)


def between_tests(lab, failed):
    lab.between_tests(failed)
    clear(lab)


TESTS = (refused_without_a_plane, optional_goes_on_without_keys)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
