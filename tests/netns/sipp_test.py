#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that we did not write: SIPp's calls and baresip's audio through the node."""
import os

import tap
import tone
from baresip import Baresip
from calls import INSIDE
from lab import CALLEE, CALLER, nothing_left, running
from sipp import Sipp
from tap import check, equal, wait_for


def make():
    return running()


def run(lab, uac, uas, calls, rate, *args, callee=CALLEE, number="7001"):
    """Both scenarios to their end; every call must have gone as they say."""
    server = Sipp(lab, lab.callee, uas, callee, calls).listening()
    client = Sipp(lab, lab.caller, uac, CALLER, calls, "-s", number, "-r", rate, *args,
                  f"{INSIDE}:5060")
    code = client.end()
    equal(code, 0, f"sipp {uac}: {client.errors()}")
    equal(client.count("SuccessfulCall(C)"), calls, "successful calls of the caller")
    equal(client.count("FailedCall(C)"), 0, "failed calls of the caller")
    equal(server.end(15), 0, f"sipp {uas}: {server.errors()}")
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "no call and no flow")
    return client, server


def normal(lab):
    """ten calls"""
    run(lab, "uac", "uas", 10, 10, "-d", 100)


def busy(lab):
    """ten refused with 486"""
    run(lab, "uac_busy", "uas_busy", 10, 10)


def cancel(lab):
    """ten cancelled while they ring"""
    run(lab, "uac_cancel", "uas_cancel", 10, 10)


def many(lab):
    """200 calls at 20 a second, all good, nothing sent twice"""
    before = lab.metrics()["rtpfwd_sip_retransmits_total"]
    client, _ = run(lab, "uac", "uas", 200, 20, "-d", 500)
    equal(client.count("Retransmissions(C)"), 0, "retransmissions of the caller")
    equal(lab.metrics()["rtpfwd_sip_retransmits_total"] - before, 0, "retransmissions of the node")
    check(lab.metrics()["rtpfwd_setup_seconds_count"] >= 200, "set-up times counted")


def comparer_can_fail(lab):
    """silence, another tone and no recording are told apart from the tone"""
    path = os.path.join(lab.dir, "probe.wav")
    for frequency, amplitude, good in ((440, 10000, True), (440, 0, False), (660, 10000, False),
                                       (880, 10000, False)):
        tone.write(path, frequency, 3, amplitude=amplitude)
        heard = tone.Heard(path, 440)
        equal(heard.good(2), good, f"{frequency} Hz at {amplitude}: {heard}")
    equal(tone.Heard(path + ".none", 440).good(1), False, "no recording")
    equal(tone.Heard(path, 880).good(4), False, "too short")


def real_phones(lab):
    """baresip calls baresip: each hears the other's tone"""
    alice = Baresip(lab, lab.caller, CALLER, "alice", 440)
    bob = Baresip(lab, lab.callee, CALLEE, "7001", 660, answers=True)
    alice.ready()
    bob.ready()
    alice.dial(f"sip:7001@{INSIDE}")
    alice.wait_log("Call established")
    bob.wait_log("Call established")
    wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
             lambda: f"150 packets each way: {lab.calls()}")
    alice.hangup()
    bob.wait_log("terminated")
    wait_for(lambda: not lab.calls() and not lab.flows(), 3, "no call and no flow")
    for phone, hears in ((alice, 660), (bob, 440)):
        phone.stop()
        heard = phone.heard(hears)
        check(heard.good(2), f"{phone.user} heard {heard}")
        check(not phone.heard(phone.frequency).good(0.5), f"{phone.user} heard itself")


TESTS = [normal, busy, cancel, many, comparer_can_fail, real_phones]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
