#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted calls where rtpfwd.ko is, and its contexts beside them: over kill -9, upgrade, -D,
attempts to unload it, and a while without it. Runs in the machine of endtoend.py."""
import contextlib
import os
import signal
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "netns"))
import contexts     # noqa: E402
import sdes         # noqa: E402
import srtp         # noqa: E402
import tap          # noqa: E402
from contexts import PROTECT, UNPROTECT                                         # noqa: E402
from lab import Lab, nothing_left                                               # noqa: E402
from netns import sh                                                            # noqa: E402
from sdes import (AES80, ANNA, BEA, BOB, GCM128, GCM256, Key, SdesCall,         # noqa: E402
                  between_tests, keys_of)
from tap import check, equal, wait_for                                          # noqa: E402

LEASE = 20
ABSENT, SET_UP_BEFORE = "encrypted, and no rtpfwd.ko", "encrypted, and set up without rtpfwd.ko"


def settings(lab):
    return sdes.settings(lab, general={"lease": str(LEASE)})


@contextlib.contextmanager
def make():
    with Lab(addresses=5) as lab:
        lab.start(settings(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()
        equal(listed(lab), {}, "contexts after -D")


def listed(lab):
    return contexts.listed(lab.node.name)


def after(lab, failed):
    between_tests(lab, failed)
    wait_for(lambda: not lab.flows() and not listed(lab), LEASE + 20,
             lambda: f"no flow and no context: {listed(lab)}")


def encrypt(c):
    """The phones encrypt as they have agreed to."""
    srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    if c.b_keys:
        srtp.encrypt(c.b_rtp, c.b_keys[0],
                     next(k for k in c.told_b if k.suite == c.b_keys[0].suite))
    return c


def planes(c):
    """Of its four flows: who forwards them, and why not a faster one."""
    return {(f["plane"], f["reason"]) for f in c.flows().values()}


def talking(lab, b_ip=BOB, suite=AES80, b_keys=(), plane=("kmod", None), phones=None):
    c = SdesCall(lab, ANNA, b_ip, [Key(suite)], b_keys, phones=phones)
    encrypt(c.up()).talk().heard(20)
    equal(planes(c), {plane}, "plane and reason")
    return c


def whole(c):
    """All of it arrived, was counted by the flows, and nothing was refused."""
    c.quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(getattr(end, "unheard", []), [], "packets that do not decrypt")
    flows = c.flows()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        for name, kind in ((side, end.rtp), (side + "_rtcp", end.rtcp)):
            equal((flows[name]["packets"], flows[name]["dropped"]), (len(kind.sent), 0),
                  f"packets and drops of flow {name}")
    return c


def of_call(lab, before):
    """The contexts that came since `before`."""
    return {i: c for i, c in listed(lab).items() if i not in before}


def counts_agree(lab):
    """a context for each direction of RTP and RTCP, which counts what the phones sent"""
    c = whole(talking(lab))
    found = {(x["direction"], name): x[name] for x in listed(lab).values()
             for name in ("protected", "protected_rtcp", "unprotected", "unprotected_rtcp")
             if x[name]}
    equal(found, {(UNPROTECT, "unprotected"): len(c.a_rtp.rtp.sent),
                  (UNPROTECT, "unprotected_rtcp"): len(c.a_rtp.rtcp.sent),
                  (PROTECT, "protected"): len(c.b_rtp.rtp.sent),
                  (PROTECT, "protected_rtcp"): len(c.b_rtp.rtcp.sent)}, "counters")
    equal({(x["senders"], x["pinned"]) for x in listed(lab).values()}, {(1, 1)}, "senders, pinned")
    c.hang_up().gone()
    equal(listed(lab), {}, "contexts after the call")


def survives(lab, signo):
    c = talking(lab, BEA, b_keys=[Key(GCM128, tag=3)])
    before = set(listed(lab))
    equal(len(before), 8, "contexts of two encrypted legs")
    for _ in range(3):
        lab.stop(signo)
        c.heard(20)
        lab.start()
        equal(set(listed(lab)), before, "contexts after the return")
        c.heard(10)
    whole(c)


def killed(lab):
    """SIGKILL thrice amid a call with two encrypted legs: 0 lost, the same contexts go on"""
    survives(lab, signal.SIGKILL)


def upgraded(lab):
    """SIGTERM and another daemon, thrice: the same"""
    survives(lab, signal.SIGTERM)


def called_again_with_other_keys(lab):
    """adopted after SIGKILL: a re-INVITE with new keys is 481, the next call has contexts of its
    own; the former ones go when their media ends"""
    old = talking(lab)
    before = set(listed(lab))
    lab.stop(signal.SIGKILL)
    old.heard(10)
    lab.start()
    old.a_phone.hang_up()
    old.a.reinvite(old.write("a", [Key(GCM256)], version=2))
    final = old.a.expect("final")
    old.a.ack(final)
    equal(final.code, 481, "answer to the re-INVITE")
    new = SdesCall(lab, ANNA, BOB, [Key(GCM256)], phones=(old.a_phone, old.b_phone)).up()
    encrypt(new).talk().heard(20)
    equal({c["suite"] for c in of_call(lab, before).values()}, {4}, "suites of the new call")
    equal(len(of_call(lab, before)), 4, "contexts of the new call")
    check(before < set(listed(lab)), "the adopted flows lost a context")
    old.heard(10)
    whole(old)
    wait_for(lambda: not before & set(listed(lab)), LEASE + 20, "former contexts gone")
    whole(new.heard(10))
    new.hang_up().gone()


def rekeyed(lab):
    """new keys and suites in re-INVITEs while both talk: nothing is lost, counters go on, no
    context is added"""
    c = talking(lab, BEA, b_keys=[Key(AES80)])
    before = set(listed(lab))
    for version in range(2, 10):
        key = Key(GCM256 if version % 2 else AES80, tag=version)
        c.a.reinvite(c.write("a", [key], version=version))
        answer = c.a.expect("final")
        c.a_rtp.hear_also(keys_of(answer.sdp)[0])
        c.a.ack(answer)
        c.heard(5)
        c.a_rtp.rekey(key)
        c.heard(10)
        equal(set(listed(lab)), before, "contexts")
    whole(c)
    check(any(x["former"] for x in listed(lab).values()), "none under a former key")
    c.hang_up().gone()


def unload_refused(lab):
    """rmmod amid a call, with its daemon and without: refused, and nothing is lost"""
    c = talking(lab)
    for _ in range(5):
        check(sh("rmmod", "rtpfwd", check=False).returncode, "unloaded")
    lab.stop(signal.SIGKILL)
    for _ in range(5):
        check(sh("rmmod", "rtpfwd", check=False).returncode, "unloaded")
    c.heard(10)
    lab.start()
    whole(c.heard(10))


def is_loaded():
    return os.path.exists("/sys/module/rtpfwd")


def load():
    sh("insmod", "/modules/rtpfwd.ko")


@contextlib.contextmanager
def without_module(lab):
    """The daemon starts where it is not; whoever comes next has it again."""
    lab.detached()
    wait_for(lambda: not sh("rmmod", "rtpfwd", check=False).returncode, 10, "unloaded")
    try:
        lab.own_rung = False
        lab.start()
        equal(lab.ctl("show", "status")["kmod"], "absent", "rtpfwd.ko")
        yield
    finally:
        lab.own_rung = True
        if not is_loaded():
            load()


def unloaded_amid_media(lab):
    """-D lets it go though phones of an encrypted call go on sending: nobody hears them any more,
    the next call is the userspace relay's and says why"""
    old = talking(lab)
    lab.stop(signal.SIGKILL)
    with without_module(lab):
        heard, sent = len(old.b_rtp.rtp.got), len(old.a_rtp.rtp.sent)
        old.a_phone.hang_up()
        c = talking(lab, plane=("user", ABSENT), phones=(old.a_phone, old.b_phone)).heard(20)
        check(len(old.a_rtp.rtp.sent) > sent, "nobody sent meanwhile")
        equal(len(old.b_rtp.rtp.got), heard, "heard of the former call")
        old.quiet()
        whole(c).hang_up().gone()
        lab.stop()
    lab.start()


