# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads of calls upon one node: SIPp calls INSIDE, SIPp answers at CALLEE."""
import time

import figures
from lab import CALLEE, CALLER, INSIDE
from sipp import Sipp

RING_MS, TALK_MS = 50, 100
REFUSED = "refused"     # the counter of uac_patient.xml


class Outcome:
    """What became of a load."""

    def __init__(self, client, count, rate, took, code):
        rows = figures.rows_of(client.stats_path)
        last = rows[-1] if rows else {}
        self.count, self.rate, self.took = count, rate, took
        self.refused = int(last.get(REFUSED + "(C)", 0))
        self.done = int(last.get("SuccessfulCall(C)", 0)) - self.refused
        self.failed = int(last.get("FailedCall(C)", 0))
        self.repeated = int(last.get("Retransmissions(C)", 0))
        self.clean = code == 0 and self.done == count and took < 1.25 * count / rate + 1
        less = (REFUSED + "(C)",) if REFUSED + "(C)" in last else ()
        self.completed = figures.per_second(rows, "SuccessfulCall(C)", less)
        self.offered = figures.per_second(rows, "OutgoingCall(C)")
        # Seconds from each INVITE to its 180 as the caller saw them.
        self.ringing = figures.response_times(client.response_times())

    def text(self):
        refused = f"{self.refused} refused, " if self.refused else ""
        return f"{self.done} of {self.count}, {refused}{self.failed} failed, " \
               f"{self.repeated} sent again, {self.took:.1f} s"


def start(node, count, rate, scenario="uac", talk_ms=TALK_MS, timeout=60, most=None,
          args=()):
    """(caller, callee) at work; at most so many calls at once."""
    lab = node.lab
    server = Sipp(lab, lab.callee, "uas", CALLEE, count, "-d", RING_MS,
                  timeout=timeout + 5).listening()
    client = Sipp(lab, lab.caller, scenario, CALLER, count, "-s", "7001", "-r", rate, "-d",
                  talk_ms, "-l", most or max(1000, 4 * rate), *args, f"{INSIDE}:5060",
                  timeout=timeout)
    return client, server


def run(node, seconds, rate, scenario="uac", grace=8):
    """Calls for so many seconds; they are given up `grace` seconds behind the last."""
    count, timeout = int(seconds * rate), int(seconds + grace)
    client, server = start(node, count, rate, scenario, timeout=timeout,
                           args=("-trace_rtt", "-rtt_freq", count))
    began = time.monotonic()
    code = client.end(timeout + 3)
    outcome = Outcome(client, count, rate, time.monotonic() - began, code)
    server.kill()
    return outcome
