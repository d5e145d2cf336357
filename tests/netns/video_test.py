#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real phones that see one another: baresip with audio and, as VP8, a picture, in one call."""
import contextlib
import re

import tap
from baresip import Baresip
from calls import INSIDE
from heard import more, over, silent
from lab import CALLEE, CALLER, RUNG, nothing_left, running
from lines import used
from tap import check, equal, wait_for

SEEN = "video: receiving with resolution 176 x 144"
FRAMES = re.compile(r"efps=[\d.]+/([\d.]+)")
PLANE = "user" if RUNG == "user" else "xdp"


def make():
    return running()


@contextlib.contextmanager
def talking(lab, number, callee_sees):
    """A phone with video has called another one; afterwards it hangs up, and each heard the other's
    tone."""
    a = Baresip(lab, lab.caller, CALLER, f"alice{number}", 440, video=True)
    b = Baresip(lab, lab.callee, CALLEE, number, 660, answers=True, video=callee_sees)
    a.ready()
    b.ready()
    a.dial(f"sip:{number}@{INSIDE}")
    for phone in (a, b):
        phone.wait_log("Call established")
    yield a, b
    a.hangup()
    b.wait_log("terminated")
    over(lab)
    for phone, hears in ((a, 660), (b, 440)):
        phone.stop()
        seconds = phone.heard_in_all(hears)
        check(seconds > 2, f"{phone.user} heard {seconds} s of the other's tone")


def streams(lab):
    """(kind, packets lost, of a wrong source) of each side's."""
    call = lab.calls()[0]
    found = call["a"]["streams"] + call["b"]["streams"]
    return [(s["kind"], s["lost"], s["wrong_source"]) for s in found]


def sees(phone):
    """It shows pictures, as many as it has last said."""
    phone.wait_log(SEEN)
    told = len(FRAMES.findall(phone.log()))
    wait_for(lambda: any(float(f) > 1 for f in FRAMES.findall(phone.log())[told:]), 30,
             lambda: f"{phone.user} shows pictures: {phone.log()[-300:]}")


def counted(lab):
    """Each line has four flows, that of the phones' RTP counts what the call shows of it."""
    call = lab.calls()[0]
    flows = {f["local"]: f for f in lab.flows()}
    equal(len(flows), 8, "flows")
    equal({f["plane"] for f in flows.values()}, {PLANE}, "planes")
    for side in "ab":
        for stream in call[side]["streams"]:
            packets = flows[stream["relay"]]["packets"]
            check(packets >= stream["rx_packets"] > 0, f"packets of {stream}: {packets}")


def both_see(lab):
    """audio and video both ways, each by its own ports, held and resumed; relayed for MULTI_M"""
    before = lab.drops()
    with talking(lab, "7001", True) as phones:
        more(lab)
        counted(lab)
        equal(used(lab), {"inside": 4, "outside": 4}, "ports used")
        call = lab.calls()[0]
        equal((call["path"], call["reason"]), ("relay", "MULTI_M"), "path and why")
        for phone in phones:
            sees(phone)
        phones[0].command("hold")
        silent(lab)
        phones[0].command("resume")
        more(lab, 20)
        for phone in phones:
            sees(phone)
        counted(lab)
        equal(streams(lab), [("audio", 0, 0), ("video", 0, 0)] * 2, "streams")
    dropped = {k: v - before[k] for k, v in lab.drops().items() if v != before[k]}
    # The callee's first RTCP may come before its answer is read.
    check(set(dropped) <= {"not_signalled", "unleased"}, f"drops: {dropped}")


def one_sees_nothing(lab):
    """a callee without video answers that line with port 0: audio alone, and no port is held"""
    with talking(lab, "7002", False) as (a, _):
        wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
                 "150 packets of audio each way")
        equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
        equal(len(lab.flows()), 4, "flows")
        check(SEEN not in a.log(), "a picture from nobody")


TESTS = [both_see, one_sees_nothing]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