def loaded_later(lab):
    """it is loaded while a daemon runs that found none: its calls stay where they are, behind a
    SIGKILL, too; the next daemon's take it, and nothing is lost"""
    lab.stop()
    with without_module(lab):
        c = talking(lab, plane=("user", ABSENT))
        load()
        phones = (c.a_phone, c.b_phone)
        d = talking(lab, suite=GCM128, plane=("user", ABSENT), phones=phones)
        c.heard(10)
        lab.stop(signal.SIGKILL)
        c.heard(10)
    lab.start()
    c.a_phone.hang_up()
    e = talking(lab, phones=phones)
    for before in (c, d):
        equal(planes(before), {("user", SET_UP_BEFORE)}, "plane and reason of a former call")
        whole(before.heard(10))
    whole(e).hang_up().gone()


def detached(lab):
    """-D amid an encrypted call: no context is left, and its media ends"""
    c = talking(lab)
    lab.stop(signal.SIGKILL)
    equal(len(listed(lab)), 4, "contexts")
    lab.detached()
    equal(listed(lab), {}, "contexts after -D")
    c.quiet()
    heard = len(c.b_rtp.rtp.got)
    c.a_rtp.burst(10)
    c.quiet()
    equal(len(c.b_rtp.rtp.got), heard, "heard after -D")
    lab.start()


TESTS = (counts_agree, killed, upgraded, called_again_with_other_keys, rekeyed, unload_refused,
         unloaded_amid_media, loaded_later, detached)

if __name__ == "__main__":
    tap.run(TESTS, make, after, nothing_left)
