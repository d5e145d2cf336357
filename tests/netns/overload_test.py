#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""More calls than the node can carry: new ones are told to come later, those in progress go on."""

import tap
from calls import call
from lab import CALLEE, INSIDE, config, nothing_left, running
from sipp import Sipp
from tap import wait_for

FLOODER, BEN = "10.91.1.11", "10.91.2.21"       # peers beside caller and callee
RATE, CALLS = 4000, 20000
WIDE = {"ports": "10000-59999"}


def make():
    return running(lambda lab: config(lab, inside=WIDE, outside=WIDE))


def refused(lab):
    return lab.metrics().get('rtpfwd_sip_rejected_total{reason="overload"}', 0)


def flood(lab):
    """far more calls than it can carry: 503, while a call in progress talks and ends as ever"""
    c = call(lab, "8", b_ip=BEN).up().talk()
    server = Sipp(lab, lab.callee, "uas", CALLEE, CALLS, timeout=120).listening()
    client = Sipp(lab, lab.caller, "uac_patient", FLOODER, CALLS, "-s", "7001", "-r", RATE, "-l",
                  CALLS, "-d", 100, f"{INSIDE}:5060", timeout=120)
    wait_for(lambda: refused(lab) > 100, 30, lambda: f"100 calls refused: {refused(lab)}")
    c.heard(50)
    before = refused(lab)
    c.quiet().whole().hang_up()
    wait_for(lambda: refused(lab) > before, 10, "new calls refused while the call ended")
    client.kill()
    server.kill()


TESTS = [flood]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: None, nothing_left)
