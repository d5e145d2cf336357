#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted calls that go through the node twice (hairpin_test.py): what one leg decrypts another
one encrypts, within the node and over both calls. All of it is the userspace relay's: XDP has no
keys without rtpfwd.ko, and a packet stays on the plane that first had it."""
import signal

import hairpin_test
import srtp
import tap
from hairpin_test import ANNA, PROXY, dropped, way
from heard import over
from lab import CALLER, OUTSIDE, nothing_left
from netns import text
from sdes import AES80, GCM128, GCM256, SUITES, Key, SdesCall
from tap import check, equal, wait_for

OLGA = "10.91.1.12"
REASON = "encrypted, and no rtpfwd.ko"
ENCRYPTED = "encryption = sdes\nencryption_over = any\n"
PEERS = f"""
[alice]
type = peer
realm = inside
host = {CALLER}
{ENCRYPTED}
[anna]
type = peer
realm = inside
host = {ANNA}
[olga]
type = peer
realm = inside
host = {OLGA}
{ENCRYPTED}
[proxy]
type = peer
realm = outside
host = {PROXY}
[itself]
type = peer
realm = outside
host = {OUTSIDE}
{ENCRYPTED}
[to-proxy]
type = route
from = inside
match = _[89]X.
to = proxy
[to-itself]
type = route
from = inside
match = _[67]X.
to = itself
[to-anna]
type = route
from = outside
match = _[68]X.
to = anna
[to-olga]
type = route
from = outside
match = _[79]X.
to = olga
"""


def make():
    return hairpin_test.running(peers=PEERS)


def talking(lab, prefix, a_ip, b_ip, a_suite=None, b_suite=None):
    """Two calls here are one of the phones', whose legs have keys where a suite is named."""
    keys = [[Key(s, SUITES.index(s) + 1)] if s else [] for s in (a_suite, b_suite)]
    c = SdesCall(lab, a_ip, b_ip, *keys, phones=(lab.phone(a_ip), lab.phone(b_ip)),
                 number=lab.number(prefix)).up()
    equal(len(lab.calls()), 2, "calls")
    if a_suite:
        srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    if b_suite:
        ours = next(k for k in c.told_b if k.suite == b_suite)
        srtp.encrypt(c.b_rtp, c.b_keys[0], ours)
    return c.talk()


def between(lab):
    """The suites of the legs that meet within the node."""
    shown = lab.calls()
    return sorted(str(c[side]["crypto"]) for c in shown for side in "ab"
                  if c[side]["peer"] in ("proxy", "itself"))


def counted(lab, c):
    """Each flow of both calls has counted what the phone at its begin sent, without what SRTP
    adds."""
    flows = {f["local"]: f for f in lab.flows()}
    equal(len(flows), 8, "flows")
    equal({(f["plane"], f["reason"]) for f in flows.values()}, {("user", REASON)}, "planes")
    for end, relay in ((c.a_rtp, c.relay_a), (c.b_rtp, c.relay_b)):
        for kind, more in ((end.rtp, 0), (end.rtcp, 1)):
            passed = way(flows, text((relay[0], relay[1] + more)))
            want = (len(kind.sent), sum(map(len, kind.sent.values())), 0)
            equal([(f["packets"], f["bytes"], f["dropped"]) for f in passed], [want] * 2,
                  f"counters of {passed}")


def whole(lab, c, before):
    """All of it arrived, decrypted, and was counted by both calls; nothing was refused."""
    c.quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(getattr(end, "unheard", []), [], "packets that do not decrypt")
    counted(lab, c)
    equal(dropped(lab, before), {}, "drops")


def finished(lab, prefix, *ends, suites):
    """A whole call; between its halves these suites are in force."""
    before = lab.drops()
    c = talking(lab, prefix, *ends).heard(40)
    equal(between(lab), suites, "suites between the two calls")
    whole(lab, c, before)
    if ends[2] and ends[3]:
        check(not set(c.a_rtp.wire) & set(c.b_rtp.wire), "one stream of bytes on both legs")
    c.hang_up().gone()
    over(lab)


def to_a_plain_phone(lab):
    """SRTP to the node, RTP by the proxy and back into the node, RTP to the other phone"""
    finished(lab, "8", CALLER, ANNA, AES80, None, suites=["None", "None"])


def to_an_encrypted_phone(lab):
    """SRTP of one suite at the first end, of another one at the last, plain between them"""
    finished(lab, "9", CALLER, OLGA, AES80, GCM256, suites=["None", "None"])


def from_a_plain_phone(lab):
    """RTP to the node, SRTP from its second call on"""
    finished(lab, "9", ANNA, OLGA, None, GCM128, suites=["None", "None"])


def by_itself(lab):
    """a peer that is the node, with keys: both calls encrypt what one hands to the other"""
    finished(lab, "7", CALLER, OLGA, GCM128, AES80, suites=[AES80, AES80])
    lab.clear()
    finished(lab, "6", CALLER, ANNA, AES80, None, suites=[AES80, AES80])


def forged(lab):
    """what does not authenticate at the first call is counted there; the second sees none of it"""
    c = talking(lab, "9", CALLER, OLGA, AES80, AES80).heard(10)
    c.quiet()
    before, heard = lab.drops(), len(c.b_rtp.rtp.got)
    for _ in range(5):
        c.a_rtp.tx[0].sendto(c.a_rtp.packet(c.a_rtp.rtp.next), c.relay_a)
    wait_for(lambda: dropped(lab, before) == {"srtp_auth": 5}, 5,
                 lambda: f"five srtp_auth: {dropped(lab, before)}")
    equal(len(c.b_rtp.rtp.got), heard, "packets heard")
    first, second = way({f["local"]: f for f in lab.flows()}, text(c.relay_a))
    equal((first["dropped"], second["dropped"]), (5, 0), "dropped by the first and the second")
    c.hang_up().gone()
    over(lab)


def killed(lab):
    """kill -9 of the daemon amid such a call, and its return: nothing is lost, all of it counted"""
    before = lab.drops()
    c = talking(lab, "9", CALLER, OLGA, AES80, GCM128).heard(25)
    lab.stop(signal.SIGKILL)
    c.heard(50)
    lab.start()
    whole(lab, c.heard(25), before)


TESTS = [to_a_plain_phone, to_an_encrypted_phone, from_a_plain_phone, by_itself, forged, killed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
