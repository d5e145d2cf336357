#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""linphone, a phone that we did not write, registers and talks with baresip, another one."""
import contextlib

import tap
from baresip import Baresip
from calls import INSIDE, OUTSIDE
from heard import ENOUGH, more, over, silent
from lab import CALLEE, CALLER, config, nothing_left, running
from linphone import Linphone
from tap import check, equal, wait_for

PEERS = """
[alice]
type = friend
realm = inside
host = dynamic
secret = s3cret
[bob]
type = peer
realm = outside
host = 10.91.2.20
[out]
type = route
from = inside
match = _7X.
to = bob
[byname]
type = route
to = registered
"""


def make():
    return running(lambda lab: config(lab, peers=PEERS))


@contextlib.contextmanager
def phones(lab, number, **kw):
    """linphone, registered, and baresip."""
    a = Linphone(lab, lab.caller, CALLER, "alice", 440, **kw)
    b = Baresip(lab, lab.callee, CALLEE, number, 660, answers=True)
    try:
        b.ready()
        a.register(INSIDE, "s3cret")
        equal(lab.metrics()["rtpfwd_registrations"], 1, "rtpfwd_registrations")
        yield a, b
    finally:
        a.stop()
        b.stop()
    wait_for(lambda: lab.metrics()["rtpfwd_registrations"] == 0, 10, "it took it back")


def calls(lab):
    """it registers with digest, calls, holds and resumes; both are heard"""
    with phones(lab, "7001") as (a, b):
        before = a.received()
        a.call(f"sip:7001@{INSIDE}")
        a.play()
        more(lab)
        a.hold()
        silent(lab)
        a.resume()
        a.play()
        more(lab)
        check(a.received() - before >= 2 * ENOUGH, f"it heard {a.received() - before} packets")
        a.command("terminate")
        b.wait_log("terminated")
        over(lab)
    check(b.heard(440).good(2), f"baresip heard {b.heard(440)}")


def called(lab):
    """it is called by the name that it registered, and the other hangs up"""
    with phones(lab, "7002", answers=True) as (a, b):
        before = a.received()
        b.dial(f"sip:alice@{OUTSIDE}")
        b.wait_log("Call established")
        a.play()
        more(lab)
        check(a.received() - before >= ENOUGH, f"it heard {a.received() - before} packets")
        b.hangup()
        a.ended()
        over(lab)
    check(b.heard(440).good(1), f"baresip heard {b.heard(440)}")


TESTS = [calls, called]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
